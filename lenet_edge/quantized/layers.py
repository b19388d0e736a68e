"""The layers of a `QuantizedModel`: one frozen dataclass for each kind, with everything that decides an integer.

Conventions, the same as TFLite's int8 specification: a real value is
``scale * (integer - zero_point)``; activations are int8 in NHWC order without
the batch; convolution weights are OHWI; weights have zero point 0 and one scale
per output channel; a bias is int32 with scale ``input scale * weight scale``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = [
    "ELEMENTWISE",
    "INT8_MAX",
    "INT8_MIN",
    "WEIGHTED",
    "Add",
    "AveragePool2d",
    "Concatenate",
    "Constant",
    "Conv2d",
    "DepthwiseConv2d",
    "Elementwise",
    "Flatten",
    "Float32Array",
    "FullyConnected",
    "Int8Array",
    "Int32Array",
    "Int64Array",
    "Layer",
    "Lookup",
    "Margins",
    "MaxPool2d",
    "Mean",
    "Multiply",
    "Pad",
    "Padding",
    "Pool2d",
    "QTensor",
    "Rescale",
    "Reshape",
    "Slice",
    "Softmax",
    "Subtract",
    "Transpose",
    "Weighted",
    "clamp_of",
    "groups_of",
    "inputs_of",
    "split",
]

Int8Array: TypeAlias = npt.NDArray[np.int8]
Int32Array: TypeAlias = npt.NDArray[np.int32]
Int64Array: TypeAlias = npt.NDArray[np.int64]
Float32Array: TypeAlias = npt.NDArray[np.float32]
Padding: TypeAlias = Literal["same", "valid"]
Margins: TypeAlias = tuple[tuple[int, int], tuple[int, int]]
"""((above, below), (left, right)): padding as it is after the layers of a model were fused; no file has it."""

INT8_MIN, INT8_MAX = -128, 127


@dataclass(frozen=True)
class QTensor:
    """An int8 tensor's shape (NHWC without N) and its scale (a float32 value) and zero point."""

    shape: tuple[int, ...]
    scale: float
    zero_point: int


@dataclass(frozen=True, eq=False)
class Conv2d:
    """2-D convolution, requantised and clamped.

    Attributes:
        weights: int8 ``[out_channels, kernel_h, kernel_w, in_channels]``; where the input has a multiple of these
            channels, that is the number of groups: output channels in as many equal parts, each of which reads its own.
        bias: int32 ``[out_channels]``.
        weight_scales: float32 ``[out_channels]``.
        stride, dilation: (vertical, horizontal).
        padding: "same" or "valid", as TFLite defines them; a padded position holds the zero point.
        clamp_min, clamp_max: int8 bounds of the output; a fused ReLU is ``clamp_min = zero_point``.
    """

    name: str
    input: QTensor
    output: QTensor
    weights: Int8Array
    bias: Int32Array
    weight_scales: Float32Array
    stride: tuple[int, int] = (1, 1)
    padding: Padding | Margins = "valid"
    clamp_min: int = INT8_MIN
    clamp_max: int = INT8_MAX
    dilation: tuple[int, int] = (1, 1)


@dataclass(frozen=True, eq=False)
class DepthwiseConv2d:
    """2-D convolution of each input channel by itself, requantised and clamped.

    Output channel ``c`` reads input channel ``c // multiplier``, where
    ``multiplier = out_channels / in_channels`` (TFLite's depth multiplier).

    Attributes:
        weights: int8 ``[kernel_h, kernel_w, out_channels]``.

    The other attributes are those of `Conv2d`.
    """

    name: str
    input: QTensor
    output: QTensor
    weights: Int8Array
    bias: Int32Array
    weight_scales: Float32Array
    stride: tuple[int, int] = (1, 1)
    padding: Padding | Margins = "valid"
    clamp_min: int = INT8_MIN
    clamp_max: int = INT8_MAX
    dilation: tuple[int, int] = (1, 1)


@dataclass(frozen=True, eq=False)
class FullyConnected:
    """Matrix times vector, requantised and clamped.

    Attributes:
        weights: int8 ``[out_channels, in_channels]``.
        per_channel: False where the file gives one weight scale for the whole
            matrix; LiteRT's built-in kernels then compute the multiplier in
            another order (see `requantize.multipliers`).

    The other attributes are those of `Conv2d`.
    """

    name: str
    input: QTensor
    output: QTensor
    weights: Int8Array
    bias: Int32Array
    weight_scales: Float32Array
    clamp_min: int = INT8_MIN
    clamp_max: int = INT8_MAX
    per_channel: bool = True


@dataclass(frozen=True, eq=False)
class MaxPool2d:
    """Maximum over a window; input and output have one scale and zero point."""

    name: str
    input: QTensor
    output: QTensor
    window: tuple[int, int]
    stride: tuple[int, int]
    padding: Padding | Margins = "valid"
    clamp_min: int = INT8_MIN
    clamp_max: int = INT8_MAX


@dataclass(frozen=True, eq=False)
class AveragePool2d:
    """Mean over a window, rounded; for third-party models, since runtimes round its ties differently."""

    name: str
    input: QTensor
    output: QTensor
    window: tuple[int, int]
    stride: tuple[int, int]
    padding: Padding = "valid"
    clamp_min: int = INT8_MIN
    clamp_max: int = INT8_MAX


@dataclass(frozen=True, eq=False)
class Lookup:
    """An activation function as a table of 256 int8 entries, indexed by ``input + 128``."""

    name: str
    input: QTensor
    output: QTensor
    function: Literal["sigmoid", "tanh"]
    table: Int8Array


