"""How often the loops of AVR's tiles run: `loops` has the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lenet_edge.formats.c_source.families.connected import connections_of
from lenet_edge.formats.c_source.loops_base import Counts, rows_of_tiles, sizes_of
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


LOOPS: Mapping[str, Callable[[Step], Counts]] = {
    **{f"avr tiles, {taps} x {taps}": _tiles for taps in (1, 3, 5)},
    **{f"avr tiles, {taps} x {taps}, connected": _connected for taps in (3, 5)},
}
