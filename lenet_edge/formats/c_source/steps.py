"""The steps of the generated C: what one function computes at once. `fusing` makes them of a model's layers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

from lenet_edge.quantized.model import (
    ELEMENTWISE,
    AveragePool2d,
    Constant,
    Conv2d,
    DepthwiseConv2d,
    FullyConnected,
    Layer,
    Lookup,
    MaxPool2d,
    Pool2d,
    QTensor,
    Rescale,
    Softmax,
    Weighted,
    dilation_of,
    groups_of,
    macs,
    positions,
    window_size,
)

__all__ = ["Source", "Step", "Windows", "gaps_problem", "windows_of"]

Source: TypeAlias = int | Constant
"""What a step reads: the output of the step of that index, an input of the model (-1 the first), or a constant."""


@dataclass(frozen=True)
class Windows:
    """The geometry of a layer with windows, as ``le_windows`` in le_kernels.h has it; (vertical, horizontal).

    Attributes:
        window, stride: of the convolution, or of the pooling by itself.
        pool: positions of the convolution in a pooling window; (1, 1) without pooling.
        step: input pixels from one output position to the next.
        padding: above and to the left.
        patch: input pixels that one output position spans.
    """

    window: tuple[int, int]
    stride: tuple[int, int]
    pool: tuple[int, int]
    step: tuple[int, int]
    padding: tuple[int, int]
    patch: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Step:
    """One call of the generated code: a layer, with those around it that it takes in.

    Attributes:
        layer: the layer; where it took in a `Pad`, that is its padding and its input.
        pool: the max-pooling computed in front of the requantisation, or None.
        clamp: (smallest, largest) int8 of the output.
        inputs, output: the tensors of the step.
        reads: where the inputs come from, in their order.
        names: of the layers that the step computes, in the model's order.
        shows: the layer whose output in the model this is; None where a pooling moved in front of an activation table,
            and of a copy to the model's outputs.
        placed: which of its inputs need not be moved, as they are computed where they belong in its output.
        ahead: the depthwise convolution that is computed with the layer, a 1x1 convolution, by bands of rows (`bands`):
            `inputs` and `reads` are its own; or None.
        rule: by which it rounds, as `QuantizedModel.rounding` has it.
    """

    layer: Layer
    pool: MaxPool2d | None
    clamp: tuple[int, int]
    inputs: tuple[QTensor, ...]
    output: QTensor
    reads: tuple[Source, ...]
    names: tuple[str, ...]
    shows: str | None
    placed: frozenset[int] = frozenset()
    rule: str = "tflm"
    ahead: Step | None = None

    @property
    def input(self) -> QTensor:
        """The first of the inputs: the only one of most layers."""
        return self.inputs[0]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of an inference."""
        return macs(self.layer) + (0 if self.ahead is None else self.ahead.macs)

    @property
    def windows(self) -> Windows:
        """Of its first layer, which has some: what its output sees of its input."""
        layer = self.layer if self.ahead is None else self.ahead.layer
        assert isinstance(layer, (Conv2d, DepthwiseConv2d, MaxPool2d, AveragePool2d))
        return windows_of(layer, self.pool)

    @property
    def output_bytes(self) -> int:
        return math.prod(self.output.shape)

    @property
    def input_bytes(self) -> int:
        return math.prod(self.input.shape)

    @property
    def in_place(self) -> bool:
        """Whether the C function can write its output over an input: each value depends on those at its place."""
        if isinstance(self.layer, ELEMENTWISE):
            return all(tensor.shape == self.output.shape for tensor in self.inputs)
        return isinstance(self.layer, (Lookup, Rescale, Softmax))


def windows_of(layer: Conv2d | DepthwiseConv2d | Pool2d, pool: MaxPool2d | None = None) -> Windows:
    """The windows of a layer that takes in `pool`."""
    window, pooled, pool_stride = window_size(layer), (1, 1), (1, 1)
    if pool is not None:
        pooled, pool_stride = pool.window, pool.stride
    padding = [before for _, before, _ in positions(layer)]
    span = [(taps - 1) * gap + 1 for taps, gap in zip(window, dilation_of(layer), strict=True)]
    down, across = range(2)
    return Windows(
        window=window,
        stride=layer.stride,
        pool=pooled,
        step=(layer.stride[down] * pool_stride[down], layer.stride[across] * pool_stride[across]),
        padding=(padding[down], padding[across]),
        patch=(
            (pooled[down] - 1) * layer.stride[down] + span[down],
            (pooled[across] - 1) * layer.stride[across] + span[across],
        ),
    )


def gaps_problem(layer: Weighted) -> str:
    """What only le_dilated.h has: windows with gaps, or channels in groups; empty for all other layers."""
    if isinstance(layer, FullyConnected):
        return ""
    if layer.dilation != (1, 1):
        return "its windows are dilated"
    return "its channels are in groups" if isinstance(layer, Conv2d) and groups_of(layer) > 1 else ""
