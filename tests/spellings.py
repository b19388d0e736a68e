"""The same .tflite in other words: what the format lets a converter say in two ways, said in the other one.

Each function changes an operator of LiteRT's object tree to another spelling of the same operator, or leaves it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

__all__ = ["SPELLINGS", "respelled"]

_WITHOUT_OPTIONS = ("RESHAPE", "PAD", "PADV2", "EXPAND_DIMS", "TRANSPOSE", "QUANTIZE", "DEQUANTIZE")
_NEWEST = {"ADD": 5, "SUB": 5, "MUL": 7, "MEAN": 3, "PAD": 6, "CONCATENATION": 7, "STRIDED_SLICE": 4, "TRANSPOSE": 8}


@dataclass(frozen=True)
class _Use:
    """An operator, with the name of what it is, in its tree."""

    tree: Any
    operator: Any
    name: str

    @property
    def graph(self) -> Any:
        return self.tree.subgraphs[0]

    @property
    def options(self) -> Any:
        return self.operator.builtinOptions

    def shape(self, position: int) -> list[int]:
        return [int(size) for size in self.graph.tensors[self.operator.inputs[position]].shape]

    def constant(self, position: int) -> np.ndarray:
        tensor = self.graph.tensors[self.operator.inputs[position]]
        return np.frombuffer(bytes(self.tree.buffers[tensor.buffer].data), np.int32).copy()

    def replace_constant(self, position: int, values: np.ndarray) -> None:
        """The operator reads these int32 values there, in a tensor of its own."""
        old = self.graph.tensors[self.operator.inputs[position]]
        tensor, buffer = schema.TensorT(), schema.BufferT()
        vars(tensor).update(vars(old))
        buffer.data = np.frombuffer(np.asarray(values, np.int32).tobytes(), np.uint8)
        self.tree.buffers.append(buffer)
        tensor.buffer = len(self.tree.buffers) - 1
        self.graph.tensors.append(tensor)
        inputs = list(self.operator.inputs)
        inputs[position] = len(self.graph.tensors) - 1
        self.operator.inputs = inputs


def _no_options(use: _Use) -> None:
    """An empty table of options, or none; RESHAPE's repeats its second input."""
    if use.name in _WITHOUT_OPTIONS:
        use.operator.builtinOptions, use.operator.builtinOptionsType = None, 0


def _counted_from_the_other_end(use: _Use) -> None:
    """An axis as -1 or as the last: a constant's, or an option's."""
    position = {"MEAN": 1, "EXPAND_DIMS": 1, "SPLIT": 0}.get(use.name)
    if position is not None:
        rank = len(use.shape(1 - position)) + (use.name == "EXPAND_DIMS")
        axes = use.constant(position)
        use.replace_constant(position, np.where(axes < 0, axes + rank, axes - rank))
    elif use.name == "CONCATENATION":
        rank = len(use.shape(0))
        use.options.axis += rank if use.options.axis < 0 else -rank
    elif use.name == "SQUEEZE" and use.options.squeezeDims is not None:
        rank = len(use.shape(0))
        use.options.squeezeDims = [axis + rank if axis < 0 else axis - rank for axis in use.options.squeezeDims]


def _axes_in_another_order(use: _Use) -> None:
    if use.name == "MEAN":
        use.replace_constant(1, use.constant(1)[::-1])


def _new_shape_as_an_option(use: _Use) -> None:
    if use.name == "RESHAPE":
        options = schema.ReshapeOptionsT()
        options.newShape = use.constant(1).tolist()
        use.operator.builtinOptions, use.operator.builtinOptionsType = options, schema.BuiltinOptions.ReshapeOptions
        use.operator.inputs = list(use.operator.inputs)[:1]


def _new_shape_with_one_size_left_open(use: _Use) -> None:
    if use.name == "RESHAPE":
        shape = use.constant(1)
        shape[-1] = -1
        use.replace_constant(1, shape)


def _open_ends(use: _Use) -> None:
    """A mask where the part begins or ends with the axis."""
    if use.name != "STRIDED_SLICE":
        return
    begin, end, stride = map(use.constant, (1, 2, 3))
    for axis, size in enumerate(use.shape(0)):
        if use.options.shrinkAxisMask >> axis & 1:
            continue
        first, past = (0, size) if stride[axis] > 0 else (size - 1, -size - 1)
        if begin[axis] == first:
            use.options.beginMask |= 1 << axis
            begin[axis] = 7  # nobody reads it
        if end[axis] == past:
            use.options.endMask |= 1 << axis
            end[axis] = -7
    use.replace_constant(1, begin)
    use.replace_constant(2, end)


def _begin_counted_from_the_end(use: _Use) -> None:
    if use.name == "STRIDED_SLICE":
        begin, shape = use.constant(1), use.shape(0)
        use.replace_constant(1, np.where(begin > 0, begin - shape, begin))


def _newest_version(use: _Use) -> None:
    code = use.tree.operatorCodes[use.operator.opcodeIndex]
    code.version = _NEWEST.get(use.name, code.version)


def _code_of_older_schemas(use: _Use) -> None:
    """The operator's number in the byte that the first schema had for it."""
    use.tree.operatorCodes[use.operator.opcodeIndex].builtinCode = 0


def _code_of_newer_schemas(use: _Use) -> None:
    code = use.tree.operatorCodes[use.operator.opcodeIndex]
    code.deprecatedBuiltinCode = 0 if code.builtinCode else code.deprecatedBuiltinCode


def _open_batch(use: _Use) -> None:
    """The batch is -1 in the signature of the shape."""
    for index in use.operator.outputs:
        tensor = use.graph.tensors[index]
        tensor.shapeSignature = [-1, *list(tensor.shape)[1:]]


SPELLINGS: Mapping[str, Callable[[_Use], None]] = {
    function.__name__[1:].replace("_", " "): function
    for function in (
        *(_no_options, _new_shape_with_one_size_left_open, _new_shape_as_an_option),
        *(_counted_from_the_other_end, _axes_in_another_order, _begin_counted_from_the_end, _open_ends),
        *(_newest_version, _code_of_older_schemas, _code_of_newer_schemas, _open_batch),
    )
}
"""In an order in which all of them can be taken together."""


def respelled(data: bytes, names: list[str], defaults: bool) -> bytes:
    """The file with these of `SPELLINGS`; with `defaults` it has every field that it could leave out."""
    tree = schema.ModelT.InitFromPackedBuf(data, 0)
    numbers = {number: name for name, number in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    for operator in tree.subgraphs[0].operators:
        code = tree.operatorCodes[operator.opcodeIndex]
        use = _Use(tree, operator, numbers[max(code.builtinCode, code.deprecatedBuiltinCode)])
        for name in names:
            SPELLINGS[name](use)
    builder = flatbuffers.Builder(1 << 16)
    builder.ForceDefaults(defaults)
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())
