"""Whether an ELF means one thing only, whichever way it is loaded, and whether it belongs in a board's flash."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from itertools import combinations

from lenet_edge.errors import BadInputError
from lenet_edge.hardware.boards import Board, Region
from lenet_edge.hardware.elf import Elf, Load, Section

__all__ = ["layout_problem", "require_layout"]

_MACHINES = {"cortex_m": "EM_ARM", "riscv": "EM_RISCV", "avr": "EM_AVR"}  # by Cpu.arch


def require_layout(firmware: Elf, board: Board, name: str) -> None:
    """Refuse an ELF that `layout_problem` has something against.

    Args:
        name: of the file, for the message.

    Raises:
        BadInputError: it means different things to different tools, or is not for this board.
    """
    if problem := layout_problem(firmware, board):
        raise BadInputError(f"{name}: {problem}. Build it again: lenet-edge build --board {board.argument}")


def layout_problem(firmware: Elf, board: Board) -> str:
    """What would make tools load something else from the ELF than its hash is of; empty where there is nothing."""
    for check in _CHECKS:
        for problem in check(firmware, board):
            return problem
    return ""


def _stored(firmware: Elf) -> list[Load]:
    return [part for part in firmware.loads if part.file_bytes]


def _machine(firmware: Elf, board: Board) -> Iterator[str]:
    wanted = _MACHINES.get(board.cpu.arch)
    if firmware.machine != wanted:
        yield f"it is for the processor {firmware.machine}, and {board.name} has {wanted}"


def _places(firmware: Elf, board: Board) -> Iterator[str]:
    """Every segment is stored in flash, and runs there or is copied to RAM from there."""
    if not _stored(firmware):
        yield "it has nothing to load"
    for part in _stored(firmware):
        where = f"the segment at {part.physical:#x}"
        if part.file_bytes > part.memory_bytes:
            yield f"{where} has {part.file_bytes:,} bytes in the file and {part.memory_bytes:,} in memory"
        if not _inside(part.physical, part.file_bytes, board.flash):
            yield (
                f"{where}, {part.file_bytes:,} bytes, is not inside the flash of {board.name}, "
                f"{board.flash.origin:#x} to {board.flash.end:#x}"
            )
        if not _runs(part, board):
            yield f"{where} is to run at {part.virtual:#x}, which is neither where it is stored nor in RAM"
    for part in firmware.loads:
        if not part.file_bytes and part.memory_bytes and not _inside(part.virtual, part.memory_bytes, board.ram):
            yield f"{part.memory_bytes:,} bytes at {part.virtual:#x} are not inside the RAM of {board.name}"


def _inside(address: int, size: int, region: Region) -> bool:
    return region.origin <= address and address + size <= region.end


def _runs(part: Load, board: Board) -> bool:
    views = [board.flash.origin, *([] if board.flash.data_origin is None else [board.flash.data_origin])]
    in_flash = any(part.virtual - origin == part.physical - board.flash.origin for origin in views)
    return in_flash or _inside(part.virtual, part.memory_bytes, board.ram)


def _overlaps(firmware: Elf, _: Board) -> Iterator[str]:
    for one, other in combinations(_stored(firmware), 2):
        for kind, a, b in (
            ("stored", one.physical, other.physical),
            ("to run", one.virtual, other.virtual),
            ("in the file", one.offset, other.offset),
        ):
            if a < b + other.file_bytes and b < a + one.file_bytes:
                yield f"the segments at {one.physical:#x} and {other.physical:#x} overlap where they are {kind}"


def _sections(firmware: Elf, _: Board) -> Iterator[str]:
    """GDB loads sections: each must be a part of a segment, of the same bytes at the same address."""
    for section in firmware.sections:
        if not any(_is_part(section, part) for part in _stored(firmware)):
            yield (
                f"the section {section.name!r}, {section.size:,} bytes at {section.address:#x}, is allocated and not "
                "inside a segment: tools that load sections would write it, and the hash is not of it"
            )


def _is_part(section: Section, part: Load) -> bool:
    start = section.offset - part.offset
    return 0 <= start <= part.file_bytes - section.size and section.address - part.virtual == start


def _entry(firmware: Elf, board: Board) -> Iterator[str]:
    """It starts where the chip does: an emulator may obey the header, which is not in flash."""
    first = board.flash.origin + board.flash.boot_bytes
    if board.cpu.arch == "cortex_m":  # Armv7-M Architecture Reference Manual, B1.5.5: the second word of the vectors
        vectors = _read(firmware, first, 8)
        reset = struct.unpack("<II", vectors)[1] if len(vectors) == 8 else None
        if reset is None or firmware.entry | 1 != reset:
            yield f"its entry {firmware.entry:#x} is not the reset vector, {'none' if reset is None else hex(reset)}"
        stack = struct.unpack("<II", vectors)[0] if len(vectors) == 8 else 0
        if not board.ram.origin < stack <= board.ram.end:
            yield (
                f"its stack begins at {stack:#x}, outside the RAM of {board.name}, "
                f"{board.ram.origin:#x} to {board.ram.end:#x}"
            )
    elif firmware.entry != first:
        yield f"its entry {firmware.entry:#x} is not {first:#x}, where {board.name} starts"


def _read(firmware: Elf, address: int, size: int) -> bytes:
    for part in firmware.segments:
        if part.address <= address < part.address + len(part.content):
            return part.content[address - part.address :][:size]
    return b""


_CHECKS: tuple[Callable[[Elf, Board], Iterator[str]], ...] = (_machine, _places, _overlaps, _sections, _entry)
