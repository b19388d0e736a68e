"""Accumulators beside every would-be tie, and so beside both ends of the clamp.

On the grid the results nearest to a tie ``n + 1/2`` are those of ``A = (2 n + 1) q - 1`` and ``(2 n + 1) q + 1``: the
first belongs to n, the second to n + 1. Rounding that errs by the smallest amount that is wrong at all is wrong there.

The weights of a channel are 2 and 24 times 126: of inputs that are d steps above -128 they make any even accumulator,
the 126 most of it and the 2 the rest. Several channels of one q get the same inputs; their biases are whole output
steps apart, so that together they see every n.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lenet_edge.conformance.case import IMAGES, Case
from lenet_edge.conformance.weighted import INPUT_SCALE, OUTPUT_SCALE, scales_of
from lenet_edge.quantized.model import (
    Conv2d,
    DepthwiseConv2d,
    FullyConnected,
    Int64Array,
    QTensor,
    QuantizedModel,
    Weighted,
    expected_output_shape,
)

__all__ = ["tie_cases"]

_TAPS, _WINDOW = 25, (5, 5)
_HEAVY = 63  # half of 126
_MIDDLE = 150_000  # half of the accumulators, about, before the bias: as far as 24 * 63 * 255 allows on both sides
_STEPS = 256  # ties of an output
_ENDS = ((963, 767, 495, 257), (251, 127, 63, 3))
_EIGHT = (963, 887, 767, 495, 257, 129, 31, 1)
_SIXTEEN = (963, 887, 767, 513, 495, 383, 257, 251, 129, 127, 65, 63, 33, 31, 3, 1)


def tie_cases() -> list[Case]:
    """Of each kind, with q large and small; the margin is 1 / 2q."""
    purpose = "results beside every tie, as near as any can be: q = {}"
    made = [
        *(_matrix(f"matrix-ties-{name}", qs) for name, qs in zip(("large-q", "small-q"), _ENDS, strict=True)),
        _convolution("conv-ties-1x1", (2, 2, _TAPS), (1, 1)),
        _convolution("conv-ties-5x5", (10, 10, 1), _WINDOW),
        _depthwise("depthwise-ties-5x5"),
    ]
    return [replace(case, purpose=purpose.format(qs)) for case, qs in made]


def _matrix(name: str, qs: Sequence[int]) -> tuple[Case, str]:
    source, target = QTensor((_TAPS,), INPUT_SCALE, -128), QTensor((32 * len(qs),), OUTPUT_SCALE, 0)
    weights, bias, scales = _constants(qs, 32, source, target)
    layer = FullyConnected(name, source, target, weights.astype(np.int8), bias, scales)
    return _case(layer, _rows(qs, 32)), _listed(qs)


def _convolution(name: str, shape: tuple[int, ...], window: tuple[int, int]) -> tuple[Case, str]:
    """One tap of 25 channels, or 25 taps of one; either way four positions."""
    source, draft = QTensor(shape, INPUT_SCALE, 5), QTensor((1,), OUTPUT_SCALE, -128)
    weights, bias, scales = _constants(_EIGHT, 16, source, draft)
    kernel = weights.reshape(len(weights), *window, -1).astype(np.int8)
    layer = Conv2d(name, source, draft, kernel, bias, scales, window)
    rows = _rows(_EIGHT, 16).reshape(IMAGES, 2, 2, *window, -1)
    return _case(_shaped(layer), rows.swapaxes(2, 3)), _listed(_EIGHT)


def _depthwise(name: str) -> tuple[Case, str]:
    """Each channel has inputs of its own."""
    channels = 2 * len(_SIXTEEN)
    source, draft = QTensor((10, 10, channels), INPUT_SCALE, 127), QTensor((1,), OUTPUT_SCALE, 127)
    weights, bias, scales = _constants(_SIXTEEN, 2, source, draft)
    kernel = np.ascontiguousarray(weights.T.reshape(*_WINDOW, channels)).astype(np.int8)
    layer = DepthwiseConv2d(name, source, draft, kernel, bias, scales, _WINDOW)
    rows = np.repeat(_rows(_SIXTEEN, 2).reshape(len(_SIXTEEN), IMAGES * 4, _TAPS), 2, axis=0)
    rows = np.moveaxis(rows, 0, -1).reshape(IMAGES, 2, 2, *_WINDOW, channels)
    return _case(_shaped(layer), rows.swapaxes(2, 3)), _listed(_SIXTEEN)


def _shaped(layer: Conv2d | DepthwiseConv2d) -> Weighted:
    return replace(layer, output=replace(layer.output, shape=expected_output_shape(layer)))


def _case(layer: Weighted, steps: Int64Array) -> Case:
    inputs = (steps - 128).reshape(IMAGES, -1).astype(np.int8)
    return Case(layer.name, "", QuantizedModel((layer,)), inputs)


def _listed(qs: Sequence[int]) -> str:
    return ", ".join(map(str, qs))


def _constants(
    qs: Sequence[int], channels: int, source: QTensor, target: QTensor
) -> tuple[Int64Array, np.ndarray, np.ndarray]:
    """Weights int64 ``[outputs, 25]``, biases, scales of `channels` channels of each q, one behind the other."""
    q = np.repeat(np.array(qs, np.int64), channels)
    weights = np.full((len(q), _TAPS), 2 * _HEAVY, np.int64)
    weights[:, 0] = 2
    first = np.tile(np.arange(channels), len(qs)) * (_STEPS // channels) - 128 - target.zero_point
    bias = 2 * q * (first - _MIDDLE // q) - weights.sum(axis=1) * (-128 - source.zero_point)
    return weights, bias.astype(np.int32), scales_of(q, source.scale)


def _rows(qs: Sequence[int], channels: int) -> Int64Array:
    """Inputs above -128, int64 ``[rows, 25]``, for each q in turn: beside each tie between two of its channels."""
    ties = 2 * np.arange(_STEPS // channels) + 1
    halves = [q * (_MIDDLE // q) + (np.concatenate([ties * q - 1, ties * q + 1])) // 2 for q in qs]
    return _spread(np.concatenate(halves))


def _spread(halves: Int64Array) -> Int64Array:
    """Inputs int64 ``[n, 25]`` above -128 with ``d[0] + 63 (d[1] + ... + d[24])`` the given numbers.

    The heavy ones are filled one after the other, beginning with another one in each row.
    """
    steps = np.zeros((len(halves), _TAPS), np.int64)
    rest, rows = halves.copy(), np.arange(len(halves))
    for turn in range(_TAPS - 1):
        filled = np.minimum(rest // _HEAVY, 255)
        steps[rows, 1 + (rows + turn) % (_TAPS - 1)] = filled
        rest -= _HEAVY * filled
    steps[:, 0] = rest
    if rest.max() > 255:
        raise ValueError("an accumulator is out of reach")
    return steps
