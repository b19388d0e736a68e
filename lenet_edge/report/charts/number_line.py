"""Requantisation on the number line: where the accumulators lie around a rounding tie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lenet_edge.report.charts.svg import COLOURS, drawing, quiet, to_svg

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes

__all__ = ["Accumulator", "NumberLine", "draw_number_lines"]

_WIDTH, _ROW = 640, 86


@dataclass(frozen=True)
class Accumulator:
    """An accumulator and what becomes of it.

    Attributes:
        value: the integer.
        position: its distance from the tie, in steps of the output.
        results: rounding rule -> int8.
    """

    value: int
    position: float
    results: Mapping[str, int]

    @property
    def agreed(self) -> bool:
        """Whether all rules give the same integer."""
        return len(set(self.results.values())) == 1


@dataclass(frozen=True)
class NumberLine:
    """The accumulators of a channel around a tie.

    Attributes:
        title: whose grid it is; ours, not a name from a file.
        accumulators: ascending.
        margin: how near an accumulator can come to a tie, in steps of the output; None where nothing says.
    """

    title: str
    accumulators: Sequence[Accumulator]
    margin: float | None = None


def draw_number_lines(lines: Sequence[NumberLine], name: str, title: str) -> Markup:
    """One below the other, on the same scale around the tie.

    Args:
        lines: from the top.
        name, title: see `to_svg`.
    """
    reach = 1.12 * max(abs(each.position) for line in lines for each in line.accumulators)
    height = _ROW * len(lines) + 26
    with drawing(_WIDTH, height) as figure:
        axes = figure.add_axes((0.02, 24 / height, 0.96, 1 - 24 / height))
        for row, line in enumerate(lines):
            _draw_line(axes, line, -row, reach)
        axes.axvline(0, color=COLOURS["bad"], linewidth=1.4, linestyle=(0, (4, 3)), zorder=1)
        axes.set_xlim(-reach, reach)
        axes.set_ylim(0.5 - len(lines), 0.55)
        axes.set_yticks([])
        axes.set_xticks([0], ["the tie, halfway between two results"])
        axes.tick_params(axis="x", length=0)
        quiet(axes)
        axes.spines["bottom"].set_visible(False)
        return to_svg(figure, name, title)


def _draw_line(axes: Axes, line: NumberLine, y: float, reach: float) -> None:
    axes.axhline(y, color=COLOURS["edge"], linewidth=1.4, zorder=0)
    axes.text(-reach, y + 0.4, line.title, fontsize=12, fontweight="bold", va="center")
    if line.margin is not None and line.margin < reach:
        axes.plot(
            [-line.margin, line.margin], [y - 0.2] * 2, color=COLOURS["good"], marker="|", markersize=7, linewidth=1.4
        )
        axes.text(
            line.margin + 0.02 * reach, y - 0.2, "nothing lies in here", fontsize=10, color=COLOURS["good"], va="center"
        )
    for each in line.accumulators:
        colour = COLOURS["one" if each.agreed else "bad"]
        axes.plot([each.position], [y], "o", color=colour, markersize=7 if each.agreed else 10, zorder=3)
        axes.text(
            each.position,
            y + 0.19,
            f"{each.value:,}".replace("-", "−"),
            fontsize=9,
            ha="center",
            va="center",
            color=COLOURS["muted" if each.agreed else "bad"],
        )
