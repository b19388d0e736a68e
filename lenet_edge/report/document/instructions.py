"""What an inference takes on each board, layer by layer, with the kernel and why it is the plain one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lenet_edge.errors import BadInputError
from lenet_edge.estimate import estimate
from lenet_edge.formats.c_source import make_plan
from lenet_edge.report.html import Figure

if TYPE_CHECKING:
    from lenet_edge.report.document.reading import Build, Found

__all__ = ["Board", "Instructions", "instructions_of"]


@dataclass(frozen=True)
class Row:
    """A step: what it took, if it was counted; `width` is its share of the largest step, in per cent."""

    name: Figure | str
    count: Figure | None
    width: float
    macs: Figure | None
    per_mac: str
    kernel: Figure | str
    why_plain: Figure | str | None


@dataclass(frozen=True)
class Board:
    """A board; one that was not benched has its kernels, and the estimate of `fits` where there is one."""

    name: Figure | str
    unit: str
    total: Figure | None
    mean: Figure | None
    images: Figure | None
    emulator: Figure | None
    rows: list[Row]
    estimate: str = ""

    @property
    def has_reasons(self) -> bool:
        """Whether a step takes the plain kernel although there are faster ones."""
        return any(row.why_plain for row in self.rows)


@dataclass(frozen=True)
class Instructions:
    """The boards with a record of `bench`, then those with a firmware only."""

    boards: list[Board]
    counted: bool


def instructions_of(build: Build) -> Instructions | None:
    """From the records of `bench`; what is known without them comes from the plan of the generated C."""
    counted = [_counted(found) for found in build.bench.values()]
    planned = [_planned(build, found) for board, found in build.firmware.items() if board not in build.bench]
    found = [*counted, *(board for board in planned if board is not None)]
    return Instructions(found, bool(counted)) if found else None


def _counted(found: Found) -> Board:
    record, content = found.record, found.content
    largest = max((layer.count for layer in record.layers), default=1) or 1
    rows = []
    for index, layer in enumerate(record.layers):

        def text(key: str, index: int = index) -> Figure:
            return content.text("layers", index, key)

        rows.append(
            Row(
                content.name("layers", index, "name"),
                content.count("layers", index, "count"),
                round(100 * layer.count / largest, 2),
                content.count("layers", index, "macs") if layer.macs else None,
                f"{layer.count / layer.macs:.2f}" if layer.macs else "",
                text("kernel"),
                text("why_plain") if layer.why_plain else None,
            )
        )
    return Board(
        content.text("board"),
        record.unit,
        content.count("total"),
        content.count("mean"),
        content.count("images"),
        content.text("emulator"),
        rows,
    )


def _planned(build: Build, found: Found) -> Board | None:
    try:
        plan = make_plan(build.model, found.record.family, found.record.packing)
    except (BadInputError, KeyError):
        return None
    rows = [
        Row("+".join(placed.step.names), None, 0, None, "", placed.kernel.name, placed.kernel.why_plain or None)
        for placed in plan.steps
    ]
    return Board(found.content.text("board"), "", None, None, None, None, rows, _estimated(build, found))


def _estimated(build: Build, found: Found) -> str:
    """What `fits` says of it; empty where nothing like its kernels was measured."""
    board = build.boards.get(found.record.board)
    count = None if board is None else estimate(build.model, board, found.record.optimize).count
    return "" if count is None else f"about {count.about:,} {count.unit}, {count.least:,} to {count.most:,}"
