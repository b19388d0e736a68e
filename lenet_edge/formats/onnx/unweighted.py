"""The layers without weights as ONNX nodes: on the int8 integers themselves where nothing is rounded, else in float."""

from __future__ import annotations

from typing import Any

import numpy as np

from lenet_edge.formats.onnx.weighted import window
from lenet_edge.formats.onnx.writer import Writer, channels_first, flat_axes
from lenet_edge.quantized.lookup import is_universal
from lenet_edge.quantized.model import (
    Add,
    AveragePool2d,
    Concatenate,
    Elementwise,
    Flatten,
    Lookup,
    MaxPool2d,
    Mean,
    Pad,
    Rescale,
    Reshape,
    Slice,
    Softmax,
    Subtract,
    Transpose,
)

__all__ = [
    "average_pool",
    "concatenate",
    "elementwise",
    "flatten",
    "lookup",
    "max_pool",
    "mean",
    "pad",
    "rescale",
    "reshape",
    "slice_",
    "softmax",
    "transpose",
]

_BEFORE_THE_FIRST = -(2**63) + 1  # the end of a slice that runs backwards over index 0


# --- in float -------------------------------------------------------------------------------------


def average_pool(writer: Writer, layer: AveragePool2d) -> None:
    """In float, since the standard domain has no quantised operator; padding does not count, as in TFLite."""
    _in_float(writer, "AveragePool", **window(layer))


def softmax(writer: Writer, layer: Softmax) -> None:
    """Over the last axis of the model's shape; raises `BadInputError` for a beta."""
    if layer.beta != 1.0:
        raise writer.refuse(f"ONNX's Softmax has no beta, and this one is {layer.beta}")
    _in_float(writer, "Softmax", axis=flat_axes(layer.input.shape)[-1])


def lookup(writer: Writer, layer: Lookup) -> None:
    """The function in float, which converters know, where it gives the layer's table everywhere; else the table."""
    if is_universal(layer):
        _in_float(writer, {"sigmoid": "Sigmoid", "tanh": "Tanh"}[layer.function])
        return
    _by_table(writer, layer)


def rescale(writer: Writer, layer: Rescale) -> None:
    """By the table, so that the integers are those of the model."""
    _by_table(writer, layer)


def mean(writer: Writer, layer: Mean) -> None:
    """In float; the axes stay as 1, and a shape without them follows."""
    name, axes = writer.name(), flat_axes(layer.input.shape)
    real = [writer.dequantize(name)]
    reduced = writer.node(
        "ReduceMean", real, f"{name}/float", axes=sorted(axes[axis] for axis in layer.axes), keepdims=1
    )
    operands = [reduced, *writer.scaling(layer.output)]
    if len(layer.output.shape) == len(layer.input.shape):
        writer.give(name, "QuantizeLinear", operands)
        return
    kept = writer.node("QuantizeLinear", operands, f"{name}/kept")
    _reshape_to(writer, name, writer.in_model_order(name, kept, layer.input.shape), layer.output.shape)


def elementwise(writer: Writer, layer: Elementwise) -> None:
    """Sum, difference or product in float of the dequantised operands."""
    name = writer.name()
    operator = "Add" if isinstance(layer, Add) else "Sub" if isinstance(layer, Subtract) else "Mul"
    for position in range(2):
        writer.operands[position] = _aligned(writer, name, position, layer)
    operands = [writer.dequantize(name, position) for position in range(2)]
    real = writer.node(operator, operands, f"{name}/float")
    writer.give(name, "QuantizeLinear", [real, *writer.scaling(layer.output)])


def _aligned(writer: Writer, name: str, position: int, layer: Elementwise) -> str:
    """An operand with as many axes as the output, so that ONNX broadcasts it as the model does."""
    axes, shape = len(layer.output.shape), layer.inputs[position].shape
    whole = (*[1] * (axes - len(shape)), *shape)
    constant = writer.constant_operand(position)
    if constant is not None:
        values = constant.values.reshape(1, *whole).transpose(channels_first(whole))
        return writer.graph.constant(f"{name}/constant{position}", values, np.int8)
    if whole == shape:
        return writer.operands[position]
    target = writer.integers(f"shape/{'x'.join(map(str, whole))}", [0, *whole])
    plain = writer.in_model_order(f"{name}/operand{position}", writer.operands[position], shape)
    longer = writer.node("Reshape", [plain, target], f"{name}/operand{position}")
    return writer.in_channels_first(f"{name}/operand{position}", longer, whole)


def _in_float(writer: Writer, operator: str, **attributes: Any) -> None:
    name = writer.name()
    real = writer.node(operator, [writer.dequantize(name)], f"{name}/float", **attributes)
    output = writer.give(name, "QuantizeLinear", [real, *writer.scaling(writer.layer.output)])
    _keep_order(writer, output)


# --- on the integers ------------------------------------------------------------------------------


