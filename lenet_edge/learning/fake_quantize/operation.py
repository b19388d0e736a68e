"""What a layer with weights multiplies with what: a convolution, also of each channel by itself, or a matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lenet_edge.errors import BadInputError
from lenet_edge.learning.layers import Spread, as_it_is
from lenet_edge.learning.qat_step import Columns
from lenet_edge.networks.int8 import Int8Window, int8_window
from lenet_edge.networks.shapes import Windows
from lenet_edge.quantized.model import Conv2d, DepthwiseConv2d, FullyConnected, QTensor

__all__ = ["Average", "Operation", "Requantization", "average_of", "connection_of", "convolution_of"]


class Average(nn.Module):
    """The weights of an average, which are not trained: each channel's mean as a depthwise convolution."""

    def __init__(self, window: tuple[int, int], channels: int) -> None:
        super().__init__()
        self.weight: Tensor
        self.bias: Tensor
        values = torch.full((channels, 1, *window), 1 / (window[0] * window[1]))
        self.register_buffer("weight", values, persistent=False)
        self.register_buffer("bias", torch.zeros(channels), persistent=False)


@dataclass(frozen=True, eq=False)
class Requantization:
    """From accumulators to outputs: what the three layers with weights have in common."""

    input: QTensor
    output: QTensor
    weight_scales: npt.NDArray[np.float32]
    clamp_min: int
    clamp_max: int


@dataclass(frozen=True, eq=False)
class Operation:
    """A layer's weights and where they go.

    Attributes:
        module: has `weight` and `bias`; they may be trained further.
        output_shape: NHWC, without the batch.
        windows: window, stride and padding of a convolution; None is a matrix.
        int8: how int8 has these.
        groups: of input channels that do not mix: 1, or as many as there are.
        spread: from `weight` to PyTorch's OIHW or OI.
    """

    module: nn.Module
    output_shape: tuple[int, ...]
    windows: Windows | None = None
    int8: Int8Window | None = None
    groups: int = 1
    spread: Spread = as_it_is

    @property
    def weight(self) -> Tensor:
        assert isinstance(self.module.weight, Tensor)
        return self.module.weight

    @property
    def bias(self) -> Tensor:
        assert isinstance(self.module.bias, Tensor)
        return self.module.bias

    @property
    def connected(self) -> Tensor:
        """Of the shape of `weight`: 1 where `spread` uses a weight, 0 where there is no connection."""
        everywhere = torch.ones_like(self.weight)
        spread = self.spread(everywhere)
        return spread if spread.shape == everywhere.shape else everywhere

    @property
    def averages(self) -> int:
        """Of how many values it is the mean; 0 where it has weights of its own."""
        return self.weight[0].numel() if isinstance(self.module, Average) else 0

    def on(self, values: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """The operation on a batch ``[n, c, h, w]`` or ``[n, inputs]``, with weights of the shape of its own."""
        weight = self.spread(weight)
        if self.windows is None:
            return F.linear(values, weight, bias)
        _, stride, (top, bottom, left, right) = self.windows
        if (top, left) == (bottom, right):
            return F.conv2d(values, weight, bias, stride, (top, left), groups=self.groups)
        return F.conv2d(F.pad(values, (left, right, top, bottom)), weight, bias, stride, groups=self.groups)

    def per_channel(self, values: Tensor) -> Tensor:
        """One value per output channel, so that it spreads over what `on` gives."""
        return values if self.windows is None else values.view(1, -1, 1, 1)

    def real_weights(self, columns: Columns = None) -> npt.NDArray[np.float64]:
        """OHWI or OI; with `columns`, the inputs in the order (h, w, c) of a map that was flattened before."""
        weights: npt.NDArray[np.float64] = self.spread(self.weight).detach().cpu().double().numpy()
        if columns is not None:
            height, width, depth = columns
            weights = weights.reshape(-1, depth, height, width).transpose(0, 2, 3, 1).reshape(len(weights), -1)
        elif self.windows is not None:
            weights = weights.transpose(0, 2, 3, 1)
        return np.ascontiguousarray(weights)

    def real_bias(self) -> npt.NDArray[np.float64]:
        bias: npt.NDArray[np.float64] = self.bias.detach().cpu().double().numpy()
        return bias

    def to_layer(
        self, name: str, weights: npt.NDArray[np.int8], bias: npt.NDArray[np.int32], by: Requantization
    ) -> Conv2d | DepthwiseConv2d | FullyConnected:
        """The frozen layer; `weights` are OHWI or OI."""
        if self.windows is None or self.int8 is None:
            common = (name, by.input, by.output, weights, bias, by.weight_scales)
            return FullyConnected(*common, clamp_min=by.clamp_min, clamp_max=by.clamp_max)
        top, bottom, left, right = self.int8.zeros
        weights = np.pad(weights, ((0, 0), (top, bottom), (left, right), (0, 0)))
        kind: type[Conv2d | DepthwiseConv2d] = Conv2d
        if self.groups > 1 or isinstance(self.module, Average):
            kind, weights = DepthwiseConv2d, np.ascontiguousarray(weights[..., 0].transpose(1, 2, 0))
        window = (self.windows[1], self.int8.padding, by.clamp_min, by.clamp_max)
        return kind(name, by.input, by.output, weights, bias, by.weight_scales, *window)


def convolution_of(
    module: nn.Module,
    windows: Windows,
    source: tuple[int, ...],
    output: tuple[int, ...],
    spread: Spread = as_it_is,
) -> Operation:
    """A convolution of maps ``source [h, w, c]``; its weights say whether channels mix.

    Raises:
        BadInputError: int8 has no such padding.
    """
    assert isinstance(module.weight, Tensor)
    int8 = int8_window(windows, source[0], source[1])
    if int8 is None:
        raise BadInputError(f"TFLite has no such padding on a map of {source[0]} x {source[1]}")
    return Operation(module, output, windows, int8, source[2] // module.weight.shape[1], spread)


def average_of(windows: Windows, source: tuple[int, ...], output: tuple[int, ...]) -> Operation:
    """The mean of each window of maps ``source [h, w, c]``."""
    return convolution_of(Average(windows[0], source[2]), windows, source, output)


def connection_of(module: nn.Module, output: tuple[int, ...]) -> Operation:
    """A fully connected layer."""
    return Operation(module, output)
