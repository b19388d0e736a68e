"""How often the loops of a step's kernel run, by its shapes: what its instructions are estimated from.

A kernel that is not in `_LOOPS` gets what every kernel has.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial

from lenet_edge.formats.c_source import loops_avr
from lenet_edge.formats.c_source.families import dsp_few, dsp_nested, dsp_positions
from lenet_edge.formats.c_source.families.dsp_depthwise import lying, strip_of
from lenet_edge.formats.c_source.families.mve_depthwise import loops_of_depthwise
from lenet_edge.formats.c_source.families.mve_few import loops_of_few
from lenet_edge.formats.c_source.families.mve_pairs import loops_of_pairs
from lenet_edge.formats.c_source.families.plain import kind_of
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.loops_base import Counts, edge_counts, multiplied
from lenet_edge.formats.c_source.loops_base import ceil as _ceil
from lenet_edge.formats.c_source.loops_base import evaluated_inside as _inside_evaluated
from lenet_edge.formats.c_source.loops_base import evaluated_positions as _evaluated
from lenet_edge.formats.c_source.loops_base import output_positions as _positions
from lenet_edge.formats.c_source.loops_base import rows_of_tiles as _tiles
from lenet_edge.formats.c_source.loops_base import sizes_of as _convolution
from lenet_edge.formats.c_source.loops_fours import mean_by_fours, pooling_by_fours
from lenet_edge.formats.c_source.loops_lanes import lanes_connected, lanes_positions, lanes_tiles
from lenet_edge.formats.c_source.loops_lanes_depthwise import depthwise_3_loops, depthwise_loops
from lenet_edge.formats.c_source.loops_moves import moves, moves_in_words
from lenet_edge.formats.c_source.loops_packed import LOOPS, is_portable, largest_at_once, packed_loops
from lenet_edge.formats.c_source.repeating import repeated, repeated_bytes
from lenet_edge.formats.c_source.steps import Step, windows_of
from lenet_edge.quantized.model import (
    WEIGHTED,
    AveragePool2d,
    Conv2d,
    DepthwiseConv2d,
    FullyConnected,
    MaxPool2d,
    Reshape,
    macs,
    window_size,
)

__all__ = ["kind_of_kernel", "loops_of"]

_BY_FOURS = {
    "shared/le_pool2d_fours.c": "pooling, four channels at once",
    "shared/le_mean_fours.c": "mean, four channels at once",
}
_COSTS_OF = {
    "lanes tiles, connected": "lanes tiles",
    **{f"avr tiles, {taps} x {taps}, connected": f"avr tiles, {taps} x {taps}" for taps in (3, 5)},
}
"""Kernels whose loops are those of another: the same code, called otherwise."""


def kind_of_kernel(step: Step, kernel: Kernel, *, divisible: bool) -> str:
    """What computes the step: kernels of one kind cost the same for each pass of the same loop."""
    layer = step.layer
    # Moved in words, a copy is a part that is all.
    operator = "slice" if isinstance(layer, Reshape) and _moves_words(kernel) else kind_of(layer)
    words = [f"{_COSTS_OF.get(kernel.name, kernel.name)}: {operator}"]
    if isinstance(layer, WEIGHTED) and not divisible:
        words.append("double rounding" if step.rule == "tflm" else step.rule)
    if _is_dilated(kernel):
        words.append("dilated or grouped")
    elif kernel.name == "plain" and isinstance(layer, Conv2d) and _by_fours(step):
        words.append("pooled 2 x 2")
    elif largest_at_once(step, kernel):
        words.append("2 x 2 positions at once")
    elif _takes_four_channels(kernel):
        words.append("four channels at once")
    elif _moves_words(kernel):
        words.append("in words")
    return ", ".join(words)


def loops_of(step: Step, kernel: Kernel, *, is_last: bool = False) -> Counts:
    """How often each loop of the step's kernel runs, and what each step has.

    Args:
        is_last: its outputs are the model's.

    Returns:
        "calls", which is 1; "compared", for the last step its outputs, whose largest is searched; and the
        kernel's own loops.
    """
    name = kind_of(step.layer) if kernel.name == "plain" else kernel.name
    if _is_dilated(kernel):
        name = "dilated or grouped"
    if _takes_four_channels(kernel):
        name = next(_BY_FOURS[file] for file in kernel.sources if file in _BY_FOURS)
    if _moves_words(kernel):
        name = "moves in words"
    own = dict(_repetition(step, kernel))
    if own:
        step = repeated(step)
    if is_portable(kernel):
        own |= packed_loops(step, kernel)
    elif name in dsp_few.LOOPS:
        own |= dsp_few.LOOPS[name](step, kernel)
    else:
        own |= lanes_positions(step, kernel) if name.startswith("lanes positions") else _LOOPS.get(name, _any)(step)
    own |= multiplied(step, kernel)
    return {"calls": 1, "compared": step.output_bytes if is_last else 0, **own}


def _repetition(step: Step, kernel: Kernel) -> Counts:
    """Of fast depthwise kernels: the bytes of an input that is repeated first; packed ones read it as it is."""
    is_fast = isinstance(step.layer, DepthwiseConv2d) and kernel.name != "plain" and not is_portable(kernel)
    return {"repeated": repeated_bytes(step)} if is_fast else {}


def _is_dilated(kernel: Kernel) -> bool:
    return any(source.endswith("_dilated.c") for source in kernel.sources)


def _takes_four_channels(kernel: Kernel) -> bool:
    return not _BY_FOURS.keys().isdisjoint(kernel.sources)


def _moves_words(kernel: Kernel) -> bool:
    return "shared/le_move_words.c" in kernel.sources


def _by_fours(step: Step) -> bool:
    """Whether le_conv2d.c takes the four positions of a window at once."""
    return step.pool is not None and step.pool.window == (2, 2)


def _any(step: Step) -> Counts:
    inputs = sum(math.prod(tensor.shape) for tensor in step.inputs)
    return {"outputs": step.output_bytes, "products": macs(step.layer), "inputs": inputs}


# --- plain and shared -----------------------------------------------------------------------------


def _plain_windows(step: Step) -> Counts:
    layer = step.layer
    assert isinstance(layer, (Conv2d, DepthwiseConv2d))
    by_fours = isinstance(layer, Conv2d) and _by_fours(step)
    passes = step.output_bytes if by_fours else _evaluated(step) * step.output.shape[2]
    taps = window_size(layer)[1] * (layer.input.shape[2] if isinstance(layer, Conv2d) else 1)
    rows = passes * window_size(layer)[0]
    counts = {"positions": _positions(step), "outputs": step.output_bytes, "sums": passes}
    return {**counts, "rows": rows, "products": rows * taps, **edge_counts(step)}


def _dilated(step: Step) -> Counts:
    """le_dilated.h: tap by tap, also those on the padding."""
    layer = step.layer
    assert isinstance(layer, (Conv2d, DepthwiseConv2d))
    sums, (tall, wide) = _evaluated(step) * step.output.shape[2], window_size(layer)
    inputs = layer.weights.shape[3] if isinstance(layer, Conv2d) else 1
    counts = {"positions": _positions(step), "outputs": step.output_bytes, "sums": sums, "rows": sums * tall}
    return {**counts, "taps": sums * tall * wide, "products": sums * tall * wide * inputs}


def _plain_connection(step: Step) -> Counts:
    layer = step.layer
    assert isinstance(layer, FullyConnected)
    outputs, inputs = layer.weights.shape
    fours, ones = divmod(outputs, 4)
    return {"fours": fours, "ones": ones, "fours of inputs": fours * inputs, "ones of inputs": ones * inputs}


def _pooling(step: Step) -> Counts:
    layer = step.layer
    assert isinstance(layer, (MaxPool2d, AveragePool2d))
    rows = step.output_bytes * layer.window[0]
    return {"positions": _positions(step), "outputs": step.output_bytes, "rows": rows, "values": rows * layer.window[1]}


def _values(step: Step) -> Counts:
    return {"outputs": step.output_bytes}


# --- a matrix, and a convolution as one -----------------------------------------------------------


def _matrix(step: Step, group: int, word: int, times: int = 1) -> Counts:
    """A matrix times a vector, so many times; `group` outputs and `word` inputs at once."""
    layer = step.layer
    assert isinstance(layer, (Conv2d, FullyConnected))
    inputs, groups = layer.weights[0].size, times * _ceil(len(layer.bias), group)
    return {
        "groups": groups,
        "words": groups * _ceil(inputs, word),
        "inputs": times * inputs,
        "outputs": times * len(layer.bias),
    }


def _mve_matrix(step: Step, times: int = 1) -> Counts:
    """Eight outputs at once, the last four vectors kept; the last four by themselves where no more are left."""
    layer = step.layer
    assert isinstance(layer, (Conv2d, FullyConnected))
    whole, left = divmod(len(layer.bias), 8)
    eights, fours = times * (whole + (left > 4)), times * (0 < left <= 4)
    vectors = _ceil(layer.weights[0].size, 16)
    return {
        "eights": eights,
        "fours": fours,
        "vectors of eights": eights * max(vectors - 4, 0),
        "kept vectors": times * min(vectors, 4),
        "kept vectors of eights": eights * min(vectors, 4),
        "vectors of fours": fours * vectors,
    }


def _patches(step: Step, word: int, matrix: Callable[..., Counts]) -> Counts:
    """le_patches.h: at each position the inputs are copied, multiplied, and the largest outputs kept."""
    layer = step.layer
    assert isinstance(layer, Conv2d)
    times, (tall, wide) = _evaluated(step), window_size(layer)
    words = _ceil(wide * layer.input.shape[2], word)
    edges = tall * (times - _inside_evaluated(step, layer))
    return {
        "positions": times,
        "rows": times * tall,
        "pixels": times * tall * wide,
        "words of rows": times * tall * words,
        "edge rows": edges,
        "words of edge rows": edges * words,
        "larger": (times - _positions(step)) * len(layer.bias),
        **matrix(step, times=times),
    }


# --- tiles ----------------------------------------------------------------------------------------


def _dsp_one(step: Step) -> Counts:
    rows, tiles, ending = _tiles(step)
    sums = rows * tiles * _convolution(step)[0]
    return {"lines": rows, "columns": rows * (2 * tiles + 4), "tiles": rows * tiles, "sums": sums, **ending(sums)}


def _dsp_pairs(step: Step) -> Counts:
    rows, tiles, ending = _tiles(step)
    outputs, channels, taps = _convolution(step)
    pairs, columns, groups = _ceil(channels, 2), tiles + taps // 2, rows * tiles * _ceil(outputs, 4)
    lines = 2 * rows + taps - 1
    cells = (3 * ((taps + 1) // 2) - 1) * pairs
    return {
        "lines": lines,
        "columns": lines * columns,
        "words": lines * columns * pairs,
        "moved": rows * columns * pairs * (taps + 1),
        "tiles": rows * tiles,
        "groups": groups,
        "cells": groups * cells * taps,
        **ending(groups),
    }


def _dsp_depthwise(step: Step) -> Counts:
    """le_depthwise_conv2d_dsp.c: four channels after each other, strips of rows, and the sums of a channel's row."""
    step = lying(step)
    strip = strip_of(step)
    groups = _ceil(step.output.shape[2], strip.channels)
    rows = groups * strip.row_count * strip.channels
    sums = rows * strip.positions
    return {
        "groups": groups,
        "frame words": groups * strip.channels * strip.rows * strip.taps,
        "strips": groups * strip.strips,
        "pairs of rows": groups * strip.strips * strip.words,
        "pixels": groups * strip.strips * strip.words * min(strip.columns, step.input.shape[1]),
        "channels": rows,
        "sums": sums,
        "steps": sums * strip.taps // 2,
        "pooled": 0 if step.pool is None else sums,
    }


