"""QuantizeLinear and DequantizeLinear: where integers begin and end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lenet_edge.formats.onnx.reader.builder import tensor_of
from lenet_edge.formats.onnx.reader.graph import Array
from lenet_edge.formats.onnx.reader.step import Step
from lenet_edge.formats.onnx.reader.values import Constant, Given, Integers, Pending, Quantized, Real, Scaling, Tail
from lenet_edge.quantized.layers import Softmax

__all__ = ["SOFTMAX_SCALING", "dequantize", "quantize"]

SOFTMAX_SCALING = Scaling(1 / 256, -128)
"""What TFLite's int8 specification fixes for probabilities."""

_SHIFTS = {"int8": 0, "uint8": 128}
_ELEMENTS = {0: "uint8", 2: "uint8", 3: "int8"}  # of TensorProto; 0 for none


def _scaling(step: Step, element: str | None) -> tuple[Scaling, str]:
    """The scaling of an activation, as int8, and its type in the file: `element` where no zero point says it."""
    scale, zero_point = step.array(1, "scale"), None
    if step.node.input(2):
        zero_point = step.array(2, "zero point")
        element = zero_point.dtype.name
    if scale.dtype != np.float32:
        raise step.refuse(f"its scale is {scale.dtype}; float32 is supported")
    if scale.size != 1 or (zero_point is not None and zero_point.size != 1):
        raise step.refuse(f"it has {scale.size} scales; an activation with one is supported")
    element = element or _ELEMENTS.get(step.attribute("output_dtype", 0), "another type")
    if element not in _SHIFTS:
        raise step.refuse(f"its integers are {element}; quantise to int8 or uint8")
    value = float(scale.reshape(-1)[0])
    if not 0 < value < np.inf:
        raise step.refuse(f"its scale is {value}")
    zero = 0 if zero_point is None else int(zero_point.reshape(-1)[0])
    return Scaling(value, zero - _SHIFTS[element]), element


def quantize(step: Step) -> None:
    """QuantizeLinear: gives a pending result its scale; of a constant it makes a constant."""
    value = step.value(0)
    if isinstance(value, Constant):
        step.give(Constant(_quantized(step, value.array)))
        return
    (scaling, element), builder = _scaling(step, None), step.builder
    if isinstance(value, Given):
        found = builder.given(value, scaling)
    elif isinstance(value, Pending):
        found = value.finish(scaling, value.bounds)
    elif isinstance(value, Tail):
        step.give(_softmax(step, value) if _is_softmax(value, scaling) else value)
        return
    else:
        found = builder.rescaled(step.integers(), scaling, step.name)
    step.give(replace(found, element=element))


def _is_softmax(value: Tail, scaling: Scaling) -> bool:
    """Whether it is a softmax over the values that lie next to each other, to the scale that runtimes have for it."""
    axes = len(value.integers.shape)
    over_last = value.axis == (1 if axes == 3 else axes)  # channels lie last here
    return value.operator == "Softmax" and scaling == SOFTMAX_SCALING and over_last


def _softmax(step: Step, value: Tail) -> Integers:
    """A softmax on the scale that runtimes have for it."""
    builder = step.builder
    place = builder.place_of(value.integers, step.name)
    source = builder.tensor(place)
    layer = Softmax(step.name, source, tensor_of(source.shape, SOFTMAX_SCALING))
    return builder.usual(builder.add(layer, place), value.integers.shape, SOFTMAX_SCALING)


def dequantize(step: Step) -> None:
    """DequantizeLinear: of integers, of an input of the model that is integers, or of a constant."""
    value = step.value(0)
    if isinstance(value, Constant):
        step.give(_constant(step, value.array))
    elif isinstance(value, Integers):
        if _scaling(step, value.element) != (value.scaling, value.element):
            raise step.refuse("its scale is not that with which its input was quantised")
        step.give(Real(value))
    elif isinstance(value, Given):
        scaling, element = _scaling(step, value.element.lower())
        if element != value.element.lower():
            raise step.refuse(f"it reads the model's input, which is {value.element.lower()}, as {element}")
        step.give(Real(step.builder.given(value, scaling)))
    elif isinstance(value, Tail):
        step.give(value)
    else:
        raise step.refuse("it reads a float")


def _axis(step: Step, array: Array, scale: Array, default: int = 1) -> int | None:
    """Along which axis the scales of a constant are; None where there is one."""
    if scale.size == 1:
        return None
    axis = int(step.attribute("axis", default))
    axis += array.ndim if axis < 0 else 0
    if step.attribute("block_size", 0) or scale.ndim != 1 or not 0 <= axis < array.ndim:
        raise step.refuse("its scales are not one, or one for each channel")
    if scale.size != array.shape[axis]:
        raise step.refuse(f"it has {scale.size} scales for {array.shape[axis]} channels")
    return axis


def _along(values: Array, axis: int | None, axes: int) -> Array:
    shape = [1] * axes
    if axis is not None:
        shape[axis] = -1
    return values.reshape(shape)


def _zero_points(step: Step, scale: Array, dtype: np.dtype) -> Array:
    if not step.node.input(2):
        return np.zeros(scale.shape, dtype)
    found = step.array(2, "zero point")
    if found.size != scale.size:
        raise step.refuse(f"it has {scale.size} scales and {found.size} zero points")
    return found.reshape(scale.shape)


def _constant(step: Step, array: Array) -> Quantized:
    """Weights and biases."""
    scale = step.array(1, "scale")
    if array.dtype.name not in ("int8", "uint8", "int32"):
        raise step.refuse(f"its constant is {array.dtype.name}; int8, uint8 and int32 are supported")
    if scale.dtype != np.float32 or not np.isfinite(scale).all() or not (scale > 0).all():
        raise step.refuse("its scales must be positive float32")
    axis = _axis(step, array, scale)
    step.builder.take_constant(8 * array.size)
    zero_points = _zero_points(step, scale, array.dtype).astype(np.int64)
    integers = array.astype(np.int64) - _along(zero_points, axis, array.ndim)
    return Quantized(integers, scale.reshape(-1), axis, zero_points.reshape(-1), array.dtype.name)


def _quantized(step: Step, array: Array) -> Array:
    """QuantizeLinear of a constant, as runtimes do it: a quotient in float32, ties to even."""
    scale = step.array(1, "scale")
    if array.dtype != np.float32 or scale.dtype != np.float32 or not (scale > 0).all():
        raise step.refuse("it quantises a constant that is not float32, or with a scale that is not")
    if np.isnan(array).any():
        raise step.refuse("its constant holds values that are no numbers")
    axis = _axis(step, array, scale)
    step.builder.take_constant(array.size)
    zero_points = _zero_points(step, scale, np.dtype(np.uint8))
    if zero_points.dtype.name not in _SHIFTS:
        raise step.refuse(f"its integers are {zero_points.dtype}; quantise to int8 or uint8")
    limits = np.iinfo(zero_points.dtype)
    steps = np.rint(array / _along(scale, axis, array.ndim)) + _along(zero_points.astype(np.int64), axis, array.ndim)
    integers: Array = np.clip(np.nan_to_num(steps), limits.min, limits.max).astype(zero_points.dtype)
    return integers
