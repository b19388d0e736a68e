"""How often the loops of the kernels of firmware/kernels/lanes run."""

from __future__ import annotations

import math

from lenet_edge.formats.c_source.families.lanes import strip_tiles
from lenet_edge.formats.c_source.families.lanes_connected import pairs_of
from lenet_edge.formats.c_source.families.lanes_positions import CHUNKS, PAIRS, chunks_of, layer_pairs, taps_of
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.loops_base import (
    Counts,
    ceil,
    count_inside,
    evaluated_inside,
    evaluated_positions,
    output_positions,
    rows_of_tiles,
    sizes_of,
)
from lenet_edge.formats.c_source.steps import Step, windows_of
from lenet_edge.quantized.model import Conv2d, window_size

__all__ = ["lanes_connected", "lanes_positions", "lanes_tiles"]


def lanes_tiles(step: Step) -> Counts:
    """Strips of tiles, and in each the lines of every input channel, bytes that lie in the map one by one."""
    rows, tiles, ending = rows_of_tiles(step)
    outputs, channels, taps = sizes_of(step)
    layer = step.layer
    assert isinstance(layer, Conv2d)
    by, most = windows_of(layer), strip_tiles(step, layer)
    height, width = step.input.shape[:2]
    lines = channels * count_inside(
        (2 * row + y - by.padding[0] for row in range(rows) for y in range(taps + 1)), 1, height
    )
    columns = 0
    for first in range(0, tiles, most):
        strip = range(2 * first - by.padding[1], 2 * min(first + most, tiles) + taps - 1 - by.padding[1])
        columns += count_inside(strip, 1, width)
    pairs = rows * tiles * ceil(outputs, 2)
    chunks = pairs * channels * taps
    return {
        "strips": rows * ceil(tiles, most),
        "lines": rows * ceil(tiles, most) * channels * (taps + 1),
        "bytes": lines * columns,
        "tiles": rows * tiles,
        "pairs": pairs,
        "chunks": chunks,
        "taps": chunks * taps,
        **ending(pairs),
    }


def lanes_connected(step: Step) -> Counts:
    """The same where a pair of outputs takes a run of the channels: the tile's code is entered for each pair."""
    layer = step.layer
    assert isinstance(layer, Conv2d)
    usual, pairs, taps = lanes_tiles(step), pairs_of(layer), layer.weights.shape[1]
    chunks = usual["tiles"] * sum(pair.count for pair in pairs) * taps
    return {
        **usual,
        "tiles": usual["tiles"] * len(pairs),
        "chunks": chunks,
        "taps": chunks * taps,
        "placed": usual["tiles"],
        "placed bytes": step.output_bytes,
    }


def lanes_positions(step: Step, kernel: Kernel) -> Counts:
    """Two positions at a time, which a pooling window does not share; taps by how many of them are in a chunk."""
    layer = step.layer
    assert isinstance(layer, Conv2d)
    evaluated, (tall, wide) = evaluated_positions(step), window_size(layer)
    twos = ceil(evaluated, 2) if step.pool is None else output_positions(step) * ceil(math.prod(step.pool.window), 2)
    at_once = PAIRS["rv32" if any("rv32" in source for source in kernel.sources) else "cortex_m"]
    divisible = not any("double" in source for source in kernel.sources)
    chunks = chunks_of(layer_pairs(layer, divisible=divisible), at_once)[::at_once]
    return {
        "positions": evaluated,
        "rows": evaluated * tall,
        "edge rows": tall * (evaluated - evaluated_inside(step, layer)),
        "inputs": evaluated * tall * wide * layer.input.shape[2],
        "larger": (evaluated - output_positions(step)) * len(layer.bias),
        "groups": twos * len(chunks),
        **{f"taps by {size}": twos * taps_of(layer) * int((chunks == size).sum()) for size in CHUNKS},
        "outputs": twos * len(layer.bias),
    }
