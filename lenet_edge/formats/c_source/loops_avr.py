"""How often the loops of AVR's tiles, and of a depthwise convolution's, run: `loops` has the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lenet_edge.formats.c_source.families.connected import connections_of
from lenet_edge.formats.c_source.loops_base import Counts, edge_counts, output_positions, rows_of_tiles, sizes_of
from lenet_edge.formats.c_source.steps import Step
from lenet_edge.quantized.model import Conv2d

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


def _ternary_tiles(step: Step) -> Counts:
    """The same without the sums of inputs; what is added depends on the weights."""
    assert isinstance(step.layer, Conv2d)
    rows, tiles, _ = rows_of_tiles(step)
    return {**_tiles(step), "added": rows * tiles * int((step.layer.weights != 0).sum())}


def _depthwise_3_pooled(step: Step) -> Counts:
    """le_depthwise_3_macros_avr.h: of a channel all four positions at once."""
    return {"positions": output_positions(step), "outputs": step.output_bytes, **edge_counts(step)}


LOOPS: Mapping[str, Callable[[Step], Counts]] = {
    **{f"avr tiles, {taps} x {taps}": _tiles for taps in (1, 3, 5)},
    **{f"avr tiles, {taps} x {taps}, connected": _connected for taps in (3, 5)},
    **{f"avr packed tiles, {taps} x {taps}, 4 bits": _tiles for taps in (3, 5)},
    **{f"avr packed tiles, {taps} x {taps}, {few}": _ternary_tiles for taps in (3, 5) for few in ("2 bits", "trits")},
    "avr depthwise, 3 x 3, pooled 2 x 2": _depthwise_3_pooled,
}
