"""The network on int8: its forward pass computes the integers of the chip, its backward pass is straight-through.

Activations are float32 tensors that hold integers, ``u = integer - zero_point``.
Weights and biases are rounded to their grid, so that every product and every
partial sum of a convolution is an integer below 2^24, which float32 holds
exactly; the requantisation is the float32 rule, multiply and round half to
even. On the tie-free grid that rule is proved equal to every other one, so
what training sees is what every runtime computes.

The steps of the network have one interface, `Step`: on integers, on real numbers, and the layer of the model that each
becomes.

The gradient is computed as if there were no rounding (Bengio, Leonard, Courville 2013,
"Estimating or propagating gradients through stochastic neurons").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lenet_edge.learning.qat_step import Activation, Columns, Grid
from lenet_edge.learning.qat_weights import QatWeights
from lenet_edge.quantized.lookup import OUTPUT_SCALING, reference_table, universal_scale
from lenet_edge.quantized.model import Conv2d, Flatten, FullyConnected, Lookup, MaxPool2d, QTensor, Weighted
from lenet_edge.quantized.ordinary import ordinary_scales, to_ordinary
from lenet_edge.quantized.requantize import multipliers
from lenet_edge.quantized.tie_free import LARGEST_WEIGHT, smallest_output_scale, to_grid

__all__ = [
    "FakeQuantizedFlatten",
    "FakeQuantizedLayer",
    "FakeQuantizedLookup",
    "FakeQuantizedPool",
    "LayerScales",
    "round_through",
]


_SMOOTHING = 0.98  # of the running average of batch maxima
_SMALLEST_REACH = 1e-6
# Beyond it int8 sigmoid or tanh is at its first or last value: logit(0.5 / 256) = -6.24, artanh(1 - 0.5 / 128) = 3.12.
_REACH = {"sigmoid": 6.3, "tanh": 3.2}
_LOGIT_HEADROOM = 1.05


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
    """A convolution or linear layer on integers: ``u_in [n, ...] -> u_out [n, ...]``; a ReLU after it is its clamp."""

    columns: Columns = None

    def __init__(self, name: str, module: nn.Conv2d | nn.Linear, grid: Grid, activation: Activation) -> None:
        """Args:
        module: the float layer, whose weights are trained.
        activation: what follows it.
        """
        super().__init__()
        self.name = name
        self.module = module
        self.grid = grid
        self.activation = activation
        self.reach: float | None = None  # largest real output, in magnitude where both signs count
        self.scales: LayerScales | None = None
        self.weight_scales: Tensor
        self.multiplier: Tensor
        self.register_buffer("weight_scales", torch.ones(len(module.weight)), persistent=False)
        self.register_buffer("multiplier", torch.ones(len(module.weight)), persistent=False)
        self.largest_output = 0.0  # of the last batch, in real units, before the clamp
        self.smallest_output = 0.0

    def real(self, values: Tensor) -> Tensor:
        return self._activated(self.module(values))

    def observe(self, values: Tensor) -> Tensor:
        outputs = self.module(values)
        self._observe(float(outputs.max()), float(outputs.min()))
        return self._activated(outputs)

    def observe_batch(self) -> None:
        """Add the batch that `forward` just saw to the range."""
        self._observe(self.largest_output, self.smallest_output)

    def _activated(self, outputs: Tensor) -> Tensor:
        return outputs.relu() if self.activation == "relu" else outputs

    def _observe(self, largest: float, smallest: float) -> None:
        reach = largest if self.activation == "relu" else max(largest, -smallest)
        before = reach if self.reach is None else self.reach
        self.reach = _SMOOTHING * before + (1 - _SMOOTHING) * reach

    def fit(self, source: QTensor) -> None:
        output = self._output_scaling(source)
        weights, bias = self._real_parameters()
        if self.grid == "ordinary":
            self._set(LayerScales(source, output, self._clamp_min(output), ordinary_scales(weights), None))
        else:
            channels = to_grid(weights, bias, source.scale, output.scale)
            self._set(LayerScales(source, output, self._clamp_min(output), channels.weight_scales, channels.q))

    def take(self, source: QTensor, frozen: QatWeights) -> None:
        output = QTensor(self._output_shape(source.shape), *frozen.outputs[self.name])
        scales, q = frozen.weight_scales[self.name], frozen.q.get(self.name)
        self._set(LayerScales(source, output, self._clamp_min(output), scales, q))

    @property
    def output(self) -> QTensor:
        assert self.scales is not None
        return self.scales.output

    def _clamp_min(self, output: QTensor) -> int:
        return output.zero_point if self.activation == "relu" else -128

    def _output_scaling(self, source: QTensor) -> QTensor:
        """The output tensor: its shape, and the scale that its range asks for."""
        assert self.reach is not None
        reach = max(self.reach, _SMALLEST_REACH)
        if self.activation == "relu":
            scale, zero_point = reach / 255, -128
        elif self.activation is not None:
            scale, zero_point = min(reach, _REACH[self.activation]) / 127, 0
        else:
            scale, zero_point = reach * _LOGIT_HEADROOM / 127, 0
        if self.grid == "tie-free":  # the widest weight must fit at q = 1
            scale = max(scale, smallest_output_scale(float(self.module.weight.detach().abs().max()), source.scale))
        if self.activation in ("sigmoid", "tanh"):
            scale = universal_scale(self.activation, scale, zero_point)
        return QTensor(self._output_shape(source.shape), float(np.float32(scale)), zero_point)

    def _set(self, scales: LayerScales) -> None:
        """Take scales into use, with the float32 multipliers that the runtimes derive from them."""
        self.scales = scales
        device = self.module.weight.device
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
        shape = (-1,) + (1,) * (self.module.weight.ndim - 1)
        limit = 127 // self.even
        weights = round_through(self.module.weight.double() / steps.view(shape)).clamp(-limit, limit)
        assert self.module.bias is not None
        bias = round_through(self.module.bias.double() / (self.scales.input.scale * steps))
        return (self.even * weights).float(), (self.even * bias).float()

    def forward(self, u: Tensor) -> Tensor:
        assert self.scales is not None
        weights, bias = self.integer_parameters()
        if isinstance(self.module, nn.Conv2d):
            accumulator = F.conv2d(u, weights, bias, self.module.stride, self.module.padding)
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

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """NHWC output shape, without the batch, for an input of that shape."""
        if isinstance(self.module, nn.Linear):
            return (self.module.out_features,)
        kernel, padding, stride = (
            _pair(value) for value in (self.module.kernel_size, self.module.padding, self.module.stride)
        )
        height, width = ((shape[i] + 2 * padding[i] - kernel[i]) // stride[i] + 1 for i in (0, 1))
        return height, width, self.module.out_channels

    def project(self) -> None:
        """Pull weights back that have left the range of the frozen grid, so that nothing is clipped silently."""
        limit = (LARGEST_WEIGHT + 0.5 if self.grid == "tie-free" else 127.25) * self.weight_scales
        shape = (-1,) + (1,) * (self.module.weight.ndim - 1)
        with torch.no_grad():
            self.module.weight.clamp_(-limit.view(shape), limit.view(shape))

    def _real_parameters(self) -> tuple[np.ndarray, np.ndarray]:
        """(weights, bias) as float64, OHWI or OI; a first linear layer's columns stay in (c, h, w) order."""
        assert self.module.bias is not None
        weights = self.module.weight.detach().cpu().double().numpy()
        if weights.ndim == 4:
            weights = weights.transpose(0, 2, 3, 1)
        return np.ascontiguousarray(weights), self.module.bias.detach().cpu().double().numpy()

    def to_layer(self, columns: Columns = None) -> Weighted:
        """As `Step.to_layer`; `BadInputError` where a weight does not fit the frozen grid."""
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
        if isinstance(self.module, nn.Linear):
            return FullyConnected(*common, clamp_min=scales.clamp_min)
        padding: Literal["same", "valid"] = "same" if any(_pair(self.module.padding)) else "valid"
        return Conv2d(*common, stride=_pair(self.module.stride), padding=padding, clamp_min=scales.clamp_min)


