"""Writes the records of this folder: what `lenet-edge bench --json` counts on each board, built for speed and for size.

    make benchmarks                       # all boards
    python benchmarks/measure.py microbit

The model is the random LeNet-5 of the tests, so that a record depends only on the code and the compiler: training may
give other weights on another machine. Its instructions are those of a trained one, except where compiled code branches.
CI compares with these records (tests/targets/test_benchmarks.py).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "tests"), str(HERE.parent / "tests" / "targets")]

import workbench  # noqa: E402

from lenet_edge.formats import c_source, tflite  # noqa: E402
from lenet_edge.hardware import boards  # noqa: E402

IMAGES = 8


def lenet_edge(folder: Path, *arguments: object) -> str:
    """What the command prints; its messages go to the terminal."""
    argv = [sys.executable, "-m", "lenet_edge", *map(str, arguments)]
    return subprocess.run(argv, check=True, cwd=folder, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603


def record(folder: Path, board: str, optimize: str) -> str:
    """The record of one board; `folder` has model.tflite and the images in data/."""
    firmware = folder / f"{board}-{optimize}"
    common = ("--board", board, "--model", "model.tflite", "--json")
    lenet_edge(folder, "build", *common, "--toolchain", "gcc", "--optimize", optimize, "--out", firmware)
    return lenet_edge(folder, "bench", *common, "--firmware", firmware, "--data", "data", "--images", IMAGES)


def main() -> None:
    """Measures the boards that are named, all without a name."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "model.tflite").write_bytes(tflite.to_bytes(workbench.LENET5))
        workbench.data_folder(folder / "data", IMAGES)
        for board in sys.argv[1:] or workbench.holders():
            fast = boards.load(board).cpu.kernels != c_source.PLAIN
            for optimize in ("speed", "size") if fast else ("speed",):  # else they are the same
                path = HERE / f"{board}-{optimize}.json"
                path.write_text(record(folder, board, optimize), encoding="utf-8")
                print(f"wrote {path.name}")


if __name__ == "__main__":
    main()
