"""The sum of two tensors, on integers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lenet_edge.errors import BadInputError
from lenet_edge.learning.fake_quantize.output_range import OutputRange
from lenet_edge.learning.fake_quantize.rounding import round_through
from lenet_edge.learning.qat_step import Columns, Grid
from lenet_edge.learning.qat_weights import QatWeights
from lenet_edge.networks.description import Activation
from lenet_edge.quantized.lookup import is_universal_scale, universal_scale
from lenet_edge.quantized.model import Add, QTensor
from lenet_edge.quantized.sums import smallest_sum_scale, sum_scale

__all__ = ["FakeQuantizedSum"]


class FakeQuantizedSum(nn.Module):
    """Two tensors added, ``(u_1, u_2) -> u_out``; a ReLU or ReLU6 after it is its clamp.

    The sum is computed in float32 as between DequantizeLinear and QuantizeLinear, `elementwise.SUM_RULES`'s "float".
    That is one of the rules that agree on every pair of operands where the scales are without ties (`quantized.sums`).
    """

    columns: Columns = None

    def __init__(self, name: str, shape: tuple[int, ...], grid: Grid, activation: Activation) -> None:
        """Args:
        shape: of the output, NHWC without the batch.
        activation: what follows it.
        """
        super().__init__()
        self.name, self.shape, self.grid, self.activation = name, shape, grid, activation
        self.range = OutputRange(activation)
        self.layer: Add | None = None
        self.least = 0.0  # of the output's scale, where it is added to something that reaches much further
        self.largest_output = 0.0  # of the last batch, in real units, before the clamp
        self.smallest_output = 0.0

    def real(self, first: Tensor, second: Tensor) -> Tensor:
        return self.range.activated(first + second)

    def observe(self, first: Tensor, second: Tensor) -> Tensor:
        outputs = first + second
        self.range.observe(float(outputs.max()), float(outputs.min()))
        return self.range.activated(outputs)

    def observe_batch(self) -> None:
        """Add the batch that `forward` just saw to the range."""
        self.range.observe(self.largest_output, self.smallest_output)

    def fit(self, first: QTensor, second: QTensor, partners: Sequence[float] = ()) -> None:
        scale, zero_point = self.range.scaling(is_positive=first.zero_point == second.zero_point == -128)
        scale = max(scale, self.least, smallest_sum_scale(first, second))

        def suits(scale: float) -> bool:
            squashes = self.activation in ("sigmoid", "tanh")
            return not squashes or is_universal_scale(self.activation, scale, zero_point)  # type: ignore[arg-type]

        if self.grid == "tie-free":
            wanted = self._between(first, second, QTensor(self.shape, scale, zero_point))
            scale = sum_scale(wanted, partners, suits)
        elif not suits(scale):
            scale = universal_scale(self.activation, scale, zero_point)  # type: ignore[arg-type]
        if not scale:
            raise BadInputError(
                f"layer {self.name}: no scale of its output is without ties beside those of what it adds "
                f"({first.scale:.3g} and {second.scale:.3g}); put a convolution of window 1 behind one of its inputs"
            )
        self.layer = self._between(first, second, QTensor(self.shape, _float32(scale), zero_point))

    def take(self, first: QTensor, second: QTensor, frozen: QatWeights) -> None:
        self.layer = self._between(first, second, QTensor(self.shape, *frozen.outputs[self.name]))

    def _between(self, first: QTensor, second: QTensor, output: QTensor) -> Add:
        return Add(self.name, (first, second), output, *self.range.clamp(output))

    @property
    def output(self) -> QTensor:
        assert self.layer is not None
        return self.layer.output

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        layer = self.layer
        assert layer is not None
        by_first, by_second = (tensor.scale for tensor in layer.inputs)
        output = (first * by_first + second * by_second) / layer.output.scale
        if self.training:
            self.largest_output = float(output.detach().max()) * layer.output.scale
            self.smallest_output = float(output.detach().min()) * layer.output.scale
        zero_point = layer.output.zero_point
        return round_through(output).clamp(layer.clamp_min - zero_point, layer.clamp_max - zero_point)

    def to_layer(self, _columns: Columns = None) -> Add:
        assert self.layer is not None
        return self.layer


def _float32(scale: float) -> float:
    return float(torch.tensor(scale, dtype=torch.float32))
