"""The clamps that fused activations are on int8, and how XNNPACK rounds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from lenet_edge.quantized.layers import (
    INT8_MAX,
    INT8_MIN,
    Add,
    AveragePool2d,
    Conv2d,
    DepthwiseConv2d,
    FullyConnected,
    Layer,
    MaxPool2d,
    Multiply,
    QTensor,
    Subtract,
)

__all__ = ["BOUNDS", "activation_clamp", "as_xnnpack_clamps", "clamp_tie"]

BOUNDS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"NONE": (-np.inf, np.inf), "RELU": (0.0, np.inf), "RELU_N1_TO_1": (-1.0, 1.0), "RELU6": (0.0, 6.0)}
)
"""The real values that an activation lets through."""

_CLAMPED_BY_XNNPACK = (Conv2d, DepthwiseConv2d, FullyConnected, MaxPool2d, Add, Subtract, Multiply)


def activation_clamp(activation: str, output: QTensor) -> tuple[int, int]:
    """The int8 clamp that an activation of `BOUNDS` is on that output.

    Source: ``CalculateActivationRangeQuantizedImpl``, tensorflow/lite/kernels/kernel_util.cc:
    the bound divided by the scale in float32, rounded half away from zero.
    """
    low, high = (
        output.zero_point + np.copysign(np.floor(np.abs(steps) + 0.5), steps) for steps in _steps(activation, output)
    )
    return int(max(low, INT8_MIN)), int(min(high, INT8_MAX))


def _steps(activation: str, output: QTensor) -> tuple[float, float]:
    """The bounds in output steps: quotients in float32, held in double, where half a step more is exact."""
    with np.errstate(over="ignore"):
        low, high = (float(np.float32(bound) / np.float32(output.scale)) for bound in BOUNDS[activation])
    return low, high


def _xnnpack_clamp(activation: str, output: QTensor) -> tuple[int, int]:
    """As XNNPACK has it: the zero point is added in float32, then ties go to even."""
    low, high = (np.rint(np.float32(steps) + np.float32(output.zero_point)) for steps in _steps(activation, output))
    return int(max(low, INT8_MIN)), int(min(high, INT8_MAX))


def as_xnnpack_clamps(layer: Layer) -> Layer:
    """The layer with XNNPACK's own clamp, where its clamp is one of an activation and XNNPACK rounds that differently.

    LiteRT's own kernels compute AVERAGE_POOL_2D.
    """
    if not isinstance(layer, _CLAMPED_BY_XNNPACK):
        return layer
    clamp = layer.clamp_min, layer.clamp_max
    for activation in BOUNDS:
        if activation_clamp(activation, layer.output) == clamp:
            low, high = _xnnpack_clamp(activation, layer.output)
            return layer if (low, high) == clamp else replace(layer, clamp_min=low, clamp_max=high)
    return layer


def clamp_tie(layer: Layer) -> str | None:
    """Why runtimes may not clamp the layer alike; None where they do."""
    if isinstance(layer, (*_CLAMPED_BY_XNNPACK, AveragePool2d)) and as_xnnpack_clamps(layer) is not layer:
        return "the bound of its activation lies half way between two integers; runtimes round it differently"
    return None
