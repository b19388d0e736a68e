"""QDQ ONNX to a model: the integers are those of ONNX's own evaluator; what cannot be taken is refused in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
import qdq_graphs
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator
from qdq_graphs import INT8, UINT8, Graph

from lenet_edge.errors import BadInputError
from lenet_edge.formats import onnx as onnx_format
from lenet_edge.formats import tflite
from lenet_edge.formats.onnx.reader import import_bytes
from lenet_edge.quantized.model import AveragePool2d, Conv2d, FullyConnected, Pad, Rescale, Transpose
from lenet_edge.quantized.reference import layer_outputs
from lenet_edge.quantized.runtimes import RUNTIMES

# Scales are powers of two: all is exact in float32, and with ties to even everywhere there is one answer.
_RULES = replace(
    RUNTIMES["onnxruntime"], average_pool="onnxruntime", sum="float", mean="onnxruntime", product="onnxruntime"
)


def integers_by_name(data: bytes, images: int = 3) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Every integer tensor of the file: (as ONNX's evaluator has it, as the reference has it)."""
    found = import_bytes(data, "graph.onnx")
    proto = onnx.load_model_from_string(data)
    wanted = [node.output[0] for node in proto.graph.node if node.op_type == "QuantizeLinear"]
    wanted = [name for name in wanted if name in found.tensors]
    assert wanted
    (info,) = proto.graph.input
    shape = [size.dim_value for size in info.type.tensor_type.shape.dim][1:]
    tensor = found.model.input
    stored = np.random.default_rng(1).integers(-128, 128, (images, *tensor.shape)).astype(np.int8)
    real = ((stored.astype(np.int64) - tensor.zero_point) * tensor.scale).astype(np.float32)
    if len(shape) == 3 and tuple(shape) != tensor.shape:
        real = real.transpose(0, 3, 1, 2)
    del proto.graph.output[:]
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted)
    evaluator = ReferenceEvaluator(proto)
    batches = [evaluator.run(wanted, {info.name: real[image : image + 1]}) for image in range(images)]
    theirs = {
        name: np.concatenate(parts).astype(int) for name, parts in zip(wanted, zip(*batches, strict=True), strict=True)
    }
    layers = found.model.layers
    rules = replace(_RULES, of_layers=tuple(found.rules.items()))
    ours = {layer.name: out for layer, out in zip(layers, layer_outputs(found.model, stored, rules), strict=True)}
    result = {}
    for name in wanted:
        layer, index = found.tensors[name]
        shift = 128 if proto_element(proto, name) == "uint8" else 0
        mine = ours[layer].reshape(images, -1)[:, index.reshape(-1)].astype(int)
        result[name] = theirs[name].reshape(images, -1) - shift, mine
    return result


def proto_element(proto: onnx.ModelProto, name: str) -> str:
    constants = {tensor.name: numpy_helper.to_array(tensor).dtype.name for tensor in proto.graph.initializer}
    (node,) = (node for node in proto.graph.node if node.output[0] == name)
    return constants[node.input[2]]


def assert_equal(data: bytes) -> None:
    for name, (theirs, mine) in integers_by_name(data).items():
        assert np.array_equal(theirs, mine), name
        assert len(np.unique(mine)) > 3, f"{name} says nothing"


def kinds(data: bytes) -> list[str]:
    return [type(layer).__name__ for layer in onnx_format.read(data, "graph.onnx").layers]


@pytest.mark.parametrize("element", [INT8, UINT8])
@pytest.mark.parametrize("make", [qdq_graphs.chain, qdq_graphs.residual])
def test_integers_are_those_of_the_evaluator(make, element):
    for seed in range(3):
        assert_equal(make(element, seed))


@pytest.mark.parametrize("make", [qdq_graphs.chain, qdq_graphs.residual])
def test_uint8_is_int8_shifted_and_the_model_is_an_ordinary_one(make):
    model = onnx_format.read(make(INT8), "int8.onnx")
    assert onnx_format.read(make(UINT8), "uint8.onnx") == model
    assert tflite.from_bytes(tflite.to_bytes(model)) == model


def test_layers_of_the_two_forms():
    chain = ["Conv2d", "MaxPool2d", "DepthwiseConv2d", "Flatten", "FullyConnected"]
    assert kinds(qdq_graphs.chain()) == ["Pad", *chain]  # the pads of 1 on all sides are not TFLite's "same"
    found = import_bytes(qdq_graphs.residual(), "graph.onnx")
    assert "Softmax" in found.notes[0]
    layers = {type(layer) for layer in found.model.layers}
    assert {Conv2d, AveragePool2d, Pad, FullyConnected} <= layers
    assert Transpose not in layers  # NHWC behind a Transpose is what is stored anyway


