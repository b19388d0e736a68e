"""The integer reference engine: runs a `QuantizedModel` under any rounding rule.

Accumulators are sums of integers computed by a floating-point matrix product
whose operands and partial sums are all integers that the float type holds
exactly, so the order of the sum does not matter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lenet_edge.quantized.elementwise import elementwise
from lenet_edge.quantized.layers import split
from lenet_edge.quantized.lookup import table_by_rule
from lenet_edge.quantized.mean import mean
from lenet_edge.quantized.model import (
    Add,
    AveragePool2d,
    Concatenate,
    Constant,
    Conv2d,
    DepthwiseConv2d,
    Flatten,
    FullyConnected,
    Int8Array,
    Int64Array,
    Layer,
    Lookup,
    MaxPool2d,
    Mean,
    Multiply,
    Pad,
    Pool2d,
    QuantizedModel,
    Rescale,
    Reshape,
    Slice,
    Softmax,
    Subtract,
    Transpose,
    Weighted,
    channel_weights,
    dilation_of,
    last_uses,
    positions,
    window_size,
)
from lenet_edge.quantized.requantize import requantize
from lenet_edge.quantized.rescale import rescaled
from lenet_edge.quantized.runtimes import REFERENCE, UNKNOWN, RuntimeRules
from lenet_edge.quantized.softmax import softmax

__all__ = ["accumulators", "given_inputs", "layer_output", "layer_outputs", "quantize_images", "run"]

_BATCH = 252  # images at a time, at most. A multiple of four: see `float_mean`
_WINDOWS_BYTES = 64 << 20  # about what the windows of a batch may take where the maps are large


def quantize_images(images: npt.NDArray[np.uint8]) -> Int8Array:
    """Pixels uint8 ``[n, h, w]``, or RGB ``[n, h, w, 3]``, to int8 ``[n, h, w, c]``: ``pixel - 128``, no float."""
    integers = (images ^ 0x80).view(np.int8)
    return integers[..., np.newaxis] if images.ndim == 3 else integers


def run(model: QuantizedModel, images: Int8Array, rules: RuntimeRules | None = None) -> Int8Array:
    """The model's outputs.

    Args:
        model: the model.
        images: int8 ``[n, h, w, c]``, or of another shape that the model takes; of several inputs ``[n, values]``, one
            behind the other.
        rules: the rounding rules to use; without them the model's own, which are TFLM's unless it says otherwise
            (`QuantizedModel.rounding`). A layer whose rule is unknown (`unknown_layers`) takes TFLM's.

    Returns:
        int8 ``[n, outputs]``, as every engine gives them: a shape such as ``[1, 1, 10]`` or ``[5, 5, 2]`` is made flat,
        and several outputs lie one behind the other.
    """
    outputs = [np.empty((0, math.prod(model.output.shape)), np.int8)]
    at_once = _images_at_once(model)
    for start in range(0, len(images), at_once):
        batch = images[start : start + at_once]
        found = {}
        for index, values in enumerate(layer_outputs(model, batch, rules)):
            if index in model.results:
                found[index] = values.reshape(len(batch), -1)
        outputs.append(np.concatenate([found[index] for index in model.results], axis=1))
    return np.concatenate(outputs)


def _images_at_once(model: QuantizedModel) -> int:
    """How many images go through the model together: a multiple of four, and what fits `_WINDOWS_BYTES`."""
    windows = [
        math.prod(layer.output.shape[:2]) * math.prod(window_size(layer)) * layer.input.shape[2]
        for layer in model.layers
        if isinstance(layer, (Conv2d, DepthwiseConv2d, Pool2d))
    ]
    fit = _WINDOWS_BYTES // (8 * max([1, *windows]))
    return min(_BATCH, max(4, fit // 4 * 4))


def layer_outputs(model: QuantizedModel, images: Int8Array, rules: RuntimeRules | None = None) -> Iterator[Int8Array]:
    """The output of each layer in turn, int8 ``[n, *layer.output.shape]``; `rules` as of `run`."""
    given, uses = given_inputs(model, images), last_uses(model)
    values: dict[int, Int8Array] = {}
    for index, (layer, sources) in enumerate(zip(model.layers, model.reads, strict=True)):
        operands = [given[-1 - source] if source < 0 else values[source] for source in sources]
        if isinstance(layer, Constant):
            operands = [images]  # it only asks how many there are
        if rules is None and model.rounding:
            values[index] = _RUN[type(layer)](layer, *operands, model.rounding[index])
        else:
            values[index] = layer_output(layer, operands, rules or REFERENCE)
        yield values[index]
        for source in {*sources, index}:
            if source >= 0 and uses[source] <= index:
                del values[source]


def layer_output(layer: Layer, operands: Sequence[Int8Array], rules: RuntimeRules = REFERENCE) -> Int8Array:
    """What one layer makes of its operands, int8 ``[n, ...]`` each; of a `Constant` any array with n of something."""
    output: Int8Array = _RUN[type(layer)](rules.as_clamped(layer), *operands, _rule(layer, rules))
    return output


def _rule(layer: Layer, rules: RuntimeRules) -> str:
    rule = rules.for_layer(layer)
    return REFERENCE.for_layer(layer) if rule == UNKNOWN else rule


def given_inputs(model: QuantizedModel, images: Int8Array) -> list[Int8Array]:
    """The arrays for the model's inputs; several come one behind the other, int8 ``[n, values]``."""
    if len(model.inputs) == 1:
        return [images]
    parts = split(images.reshape(len(images), -1), model.inputs)
    return [part.reshape(len(images), *tensor.shape) for part, tensor in zip(parts, model.inputs, strict=True)]


