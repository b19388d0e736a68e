"""The programs that write firmware into boards: for each, one function that builds its command lines.

They run in their own folder that holds the firmware as `firmware.elf`,
`.hex`, `.bin` and `.uf2`, so that no path needs quoting. What was written is read
back into files there and compared by us; a tool that cannot read flash back
does its own comparison. Sources: the tools' manuals, named at each function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from lenet_edge.errors import BadInputError
from lenet_edge.hardware.boards import Board
from lenet_edge.hardware.elf import Elf

__all__ = ["COPIES", "EMULATOR", "FLASHERS", "GDB_SOCKET", "Commands", "Job", "commands", "read_back_name", "target_of"]

Argv: TypeAlias = tuple[str, ...]

EMULATOR = "emulator"
"""The GDB port of QEMU: of one that is started for this, or of one that runs."""

GDB_SOCKET = "gdb"
"""Where the QEMU that is started for this has its GDB port: a socket in the folder in which the tools run."""

COPIES: Mapping[str, str] = MappingProxyType({"uf2": "firmware.uf2", "hex": "firmware.hex"})
"""Tools that are a copy to a volume of the board's boot loader -> the file that is copied."""


@dataclass(frozen=True)
class Job:
    """What is to be written, and through what.

    Attributes:
        target: the tool's name for the board or chip.
        probe: the debug probe's serial number; for the emulator where its GDB port is. None: the only one.
        port: the serial port, for tools that write through it.
    """

    board: Board
    tool: str
    target: str
    image: Elf
    probe: str | None = None
    port: str | None = None


@dataclass(frozen=True)
class Commands:
    """The command lines of a tool.

    Attributes:
        write: writes the firmware.
        verify: reads it back into `read_back_name` files, or compares it itself.
        reset: starts it; empty where writing does.
        reads_back: whether `verify` leaves files to compare.
        identify: asks which processor is there; empty where the tool finds that out itself.
        written, verified: what `write` and `verify` print when all is well; an exit status of 0 is not enough for
            every tool.
    """

    write: Argv
    verify: Argv
    reset: Argv = ()
    reads_back: bool = True
    identify: Argv = ()
    written: str = ""
    verified: str = ""


def target_of(board: Board, tool: str) -> str:
    """A tool's name for the board.

    Raises:
        BadInputError: the board's TOML does not name the tool.
    """
    known = (
        {} if board.flash_tool is None else {board.flash_tool.tool: board.flash_tool.target, **board.flash_tool.also}
    )
    if board.emulator.qemu is not None:
        known[EMULATOR] = board.emulator.qemu.machine
    if tool not in known:
        ways = f"{' and '.join(known)} would" if known else "nothing would: its TOML has no [flash_tool]"
        raise BadInputError(f"{tool} does not flash {board.name}; {ways}")
    return known[tool]


def commands(job: Job) -> Commands:
    """The command lines of `job`'s tool, which is one of `FLASHERS`."""
    return FLASHERS[job.tool](job)


def read_back_name(number: int) -> str:
    """The file into which the image's segment of that number is read back."""
    return f"read-back-{number}.bin"


def _pyocd(job: Job) -> Commands:
    """pyOCD, "Command reference": load, commander (savemem ADDR LEN FILENAME), reset. -W: do not wait for a probe."""
    common = ("-W", "--no-config", "-t", job.target, *(("-u", job.probe) if job.probe else ()))
    saves = [
        word
        for number, part in enumerate(job.image.segments)
        for word in ("-c", f"savemem {part.address:#x} {len(part.content)} {read_back_name(number)}")
    ]
    return Commands(
        write=("pyocd", "load", *common, "--no-reset", "--format", "hex", "firmware.hex"),
        verify=("pyocd", "commander", *common, *saves),
        reset=("pyocd", "reset", *common),
    )


def _openocd(job: Job) -> Commands:
    """OpenOCD User's Guide 0.12: "Flash Commands" (flash write_image), "Elf loading commands" (dump_image).

    The target is its configuration files, separated by spaces. The probe's serial number comes before them, as some end
    with `init`, after which it is ignored. Without an adapter OpenOCD "shuts down" with status 0: what it says counts.
    """
    serial = ("-c", f"adapter serial {job.probe}") if job.probe else ()
    files = [word for name in job.target.split() for word in ("-f", name)]
    common = ("openocd", *serial, *files, "-c", "init", "-c", "reset halt")
    dumps = [
        word
        for number, part in enumerate(job.image.segments)
        for word in ("-c", f"dump_image {read_back_name(number)} {part.address:#x} {len(part.content)}")
    ]
    end = ("-c", "shutdown")
    return Commands(
        write=(*common, "-c", "flash write_image erase firmware.hex", *end),
        verify=(*common, *dumps, *end),
        reset=(*common[:-1], "reset run", *end),
        written=" bytes from file firmware.hex",
    )


