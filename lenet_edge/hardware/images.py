"""What is in a linked ELF, and the other files that flash tools take: Intel HEX, raw binary, a map of symbols."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from lenet_edge.errors import BadInputError

__all__ = ["Image", "Segment", "Symbol", "to_binary", "to_hex", "to_map"]

_WRITABLE, _ALLOCATED = 0x1, 0x2  # SHF_WRITE, SHF_ALLOC
_RECORD_BYTES = 16
# pyelftools lets its parsers' own errors through for damaged files.
_DAMAGE = (ValueError, LookupError, AttributeError, TypeError, ArithmeticError, AssertionError, MemoryError)


@dataclass(frozen=True)
class Segment:
    """Bytes that a flash tool writes at an address."""

    address: int
    content: bytes


@dataclass(frozen=True)
class Symbol:
    """A function or an object: name, address (the Thumb bit removed), size in bytes, the section it is in."""

    name: str
    address: int
    size: int
    section: str


class Image:
    """A linked ELF.

    Attributes:
        entry: the address at which it starts.
        machine: as ELF calls the processor, such as "EM_ARM".
        segments: what is loaded, by physical address, ascending; what follows on another is one with it.
        symbols: functions and objects by name, ascending by address.

    Raises:
        BadInputError: the content is not an ELF executable.
    """

    def __init__(self, content: bytes, name: str = "the file") -> None:
        from elftools.common.exceptions import ELFError
        from elftools.elf.elffile import ELFFile

        try:
            elf: Any = ELFFile(BytesIO(content))
            self.entry: int = elf.header["e_entry"]
            self.machine: str = elf.header["e_machine"]
            self._sections = list(elf.iter_sections())
            placed = list(_iterate_segments(elf))
            self.segments = _joined(Segment(physical, content) for physical, _, content in placed)
            self._in_place = [Segment(virtual, content) for _, virtual, content in placed]
            found = sorted(self._iterate_symbols(elf), key=lambda symbol: (symbol.address, symbol.name))
            self.symbols: Mapping[str, Symbol] = {symbol.name: symbol for symbol in found}
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


def _iterate_segments(elf: Any) -> Iterator[tuple[int, int, bytes]]:
    """(physical address, virtual address, content) of what is loaded."""
    for part in elf.iter_segments():
        if part["p_type"] == "PT_LOAD" and part["p_filesz"] > 0:
            content = part.data()
            if len(content) != part["p_filesz"]:
                raise ValueError("it is cut short")
            yield part["p_paddr"], part["p_vaddr"], content


def _joined(parts: Iterable[Segment]) -> tuple[Segment, ...]:
    joined: list[Segment] = []
    for part in sorted(parts, key=lambda part: part.address):
        if joined and joined[-1].address + len(joined[-1].content) == part.address:
            part = Segment(joined[-1].address, joined.pop().content + part.content)
        joined.append(part)
    return tuple(joined)


def to_binary(image: Image) -> bytes:
    """The loadable bytes from the lowest to the highest address; gaps are 0xFF, as erased flash is."""
    start = image.segments[0].address
    content = bytearray()
    for part in image.segments:
        content += b"\xff" * (part.address - start - len(content)) + part.content
    return bytes(content)


def to_hex(image: Image) -> str:
    """Intel HEX: data records of up to 16 bytes, extended linear addresses, a start address, the end.

    Source: Intel, "Hexadecimal Object File Format Specification", revision A, 1988.
    """
    lines, upper = [], 0
    for part in image.segments:
        address, end = part.address, part.address + len(part.content)
        while address < end:
            if address >> 16 != upper:
                upper = address >> 16
                lines.append(_record(4, 0, upper.to_bytes(2, "big")))
            # A record neither crosses a 64 KB page nor begins in the middle of a line of 16.
            stop = min(end, (address // _RECORD_BYTES + 1) * _RECORD_BYTES)
            lines.append(_record(0, address & 0xFFFF, part.content[address - part.address : stop - part.address]))
            address = stop
    lines.append(_record(5, 0, image.entry.to_bytes(4, "big")))
    return "".join([*lines, _record(1, 0, b"")])


def _record(kind: int, address: int, data: bytes) -> str:
    body = bytes([len(data), address >> 8, address & 0xFF, kind]) + data
    return f":{(body + bytes([-sum(body) & 0xFF])).hex().upper()}\n"


def to_map(image: Image) -> str:
    """One line for each function and object: address, size, section, name."""
    lines = [f"{'address':>10} {'bytes':>7} section      name"]
    lines += [
        f"0x{symbol.address:08x} {symbol.size:7} {symbol.section:<12} {symbol.name}"
        for symbol in image.symbols.values()
    ]
    return "\n".join(lines) + "\n"
