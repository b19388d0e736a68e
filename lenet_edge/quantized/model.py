"""`QuantizedModel`: int8 layers and what each of them reads, with everything that an engine needs to run them.

The layers themselves are those of `layers.py`; they come in order, and most models are chains: each layer reads the
one before.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from lenet_edge.quantized import canonical
from lenet_edge.quantized.layers import (
    ELEMENTWISE,
    INT8_MAX,
    INT8_MIN,
    WEIGHTED,
    Add,
    AveragePool2d,
    Concatenate,
    Constant,
    Conv2d,
    DepthwiseConv2d,
    Elementwise,
    Flatten,
    Float32Array,
    FullyConnected,
    Int8Array,
    Int32Array,
    Int64Array,
    Layer,
    Lookup,
    Margins,
    MaxPool2d,
    Mean,
    Multiply,
    Pad,
    Padding,
    Pool2d,
    QTensor,
    Rescale,
    Reshape,
    Slice,
    Softmax,
    Subtract,
    Transpose,
    Weighted,
    clamp_of,
    groups_of,
    inputs_of,
)

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
    "QuantizedModel",
    "Rescale",
    "Reshape",
    "Slice",
    "Softmax",
    "Subtract",
    "Transpose",
    "Weighted",
    "accumulator_bounds",
    "channel_weights",
    "clamp_of",
    "dilation_of",
    "expected_output_shape",
    "groups_of",
    "input_ranges",
    "inputs_of",
    "last_uses",
    "macs",
    "output_ranges",
    "positions",
    "window_padding",
    "window_size",
]


@dataclass(frozen=True, eq=False)
class QuantizedModel:
    """Layers in order and what each of them reads, frozen: what every exporter, engine and firmware consumes.

    Two models are equal when their layers, their wiring and scales are: metadata
    (arch, class names, the names of layers) says nothing about the integers.

    Attributes:
        layers: in an order in which they can be computed.
        metadata: what else is known about the model.
        reads: for each layer, in the order of its operands, the indices of the layers that it reads; -1 is the
            model's first input, -2 its second. Without it the model is a chain.
        results: the indices of the layers whose outputs the model gives. Without it that is the last layer.
        rounding: for each layer the name of the rule by which it rounds; without it all are TFLM's. See `like`.
    """

    layers: tuple[Layer, ...]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    reads: tuple[tuple[int, ...], ...] = ()
    results: tuple[int, ...] = ()
    rounding: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "metadata", MappingProxyType(dict(self.metadata)))
        object.__setattr__(self, "reads", self.reads or _chain(len(self.layers)))
        object.__setattr__(self, "results", self.results or (len(self.layers) - 1,))
        for layer in self.layers:
            for value in vars(layer).values():
                if isinstance(value, np.ndarray):
                    value.setflags(write=False)

    @cached_property
    def inputs(self) -> tuple[QTensor, ...]:
        """The tensors that the model takes: of an image classifier one, ``[h, w, c]``."""
        found = {
            source: tensor
            for layer, sources in zip(self.layers, self.reads, strict=True)
            for source, tensor in zip(sources, inputs_of(layer), strict=True)
            if source < 0
        }
        return tuple(found[source] for source in sorted(found, reverse=True))

    @property
    def outputs(self) -> tuple[QTensor, ...]:
        """The tensors that the model gives."""
        return tuple(self.layers[index].output for index in self.results)

    @property
    def input(self) -> QTensor:
        """What the model takes; several inputs lie one behind the other, flat, with the scaling of the first."""
        first, *others = self.inputs
        return _joined(self.inputs) if others else first

    @property
    def output(self) -> QTensor:
        """What the model gives, several outputs one behind the other; `meaning.meaning_of` says what it stands for."""
        first, *others = self.outputs
        return _joined(self.outputs) if others else first

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


def _chain(count: int) -> tuple[tuple[int, ...], ...]:
    """Each of `count` layers reads the one before."""
    return tuple((index - 1,) for index in range(count))


def _is_chain(model: QuantizedModel) -> bool:
    """Whether each layer reads the one before, and the last is what the model gives."""
    return model.reads == _chain(len(model.layers)) and model.results == (len(model.layers) - 1,)


def _joined(tensors: tuple[QTensor, ...]) -> QTensor:
    return QTensor((sum(math.prod(tensor.shape) for tensor in tensors),), tensors[0].scale, tensors[0].zero_point)


def last_uses(model: QuantizedModel) -> list[int]:
    """For each layer the index of the last that reads its output; the number of layers where the model gives it."""
    uses = list(range(len(model.layers)))
    for index, sources in enumerate(model.reads):
        for source in sources:
            if source >= 0:
                uses[source] = index
    for index in model.results:
        uses[index] = len(model.layers)
    return uses


def canonical_bytes(model: QuantizedModel) -> bytes:
    """The layers and scales in one unambiguous byte form; what is not usual follows: the wiring, the rounding."""
    content = canonical.of_layers(model.layers)
    if not _is_chain(model):
        content += canonical.of_wiring(model.reads, model.results)
    return content + (canonical.of_names("rounding", model.rounding) if model.rounding else b"")


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
    """The output shape that follows from the layer's inputs and parameters; of a `Reshape` or `Mean` the one it has."""
    if isinstance(layer, Constant):
        return layer.values.shape
    if isinstance(layer, ELEMENTWISE):
        return tuple(np.broadcast_shapes(*(tensor.shape for tensor in layer.inputs)))
    if isinstance(layer, Concatenate):
        along = sum(tensor.shape[layer.axis] for tensor in layer.inputs)
        first = layer.inputs[0].shape
        return (*first[: layer.axis], along, *first[layer.axis + 1 :])
    shape = layer.input.shape
    if isinstance(layer, Flatten):
        return (math.prod(shape),)
    if isinstance(layer, FullyConnected):
        return (layer.weights.shape[0],)
    if isinstance(layer, Pad):
        return tuple(sum(sizes) for sizes in zip(layer.before, shape, layer.after, strict=True))
    if isinstance(layer, Transpose):
        return tuple(shape[axis] for axis in layer.order)
    if isinstance(layer, (Conv2d, DepthwiseConv2d, MaxPool2d, AveragePool2d)):
        height, width = (size for size, _, _ in positions(layer))
        return height, width, len(layer.bias) if isinstance(layer, (Conv2d, DepthwiseConv2d)) else shape[2]
    return layer.output.shape if isinstance(layer, (Reshape, Mean, Slice)) else shape


