"""What the types of `schema` do not say: each check yields what is wrong with a board."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

from lenet_edge import strict_toml
from lenet_edge.errors import BadInputError
from lenet_edge.formats.c_source import FAMILIES, PLAIN
from lenet_edge.hardware.boards.schema import BUFFERS, BUILDS, LINKS, RUNS, Board, Emulators, Region, Toolchains
from lenet_edge.hardware.boot_seals import SEALS

__all__ = ["validate"]

_PAGE_BYTES = 4096  # Unicorn maps whole pages
_QEMU_SYSTEMS = ("arm", "riscv32")
_QEMU_SERIAL_PORTS = 16
_UNICORN_CPU = {"cortex_m": r"UC_CPU_ARM_[A-Z0-9_]+", "riscv": r"UC_CPU_RISCV32_[A-Z0-9_]+"}  # by Cpu.arch


def validate(board: Board, firmware: Path | None) -> None:
    """Check what the types do not say.

    Args:
        firmware: the folder of the C sources; None leaves out the check that
            the board's arch and port are there.

    Raises:
        BadInputError: a check found something; the message has the first.
    """
    problems = [*_name_problems(board), *_folder_problems(board, firmware)]
    for check in _CHECKS:
        problems += check(board)
    if problems:
        raise BadInputError(f"{board.path}: {problems[0]}")


def _name_problems(board: Board) -> Iterator[str]:
    if not re.fullmatch(r"[a-z0-9_-]+", board.name):  # it is in paths, and in a C string
        yield f"the name {board.name!r} has characters other than a-z, 0-9, - and _"
    if board.name != board.path.stem:
        here = board.path.stem
        yield f"the name {board.name!r} is not the file's; call the file {board.name}.toml or the board {here!r}"


def _folder_problems(board: Board, firmware: Path | None) -> Iterator[str]:
    if firmware is None:
        return
    arches, ports = _folders(firmware / "arch"), _folders(firmware / "port")
    arch, family = board.cpu.arch, board.port.family
    if arch not in arches:
        yield f"[cpu] arch: there is no folder {arch!r} in firmware/arch.{strict_toml.nearest(arch, arches)}"
    if family not in (*ports, *_folders(board.path.parent / "port")):
        where = "firmware/port, nor in port/ next to the board's file"
        yield f"[port] family: there is no folder {family!r} in {where}.{strict_toml.nearest(family, ports)}"


def _folders(parent: Path) -> list[str]:
    return [path.name for path in parent.iterdir() if path.is_dir()] if parent.is_dir() else []


def _kernels_problems(board: Board) -> Iterator[str]:
    kernels, core = board.cpu.kernels, board.cpu.core
    if kernels not in FAMILIES:
        yield f"[cpu] kernels: there is no family {kernels!r}.{strict_toml.nearest(kernels, FAMILIES)}"
        return
    able = [name for name, family in FAMILIES.items() if family.runs_on(core)]
    if kernels not in able and able != [PLAIN]:  # of a core that no family names we know nothing
        yield f"[cpu] kernels: a {core} does not run {kernels!r}. It runs {', '.join(able)}"


def _status_problems(board: Board) -> Iterator[str]:
    if board.status not in (RUNS, BUILDS):
        yield f"the status {board.status!r} is neither {RUNS!r} nor {BUILDS!r}"
    if board.status == RUNS and board.emulator == Emulators():
        yield f"the status is {RUNS!r}, but there is no [emulator.unicorn], [emulator.qemu] or [emulator.simavr]"


def _buffers_problems(board: Board) -> Iterator[str]:
    if board.buffers not in BUFFERS:
        yield f"buffers: {board.buffers!r} is neither {' nor '.join(map(repr, BUFFERS))}"


def _link_problems(board: Board) -> Iterator[str]:
    if board.link not in LINKS:
        yield f"link: {board.link!r} is neither {' nor '.join(map(repr, LINKS))}"


def _clock_problems(board: Board) -> Iterator[str]:
    if board.cpu.clock_hz == 0:
        yield "[cpu] clock_hz is 0"


def _regions(board: Board) -> dict[str, Region]:
    """All that the board has at addresses, by the table that says so."""
    regions: dict[str, Region] = {"flash": board.flash, "ram": board.ram}
    if board.flash.data_origin is not None:
        regions["flash.data_origin"] = Region(board.flash.data_origin, board.flash.size_bytes, board.flash.source)
    if board.uart is not None:
        regions["uart"] = Region(board.uart.base, board.uart.size_bytes, board.uart.source)
    if board.emulator.unicorn is not None:
        for index, region in enumerate(board.emulator.unicorn.plain_memory):
            regions[f"emulator.unicorn.plain_memory.{index}"] = region
    return regions


def _region_problems(board: Board) -> Iterator[str]:
    for name, region in _regions(board).items():
        if region.size_bytes == 0:
            yield f"[{name}] size_bytes is 0"
        if region.origin % 4 or region.size_bytes % 4:
            yield f"[{name}] origin and size are not multiples of 4"
        if region.end - 1 > strict_toml.LARGEST:
            yield f"[{name}] ends at {region.end:#x}, outside of 32 bits"


def _vector_table_problems(board: Board) -> Iterator[str]:
    """Where the table is in flash (Armv7-M Architecture Reference Manual, B3.2.5: VTOR has bits 31 to 7)."""
    if board.cpu.arch == "cortex_m" and board.flash.origin % 128:
        yield f"[flash] origin {board.flash.origin:#x} is not a multiple of 128, as a Cortex-M's vector table must be"
    if board.cpu.arch == "cortex_m" and board.flash.boot_bytes % 128:
        yield f"[flash] boot_bytes {board.flash.boot_bytes} is not a multiple of 128; the vector table lies behind them"


def _boot_problems(board: Board) -> Iterator[str]:
    flash = board.flash
    if flash.boot_bytes % 4 or flash.boot_bytes >= flash.size_bytes:
        yield f"[flash] boot_bytes is {flash.boot_bytes}; it must be a multiple of 4 below the flash's size"
    if flash.boot_seal is None:
        return
    if flash.boot_seal not in SEALS:
        yield f"[flash] boot_seal: there is no {flash.boot_seal!r}.{strict_toml.nearest(flash.boot_seal, SEALS)}"
    elif flash.boot_bytes != SEALS[flash.boot_seal].boot_bytes:
        yield f"[flash] boot_seal {flash.boot_seal!r} needs boot_bytes = {SEALS[flash.boot_seal].boot_bytes}"


def _overlap_problems(board: Board) -> Iterator[str]:
    page = 1 if board.emulator.unicorn is None else _PAGE_BYTES
    for (one, a), (other, b) in combinations(_regions(board).items(), 2):
        if a.origin // page <= (b.end - 1) // page and b.origin // page <= (a.end - 1) // page:
            whole = "" if page == 1 else f" (Unicorn maps whole pages of {page} bytes)"
            yield f"[{one}] and [{other}] overlap{whole}"


def _stack_problems(board: Board) -> Iterator[str]:
    if not 0 < board.stack.size_bytes <= board.ram.size_bytes:
        ram = board.ram.size_bytes
        yield f"[stack] size_bytes is {board.stack.size_bytes}; it must be above 0 and fit {ram} of RAM"


def _budget_problems(board: Board) -> Iterator[str]:
    for name, bytes_, region in (
        ("flash", board.flash_budget_bytes, board.flash),
        ("ram", board.ram_budget_bytes, board.ram),
    ):
        if not 0 < bytes_ <= region.size_bytes:
            yield f"[budget] {name}_bytes is {bytes_}; it must be above 0 and at most {region.size_bytes}"


def _toolchain_problems(board: Board) -> Iterator[str]:
    if board.toolchain == Toolchains():
        yield "there is neither [toolchain.gcc] nor [toolchain.zig]; nothing could compile for this board"
    for name, tool in (("gcc", board.toolchain.gcc), ("zig", board.toolchain.zig)):
        for flag in tool.flags if tool is not None else ():
            if not flag.startswith("-"):
                yield f"[toolchain.{name}] flags: {flag!r} does not start with '-'; one flag, one string"


def _flash_tool_problems(board: Board) -> Iterator[str]:
    tool = board.flash_tool
    if tool is not None and "uf2" in (tool.tool, *tool.also) and tool.uf2_family is None:
        yield "[flash_tool] uf2 needs uf2_family, the microcontroller's number in UF2 files"
    if tool is not None and tool.baud == 0:
        yield "[flash_tool] baud is 0"
    for name, label in {} if tool is None else {tool.tool: tool.target, **tool.also}.items():
        if name in ("uf2", "hex") and ("/" in label or label in (".", "..")):
            yield f"[flash_tool] {name}: {label!r} is not the label of a volume"


def _define_problems(board: Board) -> Iterator[str]:
    for name, value in board.port.defines.items():
        if not re.fullmatch(r"LE_[A-Z0-9_]+", name):
            yield f"[port.defines] {name!r} is not a name like LE_UART_BASE"
        if isinstance(value, str) and not re.fullmatch(r"\w+", value, re.ASCII):
            yield f"[port.defines] {name} = {value!r} is not one C name or number"


def _emulator_problems(board: Board) -> Iterator[str]:
    unicorn, qemu = board.emulator.unicorn, board.emulator.qemu
    if unicorn is not None:
        pattern = _UNICORN_CPU.get(board.cpu.arch, r"(?!)")
        if not re.fullmatch(pattern, unicorn.cpu):
            yield f"[emulator.unicorn] cpu {unicorn.cpu!r} is not a constant of Unicorn for arch {board.cpu.arch!r}"
        if board.uart is None:
            yield "[emulator.unicorn] needs a [uart]: without it the firmware cannot be heard"
    if qemu is not None and qemu.system not in _QEMU_SYSTEMS:
        yield f"[emulator.qemu] system {qemu.system!r} is not one of {', '.join(_QEMU_SYSTEMS)}"
    if qemu is not None and qemu.serial >= _QEMU_SERIAL_PORTS:
        yield f"[emulator.qemu] serial {qemu.serial} is not below {_QEMU_SERIAL_PORTS}; the first serial port is 0"


def _uart_problems(board: Board) -> Iterator[str]:
    uart = board.uart
    if uart is None:
        return
    receive, transmit = uart.receive, uart.transmit
    if receive.ready is None and receive.empty is None:
        yield "[uart.receive] has neither ready nor empty: nothing says whether a byte is there"
    flags = {"receive": receive.ready, "transmit": transmit.ready}
    for name, flag in flags.items():
        if flag is not None and (flag.mask == 0 or flag.value & ~flag.mask):
            yield f"[uart.{name}.ready] value {flag.value:#x} is not within mask {flag.mask:#x}, so it never matches"
    offsets = {"receive.data": receive.data, "transmit.data": transmit.data}
    offsets |= {f"{name}.ready.offset": flag.offset for name, flag in flags.items() if flag is not None}
    for name, offset in offsets.items():
        if offset >= uart.size_bytes:
            yield f"[uart] {name} {offset:#x} is not inside its {uart.size_bytes:#x} bytes"


_CHECKS: tuple[Callable[[Board], Iterator[str]], ...] = (
    _kernels_problems,
    _status_problems,
    _buffers_problems,
    _link_problems,
    _clock_problems,
    _region_problems,
    _vector_table_problems,
    _boot_problems,
    _overlap_problems,
    _stack_problems,
    _budget_problems,
    _toolchain_problems,
    _define_problems,
    _flash_tool_problems,
    _emulator_problems,
    _uart_problems,
)
