"""Convolutions, depthwise convolutions and matrices on the tie-free grid, of any geometry."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from lenet_edge.conformance.case import Case, noise, plain_inputs
from lenet_edge.quantized.clamps import activation_clamp
from lenet_edge.quantized.model import (
    Conv2d,
    DepthwiseConv2d,
    FullyConnected,
    Int64Array,
    Layer,
    Padding,
    QTensor,
    QuantizedModel,
    Weighted,
    expected_output_shape,
)
from lenet_edge.quantized.tie_free import ADMISSIBLE_Q, LARGEST_Q, LARGEST_WEIGHT, grid_scale

__all__ = ["INPUT_SCALE", "OUTPUT_SCALE", "Settings", "case_of", "layer_of", "scales_of"]

INPUT_SCALE, OUTPUT_SCALE = float(np.float32(1 / 255)), float(np.float32(0.05))
_STEPS_OF_NOISE = 5400  # what one weight times one input is, both noise: the standard deviation
_LARGEST = 2**24 - 2  # an accumulator of the grid


@dataclass(frozen=True)
class Settings:
    """A layer with weights.

    Attributes:
        shape: of the input, NHWC without N; of a matrix ``(values,)``.
        outputs: channels.
        window: None for a matrix.
        groups: of a `Conv2d`.
        zero_points: of input and output.
        activation: "NONE", "RELU", "RELU6", "RELU_N1_TO_1".
        weights: "noise", "ends" (-126 and 126), "same" (126 or -126 in a whole channel), "nothing" (every other
            channel has no weights).
        bias: "noise", or "limits": the accumulator's farthest value is just below 2^24.
        one_scale: a `FullyConnected` has one scale for the whole matrix.
    """

    kind: type[Layer]
    shape: tuple[int, ...]
    outputs: int
    window: tuple[int, int] | None = None
    stride: tuple[int, int] = (1, 1)
    padding: Padding = "valid"
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    zero_points: tuple[int, int] = (-128, -10)
    activation: str = "NONE"
    weights: str = "noise"
    bias: str = "noise"
    one_scale: bool = False
    input_scale: float = field(default=INPUT_SCALE)


def case_of(name: str, purpose: str, settings: Settings) -> Case:
    """A case of one layer, with plain inputs."""
    layer = layer_of(name, settings)
    return Case(name, purpose, QuantizedModel((layer,)), plain_inputs(name, [layer.input]))


def layer_of(name: str, settings: Settings) -> Weighted:
    """The layer; its numbers follow from its name."""
    taps = _taps(settings)
    weights = _WEIGHTS[settings.weights](name, (settings.outputs, taps))
    q = _q(name, settings, weights)
    bias = _biases(name, settings, weights, q)
    return _layer(name, settings, weights, bias, q)


def scales_of(q: Int64Array, input_scale: float) -> np.ndarray:
    """The weight scales float32 ``[channels]`` of these q."""
    return np.array([grid_scale(input_scale, OUTPUT_SCALE, int(value)) for value in q], np.float32)


def _taps(settings: Settings) -> int:
    """How many weights an output channel has."""
    if settings.window is None:
        return settings.shape[0]
    taps = math.prod(settings.window)
    return taps if settings.kind is DepthwiseConv2d else taps * settings.shape[2] // settings.groups


def _layer(name: str, settings: Settings, weights: Int64Array, biases: Int64Array, q: Int64Array) -> Weighted:
    source = QTensor(settings.shape, settings.input_scale, settings.zero_points[0])
    draft = QTensor((1,), OUTPUT_SCALE, settings.zero_points[1])
    bias, scales = biases.astype(np.int32), scales_of(q, settings.input_scale)
    low, high = activation_clamp(settings.activation, draft)
    if settings.window is None:
        matrix, target = weights.astype(np.int8), replace(draft, shape=(settings.outputs,))
        return FullyConnected(name, source, target, matrix, bias, scales, low, high, not settings.one_scale)
    kernel = weights.reshape(settings.outputs, *settings.window, -1).astype(np.int8)
    window = (settings.stride, settings.padding, low, high, settings.dilation)
    layer: Conv2d | DepthwiseConv2d
    if settings.kind is DepthwiseConv2d:
        kernel = np.ascontiguousarray(np.moveaxis(kernel[..., 0], 0, -1))
        layer = DepthwiseConv2d(name, source, draft, kernel, bias, scales, *window)
    else:
        layer = Conv2d(name, source, draft, kernel, bias, scales, *window)
    return replace(layer, output=replace(draft, shape=expected_output_shape(layer)))


# --- weights, q, biases ---------------------------------------------------------------------------


def _noisy(name: str, shape: tuple[int, int]) -> Int64Array:
    return 2 * noise(f"{name} weights", shape, -63, 63)


def _ends(name: str, shape: tuple[int, int]) -> Int64Array:
    return LARGEST_WEIGHT * (2 * noise(f"{name} weights", shape, 0, 1) - 1)


def _same(name: str, shape: tuple[int, int]) -> Int64Array:
    return np.broadcast_to(_ends(name, (shape[0], 1)), shape).copy()


def _nothing(name: str, shape: tuple[int, int]) -> Int64Array:
    weights = _noisy(name, shape)
    weights[::2] = 0
    return weights


_WEIGHTS: dict[str, Callable[[str, tuple[int, int]], Int64Array]] = {
    "noise": _noisy,
    "ends": _ends,
    "same": _same,
    "nothing": _nothing,
}


def _q(name: str, settings: Settings, weights: Int64Array) -> Int64Array:
    """Such that most results lie inside int8, and each channel has its own; one q where there is one scale."""
    spread = _STEPS_OF_NOISE * math.sqrt(weights.shape[1])
    spread *= weights.shape[1] ** 0.5 if settings.weights == "same" else 1
    middle = spread / 160
    factors = 2.0 ** (noise(f"{name} q", (settings.outputs,), -8, 8) / 4)
    if settings.one_scale:
        factors[:] = 1
    nearest = np.searchsorted(ADMISSIBLE_Q, np.minimum(middle * factors, LARGEST_Q))
    return np.array(ADMISSIBLE_Q, np.int64)[nearest]


def _biases(name: str, settings: Settings, weights: Int64Array, q: Int64Array) -> Int64Array:
    """Even; with "noise" the results of inputs in the middle of their range lie anywhere in that of the output."""
    if settings.bias == "limits":
        return _limits(weights, settings.zero_points[0])
    middle = -weights.sum(axis=1) * (0 - settings.zero_points[0])
    biases: Int64Array = middle + 2 * q * (noise(f"{name} bias", q.shape, -90, 90) - settings.zero_points[1] // 2)
    return biases


def _limits(weights: Int64Array, zero_point: int) -> Int64Array:
    """The largest biases that the grid has for these weights, in turn positive and negative."""
    ends = np.stack([weights * (-128 - zero_point), weights * (127 - zero_point)])
    most = np.maximum(ends.max(axis=0).sum(axis=1), 0)
    least = np.minimum(ends.min(axis=0).sum(axis=1), 0)
    signs = np.arange(len(weights)) % 2
    limits: Int64Array = np.where(signs == 0, _LARGEST - most, -_LARGEST - least) // 2 * 2
    return limits
