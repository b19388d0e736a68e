"""QDQ files that the reader took for another network than ONNX does, or whose own graph it made invalid for ONNX
Runtime: each is now read as ONNX means it, or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from qdq_graphs import INT8, UINT8, Graph

from lenet_edge.errors import BadInputError
from lenet_edge.formats.onnx.reader import builder, import_bytes
from lenet_edge.quantized.reference import run
from lenet_edge.quantized.runtimes import UNKNOWN


def begun(*shape, element=INT8):
    graph = Graph(3, element)
    return graph, graph.edge(graph.image(*shape), -6, -3)


def assert_as_onnx_runtime(data: bytes, folder: Path, most: int = 1) -> None:
    """Every output within the rounding of ONNX Runtime's, on the file's own graph with int8 ends."""
    onnxruntime = pytest.importorskip("lenet_edge.engines.onnxruntime")
    pytest.importorskip("onnxruntime")
    found = import_bytes(data, "x")
    path = folder / "ends.onnx"
    path.write_bytes(found.onnx)
    images = np.random.default_rng(1).integers(-128, 128, (5, *found.model.input.shape)).astype(np.int8)
    theirs = onnxruntime.run(path, images, optimize=False).astype(int).reshape(5, -1)
    assert np.abs(theirs - run(found.model, images).reshape(5, -1)).max() <= most


def refused(data: bytes, words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        import_bytes(data, "x")


@pytest.mark.parametrize("element", [INT8, UINT8])
def test_softmax_behind_a_move(element, tmp_path):
    """It ended with StopIteration."""
    graph, x = begun(4, 1, 1, element=element)
    x = graph.edge(graph.node("Conv", x, graph.weights(5, 4, 1, 1), graph.floats(5)), -5, 1)
    data = graph.finish(graph.node("Softmax", graph.node("Flatten", x), axis=1))
    assert import_bytes(data, "x").notes
    assert_as_onnx_runtime(data, tmp_path)


@pytest.mark.parametrize(("scale", "zero_point"), [(0.5, 0), (0.25, 7)])
def test_dequantize_without_a_zero_point_on_another_scale(scale, zero_point):
    """QuantizeLinear's scaling was taken for it."""
    graph = Graph()
    pair = (graph.constant(0.25, np.float32), graph.constant(zero_point, np.int8))
    x = graph.node("QuantizeLinear", graph.image(4), *pair)
    x = graph.node("DequantizeLinear", x, graph.constant(scale, np.float32))
    x = graph.node("Gemm", x, graph.weights(3, 4), transB=1)
    refused(graph.finish(graph.edge(x, -2)), "not that with which its input was quantised")


def test_pairs_without_zero_points(tmp_path):
    """uint8 with zero point 0, unless output_dtype says int8."""
    for more, expected in (({}, -128), ({"output_dtype": 0}, -128), ({"output_dtype": 3}, 0)):
        graph, scale = Graph(), 0.25
        x = graph.node("QuantizeLinear", graph.image(4), graph.constant(scale, np.float32), **more)
        x = graph.node("DequantizeLinear", x, graph.constant(scale, np.float32))
        x = graph.node("Gemm", x, graph.weights(3, 4), transB=1)
        data = graph.finish(graph.edge(x, -2), opset=21)
        assert import_bytes(data, "x").model.input.zero_point == expected
        assert_as_onnx_runtime(data, tmp_path)


@pytest.mark.parametrize("axis", [1, 2, 3])
@pytest.mark.parametrize("keep", [0, 1])
def test_mean_along_one_axis_of_a_map_that_is_as_wide_as_deep(axis, keep, tmp_path):
    """Along the height, rows and channels were exchanged."""
    graph, x = begun(4, 5, 4)
    x = graph.edge(graph.node("ReduceMean", x, graph.constant([axis], np.int64), keepdims=keep), -6, -3)
    assert_as_onnx_runtime(graph.finish(graph.edge(graph.node("Flatten", x), -6, -3)), tmp_path)


@pytest.mark.parametrize("element", [INT8, UINT8])
@pytest.mark.parametrize(("operator", "more"), [("Flatten", {}), ("Transpose", {"perm": [0, 2, 3, 1]})])
def test_integers_that_are_moved_before_they_are_the_output(operator, more, element, tmp_path):
    """ONNX Runtime was given a DequantizeLinear without a scale."""
    graph, x = begun(2, 3, 3, element=element)
    x = graph.node("Conv", x, graph.weights(4, 2, 3, 3), graph.floats(4), pads=[1, 1, 1, 1])
    model = onnx.load_model_from_string(graph.finish(graph.node(operator, graph.quantized(x, -5, 3), **more)))
    model.graph.output[0].type.tensor_type.elem_type = 2 if element is UINT8 else 3
    assert_as_onnx_runtime(model.SerializeToString(), tmp_path)


@pytest.mark.parametrize("order", [[0, 1, 3, 2], [0, 2, 3, 1], [0, 3, 2, 1], [0, 2, 1, 3], [0, 3, 1, 2]])
def test_a_map_that_is_moved_before_it_is_the_output(order, tmp_path):
    """ONNX Runtime's outputs were moved once more than the model's."""
    graph, x = begun(2, 3, 4)
    x = graph.edge(graph.node("Conv", x, graph.weights(3, 2, 2, 2), graph.floats(3)), -5, 3)
    data = graph.finish(graph.edge(graph.node("Transpose", x, perm=order), -5, 3))
    assert_as_onnx_runtime(data, tmp_path)


