"""Cross compilers: the argument lists that compile and link firmware for a board."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from lenet_edge import children
from lenet_edge.errors import CheckFailedError, MissingToolError, ToolFailedError
from lenet_edge.hardware import tools
from lenet_edge.hardware.boards import Board, Gcc, Zig

__all__ = ["TOOLCHAINS", "LinkOverflowError", "Toolchain", "choose", "compile_source", "link", "version", "zig_cc"]

TOOLCHAINS = ("gcc", "zig")  # in the order in which `auto` takes them

_COMMON = (
    "-std=gnu99",  # GNU for __memx of AVR and for asm
    "-g",
    "-ffreestanding",
    "-ffunction-sections",
    "-fdata-sections",
    "-fno-common",
    "-fno-stack-protector",
    "-Wall",
    "-Wextra",
    "-Ilibc",
    "-Ikernels",
    "-Iarch",
    "-Iport",
    "-Iapp",
)
_ZIG_COMMON = ("-fno-sanitize=undefined", "-fno-unwind-tables", "-fno-asynchronous-unwind-tables")
_GCC_COMMON = ("-fno-tree-loop-distribute-patterns", "-fstack-usage")  # no memcpy in memcpy; frames, for `stack_depth`
_TIME_OUT_S = 300.0


class LinkOverflowError(CheckFailedError):
    """The program does not fit the memory regions of the linker script."""


@dataclass(frozen=True)
class Toolchain:
    """A compiler for one board.

    Attributes:
        name: "gcc" or "zig".
        compiler: the command and its flags for the board's processor.
        libraries: what the compiler's own code needs, for the linker.
    """

    name: str
    compiler: tuple[str, ...]
    libraries: tuple[str, ...]


def choose(board: Board, name: str = "auto") -> Toolchain:
    """The toolchain of that name, or the first that is installed.

    Raises:
        MissingToolError: it is not installed, or the board has none of that name.
    """
    missing = []
    for candidate in TOOLCHAINS if name == "auto" else (name,):
        found = _gcc(board.toolchain.gcc) if candidate == "gcc" else _zig(board.toolchain.zig)
        if isinstance(found, Toolchain):
            return found
        missing.append(found)
    raise MissingToolError(f"no compiler for {board.name}: " + "; or ".join(missing))


def _gcc(flags: Gcc | None) -> Toolchain | str:
    if flags is None:
        return "its TOML names no GCC"
    command = f"{flags.prefix}gcc"
    path = shutil.which(command)
    if path is None:
        return f"{command} is missing ({tools.find(command).install})"
    # Debian's GCC has no libgcc for RV32E and would take RV64's; firmware/arch/riscv has what its code calls.
    libraries = () if "-mabi=ilp32e" in flags.flags else ("-lgcc",)
    return Toolchain("gcc", (path, *flags.flags, *_COMMON, *_GCC_COMMON), libraries)


def _zig(flags: Zig | None) -> Toolchain | str:
    if flags is None:
        return "its TOML names no zig target"
    zig = tools.find("zig")
    if not zig.found:
        return f"zig is missing ({zig.install})"
    own_headers = f"-fdebug-prefix-map={_zig_program().parent}=zig"
    target = ("-target", flags.target, f"-mcpu={flags.cpu}", *flags.flags, own_headers)
    return Toolchain("zig", (str(_zig_program()), "cc", *target, *_COMMON, *_ZIG_COMMON), ("-lcompiler_rt",))


def _zig_program() -> Path:
    """The program in the package ziglang, which is there."""
    spec = find_spec("ziglang")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).with_name("zig")


def zig_cc(folder: Path, arguments: Sequence[str]) -> None:
    """Run zig as a C compiler in `folder`, for something that is not a board.

    Raises:
        ToolFailedError: it does not compile; the message has the compiler's.
        MissingToolError: there is no zig.
    """
    zig = tools.find("zig")
    if not zig.found:
        raise MissingToolError(f"zig is missing. Install with: {tools.here(zig.install)}")
    _run((str(_zig_program()), "cc", *arguments, *_ZIG_COMMON), folder)


def version(toolchain: Toolchain) -> str:
    """Name and version of the compiler in one line."""
    if toolchain.name == "zig":
        return f"zig {_run((toolchain.compiler[0], 'version'), Path.cwd()).strip()}"
    return _run((toolchain.compiler[0], "--version"), Path.cwd()).partition("\n")[0].strip()


def compile_source(toolchain: Toolchain, folder: Path, source: str, optimize: str) -> str:
    """Compile one source of `folder`; names in the object are relative to it.

    Args:
        optimize: "-O2", "-Os", ...

    Returns:
        The object's name in `folder`.

    Raises:
        ToolFailedError: it does not compile; the message has the compiler's.
    """
    target = f"{source}.o"
    relative = [f"-fdebug-prefix-map={folder.resolve()}=.", f"-fdebug-prefix-map={folder}=."]
    if source.endswith(".S"):  # GCC would name its temporary file, which no two runs share
        relative.append("-g0")
    _run((*toolchain.compiler, *relative, optimize, "-c", source, "-o", target), folder)
    return target


def link(toolchain: Toolchain, folder: Path, objects: Sequence[str], script: str, target: str) -> None:
    """Link the objects of `folder` by the linker script.

    Raises:
        LinkOverflowError: a memory region is too small.
        ToolFailedError: it does not link.
    """
    flags = ("-nostdlib", f"-Wl,-T,{script}", "-Wl,--gc-sections", "-Wl,--entry=le_reset", "-Wl,--build-id=none")
    try:
        _run((*toolchain.compiler, *flags, *objects, *toolchain.libraries, "-o", target), folder)
    except ToolFailedError as error:
        if "overflowed" in str(error) or "will not fit in region" in str(error):
            raise LinkOverflowError(str(error)) from error
        raise


def _run(argv: Sequence[str], folder: Path) -> str:
    environment = {**os.environ, "LC_ALL": "C", **_zig_caches(folder)}
    try:
        done = children.run(argv, timeout_s=_TIME_OUT_S, folder=folder, environment=environment)
    except subprocess.TimeoutExpired as error:
        raise ToolFailedError(f"{argv[0]} did not end within {_TIME_OUT_S:.0f} s") from error
    except OSError as error:
        raise ToolFailedError(f"{argv[0]} cannot be started: {error.strerror}") from error
    if done.code != 0:
        raise ToolFailedError(f"{Path(argv[0]).name} failed: {done.stderr.strip()[-3000:]}")
    return done.stdout


def _zig_caches(folder: Path) -> dict[str, str]:
    """Where zig keeps what it makes: what it made of these sources in their folder.

    What it makes for all programs is in the user's cache, as always; in the folder where there is none, or none that
    can be written: no home, a container's read-only one. zig would fail then.
    """
    caches = {"ZIG_LOCAL_CACHE_DIR": str(folder / ".zig-cache")}
    if "ZIG_GLOBAL_CACHE_DIR" not in os.environ and not _has_cache():
        caches["ZIG_GLOBAL_CACHE_DIR"] = str(folder / ".zig-global-cache")
    return caches


def _has_cache() -> bool:
    """Whether zig's usual cache (std.fs.getAppDataDir: $XDG_CACHE_HOME, else $HOME/.cache) can be written."""
    shared, home = os.environ.get("XDG_CACHE_HOME", ""), os.environ.get("HOME", "")
    if not (shared or home):
        return False
    cache = os.path.join(shared or os.path.join(home, ".cache"), "zig")
    try:
        os.makedirs(cache, exist_ok=True)
    except OSError:
        return False
    return os.access(cache, os.W_OK | os.X_OK)