def test_relu_behind_integers_of_one_scale_joins_the_layer_before():
    graph = Graph()
    x = graph.edge(graph.image(2, 5, 5), -6)
    x = graph.edge(graph.node("Conv", x, graph.weights(4, 2, 3, 3)), -4)
    data = graph.finish(graph.edge(graph.node("Relu", x), -4))
    model = onnx_format.read(data, "graph.onnx")
    assert [(type(layer), layer.clamp_min) for layer in model.layers] == [(Conv2d, 0)]
    with_another_reader = graph.finish(graph.edge(graph.node("Relu", x), -4), graph.edge(x, -5))
    assert {type(layer) for layer in onnx_format.read(with_another_reader, "graph.onnx").layers} == {Conv2d, Rescale}


@pytest.mark.parametrize("transposed", [False, True])
def test_columns_behind_a_flatten_follow_the_stored_order(transposed):
    graph = Graph(4)
    x = graph.edge(graph.image(3, 4, 5), -6, 3)
    x = graph.edge(graph.node("Flatten", graph.node("Transpose", x, perm=[0, 3, 1, 2]) if transposed else x), -6, 3)
    assert_equal(graph.finish(graph.edge(graph.node("Gemm", x, graph.weights(6, 60, axis=None), transB=1), -3)))


def test_a_graph_that_begins_in_nhwc():
    graph = Graph(5)
    x = graph.node("Transpose", graph.edge(graph.image(5, 6, 2), -6), perm=[0, 3, 1, 2])
    x = graph.edge(graph.node("Conv", x, graph.weights(3, 2, 2, 2)), -4)
    x = graph.node("Transpose", x, perm=[0, 2, 3, 1])
    data = graph.finish(graph.edge(x, -4))
    assert kinds(data) == ["Conv2d"]
    assert_equal(data)


def test_a_grouped_dilated_convolution_and_constants_that_are_computed():
    graph = Graph(6)
    x = graph.edge(graph.image(4, 9, 9), -6)
    weights = graph.node("Transpose", graph.weights(3, 3, 2, 6, axis=3), perm=[3, 2, 0, 1])
    x = graph.edge(graph.node("Conv", x, weights, group=2, dilations=[2, 2]), -4)
    size = graph.node("Gather", graph.node("Shape", x), graph.constant([0], np.int64), axis=0)
    x = graph.node("Reshape", x, graph.node("Concat", size, graph.constant([-1], np.int64), axis=0))
    x = graph.node("Gemm", x, graph.weights(150, 4, axis=1))
    assert_equal(graph.finish(graph.edge(x, -2)))


def test_a_pooling_and_a_reshape_before_the_scale():
    """PyTorch's quantiser for x86 quantises only what a product reads."""
    graph = Graph(7, UINT8)
    x = graph.edge(graph.image(2, 9, 9), -6)
    x = graph.node("Relu", graph.node("Conv", x, graph.weights(3, 2, 2, 2), graph.floats(3)))
    x = graph.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = graph.edge(graph.node("Reshape", x, graph.constant([0, 48], np.int64)), -4, -128)
    data = graph.finish(graph.edge(graph.node("Gemm", x, graph.weights(4, 48), transB=1), -3))
    assert_equal(data)
    assert "Rescale" not in kinds(data)


def test_ceil_mode_and_same_padding():
    graph = Graph(8)
    x = graph.edge(graph.image(2, 8, 7), -6)
    x = graph.edge(graph.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1), -6)
    x = graph.edge(graph.node("Conv", x, graph.weights(3, 2, 2, 2), auto_pad="SAME_LOWER"), -4)
    assert_equal(graph.finish(x))


def test_sums_with_constants_products_and_differences():
    graph = Graph(9)
    x = graph.edge(graph.image(3, 4, 4), -6, 5)
    scale = graph.node(
        "DequantizeLinear", graph.constant(graph.random.integers(1, 90, (3, 1, 1)), INT8), *graph.scaling(-6, 0)
    )
    y = graph.edge(graph.node("Mul", x, scale), -6, -4)
    z = graph.edge(graph.node("Sub", x, y), -6, 1)
    assert_equal(
        graph.finish(graph.edge(graph.node("Slice", z, *(graph.constant(v, np.int64) for v in ([1], [4], [2]))), -6, 1))
    )