@dataclass(frozen=True, eq=False)
class Flatten:
    """``[h, w, c]`` to ``[h * w * c]``; the integers stay as they are."""

    name: str
    input: QTensor
    output: QTensor


@dataclass(frozen=True, eq=False)
class Softmax:
    """Int8 softmax (output scale 1/256, zero point -128); for third-party models."""

    name: str
    input: QTensor
    output: QTensor
    beta: float = 1.0


@dataclass(frozen=True, eq=False)
class Rescale:
    """Every value by itself onto another scale, with a clamp and another slope below zero; a table of 256 entries.

    It stands for QUANTIZE between two scales, for RELU and RELU6 that are not
    fused, and for LEAKY_RELU.

    Attributes:
        operator: the TFLite operator whose arithmetic it is: "QUANTIZE", "RELU", "RELU6", "LEAKY_RELU".
        slope: LEAKY_RELU's factor of negative values (a float32 value); 1 of the others.
        table: TFLM's int8 ``[256]``, indexed by ``input + 128``.
    """

    name: str
    input: QTensor
    output: QTensor
    operator: str
    table: Int8Array
    slope: float = 1.0


@dataclass(frozen=True, eq=False)
class Constant:
    """A tensor that is the same for every image: an operand of another layer."""

    name: str
    output: QTensor
    values: Int8Array


@dataclass(frozen=True, eq=False)
class Add:
    """The sum of two tensors, each rescaled first; requantised and clamped.

    The shapes are equal, or broadcast as numpy does (aligned at the last axis).
    """

    name: str
    inputs: tuple[QTensor, QTensor]
    output: QTensor
    clamp_min: int = INT8_MIN
    clamp_max: int = INT8_MAX


@dataclass(frozen=True, eq=False)
class Subtract:
    """The first tensor minus the second; otherwise as `Add`."""

    name: str
    inputs: tuple[QTensor, QTensor]
    output: QTensor
    clamp_min: int = INT8_MIN
    clamp_max: int = INT8_MAX


@dataclass(frozen=True, eq=False)
class Multiply:
    """The product of two tensors, element by element, requantised and clamped; shapes as of `Add`."""

    name: str
    inputs: tuple[QTensor, QTensor]
    output: QTensor
    clamp_min: int = INT8_MIN
    clamp_max: int = INT8_MAX


@dataclass(frozen=True, eq=False)
class Concatenate:
    """Tensors of one scale and zero point, one behind the other along `axis` (0 is the first axis behind the batch)."""

    name: str
    inputs: tuple[QTensor, ...]
    output: QTensor
    axis: int


@dataclass(frozen=True, eq=False)
class Pad:
    """The tensor with values around it.

    Attributes:
        before, after: how many along each axis, without the batch.
        value: the int8 of each; PAD has the zero point, PADV2 names it.
    """

    name: str
    input: QTensor
    output: QTensor
    before: tuple[int, ...]
    after: tuple[int, ...]
    value: int


@dataclass(frozen=True, eq=False)
class Slice:
    """A part of the tensor: along each axis from `begin` in steps of `stride` (negative: backwards), as many values as
    the output has there."""

    name: str
    input: QTensor
    output: QTensor
    begin: tuple[int, ...]
    stride: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Mean:
    """The mean along `axes` (ascending, 0 is the first behind the batch), requantised; the axes go or stay as 1."""

    name: str
    input: QTensor
    output: QTensor
    axes: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Reshape:
    """Another shape of the same values in the same order; to one axis it is a `Flatten`."""

    name: str
    input: QTensor
    output: QTensor


@dataclass(frozen=True, eq=False)
class Transpose:
    """The axes in another order: axis i of the output is axis ``order[i]`` of the input."""

    name: str
    input: QTensor
    output: QTensor
    order: tuple[int, ...]


Weighted: TypeAlias = Conv2d | DepthwiseConv2d | FullyConnected
Pool2d: TypeAlias = MaxPool2d | AveragePool2d
Elementwise: TypeAlias = Add | Subtract | Multiply
Moved: TypeAlias = Flatten | Reshape | Transpose | Pad | Slice
Layer: TypeAlias = Weighted | Pool2d | Lookup | Rescale | Softmax | Constant | Elementwise | Concatenate | Mean | Moved
WEIGHTED = (Conv2d, DepthwiseConv2d, FullyConnected)
ELEMENTWISE = (Add, Subtract, Multiply)


def inputs_of(layer: Layer) -> tuple[QTensor, ...]:
    """The tensors that the layer reads, in the order of its operands; none of a `Constant`."""
    if isinstance(layer, Constant):
        return ()
    return layer.inputs if isinstance(layer, (*ELEMENTWISE, Concatenate)) else (layer.input,)


def clamp_of(layer: Layer) -> tuple[int, int]:
    """(smallest, largest) int8 that the layer's own clamp lets through."""
    return getattr(layer, "clamp_min", INT8_MIN), getattr(layer, "clamp_max", INT8_MAX)


def groups_of(layer: Conv2d) -> int:
    """In how many groups the convolution has its channels: 1 where each output reads all of them."""
    return layer.input.shape[2] // layer.weights.shape[3]


def split(values: npt.NDArray[Any], tensors: Sequence[QTensor]) -> list[npt.NDArray[Any]]:
    """The values of each of the tensors, ``[n, values]``, of all of them one behind the other."""
    ends = np.cumsum([math.prod(tensor.shape) for tensor in tensors])[:-1]
    return np.split(values, ends, axis=-1)
