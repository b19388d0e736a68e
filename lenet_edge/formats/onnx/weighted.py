"""The layers with weights as ONNX nodes, in both forms."""

from __future__ import annotations

from typing import Any

import numpy as np

from lenet_edge.formats.onnx.bias_rows import BiasRows, bias_rows
from lenet_edge.formats.onnx.writer import Writer
from lenet_edge.quantized.model import (
    Conv2d,
    DepthwiseConv2d,
    FullyConnected,
    Int8Array,
    Pool2d,
    Weighted,
    dilation_of,
    groups_of,
    positions,
    window_size,
)

__all__ = ["convolution", "fully_connected", "window"]


def convolution(writer: Writer, layer: Conv2d | DepthwiseConv2d) -> None:
    name, attributes = writer.name(), window(layer)
    if isinstance(layer, Conv2d):
        weights = layer.weights.transpose(0, 3, 1, 2)
        if groups_of(layer) > 1:
            attributes["group"] = groups_of(layer)
    else:  # output channel c reads input channel c // multiplier, as ONNX's groups do
        weights = layer.weights.transpose(2, 0, 1)[:, np.newaxis]
        attributes["group"] = layer.input.shape[2]
    if writer.form == "qdq":
        _qdq(writer, layer, name, "Conv", weights, attributes)
        return
    bias = writer.graph.constant(f"{name}/bias", layer.bias, np.int32)
    operands = [writer.current, *writer.scaling(layer.input), *_weights(writer, layer, name, weights)]
    writer.give(name, "QLinearConv", [*operands, *writer.scaling(layer.output), bias], **attributes)


def fully_connected(writer: Writer, layer: FullyConnected) -> None:
    name, weights = writer.name(), layer.weights
    if order := writer.orders.get(writer.current):
        columns = np.arange(weights.shape[1]).reshape(order).transpose(2, 0, 1)
        weights = weights[:, columns.ravel()]
    if writer.form == "qdq":
        _qdq(writer, layer, name, "Gemm", weights, {"transB": 1})
        return
    rows = bias_rows(layer)
    lengthened = _pad_with_constants(writer, name, rows)
    matrix = np.concatenate([weights, rows.weights], axis=1).T
    operands = [lengthened, *writer.scaling(layer.input), *_weights(writer, layer, name, matrix)]
    writer.give(name, "QLinearMatMul", [*operands, *writer.scaling(layer.output)])


def _pad_with_constants(writer: Writer, name: str, rows: BiasRows) -> str:
    """Lengthen the activation by the constants that the bias rows of the matrix are multiplied with."""
    tensor = writer.current
    for value, count in rows.inputs:
        pads = writer.integers(f"pads/{count}", [0, 0, 0, count])
        tensor = writer.node("Pad", [tensor, pads, writer.int8(value)], f"{name}/pad{value}")
    return tensor


def _qdq(
    writer: Writer, layer: Weighted, name: str, operator: str, weights: Int8Array, attributes: dict[str, Any]
) -> None:
    """The float operator on dequantised operands; the bias has scale ``s_x * s_w`` as the specification says."""
    graph, scale = writer.graph, np.float32(layer.input.scale)
    quantized = _weights(writer, layer, name, weights)
    bias = [graph.constant(f"{name}/bias", layer.bias, np.int32)]
    bias.append(graph.constant(f"{name}/bias_scales", scale * layer.weight_scales, np.float32))
    bias.append(graph.constant(f"{name}/bias_zero_points", np.zeros(len(layer.bias)), np.int32))
    operands = [
        writer.dequantize(name),
        writer.node("DequantizeLinear", quantized, f"{name}/weights_float", axis=0),
        writer.node("DequantizeLinear", bias, f"{name}/bias_float", axis=0),
    ]
    real = writer.node(operator, operands, f"{name}/float", **attributes)
    writer.give(name, "QuantizeLinear", [real, *writer.scaling(layer.output)])


def _weights(writer: Writer, layer: Weighted, name: str, weights: Int8Array) -> list[str]:
    """The constants of the weights: values, one scale and one zero point per output channel."""
    return [
        writer.graph.constant(f"{name}/weights", weights, np.int8),
        writer.graph.constant(f"{name}/weight_scales", layer.weight_scales, np.float32),
        writer.graph.constant(f"{name}/weight_zero_points", np.zeros(len(layer.bias)), np.int8),
    ]


def window(layer: Conv2d | DepthwiseConv2d | Pool2d) -> dict[str, Any]:
    """Window, strides and explicit pads (ONNX's SAME_UPPER would do, but fewer readers know it)."""
    pads = [position[1:] for position in positions(layer)]
    ends = [before for before, _ in pads] + [after for _, after in pads]
    attributes = {"kernel_shape": list(window_size(layer)), "strides": list(layer.stride), "pads": ends}
    if dilation_of(layer) != (1, 1):
        attributes["dilations"] = list(dilation_of(layer))
    return attributes
