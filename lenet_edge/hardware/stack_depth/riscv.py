"""RISC-V instructions of RV32IMC and RV32EC: what they do to the stack pointer and where they go.

Source: The RISC-V Instruction Set Manual, volume I, version 20191213, chapters 2 (RV32I), 16 (C) and 24 (opcodes).
"""

from __future__ import annotations

from lenet_edge.hardware.stack_depth.instruction import Instruction, Pointer

__all__ = ["decode"]

_SP = 2
_LINKS = (1, 5)  # ra and the alternate link register, chapter 2.5
_NO_TARGET = (0x23, 0x63)  # stores and branches have no register that they write
_MRET = 0x30200073


def decode(content: bytes, address: int) -> Instruction:
    """The instruction at the beginning of `content`, which is at that address."""
    word = int.from_bytes(content[:4], "little")
    if word & 3 != 3:
        return _compressed(word & 0xFFFF, address)
    operation, target, source = word & 0x7F, word >> 7 & 31, word >> 15 & 31
    if operation == 0x6F:  # JAL
        return _jump(4, target, address + _jump_offset(word))
    if operation == 0x67:  # JALR
        return _register_jump(4, target, source)
    if operation == 0x63:
        return Instruction(4, jumps=(address + _branch_offset(word),))
    if target == _SP and operation not in _NO_TARGET:
        adds = operation == 0x13 and word >> 12 & 7 == 0 and source == _SP
        return Instruction(4, -_signed(word >> 20, 12) if adds else None)
    return Instruction(4, ends=word == _MRET)


def _compressed(word: int, address: int) -> Instruction:
    """Of 16 bits; the first two kinds write x8 to x15, or nothing that goes anywhere."""
    kind, register = (word & 3) << 3 | word >> 13, word >> 7 & 31
    if kind in (0o11, 0o15):  # C.JAL, C.J
        return _jump(2, 1 if kind == 0o11 else 0, address + _compressed_jump_offset(word))
    if kind in (0o16, 0o17):  # C.BEQZ, C.BNEZ
        return Instruction(2, jumps=(address + _compressed_branch_offset(word),))
    if kind == 0o24:
        return _register_operation(word, register)
    if kind == 0o25:  # CM.PUSH, CM.POP and others of Zcmp, which nobody knows here
        return Instruction(2, unknown=True)
    if register == _SP and kind in (0o10, 0o13):  # C.ADDI, C.ADDI16SP
        return Instruction(2, -(_immediate(word) if kind == 0o10 else _sixteens(word)))
    return Instruction(2, None if register == _SP and kind in (0o12, 0o20, 0o22) else 0)


def _register_operation(word: int, register: int) -> Instruction:
    """C.JR, C.MV, C.EBREAK, C.JALR, C.ADD"""
    adds, source = word >> 12 & 1, word >> 2 & 31
    if source:
        return Instruction(2, None if register == _SP else 0)
    return Instruction(2) if register == 0 else _register_jump(2, adds, register)


def _jump(size: int, link: int, target: int) -> Instruction:
    """To the target, or a call of it, by the register that gets the address behind."""
    return Instruction(size, call=target) if link else Instruction(size, jumps=(target,), ends=True)


def _register_jump(size: int, link: int, source: int) -> Instruction:
    if link:
        return Instruction(size, pointer=Pointer.CALL)
    return Instruction(size, pointer=Pointer.RETURN if source in _LINKS else Pointer.CALL_OR_SWITCH, ends=True)


def _jump_offset(word: int) -> int:
    """imm[20|10:1|11|19:12]"""
    return _signed(_bits(word, ((31, 1, 20), (21, 10, 1), (20, 1, 11), (12, 8, 12))), 21)


def _branch_offset(word: int) -> int:
    """imm[12|10:5] and imm[4:1|11]"""
    return _signed(_bits(word, ((31, 1, 12), (25, 6, 5), (8, 4, 1), (7, 1, 11))), 13)


def _compressed_jump_offset(word: int) -> int:
    """imm[11|4|9:8|10|6|7|3:1|5]"""
    parts = ((12, 1, 11), (11, 1, 4), (9, 2, 8), (8, 1, 10), (7, 1, 6), (6, 1, 7), (3, 3, 1), (2, 1, 5))
    return _signed(_bits(word, parts), 12)


def _compressed_branch_offset(word: int) -> int:
    """imm[8|4:3] and imm[7:6|2:1|5]"""
    return _signed(_bits(word, ((12, 1, 8), (10, 2, 3), (5, 2, 6), (3, 2, 1), (2, 1, 5))), 9)


def _immediate(word: int) -> int:
    """imm[5] and imm[4:0]"""
    return _signed(_bits(word, ((12, 1, 5), (2, 5, 0))), 6)


def _sixteens(word: int) -> int:
    """imm[9] and imm[4|6|8:7|5]"""
    return _signed(_bits(word, ((12, 1, 9), (6, 1, 4), (5, 1, 6), (3, 2, 7), (2, 1, 5))), 10)


def _bits(word: int, parts: tuple[tuple[int, int, int], ...]) -> int:
    """Fields of an instruction, each (its lowest bit there, bits, its lowest bit in the value), put together."""
    return sum((word >> low & (1 << count) - 1) << to for low, count, to in parts)


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> bits - 1 else value
