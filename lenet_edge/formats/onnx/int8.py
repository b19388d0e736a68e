"""`QuantizedModel` to int8 ONNX bytes: the same bytes for the same model and metadata, always."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy as np

from lenet_edge import __version__
from lenet_edge.errors import BadInputError
from lenet_edge.formats.onnx.bias_rows import BiasRows, bias_rows
from lenet_edge.formats.onnx.graph import GraphBuilder
from lenet_edge.quantized.lookup import is_universal
from lenet_edge.quantized.meaning import meaning_of
from lenet_edge.quantized.model import (
    INT8_MAX,
    INT8_MIN,
    AveragePool2d,
    Conv2d,
    DepthwiseConv2d,
    Flatten,
    FullyConnected,
    Int8Array,
    Layer,
    Lookup,
    MaxPool2d,
    Pool2d,
    QTensor,
    QuantizedModel,
    Softmax,
    Weighted,
    inputs_of,
    window_padding,
    window_size,
)
from lenet_edge.quantized.verify import verify

__all__ = ["Form", "to_bytes"]

Form: TypeAlias = Literal["qdq", "qoperator"]


def to_bytes(model: QuantizedModel, form: Form = "qdq") -> bytes:
    """The model as int8 ONNX: ``image`` int8 ``[n, c, h, w]`` to ``logits`` int8 ``[n, classes]``.

    Each layer is one named node with an int8 output (and the nodes that prepare
    its inputs), so that a runtime can be asked for every layer's integers. In
    the standard operators only:

    * "qdq": float Conv and Gemm between DequantizeLinear and QuantizeLinear,
      which is what most converters read; whether a runtime accumulates in integers is up to it.
    * "qoperator": QLinearConv and QLinearMatMul, which accumulate in integers.

    The model's flatten order is (row, column, channel), ONNX's is (channel, row,
    column): the columns of the weights behind it are permuted, so there is no Transpose.

    Raises:
        BadInputError: a layer cannot be expressed, or there is no such form.
    """
    if form not in ("qdq", "qoperator"):
        raise BadInputError(f"there is no ONNX form {form!r}; choose one of: qdq, qoperator")
    writer = _Writer(verify(model), form)
    for layer in model.layers:
        _WRITE[type(layer)](writer, layer)
    return writer.finish()


class _Writer:
    """The graph under construction, and what the next layer reads."""

    def __init__(self, model: QuantizedModel, form: Form) -> None:
        self.model, self.form = model, form
        self.graph = GraphBuilder()
        self.current = "image"
        self.flattened: tuple[int, ...] | None = None  # [h, w, c] whose integers are now in the order (c, h, w)
        self.taken = {"image", "logits"}
        self.graph.tensor("inputs", "image", np.int8, _nchw(model.input.shape))

    def name(self, layer: Layer) -> str:
        """The layer's name, made unique: third-party files may have a name twice, or none."""
        name, count = layer.name or type(layer).__name__, 1
        while name in self.taken:
            count += 1
            name = f"{layer.name or type(layer).__name__}#{count}"
        self.taken.add(name)
        return name

    def layer(self, layer: Layer, name: str, operator: str, inputs: list[str], **attributes: Any) -> None:
        """Add the node that gives the layer's int8 output; it is named as the layer."""
        last = layer is self.model.layers[-1]
        output = self.clamp(layer, name, "logits" if last else name, operator, inputs, attributes)
        self.graph.tensor("outputs" if last else "between", output, np.int8, _nchw(layer.output.shape))
        self.current = output

    def clamp(
        self, layer: Layer, name: str, output: str, operator: str, inputs: list[str], attributes: dict[str, Any]
    ) -> str:
        """The node itself, and a Clip on its int8 output where the saturation to int8 is not the layer's clamp."""
        low, high = getattr(layer, "clamp_min", INT8_MIN), getattr(layer, "clamp_max", INT8_MAX)
        if (low, high) == (INT8_MIN, INT8_MAX):
            return self.graph.node(operator, inputs, output, name, **attributes)
        unclamped = self.graph.node(operator, inputs, f"{name}/unclamped", **attributes)
        bounds = [self.int8(low), self.int8(high)]
        return self.graph.node("Clip", [unclamped, *bounds], output, name)

    def int8(self, value: int) -> str:
        """A scalar int8 constant, shared by all that need it."""
        return self.graph.constant(f"int8/{value}", value, np.int8)

    def scaling(self, tensor: QTensor) -> list[str]:
        """The constants scale and zero point of an activation, shared by all that have the same."""
        scale = np.float32(tensor.scale)
        return [self.graph.constant(f"scale/{scale.item().hex()}", scale, np.float32), self.int8(tensor.zero_point)]

    def dequantize(self, layer: Layer, name: str) -> str:
        """The current tensor as float.

        A Clip to all of int8 keeps QuantizeLinear and DequantizeLinear apart: ONNX
        Runtime's ``QDQS8ToU8Transformer`` makes such a pair uint8 on x86-64, and
        its uint8 kernels give wrong integers on CPUs without VNNI.
        """
        if self.graph.nodes and self.graph.nodes[-1].op_type == "QuantizeLinear":
            whole = [self.int8(INT8_MIN), self.int8(INT8_MAX)]
            self.current = self.graph.node("Clip", [self.current, *whole], f"{name}/int8")
        return self.graph.node("DequantizeLinear", [self.current, *self.scaling(inputs_of(layer)[0])], f"{name}/input")

    def finish(self) -> bytes:
        if self.flattened:
            raise BadInputError("the model ends flattened: its outputs would be in another order than ONNX's")
        metadata = self.model.metadata
        facts = {
            "classes": json.dumps(meaning_of(self.model).classes, ensure_ascii=False),
            "fingerprint": self.model.fingerprint,
            "lenet_edge": __version__,
        }
        if "arch" in metadata:
            facts["arch"] = str(metadata["arch"])
        return self.graph.finish("main", facts)


