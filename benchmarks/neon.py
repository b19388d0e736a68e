"""Instructions of an inference on AArch64, plain C and the kernels `neon`, each built by the same compilers.

    python benchmarks/neon.py                    # lenet5 with random weights, both roundings
    python benchmarks/neon.py model.tflite --json

Builds with GCC and with zig's clang, -O2, with and without the dot product, runs random and extreme images in QEMU's
user mode with the counting plug-in, and gives the largest count. Instructions, not time: nobody ran this on hardware.
Exit status 1 if an output is not the reference's.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "tests"), str(HERE.parent / "tests" / "kernels")]

import c_programs  # noqa: E402
import kernel_models  # noqa: E402
import neon_programs  # noqa: E402
import sample_models  # noqa: E402

from lenet_edge.formats import tflite  # noqa: E402
from lenet_edge.quantized import reference  # noqa: E402
from lenet_edge.quantized.model import QuantizedModel  # noqa: E402

PLUGIN = HERE.parent / "lenet_edge" / "hardware" / "emulators" / "qemu_counting_plugin.c"
COLUMNS = 26


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="*", metavar="model.tflite")
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def count(program: neon_programs.Program, name: str, images: np.ndarray, plugin: Path) -> tuple[int, int]:
    """The largest count of an inference, and how many outputs are not the reference's."""
    number = list(program.models).index(name)
    listed = c_programs.run(neon_programs.NM, "-S", program.path).decode()
    places = {words[3]: words for words in map(str.split, listed.splitlines()) if len(words) == 4}
    low, size = (int(text, 16) for text in places[f"run_{number}"][:2])
    begin = int(places[f"le_infer_with_{number}"][0], 16)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "counts"
        options = f"{plugin},begin={begin:#x},low={low:#x},high={low + size:#x},out={out}"
        found = program.logits(name, images, "-plugin", options)
        counts = [int(line.split()[0]) for line in out.read_text().splitlines()]
    assert len(counts) == len(images)
    expected = reference.run(program.models[name], images).reshape(len(images), -1)
    return max(counts), int(np.count_nonzero(found != expected))


def measure(models: dict[str, QuantizedModel], images: int, work: Path) -> list[dict[str, str | int]]:
    """A line for each model, family and compiler."""
    plugin = work / "plugin.so"
    c_programs.run("gcc", "-shared", "-fPIC", "-O2", "-o", plugin, PLUGIN)
    found: list[dict[str, str | int]] = []
    for number, (name, model) in enumerate(models.items()):
        for family in ("plain", "neon"):
            folder = work / f"{number}-{family}"
            folder.mkdir()
            for compiler, program in neon_programs.build({name: model}, folder, family).items():
                most, wrong = count(program, name, kernel_models.images(model, images), plugin)
                run = {"model": name, "family": family, "compiler": compiler, "instructions": most, "wrong": wrong}
                found.append(run)
    return found


def main() -> int:
    """Prints the table."""
    asked = arguments()
    if problem := neon_programs.missing():
        sys.exit(problem)
    models = {path.stem: tflite.load(path)[0] for path in asked.models} or {
        "lenet5": sample_models.lenet5(51),
        "lenet5 ordinary": sample_models.lenet5(51, "ordinary"),
    }
    with tempfile.TemporaryDirectory() as folder:
        found = measure(models, asked.images, Path(folder))
    if asked.json:
        print(json.dumps(found, indent=1))
    else:
        for run in found:
            print("{model:{0}} {compiler:{0}} {family:6} {instructions:10,}".format(COLUMNS, **run))
    return int(any(run["wrong"] for run in found))


if __name__ == "__main__":
    sys.exit(main())
