"""Programs and packages that boards need: which are on this machine, and how to get the others."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as package_version
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

from lenet_edge import children
from lenet_edge.hardware.boards import Board

__all__ = ["TOOLS", "Tool", "can_build", "can_emulate", "can_flash", "find", "here", "needed", "which"]

_EXTRA = "pip install 'lenet-edge[boards]'"
_PACKAGES = MappingProxyType({"zig": "ziglang", "unicorn": "unicorn"})  # tool -> Python package and module
_CC = ("cc", "gcc", "clang")
_COPIES = ("uf2", "hex")  # flash tools that are a copy to a volume
_PREFIXES = (Path("/"), Path("/usr"), Path("/usr/local"))
_TIME_OUT_S = 5.0

# Tool -> the command that installs it; the packages are Debian's.
TOOLS: Mapping[str, str] = MappingProxyType(
    {
        "arm-none-eabi-gcc": "apt-get install gcc-arm-none-eabi",
        "riscv64-unknown-elf-gcc": "apt-get install gcc-riscv64-unknown-elf",
        "avr-gcc": "apt-get install gcc-avr avr-libc",
        "zig": _EXTRA,
        "cc": "apt-get install gcc libc6-dev",
        "unicorn": _EXTRA,
        "qemu-system-arm": "apt-get install qemu-system-arm",
        "qemu-system-riscv32": "apt-get install qemu-system-misc",
        "simavr": "apt-get install libsimavr-dev",
        "pyocd": "pip install pyocd",
        "openocd": "apt-get install openocd",
        "avrdude": "apt-get install avrdude",
        "esptool": "pip install esptool",
        "probe-rs": "cargo install probe-rs-tools --locked",
        "gdb-multiarch": "apt-get install gdb-multiarch",
    }
)


@dataclass(frozen=True)
class Tool:
    """A program or package.

    Attributes:
        version: as it names itself; None where it was not asked, is not there or does not say.
        install: the command that installs it.
    """

    name: str
    found: bool
    version: str | None
    install: str


def find(name: str, *, ask_version: bool = False) -> Tool:
    """Look for a tool of `TOOLS`, or for any other program by its name.

    Args:
        ask_version: run it to learn its version, for at most 5 seconds.
    """
    install = TOOLS.get(name, f"install {name} and put it on the PATH")
    if name in _PACKAGES:
        found = find_spec(_PACKAGES[name]) is not None
        return Tool(name, found, _package_version(_PACKAGES[name]) if found and ask_version else None, install)
    if name == "simavr":  # the library: our own host program is linked with it
        return Tool(name, _has_simavr(), None, install)
    program = next(filter(None, map(which, _CC if name == "cc" else (name,))), None)
    version = _program_version(program) if program is not None and ask_version else None
    return Tool(name, program is not None, version, install)


def here(command: str) -> str:
    """An install command as this machine takes it; in words what to do, where its program is missing.

    Args:
        command: of `Tool.install` or of an engine's `install_command`: apt-get, pip, cargo or something else.
    """
    program, _, _ = command.partition(" ")
    if program == "apt-get":
        return _with_apt(command)
    if program == "pip" and find_spec("pip") is None:
        return _without_pip(command)
    if program == "cargo" and which("cargo") is None:
        return f"Rust first (https://rustup.rs), then: {command}"
    if command.startswith("python3 -m venv ") and find_spec("ensurepip") is None:
        return f"{_with_apt('apt-get install python3-venv')}, then: {command}"
    return command


def _with_apt(command: str) -> str:
    if which("apt-get") is None and not Path("/usr/bin/apt-get").exists():
        return f"by the system's package manager; Debian's packages are: {command.removeprefix('apt-get install ')}"
    if not hasattr(os, "geteuid") or os.geteuid() == 0:
        return command
    return f"sudo {command}" if which("sudo") else f"as root: {command}"


def _without_pip(command: str) -> str:
    if which("uv"):
        return f"uv {command}"
    python = shlex.quote(sys.executable)
    if find_spec("ensurepip") is not None:
        return f"{python} -m ensurepip && {python} -m {command}"
    return f"{_with_apt('apt-get install python3-pip')}, then: {command}"


def which(name: str) -> str | None:
    """The path of a program: of the PATH, else next to our Python, where pip put it without the environment active."""
    return shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))


def can_build(board: Board) -> tuple[str, ...]:
    """The board's toolchains that are here: "gcc", "zig"."""
    return _ready(_toolchains(board))


def can_emulate(board: Board) -> tuple[str, ...]:
    """The board's emulators that are here, the preferred first: "unicorn", "qemu", "simavr"."""
    return _ready(_emulators(board))


def can_flash(board: Board) -> tuple[str, ...]:
    """The board's flash tool, where it is here; without one its emulator, through GDB."""
    if board.flash_tool is None and "qemu" not in can_emulate(board):
        return ()
    return _ready(_flash_tools(board))


def needed(board: Board, what: str) -> tuple[Tool, ...]:
    """All tools of a board, found or not.

    Args:
        what: "build", "emulate" or "flash".
    """
    ways = {"build": _toolchains, "emulate": _emulators, "flash": _flash_tools}[what](board)
    return tuple(map(find, dict.fromkeys(name for names in ways.values() for name in names)))


def _toolchains(board: Board) -> dict[str, tuple[str, ...]]:
    """Toolchain -> the tools that it is made of."""
    ways: dict[str, tuple[str, ...]] = {}
    if board.toolchain.gcc is not None:
        ways["gcc"] = (f"{board.toolchain.gcc.prefix}gcc",)
    if board.toolchain.zig is not None:
        ways["zig"] = ("zig",)
    return ways


def _emulators(board: Board) -> dict[str, tuple[str, ...]]:
    """Emulator -> the tools that it is made of."""
    ways: dict[str, tuple[str, ...]] = {}
    if board.emulator.unicorn is not None:
        ways["unicorn"] = ("unicorn",)
    if board.emulator.qemu is not None:
        ways["qemu"] = (f"qemu-system-{board.emulator.qemu.system}",)
    if board.emulator.simavr is not None:
        ways["simavr"] = ("simavr", "cc")
    return ways


def _flash_tools(board: Board) -> dict[str, tuple[str, ...]]:
    """Flash tool -> the programs that it is made of: none for a copy to a volume."""
    if board.flash_tool is not None:
        names = (board.flash_tool.tool, *board.flash_tool.also)
        return {name: () if name in _COPIES else (name,) for name in names}
    if board.emulator.qemu is not None:
        return {"emulator": ("gdb-multiarch",)}
    return {}


def _ready(ways: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(way for way, names in ways.items() if all(find(name).found for name in names))


def _has_simavr() -> bool:
    """simavr's header, its library, and the libelf that it is linked with."""
    header = any((prefix / "include/simavr/sim_avr.h").is_file() for prefix in _PREFIXES)
    return header and _has_library("libsimavr") and _has_library("libelf")


def _has_library(name: str) -> bool:
    """A library `name`.so* or .a in the usual folders, or in those of one architecture within them."""
    folders = [prefix / lib for prefix in _PREFIXES for lib in ("lib", "lib64")]
    return any(True for folder in folders for depth in ("", "*/") for _ in folder.glob(f"{depth}{name}[.-]*"))


def _package_version(package: str) -> str | None:
    try:
        return package_version(package)
    except PackageNotFoundError:
        return None


def _program_version(program: str) -> str | None:
    """The first line that `PROGRAM --version` prints."""
    try:
        done = children.run([program, "--version"], timeout_s=_TIME_OUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = (done.stdout or done.stderr).strip().splitlines()
    return lines[0].strip() if done.code == 0 and lines else None
