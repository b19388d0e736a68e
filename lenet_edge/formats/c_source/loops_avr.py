"""How often the loops of AVR's tiles, and of a depthwise convolution's, run: `loops` has the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from lenet_edge.formats.c_source.families.connected import connections_of
from lenet_edge.formats.c_source.loops_base import (
    Counts,
    ceil,
    count_inside,
    edge_counts,
    evaluated_inside,
    evaluated_positions,
    output_positions,
    rows_of_tiles,
    sizes_of,
)
from lenet_edge.formats.c_source.steps import Step, windows_of
from lenet_edge.quantized.model import Conv2d, FullyConnected, window_size

__all__ = ["LOOPS"]

# Cycles of le_tile_macros_avr.h: a weight with its products, an input, of both for each channel, and what it takes more
# where the table names the channel.
_WEIGHT, _INPUT, _CHANNEL, _NAMED = 23, 2, 8, 44


def _tiles(step: Step) -> Counts:
    rows, tiles, ending = rows_of_tiles(step)
    outputs, channels, taps = sizes_of(step)
    side, sums = taps + 1, rows * tiles * outputs
    columns = rows * (2 * (tiles - 1) + side) if channels == 1 else rows * tiles * side * channels
    return {
        "tiles": rows * tiles,
        "columns": columns,
        "patches": columns * side,
        "sums": sums,
        "channels": sums * channels,
        **ending(sums),
    }


def _connected(step: Step) -> Counts:
    """The same; what a channel takes more that the table names is counted as a part of a channel."""
    assert isinstance(step.layer, Conv2d)
    (rows, tiles, _), (_, _, taps) = rows_of_tiles(step), sizes_of(step)
    cycles = _WEIGHT * taps**2 + _INPUT * (taps + 1) ** 2 + _CHANNEL
    connections = int(connections_of(step.layer).sum(axis=1).clip(1).sum())
    return {**_tiles(step), "channels": round(rows * tiles * connections * (cycles + _NAMED) / cycles)}


def _packed_tiles(step: Step) -> Counts:
    """The same, with the patches over the edge apart, which le_tiles_avr.h fills row by row."""
    layer = step.layer
    assert isinstance(layer, Conv2d)
    (rows, tiles, _), (_, channels, taps) = rows_of_tiles(step), sizes_of(step)
    side = taps + 1
    by = windows_of(layer, step.pool)
    per_patch = 2 * (tiles - 1) + side if channels == 1 else side
    tops = range(-by.padding[0], -by.padding[0] + 2 * rows, 2)
    lefts = range(-by.padding[1], -by.padding[1] + (1 if channels == 1 else 2 * tiles), 2)
    height, width, _ = step.input.shape
    inside = count_inside(tops, side, height) * count_inside(lefts, per_patch, width)
    edges = len(tops) * len(lefts) - inside
    lines = edges * side * channels
    return {**_tiles(step), "edges": edges, "edge rows": lines, "edge bytes": lines * per_patch}


def _ternary_tiles(step: Step) -> Counts:
    """The same without the sums of inputs; what is added depends on the weights."""
    assert isinstance(step.layer, Conv2d)
    rows, tiles, _ = rows_of_tiles(step)
    return {**_packed_tiles(step), "added": rows * tiles * int((step.layer.weights != 0).sum())}


def _ternary_matrix(step: Step, times: int, at_once: int) -> Counts:
    """LE_TERNARY_WEIGHTS of le_matrix_macros_avr.h: six outputs at once."""
    layer = step.layer
    assert isinstance(layer, (Conv2d, FullyConnected))
    inputs, groups = layer.weights[0].size, times * ceil(len(layer.bias), 6)
    return {
        "groups": groups,
        "passes": groups * ceil(inputs, at_once),
        "added": times * int((layer.weights != 0).sum()),
        "inputs": times * inputs,
        "outputs": times * len(layer.bias),
    }


def _ternary_patches(step: Step, at_once: int) -> Counts:
    """le_patches_avr.h, as `loops` counts those of bytes."""
    layer = step.layer
    assert isinstance(layer, Conv2d)
    times, (tall, wide) = evaluated_positions(step), window_size(layer)
    edges = tall * (times - evaluated_inside(step, layer))
    return {
        "positions": times,
        "rows": times * tall,
        "pixels": times * tall * wide,
        "edge rows": edges,
        "larger": (times - output_positions(step)) * len(layer.bias),
        **_ternary_matrix(step, times, at_once),
    }


_AT_ONCE = {"2 bits": 4, "trits": 5}


def _depthwise_3_pooled(step: Step) -> Counts:
    """le_depthwise_3_macros_avr.h: of a channel all four positions at once."""
    return {"positions": output_positions(step), "outputs": step.output_bytes, **edge_counts(step)}


LOOPS: Mapping[str, Callable[[Step], Counts]] = {
    **{f"avr tiles, {taps} x {taps}": _tiles for taps in (1, 3, 5)},
    **{f"avr tiles, {taps} x {taps}, connected": _connected for taps in (3, 5)},
    **{f"avr packed tiles, {taps} x {taps}, 4 bits": _packed_tiles for taps in (3, 5)},
    **{f"avr packed tiles, {taps} x {taps}, {few}": _ternary_tiles for taps in (3, 5) for few in _AT_ONCE},
    **{f"avr packed matrix, {few}": partial(_ternary_matrix, times=1, at_once=n) for few, n in _AT_ONCE.items()},
    **{f"avr packed matrix, by patches, {few}": partial(_ternary_patches, at_once=n) for few, n in _AT_ONCE.items()},
    "avr depthwise, 3 x 3, pooled 2 x 2": _depthwise_3_pooled,
}
