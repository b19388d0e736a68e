"""Boards: what a TOML of `targets/` says about one, read strictly and checked.

The schema is the dataclasses below: their names and types are what a file may
have, and a field with a default may be left out. A word that is not in it is
refused, so that a typing error cannot silently mean "the default".
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from lenet_edge import strict_toml
from lenet_edge.errors import BadInputError
from lenet_edge.formats.c_source import FAMILIES, PLAIN
from lenet_edge.hardware.boot_seals import SEALS
from lenet_edge.hardware.resources import firmware_folder, targets_folder

__all__ = [
    "Board",
    "Budget",
    "Cpu",
    "Emulators",
    "Flag",
    "FlashTool",
    "Gcc",
    "Policy",
    "Port",
    "QemuEmulator",
    "Region",
    "SimavrEmulator",
    "Toolchains",
    "Uart",
    "UartReceive",
    "UartTransmit",
    "UnicornEmulator",
    "Zig",
    "board_names",
    "digest",
    "load",
    "parse",
    "read_policy",
    "validate",
]

BUILDS, RUNS = "builds, not run on hardware", "runs in an emulator"

_PAGE_BYTES = 4096  # Unicorn maps whole pages
_QEMU_SYSTEMS = ("arm", "riscv32")
_QEMU_SERIAL_PORTS = 16
_UNICORN_CPU = {"cortex_m": r"UC_CPU_ARM_[A-Z0-9_]+", "riscv": r"UC_CPU_RISCV32_[A-Z0-9_]+"}  # by Cpu.arch


@dataclass(frozen=True)
class Region:
    """A piece of the address space.

    Attributes:
        source: the document that the numbers are from, here and below.
    """

    origin: int
    size_bytes: int
    source: str

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.origin + self.size_bytes


@dataclass(frozen=True)
class Flash(Region):
    """The flash that the firmware lies in.

    Attributes:
        boot_bytes: at its beginning, for the chip's boot ROM: the port's section `.boot`; behind them the core starts.
        boot_seal: the checksum that the boot ROM wants of them, a key of `hardware.boot_seals.SEALS`.
        data_origin: where loads see what instructions are fetched from at `origin`; None where that is the same.
    """

    boot_bytes: int = 0
    boot_seal: str | None = None
    data_origin: int | None = None


@dataclass(frozen=True)
class Cpu:
    """The processor.

    Attributes:
        core: such as "cortex-m4", "rv32imac" or "avr6".
        arch: a folder of `firmware/arch`.
        clock_hz: with which the firmware runs.
        kernels: the family of fast kernels for its instruction set, or "plain".
    """

    core: str
    arch: str
    clock_hz: int
    source: str
    kernels: str = PLAIN


@dataclass(frozen=True)
class Gcc:
    """A GCC cross compiler: `PREFIXgcc FLAGS`."""

    prefix: str
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Zig:
    """The C compiler of zig: `zig cc -target TARGET -mcpu=CPU FLAGS`."""

    target: str
    cpu: str
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Toolchains:
    """What can compile for the board."""

    gcc: Gcc | None = None
    zig: Zig | None = None


@dataclass(frozen=True)
class Port:
    """The code for the MCU family.

    Attributes:
        family: a folder of `port/` beside the board's file, or else of `firmware/port`.
        defines: the constants that this code asks for, `LE_...` -> number or C name.
    """

    family: str
    defines: Mapping[str, int | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Flag:
    """Bits of a register that say "ready": `(register & mask) == value`; `offset` in bytes from the UART's base."""

    offset: int
    mask: int
    value: int


@dataclass(frozen=True)
class UartReceive:
    """How a byte is received; one of the two says whether there is one.

    Attributes:
        data: offset of the data register.
        ready: a flag in another register.
        empty: what the data register holds when there is no byte.
    """

    data: int
    ready: Flag | None = None
    empty: int | None = None


@dataclass(frozen=True)
class UartTransmit:
    """How a byte is sent: the data register's offset, and the flag that says there is room."""

    data: int
    ready: Flag | None = None


