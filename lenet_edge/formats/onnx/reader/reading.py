"""From the graph to the model: node after node, then the outputs, then what nothing reads goes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lenet_edge.errors import BadInputError
from lenet_edge.formats.onnx.reader.advice import float_edges_problem, unsupported_problem
from lenet_edge.formats.onnx.reader.builder import Builder
from lenet_edge.formats.onnx.reader.graph import Graph, Node, parse, printable
from lenet_edge.formats.onnx.reader.integer_ends import with_integer_ends
from lenet_edge.formats.onnx.reader.operators import OPERATORS
from lenet_edge.formats.onnx.reader.step import Step
from lenet_edge.formats.onnx.reader.tidying import Wiring, tidied
from lenet_edge.formats.onnx.reader.values import (
    Constant,
    Given,
    Integers,
    Pending,
    Real,
    Scaling,
    Tail,
    Value,
    canonical,
    stored_shape,
)
from lenet_edge.quantized.layers import Int64Array, QTensor, Reshape
from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.quantized.verify import verify

__all__ = ["MAX_BYTES", "Imported", "imported"]

MAX_BYTES = 256 << 20
_DAMAGE = (ValueError, TypeError, LookupError, AttributeError, OverflowError, MemoryError, RecursionError)
_TO_NCHW = [0, 3, 1, 2]


@dataclass(frozen=True, eq=False)
class Imported:
    """A model with what the file says beside it.

    Attributes:
        model: the model.
        tensors: name of an integer tensor of the file -> (the layer that computes it, the place of each of its values
            in that layer's flat output). Its integers are those less 128 where the file has uint8.
        rules: layer name -> the rule by which ONNX Runtime computes it, where that is not the one of its type.
        notes: what was left out or changed, in words.
        onnx: the file's own graph with int8 inputs and outputs (`integer_ends`); of a draft its outputs are the
            float edges.
        float_edges: the names of tensors without a scale, of a draft.
    """

    model: QuantizedModel
    tensors: Mapping[str, tuple[str, np.ndarray]]
    rules: Mapping[str, str]
    notes: tuple[str, ...]
    onnx: bytes
    float_edges: tuple[str, ...] = ()


def imported(data: bytes, ranges: Mapping[str, tuple[float, float]], *, is_draft: bool = False) -> Imported:
    """Read a QDQ .onnx; `ranges` are the real values of tensors that it leaves float.

    Raises:
        BadInputError: as `read` has it.
    """
    if len(data) > MAX_BYTES:
        raise BadInputError(f"{len(data):,} bytes are more than the {MAX_BYTES:,} that are read")
    try:
        with np.errstate(all="ignore"):
            return _imported(data, ranges, is_draft)
    except _DAMAGE as error:
        raise BadInputError(f"the .onnx is damaged ({type(error).__name__}: {error})") from error


def _imported(data: bytes, ranges: Mapping[str, tuple[float, float]], is_draft: bool) -> Imported:
    graph = parse(data)
    problem = unsupported_problem(graph.nodes, OPERATORS)
    if problem:
        raise BadInputError(problem)
    builder, values = Builder(ranges, _readers(graph)), _inputs(graph)
    for number, (end, value) in enumerate(zip(graph.inputs, list(values.values()), strict=True)):
        assert isinstance(value, Given)
        builder.inputs[number] = QTensor(_stored(value.index, end.shape[1:]), 0.0, 0)  # no scale yet
    values |= {name: Constant(array) for name, array in graph.constants.items()}
    for node in graph.nodes:
        _read_node(node, builder, values)
    notes: list[str] = []
    results = [_result(name, builder, values, notes) for name in graph.outputs]
    places = [builder.place_of_output(result.integers, result.name) for result in results]
    edges = tuple(builder.float_edges)
    if edges and (not is_draft or any(end.name in edges for end in graph.inputs)):
        raise BadInputError(float_edges_problem(graph, list(builder.float_edges)))
    for number, tensor in builder.inputs.items():
        if not tensor.scale:
            raise BadInputError(f"nothing quantises the model's input {printable(graph.inputs[number].name)!r}")
    model, tensors, rules = _finished(builder, values, places)
    if not edges:
        verify(model)
    entered = [
        (_entered(values[end.name], model.inputs[number]), model.inputs[number])
        for number, end in enumerate(graph.inputs)
    ]
    left = (
        [] if edges else [(result.name, builder.as_output(result.integers), result.is_integers) for result in results]
    )
    return Imported(model, tensors, rules, tuple(notes), with_integer_ends(data, entered, left, edges), edges)


def _entered(value: Value, tensor: QTensor) -> Integers:
    assert isinstance(value, Given)
    return Integers(-1 - value.number, value.index, Scaling(tensor.scale, tensor.zero_point))


def _inputs(graph: Graph) -> dict[str, Value]:
    """The model's inputs: maps with the channels first, unless all that reads one transposes it to that."""
    found: dict[str, Value] = {}
    for number, end in enumerate(graph.inputs):
        shape = end.shape[1:]
        index = canonical(shape)
        if len(shape) == 3 and _is_transposed(graph.nodes, end.name):
            index = np.arange(math.prod(shape)).reshape(shape)
        found[end.name] = Given(end.name, number, index, end.element)
    return found


def _readers(graph: Graph) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for node in graph.nodes:
        for name in node.inputs:
            found.setdefault(name, set()).add(node.operator)
    return found


def _stored(index: np.ndarray, shape: tuple[int, ...]) -> tuple[int, ...]:
    return stored_shape(shape) if np.array_equal(index, canonical(shape)) else shape


def _is_transposed(nodes: tuple[Node, ...], name: str) -> bool:
    readers, names = [], {name}
    for node in nodes:
        if node.inputs and node.inputs[0] in names:
            if node.operator in ("QuantizeLinear", "DequantizeLinear"):
                names.update(node.outputs)
            else:
                readers.append(node)
    return bool(readers) and all(
        node.operator == "Transpose" and list(node.attributes.get("perm", [])) == _TO_NCHW for node in readers
    )


def _read_node(node: Node, builder: Builder, values: dict[str, Value]) -> None:
    if not node.outputs or not node.outputs[0]:
        raise BadInputError(f"{node.where} makes nothing")
    try:
        OPERATORS[node.operator](Step(node, builder, values))
    except KeyError as error:  # a second output, such as a pooling's indices
        raise BadInputError(f"{node.where} reads {error}, which is not supported") from None


@dataclass(frozen=True, eq=False)
class _Result:
    """An output of the model: the tensor of the graph that it is, whether integers themselves, and the integers."""

    name: str
    integers: Integers
    is_integers: bool


def _result(name: str, builder: Builder, values: dict[str, Value], notes: list[str]) -> _Result:
    """An output of the model."""
    value = values.get(name)
    if isinstance(value, Tail):
        notes.append(f"{value.operator} behind the integers is left out: the output is what it reads")
        name, value = value.source, Real(value.integers)
    is_integers = isinstance(value, Integers)
    if isinstance(value, Pending):
        value = builder.settled(value)
    if isinstance(value, Real):
        value = value.integers
    if not isinstance(value, Integers):
        raise BadInputError(f"the model's output {printable(name)!r} is no computed tensor")
    return _Result(name, value, is_integers)


def _finished(
    builder: Builder, values: dict[str, Value], results: list[int]
) -> tuple[QuantizedModel, dict[str, tuple[str, Int64Array]], dict[str, str]]:
    """The model, and `Imported.tensors` and `rules`."""
    for at, place in enumerate(results):
        if place < 0 or place in results[:at]:
            source = builder.tensor(place)
            results[at] = builder.add(Reshape("output", source, source), place)
    wiring, kept = tidied(Wiring(builder.layers, builder.reads, results))
    used = sorted({-1 - place for places in wiring.reads for place in places if place < 0})
    if used != list(range(len(builder.inputs))):
        raise BadInputError("the model's outputs do not depend on one of its inputs")
    model = QuantizedModel(tuple(wiring.layers), {}, tuple(wiring.reads), tuple(wiring.results))
    tensors = {
        name: (wiring.layers[kept[value.place]].name, value.index)
        for name, value in values.items()
        if isinstance(value, Integers) and value.place in kept
    }
    names = {layer.name for layer in model.layers}
    rules = {name: rule for name, rule in builder.rules.items() if name in names}
    return model, tensors, rules
