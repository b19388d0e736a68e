"""Thumb instructions: what they do to the stack pointer and where they go.

Source: Armv8-M Architecture Reference Manual (DDI 0553), C2 (with MVE and low-overhead loops); Armv6-M (DDI 0419), A5.
"""

from __future__ import annotations

from lenet_edge.hardware.stack_depth.instruction import Instruction, Pointer

__all__ = ["decode"]

_SP, _LR, _PC = 13, 14, 15
_MSP, _PSP, _CONTROL = 8, 9, 20  # special registers; the last one says which of the others is the stack pointer


def decode(content: bytes, address: int) -> Instruction:
    """The instruction at the beginning of `content`, which is at that address."""
    first = int.from_bytes(content[:2], "little")
    if first >> 11 < 0b11101:
        return _short(first, address)
    second = int.from_bytes(content[2:4], "little")
    if first >> 11 == 0b11110 and second & 0x8000:
        return _branch(first, second, address)
    return _long(first, second)


def _short(word: int, address: int) -> Instruction:
    """Of 16 bits."""
    if word & 0xF600 == 0xB400:
        return _push_or_pop(word)
    if word & 0xFF00 == 0xB000:  # ADD, SUB SP
        return Instruction(2, 4 * (word & 0x7F) * (1 if word & 0x80 else -1))
    if word & 0xFC00 == 0x4400:
        return _high_registers(word)
    if word & 0xF000 == 0xD000 and word & 0x0F00 != 0x0F00:
        if word & 0x0F00 == 0x0E00:  # UDF
            return Instruction(2, ends=True)
        return Instruction(2, jumps=(address + 4 + 2 * _signed(word & 0xFF, 8),))
    if word & 0xF800 == 0xE000:
        return Instruction(2, jumps=(address + 4 + 2 * _signed(word & 0x7FF, 11),), ends=True)
    if word & 0xF500 == 0xB100:  # CBZ, CBNZ
        return Instruction(2, jumps=(address + 4 + ((word >> 9 & 1) << 6 | (word >> 3 & 31) << 1),))
    if word & 0xFF00 == 0xBF00 and word & 15:  # IT
        return Instruction(2, conditional=4 - ((word & -word).bit_length() - 1))
    return Instruction(2)


def _push_or_pop(word: int) -> Instruction:
    """PUSH, POP; bit 8 is LR or PC, the highest in memory."""
    moved, highest = 4 * (word & 0x1FF).bit_count(), (word & 0xFF).bit_length() - 1
    if word & 0x0900 == 0x0900:
        return Instruction(2, -moved, pointer=Pointer.RETURN, ends=True)
    if word & 0x800:
        return Instruction(2, -moved, pops=highest if highest >= 0 else None)
    return Instruction(2, moved, saves_link=bool(word & 0x100))


def _high_registers(word: int) -> Instruction:
    """ADD, CMP, MOV, BX, BLX"""
    operation, target, source = word >> 8 & 3, word & 7 | word >> 4 & 8, word >> 3 & 15
    if operation == 3:
        if word & 0x80:
            return Instruction(2, pointer=Pointer.CALL)
        return _goes_to(source, Pointer.CALL_OR_SWITCH)
    if operation == 1 or target not in (_SP, _PC):
        return Instruction(2, keeps_link=target if (operation, source) == (2, _LR) else None)
    if target == _SP:
        return Instruction(2, None)
    return _goes_to(source if operation == 2 else _PC, Pointer.SWITCH)


def _branch(first: int, second: int, address: int) -> Instruction:
    """Branches and loops of 32 bits; the miscellaneous ones among them go nowhere."""
    after = address + 4
    sign, j1, j2 = first >> 10 & 1, second >> 13 & 1, second >> 11 & 1
    if second & 0x1000:  # BL, B.W
        high = sign << 23 | (1 - (j1 ^ sign)) << 22 | (1 - (j2 ^ sign)) << 21
        target = after + 2 * _signed(high | (first & 0x3FF) << 11 | second & 0x7FF, 24)
        return Instruction(4, call=target) if second & 0x4000 else Instruction(4, jumps=(target,), ends=True)
    if second & 0x4000:  # WLS, DLS, LE: only the first and the last go anywhere
        if second & 0xF001 != 0xC001 or first & 0xFF80 != 0xF000:
            return Instruction(4)
        by = (second >> 1 & 0x3FF) << 2 | j2 << 1
        return Instruction(4, jumps=(after - by if first & 15 == _PC else after + by,))
    if first >> 7 & 7 == 7:
        if first & 0xFFE0 == 0xF380 and second & 0x7F in (
            _MSP,
            _PSP,
            _CONTROL,
        ):  # MSR, also of the other security state
            return Instruction(4, None)
        return Instruction(4, ends=first & 0xFFF0 == 0xF7F0 and second & 0xF000 == 0xA000)  # UDF.W
    offset = _signed(sign << 19 | j2 << 18 | j1 << 17 | (first & 0x3F) << 11 | second & 0x7FF, 20)
    return Instruction(4, jumps=(after + 2 * offset,))


