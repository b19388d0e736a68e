"""Between this machine and the board: the tool that writes, and the probe, volume and serial port that it needs."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from lenet_edge.errors import BadInputError, LinkError, MissingToolError
from lenet_edge.hardware.boards import Board
from lenet_edge.hardware.flashing import detection
from lenet_edge.hardware.flashing.flashers import COPIES, EMULATOR, FLASHERS, Job, commands
from lenet_edge.hardware.link import ByteStream
from lenet_edge.hardware.serial_port import SerialStream

__all__ = ["WITH_PROBE", "Connection", "choose_tool", "command_lines", "find_connection"]

WITH_PROBE = ("pyocd", "openocd", "probe-rs")
"""The tools that write through a debug probe."""

_BAUD = 115200

Found = TypeVar("Found")


@dataclass(frozen=True)
class Connection:
    """How a board is reached.

    Attributes:
        job: what is written, with the probe and port that were found.
        volume: the boot loader's, where the tool is a copy; None where it was not found.
        open_port: opens the board's serial port; None where an emulator is started, or no port was found.
    """

    job: Job
    volume: Path | None
    open_port: Callable[[], ByteStream] | None


def choose_tool(board: Board, named: str | None) -> str:
    """The tool that writes: the one that is named, else the board's; without one its emulator's GDB port.

    Raises:
        BadInputError: there is no tool of that name.
    """
    chosen = named or (board.flash_tool.tool if board.flash_tool else EMULATOR)
    known = [*FLASHERS, *COPIES]
    if chosen not in known:
        raise BadInputError(f"there is no flash tool {chosen!r}. Known: {', '.join(known)}")
    return chosen


def find_connection(
    job: Job, *, volume: Path | None, port: str | None, lacking: Callable[[str], None] | None = None
) -> Connection:
    """Find what is left to find before anything can be written.

    Args:
        volume: the boot loader's volume, where the user named it.
        port: the board's serial port, likewise.
        lacking: called with what is missing, which is then left out, as for a dry run; None: that is an error.

    Raises:
        LinkError: there is no such thing, or there are several.
        MissingToolError: pyserial is not installed.
    """

    def find(look: Callable[[], Found]) -> Found | None:
        try:
            return look()
        except (LinkError, MissingToolError) as error:
            if lacking is None:
                raise
            lacking(str(error))
            return None

    open_port = None
    serial_number = job.probe
    if job.tool in COPIES and volume is None:
        volume = find(lambda: _find_volume(job.target))
    elif job.tool in WITH_PROBE and job.probe is None:
        serial_number = find(_find_probe)
    probe = _selector(job.probe) if job.tool == "probe-rs" and job.probe is not None else job.probe
    if not (job.tool == EMULATOR and job.probe is None):
        port = port or find(lambda: _find_port(serial_number))
        open_port = None if port is None else partial(SerialStream, port, _BAUD)
    return Connection(replace(job, probe=probe, port=port), volume, open_port)


def command_lines(connection: Connection) -> list[str]:
    """What would run, in a temporary folder that holds the firmware's files."""
    job = connection.job
    if job.tool in COPIES:
        return [shlex.join(["cp", COPIES[job.tool], str(connection.volume or job.target)])]
    used = commands(job)
    return [shlex.join(argv) for argv in (used.identify, used.write, used.verify, used.reset) if argv]


def _find_volume(label: str) -> Path:
    hint = f"Start the board's boot loader, so that the volume {label} appears"
    return Path(detection.take_one(detection.volumes(label), f"volume {label}", "--volume", hint).name)


def _find_probe() -> str | None:
    """The serial number of the only debug probe; None where the system does not list them."""
    probes = detection.probes()
    if probes is None:
        return None
    hint = "Plug in the board or its probe (Linux: may you access it? See the tool's udev rules)"
    return detection.take_one(probes, "debug probe", "--probe", hint).serial_number


def _selector(probe: str) -> str:
    """A serial number as probe-rs takes it, VID:PID:SERIAL."""
    found = None if ":" in probe else detection.probe_of(probe)
    return probe if found is None else f"{found.usb}:{probe}"


def _find_port(serial_number: str | None) -> str:
    """The board's serial port: the one of its probe, whose number may follow its kind or VID:PID, else the only one."""
    found = detection.serial_ports()
    number = (serial_number or "").rpartition(":")[2]
    of_probe = [each for each in found if number and each.serial_number == number]
    hint = "The board's UART must be connected: test images go through it"
    return detection.take_one(of_probe or found, "serial port", "--port", hint).name