@dataclass(frozen=True)
class Uart:
    """The UART as Unicorn's emulation models it. QEMU and simavr have their own models."""

    base: int
    size_bytes: int
    receive: UartReceive
    transmit: UartTransmit
    source: str


@dataclass(frozen=True)
class UnicornEmulator:
    """Unicorn.

    Attributes:
        cpu: the name of the constant, such as "UC_CPU_ARM_CORTEX_M4".
        plain_memory: peripherals that the firmware touches and that RAM can stand for.
    """

    cpu: str
    plain_memory: tuple[Region, ...] = ()


@dataclass(frozen=True)
class QemuEmulator:
    """QEMU: `qemu-system-SYSTEM -M MACHINE ARGS`.

    Attributes:
        serial: which of the machine's serial ports is the firmware's UART, from 0.
    """

    system: str
    machine: str
    args: tuple[str, ...] = ()
    serial: int = 0


@dataclass(frozen=True)
class SimavrEmulator:
    """simavr, with its name for the microcontroller."""

    mcu: str


@dataclass(frozen=True)
class Emulators:
    """What can run the board's firmware without the board."""

    unicorn: UnicornEmulator | None = None
    qemu: QemuEmulator | None = None
    simavr: SimavrEmulator | None = None


@dataclass(frozen=True)
class FlashTool:
    """The program that writes the firmware into the board.

    Attributes:
        tool: of `flashing.FLASHERS`, such as "openocd".
        target: its name for the board or chip; for "openocd" its configuration files, apart by spaces; for "uf2" and
            "hex" the label of the volume.
        also: other tools that can do it -> their names for the board or chip.
        programmer, baud: avrdude's programmer, and its and esptool's speed.
        uf2_family: the microcontroller's number in UF2 files.
        board_ids: what the volume of the board's boot loader must say: for "uf2" the Board-ID of its INFO_UF2.TXT,
            for "hex" the beginning of the Unique ID in its DETAILS.TXT.
    """

    tool: str
    target: str
    also: Mapping[str, str] = field(default_factory=dict)
    programmer: str = "arduino"
    baud: int = 115200
    uf2_family: int | None = None
    board_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Policy:
    """What the record of `check` must show before `flash` writes a model into the board.

    Attributes:
        engines: that ran and left no logit different.
        images: on at least so many images.
        data: whose test set these are: a published data set, or the SHA-256 that `check` shows; None for the one that
            the model names, or else MNIST.
        board_images: likewise for the very firmware in an emulator, where the board has one.
        float_comparison: whether int8 must have been compared with the float model.
        max_drop_points: percentage points of accuracy that int8 may lose against it.
    """

    engines: tuple[str, ...] = ("tflm", "litert-reference", "litert-xnnpack", "host_c")
    images: int = 10_000
    data: str | None = None
    board_images: int = 10_000
    float_comparison: bool = True
    max_drop_points: float = 0.10


@dataclass(frozen=True)
class Budget:
    """What the firmware may take."""

    flash_bytes: int
    ram_bytes: int


@dataclass(frozen=True)
class Board:
    """A thing that one can buy or emulate.

    Attributes:
        name: of the file, and on the command line.
        source: the documents that describe it.
        status: `RUNS` where an emulator has the microcontroller, else `BUILDS`. For that Unicorn alone is not enough:
            it has the core, and our model of one UART.
        stack_bytes: reserved at the end of the RAM.
        port_folder: the folder with the code of `port.family`.
        uart: None where Unicorn cannot run the board.
        flash_tool: None for what exists as an emulation or an FPGA image only.
        budget: all of the flash and RAM, where the file does not say less.
        policy: what `flash` asks of the check's record.
    """

    name: str
    title: str
    source: str
    status: str
    cpu: Cpu
    flash: Flash
    ram: Region
    stack_bytes: int
    toolchains: Toolchains
    port: Port
    port_folder: Path
    uart: Uart | None
    emulators: Emulators
    flash_tool: FlashTool | None
    budget: Budget
    policy: Policy = Policy()


@dataclass(frozen=True)
class _Stack:
    size_bytes: int


