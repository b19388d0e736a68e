"""Draws the pictures of the documentation from the project's own code and records.

    make pictures                            # writes docs/pictures/*.svg
    python docs/pictures/make.py --check     # exit 1 where a picture is out of date

What a picture shows is computed by the code, read from `benchmarks/`, or read from `records/`, which commands left:

    records/check.json   lenet-edge check --board microbit --json, on the 10,000 test images of MNIST
    records/build.json   build_record.py
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import check_table
import instructions
import memory_map
import pipeline
import tie

from lenet_edge.files import write_file

__all__ = ["FOLDER", "PICTURES"]

FOLDER = Path(__file__).parent

PICTURES: dict[str, Callable[[], str]] = {
    "pipeline.svg": lambda: pipeline.draw().svg(),
    "tie.svg": lambda: tie.draw().svg(),
    "memory-map.svg": lambda: memory_map.draw().svg(),
    "instructions.svg": lambda: instructions.draw().svg(),
    "check.svg": check_table.draw,
}
"""File name -> what draws it."""


def main() -> None:
    """Write the pictures, or with --check compare."""
    old = []
    for name, draw in PICTURES.items():
        path, content = FOLDER / name, draw().encode()
        if not path.exists() or path.read_bytes() != content:
            old.append(name)
            if "--check" not in sys.argv[1:]:
                write_file(path, content)
                print(f"wrote {path}")
    if old and "--check" in sys.argv[1:]:
        sys.exit(f"out of date: {', '.join(old)}: make pictures")


if __name__ == "__main__":
    main()
