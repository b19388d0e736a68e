"""`QuantizedModel`: a chain of int8 layers with everything that an engine needs to run them.

Conventions, the same as TFLite's int8 specification: a real value is
``scale * (integer - zero_point)``; activations are int8 in NHWC order without
the batch; convolution weights are OHWI; weights have zero point 0 and one scale
per output channel; a bias is int32 with scale ``input scale * weight scale``.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = [
    "AveragePool2d",
    "Conv2d",
    "DepthwiseConv2d",
    "Flatten",
    "FullyConnected",
    "Layer",
    "Lookup",
    "MaxPool2d",
    "Pool2d",
    "QTensor",
    "QuantizedModel",
    "Softmax",
    "Weighted",
    "accumulator_bounds",
    "channel_weights",
    "expected_output_shape",
    "input_ranges",
    "macs",
    "window_padding",
    "window_size",
]

Int8Array: TypeAlias = npt.NDArray[np.int8]
Int32Array: TypeAlias = npt.NDArray[np.int32]
Int64Array: TypeAlias = npt.NDArray[np.int64]
Float32Array: TypeAlias = npt.NDArray[np.float32]
Padding: TypeAlias = Literal["same", "valid"]

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
        weights: int8 ``[out_channels, kernel_h, kernel_w, in_channels]``.
        bias: int32 ``[out_channels]``.
        weight_scales: float32 ``[out_channels]``.
        stride: (vertical, horizontal).
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
    padding: Padding = "valid"
    clamp_min: int = INT8_MIN
    clamp_max: int = INT8_MAX


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
    padding: Padding = "valid"
    clamp_min: int = INT8_MIN
    clamp_max: int = INT8_MAX


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
    padding: Padding = "valid"
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


Weighted: TypeAlias = Conv2d | DepthwiseConv2d | FullyConnected
Pool2d: TypeAlias = MaxPool2d | AveragePool2d
Layer: TypeAlias = Weighted | Pool2d | Lookup | Flatten | Softmax
WEIGHTED = (Conv2d, DepthwiseConv2d, FullyConnected)


@dataclass(frozen=True, eq=False)
class QuantizedModel:
    """A chain of layers, frozen: what every exporter, engine and firmware consumes.

    Two models are equal when their layers and scales are: metadata (arch, class
    names, the names of layers) says nothing about the integers.
    """

    layers: tuple[Layer, ...]
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "metadata", MappingProxyType(dict(self.metadata)))
        for layer in self.layers:
            for value in vars(layer).values():
                if isinstance(value, np.ndarray):
                    value.setflags(write=False)

    @property
    def input(self) -> QTensor:
        """The image: shape ``[h, w, c]``, scale, zero point."""
        return self.layers[0].input

    @property
    def output(self) -> QTensor:
        """The last layer's output; `meaning.meaning_of` says what it stands for."""
        return self.layers[-1].output

    def with_metadata(self, **entries: Any) -> QuantizedModel:
        """The same layers with these metadata entries added."""
        return replace(self, metadata={**self.metadata, **entries})

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over `canonical_bytes`: names the model in every artefact."""
        return hashlib.sha256(canonical_bytes(self)).hexdigest()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, QuantizedModel):
            return NotImplemented
        return self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)


def canonical_bytes(model: QuantizedModel) -> bytes:
    """The layers and scales in one unambiguous byte form: each field as name, kind, sizes, little-endian values."""
    parts = [b"lenet-edge quantized model 1\n"]
    for layer in model.layers:
        parts.append(_text(type(layer).__name__))
        for key, value in sorted(vars(layer).items()):
            if key != "name":
                parts += [_text(key), _canonical(value)]
    return b"".join(parts)


def _canonical(value: Any) -> bytes:
    if isinstance(value, QTensor):
        return b"Q" + _canonical(value.shape) + struct.pack("<fi", value.scale, value.zero_point)
    if isinstance(value, np.ndarray):
        data = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<"))
        return b"A" + _text(data.dtype.name) + _canonical(data.shape) + data.tobytes()
    if isinstance(value, str):
        return b"S" + _text(value)
    if isinstance(value, tuple):
        return b"T" + struct.pack(f"<I{len(value)}q", len(value), *value)
    if isinstance(value, (bool, int)):
        return b"I" + struct.pack("<q", value)
    return b"F" + struct.pack("<f", value)


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<I", len(data)) + data


# --- what follows from a layer's fields -------------------------------------------------------


def window_padding(size: int, window: int, stride: int, padding: Padding) -> tuple[int, int, int]:
    """Output size and padding of one spatial axis.

    TFLite's rule (``ComputePaddingHeightWidth``, kernels/padding.h): for "same"
    the output is ``ceil(size / stride)``, and of an odd total the larger half
    comes after.

    Returns:
        (output size, padding before, padding after).
    """
    if padding == "valid":
        return (size - window) // stride + 1, 0, 0
    out = -(-size // stride)
    total = max((out - 1) * stride + window - size, 0)
    return out, total // 2, total - total // 2


def window_size(layer: Conv2d | DepthwiseConv2d | Pool2d) -> tuple[int, int]:
    """(vertical, horizontal) size of the layer's window."""
    if isinstance(layer, Conv2d):
        return layer.weights.shape[1], layer.weights.shape[2]
    if isinstance(layer, DepthwiseConv2d):
        return layer.weights.shape[0], layer.weights.shape[1]
    return layer.window


