"""Accuracy against flash: which networks nobody beats in both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lenet_edge.report.charts.svg import COLOURS, drawing, quiet, to_svg

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = ["Cloud", "draw_accuracy_against_flash", "front"]

_WIDTH, _HEIGHT, _LINE = 640, 380, 17
_COLOURS = ("one", "two", "three", "four", "five")
_LONGEST = 60  # characters of a series


@dataclass(frozen=True)
class Cloud:
    """What differs in its seed only.

    Attributes:
        series: what it belongs to: one colour.
        flash_bytes: of each, and
        accuracies: of each, 0..1.
    """

    series: str
    flash_bytes: tuple[int, ...]
    accuracies: tuple[float, ...]

    @property
    def middle(self) -> tuple[float, float]:
        """The means: bytes, and 0..1."""
        count = len(self.accuracies)
        return sum(self.flash_bytes) / count, sum(self.accuracies) / count


def front(clouds: Sequence[Cloud]) -> list[tuple[float, float]]:
    """The means that no other beats: less flash and no less accuracy, or the reverse; by ascending flash."""
    best: list[tuple[float, float]] = []
    for flash, accuracy in sorted((each.middle for each in clouds), key=lambda middle: (middle[0], -middle[1])):
        if not best or accuracy > best[-1][1]:
            best.append((flash, accuracy))
    return best


def draw_accuracy_against_flash(clouds: Sequence[Cloud], flash: str, name: str, title: str) -> Markup:
    """A small dot for each, a large one for the mean of those that differ in their seed only, a line for the front.

    Args:
        clouds: one at least.
        flash: what the bytes are of, for the axis.
        name, title: see `to_svg`.
    """
    series = list(dict.fromkeys(each.series for each in clouds))
    height = _HEIGHT + _LINE * len(series)
    with drawing(_WIDTH, height) as figure:
        axes = figure.add_axes((0.11, 52 / height, 0.85, (_HEIGHT - 80) / height))
        best = front(clouds)
        axes.step(*_scaled(best), where="post", color=COLOURS["edge"], linewidth=1.5, zorder=1)
        for each in clouds:
            colour = COLOURS[_COLOURS[series.index(each.series) % len(_COLOURS)]]
            points = _scaled(list(zip(each.flash_bytes, each.accuracies, strict=True)))
            axes.plot(*points, "o", color=colour, markersize=4, alpha=0.45, zorder=2)
            axes.plot(*_scaled([each.middle]), "o", color=colour, markersize=9, zorder=3)
        for line, label in enumerate(series):
            y = 1 - (14 + _LINE * line) / height
            colour = COLOURS[_COLOURS[line % len(_COLOURS)]]
            figure.text(0.11, y, "●", color=colour, va="center")
            figure.text(0.135, y, _short(label), va="center", parse_math=False)
        axes.margins(0.08)
        axes.yaxis.set_major_formatter("{x:g} %")
        axes.xaxis.set_major_formatter(lambda value, _place: f"{value:,.3g}" if value < 1000 else f"{value:,.0f}")
        axes.set_xlabel(f"{flash}, KB")
        axes.set_ylabel("int8 accuracy on the validation set")
        axes.grid(color=COLOURS["faint"])
        axes.set_axisbelow(True)
        quiet(axes, left=True)
        return to_svg(figure, name, title)


def _scaled(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """KB, and percent."""
    return [flash / 1024 for flash, _ in points], [100 * accuracy for _, accuracy in points]


def _short(label: str) -> str:
    return label if len(label) <= _LONGEST else f"{label[: _LONGEST - 1]}…"
