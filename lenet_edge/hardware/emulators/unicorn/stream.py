"""The firmware's UART as a byte stream: the processor runs while somebody reads."""

from __future__ import annotations

from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

from lenet_edge.errors import LinkError
from lenet_edge.files import read_bytes
from lenet_edge.hardware.boards import Board
from lenet_edge.hardware.elf import Elf
from lenet_edge.hardware.emulators.process import Count
from lenet_edge.hardware.emulators.unicorn.cores import ARM, RISCV, package
from lenet_edge.hardware.emulators.unicorn.counter import Counter
from lenet_edge.hardware.emulators.unicorn.uart import PAGE, UartModel, Watchdog

__all__ = ["UnicornStream", "start", "version"]

_NOWHERE = 0xFFFF_FFF0  # an address that firmware does not reach


def version() -> str:
    """The installed version.

    Raises:
        MissingToolError: it is not installed.
    """
    package()
    return f"unicorn {package_version('unicorn')}"


def start(board: Board, elf: Path, *, count: Count | None = None) -> UnicornStream:
    """The board with the firmware `elf`, just reset.

    Args:
        count: what to count; the counts then come in `UnicornStream.counts`.

    Raises:
        MissingToolError: unicorn is not installed.
        BadInputError: the file is not an ELF.
        LinkError: Unicorn has no such processor.
    """
    return UnicornStream(board, Elf(read_bytes(elf, "the firmware"), str(elf)), count)


class UnicornStream:
    """The firmware's UART as a byte stream (see `hardware.link.ByteStream`).

    Attributes:
        counts: of each inference that was asked for, and none of the self-test, which would take a hundred times as
            long: the instructions before its first step and in each step, if counting was asked for.
        exit_status: what the firmware left with; None while it runs.
    """

    def __init__(self, board: Board, firmware: Elf, count: Count | None) -> None:
        unicorn = package()
        assert board.emulator.unicorn is not None
        self.counts: list[list[int]] = []
        self.exit_status: int | None = None
        self._board, self._core = board, ARM if firmware.machine == "EM_ARM" else RISCV
        self._error: str | None = None
        self._fault_at = 0
        self._unicorn = unicorn
        self._emulation: Any = self._core.make(unicorn, board.emulator.unicorn.cpu)
        self._uart = UartModel(board.uart, self._emulation.emu_stop) if board.uart else None
        self._map(firmware)
        self._emulation.hook_add(unicorn.UC_HOOK_INTR, self._interrupted)
        self._counter = None if count is None else Counter(count, self._core.instruction_bytes, self.counts)
        self._counts_now = False
        self._pc = self._core.reset(unicorn, self._emulation, board, firmware)

    def write(self, data: bytes) -> None:
        """Bytes for the firmware; it sees them when somebody reads. From the first on, inferences are counted."""
        assert self._uart is not None
        if self._counter is not None and not self._counts_now:
            self._emulation.ctl_flush_tb()  # what was translated without the hook
            self._emulation.hook_add(self._unicorn.UC_HOOK_BLOCK, self._counter.block)
            self._counts_now = True
        self._uart.received.extend(data)

    def read(self, timeout_s: float) -> bytes:
        """What the firmware sends before it asks for a byte that is not there; b"" when it sends nothing.

        Args:
            timeout_s: of our time, for firmware that neither sends nor asks.

        Raises:
            LinkError: the firmware has ended, or did what the processor cannot do.
        """
        assert self._uart is not None
        if not self._uart.sent:
            if self.exit_status is not None or self._error:
                raise LinkError(self._error or f"the firmware has ended with status {self.exit_status}")
            self._run(timeout_s)
        sent = bytes(self._uart.sent)
        self._uart.sent.clear()
        if not sent and self._error:
            raise LinkError(self._error)
        return sent

    def close(self) -> None:
        """Forget the emulation."""
        self._emulation = None

    def _map(self, firmware: Elf) -> None:
        emulation, unicorn = self._emulation, self._unicorn
        assert self._board.emulator.unicorn is not None
        flash, execute, read = self._board.flash, unicorn.UC_PROT_EXEC, unicorn.UC_PROT_READ
        views = {flash.origin: execute | read}
        if flash.data_origin is not None:
            views = {flash.origin: execute, flash.data_origin: read}
        for origin, protection in views.items():
            emulation.mem_map(*_pages(origin, flash.size_bytes), protection)
        for region in (self._board.ram, *self._board.emulator.unicorn.plain_memory):
            first, size = _pages(region.origin, region.size_bytes)
            emulation.mem_map(first, size)
            self._forbid(first, region.origin)
            self._forbid(region.end, first + size)
        for part in firmware.segments:
            for origin in views:
                emulation.mem_write(part.address - flash.origin + origin, part.content)
        if self._uart is not None:
            start, size = _pages(self._uart.description.base, self._uart.description.size_bytes)
            emulation.mmio_map(start, size, self._uart.read, None, self._uart.write, None)
            self._forbid(start, self._uart.description.base)
            self._forbid(self._uart.description.base + self._uart.description.size_bytes, start + size)

    def _forbid(self, start: int, end: int) -> None:
        """Nothing is there on the chip: Unicorn maps whole pages, and what is beyond the region is to fault as well.

        That halves the speed, so only a board whose RAM is no whole page has it: little RAM is soon left.
        """
        if start < end and self._board.ram.size_bytes % PAGE:
            kinds = self._unicorn.UC_HOOK_MEM_READ | self._unicorn.UC_HOOK_MEM_WRITE
            self._emulation.hook_add(kinds, self._strayed, begin=start, end=end - 1)

    def _strayed(self, emulation: Any, _access: int, address: int, _size: int, _value: int, _: Any) -> None:
        at = self._core.program_counter(emulation)
        self._stopped(at, f"there is nothing at 0x{address:08x}")
        emulation.emu_stop()

    def _run(self, timeout_s: float) -> None:
        """Let the firmware run until it waits for input, ends or the time is over."""
        assert self._uart is not None
        self._uart.idle_polls = 0
        unicorn, registers = self._unicorn, self._core
        for _ in range(2):  # a fault in the fault handler is the end
            watchdog = Watchdog(timeout_s, self._uart, self._emulation.emu_stop)
            try:
                self._emulation.emu_start(self._pc | registers.thumb, _NOWHERE)
            except unicorn.UcError as error:
                # RISC-V's breakpoint is one of them, and Arm's an interrupt.
                self._stopped(registers.program_counter(self._emulation), str(error))
            finally:
                watchdog.end()
            self._pc = registers.program_counter(self._emulation)
            if self._error is None or self.exit_status is not None:
                return
            if not registers.take_fault(self._emulation, self._board, self._fault_at):
                return
            self._pc = registers.program_counter(self._emulation)
            # The fault handler now tells the host itself, and leaves.

    def _interrupted(self, emulation: Any, number: int, _: Any) -> None:
        self._stopped(self._core.program_counter(emulation) - self._core.ahead, f"exception {number}")
        emulation.emu_stop()

    def _stopped(self, at: int, why: str) -> None:
        """The instruction at an address cannot be executed: the firmware ends itself so, or faults."""
        status = self._core.semihosting_exit(self._emulation, at)
        if status is not None:
            self.exit_status = status
        else:
            self._fault_at, self._error = at, f"the firmware faulted at 0x{at:08x}: {why}"


def _pages(start: int, size: int) -> tuple[int, int]:
    """The smallest run of whole pages that holds the region: (start, size)."""
    first = start // PAGE * PAGE
    return first, -(-(start + size - first) // PAGE) * PAGE