def _nchw(shape: tuple[int, ...]) -> tuple[int, ...]:
    """``[h, w, c]`` as ``[c, h, w]``; other shapes as they are."""
    return (shape[2], *shape[:2]) if len(shape) == 3 else shape


# --- layers with weights --------------------------------------------------------------------------


def _convolution(writer: _Writer, layer: Conv2d | DepthwiseConv2d) -> None:
    name, attributes = writer.name(layer), _window(layer)
    if isinstance(layer, Conv2d):
        weights = layer.weights.transpose(0, 3, 1, 2)
    else:  # output channel c reads input channel c // multiplier, as ONNX's groups do
        weights = layer.weights.transpose(2, 0, 1)[:, np.newaxis]
        attributes["group"] = layer.input.shape[2]
    if writer.form == "qdq":
        _qdq(writer, layer, name, "Conv", weights, attributes)
        return
    bias = writer.graph.constant(f"{name}/bias", layer.bias, np.int32)
    operands = [writer.current, *writer.scaling(layer.input), *_weights(writer, layer, name, weights)]
    writer.layer(layer, name, "QLinearConv", [*operands, *writer.scaling(layer.output), bias], **attributes)


def _fully_connected(writer: _Writer, layer: FullyConnected) -> None:
    name, weights = writer.name(layer), layer.weights
    if writer.flattened:
        columns = np.arange(weights.shape[1]).reshape(writer.flattened).transpose(2, 0, 1)
        weights, writer.flattened = weights[:, columns.ravel()], None
    if writer.form == "qdq":
        _qdq(writer, layer, name, "Gemm", weights, {"transB": 1})
        return
    rows = bias_rows(layer)
    _pad_with_constants(writer, name, rows)
    matrix = np.concatenate([weights, rows.weights], axis=1).T
    operands = [writer.current, *writer.scaling(layer.input), *_weights(writer, layer, name, matrix)]
    writer.layer(layer, name, "QLinearMatMul", [*operands, *writer.scaling(layer.output)])


def _pad_with_constants(writer: _Writer, name: str, rows: BiasRows) -> None:
    """Lengthen the activation by the constants that the bias rows of the matrix are multiplied with."""
    for value, count in rows.inputs:
        pads = writer.graph.constant(f"pads/{count}", [0, 0, 0, count], np.int64)
        writer.current = writer.graph.node("Pad", [writer.current, pads, writer.int8(value)], f"{name}/pad{value}")