@dataclass(frozen=True)
class _Budget:
    flash_bytes: int | None = None
    ram_bytes: int | None = None


@dataclass(frozen=True)
class _File:
    """A TOML file: a `Board` as it is written down."""

    name: str
    title: str
    source: str
    status: str
    cpu: Cpu
    flash: Flash
    ram: Region
    stack: _Stack
    toolchain: Toolchains
    port: Port
    uart: Uart | None = None
    emulator: Emulators = Emulators()
    flash_tool: FlashTool | None = None
    budget: _Budget = _Budget()
    policy: Policy = Policy()


def board_names() -> tuple[str, ...]:
    """The boards of `targets/`, sorted."""
    return tuple(sorted(path.stem for path in targets_folder().glob("*.toml")))


def load(name_or_path: str) -> Board:
    """A board of `targets/` by its name, or one's own by the path of its file, which ends in ".toml".

    Raises:
        BadInputError: there is no such board or file, or the file is wrong.
    """
    if name_or_path.endswith(".toml"):
        path = Path(name_or_path)
    elif name_or_path in board_names():
        path = targets_folder() / f"{name_or_path}.toml"
    else:
        nearest = strict_toml.nearest(name_or_path, board_names())
        raise BadInputError(
            f"there is no board {name_or_path!r}.{nearest} `lenet-edge boards` lists them; "
            "a board of your own is the path of its .toml file"
        )
    hint = "`lenet-edge boards` lists the boards that come with this."
    return parse(strict_toml.read_text(path, "the board's file", hint), path)


def parse(text: str, path: Path) -> Board:
    """The board that a TOML describes, validated.

    Args:
        text: the file's content.
        path: the file, for messages and for its name.

    Raises:
        BadInputError: it is not TOML, has an unknown word, lacks one, has one
            of the wrong type, or does not pass `validate`.
    """
    board = _to_board(strict_toml.read(_File, strict_toml.parse(text, path), path), path)
    validate(board, path, firmware_folder())
    return board


def _to_board(file: _File, path: Path) -> Board:
    flash_bytes, ram_bytes = file.budget.flash_bytes, file.budget.ram_bytes
    return Board(
        name=file.name,
        title=file.title,
        source=file.source,
        status=file.status,
        cpu=file.cpu,
        flash=file.flash,
        ram=file.ram,
        stack_bytes=file.stack.size_bytes,
        toolchains=file.toolchain,
        port=file.port,
        port_folder=_port_folder(file.port.family, path),
        uart=file.uart,
        emulators=file.emulator,
        flash_tool=file.flash_tool,
        budget=Budget(
            file.flash.size_bytes if flash_bytes is None else flash_bytes,
            file.ram.size_bytes if ram_bytes is None else ram_bytes,
        ),
        policy=file.policy,
    )


def digest(board: Board) -> str:
    """SHA-256 (hex) over all that a board's TOML says: it tells whether another process read the same."""
    return hashlib.sha256(repr(board).encode()).hexdigest()


def read_policy(path: Path) -> Policy:
    """A policy in its own TOML file, instead of the board's.

    Raises:
        BadInputError: as `parse`.
    """
    return strict_toml.read(Policy, strict_toml.load(path, "the policy"), path)


def _port_folder(family: str, path: Path) -> Path:
    """One's own board brings its port along; those of `targets/` have theirs in `firmware/port`."""
    beside = path.parent / "port" / family
    return beside if os.path.isdir(beside) else firmware_folder() / "port" / family  # isdir: no error for any text


# --- validating -----------------------------------------------------------------------------------


def validate(board: Board, path: Path, firmware: Path | None) -> None:
    """Check what the types do not say.

    Args:
        path: the board's file.
        firmware: the folder of the C sources; None leaves out the check that
            the board's arch and port are there.

    Raises:
        BadInputError: a check found something; the message has the first.
    """
    problems = [*_name_problems(board, path), *_folder_problems(board, path, firmware)]
    for check in _CHECKS:
        problems += check(board)
    if problems:
        raise BadInputError(f"{path}: {problems[0]}")


