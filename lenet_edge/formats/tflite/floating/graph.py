"""The tables of a float .tflite as operators that can be changed, taken away and added."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from lenet_edge.errors import BadInputError
from lenet_edge.formats.tflite.advice import kind_problem, unsupported_problem
from lenet_edge.formats.tflite.operators import SUPPORTED
from lenet_edge.formats.tflite.reader import damage_is_bad_input, operator_names
from lenet_edge.formats.tflite.schema import OPERATOR_VERSIONS, S
from lenet_edge.formats.tflite.structure import parse
from lenet_edge.formats.tflite.tensors import Tensors, printable, type_name

__all__ = ["FloatGraph", "Operator", "is_float", "read_graph"]

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]

_FLOAT, _HALF, _INTEGERS = S.TensorType.FLOAT32, S.TensorType.FLOAT16, (S.TensorType.INT32, S.TensorType.BOOL)
_QUANTIZED = (S.TensorType.INT8, S.TensorType.UINT8, S.TensorType.INT16, S.TensorType.INT4)
_SHOWN = 5


@dataclass(eq=False)
class Operator:
    """An operator.

    Attributes:
        name: of the operator.
        number: in the file, for messages.
        inputs, outputs: indices of the tensors that it reads (-1: none) and writes.
        options_type, options: its table of options.
    """

    name: str
    number: int
    inputs: list[int]
    outputs: list[int]
    options_type: int = 0
    options: Any = None

    @property
    def where(self) -> str:
        """For messages."""
        return f"operator {self.number} ({self.name})"

    @property
    def activation(self) -> int:
        """Its fused activation, 0 where it has none."""
        return int(getattr(self.options, "fused_activation_function", 0) or 0)


class FloatGraph:
    """A float model.

    Attributes:
        root: the tables, as `structure.parse` gives them; `changed` has them with the operators as they are now.
        operators: in their order.
        input, output: the indices of the model's tensors.
    """

    def __init__(self, root: Any) -> None:
        self.root, self._table = root, root.subgraphs[0]
        self.input, self.output = int(self._table.inputs[0]), int(self._table.outputs[0])
        self.operators = [
            Operator(name, number, _indices(each.inputs), _indices(each.outputs), each.options_type, each.options)
            for number, (name, each) in enumerate(zip(operator_names(root), self._table.operators, strict=True))
        ]
        self._constants = Tensors(root)
        self._values: dict[int, Float32Array] = {}

    def tensor(self, index: int) -> Any:
        """The table of a tensor."""
        if not 0 <= index < len(self._table.tensors):
            raise BadInputError(f"tensor {index} does not exist")
        return self._table.tensors[index]

    def name(self, index: int) -> str:
        """The name of a tensor, for messages."""
        return printable(self.tensor(index).name or b"")

    def shape(self, index: int) -> tuple[int, ...]:
        """The shape of a tensor, with the batch."""
        shape = self.tensor(index).shape
        return () if shape is None else tuple(int(size) for size in shape)

    def is_float(self, index: int) -> bool:
        """Whether the tensor is float32."""
        return index >= 0 and self.tensor(index).type == _FLOAT

    def is_constant(self, index: int) -> bool:
        """Whether the file has the tensor's values."""
        return index in self._values or self.root.buffers[self.tensor(index).buffer].data is not None

    def values(self, index: int) -> Float32Array:
        """The values of a constant float tensor, all of them finite numbers.

        Raises:
            BadInputError: they are not.
        """
        if index not in self._values:
            found = self._constants.constant(self._constants[index], "float32")
            if not np.isfinite(found).all():
                raise BadInputError(f"tensor {self.name(index)} holds values that are infinite or no numbers")
            self._values[index] = found
        return self._values[index]

    def set_values(self, index: int, values: npt.NDArray[np.floating[Any]]) -> None:
        """Give a constant float tensor other values, and their shape."""
        found = np.ascontiguousarray(values, np.float32)
        if not np.isfinite(found).all():
            raise BadInputError(f"tensor {self.name(index)} would hold values that are infinite or no numbers")
        self._values[index], self.tensor(index).shape = found, np.array(found.shape, np.int32)

    def add_tensor(self, name: str, shape: tuple[int, ...], kind: int = _FLOAT) -> int:
        """A new tensor without values; its index."""
        table = SimpleNamespace(**vars(self.tensor(self.output)))
        table.name, table.shape, table.shape_signature = name.encode(), np.array(shape, np.int32), None
        table.type, table.buffer, table.quantization = kind, 0, None
        self._table.tensors.append(table)
        return len(self._table.tensors) - 1

    def add_constant(self, name: str, values: npt.NDArray[np.floating[Any]]) -> int:
        """A new constant float tensor; its index."""
        index = self.add_tensor(name, values.shape)
        self.set_values(index, values)
        return index

    def add_buffer(self, content: bytes) -> int:
        """A new buffer; its index."""
        data = np.frombuffer(content, np.uint8)
        self.root.buffers.append(SimpleNamespace(data=data, offset=0, size=0))
        return len(self.root.buffers) - 1

    def readers(self, index: int) -> list[Operator]:
        """The operators that read a tensor."""
        return [operator for operator in self.operators if index in operator.inputs]

    def only_reader(self, index: int) -> Operator | None:
        """The operator that reads a tensor, where it is one, and the tensor is not the model's output."""
        found = self.readers(index)
        return found[0] if len(found) == 1 and index != self.output else None

    def writer(self, index: int) -> Operator | None:
        """The operator that gives a tensor."""
        return next((operator for operator in self.operators if index in operator.outputs), None)

    def replace(self, old: int, new: int) -> None:
        """Let everything that reads one tensor read another, also as the model's output."""
        for operator in self.operators:
            operator.inputs = [new if index == old else index for index in operator.inputs]
        self.output = new if self.output == old else self.output

    def changed(self) -> Any:
        """The tables of a file with the operators and the ends that the graph has now."""
        codes = list(dict.fromkeys(operator.name for operator in self.operators))
        table, root = self._table, self.root
        table.inputs, table.outputs = (np.array([index], np.int32) for index in (self.input, self.output))
        table.operators = [_table_of(operator, codes.index(operator.name)) for operator in self.operators]
        root.operator_codes = [_code(name) for name in codes]
        root.metadata, root.metadata_buffer, root.signature_defs = None, None, None
        used = {self.input, self.output}.union(*(each.inputs + each.outputs for each in self.operators))
        for index, tensor in enumerate(table.tensors):
            if index not in used:  # runtimes look at it all the same
                tensor.shape, tensor.shape_signature, tensor.buffer = np.empty(0, np.int32), None, 0
        return root


