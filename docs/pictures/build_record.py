"""Writes `records/build.json`: what `lenet-edge build --json` says of the random LeNet-5 that `benchmarks/` measures.

python docs/pictures/build_record.py     # after `make benchmarks`
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import memory_map

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1] / "tests"), str(HERE.parents[1] / "tests" / "targets")]

import workbench  # noqa: E402

from lenet_edge.formats import tflite  # noqa: E402

BOARD = "microbit"


def main() -> None:
    """Build the board in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "model.tflite").write_bytes(tflite.to_bytes(workbench.LENET5))
        options = ("--board", BOARD, "--model", "model.tflite", "--toolchain", "gcc", "--json")
        argv = (sys.executable, "-m", "lenet_edge", "build", *options)
        done = subprocess.run(argv, check=True, cwd=folder, stdout=subprocess.PIPE, text=True)  # noqa: S603
    memory_map.RECORD.write_text(done.stdout, encoding="utf-8")


if __name__ == "__main__":
    main()
