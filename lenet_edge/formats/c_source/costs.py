"""What kernels take, as counted on firmware that ran: `make estimates` writes it (benchmarks/estimates.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lenet_edge.records.fields import (
    BOARD,
    Fields,
    content_of,
    read_record,
    require_format,
    write_record,
)

__all__ = ["FILE", "CoreCosts", "Cost", "Costs", "costs", "parse_costs", "write_costs"]

FILE = Path(__file__).with_name("costs.json")
COSTS_FORMAT = 1

_UNITS = ("instructions", "cycles")
_LARGEST_COST = 1e9
_MOST_OFF = 10.0


@dataclass(frozen=True)
class Cost:
    """What a kernel takes.

    Attributes:
        steps: how many were measured.
        low, high: between these were nine in ten estimates of a step by the others, as (estimated / counted) - 1.
        each: loop, as of `loops.loops_of` -> instructions or cycles for one pass of it.
    """

    steps: int
    low: float
    high: float
    each: Mapping[str, float]

    def of(self, loops: Mapping[str, int]) -> float:
        """What a step takes whose loops run so often."""
        return sum(each * loops[name] for name, each in self.each.items())


@dataclass(frozen=True)
class CoreCosts:
    """Of processors that get the same code, with one family of kernels.

    Attributes:
        cores, kernels, arch: as boards' TOMLs have them.
        board: whose firmware was measured.
        toolchain, emulator: that built and ran it.
        unit: "instructions" or "cycles".
        counts: kind of kernel, as of `loops.kind_of_kernel` -> what it takes.
    """

    cores: tuple[str, ...]
    kernels: str
    arch: str
    board: str
    toolchain: str
    emulator: str
    unit: str
    counts: Mapping[str, Cost]


@dataclass(frozen=True)
class Costs:
    """The record."""

    cores: tuple[CoreCosts, ...]


def write_costs(record: Costs) -> None:
    """Write the record; errors as of `records.fields.write_record`."""
    write_record(FILE, content_of(record, COSTS_FORMAT), parse_costs)


@cache
def costs() -> Costs:
    """The record that comes with lenet-edge."""
    return read_record(FILE, parse_costs, "make estimates")


def parse_costs(content: Mapping[str, Any]) -> Costs:
    """The record, from its JSON object.

    Raises:
        WrongRecordError: it is not one, or another version's.
    """
    fields = Fields(content)
    require_format(fields, COSTS_FORMAT, numbered=True)
    record = Costs(tuple(map(_core, fields.objects("cores"))))
    fields.require_known()
    return record


def _core(fields: Fields) -> CoreCosts:
    if fields.text("unit") not in _UNITS:
        raise fields.wrong("unit", " or ".join(_UNITS))
    counts = fields.table("counts")
    core = CoreCosts(
        cores=fields.texts("cores"),
        kernels=fields.text("kernels"),
        arch=fields.text("arch"),
        board=fields.text("board", BOARD),
        toolchain=fields.text("toolchain"),
        emulator=fields.text("emulator"),
        unit=fields.text("unit"),
        counts={kind: _cost(counts.table(kind)) for kind in counts.items()},
    )
    fields.require_known()
    return core


def _cost(fields: Fields) -> Cost:
    low, high = fields.number("low", -1, _MOST_OFF), fields.number("high", -1, _MOST_OFF)
    found = fields.table("each")
    each = {name: found.number(name, 0, _LARGEST_COST) for name in found.items()}
    cost = Cost(fields.count("steps", least=1), low, high, each)
    fields.require_known()
    return cost