def _code(name: str) -> SimpleNamespace:
    number = getattr(S.BuiltinOperator, name)
    version = OPERATOR_VERSIONS.get(name, 1)
    return SimpleNamespace(deprecated_builtin_code=min(number, 127), builtin_code=number, version=version)


def _table_of(operator: Operator, code: int) -> SimpleNamespace:
    arrays = {"inputs": np.array(operator.inputs, np.int32), "outputs": np.array(operator.outputs, np.int32)}
    kind = {"options_type": operator.options_type, "options": operator.options}
    absent = ("custom_options", "mutating_variable_inputs", "intermediates", "options_2")
    zeros = ("large_custom_options_offset", "large_custom_options_size", "options_2_type")
    return SimpleNamespace(
        opcode_index=code, **arrays, **kind, **dict.fromkeys(absent, None), **dict.fromkeys(zeros, 0)
    )


def _indices(vector: Any) -> list[int]:
    return [] if vector is None else [int(index) for index in vector]


# --- reading ------------------------------------------------------------------------------------------


def is_float(data: bytes) -> bool:
    """Whether a .tflite takes float32 and computes in it; damage is for `read_graph` to name."""
    try:
        with damage_is_bad_input():
            return not _quantized(parse(data))
    except BadInputError:
        return True


def read_graph(data: bytes) -> FloatGraph:
    """The graph of a float .tflite with one input and one output.

    Raises:
        BadInputError: it is damaged, has operators that are not supported (all of them are named), is int8 already, or
            float in parts only.
    """
    with damage_is_bad_input():
        root = parse(data)
        names = operator_names(root)
        if _quantized(root):
            raise BadInputError(
                kind_problem(root)
                or "it is quantised already. `lenet-edge retie` makes an int8 model exact in every runtime"
            )
        problem = unsupported_problem(root, names, SUPPORTED)
        if problem:
            raise BadInputError(problem)
        if len(root.subgraphs) != 1:
            raise BadInputError(f"the model has {len(root.subgraphs)} subgraphs; one is supported")
        graph = FloatGraph(_of_one_input(root))
        _check(graph)
    return graph


def _quantized(root: Any) -> bool:
    """Whether activations are integers with a scale: whether an operator writes such a tensor."""
    graph = root.subgraphs[0]
    written = {int(index) for operator in graph.operators for index in operator.outputs}
    return any(graph.tensors[index].type in _QUANTIZED for index in written)


def _of_one_input(root: Any) -> Any:
    graph = root.subgraphs[0]
    for what, indices in (("input", graph.inputs), ("output", graph.outputs)):
        count = 0 if indices is None else len(indices)
        if count != 1:
            raise BadInputError(f"the model has {count} {what}s; a float model with one is taken, to which pictures go")
    return root


def _check(graph: FloatGraph) -> None:
    """Float32 throughout, with constant weights, and a batch of one."""
    for what, index in (("input", graph.input), ("output", graph.output)):
        if not graph.is_float(index):
            raise BadInputError(f"the model's {what} {graph.name(index)} is {type_name(graph.tensor(index).type)}")
    shape = graph.shape(graph.input)
    if len(shape) < 2 or shape[0] != 1 or math.prod(shape) < 1:
        raise BadInputError(
            f"the model's input has shape {shape}; the first axis is the batch, and it has to be 1 or open: convert "
            "the model with a batch of 1"
        )
    for operator in graph.operators:
        for index in operator.inputs:
            if index >= 0:
                _check_type(graph, operator, index)


def _check_type(graph: FloatGraph, operator: Operator, index: int) -> None:
    kind = graph.tensor(index).type
    if kind in _QUANTIZED:
        raise BadInputError(
            f"{operator.where} reads weights that are {type_name(kind)} already, and float values (dynamic range "
            "quantisation): convert the model once more, without optimizations"
        )
    if kind not in (_FLOAT, _HALF, *_INTEGERS):
        raise BadInputError(f"{operator.where} reads tensor {graph.name(index)}, which is {type_name(kind)}")
    if kind == _HALF and (operator.name != "DEQUANTIZE" or not graph.is_constant(index)):
        raise BadInputError(
            f"{operator.where} computes with float16; weights of that type are taken, activations are not"
        )
