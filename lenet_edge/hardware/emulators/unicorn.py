"""Unicorn: runs the whole ELF in this process, with a model of the board's UART; no root, no other program.

The firmware is the shipped one. It runs only while somebody reads from the
stream, and stops when it asks for a byte that is not there: nothing is waited
for, and two runs are equal to the last instruction.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version as package_version
from pathlib import Path
from threading import Event, Thread
from typing import Any

from lenet_edge.errors import LinkError, MissingToolError
from lenet_edge.files import read_bytes
from lenet_edge.hardware.boards import Board, Flag, Uart, UartReceive, UartTransmit
from lenet_edge.hardware.emulators.process import Count
from lenet_edge.hardware.images import Image

__all__ = ["UnicornStream", "start", "version"]

_PAGE = 4096
_NOWHERE = 0xFFFF_FFF0  # an address that firmware does not reach
_SYS_EXIT_EXTENDED = 0x20
_BREAKPOINT_AB = b"\xab\xbe"
_PATIENCE = 4  # times the firmware may find no byte before it is put to sleep
_QUIET_S = 0.05  # firmware that has left the UART alone for so long is in the midst of something else
_LOOKS = 20  # how often that is looked at before the firmware is stopped wherever it is


def version() -> str:
    """The installed version.

    Raises:
        MissingToolError: it is not installed.
    """
    _import()
    return f"unicorn {package_version('unicorn')}"


def _import() -> Any:
    try:
        import unicorn
    except ImportError as error:
        raise MissingToolError("unicorn is missing; pip install 'lenet-edge[boards]'") from error
    return unicorn


def start(board: Board, elf: Path, *, count: Count | None = None) -> UnicornStream:
    """The board with the firmware `elf`, just reset.

    Args:
        count: what to count; the counts then come in `UnicornStream.counts`.

    Raises:
        MissingToolError: unicorn is not installed.
        BadInputError: the file is not an ELF.
        LinkError: Unicorn has no such processor.
    """
    return UnicornStream(board, Image(read_bytes(elf, "the firmware"), str(elf)), count)


class UnicornStream:
    """The firmware's UART as a byte stream (see `hardware.link.ByteStream`).

    Attributes:
        counts: of each inference the instructions before its first step and in each step, if counting was asked for.
        exit_status: what the firmware left with; None while it runs.
    """

    def __init__(self, board: Board, image: Image, count: Count | None) -> None:
        unicorn = _import()
        assert board.emulator.unicorn is not None
        self.counts: list[list[int]] = []
        self.exit_status: int | None = None
        self._board, self._core = board, _ARM if image.machine == "EM_ARM" else _RISCV
        self._error: str | None = None
        self._fault_at = 0
        self._unicorn = unicorn
        self._emulation: Any = self._core.make(unicorn, board.emulator.unicorn.cpu)
        self._uart = _UartModel(board.uart, self._emulation.emu_stop) if board.uart else None
        self._map(image)
        self._emulation.hook_add(unicorn.UC_HOOK_INTR, self._interrupted)
        if count is not None:
            counter = _Counter(count, self._core.instruction_bytes, self.counts)
            self._emulation.hook_add(unicorn.UC_HOOK_BLOCK, counter.block)
        self._pc = self._core.reset(unicorn, self._emulation, board, image)

    def write(self, data: bytes) -> None:
        """Bytes for the firmware; it sees them when somebody reads."""
        assert self._uart is not None
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

    def _map(self, image: Image) -> None:
        emulation, unicorn = self._emulation, self._unicorn
        assert self._board.emulator.unicorn is not None
        flash, execute, read = self._board.flash, unicorn.UC_PROT_EXEC, unicorn.UC_PROT_READ
        views = {flash.origin: execute | read}
        if flash.data_origin is not None:
            views = {flash.origin: execute, flash.data_origin: read}
        for origin, protection in views.items():
            emulation.mem_map(*_pages(origin, flash.size_bytes), protection)
        emulation.mem_map(*_pages(self._board.ram.origin, self._board.ram.size_bytes))
        for region in self._board.emulator.unicorn.plain_memory:
            emulation.mem_map(*_pages(region.origin, region.size_bytes))
        for part in image.segments:
            for origin in views:
                emulation.mem_write(part.address - flash.origin + origin, part.content)
        if self._uart is not None:
            start, size = _pages(self._uart.description.base, self._uart.description.size_bytes)
            emulation.mmio_map(start, size, self._uart.read, None, self._uart.write, None)

    def _run(self, timeout_s: float) -> None:
        """Let the firmware run until it waits for input, ends or the time is over."""
        assert self._uart is not None
        self._uart.idle_polls = 0
        unicorn, registers = self._unicorn, self._core
        for _ in range(2):  # a fault in the fault handler is the end
            watchdog = _Watchdog(timeout_s, self._uart, self._emulation.emu_stop)
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
    first = start // _PAGE * _PAGE
    return first, -(-(start + size - first) // _PAGE) * _PAGE


class _UartModel:
    """A polled UART from the description in the board's TOML: registers at offsets, ready flags as bits of them.

    Attributes:
        received: bytes for the firmware.
        sent: bytes of the firmware.
        idle_polls: how often the firmware asked for a byte in vain since it last sent one.
        accesses: of its registers, so far.
        stop_soon: stop the emulation at the next look at a flag, which the firmware may repeat without harm.
    """

    def __init__(self, description: Uart, sleep: Callable[[], None]) -> None:
        self.description = description
        self.received: deque[int] = deque()
        self.sent = bytearray()
        self.idle_polls = 0
        self.accesses = 0
        self.stop_soon = False
        self._sleep = sleep
        self._page_offset = description.base % _PAGE
        self._receive: UartReceive = description.receive
        self._transmit: UartTransmit = description.transmit

    def read(self, _emulation: Any, offset: int, _size: int, _: Any) -> int:
        self.accesses += 1
        register = offset - self._page_offset
        receive = self._receive
        if register == receive.data:
            if self.received:
                return self.received.popleft()
            self._idle()
            return receive.empty or 0
        if self.stop_soon:
            self._sleep()
        value = 0
        if receive.ready is not None and register == receive.ready.offset:
            value |= _flag_bits(receive.ready, ready=bool(self.received))
            if not self.received:
                self._idle()
        if self._transmit.ready is not None and register == self._transmit.ready.offset:
            value |= _flag_bits(self._transmit.ready, ready=True)
        return value

    def write(self, _emulation: Any, offset: int, _size: int, value: int, _: Any) -> None:
        self.accesses += 1
        if offset - self._page_offset == self._transmit.data:
            self.sent.append(value & 0xFF)
            self.idle_polls = 0

    def _idle(self) -> None:
        """The firmware asks for a byte and there is none: after a few times it is put to sleep.

        Its way of waiting for room to send may read the same register, so the first times mean nothing.
        """
        self.idle_polls += 1
        if self.idle_polls >= _PATIENCE:
            self._sleep()


class _Watchdog:
    """Stops an emulation after a time, from a thread of its own, where nothing is done twice.

    Unicorn repeats an access to the UART during which another thread stops it:
    a byte is then sent twice, or one that was taken is lost. So the UART itself
    stops at a look at a flag, and only firmware that leaves the UART alone is
    stopped from here. (emu_start's own time-out is no way round: with that, each
    block of instructions ends in a look at the clock.)
    """

    def __init__(self, timeout_s: float, uart: _UartModel, stop: Callable[[], None]) -> None:
        self._timeout_s, self._uart, self._stop = timeout_s, uart, stop
        self._ended = Event()
        uart.stop_soon = False
        self._thread = Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """The emulation has stopped; on return nothing will stop the next one."""
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        if self._ended.wait(self._timeout_s):
            return
        self._uart.stop_soon = True
        looks = 0
        while True:
            seen, looks = self._uart.accesses, looks + 1
            if self._ended.wait(_QUIET_S):
                return
            if self._uart.accesses == seen or looks >= _LOOKS:
                self._stop()


def _flag_bits(flag: Flag, *, ready: bool) -> int:
    return flag.value if ready else flag.mask & ~flag.value


class _Counter:
    """Executed instructions by step of an inference; see `Count`."""

    def __init__(self, count: Count, instruction_bytes: Callable[[bytes], list[int]], found: list[list[int]]) -> None:
        self._count, self._instruction_bytes, self._found = count, instruction_bytes, found
        self._lengths: dict[tuple[int, int], int] = {}
        self._units: list[int] = []

    def block(self, emulation: Any, address: int, size: int, _: Any) -> None:
        """A block is about to run: from where something jumped to, up to a branch."""
        count = self._count
        if not self._units:
            if address != count.begin:
                return
            self._units = [0]
        elif address == count.step:
            self._units.append(0)
        elif count.caller[0] <= address < count.caller[1]:
            self._found.append(self._units)
            self._units = []
            return
        length = self._lengths.get((address, size))
        if length is None:
            length = len(self._instruction_bytes(bytes(emulation.mem_read(address, size))))
            self._lengths[address, size] = length
        self._units[-1] += length


# --- what depends on the instruction set ----------------------------------------------------------


@dataclass(frozen=True)
class _Core:
    """How Unicorn names a processor's parts.

    Attributes:
        thumb: the bit that a Thumb address carries.
        ahead: bytes by which Unicorn has moved the program counter on when it calls the hook of interrupts.
        make: (unicorn, name of the CPU's constant) -> an emulation without memory.
        reset: sets the registers as a reset does and returns the first instruction's address.
        program_counter: where it is.
        semihosting_exit: the status, where the instruction at the address is a semihosting exit, else None.
        take_fault: enters the firmware's fault handler as the processor would; False where there is none.
        instruction_bytes: the lengths of the instructions in a block.
    """

    thumb: int
    ahead: int
    make: Callable[[Any, str], Any]
    reset: Callable[[Any, Any, Board, Image], int]
    program_counter: Callable[[Any], int]
    semihosting_exit: Callable[[Any, int], int | None]
    take_fault: Callable[[Any, Board, int], bool]
    instruction_bytes: Callable[[bytes], list[int]]


def _constant(module: Any, name: str) -> int:
    if not hasattr(module, name):
        raise LinkError(f"Unicorn knows no processor {name}; see [emulator.unicorn] in the board's TOML")
    return int(getattr(module, name))


def _peek(emulation: Any, address: int, size: int) -> bytes:
    """Bytes of the memory; b"" where there is none."""
    try:
        return bytes(emulation.mem_read(address, size))
    except _import().UcError:
        return b""


def _make_arm(unicorn: Any, cpu: str) -> Any:
    from unicorn import arm_const

    emulation = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
    emulation.ctl_set_cpu_model(_constant(arm_const, cpu))
    return emulation


def _reset_arm(_unicorn: Any, emulation: Any, board: Board, _image: Image) -> int:
    """Stack pointer and first address from the vector table (Armv7-M Architecture Reference Manual, B1.5.5)."""
    from unicorn import arm_const

    stack, entry = struct.unpack("<II", emulation.mem_read(_vectors(board), 8))
    emulation.reg_write(arm_const.UC_ARM_REG_SP, stack)
    return int(entry) & ~1


def _vectors(board: Board) -> int:
    return board.flash.origin + board.flash.boot_bytes


def _arm_pc(emulation: Any) -> int:
    from unicorn import arm_const

    return int(emulation.reg_read(arm_const.UC_ARM_REG_PC)) & ~1


def _arm_exit(emulation: Any, at: int) -> int | None:
    from unicorn import arm_const

    if _BREAKPOINT_AB not in (_peek(emulation, at, 2), _peek(emulation, at - 2, 2)):  # at it or behind it
        return None
    return _exit_status(emulation, arm_const.UC_ARM_REG_R0, arm_const.UC_ARM_REG_R1)


def _exit_status(emulation: Any, operation: int, argument: int) -> int | None:
    """The status of SYS_EXIT_EXTENDED, whose registers these are; None where it is another operation."""
    block = _peek(emulation, emulation.reg_read(argument), 8)
    if emulation.reg_read(operation) != _SYS_EXIT_EXTENDED or not block:
        return None
    return int(struct.unpack("<II", block)[1])


def _arm_fault(emulation: Any, board: Board, at: int) -> bool:
    """Exception entry with HardFault's vector: eight words on the stack, the seventh being the program counter.

    Where the stack has left the RAM there is no room for them, on silicon either.
    """
    from unicorn import arm_const

    stack = (emulation.reg_read(arm_const.UC_ARM_REG_SP) - 32) & 0xFFFF_FFF8
    if board.ram.origin <= stack <= board.ram.end - 32:
        emulation.mem_write(stack, struct.pack("<8I", 0, 0, 0, 0, 0, 0, at, 0))
    emulation.reg_write(arm_const.UC_ARM_REG_SP, stack)
    (vector,) = struct.unpack("<I", emulation.mem_read(_vectors(board) + 12, 4))
    emulation.reg_write(arm_const.UC_ARM_REG_PC, vector | 1)
    return True


def _thumb_lengths(code: bytes) -> list[int]:
    """Halfwords that begin with 0b11101, 0b11110 or 0b11111 are the first of two (Armv7-M manual, A5.1)."""
    lengths, at = [], 0
    while at < len(code):
        length = 4 if code[at + 1] >> 3 in (0x1D, 0x1E, 0x1F) else 2
        lengths.append(length)
        at += length
    return lengths


def _make_riscv(unicorn: Any, cpu: str) -> Any:
    from unicorn import riscv_const

    emulation = unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV32)
    emulation.ctl_set_cpu_model(_constant(riscv_const, cpu))
    return emulation


def _reset_riscv(_unicorn: Any, _emulation: Any, board: Board, image: Image) -> int:
    return image.entry


def _riscv_pc(emulation: Any) -> int:
    from unicorn import riscv_const

    return int(emulation.reg_read(riscv_const.UC_RISCV_REG_PC))


def _riscv_exit(emulation: Any, at: int) -> int | None:
    """An EBREAK between the two shifts that mark semihosting."""
    from unicorn import riscv_const

    if _peek(emulation, at - 4, 12) != struct.pack("<III", 0x01F01013, 0x00100073, 0x40705013):
        return None
    return _exit_status(emulation, riscv_const.UC_RISCV_REG_A0, riscv_const.UC_RISCV_REG_A1)


def _riscv_fault(emulation: Any, _board: Board, at: int) -> bool:
    from unicorn import riscv_const

    handler = emulation.reg_read(riscv_const.UC_RISCV_REG_MTVEC)
    if handler == 0:
        return False
    emulation.reg_write(riscv_const.UC_RISCV_REG_MEPC, at)
    emulation.reg_write(riscv_const.UC_RISCV_REG_PC, handler & ~3)
    return True


def _riscv_lengths(code: bytes) -> list[int]:
    """Two low bits of 0b11 mark four bytes (The RISC-V Instruction Set Manual, volume I, 1.5)."""
    lengths, at = [], 0
    while at < len(code):
        length = 4 if code[at] & 3 == 3 else 2
        lengths.append(length)
        at += length
    return lengths


_ARM = _Core(1, 0, _make_arm, _reset_arm, _arm_pc, _arm_exit, _arm_fault, _thumb_lengths)
_RISCV = _Core(0, 4, _make_riscv, _reset_riscv, _riscv_pc, _riscv_exit, _riscv_fault, _riscv_lengths)
