"""The file's own graph with int8 ends, so that ONNX Runtime can be given and asked for the model's integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from lenet_edge.formats.onnx.reader.values import Integers, canonical
from lenet_edge.quantized.layers import QTensor

__all__ = ["with_integer_ends"]

_TO_NCHW, _TO_NHWC = [0, 3, 1, 2], [0, 2, 3, 1]


def with_integer_ends(
    data: bytes,
    inputs: Sequence[tuple[Integers, QTensor]],
    outputs: Sequence[tuple[str, Integers, bool]],
    floats: Sequence[str] = (),
) -> bytes:
    """The graph between DequantizeLinear of int8 inputs and QuantizeLinear to int8 outputs; nothing in it changes.

    Args:
        data: the bytes of the .onnx.
        inputs: for each input of the graph its integers, and the model's tensor.
        outputs: for each output of the model the tensor of the graph to ask for, the integers that it stands for, and
            whether it is integers itself.
        floats: further outputs, as they are.

    Returns:
        The bytes of an .onnx whose maps are int8 ``[n, c, h, w]``, in and out.
    """
    model = onnx.load_model_from_string(data)
    graph, ends = model.graph, _Ends(model.graph)
    before: list[onnx.NodeProto] = []
    constants = {tensor.name for tensor in graph.initializer}
    given = [info for info in graph.input if info.name not in constants]
    infos = [ends.enter(info, *each, before) for info, each in zip(given, inputs, strict=True)]
    nodes = [*before, *graph.node]
    made = [ends.leave(*each, nodes) for each in outputs]
    made += [helper.make_value_info(name, helper.make_tensor_type_proto(TensorProto.FLOAT, None)) for name in floats]
    for field, content in (("input", infos), ("output", made), ("node", nodes)):
        graph.ClearField(field)
        getattr(graph, field).extend(content)
    graph.ClearField("value_info")
    graph.initializer.extend(ends.constants)
    return bytes(model.SerializeToString(deterministic=True))


class _Ends:
    """Makes names and constants that the graph does not have."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.names = {name for node in graph.node for name in (*node.input, *node.output)}
        self.names |= {each.name for each in (*graph.input, *graph.initializer)}
        self.constants: list[onnx.TensorProto] = []

    def name(self, wished: str) -> str:
        while wished in self.names:
            wished += "_"
        self.names.add(wished)
        return wished

    def scaling(self, scale: float, zero_point: int, element: type) -> list[str]:
        found = []
        for value, dtype in ((scale, np.float32), (zero_point + (128 if element is np.uint8 else 0), element)):
            found.append(self.name("end"))
            self.constants.append(numpy_helper.from_array(np.array(value, dtype), found[-1]))
        return found

    def node(self, nodes: list[onnx.NodeProto], operator: str, inputs: list[str], wished: str, **more: Any) -> str:
        name = self.name(wished)
        nodes.append(helper.make_node(operator, inputs, [name], name, **more))
        return name

    def enter(
        self, info: onnx.ValueInfoProto, integers: Integers, tensor: QTensor, nodes: list[onnx.NodeProto]
    ) -> onnx.ValueInfoProto:
        """Nodes that make the graph's input of an int8 one."""
        scaling = (tensor.scale, tensor.zero_point)
        sizes = [size.dim_value or "n" for size in info.type.tensor_type.shape.dim][:1]
        shape, element = list(integers.shape), info.type.tensor_type.elem_type
        name = current = self.name(f"{info.name}_int8")
        if len(shape) == 3 and not np.array_equal(integers.index, canonical(integers.shape)):
            current = self.node(nodes, "Transpose", [current], "end", perm=_TO_NHWC)
            shape = [shape[2], *shape[:2]]
        current = self.node(nodes, "DequantizeLinear", [current, *self.scaling(*scaling, np.int8)], "end")
        if element in (TensorProto.INT8, TensorProto.UINT8):
            kind = np.int8 if element == TensorProto.INT8 else np.uint8
            current = self.node(nodes, "QuantizeLinear", [current, *self.scaling(*scaling, kind)], "end")
        nodes.append(helper.make_node("Identity", [current], [info.name]))
        return helper.make_tensor_value_info(name, TensorProto.INT8, [*sizes, *shape])

    def leave(
        self, name: str, integers: Integers, is_integers: bool, nodes: list[onnx.NodeProto]
    ) -> onnx.ValueInfoProto:
        """Nodes that make an int8 output of a tensor of the graph."""
        scaling, current = (integers.scaling.scale, integers.scaling.zero_point), name
        shape = list(integers.shape)
        if is_integers:
            kind = np.uint8 if integers.element == "uint8" else np.int8
            current = self.node(nodes, "DequantizeLinear", [name, *self.scaling(*scaling, kind)], "end")
        current = self.node(nodes, "QuantizeLinear", [current, *self.scaling(*scaling, np.int8)], f"{name}_int8")
        if len(integers.shape) == 3 and not np.array_equal(integers.index, canonical(integers.shape)):
            current = self.node(nodes, "Transpose", [current], "end", perm=_TO_NCHW)
            shape = [shape[2], *shape[:2]]
        return helper.make_tensor_value_info(current, TensorProto.INT8, ["n", *shape])
