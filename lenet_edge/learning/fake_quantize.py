"""The network on int8: its forward pass computes the integers of the chip, its backward pass is straight-through.

Activations are float32 tensors that hold integers, ``u = integer - zero_point``.
Weights and biases are rounded to their grid, so that every product and every
partial sum of a convolution is an integer below 2^24, which float32 holds
exactly; the requantisation is the float32 rule, multiply and round half to
even. On the tie-free grid that rule is proved equal to every other one, so
what training sees is what every runtime computes.

The gradient is that of rounding left out (Bengio, Leonard, Courville 2013,
"Estimating or propagating gradients through stochastic neurons").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lenet_edge.quantized.lookup import OUTPUT_SCALING, reference_table
from lenet_edge.quantized.model import (
    Conv2d,
    FullyConnected,
    Lookup,
    QTensor,
    Weighted,
)
from lenet_edge.quantized.ordinary import ordinary_scales, to_ordinary
from lenet_edge.quantized.requantize import multipliers
from lenet_edge.quantized.tie_free import LARGEST_WEIGHT, to_grid

__all__ = ["IMAGE", "FakeQuantizedLayer", "FakeQuantizedLookup", "Grid", "LayerScales", "round_through"]

Grid: TypeAlias = Literal["tie-free", "ordinary"]

IMAGE = QTensor((28, 28, 1), float(np.float32(1 / 255)), -128)
"""The image as it enters: int8 = uint8 - 128, so ``u`` is the pixel itself."""


class _RoundThrough(torch.autograd.Function):
    @staticmethod
    def forward(_context: Any, value: Tensor) -> Tensor:
        return value.round()

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:
        return gradient


def round_through(value: Tensor) -> Tensor:
    """Round half to even; the gradient passes unchanged."""
    result: Tensor = _RoundThrough.apply(value)  # type: ignore[no-untyped-call]
    return result


@dataclass(frozen=True)
class LayerScales:
    """What is frozen of a layer with weights.

    Attributes:
        input, output: scale and zero point; shapes NHWC without the batch.
        clamp_min: the lower int8 bound: the zero point where a ReLU follows.
        weight_scales: float32 ``[channels]``.
        q: int64 ``[channels]`` on the tie-free grid, else None.
    """

    input: QTensor
    output: QTensor
    clamp_min: int
    weight_scales: np.ndarray
    q: np.ndarray | None


class FakeQuantizedLayer(nn.Module):
    """A convolution or linear layer on integers: ``u_in [n, ...] -> u_out [n, ...]``."""

    def __init__(self, name: str, real: nn.Conv2d | nn.Linear, grid: Grid, *, relu: bool) -> None:
        super().__init__()
        self.name = name
        self.real = real
        self.grid = grid
        self.relu = relu
        self.scales: LayerScales | None = None
        self.weight_scales: Tensor
        self.multiplier: Tensor
        self.register_buffer("weight_scales", torch.ones(len(real.weight)), persistent=False)
        self.register_buffer("multiplier", torch.ones(len(real.weight)), persistent=False)
        self.largest_output = 0.0  # of the last batch, in real units, before the clamp
        self.smallest_output = 0.0

    def set_scales(self, scales: LayerScales) -> None:
        """Take scales into use, with the float32 multipliers that the runtimes derive from them."""
        self.scales = scales
        device = self.real.weight.device
        by = multipliers(self.to_layer())
        self.weight_scales = torch.from_numpy(scales.weight_scales.copy()).to(device)
        self.multiplier = torch.from_numpy(by.float32.copy()).to(device)

    @property
    def even(self) -> int:
        """The step between neighbouring weights: 2 on the tie-free grid."""
        return 2 if self.grid == "tie-free" else 1

    def integer_parameters(self) -> tuple[Tensor, Tensor]:
        """(weights, bias) as float32 tensors that hold integers."""
        assert self.scales is not None
        steps = self.even * self.weight_scales.double()
        shape = (-1,) + (1,) * (self.real.weight.ndim - 1)
        limit = 127 // self.even
        weights = round_through(self.real.weight.double() / steps.view(shape)).clamp(-limit, limit)
        assert self.real.bias is not None
        bias = round_through(self.real.bias.double() / (self.scales.input.scale * steps))
        return (self.even * weights).float(), (self.even * bias).float()

    def forward(self, u: Tensor) -> Tensor:
        assert self.scales is not None
        weights, bias = self.integer_parameters()
        if isinstance(self.real, nn.Conv2d):
            accumulator = F.conv2d(u, weights, bias, self.real.stride, self.real.padding)
            multiplier = self.multiplier.view(1, -1, 1, 1)
        else:
            accumulator = F.linear(u, weights, bias)
            multiplier = self.multiplier
        output = accumulator * multiplier
        if self.training:
            self.largest_output = float(output.detach().max()) * self.scales.output.scale
            self.smallest_output = float(output.detach().min()) * self.scales.output.scale
        zero_point = self.scales.output.zero_point
        return round_through(output).clamp(self.scales.clamp_min - zero_point, 127 - zero_point)

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """NHWC output shape, without the batch, for an input of that shape."""
        if isinstance(self.real, nn.Linear):
            return (self.real.out_features,)
        kernel, padding, stride = (
            _pair(value) for value in (self.real.kernel_size, self.real.padding, self.real.stride)
        )
        height, width = ((shape[i] + 2 * padding[i] - kernel[i]) // stride[i] + 1 for i in (0, 1))
        return height, width, self.real.out_channels

    def project(self) -> None:
        """Pull weights back that have left the range of the frozen grid, so that nothing is clipped silently."""
        limit = (LARGEST_WEIGHT + 0.5 if self.grid == "tie-free" else 127.25) * self.weight_scales
        shape = (-1,) + (1,) * (self.real.weight.ndim - 1)
        with torch.no_grad():
            self.real.weight.clamp_(-limit.view(shape), limit.view(shape))

    def _real_parameters(self) -> tuple[np.ndarray, np.ndarray]:
        """(weights, bias) as float64, OHWI or OI; a first linear layer's columns stay in (c, h, w) order."""
        assert self.real.bias is not None
        weights = self.real.weight.detach().cpu().double().numpy()
        if weights.ndim == 4:
            weights = weights.transpose(0, 2, 3, 1)
        return np.ascontiguousarray(weights), self.real.bias.detach().cpu().double().numpy()

    def fit_scales(self, source: QTensor, output: QTensor, clamp_min: int) -> LayerScales:
        """Scales for the weights as they are now."""
        weights, bias = self._real_parameters()
        if self.grid == "ordinary":
            return LayerScales(source, output, clamp_min, ordinary_scales(weights), None)
        channels = to_grid(weights, bias, source.scale, output.scale)
        return LayerScales(source, output, clamp_min, channels.weight_scales, channels.q)

    def to_layer(self, columns: tuple[int, ...] | None = None) -> Weighted:
        """The frozen layer.

        Args:
            columns: the ``(h, w, c)`` of a map that was flattened in front of this
                layer: PyTorch flattens in (c, h, w) order, the chip in (h, w, c).

        Raises:
            BadInputError: a weight does not fit the frozen grid.
        """
        scales = self.scales
        assert scales is not None
        weights, bias = self._real_parameters()
        if columns is not None:
            height, width, depth = columns
            weights = weights.reshape(-1, depth, height, width).transpose(0, 2, 3, 1).reshape(len(weights), -1)
        if self.grid == "tie-free":
            channels = to_grid(weights, bias, scales.input.scale, scales.output.scale, scales.q)
            integers, integer_bias = channels.weights, channels.bias
        else:
            integers, integer_bias = to_ordinary(weights, bias, scales.input.scale, scales.weight_scales)
        common = (self.name, scales.input, scales.output, integers, integer_bias, scales.weight_scales)
        if isinstance(self.real, nn.Linear):
            return FullyConnected(*common, clamp_min=scales.clamp_min)
        padding: Literal["same", "valid"] = "same" if any(_pair(self.real.padding)) else "valid"
        return Conv2d(*common, stride=_pair(self.real.stride), padding=padding, clamp_min=scales.clamp_min)


