"""The bytes that were measured on firmware that was built: `make estimates` writes it (benchmarks/estimates.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from lenet_edge.errors import BadInputError
from lenet_edge.formats.c_source.costs import CoreCosts, costs
from lenet_edge.hardware.boards import Board
from lenet_edge.records.fields import BOARD, Fields, content_of, read_record, require_format, write_record

__all__ = [
    "FILE",
    "Core",
    "Measured",
    "Rest",
    "core_among",
    "core_of",
    "costs_of",
    "measured",
    "parse_measured",
    "rest_of",
    "write_measured",
]

FILE = Path(__file__).with_name("measured.json")
MEASURED_FORMAT = 1

_LARGEST_SIZE = 1 << 24

Value = TypeVar("Value")
AnyCore = TypeVar("AnyCore", "Core", CoreCosts)


@dataclass(frozen=True)
class Core:
    """Of processors with one family of kernels, which get the same code.

    Attributes:
        cores, kernels, arch: as boards' TOMLs have them.
        board: whose firmware was measured.
        toolchain: that built it.
        sources: kernel's file, FOLDER/FILE -> bytes of code, at "" the most; by the kinds of kernels that use it
            if the linker leaves out a part for these.
        library: bytes of code by the part of the compiler's library.
        needs: file -> what of the library it needs besides what every firmware has.
        calls: kernel -> bytes of generated code for a step; "" is what every model has.
    """

    cores: tuple[str, ...]
    kernels: str
    arch: str
    board: str
    toolchain: str
    sources: Mapping[str, Mapping[str, int]]
    library: Mapping[str, int]
    needs: Mapping[str, tuple[str, ...]]
    calls: Mapping[str, int]


@dataclass(frozen=True)
class Rest:
    """What a board's firmware takes besides kernels and model: code in flash, static RAM; in bytes.

    Attributes:
        board: its name.
        port, core, arch: what boards are alike by.
    """

    board: str
    port: str
    core: str
    arch: str
    code: int
    ram: int


@dataclass(frozen=True)
class Measured:
    """The record."""

    cores: tuple[Core, ...]
    boards: tuple[Rest, ...]


def write_measured(record: Measured) -> None:
    """Write the record; errors as of `records.fields.write_record`."""
    write_record(FILE, content_of(record, MEASURED_FORMAT), parse_measured)


@cache
def measured() -> Measured:
    """The record that comes with lenet-edge."""
    return read_record(FILE, parse_measured, "make estimates")


def parse_measured(content: Mapping[str, Any]) -> Measured:
    """The record, from its JSON object.

    Raises:
        WrongRecordError: it is not one, or another version's.
    """
    fields = Fields(content)
    require_format(fields, MEASURED_FORMAT, numbered=True)
    record = Measured(tuple(map(_core, fields.objects("cores"))), tuple(map(_rest, fields.objects("boards"))))
    fields.require_known()
    return record


def core_of(board: Board) -> Core:
    """`core_among` the record's."""
    return core_among(measured().cores, board)


def costs_of(board: Board) -> CoreCosts:
    """`core_among` those whose instructions were counted."""
    return core_among(costs().cores, board)


def core_among(cores: Sequence[AnyCore], board: Board) -> AnyCore:
    """What was measured on the board's processor with its kernels, or else on the one that is most like it.

    Raises:
        BadInputError: none is like it.
    """
    cpu = board.cpu
    for alike in (
        lambda core: cpu.core in core.cores and core.kernels == cpu.kernels,
        lambda core: cpu.core in core.cores,
        lambda core: core.kernels == cpu.kernels,
        lambda core: core.arch == cpu.arch,
    ):
        if found := next(filter(alike, cores), None):
            return found
    raise BadInputError(f"nothing was measured on a processor like {cpu.core}")


def rest_of(board: Board) -> Rest:
    """What was measured on the board, or else on that of those most like it which takes most.

    Raises:
        BadInputError: none is like it.
    """
    for alike in (
        lambda rest: rest.board == board.name and rest.port == board.port.family,
        lambda rest: rest.port == board.port.family,
        lambda rest: rest.core == board.cpu.core,
        lambda rest: rest.arch == board.cpu.arch,
    ):
        if found := _largest(filter(alike, measured().boards)):
            return found
    raise BadInputError(f"nothing was measured on a board like {board.name}")


def _largest(rests: Iterable[Rest]) -> Rest | None:
    return max(rests, key=lambda rest: (rest.code, rest.ram), default=None)


def _rest(fields: Fields) -> Rest:
    rest = Rest(
        board=fields.text("board", BOARD),
        port=fields.text("port"),
        core=fields.text("core"),
        arch=fields.text("arch"),
        code=fields.count("code", _LARGEST_SIZE),
        ram=fields.count("ram", _LARGEST_SIZE),
    )
    fields.require_known()
    return rest


def _core(fields: Fields) -> Core:
    core = Core(
        cores=fields.texts("cores"),
        kernels=fields.text("kernels"),
        arch=fields.text("arch"),
        board=fields.text("board", BOARD),
        toolchain=fields.text("toolchain"),
        sources=_each(fields.table("sources"), lambda files, path: _sizes(files.table(path))),
        library=_sizes(fields.table("library")),
        needs=_each(fields.table("needs"), Fields.texts),
        calls=_sizes(fields.table("calls")),
    )
    fields.require_known()
    if unknown := {part for parts in core.needs.values() for part in parts} - core.library.keys():
        raise fields.wrong("needs", f"of the library, which has no {min(unknown)}")
    if "" not in core.calls:
        raise fields.wrong("calls", "with what every model has")
    if not all("" in sizes for sizes in core.sources.values()):
        raise fields.wrong("sources", "with the most that each file takes")
    return core


def _sizes(fields: Fields) -> Mapping[str, int]:
    return _each(fields, lambda found, name: found.count(name, _LARGEST_SIZE))


def _each(fields: Fields, read: Callable[[Fields, str], Value]) -> Mapping[str, Value]:
    return {name: read(fields, name) for name in fields.items()}
