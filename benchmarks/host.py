"""How many times as long as the exported C LiteRT with XNNPACK takes on this machine, for each instruction set.

    python benchmarks/host.py                                # lenet5 with random weights, both roundings
    python benchmarks/host.py model.tflite --rounds 30
    python benchmarks/host.py --instructions avx2 --json

In every round each contestant runs all images: one process, one thread, interleaved (`engines.host_timing`). XNNPACK
chooses its instructions by the processor; the C is compiled once for each instruction set. Exit status 1 if an output
is not the reference's.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "tests")]

import kernel_models  # noqa: E402
import sample_models  # noqa: E402

from lenet_edge.cli.bench_host import one_multiplication, processor  # noqa: E402
from lenet_edge.engines import host_c, host_timing  # noqa: E402
from lenet_edge.formats import c_source, tflite  # noqa: E402
from lenet_edge.quantized import reference  # noqa: E402
from lenet_edge.quantized.model import QuantizedModel  # noqa: E402
from lenet_edge.records import write_artefact  # noqa: E402
from lenet_edge.resources import firmware_folder  # noqa: E402

OPTIONS = {"sse2": "-march=x86-64", "avx2": "-mavx2", "avx_vnni": "-mavxvnni", "native": "-march=native"}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="*", metavar="model.tflite")
    parser.add_argument(
        "--instructions", choices=OPTIONS, action="append", help="that the C may use; default: all here"
    )
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def time_model(path: Path, instructions: str, rounds: int, count: int) -> dict[str, str | float | int]:
    """One line of the table: times in microseconds of the fastest round."""
    model = tflite.load(path)[0]
    images = kernel_models.images(model, count)
    plan = c_source.make_plan(model, "x86")
    os.environ["CC"] = f"gcc {OPTIONS[instructions]}"
    with tempfile.TemporaryDirectory() as folder:
        exported, trivial = Path(folder) / "c", Path(folder) / "one.tflite"
        write_artefact(exported, c_source.export(plan, firmware_folder()), model.fingerprint, **c_source.facts(plan))
        trivial.write_bytes(tflite.to_bytes(one_multiplication()))
        found = host_timing.measure({"c": exported}, path, trivial, images, rounds=rounds)
    return {
        "model": path.stem,
        "compiled_for": found.compiled_for["c"],
        "c_us": round(found.c["c"][0] / 1000, 2),
        "xnnpack_us": round(found.xnnpack[0] / 1000, 2),
        "ratio": round(found.xnnpack[0] / found.c["c"][0], 2),
        "wrong": int(np.count_nonzero(found.logits["c"] != reference.run(model, images))),
    }


def can_run(instructions: str) -> bool:
    """Whether this processor has them; sse2 and native it always has."""
    return instructions in ("sse2", "native") or instructions in Path("/proc/cpuinfo").read_text().split()


def samples(folder: Path) -> list[Path]:
    models: dict[str, QuantizedModel] = {
        "lenet5": sample_models.lenet5(51),
        "lenet5-ordinary": sample_models.lenet5(51, "ordinary"),
    }
    for name, model in models.items():
        (folder / f"{name}.tflite").write_bytes(tflite.to_bytes(model))
    return [folder / f"{name}.tflite" for name in models]


def main() -> int:
    """Prints a line for each model and instruction set."""
    asked = arguments()
    if host_c.FAMILY != "x86":
        sys.exit("this is for x86-64")
    with tempfile.TemporaryDirectory() as folder:
        paths = asked.models or samples(Path(folder))
        sets = asked.instructions or [name for name in OPTIONS if can_run(name)]
        found = [time_model(path, name, asked.rounds, asked.images) for path in paths for name in sets]
    if asked.json:
        print(json.dumps({"cpu": processor(), "rounds": asked.rounds, "runs": found}, indent=1))
    else:
        print(f"{processor()}, {asked.rounds} rounds, interleaved, one thread")
        for run in found:
            print("{model:28} {compiled_for:13} C {c_us:8} us, XNNPACK {xnnpack_us:8} us: {ratio:6}".format(**run))
    return int(any(run["wrong"] for run in found))


if __name__ == "__main__":
    sys.exit(main())
