"""ELF executables of 32 bits made by hand (System V ABI, chapters 4 and 5), as a linker would not make them."""

from __future__ import annotations

import struct
from dataclasses import dataclass

ARM = 40
PROGBITS, NOBITS = 1, 8
WRITE, ALLOC, EXEC = 1, 2, 4


@dataclass(frozen=True)
class Part:
    """A PT_LOAD entry: addresses, content, and sizes and place in the file where they are to be others."""

    physical: int
    virtual: int
    content: bytes
    file_bytes: int | None = None
    memory_bytes: int | None = None
    offset: int | None = None


@dataclass(frozen=True)
class Sect:
    """A section: its content lies behind those of the segments, or at `offset`."""

    name: str
    address: int
    content: bytes
    flags: int = ALLOC | EXEC
    kind: int = PROGBITS
    offset: int | None = None


def elf(
    parts: list[Part],
    sections: list[Sect] = [],  # noqa: B006 - not changed
    symbols: list[tuple[str, int, int, int]] = [],  # noqa: B006
    *,
    entry: int = 0x101,
    machine: int = ARM,
    kind: int = 2,
) -> bytes:
    """The file; symbols are (name, value, size, number of its section from 1), of type OBJECT."""
    at = 52 + 32 * len(parts)
    body, programs = b"", b""
    for part in parts:
        size = len(part.content)
        offset = at + len(body) if part.offset is None else part.offset
        sizes = [size if given is None else given for given in (part.file_bytes, part.memory_bytes)]
        programs += struct.pack("<8I", 1, offset, part.virtual, part.physical, *sizes, 5, 1)
        body += part.content
    names, strings, table = b"\0.shstrtab\0.strtab\0.symtab\0", b"\0", bytes(16)
    for name, value, size, number in symbols:
        table += struct.pack("<IIIBBH", len(strings), value, size, 0x11, 0, number)
        strings += name.encode() + b"\0"
    headers = bytes(40)
    for section in sections:
        offset, number = (at + len(body) if section.offset is None else section.offset), len(names)
        body += section.content if section.offset is None else b""
        size = len(section.content)
        headers += struct.pack("<10I", number, section.kind, section.flags, section.address, offset, size, 0, 0, 1, 0)
        names += section.name.encode() + b"\0"
    count = len(sections)
    for content, name, kind_, link, size in (
        (table, b".symtab", 2, count + 2, 16),
        (strings, b".strtab", 3, 0, 0),
        (names, b".shstrtab", 3, 0, 0),
    ):
        place = (names.index(name), kind_, 0, 0, at + len(body), len(content))
        headers += struct.pack("<10I", *place, link, 1, 1, size)
        body += content
    places = (entry, 52, at + len(body), 0)
    sizes_ = (52, 32, len(parts), 40, count + 4, count + 3)
    head = struct.pack("<16sHHI4I6H", b"\x7fELF\1\1\1" + bytes(9), kind, machine, 1, *places, *sizes_)
    return head + programs + body + headers


def firmware(code: bytes = b"", *, origin: int = 0) -> bytes:
    """A Cortex-M's firmware: stack pointer, reset vector 0x101, code."""
    content = struct.pack("<II", 0x2000_4000, origin + 0x101) + bytes(0xF8) + b"\xfe\xe7" + code
    return elf([Part(origin, origin, content)], [Sect(".text", origin, content, offset=52 + 32)], entry=origin + 0x101)