def _probe_rs(job: Job) -> Commands:
    """probe-rs 0.29, commands `download`, `verify`, `reset`; the probe is VID:PID or VID:PID:SERIAL.

    `verify` ends with status 0 also where the contents do not match, and says so.
    """
    common = ("--chip", job.target, *(("--probe", job.probe) if job.probe else ()), "--non-interactive")
    return Commands(
        write=("probe-rs", "download", *common, "--binary-format", "hex", "--disable-progressbars", "firmware.hex"),
        verify=("probe-rs", "verify", *common, "--binary-format", "hex", "--disable-progressbars", "firmware.hex"),
        reset=("probe-rs", "reset", *common),
        reads_back=False,
        verified="Verification successful",
    )


def _esptool(job: Job) -> Commands:
    """esptool 5, "Basic commands": write-flash, read-flash; addresses count from the start of the flash chip."""
    flash = job.board.flash
    common = ("esptool", "--chip", job.target, "--port", job.port or "PORT", "--baud", str(_baud(job)))
    reads = [
        (f"{part.address - flash.origin:#x}", f"{len(part.content):#x}", read_back_name(number))
        for number, part in enumerate(job.image.segments)
    ]
    if len(reads) != 1:  # one call reads one range
        raise BadInputError(f"the firmware has {len(reads)} separate parts; esptool is given one")
    start = f"{job.image.segments[0].address - flash.origin:#x}"
    return Commands(
        write=(*common, "--after", "no-reset", "write-flash", start, "firmware.bin"),
        verify=(*common, "--after", "hard-reset", "read-flash", *reads[0]),
    )


def _avrdude(job: Job) -> Commands:
    """AVRDUDE 7, "Command Line Options": -D no chip erase (boot loaders erase pages themselves), -U memtype:op:file."""
    tool = job.board.flash_tool
    programmer = "arduino" if tool is None else tool.programmer
    common = ("avrdude", "-p", job.target, "-c", programmer, "-P", job.port or "PORT", "-b", str(_baud(job)))
    return Commands(
        write=(*common, "-D", "-V", "-U", "flash:w:firmware.hex:i"),
        verify=(*common, "-D", "-U", "flash:v:firmware.hex:i"),
        reads_back=False,
    )


def _baud(job: Job) -> int:
    return 115200 if job.board.flash_tool is None else job.board.flash_tool.baud


def _emulator(job: Job) -> Commands:
    """GDB and the stub of QEMU: "Debugging with GDB", 22.3 (load), 10.18 (dump memory); QEMU, "GDB usage".

    Each command line is one task, and a `-ex` that failed does not keep GDB from the next one: what
    `load` prints at its end shows that it came so far.
    """
    connect = f"target remote {job.probe or GDB_SOCKET}"
    common = ("gdb-multiarch", "-nx", "-batch", "-ex", "set confirm off", "-ex", "set remotetimeout 10", "-ex", connect)
    dumps = [
        word
        for number, part in enumerate(job.image.segments)
        for word in (
            "-ex",
            f"dump binary memory {read_back_name(number)} {part.address:#x} {part.address + len(part.content):#x}",
        )
    ]
    end = ("-ex", "disconnect", "firmware.elf")
    register = {"cortex_m": "print/x *(unsigned int *)0xe000ed00"}.get(job.board.cpu.arch, "show architecture")
    return Commands(
        identify=(*common, "-ex", register, *end),
        write=(*common, "-ex", "load", *end),
        verify=(*common, *dumps, *end),
        reset=(*common, "-ex", "monitor system_reset", "-ex", "detach", "firmware.elf"),
        written="Transfer rate:",
    )


FLASHERS: Mapping[str, Callable[[Job], Commands]] = MappingProxyType(
    {
        "pyocd": _pyocd,
        "openocd": _openocd,
        "probe-rs": _probe_rs,
        "esptool": _esptool,
        "avrdude": _avrdude,
        EMULATOR: _emulator,
    }
)
"""Tool -> the function that builds its command lines; `COPIES` are the others."""
