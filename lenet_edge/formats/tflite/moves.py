"""The operators that only move values: to another shape, order or place, into one tensor or apart."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lenet_edge.errors import BadInputError
from lenet_edge.formats.tflite.schema import S
from lenet_edge.formats.tflite.slices import taken
from lenet_edge.formats.tflite.tensors import require_type
from lenet_edge.formats.tflite.wiring import Step
from lenet_edge.quantized.model import Concatenate, Flatten, Layer, Pad, QTensor, Reshape, Slice, Transpose

__all__ = [
    "axes_of",
    "read_concatenation",
    "read_expand_dims",
    "read_pad",
    "read_reshape",
    "read_split",
    "read_squeeze",
    "read_strided_slice",
    "read_transpose",
    "require_shape",
    "without_batch",
]

_MAX_AXES = 8  # of a RESHAPE
# What TFLM takes (tried), LiteRT takes as much and more.
_MAX_AXES_PADDED, _MAX_AXES_TRANSPOSED, _MAX_AXES_SLICED, _MAX_JOINED = 5, 5, 4, 10


# --- axes of the file and of layers --------------------------------------------------------------------


def axes_of(step: Step, position: int, rank: int) -> list[int]:
    """The axes that the operator names in its input `position`, 0 to `rank` - 1 each, none of them twice."""
    found = step.integers(position).reshape(-1)[: _MAX_AXES + 1].tolist()
    axes = [axis + rank if axis < 0 else axis for axis in found]
    if not axes or any(not 0 <= axis < rank for axis in axes) or len(set(axes)) != len(axes):
        raise BadInputError(f"{step.where} names the axes {found} of {rank}")
    return axes


def _check_rank(step: Step, most: int) -> None:
    if len(step.tensor(0).shape) > most:
        raise BadInputError(f"{step.where} reads shape {step.tensor(0).shape}; TFLM takes up to {most} axes")


def without_batch(step: Step, axes: Sequence[int], position: int = 0) -> list[int]:
    """The axes as layers count them."""
    if not step.tensor(position).batch:
        shape = step.tensor(position).shape
        raise BadInputError(f"{step.where} reads shape {shape}; a first axis of 1, the batch, is supported")
    if 0 in axes:
        raise BadInputError(f"{step.where} works along the batch, which is not supported")
    return [axis - 1 for axis in axes]


def require_shape(step: Step, expected: Sequence[int]) -> None:
    """LiteRT computes an output's shape, TFLM takes the file's."""
    if step.target.shape != tuple(expected):
        raise BadInputError(f"{step.where} gives shape {tuple(expected)}, but its output has {step.target.shape}")


# --- another shape -----------------------------------------------------------------------------------


def _reshaped(step: Step, x: QTensor, y: QTensor) -> list[Layer]:
    """The layer that the new shape is, if it is one; the scaling is for `verify` to compare."""
    if x == y:
        return []
    return [(Flatten if len(y.shape) == 1 else Reshape)(step.layer_name, x, y)]


def read_reshape(step: Step) -> None:
    step.require_inputs(1, 2)
    x, y = step.input(), step.output()
    wanted, shape = _new_shape(step), step.tensor(0).shape
    if _resolved(wanted, math.prod(shape)) != step.target.shape:
        raise BadInputError(f"{step.where} asks for shape {wanted} of {shape}, but its output has {step.target.shape}")
    step.give(*_reshaped(step, x, y))


def _new_shape(step: Step) -> tuple[int, ...]:
    """The shape that LiteRT follows: the second input where there is one, else the option."""
    option = None if step.options is None else step.options.new_shape
    if option is not None and len(option) > _MAX_AXES:
        raise BadInputError(f"{step.where} has {len(option)} axes in its options; runtimes take {_MAX_AXES}")
    if len(step.inputs) > 1:
        tensor = step.tensor(1)
        require_type(tensor, S.TensorType.INT32)
        if len(tensor.shape) != 1 or not 1 <= tensor.shape[0] <= _MAX_AXES:
            raise BadInputError(f"{step.where}: its new shape is a tensor of shape {tensor.shape}")
        return tuple(step.integers(1).tolist())
    if option is None or not len(option):
        raise BadInputError(f"{step.where} does not say its new shape")
    return tuple(option.tolist())


def _resolved(wanted: tuple[int, ...], count: int) -> tuple[int, ...]:
    """`wanted` with its one -1 replaced by what is left of `count`."""
    known = math.prod(size for size in wanted if size != -1)
    if wanted.count(-1) != 1 or known < 1 or count % known:
        return wanted
    return tuple(count // known if size == -1 else size for size in wanted)


def read_squeeze(step: Step) -> None:
    step.require_inputs(1)
    shape = step.tensor(0).shape
    option = step.required_options().squeeze_dims
    named = [] if option is None else option[: _MAX_AXES + 1].tolist()
    axes = [axis + len(shape) if axis < 0 else axis for axis in named]
    axes = axes or [axis for axis, size in enumerate(shape) if size == 1]
    if any(not 0 <= axis < len(shape) or shape[axis] != 1 for axis in axes):
        raise BadInputError(f"{step.where} drops the axes {named} of shape {shape}, which are not all there and 1")
    require_shape(step, [size for axis, size in enumerate(shape) if axis not in axes])
    step.give(*_reshaped(step, step.input(), step.output()))


def read_expand_dims(step: Step) -> None:
    step.require_inputs(2)
    shape = step.tensor(0).shape
    (axis, *others) = axes_of(step, 1, len(shape) + 1)
    if others:
        raise BadInputError(f"{step.where} adds {1 + len(others)} axes; runtimes add one")
    require_shape(step, (*shape[:axis], 1, *shape[axis:]))
    step.give(*_reshaped(step, step.input(), step.output()))


def read_transpose(step: Step) -> None:
    step.require_inputs(2)
    x, y, shape = step.input(), step.output(), step.tensor(0).shape
    _check_rank(step, _MAX_AXES_TRANSPOSED)
    order = axes_of(step, 1, len(shape))
    if len(order) != len(shape) or (step.integers(1) < 0).any():
        raise BadInputError(f"{step.where} has the order {step.integers(1).tolist()}; TFLM takes each axis from 0 on")
    require_shape(step, [shape[axis] for axis in order])
    moved = [axis for axis in order if shape[axis] != 1]
    if moved == sorted(moved):  # only axes of 1 change their places: the values stay where they are
        step.give(*_reshaped(step, x, y))
        return
    if order[0] != 0:
        raise BadInputError(f"{step.where} moves the batch to axis {order.index(0)}, which is not supported")
    step.give(Transpose(step.layer_name, x, y, tuple(without_batch(step, order[1:]))))


# --- more and fewer values ---------------------------------------------------------------------------


def read_pad(step: Step) -> None:
    step.require_inputs(3 if step.name == "PADV2" else 2)
    x, y, widths = step.input(), step.output(), step.integers(1)
    shape = step.tensor(0).shape
    _check_rank(step, _MAX_AXES_PADDED)
    if widths.shape != (len(shape), 2) or (widths < 0).any():
        raise BadInputError(f"{step.where} pads shape {shape} by {widths[:_MAX_AXES].tolist()}")
    without_batch(step, [axis for axis in range(len(shape)) if widths[axis].any()])
    require_shape(step, [size + int(before) + int(after) for size, (before, after) in zip(shape, widths, strict=True)])
    before, after = (tuple(widths[1:, side].tolist()) for side in (0, 1))
    layers = [Pad(step.layer_name, x, y, before, after, _fill(step, x))] if widths.any() else []
    step.give(*layers)


def _fill(step: Step, x: QTensor) -> int:
    """The int8 that PADV2 names: a constant, in the scaling of what it is put around; PAD's is the zero point."""
    if step.name == "PAD":
        return x.zero_point
    value = step.operand(2)
    if not step.is_constant(2) or value.shape != (1,):
        raise BadInputError(f"{step.where} pads with tensor {step.tensor(2).name}, which is not one constant")
    if (value.scale, value.zero_point) != (x.scale, x.zero_point):
        raise BadInputError(f"{step.where} pads with a value of another scale or zero point: LiteRT refuses it")
    return int(step.graph.tensors.constant(step.tensor(2), "int8").reshape(-1)[0])


