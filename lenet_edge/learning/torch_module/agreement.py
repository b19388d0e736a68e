"""Whether a chain of layers computes what the module does: seen on random images, before anything is made of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lenet_edge.learning.torch_module.chain import Chain, Layer
from lenet_edge.networks.description import (
    Addition,
    AveragePooling,
    Convolution,
    DepthwiseConvolution,
    Dropout,
    FullyConnected,
    MaxPooling,
)

__all__ = ["outputs"]

_FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda values: values,
    "relu": F.relu,
    "relu6": F.relu6,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softmax": lambda logits: torch.softmax(logits, 1),
    "log_softmax": lambda logits: torch.log_softmax(logits, 1),
}


def outputs(chain: Chain, images: Tensor) -> Tensor:
    """What the layers, with their weights in float32 and their normalisation folded, give for images in 0..1.

    Args:
        images: float32 ``[n, c, h, w]``.

    Returns:
        The logits ``[n, classes]`` with the functions behind them that were dropped.
    """
    found: dict[int, Tensor] = {id(None): images}
    with torch.no_grad():
        for layer in chain.layers:
            inputs = [found[id(source)] for source in layer.sources]
            if layer in chain.classifier:
                inputs = [each.flatten(1) for each in inputs]
            found[id(layer)] = _after(layer, inputs)
        logits = found[id(chain.layers[-1])]
        return _followed(logits, [name.lstrip("_") for name in chain.final])


def _after(layer: Layer, inputs: Sequence[Tensor]) -> Tensor:
    if isinstance(layer.description, Addition):
        return _followed(inputs[0] + inputs[1], [layer.description.activation])
    return _after_one(layer, inputs[0])


def _after_one(layer: Layer, values: Tensor) -> Tensor:
    description = layer.description
    if isinstance(description, Dropout):
        return values
    if isinstance(description, MaxPooling):
        return F.max_pool2d(values, description.window, description.stride)
    if isinstance(description, AveragePooling):
        window = description.window or tuple(values.shape[2:])
        return _followed(F.avg_pool2d(values, window, description.stride), [description.activation])
    assert isinstance(description, (Convolution, DepthwiseConvolution, FullyConnected))
    weight, bias = (torch.from_numpy(array.astype(np.float32)) for array in layer.folded())
    if isinstance(description, (Convolution, DepthwiseConvolution)):
        groups = values.shape[1] if isinstance(description, DepthwiseConvolution) else 1
        padded = _padded(values, description)
        values = F.conv2d(padded, weight, bias, description.stride, groups=groups)
    else:
        values = F.linear(values, weight, bias)
    return _followed(values, [description.activation])


def _padded(values: Tensor, description: Convolution | DepthwiseConvolution) -> Tensor:
    if description.padding == "valid":
        return values
    if description.padding != "same":
        down, right = description.padding
        return F.pad(values, (right, right, down, down))
    sides = []
    for size, window, stride in zip(values.shape[2:], description.window, description.stride, strict=True):
        total = max((-(-size // stride) - 1) * stride + window - size, 0)  # TFLite's, in TensorFlow's words
        sides.append((total // 2, total - total // 2))
    return F.pad(values, (*sides[1], *sides[0]))


def _followed(values: Tensor, functions: Sequence[str]) -> Tensor:
    for name in functions:
        values = _FUNCTIONS[name](values)
    return values
