"""A layer with weights, or an average, on integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from lenet_edge.errors import BadInputError
from lenet_edge.learning.fake_quantize.few_bits import LearnedSteps, clipped, farthest_sums, with_exact_levels
from lenet_edge.learning.fake_quantize.operation import Operation, Requantization
from lenet_edge.learning.fake_quantize.output_range import OutputRange
from lenet_edge.learning.fake_quantize.rounding import round_through
from lenet_edge.learning.qat_step import Columns, Grid
from lenet_edge.learning.qat_weights import QatWeights
from lenet_edge.networks.description import Activation
from lenet_edge.networks.weight_bits import LEVELS
from lenet_edge.quantized.lookup import is_universal_scale, universal_scale
from lenet_edge.quantized.model import QTensor, Weighted
from lenet_edge.quantized.ordinary import ordinary_scales, to_ordinary
from lenet_edge.quantized.requantize import multipliers
from lenet_edge.quantized.sums import are_related, related_scale
from lenet_edge.quantized.tie_free import (
    EXACT_FLOAT32,
    average_scale,
    grid_scale,
    smallest_exact_scale,
    smallest_output_scale,
    to_grid,
)

__all__ = ["FakeQuantizedLayer", "FarApart", "LayerScales"]

_LARGEST_SUM = 0.95 * EXACT_FLOAT32
_SHRINKS = 20


class FarApart(Exception):  # noqa: N818  # a signal: caught where what it is added to is known
    """A layer reaches so much further than what it is added to that no scales suit both; `scale` is what it needs."""

    def __init__(self, scale: float) -> None:
        super().__init__(scale)
        self.scale = scale


@dataclass(frozen=True)
class LayerScales:
    """What is frozen of a layer with weights.

    Attributes:
        input, output: scale and zero point; shapes NHWC without the batch.
        weight_scales: float32 ``[channels]``.
        q: int64 ``[channels]`` on the tie-free grid, else None.
    """

    input: QTensor
    output: QTensor
    weight_scales: np.ndarray
    q: np.ndarray | None


class FakeQuantizedLayer(nn.Module):
    """An operation on integers, ``u_in [n, ...] -> u_out [n, ...]``; a ReLU or ReLU6 after it is its clamp."""

    columns: Columns = None

    def __init__(self, name: str, operation: Operation, grid: Grid, activation: Activation, bits: int = 8) -> None:
        """Args:
        operation: on the float layer's weights, which are trained.
        activation: what follows it.
        bits: of its weights: 8, on the tie-free grid also 4 or 2.
        """
        super().__init__()
        self.name = name
        self.operation = operation
        self.module = operation.module
        self.grid = grid
        self.activation = activation
        self.range = OutputRange(activation)
        self.scales: LayerScales | None = None
        self.levels = LEVELS[bits] if grid == "tie-free" else 127  # the largest weight, in steps
        few = bits < 8 and not operation.averages
        self.learned = LearnedSteps(operation.weight, self.levels, operation.connected) if few else None
        self.learns = few  # its steps; no longer once scales are frozen
        self.weight_scales: Tensor
        self.multiplier: Tensor
        self.register_buffer("weight_scales", torch.ones(len(operation.weight)), persistent=False)
        self.register_buffer("multiplier", torch.ones(len(operation.weight)), persistent=False)
        self.least = 0.0  # of the output's scale, where it is added to something that reaches much further
        self.largest_output = 0.0  # of the last batch, in real units, before the clamp
        self.smallest_output = 0.0

    def real(self, values: Tensor) -> Tensor:
        return self.range.activated(self._linear(values))

    def observe(self, values: Tensor) -> Tensor:
        outputs = self._linear(values)
        self.range.observe(float(outputs.max()), float(outputs.min()))
        return self.range.activated(outputs)

    def observe_batch(self) -> None:
        """Add the batch that `forward` just saw to the range."""
        self.range.observe(self.largest_output, self.smallest_output)

    def _linear(self, values: Tensor) -> Tensor:
        return self.operation.on(values, self.operation.weight, self.operation.bias)

    def fit(self, source: QTensor, partners: Sequence[float] = (), base: float = 0.0) -> None:
        weights, bias = self.operation.real_weights(), self.operation.real_bias()
        output, q = self._output_scaling(source), None
        if self.grid == "ordinary":
            self._set(LayerScales(source, output, ordinary_scales(weights), None))
            return
        if self.operation.averages:
            output, q = self._average_scaling(source, output, partners)
        elif partners or base:
            scale = related_scale(output.scale, partners, base)
            if not scale:
                raise FarApart(output.scale)
            output = QTensor(output.shape, scale, output.zero_point)
        if self.learned is not None:
            self._set(self._learned_scales(source, output))
            return
        channels = to_grid(weights, bias, source.scale, output.scale, q, _farthest(source))
        self._set(LayerScales(source, output, channels.weight_scales, channels.q))

    def _learned_scales(self, source: QTensor, output: QTensor) -> LayerScales:
        assert self.learned is not None
        q = self.learned.q(source.scale, output.scale).cpu().numpy().astype(np.int64)
        weights, bias = self.operation.real_weights(), self.operation.real_bias()
        q = with_exact_levels(q, weights, bias, self.levels, (source, output.scale))
        scales = np.array([grid_scale(source.scale, output.scale, int(each)) for each in q], np.float32)
        return LayerScales(source, output, scales, q)

    def follow_steps(self) -> None:
        """Between two fits: take the q of the steps as they are now, to float32's rounding."""
        if self.learned is None or not self.learns:
            return
        assert self.scales is not None
        source, output = self.scales.input.scale, self.scales.output.scale
        q = self.learned.q(source, output)
        self.weight_scales, self.multiplier = output / (2 * source * q), 1 / (2 * q)

    def take(self, source: QTensor, frozen: QatWeights) -> None:
        output = QTensor(self.operation.output_shape, *frozen.outputs[self.name])
        scales, q = frozen.weight_scales[self.name], frozen.q.get(self.name)
        self._set(LayerScales(source, output, scales, q))

    @property
    def output(self) -> QTensor:
        assert self.scales is not None
        return self.scales.output

    def _output_scaling(self, source: QTensor) -> QTensor:
        """The output tensor: its shape, and the scale that its range asks for."""
        is_positive = bool(self.operation.averages) and source.zero_point == -128
        scale, zero_point = self.range.scaling(is_positive=is_positive)
        scale = max(scale, self.least)
        if self.grid == "tie-free" and not self.operation.averages:  # the widest weight must fit at q = 1
            scale = max(scale, self._narrowest(source))
        if self.activation in ("sigmoid", "tanh"):
            scale = universal_scale(self.activation, scale, zero_point)
        return QTensor(self.operation.output_shape, float(np.float32(scale)), zero_point)

    def _narrowest(self, source: QTensor) -> float:
        """The output scale below which not even q = 1 holds the weights, or keeps accumulators below 2^24.

        The latter only counts where outputs reach next to nothing, as behind a ReLU that lets nothing through.
        """
        weights, bias = self.operation.real_weights(), self.operation.real_bias()
        exact = smallest_exact_scale(weights, bias, source.scale, _farthest(source))
        if self.learned is not None:
            return max(self.learned.widest() * source.scale, exact)
        return max(smallest_output_scale(float(np.abs(weights).max()), source.scale), exact)

    def _average_scaling(
        self, source: QTensor, output: QTensor, partners: Sequence[float]
    ) -> tuple[QTensor, np.ndarray]:
        """The next scale at which one even weight is exactly the average, and the q of all channels."""

        def suits(scale: float) -> bool:
            if self.activation in ("sigmoid", "tanh"):
                return is_universal_scale(self.activation, scale, output.zero_point)
            return are_related(scale, partners)

        found = average_scale(self.operation.averages, source, output.scale, suits)
        if found is None and partners:
            raise BadInputError(
                f"layer {self.name}: no scale of the average is in proportion to that of what it is added to; put a "
                "convolution of window 1 behind it"
            )
        if found is None:
            raise BadInputError(f"layer {self.name}: an average of so many values is beyond int8; pool in two steps")
        scale, q = found
        return QTensor(output.shape, scale, output.zero_point), np.full(len(self.operation.weight), q, np.int64)

    def _set(self, scales: LayerScales) -> None:
        """Take scales into use, with the float32 multipliers that the runtimes derive from them."""
        self.scales = scales
        device = self.operation.weight.device
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
        weight, bias = self.operation.weight, self.operation.bias
        steps = self.even * self.weight_scales.double()
        if self.learned is not None and self.learns:
            steps = steps * self.learned.unit()
        shape = (-1,) + (1,) * (weight.ndim - 1)
        weights = weight.double() / steps.view(shape)
        if self.learns:  # clipped before it is rounded, so that what is beyond teaches the step and not the weight
            weights = weights.clamp(-self.levels, self.levels)
        weights = round_through(weights).clamp(-self.levels, self.levels)
        rounded_bias = round_through(bias.double() / (self.scales.input.scale * steps))
        return (self.even * weights).float(), (self.even * rounded_bias).float()

    def forward(self, u: Tensor) -> Tensor:
        assert self.scales is not None
        accumulator = self.operation.on(u, *self.integer_parameters())
        multiplier = self.multiplier
        if self.learned is not None and self.learns:
            multiplier = multiplier * self.learned.unit()
        output = accumulator * self.operation.per_channel(multiplier)
        if self.training:
            self.largest_output = float(output.detach().max()) * self.scales.output.scale
            self.smallest_output = float(output.detach().min()) * self.scales.output.scale
        zero_point = self.scales.output.zero_point
        low, high = self.range.clamp(self.scales.output)
        return round_through(output).clamp(low - zero_point, high - zero_point)

    def project(self) -> None:
        """Pull weights back that have left the range of the frozen grid, so that nothing is clipped silently."""
        if self.operation.averages or not self.operation.weight.requires_grad:
            return
        limit = (2 * self.levels + 0.5 if self.grid == "tie-free" else 127.25) * self.weight_scales
        weight = self.operation.weight
        shape = (-1,) + (1,) * (weight.ndim - 1)
        with torch.no_grad():
            weight.clamp_(-limit.view(shape), limit.view(shape))
            if self.grid == "tie-free":
                self._hold_accumulators(weight, shape)

    def _hold_accumulators(self, weight: Tensor, shape: tuple[int, ...]) -> None:
        """Shrink channels whose accumulators could leave what float32 holds exactly; only large layers have such."""
        assert self.scales is not None
        farthest, spread = _farthest(self.scales.input), self.operation.spread
        if spread(weight)[0].numel() * 2 * self.levels * farthest < _LARGEST_SUM:
            return
        if self.learned is None:
            sums = spread(weight).abs().flatten(1).sum(1) / self.weight_scales * farthest
            weight.mul_((_LARGEST_SUM / sums).clamp(max=1).view(shape))
            return
        for _ in range(_SHRINKS):  # of few bits, so many can be rounded up that once is not enough
            levels = (spread(weight) / (2 * self.weight_scales).view(shape)).round().clamp(-self.levels, self.levels)
            sums = farthest_sums(levels.flatten(1), self.scales.input)
            if (sums <= _LARGEST_SUM).all():
                return
            weight.mul_((_LARGEST_SUM / sums).clamp(max=1).view(shape))

    def to_layer(self, columns: Columns = None) -> Weighted:
        """As `Step.to_layer`; `BadInputError` where a weight does not fit the frozen grid."""
        scales = self.scales
        assert scales is not None
        weights, bias = self.operation.real_weights(columns), self.operation.real_bias()
        if self.learned is not None:
            weights = clipped(weights, scales.weight_scales, self.levels)
        if self.grid == "tie-free":
            channels = to_grid(weights, bias, scales.input.scale, scales.output.scale, scales.q)
            integers, integer_bias = channels.weights, channels.bias
        else:
            integers, integer_bias = to_ordinary(weights, bias, scales.input.scale, scales.weight_scales)
        by = Requantization(scales.input, scales.output, scales.weight_scales, *self.range.clamp(scales.output))
        return self.operation.to_layer(self.name, integers, integer_bias, by)


def _farthest(tensor: QTensor) -> int:
    """How far an integer of that tensor can be from its zero point."""
    return max(127 - tensor.zero_point, 128 + tensor.zero_point)
