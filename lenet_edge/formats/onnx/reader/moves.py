"""Operators that move values or only name them anew, and those that compute constants."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import onnx
from onnx import helper

from lenet_edge.formats.onnx.reader.graph import Array
from lenet_edge.formats.onnx.reader.step import Step
from lenet_edge.formats.onnx.reader.values import (
    Constant,
    Given,
    Integers,
    Pending,
    Quantized,
    Scaling,
    Tail,
    canonical,
    stored_shape,
)
from lenet_edge.quantized.layers import Pad, Slice

__all__ = ["FOLDED", "constant", "fold", "moved", "named", "pad", "shape", "slice_"]

_MAX_VALUES = 1 << 24
_MAX_AXES = 8


def named(step: Step) -> None:
    """Identity, and Dropout at inference."""
    value = step.value(0)
    if value is None:
        raise step.refuse("it reads nothing")
    step.give(value)


def moved(step: Step) -> None:
    """Transpose, Reshape, Flatten, Squeeze and Unsqueeze: no layer, only another order of the same values."""
    value = step.value(0)
    if isinstance(value, Constant):
        step.builder.take_constant(value.array.nbytes)
        step.give(Constant(_move(step, value.array)))
    elif isinstance(value, Quantized):
        step.give(_move_quantized(step, value))
    elif isinstance(value, (Integers, Given)):
        step.give(replace(value, index=_behind_batch(step, value.index)))
    elif isinstance(value, Tail):
        step.give(value)
    else:
        target = _behind_batch(step, canonical(step.shape())).shape
        step.unary(lambda x: replace(x, index=_behind_batch(step, x.index)), target)


def _behind_batch(step: Step, index: Array) -> Array:
    """The move of an array without its batch, which must stay the first axis."""
    batched = index[np.newaxis]
    if step.node.operator == "Transpose" and step.attribute("perm", [])[:1] != [0]:
        raise step.refuse("it moves the batch")
    step.builder.take_constant(batched.nbytes)
    found: Array = _move(step, batched)
    if found.ndim > _MAX_AXES:
        raise step.refuse(f"it makes {found.ndim} axes; {_MAX_AXES} are supported")
    if found.ndim < 2 or found.shape[0] != 1:
        raise step.refuse(f"it makes {list(batched.shape)} to {list(found.shape)}; the first axis must stay the batch")
    behind: Array = found[0]
    return behind


def _move(step: Step, array: Array) -> Array:
    try:
        return _MOVES[step.node.operator](step, array)
    except ValueError as error:
        raise step.refuse(f"it does not fit its input of shape {list(array.shape)} ({error})") from None


def _move_quantized(step: Step, value: Quantized) -> Quantized:
    """Weights that are moved behind DequantizeLinear: the axis of their scales moves along."""
    step.builder.take_constant(value.integers.nbytes)
    integers = _move(step, value.integers)
    if value.axis is None:
        return replace(value, integers=integers)
    if step.node.operator != "Transpose":
        raise step.refuse("it reshapes weights with a scale for each channel; do so before they are quantised")
    order = step.attribute("perm", list(range(value.integers.ndim))[::-1])
    return replace(value, integers=integers, axis=order.index(value.axis))


def _transposed(step: Step, array: Array) -> Array:
    return array.transpose(step.attribute("perm", list(range(array.ndim))[::-1]))


def _reshaped(step: Step, array: Array) -> Array:
    sizes = step.integers_of(1, "shape", "shape")
    if sizes is None:
        raise step.refuse("it states no shape")
    if any(size < -1 for size in sizes):
        raise ValueError(f"it asks for {sizes[:8]}")
    if not step.attribute("allowzero", 0):
        sizes = [array.shape[axis] if size == 0 and axis < array.ndim else size for axis, size in enumerate(sizes)]
    return array.reshape(sizes)


def _flattened(step: Step, array: Array) -> Array:
    axis = step.attribute("axis", 1)
    axis += array.ndim if axis < 0 else 0
    if not 0 <= axis <= array.ndim:
        raise step.refuse(f"its axis is {axis}")
    return array.reshape(math.prod(array.shape[:axis]), -1)


def _squeezed(step: Step, array: Array) -> Array:
    axes = step.integers_of(1, "axes", "axes")
    if axes is None:  # every axis of 1 but the batch, where there is one
        axes = [axis for axis, size in enumerate(array.shape) if size == 1 and axis > 0]
    return array.squeeze(tuple(axes))


def _unsqueezed(step: Step, array: Array) -> Array:
    axes = step.integers_of(1, "axes", "axes")
    if axes is None:
        raise step.refuse("it states no axes")
    return np.expand_dims(array, tuple(axes))


_MOVES: Mapping[str, Callable[[Step, Array], Array]] = {
    "Transpose": _transposed,
    "Reshape": _reshaped,
    "Flatten": _flattened,
    "Squeeze": _squeezed,
    "Unsqueeze": _unsqueezed,
}


# --- moves that are layers ------------------------------------------------------------------------


def pad(step: Step) -> None:
    """Pad with 0, or with minus infinity before a maximum."""
    if step.attribute("mode", "constant") != "constant" or step.node.input(3):
        raise step.refuse("only constant padding of all axes is supported")
    pads, shape = step.integers_of(1, "pads", "pads"), step.shape()
    axes = len(shape) + 1
    if pads is None or len(pads) != 2 * axes or pads[0] or pads[axes] or not all(0 <= each < 1 << 15 for each in pads):
        raise step.refuse(f"its pads are {pads} for {axes} axes, the batch being the first")
    if not any(pads):
        step.unary(lambda x: x, shape)
        return
    value = float(step.array(2, "value").reshape(-1)[:1].sum()) if step.node.input(2) else step.attribute("value", 0.0)
    readers = step.builder.readers.get(step.node.outputs[0], set())
    if value == -math.inf and not readers <= {"MaxPool", "QuantizeLinear"}:
        raise step.refuse(f"it pads with minus infinity before {', '.join(sorted(readers))}; MaxPool may follow")
    if value not in (0.0, -math.inf):
        raise step.refuse(f"it pads with {value:g}; 0 is supported")
    before, after = (stored_shape(tuple(part)) for part in (pads[1:axes], pads[axes + 1 :]))
    target = tuple(size + pads[1 + axis] + pads[axes + 1 + axis] for axis, size in enumerate(shape))

    def apply(x: Integers) -> Integers:
        place = step.builder.place_of(x, step.name)
        source = step.builder.tensor(place)
        fill = x.scaling.zero_point if value == 0 else -128
        layer = Pad(step.name, source, replace(source, shape=stored_shape(target)), before, after, fill)
        return step.builder.usual(step.builder.add(layer, place), target, x.scaling)

    step.unary(apply, target)
    made = step.values[step.node.outputs[0]]
    if isinstance(made, Pending):
        finish = made.finish

        def clamped_before(scaling: Scaling, bounds: tuple[float, float]) -> Integers:
            if not bounds[0] <= 0 <= bounds[1]:
                raise step.refuse(f"it pads with 0, next to a Clip to {bounds[0]:g}..{bounds[1]:g}")
            return finish(scaling, bounds)

        step.give(replace(made, finish=clamped_before))


def slice_(step: Step) -> None:
    """Slice along any axes but the batch."""
    shape = step.shape()
    ranges = [range(size) for size in shape]
    starts, ends = (step.integers_of(at, name, name) or [] for at, name in ((1, "starts"), (2, "ends")))
    axes = step.integers_of(3, "axes", "axes") or list(range(len(starts)))
    steps = step.integers_of(4, "steps", "steps") or [1] * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise step.refuse("its starts, ends, axes and steps do not fit each other")
    for start, end, axis, by in zip(starts, ends, axes, steps, strict=True):
        axis += len(shape) + 1 if axis < 0 else 0
        if not 1 <= axis <= len(shape):
            raise step.refuse(f"it slices axis {axis}; all but the batch are supported")
        ranges[axis - 1] = ranges[axis - 1][slice(start, end, by)]
    target = tuple(map(len, ranges))
    if 0 in target:
        raise step.refuse("it leaves nothing")
    if all(taken == range(size) for taken, size in zip(ranges, shape, strict=True)):
        step.unary(lambda x: x, shape)
        return
    begin, stride = (
        stored_shape(tuple(part)) for part in ([each[0] for each in ranges], [each.step for each in ranges])
    )

    def apply(x: Integers) -> Integers:
        place = step.builder.place_of(x, step.name)
        source = step.builder.tensor(place)
        layer = Slice(step.name, source, replace(source, shape=stored_shape(target)), begin, stride)
        return step.builder.usual(step.builder.add(layer, place), target, x.scaling)

    step.unary(apply, target)


# --- constants ------------------------------------------------------------------------------------


def constant(step: Step) -> None:
    """Constant, in any of its spellings."""
    for name in ("value", "value_float", "value_floats", "value_int", "value_ints"):
        if name in step.node.attributes:
            found = step.node.attributes[name]
            dtype = np.float32 if "float" in name else np.int64
            step.give(Constant(found if isinstance(found, np.ndarray) else np.array(found, dtype)))
            return
    raise step.refuse("it has no numbers")


def shape(step: Step) -> None:
    """Shape: the batch counts as 1."""
    value = step.value(0)
    whole = list(value.array.shape) if isinstance(value, Constant) else [1, *step.shape()]
    part = whole[step.attribute("start", 0) : step.node.attributes.get("end")]
    step.give(Constant(np.array(part, np.int64)))


def fold(step: Step) -> None:
    """A node whose inputs are all constants."""
    arrays = [step.array(position, "inputs") for position in range(len(step.node.inputs))]
    step.builder.take_constant(16 * sum(array.size for array in arrays))  # the largest type has so many bytes
    try:
        with np.errstate(all="ignore"):
            found = FOLDED[step.node.operator](step, *arrays)
    except (ValueError, TypeError, IndexError, LookupError, OverflowError) as error:
        raise step.refuse(f"its constants do not fit ({type(error).__name__})") from None
    step.builder.take_constant(np.asarray(found).nbytes)
    step.give(Constant(np.asarray(found)))


def _cast(step: Step, array: Array) -> Array:
    kind = step.attribute("to", 1)
    if kind not in onnx.TensorProto.DataType.values():
        raise ValueError(kind)
    return array.astype(helper.tensor_dtype_to_np_dtype(kind))


def _gather(step: Step, array: Array, indices: Array) -> Array:
    _limit(array, indices)
    return np.take(array, indices, axis=step.attribute("axis", 0))


def _concat(step: Step, *arrays: Array) -> Array:
    return np.concatenate(arrays, axis=step.attribute("axis", 0))


def _limit(*arrays: Array) -> None:
    if math.prod(max(1, array.size) for array in arrays) > _MAX_VALUES:
        raise ValueError("too large")


def _of_two(function: Callable[[Array, Array], Array]) -> Callable[..., Array]:
    def compute(_: Step, first: Array, second: Array) -> Array:
        if math.prod(np.broadcast_shapes(first.shape, second.shape)) > _MAX_VALUES:
            raise ValueError("too large")
        return function(first, second).astype(first.dtype)

    return compute


def _divided(first: Array, second: Array) -> Array:
    return first / second if first.dtype.kind == "f" else first // second


FOLDED: Mapping[str, Callable[..., Array]] = {
    "Add": _of_two(np.add),
    "Cast": _cast,
    "Concat": _concat,
    "Div": _of_two(_divided),
    "Gather": _gather,
    "Mul": _of_two(np.multiply),
    "Sub": _of_two(np.subtract),
}
"""Operators of constants, numpy in and out; those of `moved` take constants as well."""
