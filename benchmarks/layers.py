"""What each layer of a model takes on a board, with the kernel that computes it and the next best one.

    python benchmarks/layers.py mps2-an386 model.tflite                     # the kernels that would be exported
    python benchmarks/layers.py mps2-an386 model.tflite --kernel "by patches"  # where it has one of such a name
    python benchmarks/layers.py mps2-an386 model.tflite --family plain

Builds the firmware with GCC, runs random and extreme images in the emulator that counts, gives the largest count of
each layer, and compares every output with the reference. Exit status 1 if one differs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "tests"), str(HERE.parent / "tests" / "targets")]

import candidates  # noqa: E402
import workbench  # noqa: E402

from lenet_edge.formats import tflite  # noqa: E402
from lenet_edge.formats.c_source import make_plan  # noqa: E402
from lenet_edge.hardware import boards, firmware, session  # noqa: E402
from lenet_edge.quantized import reference  # noqa: E402


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("board")
    parser.add_argument("model", type=Path)
    parser.add_argument("--family", help="of kernels, instead of the board's")
    parser.add_argument("--kernel", help="part of the name of a kernel that is taken wherever it can be")
    parser.add_argument("--images", type=int, default=20)
    return parser.parse_args()


def main() -> int:
    """Prints the table."""
    asked = arguments()
    board, model = boards.load(asked.board), tflite.load(asked.model)[0]
    family = asked.family or board.cpu.kernels
    board = replace(board, cpu=replace(board.cpu, kernels=family))
    images = workbench.images(model, asked.images)
    with tempfile.TemporaryDirectory() as folder, candidates.named(asked.kernel) if asked.kernel else nullcontext():
        steps = make_plan(model, family).steps
        built = firmware.build(model, board, Path(folder) / "firmware", toolchain="gcc")
        with session.connect(board, built.elf, model.fingerprint, count=True) as running:
            found = running.device.infer_all(images)
            calls = running.counts()[-len(images) :]
    counts = np.array([call.cycles or call.instructions for call in calls]).max(axis=0)[1:]
    for placed, count in zip(steps, counts, strict=False):
        products = placed.step.macs
        each = f"{count / products:9.3f}" if products else " " * 9
        kernel = placed.kernel
        second = f"{kernel.runner_up} {100 * kernel.runner_up_more:+.0f} %" if kernel.runner_up else ""
        more = "; ".join(filter(None, (second, kernel.why_plain)))
        print(f"{placed.step.layer.name[-28:]:28} {products:11,} {count:11,} {each}  {placed.kernel.name}  ({more})")
    differ = int((found != reference.run(model, images)).sum())
    print(f"total {counts.sum():,}; {differ} of {found.size:,} outputs differ; flash {built.sizes.flash:,} bytes")
    return int(differ > 0)


if __name__ == "__main__":
    sys.exit(main())
