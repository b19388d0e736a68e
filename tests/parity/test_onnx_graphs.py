"""Graphs of layers that only move integers, through ONNX Runtime: their order is the model's in every rank."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lenet_edge.engines import onnxruntime
from lenet_edge.formats import onnx
from lenet_edge.quantized.model import (
    Concatenate,
    Constant,
    Flatten,
    MaxPool2d,
    Pad,
    QTensor,
    QuantizedModel,
    Reshape,
    Slice,
    Transpose,
)
from lenet_edge.quantized.reference import layer_outputs, run
from lenet_edge.quantized.verify import verify

SCALING = (0.5, 3)


class Graph:
    """A graph that grows by one layer at a time: what has a shape can be read again."""

    def __init__(self, *inputs):
        self.inputs = [QTensor(shape, *SCALING) for shape in inputs]
        self.layers, self.reads = [], []

    def tensor(self, index):
        return self.inputs[-1 - index] if index < 0 else self.layers[index].output

    def add(self, kind, sources, shape, *settings):
        tensors = tuple(map(self.tensor, sources))
        operands = () if kind is Constant else (tensors,) if kind is Concatenate else tensors
        self.layers.append(kind(f"layer {len(self.layers)}", *operands, QTensor(shape, *SCALING), *settings))
        self.reads.append(tuple(sources))
        return len(self.layers) - 1

    def build(self):
        """All that nothing reads is given."""
        read = {source for sources in self.reads for source in sources}
        results = tuple(index for index in range(len(self.layers)) if index not in read)
        return verify(QuantizedModel(tuple(self.layers), {}, tuple(self.reads), results))


def grown(draw):
    graph = Graph(draw(st.sampled_from([(3, 4, 2), (2, 2, 1), (6,), (4, 3), (2, 3, 2, 2)])))
    current = -1
    for _ in range(draw(st.integers(1, 6))):
        current = draw(st.sampled_from(GROW))(draw, graph, current)
    return graph.build()


def grow_reshape(draw, graph, index):
    size = int(np.prod(graph.tensor(index).shape))
    factors = [(size,), (1, size), (size, 1), (1, 1, size)]
    for first in range(2, size):
        if size % first == 0:
            factors += [(first, size // first), (1, first, size // first), (first, 1, size // first)]
    shape = draw(st.sampled_from(factors))
    return graph.add(Flatten if len(shape) == 1 else Reshape, (index,), shape)


def grow_transpose(draw, graph, index):
    shape = graph.tensor(index).shape
    order = tuple(draw(st.permutations(range(len(shape)))))
    return graph.add(Transpose, (index,), tuple(shape[axis] for axis in order), order)


def grow_pad(draw, graph, index):
    shape = graph.tensor(index).shape
    before = tuple(draw(st.integers(0, 2)) for _ in shape)
    after = tuple(draw(st.integers(0, 2)) for _ in shape)
    sizes = tuple(map(sum, zip(before, shape, after, strict=True)))
    return graph.add(Pad, (index,), sizes, before, after, draw(st.integers(-128, 127)))


def grow_slice(draw, graph, index):
    if len(graph.tensor(index).shape) > 3:  # more than TFLM takes
        return grow_pad(draw, graph, index)
    begin, stride, sizes = [], [], []
    for size in graph.tensor(index).shape:
        begin.append(draw(st.integers(0, size - 1)))
        stride.append(draw(st.sampled_from([1, 2, -1, -2])))
        room = (size - 1 - begin[-1]) // stride[-1] if stride[-1] > 0 else begin[-1] // -stride[-1]
        sizes.append(draw(st.integers(1, room + 1)))
    return graph.add(Slice, (index,), tuple(sizes), tuple(begin), tuple(stride))


def grow_concatenation(draw, graph, index):
    shape = graph.tensor(index).shape
    axis = draw(st.integers(0, len(shape) - 1))
    length = draw(st.integers(1, 2))
    other = (*shape[:axis], length, *shape[axis + 1 :])
    values = np.random.default_rng(draw(st.integers(0, 99))).integers(-128, 128, other, np.int8)
    constant = graph.add(Constant, (), other, values)
    whole = (*shape[:axis], 2 * shape[axis] + length, *shape[axis + 1 :])
    return graph.add(Concatenate, (index, constant, index), whole, axis)


GROW = [grow_reshape, grow_transpose, grow_pad, grow_slice, grow_concatenation]


def images_of(model, count=3):
    shape = model.input.shape
    return np.random.default_rng(5).integers(-128, 128, (count, *shape), np.int8)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx")

    def write(model):
        path = folder / "model.onnx"
        path.write_bytes(onnx.to_bytes(model))
        return path

    return write


@settings(max_examples=120, deadline=None)
@given(model=st.composite(grown)())
def test_integers_are_moved_as_the_reference_moves_them(model, written):
    path, images = written(model), images_of(model)
    expected = run(model, images)
    for optimize in (False, True):
        assert np.array_equal(onnxruntime.run(path, images, optimize=optimize), expected)
    shown, logits = onnxruntime.layer_outputs(path, images[0], optimize=False)
    assert np.array_equal(logits, expected[0])
    for layer, outputs in zip(model.layers, layer_outputs(model, images[:1]), strict=True):
        if not isinstance(layer, Constant):
            assert np.array_equal(shown[layer.name].ravel(), outputs[0].ravel()), layer.name


def test_several_inputs_and_outputs(written):
    graph = Graph((2, 3, 2), (4,))
    flat = graph.add(Flatten, (-1,), (12,))
    joined = graph.add(Concatenate, (-2, flat), (16,), 0)
    graph.add(Reshape, (joined,), (2, 4, 2))
    graph.add(Slice, (-1,), (1, 3, 2), (1, 0, 0), (1, 1, 1))
    model = graph.build()
    images = images_of(model)
    assert np.array_equal(onnxruntime.run(written(model), images, optimize=True), run(model, images))


def test_a_model_that_ends_flattened_is_in_the_models_order(written):
    graph = Graph((4, 4, 3))
    pooled = graph.add(MaxPool2d, (-1,), (2, 2, 3), (2, 2), (2, 2))
    graph.add(Flatten, (pooled,), (12,))
    model = graph.build()
    images = images_of(model)
    assert np.array_equal(onnxruntime.run(written(model), images, optimize=True), run(model, images))
