"""A .tflite, ours or third-party, to `QuantizedModel`; any damage is an error message.

The path of a file: `structure` reads its tables as FlatBuffers' verifier would let LiteRT read them, `advice` names
the operators that are not supported, `traps` refuses what TFLM, LiteRT and we would read differently, and
`operators` turns what is left into layers, one operator after the other.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lenet_edge.errors import BadInputError
from lenet_edge.files import read_bytes
from lenet_edge.formats.tflite.advice import unsupported_problem
from lenet_edge.formats.tflite.metadata import read_metadata
from lenet_edge.formats.tflite.operators import READ, Step
from lenet_edge.formats.tflite.schema import operator_name
from lenet_edge.formats.tflite.structure import parse
from lenet_edge.formats.tflite.tensors import Tensors
from lenet_edge.formats.tflite.traps import refuse_traps
from lenet_edge.quantized.lookup import with_ideal_tables
from lenet_edge.quantized.model import Layer, QuantizedModel
from lenet_edge.quantized.verify import verify

__all__ = ["from_bytes", "load", "read"]

_MAX_BYTES = 64 << 20
_MAX_OPERATORS = 1000
# What numpy, struct and json raise when numbers or types make no sense.
_DAMAGE = (struct.error, ValueError, TypeError, LookupError, AttributeError, OverflowError, MemoryError, RecursionError)


def read(path: Path) -> QuantizedModel:
    """Read and verify a .tflite file.

    Raises:
        BadInputError: missing, truncated, damaged, not int8, with operators that
            are not known, or such that the runtimes read it differently; the
            message names what and where.
    """
    return load(path)[0]


def load(path: Path) -> tuple[QuantizedModel, bytes]:
    """The model of a .tflite file, and the very bytes that it was read from, for runtimes; errors as in `read`."""
    hint = "`lenet-edge quantize` makes build/lenet5-int8.tflite."
    data = read_bytes(path, "the model", hint, limit=_MAX_BYTES)
    try:
        return from_bytes(data), data
    except BadInputError as error:
        raise BadInputError(f"{path}: {error}") from error


def from_bytes(data: bytes) -> QuantizedModel:
    """Read and verify the bytes of a .tflite; errors as in `read`."""
    if len(data) > _MAX_BYTES:
        raise BadInputError(f"{len(data):,} bytes are more than the {_MAX_BYTES:,} that are read")
    try:
        root = parse(data)
        with np.errstate(all="ignore"):  # absurd scales are for `verify` to refuse
            model = verify(QuantizedModel(tuple(_layers(root)), read_metadata(root)))
    except _DAMAGE as error:
        raise BadInputError(f"the .tflite is damaged ({type(error).__name__}: {error})") from error
    _check_fingerprint(model)
    return model


def _check_fingerprint(model: QuantizedModel) -> None:
    """The one that the file states; files from before tables were TFLM's state that of the ideal ones."""
    written = model.metadata.get("fingerprint")
    if written not in (None, model.fingerprint, with_ideal_tables(model).fingerprint):
        raise BadInputError(
            f"the layers have fingerprint {model.fingerprint[:16]}, the file says {str(written)[:16]!r}: "
            "it was damaged or changed after lenet-edge wrote it; quantize again"
        )


def _layers(root: Any) -> list[Layer]:
    """The chain of layers, from the graph's input to its output."""
    if not root.subgraphs:
        raise BadInputError("the model has 0 subgraphs; one is supported")
    graph = root.subgraphs[0]
    operators = graph.operators or []
    if not 1 <= len(operators) <= _MAX_OPERATORS:
        raise BadInputError(f"the model has {len(operators)} operators; 1 to {_MAX_OPERATORS} are supported")
    names = [_name(root, operator) for operator in operators]
    problem = unsupported_problem(root, names, READ)
    if problem:
        raise BadInputError(problem)
    if len(root.subgraphs) != 1:
        raise BadInputError(f"the model has {len(root.subgraphs)} subgraphs; one is supported")
    refuse_traps(root, names)
    return [layer for step in _steps(root, graph, names) for layer in READ[step.name](step)]


def _name(root: Any, operator: Any) -> str:
    codes = root.operator_codes or []
    if operator.opcode_index >= len(codes):
        raise BadInputError(f"operator code {operator.opcode_index} does not exist")
    code = codes[operator.opcode_index]
    return operator_name(max(code.builtin_code, code.deprecated_builtin_code))


def _steps(root: Any, graph: Any, names: list[str]) -> Iterator[Step]:
    """The operators in order, each reading what the one before wrote and constants."""
    if graph.inputs is None or len(graph.inputs) != 1 or graph.outputs is None or len(graph.outputs) != 1:
        raise BadInputError("the model must have one input and one output")
    tensors = Tensors(root)
    current, written = int(graph.inputs[0]), {int(graph.inputs[0])}
    for index, (name, operator) in enumerate(zip(names, graph.operators, strict=True)):
        where = f"operator {index} ({name})"
        inputs = [] if operator.inputs is None else operator.inputs[:8].tolist()
        outputs = [] if operator.outputs is None else operator.outputs[:8].tolist()
        if not inputs or inputs[0] != current:
            raise BadInputError(f"{where} does not read the operator before: not a chain")
        if len(outputs) != 1:
            raise BadInputError(f"{where} has {len(outputs)} outputs")
        source, current = current, outputs[0]
        if current in written:
            raise BadInputError(f"{where} writes tensor {current}, which was written before: not a chain")
        written.add(current)
        yield Step(name, where, operator.options, tensors, source, tuple(inputs[1:]), current)
    if current != graph.outputs[0]:
        raise BadInputError("the last operator does not write the model's output: not a chain")