def test_a_mean_that_counts_what_ceil_mode_adds():
    """ONNX Runtime with and without its optimiser disagree."""
    for pads in ([0, 0, 0, 0], [1, 1, 1, 1]):
        graph, x = begun(3, 7, 8)
        more = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": pads, "count_include_pad": 1}
        x = graph.node("AveragePool", x, ceil_mode=1, **more)
        refused(graph.finish(graph.edge(x, -6, -3)), "ceil_mode")


def test_padding_before_a_clamp_that_excludes_it():
    """The clamp was applied before the padding."""
    graph, x = begun(3, 4, 4)
    x = graph.node("Conv", x, graph.weights(4, 3, 1, 1), graph.floats(4))
    x = graph.node("Pad", x, graph.constant([0, 0, 1, 1, 0, 0, 1, 1], np.int64))
    x = graph.node("Clip", x, graph.constant(0.5, np.float32), graph.constant(1.0, np.float32))
    refused(graph.finish(graph.edge(x, -6, 0)), "pads with 0, next to a Clip")


@pytest.mark.parametrize("reader", ["AveragePool", "MaxPool"])
def test_minus_infinity_is_for_a_maximum(reader, tmp_path):
    graph, x = begun(3, 4, 4)
    pads, lowest = graph.constant([0, 0, 1, 1, 0, 0, 1, 1], np.int64), graph.constant(-np.inf, np.float32)
    x = graph.node(reader, graph.node("Pad", x, pads, lowest), kernel_shape=[2, 2])
    data = graph.finish(graph.edge(x, -6, -3))
    if reader == "MaxPool":
        assert_as_onnx_runtime(data, tmp_path, most=0)
    else:
        refused(data, "minus infinity before AveragePool")


@pytest.mark.parametrize(("shape", "axis"), [((4, 3, 5), -1), ((4, 5), 1)])
def test_a_quantised_softmax_along_an_axis_that_is_not_stored_last(shape, axis):
    """It became a softmax over the channels."""
    graph, x = begun(*shape)
    found = import_bytes(graph.finish(graph.edge(graph.node("Softmax", x, axis=axis), -8, -128)), "x")
    assert not any(type(layer).__name__ == "Softmax" for layer in found.model.layers)
    assert found.notes


def test_a_kernel_shape_that_is_not_that_of_the_weights():
    graph, x = begun(2, 6, 6)
    x = graph.node("Conv", x, graph.weights(2, 2, 3, 3), kernel_shape=[2, 2])
    refused(graph.finish(graph.edge(x, -5, 1)), "kernel_shape")


def test_weights_that_are_no_numbers():
    graph, x = begun(4)
    scaling = (graph.constant(0.5, np.float32), graph.constant(0, np.int8))
    weights = graph.node("QuantizeLinear", graph.constant(np.full((4, 3), np.nan), np.float32), *scaling)
    x = graph.node("Gemm", x, graph.node("DequantizeLinear", weights, *scaling))
    refused(graph.finish(graph.edge(x, -5)), "no numbers")


def test_what_onnx_runtime_has_no_integer_kernel_for_is_not_predicted():
    """It was predicted by the rule of a kernel that does not run."""
    for operand in ("floats", "weights"):
        graph, x = begun(3, 5, 5, element=UINT8)
        constant = graph.floats(3, 1, 1) if operand == "floats" else graph.weights(3, 1, 1, axis=None)
        rules = import_bytes(graph.finish(graph.edge(graph.node("Add", x, constant), -5, 3)), "x").rules
        assert list(rules.values()) == [UNKNOWN if operand == "floats" else "float"]
    graph, x = begun(3, 4, 4)
    x = graph.node("AveragePool", x, kernel_shape=[2, 2])
    assert list(import_bytes(graph.finish(graph.edge(x, -5, 3)), "x").rules.values()) == [UNKNOWN]
    graph, x = begun(3, 4, 4)
    assert list(import_bytes(graph.finish(graph.edge(graph.edge(x, -5, 3), -4)), "x").rules.values()) == [UNKNOWN] * 2


# --- memory -------------------------------------------------------------------------------------------


def of_pads() -> bytes:
    graph, x = begun(1, 1, 1)
    return graph.finish(graph.edge(graph.node("Conv", x, graph.weights(1, 1, 1, 1), pads=[32767] * 4), -5))


def of_a_broadcast() -> bytes:
    graph = Graph()
    column, row = graph.edge(graph.image(1 << 14, 1), -6), graph.edge(graph.image(1, 1 << 14), -6)
    return graph.finish(graph.edge(graph.node("Add", column, row), -5))


def of_doubled_constants() -> bytes:
    graph, x = begun(4)
    constant = graph.constant(np.zeros(1 << 10, np.float32))
    for _ in range(40):
        constant = graph.node("Concat", constant, constant, axis=0)
    return graph.finish(graph.edge(graph.node("Add", x, constant), -5))


def of_one_constant_read_often() -> bytes:
    graph, x = begun(4)
    constant, scaling = graph.constant(np.zeros(1 << 14, np.int8)), graph.scaling(0, 0)
    for _ in range(20):
        graph.node("DequantizeLinear", constant, *scaling)
    return graph.finish(graph.edge(x, -5))


@pytest.mark.parametrize("make", [of_pads, of_a_broadcast, of_doubled_constants, of_one_constant_read_often])
def test_a_small_file_that_asks_for_much_memory(make, monkeypatch):
    monkeypatch.setattr(builder, "_MOST_CONSTANTS", 1 << 21)
    refused(make(), "more than")


def test_a_reshape_to_many_axes():
    """All orders of the axes were tried."""
    graph, x = begun(1, 2, 3)
    x = graph.node("Reshape", x, graph.constant([1] * 13 + [2, 3], np.int64))
    refused(graph.finish(graph.edge(x, -6, -3)), "15 axes")
