"""Conv, Gemm and MatMul with constant int8 weights."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lenet_edge.formats.onnx.reader.builder import tensor_of
from lenet_edge.formats.onnx.reader.graph import Array, printable
from lenet_edge.formats.onnx.reader.step import Step
from lenet_edge.formats.onnx.reader.values import Constant, Integers, Pending, Quantized, Scaling, Value
from lenet_edge.formats.onnx.reader.windows import Windows, windows_of
from lenet_edge.quantized.layers import (
    Conv2d,
    DepthwiseConv2d,
    Float32Array,
    FullyConnected,
    Int8Array,
    Int32Array,
    Layer,
)

__all__ = ["conv", "gemm", "matmul"]

_INT32 = np.iinfo(np.int32)
_SAME = 1e-6  # relative: a product of two scales, taken in float32 or in double
_ZERO_POINTS = {"int8": 0, "uint8": 128}


@dataclass(frozen=True, eq=False)
class _Weights:
    """int8 weights as the file has them, and their scale for each channel, float32 ``[channels]``."""

    values: Int8Array
    scales: Float32Array
    one_scale: bool


def _weights(step: Step, position: int, channel_axis: int) -> _Weights:
    """The weights, output channels along `channel_axis`."""
    value, name = step.value(position), printable(step.node.input(position))
    if not isinstance(value, Quantized):
        what = "float" if isinstance(value, Constant) else "computed"
        raise step.refuse(
            f"its weights {name!r} are {what}; constant int8 weights behind DequantizeLinear are supported"
        )
    expected = _ZERO_POINTS.get(value.element)
    if expected is None:
        raise step.refuse(f"its weights {name!r} are {value.element}; quantise them to int8")
    if (value.zero_points != expected).any():
        raise step.refuse(
            f"its {value.element} weights {name!r} have zero points other than {expected}: quantise them symmetrically "
            "(onnxruntime: weight_type=QuantType.QInt8, or WeightSymmetric in extra_options)"
        )
    channels = value.integers.shape[channel_axis]
    if value.axis is not None and value.axis != channel_axis:
        raise step.refuse(f"its weights {name!r} have scales along axis {value.axis}, not one for each output channel")
    scales = np.broadcast_to(value.scales.reshape(-1), (channels,)).astype(np.float32)
    return _Weights(value.integers.astype(np.int8), scales, value.axis is None)


def _bias(step: Step, value: Value | None, scales: Array, name: str) -> Int32Array:
    """The bias in units of the accumulator, whose scale is `scales` (float64 ``[channels]``)."""
    if value is None:
        return np.zeros(len(scales), np.int32)
    if isinstance(value, Quantized):
        if (value.zero_points != 0).any() and value.element == "int32":
            raise step.refuse(f"its bias {name!r} has a zero point that is not 0")
        given = np.broadcast_to(np.asarray(value.scales, np.float64).reshape(-1), (value.scales.size,))
        if value.element == "int32" and (np.abs(given / scales - 1) <= _SAME).all():
            return _as_int32(step, _per_channel(step, value.integers, len(scales), name), name)
        real = value.real
    elif isinstance(value, Constant) and value.array.dtype.kind == "f":
        real = value.array
    else:
        raise step.refuse(f"its bias {name!r} must be a constant, float or int32 behind DequantizeLinear")
    steps = _per_channel(step, real, len(scales), name).astype(np.float64) / scales
    return _as_int32(step, np.rint(steps), name)


def _per_channel(step: Step, array: Array, channels: int, name: str) -> Array:
    flat = array.reshape(-1)
    if flat.size not in (1, channels):
        raise step.refuse(f"its bias {name!r} has shape {list(array.shape)} for {channels} channels")
    return np.broadcast_to(flat, (channels,))


def _as_int32(step: Step, steps: Array, name: str) -> Int32Array:
    if not (np.abs(steps.astype(np.float64)) <= _INT32.max).all():
        raise step.refuse(f"its bias {name!r} does not fit in int32 at the scale of its accumulator")
    return steps.astype(np.int32)


def _accumulator_scales(x: Integers, weights: _Weights) -> Array:
    return np.float64(x.scaling.scale) * weights.scales.astype(np.float64)


# --- Conv -----------------------------------------------------------------------------------------


def conv(step: Step) -> None:
    """Conv over two axes, grouped or not."""
    x, weights = step.integers(), _weights(step, 1, 0)
    if weights.values.ndim != 4:
        raise step.refuse(f"its weights have {weights.values.ndim} axes; convolutions over two axes are supported")
    channels, per_group, *window = weights.values.shape
    if step.attribute("kernel_shape", window) != window:
        raise step.refuse(
            f"its kernel_shape is {step.attribute('kernel_shape', window)[:8]} for weights {weights.values.shape}"
        )
    groups = step.attribute("group", 1)
    if len(x.shape) == 3 and (groups < 1 or per_group * groups != x.shape[0] or channels % groups):
        raise step.refuse(f"weights {weights.values.shape} in {groups} groups on {x.shape[0]} channels")
    windows = windows_of(step, tuple(window), x.shape)
    bias = _bias(step, step.value(2), _accumulator_scales(x, weights), printable(step.node.input(2)))
    step.give(_convolution(step, x, weights, bias, windows))


def _convolution(step: Step, x: Integers, weights: _Weights, bias: Int32Array, windows: Windows) -> Pending:
    shape = (len(bias), *windows.outputs)

    def finish(scaling: Scaling, bounds: tuple[float, float]) -> Integers:
        builder = step.builder
        place, padding = windows.padded(step, builder.place_of(x, step.name), x.scaling.zero_point)
        output = tensor_of((*windows.outputs, len(bias)), scaling)
        arrays = (bias, weights.scales, windows.stride, padding, *builder.clamp(bounds, scaling), windows.dilation)
        source, values = builder.tensor(place), weights.values
        layer: Layer
        if values.shape[1] == 1 and source.shape[2] > 1:
            stored = np.ascontiguousarray(values[:, 0].transpose(1, 2, 0))
            layer = DepthwiseConv2d(step.name, source, output, stored, *arrays)
        else:
            stored = np.ascontiguousarray(values.transpose(0, 2, 3, 1))
            layer = Conv2d(step.name, source, output, stored, *arrays)
        return builder.usual(builder.add(layer, place), shape, scaling)

    def biased(more: Array) -> Pending:
        total = _added(step, bias, more, x, weights, 3)
        return _convolution(step, x, weights, total, windows)

    return step.pending(shape, finish, biased=biased)


def _added(step: Step, bias: Int32Array, more: Array, x: Integers, weights: _Weights, axes: int) -> Int32Array:
    """The bias with a constant that is added behind; channels are its axis before the last ones of a map."""
    channel_axis = axes - 1
    lengths = [size for axis, size in enumerate(more.shape[::-1]) if axis != channel_axis]
    if any(size != 1 for size in lengths):
        raise step.refuse(f"a constant of shape {list(more.shape)} is added to it, which is not one for each channel")
    addend = _bias(step, Constant(np.asarray(more, np.float32)), _accumulator_scales(x, weights), step.name)
    return _as_int32(step, bias.astype(np.int64) + addend, step.name)


# --- matrices -------------------------------------------------------------------------------------


def gemm(step: Step) -> None:
    """Gemm: a matrix with a bias."""
    for name, expected in (("alpha", 1.0), ("beta", 1.0), ("transA", 0)):
        if step.attribute(name, expected) != expected:
            raise step.refuse(f"its {name} is {step.attribute(name, expected)}; {expected:g} is supported")
    transposed = bool(step.attribute("transB", 0))
    weights = _weights(step, 1, 0 if transposed else 1)
    _matrix(step, weights if transposed else replace(weights, values=weights.values.T), step.value(2))


def matmul(step: Step) -> None:
    """MatMul by a constant matrix; an Add behind it is its bias."""
    value = step.value(1)
    if isinstance(value, Quantized) and value.integers.ndim != 2:
        raise step.refuse(f"its matrix has shape {value.integers.shape}; one of two axes is supported")
    weights = _weights(step, 1, 1)
    _matrix(step, replace(weights, values=weights.values.T), None)


def _matrix(step: Step, weights: _Weights, bias: Value | None) -> None:
    x = step.integers()
    if weights.values.ndim != 2 or len(x.shape) != 1 or weights.values.shape[1] != x.shape[0]:
        raise step.refuse(f"weights {weights.values.shape} on an input of shape {x.shape}, batch aside")
    integers = _bias(step, bias, _accumulator_scales(x, weights), printable(step.node.input(2)))
    step.give(_fully_connected(step, x, weights, integers))


def _fully_connected(step: Step, x: Integers, weights: _Weights, bias: Int32Array) -> Pending:
    def finish(scaling: Scaling, bounds: tuple[float, float]) -> Integers:
        builder = step.builder
        place, flat = builder.flat(x, step.name)
        stored = np.empty_like(weights.values)
        stored[:, flat.index.reshape(-1)] = weights.values
        output = tensor_of((len(bias),), scaling)
        clamp = builder.clamp(bounds, scaling)
        arrays = (np.ascontiguousarray(stored), bias, weights.scales)
        source = builder.tensor(place)
        layer = FullyConnected(step.name, source, output, *arrays, *clamp, per_channel=not weights.one_scale)
        return builder.usual(builder.add(layer, place), (len(bias),), scaling)

    def biased(more: Array) -> Pending:
        return _fully_connected(step, x, weights, _added(step, bias, more, x, weights, 1))

    return step.pending((len(bias),), finish, biased=biased)
