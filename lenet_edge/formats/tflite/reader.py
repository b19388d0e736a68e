"""A .tflite, ours or third-party, to `QuantizedModel`; any damage is an error message.

The path of a file: `structure` reads its tables as FlatBuffers' verifier would let LiteRT read them, `advice` names
the operators that are not supported, `traps` refuses what TFLM, LiteRT and we would read differently, and
`operators` turns what is left into layers, one operator after the other, wired as `wiring` says.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lenet_edge.errors import BadInputError
from lenet_edge.files import read_bytes
from lenet_edge.formats.tflite.advice import kind_problem, unsupported_problem
from lenet_edge.formats.tflite.ends import ends_of, view
from lenet_edge.formats.tflite.metadata import read_metadata
from lenet_edge.formats.tflite.operators import SUPPORTED, read_operator
from lenet_edge.formats.tflite.schema import operator_name
from lenet_edge.formats.tflite.structure import parse
from lenet_edge.formats.tflite.tensors import Tensor
from lenet_edge.formats.tflite.traps import refuse_traps
from lenet_edge.formats.tflite.wiring import Graph, Step
from lenet_edge.quantized.lookup import with_ideal_tables
from lenet_edge.quantized.model import Layer, QuantizedModel, Reshape
from lenet_edge.quantized.verify import verify

__all__ = [
    "MAX_BYTES",
    "damage_is_bad_input",
    "from_bytes",
    "from_tables",
    "load",
    "operator_names",
    "operators_of",
    "read",
]

MAX_BYTES = 64 << 20
_MAX_OPERATORS = 1000
_MAX_TENSORS = 1000  # of one operator
_MAX_ENDS = 16
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
    data = read_bytes(path, "the model", hint, limit=MAX_BYTES)
    try:
        return from_bytes(data), data
    except BadInputError as error:
        raise BadInputError(f"{path}: {error}") from error


def from_bytes(data: bytes) -> QuantizedModel:
    """Read and verify the bytes of a .tflite; errors as in `read`."""
    if len(data) > MAX_BYTES:
        raise BadInputError(f"{len(data):,} bytes are more than the {MAX_BYTES:,} that are read")
    with damage_is_bad_input():
        model = from_tables(parse(data))
    _check_fingerprint(model)
    return model


def from_tables(root: Any) -> QuantizedModel:
    """The verified model of the tables that `structure.parse` gives; errors as in `read`."""
    with np.errstate(all="ignore"):  # absurd scales are for `verify` to refuse
        return verify(_model(root))


@contextmanager
def damage_is_bad_input() -> Iterator[None]:
    """What numpy and others raise about tables that make no sense becomes `BadInputError`."""
    try:
        yield
    except _DAMAGE as error:
        raise BadInputError(f"the .tflite is damaged ({type(error).__name__}: {error})") from error


def operators_of(data: bytes) -> list[str]:
    """The builtin operators of a .tflite that `from_bytes` takes, each once, in order of first use; a runtime needs
    those, too, that are folded or no layer here."""
    root = parse(data)
    return list(dict.fromkeys(_name(root, operator) for operator in root.subgraphs[0].operators))


def _check_fingerprint(model: QuantizedModel) -> None:
    """The one that the file states; files from before tables were TFLM's state that of the ideal ones."""
    written = model.metadata.get("fingerprint")
    if written not in (None, model.fingerprint, with_ideal_tables(model).fingerprint):
        raise BadInputError(
            f"the layers have fingerprint {model.fingerprint[:16]}, the file says {str(written)[:16]!r}: "
            "it was damaged or changed after lenet-edge wrote it; quantize again"
        )


def _model(root: Any) -> QuantizedModel:
    names = operator_names(root)
    problem = unsupported_problem(root, names, SUPPORTED)
    if problem:
        raise BadInputError(problem)
    if len(root.subgraphs) != 1:
        raise BadInputError(f"the model has {len(root.subgraphs)} subgraphs; one is supported")
    if problem := kind_problem(root):
        raise BadInputError(problem)
    refuse_traps(root, names)
    graph = _graph(root)
    for step in _steps(root, graph, names):
        read_operator(step)
        graph.written.update(step.outputs)
    metadata = {**read_metadata(root), "ends": ends_of(graph)}
    if all(kind == "int8" for kinds in metadata["ends"].values() for kind in kinds):
        del metadata["ends"]
    results = graph.drop_unread_moves(_results(graph))
    read = {place for places in graph.reads for place in places}
    for number, index in enumerate(graph.inputs):
        if -1 - number not in read:
            raise BadInputError(f"nothing reads the model's input {number} ({graph.tensors[index].name})")
    return QuantizedModel(tuple(graph.layers), metadata, tuple(graph.reads), results)


