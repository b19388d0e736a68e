"""What is in a linked ELF, and the other files that flash tools take: Intel HEX, raw binary, a map of symbols.

An ELF can say the same thing twice: tools that load segments and tools that load
sections may write different bytes from it. An `Elf` is what its segments
say; every other form is made from the `Elf`, the ELF that tools get included.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from lenet_edge.errors import BadInputError

__all__ = ["Elf", "Load", "Section", "Segment", "Symbol", "to_binary", "to_elf", "to_hex", "to_map"]

_WRITABLE, _ALLOCATED = 0x1, 0x2  # SHF_WRITE, SHF_ALLOC
_HEADER_BYTES, _PROGRAM_BYTES, _SECTION_BYTES = 52, 32, 40  # of an ELF of 32 bits
_MOST_LOADS = 64  # ours have three
_RECORD_BYTES = 16
_LARGEST_BINARY = 256 << 20
# pyelftools lets its parsers' own errors through for damaged files.
_DAMAGE = (ValueError, LookupError, AttributeError, TypeError, ArithmeticError, AssertionError, MemoryError)


@dataclass(frozen=True)
class Segment:
    """Bytes that a flash tool writes at an address."""

    address: int
    content: bytes


@dataclass(frozen=True)
class Load:
    """A PT_LOAD entry of an ELF: addresses where it runs and is stored, its place in the file, sizes in bytes."""

    virtual: int
    physical: int
    offset: int
    file_bytes: int
    memory_bytes: int


@dataclass(frozen=True)
class Section:
    """A section that is allocated and has content: its address, its place in the file, its size in bytes."""

    name: str
    address: int
    offset: int
    size: int


@dataclass(frozen=True)
class Symbol:
    """A function or an object: name, address (the Thumb bit removed), size in bytes, the section it is in."""

    name: str
    address: int
    size: int
    section: str


class Elf:
    """A linked ELF.

    Attributes:
        entry: the address at which it starts.
        machine, machine_number: as ELF calls the processor, such as "EM_ARM", and its number there.
        flags: the processor's flags in the ELF's header.
        segments: what is loaded, by physical address, ascending; what follows on another is one with it.
        loads: the PT_LOAD entries, as they are in the file.
        sections: what tools would load that go by sections.
        symbols: functions and objects by name, ascending by address.
        places: the same with those that share a name, such as static functions of several files.
        marks: where code (False) and data among it (True) begin on an Arm, ascending by address.
        ambiguous: names of functions and objects that are at several addresses.

    Raises:
        BadInputError: the content is not an ELF executable of 32 bits, little-endian.
    """

    def __init__(self, content: bytes, name: str = "the file") -> None:
        from elftools.common.exceptions import ELFError
        from elftools.elf.elffile import ELFFile

        try:
            elf: Any = ELFFile(BytesIO(content))
            _require_32_bits(elf)
            self.entry: int = elf.header["e_entry"]
            self.machine: str = elf.header["e_machine"]
            self.flags: int = elf.header["e_flags"]
            self.machine_number = int.from_bytes(content[18:20], "little")
            self._sections = list(elf.iter_sections())
            self.sections = tuple(_iterate_loadable(self._sections))
            self.loads = tuple(_iterate_loads(elf, len(content)))
            placed = [(part, content[part.offset :][: part.file_bytes]) for part in self.loads if part.file_bytes]
            self.segments = _joined(Segment(part.physical, content) for part, content in placed)
            self._in_place = [Segment(part.virtual, content) for part, content in placed]
            found = sorted(self._iterate_symbols(elf), key=lambda symbol: (symbol.address, symbol.name))
            self.places = tuple(found)
            self.marks = tuple(sorted(self._iterate_marks(elf)))
            self.symbols: Mapping[str, Symbol] = {symbol.name: symbol for symbol in found}
            self.ambiguous = {one.name for one in found if one.address != self.symbols[one.name].address}
        except (ELFError, *_DAMAGE) as error:
            raise BadInputError(f"{name} is not an ELF file that can be read: {error}") from error

    @property
    def sha256(self) -> str:
        """Of all that is loaded: for each segment address and length, 4 bytes each, little-endian, and its content."""
        digest = hashlib.sha256()
        for part in self.segments:
            digest.update(struct.pack("<II", part.address, len(part.content)) + part.content)
        return digest.hexdigest()

    def content(self, symbol: Symbol) -> bytes:
        """What is loaded for a function or object, wherever it runs; b"" where nothing is."""
        for part in self._in_place:
            start = symbol.address - part.address
            if start >= 0 and start + symbol.size <= len(part.content):
                return part.content[start : start + symbol.size]
        return b""

    @property
    def flash_bytes(self) -> int:
        """All loadable bytes."""
        return sum(len(part.content) for part in self.segments)

    @property
    def static_ram_bytes(self) -> int:
        """Data and bss: everything that is allocated and writable."""
        flags = _WRITABLE | _ALLOCATED
        return sum(part["sh_size"] for part in self._sections if part["sh_flags"] & flags == flags)

    def _iterate_symbols(self, elf: Any) -> Iterator[Symbol]:
        table = elf.get_section_by_name(".symtab")
        for entry in table.iter_symbols() if table is not None else ():
            kind, index = entry["st_info"]["type"], entry["st_shndx"]
            if kind not in ("STT_FUNC", "STT_OBJECT", "STT_NOTYPE") or not entry.name or entry.name[0] in ".$":
                continue
            section = self._sections[index].name if isinstance(index, int) else str(index)
            thumb = 1 if kind == "STT_FUNC" and self.machine == "EM_ARM" else 0
            yield Symbol(entry.name, entry["st_value"] & ~thumb, entry["st_size"], section)

    def _iterate_marks(self, elf: Any) -> Iterator[tuple[int, bool]]:
        """Mapping symbols: "ELF for the Arm Architecture" (2023Q3), 5.5.5; of debug information there are others."""
        table = elf.get_section_by_name(".symtab") if self.machine == "EM_ARM" else None
        for entry in table.iter_symbols() if table is not None else ():
            index = entry["st_shndx"]
            is_loaded = isinstance(index, int) and self._sections[index]["sh_flags"] & _ALLOCATED
            if is_loaded and entry.name.split(".")[0] in ("$t", "$d"):
                yield entry["st_value"], entry.name.startswith("$d")


def _require_32_bits(elf: Any) -> None:
    if elf.elfclass != 32 or not elf.little_endian:
        raise ValueError("it is not of 32 bits, little-endian")
    if elf.header["e_type"] != "ET_EXEC":
        raise ValueError("it is not an executable with fixed addresses")


def _iterate_loads(elf: Any, file_bytes: int) -> Iterator[Load]:
    """The PT_LOAD entries. Together they are not longer than the file: a damaged one could name it a thousand times."""
    left, count = file_bytes, 0
    for part in elf.iter_segments():
        if part["p_type"] == "PT_LOAD":
            count += 1
            if count > _MOST_LOADS:
                raise ValueError(f"it has more than {_MOST_LOADS} segments to load")
            left -= part["p_filesz"]
            if left < 0 or part["p_offset"] + part["p_filesz"] > file_bytes:
                raise ValueError("it is cut short")
            yield Load(part["p_vaddr"], part["p_paddr"], part["p_offset"], part["p_filesz"], part["p_memsz"])


def _iterate_loadable(sections: Iterable[Any]) -> Iterator[Section]:
    for part in sections:
        if part["sh_flags"] & _ALLOCATED and part["sh_type"] != "SHT_NOBITS" and part["sh_size"]:
            yield Section(part.name, part["sh_addr"], part["sh_offset"], part["sh_size"])


def _joined(parts: Iterable[Segment]) -> tuple[Segment, ...]:
    joined: list[Segment] = []
    for part in sorted(parts, key=lambda part: part.address):
        if joined and joined[-1].address + len(joined[-1].content) == part.address:
            part = Segment(joined[-1].address, joined.pop().content + part.content)
        joined.append(part)
    return tuple(joined)


def to_binary(firmware: Elf) -> bytes:
    """The loadable bytes from the lowest to the highest address; gaps are 0xFF, as erased flash is.

    Raises:
        BadInputError: there is nothing to load, or it is too far apart for a file.
    """
    if not firmware.segments:
        raise BadInputError("the firmware has nothing to load")
    start, last = firmware.segments[0].address, firmware.segments[-1]
    if (size := last.address + len(last.content) - start) > _LARGEST_BINARY:
        raise BadInputError(f"the firmware spreads over {size:,} bytes, more than any flash has")
    content = bytearray()
    for part in firmware.segments:
        content += b"\xff" * (part.address - start - len(content)) + part.content
    return bytes(content)


def to_elf(firmware: Elf) -> bytes:
    """An ELF of nothing but the firmware: one segment and one section for each of its parts, no symbols.

    Whatever a tool goes by, segments or sections, at addresses where they run
    or where they are stored, it finds these bytes at these addresses, and no others.
    """
    parts = firmware.segments
    names = b"\0.shstrtab\0.text\0"  # simavr 1.6 loads the section of that name
    at = _HEADER_BYTES + _PROGRAM_BYTES * len(parts)
    programs, sections, body = b"", bytes(_SECTION_BYTES), b""
    for part in parts:
        size, place = len(part.content), at + len(body)
        programs += struct.pack("<8I", 1, place, part.address, part.address, size, size, 5, 1)
        sections += struct.pack("<10I", names.index(b".text"), 1, _ALLOCATED | 4, part.address, place, size, 0, 0, 1, 0)
        body += part.content
    sections += struct.pack("<10I", 1, 3, 0, 0, at + len(body), len(names), 0, 0, 1, 0)
    body += names
    count = len(parts) + 2  # the first is empty, the last has the names
    sizes = (_HEADER_BYTES, _PROGRAM_BYTES, len(parts), _SECTION_BYTES, count, count - 1)
    ident = b"\x7fELF\1\1\1" + bytes(9)
    places = (firmware.entry, _HEADER_BYTES, at + len(body), firmware.flags)
    return (
        struct.pack("<16sHHI4I6H", ident, 2, firmware.machine_number, 1, *places, *sizes) + programs + body + sections
    )


def to_hex(firmware: Elf) -> str:
    """Intel HEX: data records of up to 16 bytes, extended linear addresses, a start address, the end.

    Source: Intel, "Hexadecimal Object File Format Specification", revision A, 1988.
    """
    lines, upper = [], 0
    for part in firmware.segments:
        address, end = part.address, part.address + len(part.content)
        while address < end:
            if address >> 16 != upper:
                upper = address >> 16
                lines.append(_record(4, 0, upper.to_bytes(2, "big")))
            # A record neither crosses a 64 KB page nor begins in the middle of a line of 16.
            stop = min(end, (address // _RECORD_BYTES + 1) * _RECORD_BYTES)
            lines.append(_record(0, address & 0xFFFF, part.content[address - part.address : stop - part.address]))
            address = stop
    lines.append(_record(5, 0, firmware.entry.to_bytes(4, "big")))
    return "".join([*lines, _record(1, 0, b"")])


def _record(kind: int, address: int, data: bytes) -> str:
    body = bytes([len(data), address >> 8, address & 0xFF, kind]) + data
    return f":{(body + bytes([-sum(body) & 0xFF])).hex().upper()}\n"


def to_map(firmware: Elf) -> str:
    """One line for each function and object: address, size, section, name."""
    lines = [f"{'address':>10} {'bytes':>7} section      name"]
    lines += [
        f"0x{symbol.address:08x} {symbol.size:7} {symbol.section:<12} {symbol.name}"
        for symbol in firmware.symbols.values()
    ]
    return "\n".join(lines) + "\n"
