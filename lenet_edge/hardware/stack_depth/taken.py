"""The functions whose address the compiled sources take, which is what pointers may have: relocations say it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from struct import iter_unpack, unpack_from
from typing import NamedTuple

from lenet_edge.hardware.stack_depth.pointers import stem

__all__ = ["taken_in"]

_ARM, _AVR, _RISCV = 40, 83, 243
# Relocations that call or jump, and do not take an address: ELF for the Arm Architecture (2023Q3), 5.6.1; RISC-V ELF
# psABI (1.0), 8.5. On an AVR those that do: binutils, include/elf/avr.h; of data it takes addresses by others.
_STRAIGHT = {
    _ARM: (0, 10, 30, 51, 102, 103),  # NONE, THM_CALL, THM_JUMP24, THM_JUMP19, THM_JUMP11, THM_JUMP8
    _RISCV: (0, 16, 17, 18, 19, 43, 44, 45, 51),  # NONE, BRANCH, JAL, CALL, CALL_PLT, ALIGN, RVC_*, RELAX
}
_TAKES_ON_AVR = (5, 12, 13, 14, 15, 16, 17, 24, 25)  # 16_PM, *8_LDI_PM, *8_LDI_PM_NEG, LO8_LDI_GS, HI8_LDI_GS
_RELA, _REL, _SYMBOLS = 4, 9, 2  # SHT_RELA, SHT_REL, SHT_SYMTAB
_ALLOCATED = 2  # SHF_ALLOC
_OF_SECTION, _FUNCTION = 3, 2  # STT_SECTION, STT_FUNC


class _Section(NamedTuple):
    """The header of a section, as ELF has it."""

    name: int
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int
    entry_size: int


class _Symbol(NamedTuple):
    name: int
    value: int
    size: int
    info: int
    other: int
    section: int


def taken_in(folder: Path) -> frozenset[str]:
    """Names of what the objects below a folder take the address of: of functions, and on some processors of data."""
    return frozenset(stem(name) for path in sorted(folder.rglob("*.o")) for name in _names(path.read_bytes()))


def _names(content: bytes) -> Iterator[str]:
    """Of an ELF of 32 bits, little-endian, as GCC has just made it."""
    machine, at, count = unpack_from("<2xH12xI12xH", content, 16)
    sections = [_Section(*unpack_from("<10I", content, at + 40 * i)) for i in range(count)]
    table = next(part for part in sections if part.type == _SYMBOLS)
    symbols = [_Symbol(*each) for each in iter_unpack("<3I2BH", content[table.offset :][: table.size])]
    text = sections[table.link].offset
    for part in sections:
        target = sections[part.info] if part.type in (_RELA, _REL) else None
        if target is None or not target.flags & _ALLOCATED:
            continue
        layout = "<2Ii" if part.type == _RELA else "<2I"
        for place, about, *addend in iter_unpack(layout, content[part.offset :][: part.size]):
            symbol, kind = symbols[about >> 8], about & 0xFF
            if kind not in _TAKES_ON_AVR if machine == _AVR else kind in _STRAIGHT[machine]:
                continue
            if symbol.info & 15 != _OF_SECTION:
                yield _text(content, text + symbol.name)
                continue
            value = addend[0] if addend else unpack_from("<I", content, target.offset + place)[0] & ~1
            for each in symbols:
                if each.info & 15 == _FUNCTION and (each.section, each.value & ~1) == (symbol.section, value):
                    yield _text(content, text + each.name)


def _text(content: bytes, at: int) -> str:
    return content[at : content.index(0, at)].decode("utf-8", "replace")