def _dsp_depthwise_3x3(step: Step) -> Counts:
    """le_depthwise_3x3_dsp.c: of each row of tiles a pair of rows of pixels is widened, four channels at a time."""
    height, width, channels = step.output.shape
    stride = windows_of(step.layer, step.pool).step[0] if isinstance(step.layer, DepthwiseConv2d) else 1
    rows, groups = _ceil(height, 2) if stride == 1 else height, _ceil(channels, 4)
    pooled = step.pool is not None
    return {
        "groups": groups,
        "rows": groups * rows,
        "pixels": groups * (rows + 1) * step.input.shape[1],
        "tiles": 4 * groups * rows * (width if pooled else width // 2),
        "halves": 0 if pooled else 4 * groups * rows * (width % 2),
    }


def _dsp_positions(step: Step) -> Counts:
    assert isinstance(step.layer, Conv2d)
    return dsp_positions.loops(step, _evaluated(step), _inside_evaluated(step, step.layer))


def _mve_columns(step: Step) -> Counts:
    height, windows, channels = step.output.shape
    strips = _ceil(height, 5) * channels
    eights, left = divmod(5 * windows, 8)
    return {
        "strips": strips,
        "columns": strips * windows,
        "eights": strips * eights,
        "fours": strips * _ceil(left, 4),
    }


def _mve_one(step: Step) -> Counts:
    height, windows, channels = step.output.shape
    groups = height * _ceil(channels, 3)
    return {
        "rows": height,
        "groups": groups,
        "pairs": groups * _ceil(windows, 2),
        "channels": groups * min(channels, 3),
        "eights": groups * min(channels, 3) * _ceil(windows, 8),
    }


_LOOPS: Mapping[str, Callable[[Step], Counts]] = {
    "conv2d": _plain_windows,
    "depthwise_conv2d": _plain_windows,
    "fully_connected": _plain_connection,
    "max_pool2d": _pooling,
    "average_pool2d": _pooling,
    "pooling, four channels at once": pooling_by_fours,
    "mean, four channels at once": mean_by_fours,
    "lookup": _values,
    "rescale": _values,
    "dilated or grouped": _dilated,
    **dict.fromkeys(("concatenate", "pad", "slice", "transpose", "copy"), moves),
    "moves in words": moves_in_words,
    "softmax": _values,
    "lanes matrix": partial(_matrix, group=8, word=4),
    "lanes matrix, by patches": partial(_patches, word=4, matrix=partial(_matrix, group=8, word=4)),
    "lanes tiles": lanes_tiles,
    "lanes tiles, connected": lanes_connected,
    "lanes depthwise": depthwise_loops,
    "lanes depthwise, 3 x 3": depthwise_3_loops,
    "dsp matrix": partial(_matrix, group=6, word=4),
    "dsp matrix, by patches": partial(_patches, word=4, matrix=partial(_matrix, group=6, word=4)),
    "dsp positions": _dsp_positions,
    "dsp tiles, one channel": _dsp_one,
    "dsp tiles, pairs of channels": _dsp_pairs,
    "dsp tiles, nested": dsp_nested.loops,
    "dsp depthwise": _dsp_depthwise,
    **{f"dsp depthwise, 3 x 3{more}": _dsp_depthwise_3x3 for more in ("", ", stride 2", ", pooled")},
    "mve matrix": _mve_matrix,
    "mve matrix, by patches": partial(_patches, word=16, matrix=_mve_matrix),
    "mve few inputs": loops_of_few,
    "mve pairs of positions": loops_of_pairs,
    "mve columns": _mve_columns,
    "mve one channel": _mve_one,
    **dict.fromkeys(
        (f"mve depthwise{which}" for which in ("", ", 3 x 3", ", 3 x 3, one int16 sum")), loops_of_depthwise
    ),
    "avr matrix": partial(_matrix, group=6, word=4),
    "avr matrix, by patches": partial(_patches, word=4, matrix=partial(_matrix, group=6, word=4)),
    "avr depthwise": _plain_windows,
    "avr depthwise, pooled": _plain_windows,
    **loops_avr.LOOPS,
    "avr matrix, 4 bits": partial(_matrix, group=6, word=4),
    "avr packed matrix, by patches, 4 bits": partial(_patches, word=4, matrix=partial(_matrix, group=6, word=4)),
    **LOOPS,
}
"""By the kernel's name in `bench`, for plain kernels by the operator's; windows with gaps or groups have their own."""
