"""How often each int8 value occurs: of a layer's weights, and of what it gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lenet_edge.report.charts.svg import COLOURS, drawing, quiet, to_svg

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = ["draw_histograms"]

_WIDTH, _HEIGHT = 320, 118
_LOWEST, _HIGHEST = -128, 128


def draw_histograms(shares: Mapping[str, Sequence[float]], name: str, title: str) -> Markup:
    """One or two histograms of int8 values, side by side.

    Args:
        shares: what it is of -> the share (0..1) of the values in each of equally wide bins from -128 to 127. They
            stand on a logarithmic axis from 0.01 % to 100 %.
        name, title: see `to_svg`.
    """
    import numpy as np

    with drawing(_WIDTH, _HEIGHT) as figure:
        for index, ((of, heights), colour) in enumerate(zip(shares.items(), ("one", "two"), strict=False)):
            left, width = 0.13 + index * 0.445, 0.40 if len(shares) == 2 else 0.84
            axes = figure.add_axes((left, 0.19, width, 0.62))
            edges = np.linspace(_LOWEST, _HIGHEST, len(heights) + 1)
            visible = [max(height, 1e-5) for height in heights]
            axes.stairs(visible, edges, baseline=1e-5, fill=True, color=COLOURS[colour], linewidth=0)
            axes.set_yscale("log")
            axes.set_ylim(1e-4, 1.5)
            axes.set_xlim(_LOWEST, _HIGHEST)
            axes.set_xticks([-128, 0, 127], ["−128", "0", "127"])
            axes.set_yticks([1e-4, 1e-2, 1], ["0.01 %", "1 %", "100 %"] if index == 0 else ["", "", ""])
            lowest, _, highest = axes.get_xticklabels()
            lowest.set_horizontalalignment("left")
            highest.set_horizontalalignment("right")
            axes.minorticks_off()
            axes.tick_params(labelsize=9)
            axes.grid(axis="y", color=COLOURS["faint"], linewidth=1)
            axes.set_axisbelow(True)
            axes.set_title(of, fontsize=10, color=COLOURS["ink"], loc="left", pad=4)
            quiet(axes)
        return to_svg(figure, name, title)
