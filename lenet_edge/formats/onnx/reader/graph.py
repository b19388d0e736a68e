"""The bytes of an .onnx to plain Python: nodes, constants, ends; nothing in it is trusted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
from google.protobuf.message import DecodeError
from onnx import helper, numpy_helper

from lenet_edge.errors import BadInputError
from lenet_edge.formats.onnx.reader.wire import require_sensible

__all__ = ["Array", "End", "Graph", "Node", "parse", "printable"]

Array: TypeAlias = npt.NDArray[Any]

_MAX_NODES = 20_000
_MAX_ENDS = 16
_MAX_CONSTANTS = 256 << 20
_MAX_AXES = 8
_OLDEST_OPSET = 10  # the first with QuantizeLinear
_DOMAINS = ("", "ai.onnx", "com.microsoft")  # ONNX Runtime's quantiser writes its own QuantizeLinear at times
_TYPES = onnx.TensorProto.DataType


@dataclass(frozen=True)
class Node:
    """One node; `where` names it in messages."""

    operator: str
    name: str
    where: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    @property
    def output_name(self) -> str:
        """The name of what it makes first."""
        return self.outputs[0] if self.outputs else ""

    def input(self, position: int) -> str:
        """The name of an input; empty where there is none."""
        return self.inputs[position] if position < len(self.inputs) else ""


@dataclass(frozen=True)
class End:
    """An input of the graph: its element type's name and its shape, batch first, 1 for what is symbolic there."""

    name: str
    element: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Graph:
    """What the file holds."""

    nodes: tuple[Node, ...]
    constants: dict[str, Array]
    inputs: tuple[End, ...]
    outputs: tuple[str, ...]


def parse(data: bytes) -> Graph:
    """Read the graph of an .onnx.

    Raises:
        BadInputError: it is no ONNX, is damaged, too large, or keeps its weights in another file.
    """
    require_sensible(data, onnx.ModelProto.DESCRIPTOR)
    try:
        model = onnx.load_model_from_string(data)
    except (DecodeError, UnicodeDecodeError, ValueError) as error:
        raise BadInputError(f"it is not an ONNX file, or is damaged ({str(error)[:100]})") from None
    graph = model.graph
    if not graph.node:
        raise BadInputError("it has no nodes: it is empty, or not an ONNX file")
    _check_model(model)
    constants = _constants(graph)
    inputs = tuple(_end(info) for info in graph.input if info.name not in constants)
    outputs = tuple(info.name for info in graph.output)
    for what, ends in (("input", inputs), ("output", outputs)):
        if not 1 <= len(ends) <= _MAX_ENDS:
            raise BadInputError(f"it has {len(ends)} {what}s; 1 to {_MAX_ENDS} are supported")
    nodes = tuple(_node(index, node) for index, node in enumerate(graph.node))
    _check_names(nodes, constants, inputs)
    return Graph(nodes, constants, inputs, outputs)


def printable(text: str) -> str:
    """A name for messages, of a sensible length."""
    return text if len(text) <= 60 else f"{text[:57]}..."


def _check_model(model: onnx.ModelProto) -> None:
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    if not versions:
        raise BadInputError("it states no version of ONNX's operators")
    if versions[0] < _OLDEST_OPSET:
        raise BadInputError(f"its operators are of opset {versions[0]}, which has no QuantizeLinear; export it again")
    if len(model.graph.node) > _MAX_NODES:
        raise BadInputError(f"it has {len(model.graph.node):,} nodes; {_MAX_NODES:,} are read at most")
    if model.graph.sparse_initializer:
        raise BadInputError("it has sparse constants, which are not supported")


def _check_names(nodes: tuple[Node, ...], constants: Mapping[str, Array], inputs: tuple[End, ...]) -> None:
    """Each tensor is made once, before it is read."""
    known = {"", *constants}
    for end in inputs:
        if end.name in known:
            raise BadInputError(f"it has the input {printable(end.name)!r} twice")
        known.add(end.name)
    for node in nodes:
        missing = [name for name in node.inputs if name not in known]
        if missing:
            raise BadInputError(f"{node.where} reads {printable(missing[0])!r}, which nothing before it makes")
        for name in filter(None, node.outputs):
            if name in known:
                raise BadInputError(f"{node.where} makes {printable(name)!r}, which is there already")
            known.add(name)


def _constants(graph: onnx.GraphProto) -> dict[str, Array]:
    left, found = _MAX_CONSTANTS, {}
    for tensor in graph.initializer:
        array = _array(tensor)
        left -= array.nbytes
        if left < 0:
            raise BadInputError(f"its constants take more than {_MAX_CONSTANTS:,} bytes")
        if tensor.name in found:
            raise BadInputError(f"it has the constant {printable(tensor.name)!r} twice")
        found[tensor.name] = array
    return found


def _array(tensor: onnx.TensorProto) -> Array:
    name = printable(tensor.name)
    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
        raise BadInputError(
            f"the constant {name!r} lies in another file: put all into one, with "
            "onnx.save(onnx.load(FILE), OTHER), and name that"
        )
    if len(tensor.dims) > _MAX_AXES or any(size < 0 for size in tensor.dims):
        raise BadInputError(f"the constant {name!r} has the shape {list(tensor.dims)[: _MAX_AXES + 1]}")
    if math.prod(tensor.dims) > _MAX_CONSTANTS:
        raise BadInputError(f"the constant {name!r} has {math.prod(tensor.dims):,} values")
    try:
        return np.asarray(numpy_helper.to_array(tensor))
    except (ValueError, TypeError, KeyError) as error:
        raise BadInputError(f"the constant {name!r} is damaged ({str(error)[:100]})") from None


def _end(info: onnx.ValueInfoProto) -> End:
    kind = info.type.tensor_type
    name = printable(info.name)
    if not info.type.HasField("tensor_type") or not kind.HasField("shape"):
        raise BadInputError(f"the input {name!r} states no shape; export the model with one")
    sizes = [size.dim_value if size.HasField("dim_value") else 0 for size in kind.shape.dim]
    if not 1 <= len(sizes) <= 5 or any(size < 1 for size in sizes[1:]) or sizes[0] < 0:
        named = [size.dim_param or size.dim_value for size in kind.shape.dim][:6]
        raise BadInputError(
            f"the input {name!r} has the shape {named}; a batch and known sizes are needed: export the model with them"
        )
    if sizes[0] > 1:
        raise BadInputError(
            f"the input {name!r} takes {sizes[0]} images at a time; export the model for 1 or any number"
        )
    element = _TYPES.Name(kind.elem_type) if kind.elem_type in _TYPES.values() else str(kind.elem_type)
    return End(info.name, element, (1, *sizes[1:]))


def _node(index: int, node: onnx.NodeProto) -> Node:
    operator = node.op_type if node.domain in _DOMAINS else f"{node.domain}.{node.op_type}"
    where = f"node {printable(node.name) or index} ({printable(operator)})"
    return Node(operator, node.name, where, tuple(node.input), tuple(node.output), _attributes(node, where))


def _attributes(node: onnx.NodeProto, where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for attribute in node.attribute:
        try:
            value = helper.get_attribute_value(attribute)
        except ValueError:
            raise BadInputError(f"{where}: its attribute {printable(attribute.name)!r} is damaged") from None
        if isinstance(value, onnx.TensorProto):
            value = _array(value)
        elif isinstance(value, bytes):
            value = value.decode(errors="replace")
        found[attribute.name] = value
    return found