def positions(layer: Conv2d | DepthwiseConv2d | Pool2d) -> list[tuple[int, int, int]]:
    """For the vertical and the horizontal axis (output size, padding before, padding after)."""
    spans = [(taps - 1) * gap + 1 for taps, gap in zip(window_size(layer), dilation_of(layer), strict=True)]
    axes = zip(layer.input.shape[:2], spans, layer.stride, strict=True)
    if isinstance(layer.padding, str):
        return [window_padding(size, span, stride, layer.padding) for size, span, stride in axes]
    return [
        (window_padding(before + size + after, span, stride, "valid")[0], before, after)
        for (before, after), (size, span, stride) in zip(layer.padding, axes, strict=True)
    ]


def dilation_of(layer: Conv2d | DepthwiseConv2d | Pool2d) -> tuple[int, int]:
    """(vertical, horizontal) distance of neighbouring taps of the layer's window; (1, 1) of a pooling."""
    return layer.dilation if isinstance(layer, (Conv2d, DepthwiseConv2d)) else (1, 1)


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


def output_ranges(model: QuantizedModel) -> list[tuple[int, int]]:
    """For each layer the smallest and largest int8 that it can give, for any int8 image."""
    ranges: list[tuple[int, int]] = []
    for layer, sources in zip(model.layers, model.reads, strict=True):
        ranges.append(_output_range(layer, *_hull(ranges, sources)))
    return ranges


def input_ranges(model: QuantizedModel) -> list[tuple[int, int]]:
    """For each layer the smallest and largest int8 that can reach it, for any int8 image."""
    ranges = output_ranges(model)
    return [_hull(ranges, sources) for sources in model.reads]


def _hull(ranges: list[tuple[int, int]], sources: tuple[int, ...]) -> tuple[int, int]:
    """The range that holds those of all `sources`; all of int8 where one is an input of the model, or there is none."""
    if not sources or min(sources) < 0:
        return INT8_MIN, INT8_MAX
    lows, highs = zip(*(ranges[source] for source in sources), strict=True)
    return min(lows), max(highs)


def _output_range(layer: Layer, low: int, high: int) -> tuple[int, int]:
    """What a layer can give where its inputs are in ``low..high``."""
    if isinstance(layer, (*WEIGHTED, *ELEMENTWISE)):
        return layer.clamp_min, layer.clamp_max
    if isinstance(layer, (MaxPool2d, AveragePool2d)):
        low, high = (min(max(bound, layer.clamp_min), layer.clamp_max) for bound in (low, high))
        return low, high
    if isinstance(layer, (Lookup, Rescale, Constant)):
        reachable = layer.values if isinstance(layer, Constant) else layer.table[low + 128 : high + 129]
        return int(reachable.min()), int(reachable.max())
    if isinstance(layer, Pad):
        return min(low, layer.value), max(high, layer.value)
    if isinstance(layer, (Softmax, Mean)):
        return INT8_MIN, INT8_MAX
    return low, high


def accumulator_bounds(layer: Weighted, low: int = INT8_MIN, high: int = INT8_MAX) -> tuple[Int64Array, Int64Array]:
    """Smallest and largest accumulator (bias included) of each channel for inputs in ``low..high``.

    A padded position contributes 0, so where there is padding the range of an
    input is widened to hold its zero point.

    Returns:
        (minimum, maximum), int64 ``[out_channels]`` each; both are reached when
        the inputs of a window are free to take any value in the range.
    """
    below, above = low - layer.input.zero_point, high - layer.input.zero_point
    if not isinstance(layer, FullyConnected) and layer.padding != "valid":
        below, above = min(below, 0), max(above, 0)
    weights = channel_weights(layer)
    positive, negative = np.maximum(weights, 0).sum(axis=1), np.minimum(weights, 0).sum(axis=1)
    bias = layer.bias.astype(np.int64)
    return positive * below + negative * above + bias, positive * above + negative * below + bias