def _long(first: int, second: int) -> Instruction:
    """Of 32 bits, but for branches."""
    if first & 0xEC00 == 0xEC00:
        return _coprocessor(first, second)
    if first & 0xFE40 == 0xE800:
        return _multiple(first, second)
    if first & 0xFE40 == 0xE840:
        return _double(first, second)
    if first & 0xFE00 == 0xF800:
        return _single(first, second)
    if first >> 11 == 0b11110 or first & 0xFE00 == 0xEA00:  # data processing
        return Instruction(4, _computed(first, second) if second >> 8 & 15 == _SP else 0)
    return Instruction(4)


def _computed(first: int, second: int) -> int | None:
    """ADD, SUB of a constant to the stack pointer; None: it gets another register's."""
    code = (first >> 10 & 1) << 11 | (second >> 12 & 7) << 8 | second & 0xFF
    plain = {0xF20D: -code, 0xF2AD: code}  # ADDW, SUBW
    modified = {0xF10D: -_modified(code), 0xF1AD: _modified(code)}
    return (plain | modified).get(first & 0xFBEF)


def _modified(code: int) -> int:
    """ThumbExpandImm"""
    kind, value = code >> 8, code & 0xFF
    if kind < 4:
        return value * (1, 0x00010001, 0x01000100, 0x01010101)[kind]
    rotated, by = value | 0x80, code >> 7
    return (rotated >> by | rotated << 32 - by) & 0xFFFFFFFF


def _multiple(first: int, second: int) -> Instruction:
    """LDM, STM"""
    loads, up, writes_back, base = first & 0x10, first & 0x80, first & 0x20, first & 15
    moved: int | None = 4 * second.bit_count()
    if base != _SP or not writes_back:
        moved = 0
    elif loads and up:
        moved = -4 * second.bit_count()
    elif loads or up:
        moved = None
    if not loads or not second & 0x8000:
        return Instruction(4, moved)
    return Instruction(4, moved, pointer=Pointer.RETURN if base == _SP else Pointer.CALL_OR_SWITCH, ends=True)


def _double(first: int, second: int) -> Instruction:
    """LDRD, STRD, TBB, TBH"""
    if first & 0xFFF0 == 0xE8D0 and second & 0xFFE0 == 0xF000:
        return Instruction(4, pointer=Pointer.SWITCH, ends=True)
    if first & 0x20 and first & 15 == _SP:
        return Instruction(4, 4 * (second & 0xFF) * (-1 if first & 0x80 else 1))
    return Instruction(4)


def _single(first: int, second: int) -> Instruction:
    """LDR, STR and those of bytes and halves."""
    base, register = first & 15, second >> 12
    indexed = base == _SP and not first & 0x80 and second & 0x0900 == 0x0900
    pushed: int | None = (second & 0xFF) * (-1 if second & 0x0200 else 1) if indexed else 0
    if first & 0xFF70 == 0xF850 and register in (_SP, _PC):
        if register == _SP:
            return Instruction(4, None)
        returns = indexed and not second & 0x0400
        return Instruction(4, pushed, pointer=Pointer.RETURN if returns else Pointer.SWITCH, ends=True)
    return Instruction(4, pushed)


def _coprocessor(first: int, second: int) -> Instruction:
    """The floating-point unit's and the vector extension's."""
    if first & 0xEE00 != 0xEC00 or not first & 0x20 or first & 15 != _SP:  # no load or store that moves the pointer
        return Instruction(4, floats=True)
    if first & 0xFFBF in (0xED2D, 0xECBD) and second & 0x0E00 == 0x0A00:  # VPUSH, VPOP
        return Instruction(4, 4 * (second & 0xFF) * (1 if first & 0x100 else -1), floats=True)
    if first & 0xF000 == 0xE000 and second & 0x1E00 == 0x1E00:  # VLDR, VSTR of MVE
        moved = (second & 0x7F) << (second >> 7 & 3)
        return Instruction(4, -moved if first & 0x80 else moved, floats=True)
    return Instruction(4, None, floats=True)


def _goes_to(register: int, otherwise: Pointer) -> Instruction:
    return Instruction(2, pointer=Pointer.RETURN if register == _LR else otherwise, register=register, ends=True)


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> bits - 1 else value
