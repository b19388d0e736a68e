"""Depthwise convolutions for MVE: tables for le_depthwise_conv2d_mve.c and its assembly, described there."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from lenet_edge.formats.c_source.families.mve_shared import (
    HEADER,
    ROUNDING_FILE,
    function,
    requantization_of,
    rounded,
    words_of,
)
from lenet_edge.formats.c_source.families.plain import windows_text
from lenet_edge.formats.c_source.families.shared import (
    LARGEST_OFFSET,
    Function,
    Structure,
    aligned,
    fast_kernel,
)
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.steps import Step, windows_of
from lenet_edge.formats.c_source.tables import Table
from lenet_edge.quantized.model import DepthwiseConv2d, window_size

__all__ = ["at_once", "depthwise_words", "kernels", "loops_of_depthwise"]

IntArray = npt.NDArray[np.int64]

_LANES = 16  # int8 in a vector
_OF_TAP = 16  # bytes: of its lists of words
_MOST = 255  # what the |weights| of a group add up to: 128 times that is an int16
_CHANNELS = [first + 4 * lane for first in (0, 2, 1, 3) for lane in range(4)]  # of 16, in the order of the int32 sums


def _variant(label: str, body: str, assembly: str) -> Function:
    files = (HEADER, ROUNDING_FILE, f"cortex_m_mve/{body}", "le_depthwise_conv2d_mve.c", assembly)
    return function(label, "depthwise_conv2d", "depthwise", *files)


_NINE = _variant("depthwise, 3 x 3, one int16 sum", "le_depthwise_3x3_mve.h", "le_depthwise_3x3_nine_mve.S")
_THREES = _variant("depthwise, 3 x 3", "le_depthwise_3x3_mve.h", "le_depthwise_3x3_mve.S")
_ANY = _variant("depthwise", "le_depthwise_mve.h", "le_depthwise_mve.S")


def kernels(step: Step, layer: DepthwiseConv2d, name: str, *, divisible: bool) -> Sequence[Kernel] | str:
    """The fast kernels of a depthwise convolution, or why there is none; see `families`."""
    channels, taps = len(layer.bias), layer.weights.shape[0] * layer.weights.shape[1]
    if _OF_TAP * aligned(taps) + max(_LANES, aligned(channels)) > LARGEST_OFFSET:
        return f"its pixels and their list take more than {LARGEST_OFFSET} bytes of scratch"
    found = [(_ANY, "le_depthwise", 1)]
    if taps == 9 and not divisible and _fits(layer, 2):
        found.insert(0, (_THREES, "le_depthwise_3x3", 1))
    if taps == 9 and divisible:
        found.insert(0, (_THREES, "le_depthwise_3x3", 2))
        if _fits(layer, 9, 2):
            found.insert(0, (_NINE, "le_depthwise_3x3_nine", 2))
    return [_kernel(step, layer, name, *each, divisible=divisible) for each in found]


def _fits(layer: DepthwiseConv2d, group: int, divisor: int = 1) -> bool:
    """Whether the products of so many taps, with the weights divided, are an int16 for any inputs, in every channel."""
    magnitudes = np.abs(layer.weights.astype(np.int64)).reshape(-1, len(layer.bias)) // divisor
    sums = np.add.reduceat(magnitudes, np.arange(0, len(magnitudes), group))
    return bool(sums.max() <= _MOST)


def _kernel(
    step: Step, layer: DepthwiseConv2d, name: str, variant: Function, assembly: str, divisor: int, *, divisible: bool
) -> Kernel:
    channels, taps = len(layer.bias), layer.weights.shape[0] * layer.weights.shape[1]
    weights = layer.weights.reshape(taps, channels) // np.int8(divisor)
    words = depthwise_words(weights, requantization_of(layer, divisible=divisible))
    table = Table(f"{name}_table", "uint32_t", words, "as the assembly describes it")
    several = at_once(step, layer)
    padding = _OF_TAP * aligned(taps)
    outputs = padding + aligned(several * channels)
    lists = ", ".join(f"{{{table.name}, {count * channels}, {taps}}}" for count in (1, several))
    numbers = f"{assembly}_mve_s8, {padding}, {outputs}, {several}"
    structure = Structure(name, f"\n    {windows_text(step)},\n    {lists}, {numbers}\n")
    scratch = outputs + (0 if step.pool is None else aligned(channels))
    return fast_kernel(rounded(variant, divisible=divisible), step, [structure], [table], scratch)


def at_once(step: Step, layer: DepthwiseConv2d) -> int:
    """How many positions next to each other are computed at once."""
    if step.pool is not None or layer.stride[1] != 1:
        return 1
    inside = step.input.shape[1] - window_size(layer)[1] + 1
    return max(1, min(_LANES // len(layer.bias), inside))


def depthwise_words(weights: npt.NDArray[np.int8], requantization: IntArray) -> IntArray:
    """The table of le_depthwise_3x3_mve.h for weights ``[taps, channels]`` and ``[words, channels]``.

    It is filled up with the first channels again: those of the positions that are computed `at_once`.
    """
    missing = ((0, 0), (0, -weights.shape[1] % _LANES))
    filled, words = np.pad(weights, missing, mode="wrap"), np.pad(requantization, missing, mode="wrap")
    parts = []
    for first in range(0, filled.shape[1], _LANES):
        group = slice(first, first + _LANES)
        of_group = words[:, group][:, _CHANNELS].reshape(len(words), 4, 4).transpose(1, 0, 2)
        parts += [words_of(filled[:, group]), of_group.ravel()]
    return np.concatenate(parts)


def loops_of_depthwise(step: Step) -> Mapping[str, int]:
    """Lists of addresses, which take longer at the edges; then sixteens of channels, the last few predicated."""
    layer = step.layer
    assert isinstance(layer, DepthwiseConv2d)
    by, several = windows_of(layer, step.pool), at_once(step, layer)
    positions, inside = [], []
    for axis in range(2):
        starts = np.add.outer(
            np.arange(step.output.shape[axis]) * by.step[axis] - by.padding[axis],
            np.arange(by.pool[axis]) * by.stride[axis],
        )
        positions.append(starts.size)
        inside.append(int(((starts >= 0) & (starts <= step.input.shape[axis] - by.window[axis])).sum()))
    saved = inside[1] // several * (several - 1)  # of the lists of a row
    lists, words = positions[0] * (positions[1] - saved), -(-math.prod(by.window) // 4)
    edges, sixteens = lists - inside[0] * (inside[1] - saved), -(-len(layer.bias) // _LANES)
    return {
        "lists": lists,
        "words": lists * words,
        "edges": edges,
        "words of edges": edges * words,
        "sixteens": lists * sixteens,
        "taps": lists * sixteens * math.prod(by.window),
        "last": lists * (len(layer.bias) % _LANES > 0),
        "larger": (lists - math.prod(step.output.shape[:2])) * sixteens if step.pool else 0,
    }
