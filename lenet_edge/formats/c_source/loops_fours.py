"""How often the loops of le_pool2d_fours.c and le_mean_fours.c run, on any processor.

"eights" are those of MVE; "at any address": what some processors load byte by byte.
"""

from __future__ import annotations

import math

from lenet_edge.formats.c_source.families.tensors import mean_axes
from lenet_edge.formats.c_source.loops_base import Counts
from lenet_edge.formats.c_source.loops_base import output_positions as _positions
from lenet_edge.formats.c_source.steps import Step
from lenet_edge.quantized.model import AveragePool2d, MaxPool2d

__all__ = ["mean_by_fours", "pooling_by_fours"]


def pooling_by_fours(step: Step) -> Counts:
    """The channels by fours, with MVE by eights; a window as wide as the map is one row."""
    layer = step.layer
    assert isinstance(layer, (MaxPool2d, AveragePool2d))
    pixels = math.prod(layer.window)
    rows = 1 if layer.window[1] >= step.input.shape[1] else layer.window[0]
    counts = {"positions": _positions(step), "outputs": step.output_bytes}
    channels = step.output.shape[2]
    taken = {"fours": channels // 4, "ones": channels % 4, "eights": channels // 8, "rest of eights": channels % 8 // 4}
    taken["fours at any address"] = channels // 4 if channels % 4 else 0
    for what, groups in taken.items():
        times = _positions(step) * groups
        counts |= {what: times, f"rows of {what}": times * rows, f"pixels of {what}": times * pixels}
    return counts


def mean_by_fours(step: Step) -> Counts:
    """Means that lie side by side by groups of four, with MVE of eight; or values that do."""
    kept, meant = mean_axes(step)
    (outer, means), (runs, pixels) = kept[0], meant[0]
    each = outer * means
    side_by_side = kept[1][1] == 1
    along = 0 if side_by_side else each * runs
    counts = {"outputs": each, "runs": along, "along": along * pixels}
    words = meant[1][1] % 4 == 0 and kept[1][0] % 4 == 0
    taken = {"fours": means // 4, "ones": means % 4, "eights": means // 8, "rest of eights": means % 8}
    taken["fours at any address"] = 0 if words else means // 4
    for what, groups in taken.items():
        times = outer * groups if side_by_side else 0
        counts |= {what: times, f"pixels of {what}": times * runs * pixels}
    return counts
