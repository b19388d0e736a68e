"""An ONNX graph under construction: nodes, constants and the tensors between layers, in a fixed order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from lenet_edge.version import __version__

__all__ = ["BATCH", "GraphBuilder"]

BATCH = "n"
"""Name of the symbolic batch dimension."""

# 13 is the first opset with per-channel DequantizeLinear, and it has int8 MaxPool, Clip and Pad: any later one
# would only keep out older runtimes and converters. IR version 10 is read by ONNX Runtime from 1.18 on.
_OPSET, _IR_VERSION = 13, 10


class GraphBuilder:
    """Collects nodes and constants; the same calls give the same bytes."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []
        self.between: list[onnx.ValueInfoProto] = []

    def constant(self, name: str, value: npt.ArrayLike, dtype: type[np.generic]) -> str:
        """Add a constant unless it is there already; its name."""
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.array(value, dtype, order="C"), name)
        return name

    def node(self, operator: str, inputs: list[str], output: str, name: str = "", **attributes: Any) -> str:
        """Add a node with one output, named as that unless `name` is given; the name of the output."""
        self.nodes.append(helper.make_node(operator, inputs, [output], name or output, **attributes))
        return output

    @staticmethod
    def element_type(dtype: type[np.generic]) -> int:
        """ONNX's number of an element type, as Cast takes it."""
        return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def tensor(self, where: str, name: str, dtype: type[np.generic], shape: tuple[int, ...]) -> None:
        """State type and shape (without the batch) of a tensor; `where` is "inputs", "outputs" or "between"."""
        info = helper.make_tensor_value_info(name, self.element_type(dtype), [BATCH, *shape])
        getattr(self, where).append(info)

    def finish(self, graph_name: str, metadata: Mapping[str, str]) -> bytes:
        """The file's bytes, after ONNX's own checker and shape inference have accepted it.

        Args:
            graph_name: of the graph.
            metadata: goes into ``metadata_props``, sorted.
        """
        constants = list(self.constants.values())
        graph = helper.make_graph(self.nodes, graph_name, self.inputs, self.outputs, constants, value_info=self.between)
        model = helper.make_model(
            graph,
            ir_version=_IR_VERSION,
            opset_imports=[helper.make_opsetid("", _OPSET)],
            producer_name="lenet-edge",
            producer_version=__version__,
        )
        helper.set_model_props(model, {**dict(sorted(metadata.items()))})
        onnx.checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString(deterministic=True))
