"""Shares with their 95 % intervals on one axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lenet_edge.report.charts.svg import COLOURS, drawing, quiet, to_svg

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = ["Interval", "draw_intervals"]

_WIDTH, _ROW = 380, 28


@dataclass(frozen=True)
class Interval:
    """A share (0..1) and its 95 % interval."""

    label: str
    share: float
    low: float
    high: float


def draw_intervals(rows: Sequence[Interval], name: str, title: str) -> Markup:
    """A row for each, in the order given.

    Args:
        rows: their labels are ours, and short.
        name, title: see `to_svg`.
    """
    height = _ROW * len(rows) + 34
    with drawing(_WIDTH, height) as figure:
        axes = figure.add_axes((0.13, 24 / height, 0.82, _ROW * len(rows) / height))
        for place, (row, colour) in enumerate(zip(rows, ("muted", "one"), strict=False)):
            axes.plot(
                [100 * row.low, 100 * row.high],
                [place, place],
                color=COLOURS[colour],
                linewidth=7,
                alpha=0.35,
                solid_capstyle="round",
            )
            axes.plot([100 * row.share], [place], "o", color=COLOURS[colour], markersize=8)
        axes.set_yticks(range(len(rows)), [row.label for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.margins(x=0.08)
        axes.locator_params(axis="x", nbins=5)
        axes.xaxis.set_major_formatter("{x:g} %")
        axes.grid(axis="x", color=COLOURS["faint"])
        axes.set_axisbelow(True)
        quiet(axes)
        return to_svg(figure, name, title)
