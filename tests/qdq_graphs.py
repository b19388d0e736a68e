"""QDQ ONNX graphs of the forms that quantisers write, put together by hand; scales are powers of two, so that floats
are exact and ONNX's own evaluator, whatever its order of sums, gives the one right answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

INT8, UINT8 = np.int8, np.uint8


class Graph:
    """A graph under construction; methods add nodes and give the names of what these make."""

    def __init__(self, seed: int = 0, element: type = INT8) -> None:
        self.random = np.random.default_rng(seed)
        self.element = element
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.count = 0

    def name(self, kind: str) -> str:
        self.count += 1
        return f"{kind.lower()}_{self.count}"

    def constant(self, values: Any, dtype: Any = None) -> str:
        name = self.name("constant")
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        name = self.name(operator)
        self.nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def image(self, *shape: int, batch: Any = "n", dtype: Any = np.float32) -> str:
        name = self.name("image")
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        self.inputs.append(helper.make_tensor_value_info(name, kind, [batch, *shape]))
        return name

    def scaling(self, exponent: int, zero_point: int) -> list[str]:
        """Scale and zero point; the latter is given as int8 and shifted for uint8."""
        shift = 128 if self.element is UINT8 else 0
        return [self.constant(2.0**exponent, np.float32), self.constant(zero_point + shift, self.element)]

    def quantized(self, tensor: str, exponent: int, zero_point: int = 0) -> str:
        """QuantizeLinear alone: integers."""
        return self.node("QuantizeLinear", tensor, *self.scaling(exponent, zero_point))

    def edge(self, tensor: str, exponent: int, zero_point: int = 0) -> str:
        """QuantizeLinear and DequantizeLinear."""
        scaling = self.scaling(exponent, zero_point)
        return self.node("DequantizeLinear", self.node("QuantizeLinear", tensor, *scaling), *scaling)

    def weights(self, *shape: int, axis: int | None = 0, dtype: type = INT8, low: int = -9, high: int = 10) -> str:
        """Random weights behind DequantizeLinear, one scale for each channel along `axis` or one for all."""
        integers = self.random.integers(low, high, shape)
        zero = 128 if dtype is UINT8 else 0
        sizes = () if axis is None else (shape[axis],)
        scales = np.float32(2.0) ** self.random.integers(-6, -3, sizes)
        attributes = {} if axis is None else {"axis": axis}
        arrays = (np.array(integers + zero, dtype), np.array(scales, np.float32), np.full(sizes, zero, dtype))
        return self.node("DequantizeLinear", *map(self.constant, arrays), **attributes)

    def floats(self, *shape: int, exponent: int = -8) -> str:
        """Float constants, multiples of a power of two."""
        return self.constant(self.random.integers(-40, 40, shape) * 2.0**exponent, np.float32)

    def finish(self, *outputs: str, opset: int = 19) -> bytes:
        """The file; outputs have no stated shape, as runtimes do not need one."""
        made = [helper.make_value_info(name, helper.make_tensor_type_proto(1, None)) for name in outputs]
        integers = helper.np_dtype_to_tensor_dtype(np.dtype(self.element))
        kinds = {node.output[0]: node.op_type for node in self.nodes}
        for info in made:
            if kinds[info.name] == "QuantizeLinear":
                info.type.tensor_type.elem_type = integers
        graph = helper.make_graph(self.nodes, "graph", self.inputs, made, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
        return bytes(model.SerializeToString(deterministic=True))


def chain(element: type = INT8, seed: int = 0) -> bytes:
    """Conv, Relu, MaxPool, depthwise Conv, Flatten, Gemm: what ONNX Runtime's quantiser makes of a small network."""
    graph = Graph(seed, element)
    x = graph.edge(graph.image(2, 7, 6), -6, -3)
    x = graph.node("Conv", x, graph.weights(4, 2, 3, 3), graph.floats(4), pads=[1, 1, 1, 1], strides=[2, 2])
    x = graph.edge(graph.node("Relu", x), -5, -128)
    x = graph.edge(graph.node("MaxPool", x, kernel_shape=[2, 2], strides=[1, 1]), -5, -128)
    x = graph.node("Conv", x, graph.weights(8, 1, 2, 2), graph.floats(8), group=4)
    x = graph.edge(x, -5, 7)
    x = graph.edge(graph.node("Flatten", x), -5, 7)
    x = graph.node("Gemm", x, graph.weights(5, 16), graph.floats(5), transB=1)
    return graph.finish(graph.edge(x, -4, 5))


def residual(element: type = INT8, seed: int = 0) -> bytes:
    """Two branches that are added and joined, a mean, MatMul with an Add: PyTorch's forms among them."""
    graph = Graph(seed, element)
    first = graph.edge(graph.image(3, 6, 6, batch=1), -6, 9)
    x = graph.node("Conv", first, graph.weights(3, 3, 3, 3, axis=None), graph.floats(3), pads=[1, 1, 1, 1])
    x = graph.edge(graph.node("Add", first, graph.edge(x, -5, -11)), -4, 4)
    y = graph.edge(graph.node("AveragePool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1), -4, 4)
    x = graph.edge(graph.node("Concat", x, y, axis=1), -4, 4)
    x = graph.edge(graph.node("Clip", x, graph.constant(0.0, np.float32), graph.constant(6.0, np.float32)), -4, 4)
    x = graph.edge(graph.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]), -4, 4)
    x = graph.node("Transpose", x, perm=[0, 2, 3, 1])
    x = graph.node("Reshape", x, graph.constant([1, -1], np.int64))
    x = graph.node("MatMul", x, graph.weights(54, 6, axis=1))
    x = graph.node("Add", x, graph.floats(6))
    return graph.finish(graph.node("Softmax", graph.edge(x, -3, 0), axis=1))
