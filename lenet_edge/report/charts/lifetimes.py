"""Which tensor lies where in the workspace, and for how long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lenet_edge.report.charts.svg import COLOURS, drawing, quiet, to_svg

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes

__all__ = ["Tensor", "draw_lifetimes"]

_WIDTH, _HEIGHT, _MOST_WIDTH = 560, 250, 1400
_COLUMN = 46  # pixels, at least
_LONGEST = 12  # characters of a label
_COLOURS = ("one", "two", "three", "four", "five")


@dataclass(frozen=True)
class Tensor:
    """A part of the workspace that lives from step `first` to step `last`, both included.

    Attributes:
        label: the step whose output it is.
        offset, bytes: where it lies.
        scratch: working memory of a kernel, not an output.
    """

    label: str
    first: int
    last: int
    offset: int
    bytes: int
    scratch: bool = False


def draw_lifetimes(tensors: Sequence[Tensor], steps: Sequence[str], workspace: int, name: str, title: str) -> Markup:
    """Steps from left to right, bytes from bottom to top: what overlaps in neither may share memory.

    Args:
        tensors: in any order.
        steps: what the steps are called.
        workspace: its bytes.
        name, title: see `to_svg`.
    """
    width = min(_MOST_WIDTH, max(_WIDTH, 70 + _COLUMN * len(steps)))
    with drawing(width, _HEIGHT) as figure:
        axes = figure.add_axes((58 / width, 0.2, 1 - 74 / width, 0.72))
        for index, tensor in enumerate(tensors):
            colour = "muted" if tensor.scratch else _COLOURS[index % len(_COLOURS)]
            column = (width - 74) / len(steps)
            _draw_tensor(axes, tensor, COLOURS[colour], (column, _HEIGHT * 0.72 / workspace))
        axes.axhline(workspace, color=COLOURS["bad"], linewidth=1, linestyle=(0, (4, 3)))
        axes.set_xlim(-0.55, len(steps) - 0.45)
        axes.set_ylim(0, workspace * 1.06)
        few = range(0, len(steps), -(-len(steps) // 24))
        axes.set_xticks(list(few), [_short(steps[index]) for index in few], parse_math=False)
        if len(steps) > 9:
            axes.tick_params(axis="x", labelrotation=35, labelsize=9)
        axes.yaxis.set_major_formatter(lambda value, _place: f"{value:,.0f}")
        axes.locator_params(axis="y", nbins=5)
        axes.grid(axis="y", color=COLOURS["faint"])
        axes.set_axisbelow(True)
        axes.set_ylabel("bytes", fontsize=10)
        quiet(axes)
        return to_svg(figure, name, title)


def _draw_tensor(axes: Axes, tensor: Tensor, colour: str, scale: tuple[float, float]) -> None:
    """A tensor's rectangle, with its name where there is room; `scale` is the pixels of a step and of a byte."""
    span = tensor.last - tensor.first + 1
    shade = 0.45 if tensor.scratch else 0.85
    axes.bar(
        tensor.first - 0.46,
        tensor.bytes,
        span - 0.08,
        tensor.offset,
        align="edge",
        color=colour,
        alpha=shade,
        linewidth=0,
    )
    if tensor.bytes * scale[1] > 15 and span * scale[0] > 36:
        label = "scratch" if tensor.scratch else _short(tensor.label)
        place = (tensor.first - 0.5 + span / 2, tensor.offset + tensor.bytes / 2)
        ink = COLOURS["ink" if tensor.scratch else "paper"]
        axes.text(*place, label, ha="center", va="center", fontsize=10, color=ink, parse_math=False)


def _short(label: str) -> str:
    """The end of a long name, which tells layers apart."""
    return label if len(label) <= _LONGEST else f"…{label[1 - _LONGEST :]}"
