"""What depends on the instruction set: how Unicorn names a processor's parts, and what the processor does by itself."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lenet_edge.errors import LinkError, MissingToolError
from lenet_edge.hardware.boards import Board
from lenet_edge.hardware.elf import Elf

__all__ = ["ARM", "RISCV", "Core", "package"]

_SYS_EXIT_EXTENDED = 0x20
_BREAKPOINT_AB = b"\xab\xbe"


def package() -> Any:
    """Unicorn's own package; `MissingToolError` where it is not installed."""
    try:
        import unicorn
    except ImportError as error:
        raise MissingToolError("unicorn is missing; pip install 'lenet-edge[boards]'") from error
    return unicorn


@dataclass(frozen=True)
class Core:
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
    reset: Callable[[Any, Any, Board, Elf], int]
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
    except package().UcError:
        return b""


def _make_arm(unicorn: Any, cpu: str) -> Any:
    from unicorn import arm_const

    emulation = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
    emulation.ctl_set_cpu_model(_constant(arm_const, cpu))
    return emulation


def _reset_arm(_unicorn: Any, emulation: Any, board: Board, _firmware: Elf) -> int:
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


def _reset_riscv(_unicorn: Any, _emulation: Any, board: Board, firmware: Elf) -> int:
    return firmware.entry


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


ARM = Core(1, 0, _make_arm, _reset_arm, _arm_pc, _arm_exit, _arm_fault, _thumb_lengths)
RISCV = Core(0, 4, _make_riscv, _reset_riscv, _riscv_pc, _riscv_exit, _riscv_fault, _riscv_lengths)
