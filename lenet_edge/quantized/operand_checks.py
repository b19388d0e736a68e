"""What is wrong with a layer that has no weights: the parts of `verify` for sums, joins, moves, means and tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from lenet_edge.quantized import elementwise, mean, rescale
from lenet_edge.quantized.layers import (
    INT8_MAX,
    INT8_MIN,
    Add,
    Concatenate,
    Constant,
    Elementwise,
    Flatten,
    Layer,
    Lookup,
    Mean,
    Multiply,
    Pad,
    QTensor,
    Rescale,
    Reshape,
    Slice,
    Softmax,
    Subtract,
    Transpose,
)
from lenet_edge.quantized.requantize import Multiplier

__all__ = ["clamp_problem", "operand_problem", "same_scaling_problem"]

_INT16_MAX, _INT32_MAX = 2**15 - 1, 2**31 - 1
_MOST_MEAN_AXES = 2  # TFLM's EvalMeanHelper has an array of two on its stack, and writes past it without a check
_MOST_JOINED = 10
_MOST_AXES: Mapping[type, int] = {Pad: 4, Transpose: 4, Slice: 3}
"""How many axes TFLM takes of PAD, TRANSPOSE and STRIDED_SLICE, without the batch (tried)."""


def operand_problem(layer: Layer) -> str | None:
    """What is wrong with the layer's own fields, or None; its shapes and scales are sound by themselves."""
    if isinstance(layer, (Pad, Transpose, Slice)) and len(layer.input.shape) > _MOST_AXES[type(layer)]:
        return f"its input has {len(layer.input.shape)} axes; TFLM takes {_MOST_AXES[type(layer)]} beside the batch"
    check = _CHECKS.get(type(layer))
    return None if check is None else check(layer)


def clamp_problem(low: int, high: int) -> str | None:
    """A clamp that is not a range of int8."""
    return None if INT8_MIN <= low <= high <= INT8_MAX else f"its clamp {low}..{high} is not an int8 range"


def same_scaling_problem(source: QTensor, target: QTensor) -> str | None:
    """Scales or zero points that differ, of a layer that only moves or chooses values."""
    if (source.scale, source.zero_point) == (target.scale, target.zero_point):
        return None
    return "input and output differ in scale or zero point, which this layer cannot change"


def _table(layer: Lookup | Rescale) -> str | None:
    if layer.table.shape != (256,) or layer.table.dtype != np.int8:
        return f"its table is {layer.table.dtype}{list(layer.table.shape)}, not int8[256]"
    return None


def _rescale(layer: Rescale) -> str | None:
    if layer.operator not in rescale.OPERATORS:
        return f"its operator is {layer.operator}; {', '.join(rescale.OPERATORS)} are known"
    if layer.operator == "RELU6" and (problem := same_scaling_problem(layer.input, layer.output)):
        return f"{problem} in TFLM"
    if not math.isfinite(layer.slope):
        return f"its slope is {layer.slope}"
    arguments = (layer.operator, layer.input, layer.output, layer.slope)
    for multiplier in rescale.multipliers(*arguments):
        if problem := _overflow_problem(_farthest(layer.input), multiplier):
            return problem
    if _table(layer) is None and not np.array_equal(layer.table, rescale.table(*arguments)):
        return f"its table is not that of {layer.operator}"
    return _table(layer)


def _farthest(tensor: QTensor) -> int:
    """How far a value of the tensor can be from its zero point."""
    return max(INT8_MAX - tensor.zero_point, tensor.zero_point - INT8_MIN)


def _overflow_problem(largest: int, multiplier: Multiplier) -> str | None:
    """An integer of that magnitude does not fit in int32, or not once the multiplier has shifted it left."""
    if largest << max(multiplier.shift, 0) <= _INT32_MAX:
        return None
    if multiplier.shift > 0:
        return f"its multiplier is 2^{multiplier.shift - 1} or more, so its results overflow int32"
    return f"its sums can reach {largest}, which int32 cannot hold"


def _softmax(layer: Softmax) -> str | None:
    step = layer.beta * layer.input.scale
    if step * 2**26 <= 1:
        return f"its beta times its input scale is {step:.3g}; TFLM and LiteRT end the process at 2^-26 and below"
    return None


def _constant(layer: Constant) -> str | None:
    if layer.values.dtype != np.int8:
        return f"its values are {layer.values.dtype}, not int8"
    return None


def _elementwise(layer: Elementwise) -> str | None:
    if len(layer.inputs) != 2:
        return f"it has {len(layer.inputs)} inputs, not two"
    try:
        np.broadcast_shapes(*(tensor.shape for tensor in layer.inputs))
    except ValueError:
        shapes = " and ".join(str(tensor.shape) for tensor in layer.inputs)
        return f"its inputs have shapes {shapes}, which do not fit each other"
    return clamp_problem(layer.clamp_min, layer.clamp_max) or _operand_scales(layer)


