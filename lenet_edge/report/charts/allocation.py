"""Expected loss against flash: the bits that nobody beats, which of them were trained, and where a board ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lenet_edge.report.charts.svg import COLOURS, drawing, quiet, to_svg

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Point", "draw_allocations"]

_WIDTH, _HEIGHT, _LINE = 640, 380, 17


@dataclass(frozen=True)
class Point:
    """An allocation of bits.

    Attributes:
        loss: expected.
        accuracy: of the trained model on the validation set, 0..1; None if it was not trained.
    """

    flash_bytes: int
    loss: float
    accuracy: float | None = None


def draw_allocations(points: Sequence[Point], chosen: int, budget: tuple[str, int], name: str, title: str) -> Markup:
    """A dot for each, a large one where it was trained, with its accuracy where it was chosen; the board's flash.

    Args:
        points: one at least.
        chosen: the place of the one that was chosen.
        budget: the board's name, and its bytes of flash.
        name, title: see `to_svg`.
    """
    board, most = budget
    with drawing(_WIDTH, _HEIGHT) as figure:
        axes = figure.add_axes((0.11, 52 / _HEIGHT, 0.85, (_HEIGHT - 104) / _HEIGHT))
        by_flash = sorted(points, key=lambda point: point.flash_bytes)
        kb, losses = [point.flash_bytes / 1024 for point in by_flash], [point.loss for point in by_flash]
        axes.step(kb, losses, where="post", color=COLOURS["edge"], linewidth=1.5, zorder=1)
        axes.plot(kb, losses, "o", color=COLOURS["muted"], markersize=4, zorder=2)
        axes.axvline(most / 1024, color=COLOURS["bad"], linewidth=1.4, linestyle=(0, (4, 3)), zorder=1)
        for place, point in enumerate(points):
            if point.accuracy is not None:
                _draw_trained(axes, point, is_chosen=place == chosen)
        _legend(figure, [("two", "chosen, with its int8 accuracy on the validation set"), ("one", "trained")])
        figure.text(0.96, 1 - 14 / _HEIGHT, f"┆ flash of {board}", va="center", ha="right", parse_math=False)
        axes.margins(0.08)
        axes.xaxis.set_major_formatter(lambda value, _place: f"{value:,.3g}" if value < 1000 else f"{value:,.0f}")
        axes.set_xlabel("flash of the firmware, estimated, KB")
        axes.set_ylabel("expected loss on top of 8 bits, nats")
        axes.grid(color=COLOURS["faint"])
        axes.set_axisbelow(True)
        quiet(axes, left=True)
        return to_svg(figure, name, title)


def _draw_trained(axes: Axes, point: Point, *, is_chosen: bool) -> None:
    assert point.accuracy is not None
    place = (point.flash_bytes / 1024, point.loss)
    axes.plot(*[[each] for each in place], "o", color=COLOURS["two" if is_chosen else "one"], markersize=9, zorder=3)
    if is_chosen:
        label = f"{100 * point.accuracy:.2f} %"
        axes.annotate(label, place, (7, 7), textcoords="offset points", color=COLOURS["ink"], fontsize=10)


def _legend(figure: Figure, entries: Sequence[tuple[str, str]]) -> None:
    for line, (colour, label) in enumerate(entries):
        y = 1 - (14 + _LINE * line) / _HEIGHT
        figure.text(0.11, y, "●", color=COLOURS[colour], va="center")
        figure.text(0.135, y, label, va="center", parse_math=False)
