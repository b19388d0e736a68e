"""Averages as convolutions: one even weight for all values of a window, on the tie-free grid like any other."""

from __future__ import annotations

import math

import numpy as np

from lenet_edge.quantized.layers import AveragePool2d, DepthwiseConv2d, Mean, QTensor
from lenet_edge.quantized.model import positions
from lenet_edge.quantized.tie_free import to_grid

__all__ = ["as_convolution", "averaged_values"]

_LARGEST_WINDOW = 255  # of a side, in the C structures


def averaged_values(layer: AveragePool2d | Mean) -> int:
    """How many values each average is of; 0 where no convolution of one weight is the same.

    A window over the edge averages fewer values, and a mean may be along channels.
    """
    if isinstance(layer, Mean):
        spatial = len(layer.input.shape) == 3 and layer.axes == (0, 1)
        window = layer.input.shape[:2] if spatial else (0, 0)
    else:
        inside = all((before, after) == (0, 0) for _, before, after in positions(layer))
        window = layer.window if inside else (0, 0)
    return math.prod(window) if max(window) <= _LARGEST_WINDOW else 0


def as_convolution(layer: AveragePool2d | Mean, source: QTensor, output: QTensor, q: int) -> DepthwiseConv2d:
    """The average as a depthwise convolution between such tensors; of a mean the output keeps height and width as 1.

    Args:
        q: that of `tie_free.average_scale`, at which the weight is exact.
    """
    window = layer.window if isinstance(layer, AveragePool2d) else (source.shape[0], source.shape[1])
    count, channels = math.prod(window), source.shape[2]
    found = to_grid(np.full((1, count), 1 / count), np.zeros(1), source.scale, output.scale, np.array([q]))
    shape = (*output.shape[:2], channels) if len(output.shape) == 3 else (1, 1, channels)
    return DepthwiseConv2d(
        layer.name,
        source,
        QTensor(shape, output.scale, output.zero_point),
        np.repeat(found.weights.reshape(*window, 1), channels, axis=2),
        np.repeat(found.bias, channels),
        np.repeat(found.weight_scales, channels),
        stride=layer.stride if isinstance(layer, AveragePool2d) else (1, 1),
        clamp_min=getattr(layer, "clamp_min", -128),
        clamp_max=getattr(layer, "clamp_max", 127),
    )