def _operand_scales(layer: Elementwise) -> str | None:
    """Results of more than 16 bits. Where there are none, multipliers are so small that nothing overflows int32 on the
    way to them, and TFLM, which takes those of a sum only below one, does not end the process (rounding-rules.md)."""
    farthest = tuple(map(_farthest, layer.inputs))
    if isinstance(layer, Multiply):
        by = elementwise.product_multiplier(layer)
        steps = math.prod(farthest) * by.mantissa * 2.0 ** (by.shift - 31)
    else:
        steps = sum(far * tensor.scale for far, tensor in zip(farthest, layer.inputs, strict=True)) / layer.output.scale
    if steps + abs(layer.output.zero_point) >= _INT16_MAX:
        return f"its results can be {steps:.0f} output steps from zero; LiteRT keeps 16 bits of them"
    return None


def _concatenate(layer: Concatenate) -> str | None:
    if not 1 <= len(layer.inputs) <= _MOST_JOINED:
        return f"it joins {len(layer.inputs)} tensors; TFLM joins 1 to {_MOST_JOINED}"
    first = layer.inputs[0]
    if not 0 <= layer.axis < len(first.shape):
        return f"its axis is {layer.axis} of {len(first.shape)}"
    for tensor in layer.inputs:
        if problem := same_scaling_problem(tensor, layer.output):
            return problem
        if _without(tensor.shape, layer.axis) != _without(first.shape, layer.axis):
            return f"its inputs have shapes {first.shape} and {tensor.shape}: only axis {layer.axis} may differ"
    return None


def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return (*shape[:axis], -1, *shape[axis + 1 :])


def _pad(layer: Pad) -> str | None:
    counts = (*layer.before, *layer.after)
    if len(layer.before) != len(layer.input.shape) or len(layer.after) != len(layer.before) or min(counts) < 0:
        return f"it pads {layer.before} before and {layer.after} after an input of shape {layer.input.shape}"
    if not INT8_MIN <= layer.value <= INT8_MAX:
        return f"it pads with {layer.value}, which is not an int8"
    return same_scaling_problem(layer.input, layer.output)


def _slice(layer: Slice) -> str | None:
    axes = len(layer.input.shape)
    if not len(layer.begin) == len(layer.stride) == len(layer.output.shape) == axes:
        return f"it has {len(layer.begin)} beginnings and {len(layer.stride)} strides for {axes} axes"
    for begin, stride, count, size in zip(
        layer.begin, layer.stride, layer.output.shape, layer.input.shape, strict=True
    ):
        if not 0 <= begin < size or not 0 <= begin + stride * (count - 1) < size:
            return f"it takes {count} values from {begin} in steps of {stride} along an axis of {size}"
    return same_scaling_problem(layer.input, layer.output)


def _transpose(layer: Transpose) -> str | None:
    if sorted(layer.order) != list(range(len(layer.input.shape))):
        return f"its order {layer.order} is not one of the {len(layer.input.shape)} axes of its input"
    return same_scaling_problem(layer.input, layer.output)


def _moved(layer: Flatten) -> str | None:
    return same_scaling_problem(layer.input, layer.output)


def _reshape(layer: Reshape) -> str | None:
    if np.prod(layer.input.shape) != np.prod(layer.output.shape):
        return f"its input has shape {layer.input.shape}, its output {layer.output.shape}: not as many values"
    return same_scaling_problem(layer.input, layer.output)


def _mean(layer: Mean) -> str | None:
    shape, axes = layer.input.shape, layer.axes
    if not axes or list(axes) != sorted(set(axes)) or not 0 <= axes[0] <= axes[-1] < len(shape):
        return f"its axes are {axes} of an input of shape {shape}"
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    gone = tuple(size for axis, size in enumerate(shape) if axis not in axes) or (1,)
    if layer.output.shape not in (kept, gone):
        return f"its output shape is {layer.output.shape}; the mean of {shape} along {axes} has {kept} or {gone}"
    if len(axes) > _MOST_MEAN_AXES:
        return f"it takes the mean along {len(axes)} axes; TFLM has room for {_MOST_MEAN_AXES}, and writes past it"
    found = mean.parameters(layer)
    return _overflow_problem(found.count * max(_farthest(layer.input), -INT8_MIN), found.multiplier)


_CHECKS: Mapping[type, Callable[..., str | None]] = {
    Lookup: _table,
    Rescale: _rescale,
    Softmax: _softmax,
    Constant: _constant,
    Add: _elementwise,
    Subtract: _elementwise,
    Multiply: _elementwise,
    Concatenate: _concatenate,
    Pad: _pad,
    Slice: _slice,
    Transpose: _transpose,
    Flatten: _moved,
    Reshape: _reshape,
    Mean: _mean,
}
