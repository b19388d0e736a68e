"""How often the loops of kernels run whose weights are not one a byte, or are not all there.

What is added depends on the weights: a digit of 0 takes no addition, and a connection that is not there takes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from lenet_edge.formats.c_source.families.compact import digit_count, digits_of
from lenet_edge.formats.c_source.families.connected import connections_of
from lenet_edge.formats.c_source.families.packed import at_once
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.loops_base import Counts, ceil, edge_counts, evaluated_positions, output_positions
from lenet_edge.formats.c_source.packing import packed_bytes
from lenet_edge.formats.c_source.steps import Step, windows_of
from lenet_edge.quantized.model import WEIGHTED, Conv2d, DepthwiseConv2d, FullyConnected, Weighted, window_size

__all__ = ["LOOPS", "is_portable", "largest_at_once", "packed_loops"]

_FIVE = 5  # trits in a byte
_FOUR = 4  # outputs at once, of le_trits_avr.S


def is_portable(kernel: Kernel) -> bool:
    """Whether it is one of firmware/kernels/packed."""
    return any(source.startswith("packed/") for source in kernel.sources)


def largest_at_once(step: Step, kernel: Kernel) -> bool:
    """Whether a portable packed kernel takes a digit out once for 2 x 2 positions."""
    return is_portable(kernel) and at_once(step) > 1


def packed_loops(step: Step, kernel: Kernel) -> Counts:
    """le_conv2d_packed.c, le_depthwise_conv2d_packed.c, le_fully_connected_packed.c; trits of many outputs."""
    layer = step.layer
    assert isinstance(layer, WEIGHTED)
    channels, added = len(layer.bias), int(np.count_nonzero(layer.weights))
    if isinstance(layer, FullyConnected) and not _sums_by_itself(kernel):
        return _trits(step)
    row_bytes = packed_bytes(layer, kernel.packing) // channels
    if isinstance(layer, FullyConnected):
        return {"outputs": channels, "bytes": channels * row_bytes, "taps": layer.weights.size, "added": added}
    passes = evaluated_positions(step) // at_once(step) ** 2
    rows = passes * channels * window_size(layer)[0]
    gathered = output_positions(step) * layer.input.shape[2] if isinstance(layer, DepthwiseConv2d) else 0
    return {
        "positions": output_positions(step),
        "outputs": step.output_bytes,
        "sums": passes * channels,
        "rows": rows,
        "taps": passes * layer.weights.size,
        "added": passes * added,
        "bytes": passes * channels * row_bytes,
        "gathered": gathered * math.prod(windows_of(layer, step.pool).patch),
        **edge_counts(step),
    }


def _trits(step: Step) -> Counts:
    """le_fully_connected_trits.c and le_trits_avr.S: for five inputs all sums, of which each output adds one."""
    layer = step.layer
    assert isinstance(layer, FullyConnected)
    groups, outputs = ceil(layer.weights[0].size, _FIVE), len(layer.bias)
    return {"groups": groups, "codes": groups * _FOUR * ceil(outputs, _FOUR), "outputs": outputs}


def _compact(step: Step) -> Counts:
    """firmware/kernels/compact: digit by digit the weights go by, five in a byte; the last byte of a row is filled."""
    layer = step.layer
    assert isinstance(layer, (Conv2d, FullyConnected))
    digits, channels = digit_count(layer), len(layer.bias)
    found = digits_of(layer.weights.astype(np.int64) // 2, digits)
    plus, minus = int((found > 0).sum()), int((found < 0).sum())
    rows, run = (1, layer.weights[0].size) if isinstance(layer, FullyConnected) else _rows_and_run(layer)
    by_four = isinstance(layer, Conv2d) and step.pool is not None and step.pool.window == (2, 2)
    positions = 1 if isinstance(layer, FullyConnected) else output_positions(step)
    passes = positions if by_four or isinstance(layer, FullyConnected) else evaluated_positions(step)
    sums = passes * channels * digits
    return {
        "positions": positions,
        "outputs": step.output_bytes,
        "sums": sums,
        "rows": sums * rows,
        "bytes": sums * rows * ceil(run, _FIVE),
        "plus": passes * plus,
        "minus": passes * minus,
        **edge_counts(step),
    }


def _connected(step: Step) -> Counts:
    """le_conv2d_connected.c: map by map, of those that a channel sees."""
    layer = step.layer
    assert isinstance(layer, Conv2d)
    passes, (tall, wide) = evaluated_positions(step), window_size(layer)
    maps = passes * int(connections_of(layer).sum())
    return {
        "positions": output_positions(step),
        "outputs": step.output_bytes,
        "sums": passes * len(layer.bias),
        "maps": maps,
        "rows": maps * tall,
        "products": maps * tall * wide,
        **edge_counts(step),
    }


def _sums_by_itself(kernel: Kernel) -> bool:
    """Whether each output adds its own inputs, and not what five of them add up to for all outputs."""
    return any("/le_sum_" in source for source in kernel.sources)


def _rows_and_run(layer: Weighted) -> tuple[int, int]:
    return layer.weights.shape[1], math.prod(layer.weights.shape[2:])


LOOPS: Mapping[str, Callable[[Step], Counts]] = {
    "avr trits": _trits,
    "connected": _connected,
    **dict.fromkeys(("compact matrix", "compact windows", "compact windows, 2 x 2"), _compact),
}
"""By the kernel's name; the portable packed ones have `packed_loops`."""
