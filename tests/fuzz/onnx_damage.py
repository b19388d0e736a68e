"""Damaged QDQ ONNX: fields of the graph that say something else, and bytes that are no graph any more."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import mutations
import numpy as np
import onnx
import qdq_graphs
from onnx import helper, numpy_helper
from qdq_graphs import Graph

_NUMBERS = (-(2**63), -(2**31), -2, -1, 0, 1, 2, 3, 4, 7, 255, 1 << 15, 1 << 24, 1 << 31, (1 << 63) - 1)
_OPERATORS = ("Add", "AveragePool", "Clip", "Concat", "Flatten", "Gemm", "Identity", "MatMul", "MaxPool", "Mul", "Pad")
_MORE = ("ReduceMean", "Relu", "Reshape", "Shape", "Sigmoid", "Slice", "Softmax", "Squeeze", "Transpose", "Unsqueeze")

_ATTRIBUTES = ("axis", "perm", "group", "ceil_mode", "auto_pad", "pads", "strides", "kernel_shape", "alpha", "keepdims")


@cache
def files() -> tuple[bytes, ...]:
    """Small files of either element type, with every operator between them."""
    made = [make(element) for make in (qdq_graphs.chain, qdq_graphs.residual) for element in (np.int8, np.uint8)]
    return (*made, _others())


def _others() -> bytes:
    """The operators that those have not."""
    graph = Graph(3)
    x = graph.edge(graph.image(2, 6, 6), -6, 3)
    x = graph.edge(graph.node("LeakyRelu", graph.node("Identity", x), alpha=0.25), -6, 3)
    x = graph.node("Pad", x, graph.constant([0, 0, 1, 1, 0, 0, 0, 1], np.int64))
    x = graph.edge(graph.node("Mul", x, graph.floats(2, 1, 1)), -6, 1)
    x = graph.edge(graph.node("Sub", x, graph.node("Slice", x, *map(_integers(graph), ([0], [9], [2])))), -5, 1)
    x = graph.edge(graph.node("Sigmoid", x), -8, -128)
    x = graph.edge(graph.node("ReduceMean", x, axes=[2]), -8, -128)
    x = graph.node("Squeeze", x, graph.constant([2], np.int64))
    size = graph.node("Gather", graph.node("Shape", x), graph.constant([0], np.int64))
    x = graph.node("Reshape", x, graph.node("Concat", size, graph.constant([-1], np.int64), axis=0))
    x = graph.edge(graph.node("Gemm", x, graph.weights(16, 3, axis=1)), -3)
    x = graph.edge(graph.node("Tanh", x), -7, 0)
    return graph.finish(graph.node("ArgMax", graph.node("Unsqueeze", x, graph.constant([2], np.int64)), axis=1))


def _integers(graph: Graph) -> Callable[[list[int]], str]:
    return lambda values: graph.constant(values, np.int64)


def damage(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Most have fields changed, some of these bytes as well."""
    if random.random() < 0.15:
        return mutations.damage(random, data, others)
    model = onnx.load_model_from_string(data)
    for _ in range(random.randint(1, 3)):
        with contextlib.suppress(ValueError, TypeError, IndexError, onnx.checker.ValidationError):  # damaged before
            random.choice((_rewire, _operator, _attribute, _constant, _shape, _drop, _kind))(random, model.graph)
    changed = bytes(model.SerializeToString())
    return mutations.damage(random, changed, others, 1) if random.random() < 0.1 else changed


def _rewire(random: Random, graph: Any) -> None:
    names = [name for node in graph.node for name in (*node.input, *node.output)]
    node = random.choice(graph.node)
    if node.input:
        node.input[random.randrange(len(node.input))] = random.choice((*names, ""))


def _operator(random: Random, graph: Any) -> None:
    random.choice(graph.node).op_type = random.choice((*_OPERATORS, *_MORE, "If", "x" * 999, "\n"))


def _attribute(random: Random, graph: Any) -> None:
    node = random.choice([each for each in graph.node if each.attribute] or graph.node)
    if not node.attribute or random.random() < 0.3:
        names = (
            "axis",
            "perm",
            "group",
            "ceil_mode",
            "auto_pad",
            "pads",
            "strides",
            "kernel_shape",
            "alpha",
            "keepdims",
        )
        value = random.choice(
            (random.choice(_NUMBERS), [random.choice(_NUMBERS) for _ in range(4)], "SAME_UPPER", 1e30)
        )
        node.attribute.append(helper.make_attribute(random.choice(names), value))
        return
    attribute = random.choice(node.attribute)
    if attribute.ints:
        attribute.ints[random.randrange(len(attribute.ints))] = random.choice(_NUMBERS)
    attribute.i, attribute.f = random.choice(_NUMBERS), random.choice((0.0, -1.0, 1e38, float("nan"), float("inf")))
    if random.random() < 0.1:
        attribute.type = random.randrange(15)


def _constant(random: Random, graph: Any) -> None:
    at = random.randrange(len(graph.initializer))
    tensor = graph.initializer[at]
    array = numpy_helper.to_array(tensor).copy()
    if array.size and random.random() < 0.6:
        extremes = (0, 1, -1, 127, 2**31 - 1) if array.dtype.kind in "iu" else (0.0, -1.0, 1e-38, 1e38, np.nan, np.inf)
        with np.errstate(all="ignore"):
            array.flat[random.randrange(array.size)] = np.array(random.choice(extremes)).astype(array.dtype)
    elif random.random() < 0.5:
        array = array.astype(random.choice((np.int8, np.uint8, np.int32, np.int64, np.float32, np.float16, np.float64)))
    else:
        shape = [random.choice((0, 1, 2, 5, 60)) for _ in range(random.randrange(4))]
        array = np.resize(array, shape)
    graph.initializer[at].CopyFrom(numpy_helper.from_array(array, tensor.name))


def _shape(random: Random, graph: Any) -> None:
    if graph.input and random.random() < 0.5:
        sizes = graph.input[0].type.tensor_type.shape.dim
        if sizes:
            random.choice(sizes).dim_value = random.choice(_NUMBERS)
        return
    tensor = random.choice(graph.initializer)
    if tensor.dims:
        tensor.dims[random.randrange(len(tensor.dims))] = random.choice(_NUMBERS)


def _drop(random: Random, graph: Any) -> None:
    field = random.choice((graph.node, graph.initializer, graph.output, graph.input))
    if field:
        del field[random.randrange(len(field))]


def _kind(random: Random, graph: Any) -> None:
    tensor = random.choice(graph.initializer)
    tensor.data_type = random.randrange(24)
    if random.random() < 0.3:
        tensor.data_location = 1


def read(data: bytes, folder: Path) -> None:
    """The file, its .tflite, the graph that ONNX Runtime gets, and an inference where that is quick."""
    from lenet_edge.errors import BadInputError
    from lenet_edge.formats import int8_models, tflite
    from lenet_edge.quantized.reference import run

    path = folder / "model.onnx"
    path.write_bytes(data)
    model, content = int8_models.load(path)
    try:
        again = tflite.from_bytes(content)
    except BadInputError as error:
        raise AssertionError("the .tflite that is written is not read") from error
    if again != model:
        raise AssertionError("the .tflite is not the model that was read")
    if sum(int(np.prod(layer.output.shape)) for layer in model.layers) < 20_000:
        run(model, np.zeros((1, *model.input.shape), np.int8))
