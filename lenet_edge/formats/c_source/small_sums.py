"""Channels that hardly change, with sums that every kernel can hold.

Where a filter died in training its weights are next to nothing, and so is its scale. In that scale its bias is up to
2^30, for an output that is the same for every input, or one of two. TFLM's rounding of such sums takes more bits than
the kernels have, to no effect. So a channel that has one output gets no weights and a small bias, and one that has two
gets a larger scale and the bias with which it turns from one to the other at the same sum.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from lenet_edge.formats.c_source.steps import Step
from lenet_edge.formats.c_source.tables import folded_bias
from lenet_edge.quantized.model import (
    INT8_MAX,
    INT8_MIN,
    WEIGHTED,
    DepthwiseConv2d,
    FullyConnected,
    Weighted,
    channel_weights,
)
from lenet_edge.quantized.requantize import Multipliers, multipliers, round_tflm

__all__ = ["with_small_sums"]

IntArray = npt.NDArray[np.int64]

_LARGEST_SUM = 1 << 29  # an accumulator below it is one that the kernels take
_LARGEST_SHIFT = 23  # with it the zero point, shifted to the left, is below 2^31
_LARGEST_EXPONENT = 22  # of the scales 2^-k that are tried


def with_small_sums(step: Step) -> Step:
    """The step with an equal layer, of which fewer channels have sums that are large for nothing.

    For every int8 input the outputs, clamped and rounded as TFLM does, are the same. A channel of which no equal one is
    found stays as it is; most layers are given back unchanged.
    """
    layer = step.layer
    if not isinstance(layer, WEIGHTED):
        return step
    by, (low, high) = multipliers(layer), _reach(layer)
    largest = np.maximum(np.abs(low), np.abs(high))
    is_large = (by.mantissa != 0) & ((largest >= _LARGEST_SUM) | (-by.shift > _LARGEST_SHIFT))
    for channel in np.flatnonzero(is_large):
        layer = _smaller(layer, int(channel), (int(low[channel]), int(high[channel])), step.clamp)
    return step if layer is step.layer else replace(step, layer=layer)


def _reach(layer: Weighted) -> tuple[IntArray, IntArray]:
    """Per channel the smallest and the largest accumulator of any int8 input, the bias in it."""
    weights, bias = channel_weights(layer), folded_bias(layer)
    above, below = np.maximum(weights, 0).sum(axis=1), np.minimum(weights, 0).sum(axis=1)
    return bias + INT8_MIN * above + INT8_MAX * below, bias + INT8_MAX * above + INT8_MIN * below


def _smaller(layer: Weighted, channel: int, reach: tuple[int, int], clamp: tuple[int, int]) -> Weighted:
    """The layer with that channel changed, if an equal one is found; `reach` of its accumulators."""
    by = multipliers(layer)[channel : channel + 1]
    first, last = (_output(layer, end, by, clamp) for end in reach)
    above = last - layer.output.zero_point
    if first == last:
        return _with(_without_weights(layer, channel), channel, 2, 4 * above)
    if last != first + 1:
        return layer
    turn = _turn(layer, reach, by, last)
    for exponent in range(2, _LARGEST_EXPONENT + 1):
        scaled = _with(layer, channel, exponent, int(layer.bias[channel]))
        found = multipliers(scaled)[channel : channel + 1]
        moved = _turn(scaled, (above - 2 << exponent, above + 2 << exponent), found, last) - turn
        ends = [end + moved for end in reach]
        if max(map(abs, ends)) < _LARGEST_SUM and [_output(scaled, end, found, clamp) for end in ends] == [first, last]:
            return _with(scaled, channel, exponent, int(layer.bias[channel]) + moved)
    return layer


def _output(layer: Weighted, accumulator: int, by: Multipliers, clamp: tuple[int, int]) -> int:
    rounded = int(round_tflm(np.array([accumulator]), by)[0]) + layer.output.zero_point
    return min(max(rounded, clamp[0]), clamp[1])


def _turn(layer: Weighted, reach: tuple[int, int], by: Multipliers, output: int) -> int:
    """The smallest accumulator that gives `output` or more, which the last of `reach` does, and the first does not."""
    low, high = reach
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _output(layer, middle, by, (output - 1, output)) == output else (middle, high)
    return high


def _with(layer: Weighted, channel: int, exponent: int, bias: int) -> Weighted:
    """The layer with another bias of that channel, whose multiplier is 2^-exponent, as near as float32 has it."""
    scales, biases = layer.weight_scales.copy(), layer.bias.copy()
    scales[channel] = 2.0**-exponent * layer.output.scale / layer.input.scale
    biases[channel] = bias
    changed = replace(layer, weight_scales=scales, bias=biases)
    return replace(changed, per_channel=True) if isinstance(changed, FullyConnected) else changed


def _without_weights(layer: Weighted, channel: int) -> Weighted:
    weights = layer.weights.copy()
    weights[(..., channel) if isinstance(layer, DepthwiseConv2d) else channel] = 0
    return replace(layer, weights=weights)