def _name_problems(board: Board, path: Path) -> Iterator[str]:
    if not re.fullmatch(r"[a-z0-9_-]+", board.name):  # it is in paths, and in a C string
        yield f"the name {board.name!r} has other characters than a-z, 0-9, - and _"
    if board.name != path.stem:
        yield f"the name {board.name!r} is not the file's; call the file {board.name}.toml or the board {path.stem!r}"


def _folder_problems(board: Board, path: Path, firmware: Path | None) -> Iterator[str]:
    if firmware is None:
        return
    arches, ports = _folders(firmware / "arch"), _folders(firmware / "port")
    arch, family = board.cpu.arch, board.port.family
    if arch not in arches:
        yield f"[cpu] arch: there is no folder {arch!r} in firmware/arch.{strict_toml.nearest(arch, arches)}"
    if family not in (*ports, *_folders(path.parent / "port")):
        where = "firmware/port, nor in port/ beside the board's file"
        yield f"[port] family: there is no folder {family!r} in {where}.{strict_toml.nearest(family, ports)}"


def _folders(parent: Path) -> list[str]:
    return [path.name for path in parent.iterdir() if path.is_dir()] if parent.is_dir() else []


def _kernels_problems(board: Board) -> Iterator[str]:
    known = [PLAIN, *FAMILIES]
    if board.cpu.kernels not in known:
        nearest = strict_toml.nearest(board.cpu.kernels, known)
        yield f"[cpu] kernels: there is no family {board.cpu.kernels!r}.{nearest} Known: {', '.join(known)}"


def _status_problems(board: Board) -> Iterator[str]:
    if board.status not in (RUNS, BUILDS):
        yield f"the status {board.status!r} is neither {RUNS!r} nor {BUILDS!r}"
    if board.status == RUNS and board.emulators == Emulators():
        yield f"the status is {RUNS!r}, but there is no [emulator.unicorn], [emulator.qemu] or [emulator.simavr]"


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
    if board.emulators.unicorn is not None:
        for index, region in enumerate(board.emulators.unicorn.plain_memory):
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
        yield f"[flash] boot_seal {flash.boot_seal!r} is of {SEALS[flash.boot_seal].boot_bytes} boot_bytes"


def _overlap_problems(board: Board) -> Iterator[str]:
    page = 1 if board.emulators.unicorn is None else _PAGE_BYTES
    for (one, a), (other, b) in combinations(_regions(board).items(), 2):
        if a.origin // page <= (b.end - 1) // page and b.origin // page <= (a.end - 1) // page:
            whole = "" if page == 1 else f" (Unicorn maps whole pages of {page} bytes)"
            yield f"[{one}] and [{other}] overlap{whole}"


def _stack_problems(board: Board) -> Iterator[str]:
    if not 0 < board.stack_bytes <= board.ram.size_bytes:
        yield f"[stack] size_bytes is {board.stack_bytes}; it must be above 0 and fit {board.ram.size_bytes} of RAM"


def _budget_problems(board: Board) -> Iterator[str]:
    for name, bytes_, region in (
        ("flash", board.budget.flash_bytes, board.flash),
        ("ram", board.budget.ram_bytes, board.ram),
    ):
        if not 0 < bytes_ <= region.size_bytes:
            yield f"[budget] {name}_bytes is {bytes_}; it must be above 0 and at most {region.size_bytes}"


def _toolchain_problems(board: Board) -> Iterator[str]:
    if board.toolchains == Toolchains():
        yield "there is neither [toolchain.gcc] nor [toolchain.zig]; nothing could compile for this board"
    for name, tool in (("gcc", board.toolchains.gcc), ("zig", board.toolchains.zig)):
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
    unicorn, qemu = board.emulators.unicorn, board.emulators.qemu
    if unicorn is not None:
        pattern = _UNICORN_CPU.get(board.cpu.arch, r"(?!)")
        if not re.fullmatch(pattern, unicorn.cpu):
            yield f"[emulator.unicorn] cpu {unicorn.cpu!r} is no constant of Unicorn for arch {board.cpu.arch!r}"
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
