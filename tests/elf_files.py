"""ELF files for the tests, written without the code under test."""

from __future__ import annotations

import struct

PROGBITS, SYMTAB, STRTAB, NOBITS = 1, 2, 3, 8
WRITE, ALLOC, EXEC = 1, 2, 4
ARM, RISCV = 40, 243
FUNC, OBJECT, FILE = 2, 1, 4


def elf(segments, sections=(), symbols=(), machine=ARM, entry=0x101):
    """An ELF32 executable, little-endian (System V ABI, chapter 4).

    segments: (physical address, virtual address, content, bytes in memory);
    sections: (name, type, flags, address, bytes); symbols: (name, value, size, type, section's number).
    """
    names = b"\0"
    offsets = {}
    for name, *_ in (*sections, (".symtab",), (".strtab",), (".shstrtab",)):
        offsets[name] = len(names)
        names += name.encode() + b"\0"
    strings, table = b"\0", bytes(16)
    for name, value, size, kind, section in symbols:
        table += struct.pack("<IIIBBH", len(strings), value, size, 1 << 4 | kind, 0, section)
        strings += name.encode() + b"\0"
    at = 52 + 32 * len(segments)
    body, programs = b"", b""
    for physical, virtual, content, in_memory in segments:
        programs += struct.pack("<8I", 1, at + len(body), virtual, physical, len(content), in_memory, 5, 1)
        body += content
    tables = [(names, ".shstrtab", STRTAB, 0, 0), (strings, ".strtab", STRTAB, 0, 0)]
    tables += [(table, ".symtab", SYMTAB, 16, len(sections) + 2)]
    headers = bytes(40)
    for name, kind, flags, address, size in sections:
        headers += struct.pack("<10I", offsets[name], kind, flags, address, at, size, 0, 0, 1, 0)
    for content, name, kind, entry_size, link in tables:
        headers += struct.pack("<10I", offsets[name], kind, 0, 0, at + len(body), len(content), link, 1, 1, entry_size)
        body += content
    head = struct.pack(
        "<16sHHIIIIIHHHHHH",
        *(b"\x7fELF\1\1\1" + bytes(9), 2, machine, 1, entry, 52, at + len(body), 0, 52, 32, len(segments)),
        *(40, len(sections) + 4, len(sections) + 1),
    )
    return head + programs + body + headers