def accumulators(layer: Weighted, values: Int8Array) -> Int64Array:
    """The layer's accumulators, bias included, int64 ``[n, *layer.output.shape]``."""
    centred = values.astype(np.int64) - layer.input.zero_point
    weights = channel_weights(layer)
    bound = np.abs(weights).sum(axis=1).max() * max(127 - layer.input.zero_point, 128 + layer.input.zero_point)
    # Every partial sum is an integer of at most that bound, so the float type must hold such integers.
    exact_type = np.float32 if bound < 2**24 else np.float64
    if isinstance(layer, FullyConnected):
        sums = centred.astype(exact_type) @ weights.T.astype(exact_type)
    elif isinstance(layer, Conv2d):
        sums = _grouped(layer, _windows(centred.astype(exact_type), layer, 0), weights.T.astype(exact_type))
    else:
        repeated = np.repeat(centred.astype(exact_type), weights.shape[0] // centred.shape[-1], axis=-1)
        columns = _windows(repeated, layer, 0)
        sums = np.einsum("nyxijc,ijc->nyxc", columns, layer.weights.astype(exact_type))
    return sums.astype(np.int64) + layer.bias


def _grouped(layer: Conv2d, columns: npt.NDArray[Any], weights: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The products of windows ``[n, y, x, i, j, channels]`` and weights ``[inputs, out_channels]``, group by group."""
    channels = layer.weights.shape[3]
    groups = columns.shape[-1] // channels
    outputs = weights.shape[1] // groups
    # Two matrices: with more dimensions numpy makes a product for each row of the map, which takes far longer.
    parts = [
        columns[..., group * channels : (group + 1) * channels].reshape(-1, len(weights))
        @ weights[:, group * outputs : (group + 1) * outputs]
        for group in range(groups)
    ]
    sums = parts[0] if groups == 1 else np.concatenate(parts, axis=-1)
    return sums.reshape(*columns.shape[:3], sums.shape[-1])


def _windows(values: npt.NDArray[Any], layer: Conv2d | DepthwiseConv2d | Pool2d, fill: float) -> npt.NDArray[Any]:
    """The windows that the layer sees, ``[n, out_h, out_w, window_h, window_w, channels]``; padding holds `fill`."""
    extent = window_size(layer)
    down, across = dilation_of(layer)
    span = ((extent[0] - 1) * down + 1, (extent[1] - 1) * across + 1)
    pads = [(0, 0), *(position[1:] for position in positions(layer)), (0, 0)]
    padded = np.pad(values, pads, constant_values=fill)
    views = np.lib.stride_tricks.sliding_window_view(padded, span, axis=(1, 2))
    strided = views[:, :: layer.stride[0], :: layer.stride[1], :, ::down, ::across]
    return strided.transpose(0, 1, 2, 4, 5, 3)


# --- one function per layer type: (layer, int8 values of each operand, name of the rule) -> int8 values -----------


def _weighted(layer: Weighted, values: Int8Array, rule: str) -> Int8Array:
    return requantize(accumulators(layer, values), layer, rule).astype(np.int8)


def _max_pool(layer: MaxPool2d, values: Int8Array, _rule: str) -> Int8Array:
    largest = _windows(values, layer, -128).max(axis=(3, 4))
    return np.clip(largest, layer.clamp_min, layer.clamp_max).astype(np.int8)


def _average_pool(layer: AveragePool2d, values: Int8Array, rule: str) -> Int8Array:
    """Integer runtimes round ties away from zero (``AveragePool``, integer_ops/pooling.h)."""
    counts = _windows(np.ones((1, *layer.input.shape), np.int64), layer, 0).sum(axis=(3, 4))
    if rule == "onnxruntime":
        means = _onnxruntime_means(layer, values, counts)
    else:
        sums, half = _windows(values.astype(np.int64), layer, 0).sum(axis=(3, 4)), counts // 2
        means = np.where(sums > 0, (sums + half) // counts, -((half - sums) // counts))
    return np.clip(means, layer.clamp_min, layer.clamp_max).astype(np.int8)


def _onnxruntime_means(layer: AveragePool2d, values: Int8Array, counts: Int64Array) -> Int64Array:
    """ONNX Runtime adds up real values in float32, window row by window row, and divides twice.

    The sum's rounding errors take it off a tie to either side, so the order
    counts. A window that is the whole input is computed differently: an integer
    sum, requantised with one float32 multiplier.

    Source: ``QLinearAveragePool`` (onnxruntime/contrib_ops/cpu/quantization/qlinear_pool.cc) and
    ``MlasQLinearGlobalAveragePoolNchw`` (core/mlas/lib/qlgavgpool.cpp).
    """
    scale, zero_point = np.float32(layer.input.scale), layer.input.zero_point
    if layer.window == layer.input.shape[:2] and layer.output.shape[:2] == (1, 1):
        sums = values.astype(np.int64).sum(axis=(1, 2), keepdims=True) - zero_point * counts
        multiplier = scale / (scale * np.float32(layer.window[0] * layer.window[1]))
        return np.clip(np.rint(sums.astype(np.float32) * multiplier) + zero_point, -128, 127).astype(np.int64)
    real = scale * (values.astype(np.int64) - zero_point).astype(np.float32)
    windows = _windows(real, layer, 0)
    total = np.zeros(windows.shape[:3] + windows.shape[5:], np.float32)
    for row, column in np.ndindex(*layer.window):
        total += windows[:, :, :, row, column]
    steps = total / counts.astype(np.float32) / scale
    return np.clip(np.rint(steps + np.float32(zero_point)), -128, 127).astype(np.int64)


def _lookup(layer: Lookup, values: Int8Array, rule: str) -> Int8Array:
    """The layer's own table is TFLM's; the other runtimes fill in theirs."""
    table = layer.table
    if rule != "tflm":
        table = table_by_rule(rule, layer.function, layer.input.scale, layer.input.zero_point)
    return table[values.astype(np.int64) + 128]


def _reshape(layer: Flatten | Reshape, values: Int8Array, _rule: str) -> Int8Array:
    return values.reshape(len(values), *layer.output.shape)


def _concatenate(layer: Concatenate, *values_and_rule: Any) -> Int8Array:
    *values, _rule = values_and_rule
    return np.concatenate(values, axis=1 + layer.axis)


def _pad(layer: Pad, values: Int8Array, _rule: str) -> Int8Array:
    widths = [(0, 0), *zip(layer.before, layer.after, strict=True)]
    return np.pad(values, widths, constant_values=layer.value)


def _slice(layer: Slice, values: Int8Array, _rule: str) -> Int8Array:
    taken = [
        begin + stride * np.arange(size)
        for begin, stride, size in zip(layer.begin, layer.stride, layer.output.shape, strict=True)
    ]
    return values[np.ix_(np.arange(len(values)), *taken)]


def _transpose(layer: Transpose, values: Int8Array, _rule: str) -> Int8Array:
    return values.transpose(0, *(1 + axis for axis in layer.order))


def _constant(layer: Constant, images: Int8Array, _rule: str) -> Int8Array:
    return np.broadcast_to(layer.values, (len(images), *layer.values.shape))


def _softmax(layer: Softmax, values: Int8Array, rule: str) -> Int8Array:
    return softmax(values, layer.input.scale, layer.beta, rule)


_RUN: dict[type[Layer], Callable[..., Int8Array]] = {
    Conv2d: _weighted,
    DepthwiseConv2d: _weighted,
    FullyConnected: _weighted,
    MaxPool2d: _max_pool,
    AveragePool2d: _average_pool,
    Lookup: _lookup,
    Rescale: rescaled,
    Flatten: _reshape,
    Reshape: _reshape,
    Softmax: _softmax,
    Constant: _constant,
    Add: elementwise,
    Subtract: elementwise,
    Multiply: elementwise,
    Mean: mean,
    Concatenate: _concatenate,
    Pad: _pad,
    Slice: _slice,
    Transpose: _transpose,
}
