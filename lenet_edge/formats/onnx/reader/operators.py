"""Pools, means, sums, joins and activations: the operators without weights; and the table of all of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Literal

import numpy as np

from lenet_edge.formats.onnx.reader import moves, scales, weighted
from lenet_edge.formats.onnx.reader.builder import tensor_of
from lenet_edge.formats.onnx.reader.step import Step
from lenet_edge.formats.onnx.reader.values import (
    Constant,
    Integers,
    Pending,
    Quantized,
    Real,
    Scaling,
    Tail,
    Value,
    canonical,
    stored_shape,
)
from lenet_edge.formats.onnx.reader.windows import windows_of
from lenet_edge.quantized.layers import (
    Add,
    AveragePool2d,
    Concatenate,
    DepthwiseConv2d,
    Elementwise,
    Lookup,
    MaxPool2d,
    Mean,
    Multiply,
    Subtract,
)
from lenet_edge.quantized.layers import (
    Constant as ConstantLayer,
)
from lenet_edge.quantized.lookup import OUTPUT_SCALING, reference_table
from lenet_edge.quantized.mean import ONNXRUNTIME_GLOBAL
from lenet_edge.quantized.runtimes import UNKNOWN

__all__ = ["OPERATORS"]

_FREE = (-math.inf, math.inf)


# --- pools and means ------------------------------------------------------------------------------


def _max_pool(step: Step) -> None:
    shape, builder = step.shape(), step.builder
    windows = windows_of(step, _window(step, shape), shape)
    if windows.dilation != (1, 1):
        raise step.refuse("a dilated maximum is not supported")
    target = (shape[0], *windows.outputs)

    def apply(x: Integers) -> Integers:
        place, padding = windows.padded(step, builder.place_of(x, step.name), None)
        source = builder.tensor(place)
        output = replace(source, shape=stored_shape(target))
        layer = MaxPool2d(step.name, source, output, windows.window, windows.stride, padding)
        return builder.usual(builder.add(layer, place), target, x.scaling)

    step.unary(apply, target)


def _window(step: Step, shape: tuple[int, ...]) -> tuple[int, ...]:
    if step.node.operator.startswith("Global"):
        return shape[1:]
    return tuple(step.attribute("kernel_shape", []))


def _average_pool(step: Step) -> None:
    x, builder = step.integers(), step.builder
    windows = windows_of(step, _window(step, x.shape), x.shape)
    if windows.dilation != (1, 1):
        raise step.refuse("a dilated mean is not supported")
    padded = any(map(any, windows.pads))
    if windows.is_ceiled and step.attribute("count_include_pad", 0):
        raise step.refuse("what ceil_mode adds is counted by some runtimes and not by others; use explicit pads")
    if padded and not step.attribute("count_include_pad", 0) and windows.padding is None:
        raise step.refuse("its padding, which it does not count, is not that of a runtime; use count_include_pad=1")
    if padded and step.attribute("count_include_pad", 0):
        windows = replace(windows, padding=None)
    target = (x.shape[0], *windows.outputs)

    def finish(scaling: Scaling, bounds: tuple[float, float]) -> Integers:
        place, padding = windows.padded(step, builder.place_of(x, step.name), x.scaling.zero_point)
        source, output = builder.tensor(place), tensor_of(stored_shape(target), scaling)
        extent = (windows.window, windows.stride, padding)
        clamp = builder.clamp(bounds, scaling)
        if scaling == x.scaling:
            layer = AveragePool2d(step.name, source, output, *extent, *clamp)
            return builder.usual(builder.add(layer, place), target, scaling)
        if padding == "same":
            raise step.refuse("it changes the scale and does not count its padding; use count_include_pad=1")
        return _scaled_average(step, place, target, scaling, (windows.window, windows.stride), clamp)

    step.give(step.pending(target, finish, natural=x.scaling))


def _scaled_average(
    step: Step,
    place: int,
    shape: tuple[int, ...],
    scaling: Scaling,
    extent: tuple[tuple[int, int], tuple[int, int]],
    clamp: tuple[int, int],
) -> Integers:
    """A mean onto another scale: a MEAN over a whole map, or a convolution of ones."""
    builder = step.builder
    source, output = builder.tensor(place), tensor_of(stored_shape(shape), scaling)
    if shape[1:] == (1, 1) and extent[0] == source.shape[:2] and clamp == (-128, 127):
        whole = step.node.operator == "GlobalAveragePool"
        layer = Mean(step.name, source, output, (0, 1))
        return builder.usual(builder.add(layer, place, rule=ONNXRUNTIME_GLOBAL if whole else ""), shape, scaling)
    channels, ones = shape[0], np.ones((*extent[0], shape[0]), np.int8)
    weight_scales = np.full(channels, 1 / math.prod(extent[0]), np.float32)
    arrays = (ones, np.zeros(channels, np.int32), weight_scales, extent[1])
    pooled = DepthwiseConv2d(step.name, source, output, *arrays, "valid", *clamp)
    # ONNX Runtime's optimiser makes a QLinearAveragePool of it, whose ties are its own.
    return builder.usual(builder.add(pooled, place, rule=UNKNOWN), shape, scaling)


def _reduce_mean(step: Step) -> None:
    x, builder = step.integers(), step.builder
    axes = step.integers_of(1, "axes", "axes")
    if axes is None:
        raise step.refuse("it takes the mean of everything, the batch too")
    axes = sorted(axis - 1 + (len(x.shape) + 1 if axis < 0 else 0) for axis in axes)
    if not axes or axes[0] < 0 or axes[-1] >= len(x.shape) or len(set(axes)) != len(axes):
        raise step.refuse(f"its axes are {[axis + 1 for axis in axes]}; all but the batch are supported")
    kept = step.attribute("keepdims", 1)
    target = tuple(1 if axis in axes else size for axis, size in enumerate(x.shape) if kept or axis not in axes)
    if not target:
        raise step.refuse("it takes the mean of everything")
    stored_axes = tuple(sorted((2, 0, 1)[axis] for axis in axes)) if len(x.shape) == 3 else tuple(axes)

    def finish(scaling: Scaling, bounds: tuple[float, float]) -> Integers:
        place = builder.place_of(x, step.name)
        source = builder.tensor(place)
        sizes = [1 if axis in stored_axes else size for axis, size in enumerate(source.shape)]
        shape = tuple(size for axis, size in enumerate(sizes) if kept or axis not in stored_axes)
        layer = Mean(step.name, source, tensor_of(shape, scaling), stored_axes)
        order = canonical(target)
        if len(target) == 2 < len(x.shape) and 0 not in axes:  # the channels are left, and lie last here
            order = np.arange(math.prod(shape)).reshape(shape).T
        found = Integers(builder.add(layer, place), order, scaling)
        return builder.clamped(found, bounds, step.name)

    step.give(step.pending(target, finish, natural=x.scaling))


# --- sums and joins -------------------------------------------------------------------------------

_TWO: Mapping[str, Callable[..., Elementwise]] = {"Add": Add, "Sub": Subtract, "Mul": Multiply}


def _elementwise(step: Step) -> None:
    values = step.value(0), step.value(1)
    if all(isinstance(value, Constant) for value in values):
        moves.fold(step)
        return
    if step.node.operator == "Add" and _as_bias(step, values):
        return
    names = step.node.inputs
    places = [_operand(step, value, name) for value, name in zip(values, names, strict=False) if value is not None]
    axes = max(len(step.builder.tensor(place).shape) for place in places)
    if any(len(step.builder.tensor(place).shape) != axes for place in places):
        raise step.refuse("its inputs have different numbers of axes; reshape one")
    shapes = [step.builder.tensor(place).shape for place in places]
    try:
        stored = tuple(np.broadcast_shapes(*shapes))
    except ValueError:
        raise step.refuse(f"its inputs have the shapes {shapes}, which do not fit each other") from None
    target = (stored[-1], *stored[:-1]) if axes == 3 else stored

    def finish(scaling: Scaling, bounds: tuple[float, float]) -> Integers:
        builder, operator = step.builder, step.node.operator
        first, second = (builder.tensor(place) for place in places)
        clamp = builder.clamp(bounds, scaling)
        layer = _TWO[operator](step.name, (first, second), tensor_of(stored, scaling), *clamp)
        rule = "float" if operator == "Add" and bounds != _FREE and clamp[0] != -128 else ""
        rule = _unfused(operator, values) or rule
        return builder.usual(builder.add(layer, *places, rule=rule), target, scaling)

    step.give(step.pending(target, finish))


def _unfused(operator: str, values: tuple[Value | None, ...]) -> str:
    """The rule where ONNX Runtime has no kernel for the integers: with a float constant, or with int8 and uint8."""
    quantised = [value.integers if isinstance(value, Real) else value for value in values]
    types = {value.element for value in quantised if isinstance(value, (Integers, Quantized))}
    if any(isinstance(value, Constant) for value in values):
        return UNKNOWN
    return {"Add": "float", "Mul": UNKNOWN}.get(operator, "") if len(types) > 1 else ""


def _as_bias(step: Step, values: tuple[Value | None, Value | None]) -> bool:
    """Whether it was the bias of a product that has none yet."""
    for value, other in (values, values[::-1]):
        if isinstance(value, Pending) and value.biased is not None and isinstance(other, (Constant, Quantized)):
            real = other.array if isinstance(other, Constant) else other.real
            step.give(replace(value.biased(np.asarray(real)), name=step.node.outputs[0]))
            return True
    return False


def _operand(step: Step, value: Value, name: str) -> int:
    """Where an operand is stored; constants become layers."""
    if not isinstance(value, (Constant, Quantized)):
        return step.builder.place_of(step.settled(value, name), step.name)
    if isinstance(value, Constant):
        value = _quantized_constant(step, value)
    if value.scales.size != 1 or value.element == "int32":
        raise step.refuse(f"its constant {name!r} must have one scale, and be int8 or uint8")
    shift = 128 if value.element == "uint8" else 0
    others = [len(step.shape(position)) for position in (0, 1) if step.node.input(position) != name]
    axes = max([value.integers.ndim - 1, *others])
    whole = value.integers.reshape([1] * (axes + 1 - value.integers.ndim) + list(value.integers.shape))
    if whole.shape[0] != 1:
        raise step.refuse(f"its constant {name!r} has a batch of {whole.shape[0]}")
    scaling = Scaling(float(value.scales[0]), int(value.zero_points[0]) - shift)
    stored = whole[0].transpose(1, 2, 0) if axes == 3 else whole[0]
    numbers = np.clip(stored + scaling.zero_point, -128, 127).astype(np.int8)
    layer = ConstantLayer(f"{step.name}_constant", tensor_of(stored.shape, scaling), np.ascontiguousarray(numbers))
    return step.builder.add(layer)


def _quantized_constant(step: Step, value: Constant) -> Quantized:
    """A float operand: its own largest value gives the scale."""
    array = value.array
    if array.dtype.kind != "f" or not array.size or not np.isfinite(array).all():
        raise step.refuse("its constant is not of finite floats")
    largest = float(np.abs(array).max())
    scale = np.float32(largest / 127 if largest else 1.0)
    integers = np.rint(array.astype(np.float64) / np.float64(scale)).astype(np.int64)
    return Quantized(integers, np.array([scale]), None, np.zeros(1, np.int64), "int8")


def _concat(step: Step) -> None:
    values = [step.value(position) for position in range(len(step.node.inputs))]
    if all(isinstance(value, Constant) for value in values):
        moves.fold(step)
        return
    shapes, builder = [step.shape(position) for position in range(len(values))], step.builder
    axis = step.attribute("axis", 1)
    axis = axis - 1 + (len(shapes[0]) + 1 if axis < 0 else 0)
    others = {(*shape[:axis], *shape[axis + 1 :]) for shape in shapes}
    if not 0 <= axis < len(shapes[0]) or len(others) != 1 or len({len(shape) for shape in shapes}) != 1:
        raise step.refuse(f"it joins {shapes} along axis {axis + 1}")
    target = (*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :])
    scalings = {_scaling_of(value) for value in values}
    natural = next(iter(scalings)) if len(scalings) == 1 else None

    def finish(scaling: Scaling, bounds: tuple[float, float]) -> Integers:
        places = []
        for value, name in zip(values, step.node.inputs, strict=True):
            if isinstance(value, Pending):
                low, high = (max(value.bounds[0], bounds[0]), min(value.bounds[1], bounds[1]))
                integers = value.finish(scaling, (low, high))
            else:
                moved = builder.rescaled(step.settled(value, name), scaling, f"{step.name}_scale")
                integers = builder.clamped(moved, bounds, f"{step.name}_clamp")
            places.append(builder.place_of(integers, step.name))
        stored_axis = (2, 0, 1)[axis] if len(target) == 3 else axis
        tensors = tuple(builder.tensor(place) for place in places)
        layer = Concatenate(step.name, tensors, tensor_of(stored_shape(target), scaling), stored_axis)
        return builder.usual(builder.add(layer, *places), target, scaling)

    step.give(step.pending(target, finish, natural=natural))


def _scaling_of(value: Value | None) -> Scaling | None:
    if isinstance(value, Real):
        return value.integers.scaling
    return value.natural if isinstance(value, Pending) else None


# --- activations ----------------------------------------------------------------------------------


def _bounded(step: Step, low: float, high: float) -> None:
    """Relu and Clip: bounds of what comes before, or an operator of its own behind integers."""
    value, name = step.value(0), step.node.outputs[0]
    if isinstance(value, Pending):
        bounds = (max(low, value.bounds[0]), min(high, value.bounds[1]))
        step.give(replace(value, name=name, bounds=bounds, biased=None))
        return
    x, builder = step.integers(), step.builder

    def finish(scaling: Scaling, bounds: tuple[float, float]) -> Integers:
        return builder.clamped(builder.rescaled(x, scaling, step.name), bounds, step.name)

    step.give(step.pending(x.shape, finish, bounds=(low, high), natural=x.scaling))


def _clip(step: Step) -> None:
    bounds = []
    for position, name, default in ((1, "min", -math.inf), (2, "max", math.inf)):
        if step.node.input(position):
            value = step.value(position)
            array = value.real if isinstance(value, Quantized) else step.array(position, name)
            if array.size != 1:
                raise step.refuse(f"its {name} has {array.size} values")
            bounds.append(float(array.reshape(-1)[0]))
        else:
            bounds.append(step.attribute(name, default))
    if not bounds[0] <= bounds[1]:
        raise step.refuse(f"its bounds are {bounds[0]}..{bounds[1]}")
    _bounded(step, *bounds)


def _leaky_relu(step: Step) -> None:
    x, slope = step.integers(), step.attribute("alpha", 0.01)

    def finish(scaling: Scaling, bounds: tuple[float, float]) -> Integers:
        found = step.builder.leaky(x, scaling, float(np.float32(slope)), step.name)
        return step.builder.clamped(found, bounds, step.name)

    step.give(step.pending(x.shape, finish, natural=x.scaling))


def _lookup(step: Step, function: Literal["sigmoid", "tanh"]) -> None:
    x, builder = step.integers(), step.builder
    natural = Scaling(*OUTPUT_SCALING[function])

    def finish(scaling: Scaling, bounds: tuple[float, float]) -> Integers:
        source = builder.tensor(x.place)
        table = reference_table(function, source)
        layer = Lookup(step.name, source, tensor_of(source.shape, natural), function, table)
        # ONNX Runtime fills in a table of its own, in float32: the one that LiteRT has.
        found = Integers(builder.add(layer, x.place, rule="litert"), x.index, natural)
        scaled = builder.rescaled(found, scaling, f"{step.name}_scale")
        return builder.clamped(scaled, bounds, f"{step.name}_clamp")

    step.give(step.pending(x.shape, finish, natural=natural))


def _tail(step: Step) -> None:
    """What stands behind the last integers: the classes are the same without it."""
    value, operator = step.value(0), step.node.operator
    if isinstance(value, Tail):
        step.give(replace(value, operator=operator))
        return
    x = step.integers()
    axis = step.attribute("axis", -1 if operator != "ArgMax" else 0)
    if operator != "ArgMax" and axis not in (-1, 1, len(x.shape)):
        raise step.refuse(f"its axis is {axis}; that of the classes is supported")
    step.give(Tail(x, operator, step.node.input(0), axis + (len(x.shape) + 1 if axis < 0 else 0)))


OPERATORS: Mapping[str, Callable[[Step], None]] = MappingProxyType(
    {
        "Add": _elementwise,
        "ArgMax": _tail,
        "AveragePool": _average_pool,
        "Cast": moves.fold,
        "Clip": _clip,
        "Concat": _concat,
        "Constant": moves.constant,
        "Conv": weighted.conv,
        "DequantizeLinear": scales.dequantize,
        "Div": moves.fold,
        "Dropout": moves.named,
        "Flatten": moves.moved,
        "Gather": moves.fold,
        "Gemm": weighted.gemm,
        "GlobalAveragePool": _average_pool,
        "GlobalMaxPool": _max_pool,
        "Identity": moves.named,
        "LeakyRelu": _leaky_relu,
        "LogSoftmax": _tail,
        "MatMul": weighted.matmul,
        "MaxPool": _max_pool,
        "Mul": _elementwise,
        "Pad": moves.pad,
        "QuantizeLinear": scales.quantize,
        "ReduceMean": _reduce_mean,
        "Relu": lambda step: _bounded(step, 0.0, math.inf),
        "Reshape": moves.moved,
        "Shape": moves.shape,
        "Sigmoid": partial(_lookup, function="sigmoid"),
        "Slice": moves.slice_,
        "Softmax": _tail,
        "Squeeze": moves.moved,
        "Sub": _elementwise,
        "Tanh": partial(_lookup, function="tanh"),
        "Transpose": moves.moved,
        "Unsqueeze": moves.moved,
    }
)
"""What turns a node of a type into layers, or into what a later node makes layers of."""