def _pair(value: Any) -> tuple[int, int]:
    return (int(value[0]), int(value[1]))


class FakeQuantizedLookup(nn.Module):
    """Sigmoid or tanh by its table: ``u_in -> u_out``; the gradient is that of the function."""

    def __init__(self, name: str, function: Literal["sigmoid", "tanh"]) -> None:
        super().__init__()
        self.name = name
        self.function = function
        self.input: QTensor | None = None
        self.table: Tensor
        self.register_buffer("table", torch.zeros(256), persistent=False)

    @property
    def output(self) -> QTensor:
        assert self.input is not None
        scale, zero_point = OUTPUT_SCALING[self.function]
        return QTensor(self.input.shape, scale, zero_point)

    def set_input(self, tensor: QTensor) -> None:
        """Take the table for an input of that scale and zero point into use."""
        self.input = tensor
        centred = reference_table(self.function, tensor).astype(np.float32) - self.output.zero_point
        self.table = torch.from_numpy(centred).to(self.table.device)

    def forward(self, u: Tensor) -> Tensor:
        assert self.input is not None
        exact = self.table[(u.detach() + (self.input.zero_point + 128)).long()]
        smooth = torch.tanh if self.function == "tanh" else torch.sigmoid
        approximate = smooth(u * self.input.scale) / self.output.scale
        return approximate + (exact - approximate).detach()

    def to_layer(self) -> Lookup:
        """The frozen table."""
        assert self.input is not None
        return Lookup(self.name, self.input, self.output, self.function, reference_table(self.function, self.input))
