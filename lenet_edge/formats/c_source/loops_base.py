"""What loops of kernels are counted from: positions of a step, windows within the map, tiles."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.steps import Step, windows_of
from lenet_edge.quantized.model import Conv2d, DepthwiseConv2d, FullyConnected

__all__ = [
    "MULTIPLIED",
    "Counts",
    "ceil",
    "count_inside",
    "edge_counts",
    "evaluated_inside",
    "evaluated_positions",
    "multiplied",
    "output_positions",
    "rows_of_tiles",
    "sizes_of",
]

Counts: TypeAlias = Mapping[str, int]

MULTIPLIED = "multiplied"
"""The loop, as of `loops.loops_of`, that depends on what the inputs are."""

_MULTIPLY_SOME = frozenset({"plain/le_requantize_tie_free.c", "compact/le_requantize_compact.c"})


def ceil(value: int, by: int) -> int:
    return -(-value // by)


def output_positions(step: Step) -> int:
    """Of the step's output."""
    return math.prod(step.output.shape[:2])


def evaluated_positions(step: Step) -> int:
    """Positions of the convolution that are computed: those in the pooling windows."""
    return output_positions(step) * (1 if step.pool is None else math.prod(step.pool.window))


def count_inside(starts: Iterable[int], extent: int, size: int) -> int:
    """How many windows of so many pixels, which start there, lie within the map."""
    return sum(0 <= start <= size - extent for start in starts)


def evaluated_inside(step: Step, layer: Conv2d | DepthwiseConv2d) -> int:
    """Windows of the convolution that lie within the map, of those that are computed."""
    by, inside = windows_of(layer, step.pool), 1
    for axis in range(2):
        starts = (
            index * by.step[axis] - by.padding[axis] + position * by.stride[axis]
            for index in range(step.output.shape[axis])
            for position in range(by.pool[axis])
        )
        inside *= count_inside(starts, by.window[axis], step.input.shape[axis])
    return inside


def edge_counts(step: Step) -> Counts:
    """Of patches over the edge: le_windows.c fills them, and copies what lies inside; none where no window slides."""
    layer = step.layer
    if isinstance(layer, FullyConnected):
        return {}
    assert isinstance(layer, (Conv2d, DepthwiseConv2d))
    by, inside = windows_of(layer, step.pool), 1
    for axis in range(2):
        starts = (index * by.step[axis] - by.padding[axis] for index in range(step.output.shape[axis]))
        inside *= count_inside(starts, by.patch[axis], step.input.shape[axis])
    edges = output_positions(step) - inside
    pixels = edges * math.prod(by.patch)
    rows = edges * by.patch[0]
    return {"edges": edges, "edge rows": rows, "edge pixels": pixels, "edge bytes": pixels * step.input.shape[2]}


def multiplied(step: Step, kernel: Kernel) -> Counts:
    """Outputs that le_requantize_tie_free.c multiplies: those above the smallest, for others are known without it.

    Where the smallest is 0, the images decide how many: of trained LeNets a fifth, and a third of the largest of a
    pooling window; of random weights half, and 70 %. What lies between is taken.
    """
    if not _MULTIPLY_SOME.intersection(kernel.sources):
        return {}
    tenths = 10 if step.output.zero_point != -128 else 4 if step.pool is None else 5
    return {MULTIPLIED: step.output_bytes * tenths // 10}


def rows_of_tiles(step: Step) -> tuple[int, int, Callable[[int], Counts]]:
    """Rows of tiles of 2 x 2 positions, tiles in a row, and what is done with the sums of so many channels and tiles.

    With a pooling the largest of the four is requantised, else all are, and then put where they belong.
    """
    height, width = step.output.shape[:2]
    if step.pool is not None:
        return height, width, lambda sums: {"requantized": sums, "placed": 0, "placed bytes": 0}
    placed = {"placed": height * width, "placed bytes": step.output_bytes}
    return ceil(height, 2), ceil(width, 2), lambda sums: {"requantized": 4 * sums, **placed}


def sizes_of(step: Step) -> tuple[int, int, int]:
    """Channels of the output and of the input, rows of the kernel."""
    layer = step.layer
    assert isinstance(layer, Conv2d)
    return len(layer.bias), layer.input.shape[2], layer.weights.shape[1]