def expected_output_shape(layer: Layer) -> tuple[int, ...]:
    """The output shape that follows from the layer's input and parameters."""
    shape = layer.input.shape
    if isinstance(layer, Flatten):
        return (math.prod(shape),)
    if isinstance(layer, FullyConnected):
        return (layer.weights.shape[0],)
    if isinstance(layer, (Conv2d, DepthwiseConv2d, MaxPool2d, AveragePool2d)):
        window = window_size(layer)
        height = window_padding(shape[0], window[0], layer.stride[0], layer.padding)[0]
        width = window_padding(shape[1], window[1], layer.stride[1], layer.padding)[0]
        channels = len(layer.bias) if isinstance(layer, (Conv2d, DepthwiseConv2d)) else shape[2]
        return height, width, channels
    return shape


def macs(layer: Layer) -> int:
    """Multiply-accumulates of one inference of the layer, padded positions included."""
    if isinstance(layer, FullyConnected):
        return int(layer.weights.size)
    if isinstance(layer, (Conv2d, DepthwiseConv2d)):
        positions = layer.output.shape[0] * layer.output.shape[1]
        return int(layer.weights.size) * positions
    return 0


def channel_weights(layer: Weighted) -> Int64Array:
    """The weights as int64 ``[out_channels, weights of that channel]``."""
    weights = layer.weights.astype(np.int64)
    if isinstance(layer, DepthwiseConv2d):
        return weights.reshape(-1, weights.shape[-1]).T
    return weights.reshape(len(weights), -1)


def input_ranges(model: QuantizedModel) -> list[tuple[int, int]]:
    """For each layer the smallest and largest int8 that can reach it, for any int8 image."""
    ranges, low, high = [], INT8_MIN, INT8_MAX
    for layer in model.layers:
        ranges.append((low, high))
        if isinstance(layer, WEIGHTED):
            low, high = layer.clamp_min, layer.clamp_max
        elif isinstance(layer, (MaxPool2d, AveragePool2d)):
            low, high = (min(max(bound, layer.clamp_min), layer.clamp_max) for bound in (low, high))
        elif isinstance(layer, Lookup):
            reachable = layer.table[low + 128 : high + 129]
            low, high = int(reachable.min()), int(reachable.max())
        elif isinstance(layer, Softmax):
            low, high = INT8_MIN, INT8_MAX
    return ranges


def accumulator_bounds(layer: Weighted, low: int = INT8_MIN, high: int = INT8_MAX) -> tuple[Int64Array, Int64Array]:
    """Smallest and largest accumulator (bias included) of each channel for inputs in ``low..high``.

    A padded position contributes 0, so for "same" padding the range of an
    input is widened to hold its zero point.

    Returns:
        (minimum, maximum), int64 ``[out_channels]`` each; both are reached when
        the inputs of a window are free to take any value in the range.
    """
    below, above = low - layer.input.zero_point, high - layer.input.zero_point
    if not isinstance(layer, FullyConnected) and layer.padding == "same":
        below, above = min(below, 0), max(above, 0)
    weights = channel_weights(layer)
    positive, negative = np.maximum(weights, 0).sum(axis=1), np.minimum(weights, 0).sum(axis=1)
    bias = layer.bias.astype(np.int64)
    return positive * below + negative * above + bias, positive * above + negative * below + bias