def _pair(value: Any) -> tuple[int, int]:
    return (int(value[0]), int(value[1]))


class FakeQuantizedLookup(nn.Module):
    """Sigmoid or tanh by its table: ``u_in -> u_out``; the gradient is that of the function."""

    columns: Columns = None

    def __init__(self, name: str, function: Literal["sigmoid", "tanh"]) -> None:
        super().__init__()
        self.name = name
        self.function = function
        self.input: QTensor | None = None
        self.table: Tensor
        self.register_buffer("table", torch.zeros(256), persistent=False)

    def real(self, values: Tensor) -> Tensor:
        return torch.tanh(values) if self.function == "tanh" else torch.sigmoid(values)

    observe = real

    def fit(self, source: QTensor) -> None:
        """Take the table for an input of that scale and zero point into use."""
        self.input = source
        centred = reference_table(self.function, source).astype(np.float32) - self.output.zero_point
        self.table = torch.from_numpy(centred).to(self.table.device)

    def take(self, source: QTensor, _frozen: QatWeights) -> None:
        self.fit(source)

    @property
    def output(self) -> QTensor:
        assert self.input is not None
        scale, zero_point = OUTPUT_SCALING[self.function]
        return QTensor(self.input.shape, scale, zero_point)

    def forward(self, u: Tensor) -> Tensor:
        assert self.input is not None
        exact = self.table[(u.detach() + (self.input.zero_point + 128)).long()]
        approximate = self.real(u * self.input.scale) / self.output.scale
        return approximate + (exact - approximate).detach()

    def to_layer(self, _columns: Columns = None) -> Lookup:
        assert self.input is not None
        return Lookup(self.name, self.input, self.output, self.function, reference_table(self.function, self.input))


