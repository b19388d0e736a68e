"""simavr: AVR firmware with its UART as a byte stream, its exit status, and true cycles."""

from __future__ import annotations

from pathlib import Path

from lenet_edge.errors import BadInputError
from lenet_edge.hardware.emulators.process import Count, ProcessStream, compiled

__all__ = ["command", "start"]

_HOST = Path(__file__).with_name("simavr_host.c")
_PACKAGES = "libsimavr-dev"  # Debian's


def start(mcu: str, elf: Path, *, clock_hz: int, count: Count | None = None) -> ProcessStream:
    """Start the firmware `elf`; USART0 is the stream.

    The firmware ends with an exit code, which is the status of
    `ProcessStream.wait`, by writing it to GPIOR0 (data address 0x3E:
    ATmega640/1280/1281/2560/2561 data sheet, register summary) and sleeping
    with interrupts off. A crash is status 70. While the firmware waits for a
    byte the simulated clock (almost) stands still.

    Args:
        mcu: as simavr calls it, such as "atmega2560".
        elf: the firmware.
        clock_hz: of the MCU; with the baud-rate register it gives the cycles of a byte.
        count: what to count, with byte addresses; interrupt handlers are left out.

    Raises:
        BadInputError: there is no such firmware.
        MissingToolError: a C compiler or libsimavr is missing.
    """
    if not elf.is_file():
        raise BadInputError(f"the firmware {elf} does not exist. Make it with: lenet-edge build")
    argv = command(mcu, elf, clock_hz=clock_hz, count=count)
    return ProcessStream(argv, install=f"apt-get install gcc {_PACKAGES}", what=f"simavr ({mcu})")


def command(mcu: str, elf: Path, *, clock_hz: int, count: Count | None = None) -> list[str]:
    """The command line of `start`, for the record; see there."""
    host = compiled(_HOST, [], libraries=["-lsimavr"], packages=_PACKAGES)
    argv = [str(host), mcu, str(clock_hz), str(elf)]
    if count is not None:
        argv += [hex(address) for address in (count.begin, count.step, *count.caller)]
        argv.append(str(count.out.absolute()))
    return argv