def _qdq(
    writer: _Writer, layer: Weighted, name: str, operator: str, weights: Int8Array, attributes: dict[str, Any]
) -> None:
    """The float operator on dequantised operands; the bias has scale ``s_x * s_w`` as the specification says."""
    graph, scale = writer.graph, np.float32(layer.input.scale)
    quantized = _weights(writer, layer, name, weights)
    bias = [graph.constant(f"{name}/bias", layer.bias, np.int32)]
    bias.append(graph.constant(f"{name}/bias_scales", scale * layer.weight_scales, np.float32))
    bias.append(graph.constant(f"{name}/bias_zero_points", np.zeros(len(layer.bias)), np.int32))
    operands = [
        writer.dequantize(layer, name),
        graph.node("DequantizeLinear", quantized, f"{name}/weights_float", axis=0),
        graph.node("DequantizeLinear", bias, f"{name}/bias_float", axis=0),
    ]
    real = graph.node(operator, operands, f"{name}/float", **attributes)
    writer.layer(layer, name, "QuantizeLinear", [real, *writer.scaling(layer.output)])


def _weights(writer: _Writer, layer: Weighted, name: str, weights: Int8Array) -> list[str]:
    """The constants of the weights: values, one scale and one zero point per output channel."""
    return [
        writer.graph.constant(f"{name}/weights", weights, np.int8),
        writer.graph.constant(f"{name}/weight_scales", layer.weight_scales, np.float32),
        writer.graph.constant(f"{name}/weight_zero_points", np.zeros(len(layer.bias)), np.int8),
    ]


def _window(layer: Conv2d | DepthwiseConv2d | Pool2d) -> dict[str, Any]:
    """Window, strides and explicit pads (ONNX's SAME_UPPER would do, but fewer readers know it)."""
    extent = window_size(layer)
    axes = zip(layer.input.shape[:2], extent, layer.stride, strict=True)
    pads = [window_padding(size, window, stride, layer.padding)[1:] for size, window, stride in axes]
    ends = [before for before, _ in pads] + [after for _, after in pads]
    return {"kernel_shape": list(extent), "strides": list(layer.stride), "pads": ends}


# --- layers without ------------------------------------------------------------------------------


def _max_pool(writer: _Writer, layer: MaxPool2d) -> None:
    """On the int8 integers themselves: nothing is rounded, whatever the form."""
    writer.layer(layer, writer.name(layer), "MaxPool", [writer.current], **_window(layer))


def _average_pool(writer: _Writer, layer: AveragePool2d) -> None:
    """In float, since the standard domain has no quantised operator; padding does not count, as in TFLite."""
    _in_float(writer, layer, "AveragePool", **_window(layer))


def _lookup(writer: _Writer, layer: Lookup) -> None:
    """The function in float, which converters know, where it gives the layer's table everywhere; else the table."""
    if is_universal(layer):
        _in_float(writer, layer, {"sigmoid": "Sigmoid", "tanh": "Tanh"}[layer.function])
        return
    name, graph = writer.name(layer), writer.graph
    table = graph.constant(f"{name}/table", layer.table, np.int8)
    wide = graph.node("Cast", [writer.current], f"{name}/input", to=graph.element_type(np.int32))
    index = graph.node("Add", [wide, graph.constant("table/offset", 128, np.int32)], f"{name}/index")
    writer.layer(layer, name, "Gather", [table, index])


def _softmax(writer: _Writer, layer: Softmax) -> None:
    if layer.beta != 1.0:
        raise BadInputError(f"layer {layer.name}: ONNX's Softmax has no beta, and this one is {layer.beta}")
    _in_float(writer, layer, "Softmax", axis=1)


def _in_float(writer: _Writer, layer: Layer, operator: str, **attributes: Any) -> None:
    name = writer.name(layer)
    real = writer.graph.node(operator, [writer.dequantize(layer, name)], f"{name}/float", **attributes)
    writer.layer(layer, name, "QuantizeLinear", [real, *writer.scaling(layer.output)])


def _flatten(writer: _Writer, layer: Flatten) -> None:
    shape = layer.input.shape
    if len(shape) == 3 and shape[2] > 1 and shape[0] * shape[1] > 1:
        writer.flattened = shape
    writer.layer(layer, writer.name(layer), "Flatten", [writer.current], axis=1)


_WRITE: dict[type[Layer], Callable[..., None]] = {
    Conv2d: _convolution,
    DepthwiseConv2d: _convolution,
    FullyConnected: _fully_connected,
    MaxPool2d: _max_pool,
    AveragePool2d: _average_pool,
    Lookup: _lookup,
    Flatten: _flatten,
    Softmax: _softmax,
}