def max_pool(writer: Writer, layer: MaxPool2d) -> None:
    """On the int8 integers themselves: nothing is rounded, whatever the form."""
    writer.give(writer.name(), "MaxPool", [writer.current], **window(layer))


def _by_table(writer: Writer, layer: Lookup | Rescale) -> None:
    name, graph = writer.name(), writer.graph
    table = graph.constant(f"{name}/table", layer.table, np.int8)
    wide = writer.node("Cast", [writer.current], f"{name}/input", to=graph.element_type(np.int32))
    index = writer.node("Add", [wide, graph.constant("table/offset", 128, np.int32)], f"{name}/index")
    output = writer.give(name, "Gather", [table, index])
    _keep_order(writer, output)


def _keep_order(writer: Writer, output: str) -> None:
    """The values stay where they are, in whatever order they lie."""
    if order := writer.orders.get(writer.current):
        writer.orders[output] = order


def flatten(writer: Writer, layer: Flatten) -> None:
    """For a matrix as ONNX flattens, (channel, row, column); for anything else in the model's order."""
    shape = layer.input.shape
    moves = len(shape) == 3 and shape[2] > 1 and shape[0] * shape[1] > 1
    if moves and not writer.is_for_a_matrix():
        reshape(writer, layer)
        return
    output = writer.give(writer.name(), "Flatten", [writer.current], axis=1)
    if moves:
        writer.orders[output] = shape
    else:
        _keep_order(writer, output)


def reshape(writer: Writer, layer: Reshape | Flatten) -> None:
    """From the model's order of one shape to that of the other."""
    name = writer.name()
    _reshape_to(writer, name, writer.in_model_order(name, writer.current, layer.input.shape), layer.output.shape)


def _reshape_to(writer: Writer, name: str, tensor: str, shape: tuple[int, ...]) -> None:
    target = writer.integers(f"shape/{'x'.join(map(str, shape))}", [0, *shape])  # 0: the batch as it is
    writer.give_in_model_order(name, "Reshape", [tensor, target])


def transpose(writer: Writer, layer: Transpose) -> None:
    """The axes of the tensors as they lie here."""
    source, axes = flat_axes(layer.input.shape), len(layer.order)
    order = [0] * (axes + 1)
    for place, axis in zip(flat_axes(layer.output.shape), layer.order, strict=True):
        order[place] = source[axis]
    writer.give(writer.name(), "Transpose", [writer.current], perm=order)


def concatenate(writer: Writer, layer: Concatenate) -> None:
    """Along the axis as it lies here; constants are repeated for every image of the batch."""
    name = writer.name()
    operands = [_for_each_image(writer, name, position) for position in range(len(layer.inputs))]
    writer.give(name, "Concat", operands, axis=flat_axes(layer.output.shape)[layer.axis])


def _for_each_image(writer: Writer, name: str, position: int) -> str:
    """A tensor with the batch as its first axis; a constant is repeated as often as the model's input says."""
    constant = writer.constant_operand(position)
    if constant is None:
        return writer.operands[position]
    graph, shape = writer.graph, constant.values.shape
    values = graph.constant(
        f"{name}/constant{position}", constant.values[np.newaxis].transpose(channels_first(shape)), np.int8
    )
    sizes = writer.node("Shape", [writer.batched()], f"{name}/sizes{position}")
    first = writer.integers("first", [0])
    batch = writer.node("Gather", [sizes, first], f"{name}/batch{position}", axis=0)
    ones = writer.integers(f"ones/{len(shape)}", [1] * len(shape))
    target = writer.node("Concat", [batch, ones], f"{name}/target{position}", axis=0)
    return writer.node("Expand", [values, target], f"{name}/expanded{position}")


def pad(writer: Writer, layer: Pad) -> None:
    """With an int8 constant."""
    axes = flat_axes(layer.input.shape)
    before, after = [0] * (len(axes) + 1), [0] * (len(axes) + 1)
    for axis, first, last in zip(axes, layer.before, layer.after, strict=True):
        before[axis], after[axis] = first, last
    name = writer.name()
    pads = writer.integers(f"{name}/pads", [*before, *after])
    writer.give(name, "Pad", [writer.current, pads, writer.int8(layer.value)])


def slice_(writer: Writer, layer: Slice) -> None:
    """Every axis with its beginning, end and step."""
    name, axes = writer.name(), flat_axes(layer.input.shape)
    ends = [
        begin + stride * size for begin, stride, size in zip(layer.begin, layer.stride, layer.output.shape, strict=True)
    ]
    ends = [end if end >= 0 else _BEFORE_THE_FIRST for end in ends]
    constants = {"starts": list(layer.begin), "ends": ends, "axes": axes, "steps": list(layer.stride)}
    operands = [writer.integers(f"{name}/{what}", values) for what, values in constants.items()]
    writer.give(name, "Slice", [writer.current, *operands])
