"""Names every engine, compiler and emulator that the tests had to do without, and why; in CI that is a failure."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import postgres_server

from lenet_edge.engines import ENGINES
from lenet_edge.errors import MissingToolError
from lenet_edge.hardware import boards, tools

PROJECTS = Path(sys.prefix) / "projects" / "bin"  # PlatformIO and what it builds with, from constraints-projects.txt
ARDUINO = Path("/usr/share/arduino/hardware")  # where Debian's arduino-core-avr is

AARCH64 = {"aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu libc6-dev-arm64-cross", "qemu-aarch64": "qemu-user"}


def missing() -> Iterator[str]:
    """What is not installed, a line each."""
    for name, engine in ENGINES.items():
        try:
            engine.version()
        except MissingToolError:
            yield f"engine {name}: {engine.install_command()}"
    for name in boards.board_names():
        board = boards.load(name)
        for what in ("build", "emulate"):
            for tool in tools.needed(board, what):
                if not tool.found:
                    yield f"board {name} with {tool.name}: {tool.install}"
    if shutil.which("chromium") is None:
        yield "the pages that are written: apt-get install chromium"
    if postgres_server.folder_of_programs() is None:
        yield "sweeps on a database server: apt-get install postgresql"
    for tool, package in AARCH64.items():
        if shutil.which(tool) is None:
            yield f"the kernels for AArch64 with {tool}: apt-get install {package}"
    if shutil.which("cmake") is None:
        yield "the projects of Zephyr and ESP-IDF: apt-get install cmake"
    if not (PROJECTS / "pio").exists():
        yield "the project of PlatformIO: make .venv/.installed-projects"
    if shutil.which("arduino-builder") is None or not ARDUINO.is_dir():
        yield "the project of Arduino: apt-get install arduino-builder arduino-core-avr"


if __name__ == "__main__":
    found = list(missing())
    for line in found:
        print(f"not covered: {line}")
    if not found:
        print("nothing: every engine ran, and every board with every compiler and emulator that it has")
    sys.exit(1 if found and os.environ.get("CI") else 0)