class FakeQuantizedPool(nn.Module):
    """2x2 max-pooling, exact on integers."""

    columns: Columns = None

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.input: QTensor | None = None

    def forward(self, u: Tensor) -> Tensor:
        return F.max_pool2d(u, 2)

    def real(self, values: Tensor) -> Tensor:
        return F.max_pool2d(values, 2)

    observe = real

    def fit(self, source: QTensor) -> None:
        self.input = source

    def take(self, source: QTensor, _frozen: QatWeights) -> None:
        self.input = source

    @property
    def output(self) -> QTensor:
        assert self.input is not None
        height, width, channels = self.input.shape
        return QTensor((height // 2, width // 2, channels), self.input.scale, self.input.zero_point)

    def to_layer(self, _columns: Columns = None) -> MaxPool2d:
        assert self.input is not None
        return MaxPool2d(self.name, self.input, self.output, (2, 2), (2, 2))


class FakeQuantizedFlatten(nn.Module):
    """A map as a vector."""

    def __init__(self, name: str = "flatten") -> None:
        super().__init__()
        self.name = name
        self.input: QTensor | None = None

    @property
    def columns(self) -> Columns:
        assert self.input is not None
        return self.input.shape

    def forward(self, u: Tensor) -> Tensor:
        return u.flatten(1)

    def real(self, values: Tensor) -> Tensor:
        return values.flatten(1)

    observe = real

    def fit(self, source: QTensor) -> None:
        self.input = source

    def take(self, source: QTensor, _frozen: QatWeights) -> None:
        self.input = source

    @property
    def output(self) -> QTensor:
        assert self.input is not None
        return QTensor((int(np.prod(self.input.shape)),), self.input.scale, self.input.zero_point)

    def to_layer(self, _columns: Columns = None) -> Flatten:
        assert self.input is not None
        return Flatten(self.name, self.input, self.output)
