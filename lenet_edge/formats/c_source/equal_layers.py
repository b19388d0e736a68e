"""Layers that are a special case of another kind, for which the families have fast kernels.

A depthwise convolution on one channel, with several outputs, is a convolution on it; speech models begin with one.
A convolution whose window is the whole map is a dense layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from lenet_edge.formats.c_source.families import PLAIN
from lenet_edge.formats.c_source.steps import Step
from lenet_edge.quantized.model import Conv2d, DepthwiseConv2d, FullyConnected, QTensor, groups_of, positions

__all__ = ["with_equal_layers"]


def with_equal_layers(steps: Sequence[Step], family: str) -> list[Step]:
    """The steps, with such layers as what they equal; all as they are for the plain kernels, which are to be few.

    A convolution becomes a dense layer only where the model has one already, so that no code is added for it.
    """
    if family == PLAIN:
        return list(steps)
    dense = any(isinstance(step.layer, FullyConnected) for step in steps)
    found = map(_with_convolution, steps)
    return [_with_connection(step) if dense else step for step in found]


def _with_convolution(step: Step) -> Step:
    layer = step.layer
    if not isinstance(layer, DepthwiseConv2d) or layer.input.shape[2] != 1 or len(layer.bias) == 1:
        return step
    arguments = {**vars(layer), "weights": layer.weights.transpose(2, 0, 1)[..., None]}
    return replace(step, layer=Conv2d(**arguments))


def _with_connection(step: Step) -> Step:
    layer = step.layer
    if not isinstance(layer, Conv2d) or step.pool is not None or groups_of(layer) > 1:
        return step
    if layer.weights.shape[1:3] != layer.input.shape[:2] or any(margin[1:] != (0, 0) for margin in positions(layer)):
        return step
    source = QTensor((math.prod(layer.input.shape),), layer.input.scale, layer.input.zero_point)
    target = QTensor((len(layer.bias),), layer.output.scale, layer.output.zero_point)
    weights = layer.weights.reshape(len(layer.bias), -1)
    clamp = layer.clamp_min, layer.clamp_max
    dense = FullyConnected(layer.name, source, target, weights, layer.bias, layer.weight_scales, *clamp)
    return replace(step, layer=dense, inputs=(source,))