def test_ranges_give_a_float_output_its_scale():
    graph = Graph(10)
    x = graph.edge(graph.image(6), -6)
    last = graph.node("Gemm", x, graph.weights(4, 6), graph.floats(4), transB=1)
    data = graph.finish(last)
    with pytest.raises(BadInputError, match=rf"graph.onnx: the tensor '{last}' \(of Gemm, an output\) is float"):
        onnx_format.read(data, "graph.onnx")
    model = onnx_format.read(data, "graph.onnx", ranges={last: (-1.0, 4.1)})
    assert (model.output.scale, model.output.zero_point) == (float(np.float32(5.1 / 255)), -78)
    with pytest.raises(BadInputError, match="gives no scale"):
        onnx_format.read(data, "graph.onnx", ranges={last: (0.0, 0.0)})


def test_all_float_edges_are_named_at_once():
    graph = Graph(11)
    x = graph.edge(graph.image(2, 5, 5), -6)
    first, second = (graph.node("Conv", x, graph.weights(2, 2, 1, 1)) for _ in range(2))
    last = graph.node("Add", first, second)
    with pytest.raises(BadInputError, match=rf"3 tensors '{first}' .*'{second}' .*'{last}' \(of Add, an output\)"):
        onnx_format.read(graph.finish(last), "graph.onnx")


def refused(data: bytes, words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        onnx_format.read(data, "graph.onnx")


def test_operators_that_are_not_known_are_named_at_once():
    graph = Graph()
    x = graph.edge(graph.image(2, 5, 5), -6)
    x = graph.node("HardSwish", graph.node("Erf", graph.node("InstanceNormalization", x, x, x)))
    refused(graph.finish(x), "3 kinds of operators are not supported: InstanceNormalization .*, Erf .*, HardSwish")


def test_a_float_model_and_one_of_quantised_operators_say_so():
    graph = Graph()
    x = graph.image(6)
    refused(graph.finish(graph.node("Gemm", x, graph.floats(6, 4))), "the model is float: quantise it")
    refused(graph.finish(graph.node("QLinearAdd", x, x)), "QuantFormat.QDQ")


def test_weights_that_are_not_symmetric():
    for dtype, zero, words in ((UINT8, 100, "zero points other than 128.*WeightSymmetric"), (INT8, 3, "other than 0")):
        graph = Graph()
        x = graph.edge(graph.image(6), -6)
        weights = (np.full((6, 4), 9, dtype), np.float32(0.5), np.array(zero, dtype))
        x = graph.node("Gemm", x, graph.node("DequantizeLinear", *map(graph.constant, weights)))
        refused(graph.finish(graph.edge(x, 0)), words)


def test_weights_in_another_file():
    proto = onnx.load_model_from_string(qdq_graphs.chain())
    tensor = max(proto.graph.initializer, key=lambda each: len(each.raw_data))
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    tensor.ClearField("raw_data")
    refused(proto.SerializeToString(), "lies in another file: put all into one")


@pytest.mark.parametrize("data", [b"", b"TFL3", bytes(100), qdq_graphs.chain()[:-200]])
def test_damaged_files(data):
    refused(data, "^graph.onnx: ")


def test_a_window_over_three_images_at_a_time_is_refused():
    graph = Graph()
    x = graph.edge(graph.image(2, 5, 5, batch=3), -6)
    refused(graph.finish(graph.edge(graph.node("Conv", x, graph.weights(2, 2, 1, 1)), -4)), "3 images at a time")


def test_a_megabyte_of_empty_messages_is_refused_before_it_is_parsed():
    """Parsed, they are a gigabyte of objects."""
    refused(b"\x42\x00" * 500_000, "too many parts")
    deep = b""
    for _ in range(40):  # a graph in an attribute of a node of a graph
        node = b"\x2a" + length(inner := b"\x32" + length(deep) + deep) + inner
        deep = b"\x0a" + length(node) + node
    refused(b"\x3a" + length(deep) + deep, "too many parts")


def length(data: bytes) -> bytes:
    """The size of the data as protobuf writes it."""
    return bytes([len(data) & 0x7F | 0x80, len(data) >> 7])


@pytest.mark.parametrize("between", ["Flatten", "MaxPool"])
def test_a_float_move_before_the_softmax_is_left_out_with_it(between):
    graph = Graph(12)
    x = graph.edge(graph.node("Conv", graph.edge(graph.image(2, 3, 3), -6), graph.weights(4, 2, 3, 3)), -4)
    attributes = {} if between == "Flatten" else {"kernel_shape": [1, 1]}
    found = import_bytes(graph.finish(graph.node("Softmax", graph.node(between, x, **attributes), axis=1)), "x")
    assert found.model.output.scale == 2.0**-4
    onnx.checker.check_model(onnx.load_model_from_string(found.onnx))