def operator_names(root: Any) -> list[str]:
    """The names of the operators of the first subgraph; `BadInputError` where there are none, or too many."""
    if not root.subgraphs:
        raise BadInputError("the model has 0 subgraphs; one is supported")
    operators = root.subgraphs[0].operators or []
    if not 1 <= len(operators) <= _MAX_OPERATORS:
        raise BadInputError(f"the model has {len(operators)} operators; 1 to {_MAX_OPERATORS} are supported")
    return [_name(root, operator) for operator in operators]


def _name(root: Any, operator: Any) -> str:
    codes = root.operator_codes or []
    if operator.opcode_index >= len(codes):
        raise BadInputError(f"operator code {operator.opcode_index} does not exist")
    code = codes[operator.opcode_index]
    return operator_name(max(code.builtin_code, code.deprecated_builtin_code))


def _graph(root: Any) -> Graph:
    """The graph before its first operator."""
    table = root.subgraphs[0]
    inputs, outputs = _indices(table.inputs), _indices(table.outputs)
    for what, indices in (("input", inputs), ("output", outputs)):
        if not 1 <= len(indices) <= _MAX_ENDS:
            raise BadInputError(f"the model has {len(indices)} {what}s; 1 to {_MAX_ENDS} are supported")
        if len(set(indices)) != len(indices):
            raise BadInputError(f"the model has the {what} tensor {indices} twice")
    if set(inputs) & set(outputs):
        raise BadInputError("an input of the model is its output too")
    return Graph(root, inputs, outputs, [index for each in table.operators for index in _indices(each.inputs)])


def _indices(vector: Any) -> tuple[int, ...]:
    if vector is not None and len(vector) > _MAX_TENSORS:
        raise BadInputError(f"an operator reads or writes {len(vector)} tensors; {_MAX_TENSORS} are read at most")
    return () if vector is None else tuple(vector.tolist())


def _steps(root: Any, graph: Graph, names: list[str]) -> Iterator[Step]:
    """The operators in order; each writes tensors that nothing wrote before."""
    for index, (name, operator) in enumerate(zip(names, root.subgraphs[0].operators, strict=True)):
        where = f"operator {index} ({name})"
        step = Step(name, where, operator.options, graph, _indices(operator.inputs), _indices(operator.outputs))
        if not step.inputs or not step.outputs:
            raise BadInputError(f"{where} has {len(step.inputs)} inputs and {len(step.outputs)} outputs")
        for position, target in enumerate(step.outputs):
            if target in graph.written or target in step.outputs[:position]:
                raise BadInputError(f"{where} writes tensor {target}, which was written before")
            if graph.tensors[target].content is not None:
                name = graph.tensors[target].name
                raise BadInputError(f"tensor {name} is an operator's input or output and has constant data as well")
        yield step


def _results(graph: Graph) -> tuple[int, ...]:
    """The layers that give the model's outputs; a copy where that is an input, or what another output is already."""
    results: list[int] = []
    for index in graph.outputs:
        tensor = graph.tensors[index]
        if index not in graph.written or index not in graph.places:
            raise BadInputError(f"tensor {tensor.name} is the model's output, and no operator computes it")
        place = graph.places[index]
        if place < 0 or place in results:
            place = graph.append(_copy(graph, tensor, place), (place,))
        results.append(place)
    return tuple(results)


def _copy(graph: Graph, tensor: Tensor, place: int) -> Layer:
    if place < 0:
        source = graph.inputs[-1 - place]
        values = graph.views.get(source) or view(graph.tensors[source])
    else:
        values = graph.layers[place].output
    return Reshape(tensor.name, values, values)
