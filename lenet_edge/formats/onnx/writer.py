"""The int8 ONNX graph under construction: what each layer reads, in which order its values lie, and how it is named."""

from __future__ import annotations

import json
from typing import Any, Literal, TypeAlias

import numpy as np

from lenet_edge.errors import BadInputError
from lenet_edge.formats.onnx.graph import GraphBuilder
from lenet_edge.quantized.meaning import meaning_of
from lenet_edge.quantized.model import (
    INT8_MAX,
    INT8_MIN,
    Constant,
    Flatten,
    FullyConnected,
    Layer,
    Lookup,
    QTensor,
    QuantizedModel,
    Rescale,
    clamp_of,
    inputs_of,
)
from lenet_edge.version import __version__

__all__ = ["Form", "Writer", "channels_first", "flat_axes", "nchw"]

Form: TypeAlias = Literal["qdq", "qoperator"]

_TO_NCHW, _TO_NHWC = [0, 3, 1, 2], [0, 2, 3, 1]


class Writer:
    """The graph under construction.

    A tensor ``[h, w, c]`` of the model is ``[n, c, h, w]`` here; tensors of other ranks have the model's order. One
    that a `Flatten` made for a matrix alone keeps ONNX's order, and the matrix has its columns permuted.

    Attributes:
        model, form: what is written, and how.
        graph: the nodes and constants so far.
        layer: what is being written.
        operands: the tensors that it reads.
        orders: flat tensor -> ``[h, w, c]`` whose values it holds in the order (c, h, w).
    """

    def __init__(self, model: QuantizedModel, form: Form) -> None:
        self.model, self.form = model, form
        self.graph = GraphBuilder()
        self.layer: Layer = model.layers[0]
        self.operands: list[str] = []
        self.orders: dict[str, tuple[int, ...]] = {}
        self._index = 0
        self._values: dict[int, str] = {}
        self._made_by: dict[str, str] = {}
        self._outputs = {index: _numbered("logits", number) for number, index in enumerate(model.results)}
        for number, tensor in enumerate(model.inputs):
            self._values[-1 - number] = _numbered("image", number)
            self.graph.tensor("inputs", _numbered("image", number), np.int8, nchw(tensor.shape))
        self.taken = {*self._values.values(), *self._outputs.values()}

    def begin(self, index: int) -> None:
        """Turn to the layer of that index."""
        self._index, self.layer = index, self.model.layers[index]
        self.operands = [self._values.get(source, "") for source in self.model.reads[index]]

    @property
    def current(self) -> str:
        """The only tensor that the layer reads, or the first."""
        return self.operands[0]

    def constant_operand(self, position: int) -> Constant | None:
        """The constant that the layer reads there; None where it is computed."""
        source = self.model.reads[self._index][position]
        layer = self.model.layers[source] if source >= 0 else None
        return layer if isinstance(layer, Constant) else None

    def name(self) -> str:
        """The layer's name, made unique: third-party files may have a name twice, or none."""
        stem = self.layer.name or type(self.layer).__name__
        name, count = stem, 1
        while name in self.taken:
            count += 1
            name = f"{stem}#{count}"
        self.taken.add(name)
        return name

    def node(self, operator: str, inputs: list[str], output: str, name: str = "", **attributes: Any) -> str:
        """Add a node, as `GraphBuilder.node` does."""
        self._made_by[output] = operator
        return self.graph.node(operator, inputs, output, name, **attributes)

    def give(self, name: str, operator: str, inputs: list[str], **attributes: Any) -> str:
        """Add the node that gives the layer's int8 output; it is named as the layer."""
        last = self._index in self._outputs
        output = self._clamp(name, self._outputs.get(self._index, name), operator, inputs, attributes)
        where = "outputs" if last else "between"
        self.graph.tensor(where, output, np.int8, nchw(self.layer.output.shape))
        self._values[self._index] = output
        return output

    def _clamp(self, name: str, output: str, operator: str, inputs: list[str], attributes: dict[str, Any]) -> str:
        """The node itself, and a Clip on its int8 output where the saturation to int8 is not the layer's clamp."""
        low, high = clamp_of(self.layer)
        if (low, high) == (INT8_MIN, INT8_MAX):
            return self.node(operator, inputs, output, name, **attributes)
        unclamped = self.node(operator, inputs, f"{name}/unclamped", **attributes)
        return self.node("Clip", [unclamped, self.int8(low), self.int8(high)], output, name)

    def int8(self, value: int) -> str:
        """A scalar int8 constant, shared by all that need it."""
        return self.graph.constant(f"int8/{value}", value, np.int8)

    def integers(self, name: str, values: list[int]) -> str:
        """A constant of int64, as shapes and axes are."""
        return self.graph.constant(name, values, np.int64)

    def scaling(self, tensor: QTensor) -> list[str]:
        """The constants scale and zero point of an activation, shared by all that have the same."""
        scale = np.float32(tensor.scale)
        return [self.graph.constant(f"scale/{scale.item().hex()}", scale, np.float32), self.int8(tensor.zero_point)]

    def dequantize(self, name: str, position: int = 0) -> str:
        """One of the tensors that the layer reads, as float.

        A Clip to all of int8 keeps QuantizeLinear and DequantizeLinear apart: ONNX
        Runtime's ``QDQS8ToU8Transformer`` makes such a pair uint8 on x86-64, and
        its uint8 kernels give wrong integers on CPUs without VNNI.
        """
        tensor, suffix = self.operands[position], f"{position}" if position else ""
        if self._made_by.get(tensor) == "QuantizeLinear":
            whole = [self.int8(INT8_MIN), self.int8(INT8_MAX)]
            tensor = self.node("Clip", [tensor, *whole], f"{name}/int8{suffix}")
        scaling = self.scaling(inputs_of(self.layer)[position])
        return self.node("DequantizeLinear", [tensor, *scaling], f"{name}/input{suffix}")

    def in_model_order(self, name: str, tensor: str, shape: tuple[int, ...]) -> str:
        """A tensor of the model's shape `shape` in the model's own order."""
        return self.node("Transpose", [tensor], f"{name}/nhwc", perm=_TO_NHWC) if _is_map(shape) else tensor

    def in_channels_first(self, name: str, tensor: str, shape: tuple[int, ...]) -> str:
        """The other way round: a tensor that lies in the model's own order, as this graph has it."""
        return self.node("Transpose", [tensor], f"{name}/nchw", perm=_TO_NCHW) if _is_map(shape) else tensor

    def batched(self) -> str:
        """A tensor that has the batch: the model's first input."""
        return self._values[-1]

    def give_in_model_order(self, name: str, operator: str, inputs: list[str], **attributes: Any) -> None:
        """Add the node that gives the layer's output in the model's own order."""
        if not _is_map(self.layer.output.shape):
            self.give(name, operator, inputs, **attributes)
            return
        made = self.node(operator, inputs, f"{name}/made", **attributes)
        self.give(name, "Transpose", [made], perm=_TO_NCHW)

    def is_for_a_matrix(self) -> bool:
        """Whether all that reads the flat tensor is one matrix, behind tables: then its columns can be permuted."""
        index = self._index
        while True:
            readers = [reader for reader, sources in enumerate(self.model.reads) if index in sources]
            if len(readers) != 1 or index in self._outputs:
                return False
            reader = self.model.layers[readers[0]]
            if isinstance(reader, FullyConnected):
                return True
            if not isinstance(reader, (Lookup, Rescale, Flatten)):
                return False
            index = readers[0]

    def finish(self) -> bytes:
        """The bytes of the file."""
        metadata = self.model.metadata
        facts = {
            "classes": json.dumps(meaning_of(self.model).classes, ensure_ascii=False),
            "fingerprint": self.model.fingerprint,
            "lenet_edge": __version__,
        }
        if "arch" in metadata:
            facts["arch"] = str(metadata["arch"])
        order = list(self._outputs.values())
        self.graph.outputs.sort(key=lambda output: order.index(output.name))  # a runtime gives them in this order
        return self.graph.finish("main", facts)

    def refuse(self, why: str) -> BadInputError:
        """That the layer cannot be expressed."""
        return BadInputError(f"layer {self.layer.name}: {why}")


def _numbered(name: str, number: int) -> str:
    return f"{name}_{number}" if number else name


def _is_map(shape: tuple[int, ...]) -> bool:
    return len(shape) == 3


def nchw(shape: tuple[int, ...]) -> tuple[int, ...]:
    """``[h, w, c]`` as ``[c, h, w]``; other shapes as they are."""
    return (shape[2], *shape[:2]) if _is_map(shape) else shape


def channels_first(shape: tuple[int, ...]) -> list[int]:
    """The axes of a tensor of the model in the order in which they are here, the batch being 0."""
    return _TO_NCHW if _is_map(shape) else list(range(len(shape) + 1))


def flat_axes(shape: tuple[int, ...]) -> list[int]:
    """For each axis of the model's shape its number in the ONNX tensor, the batch being 0."""
    return [2, 3, 1] if _is_map(shape) else list(range(1, len(shape) + 1))