def read_concatenation(step: Step) -> None:
    count = len(step.inputs)
    step.require_inputs(max(count, 1))
    if count > _MAX_JOINED:
        raise BadInputError(f"{step.where} joins {count} tensors; TFLM takes {_MAX_JOINED}: join them in parts")
    y, rank = step.output(), len(step.target.shape)
    options = step.required_options()
    if options.fused_activation_function:
        raise BadInputError(f"{step.where} has a fused activation: TFLM and LiteRT refuse it")
    inputs = tuple(step.operand(position) for position in range(count))
    axis = options.axis + rank if options.axis < 0 else options.axis
    if not 0 <= axis < rank:
        raise BadInputError(f"{step.where} joins along axis {options.axis} of {rank}")
    for position, tensor in enumerate(inputs):
        if len(step.tensor(position).shape) != rank:
            raise BadInputError(f"{step.where} joins shape {step.tensor(position).shape} to {step.target.shape}")
        if (tensor.scale, tensor.zero_point) != (y.scale, y.zero_point):
            raise BadInputError(f"{step.where} joins tensors of different scales or zero points: runtimes refuse it")
        (found,) = without_batch(step, [axis], position)
    step.give(Concatenate(step.layer_name, inputs, y, found), reads=tuple(range(count)))


def read_strided_slice(step: Step) -> None:
    step.require_inputs(4)
    _check_rank(step, _MAX_AXES_SLICED)
    x, y = step.input(), step.output()
    parts = taken(step)
    require_shape(step, [part.count for part in parts if not part.dropped])
    batch, *others = parts
    if not step.tensor(0).batch or (batch.begin, batch.stride, batch.count) != (0, 1, 1):
        raise BadInputError(f"{step.where} takes a part of {step.tensor(0).shape}; a batch of 1 is supported")
    part = QTensor(tuple(each.count for each in others), y.scale, y.zero_point)
    begin, stride = tuple(each.begin for each in others), tuple(each.stride for each in others)
    whole = part.shape == x.shape and all(each > 0 for each in stride)
    layers: list[Layer] = [] if whole else [Slice(step.layer_name, x, part, begin, stride)]
    step.give(*layers, *_reshaped(step, x if whole else part, y))


def read_split(step: Step) -> None:
    step.require_inputs(2)
    x, shape = step.input(1), step.tensor(1).shape
    (axis, *_) = axes_of(step, 0, len(shape))
    (along,) = without_batch(step, [axis], 1)
    count = len(step.outputs)
    if step.required_options().num_splits != count or shape[axis] % count:
        raise BadInputError(f"{step.where} cuts axis {axis} of {shape} into {count} equal parts")
    size = shape[axis] // count
    expected = (*shape[:axis], size, *shape[axis + 1 :])
    for target, index in enumerate(step.outputs):
        tensor, y = step.graph.tensors[index], step.output(target)
        if tensor.shape != expected:
            raise BadInputError(f"{step.where} gives shape {expected}, but its output has {tensor.shape}")
        if index in step.graph.read or index in step.graph.outputs:
            begin = tuple(target * size if each == along else 0 for each in range(len(x.shape)))
            part = Slice(tensor.name, x, y, begin, (1,) * len(x.shape))
            step.give(*([part] if count > 1 else _reshaped(step, x, y)), reads=(1,), target=target)
