"""Float .onnx files: what they become in int8, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnx.reference
import pytest
from float_files import agreement_db, images_of
from onnx import TensorProto, helper, numpy_helper

from lenet_edge.errors import BadInputError
from lenet_edge.formats import tflite
from lenet_edge.post_training import load_onnx, onnx_picture_shape, real_pictures
from lenet_edge.quantized.model import Add, Softmax
from lenet_edge.quantized.tie_free import is_tie_free

SIDE, CHANNELS, CLASSES = 10, 6, 4
SHAPE = (SIDE, SIDE, 3)


class Network:
    """A residual network as PyTorch exports one, with random weights; its parts can be changed before `bytes`."""

    def __init__(self, batch="n", *, softmax=True):
        rng = np.random.default_rng(1)
        self.arrays = {
            "stem.w": rng.normal(0, 0.3, (CHANNELS, 3, 3, 3)),
            "stem.b": rng.normal(0, 0.1, CHANNELS),
            "gamma": rng.uniform(0.5, 1.5, CHANNELS),
            "beta": rng.normal(0, 0.1, CHANNELS),
            "mean": rng.normal(0, 0.1, CHANNELS),
            "var": rng.uniform(0.5, 1.5, CHANNELS),
            "deep.w": rng.normal(0, 0.3, (CHANNELS, 1, 3, 3)),
            "dense.w": rng.normal(0, 0.6, (CLASSES, CHANNELS)),
            "dense.b": rng.normal(0, 0.1, CLASSES),
        }
        window = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
        self.nodes = [
            helper.make_node("Conv", ["image", "stem.w", "stem.b"], ["a"], "stem", strides=[2, 2], **window),
            helper.make_node("BatchNormalization", ["a", "gamma", "beta", "mean", "var"], ["b"], "norm"),
            helper.make_node("Relu", ["b"], ["c"], "relu"),
            helper.make_node("Conv", ["c", "deep.w"], ["d"], "deep", group=CHANNELS, **window),
            helper.make_node("Add", ["c", "d"], ["e"], "join"),
            helper.make_node("Relu", ["e"], ["f"], "relu2"),
            helper.make_node("GlobalAveragePool", ["f"], ["g"], "average"),
            helper.make_node("Flatten", ["g"], ["h"], "flat"),
            helper.make_node("Gemm", ["h", "dense.w", "dense.b"], ["logits"], "dense", transB=1),
        ]
        self.inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 3, SIDE, SIDE])]
        last = "said" if softmax else "logits"
        if softmax:
            self.nodes.append(helper.make_node("Softmax", ["logits"], ["said"], "softmax"))
        self.outputs = [helper.make_tensor_value_info(last, TensorProto.FLOAT, [batch, CLASSES])]

    def bytes(self):
        constants = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in self.arrays.items()]
        graph = helper.make_graph(self.nodes, "network", self.inputs, self.outputs, constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        return model.SerializeToString()


@pytest.fixture(scope="module")
def data():
    return Network().bytes()


def test_a_residual_network_is_near_the_float_one(data):
    found, quantised = agreement_db(load_onnx(data, SHAPE), SHAPE, pixels=(-1, 1))
    assert found > 25
    kinds = {type(layer) for layer in quantised.layers}
    assert Add in kinds
    assert Softmax not in kinds
    assert quantised.input.shape == SHAPE
    assert quantised.input.scale == pytest.approx(2 / 255)


def test_its_logits_are_those_that_onnx_computes(data):
    """By the reference implementation of the onnx package."""
    pictures = real_pictures(images_of(SHAPE, 3), (0, 1))
    reference = onnx.reference.ReferenceEvaluator(onnx.load_from_string(Network(softmax=False).bytes()))
    expected = np.concatenate(
        [reference.run(None, {"image": each[None].transpose(0, 3, 1, 2)})[0] for each in pictures]
    )
    assert onnx_picture_shape(data) == SHAPE
    assert np.allclose(load_onnx(data, SHAPE).logits(pictures), expected, rtol=1e-4, atol=1e-4)


def without_a_size(network):
    network.inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, "h", "w"])]


def of_two(network):
    network.inputs.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))


def with_a_batch(network):
    network.inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, [8, 3, SIDE, SIDE])]


def in_integers(network):
    network.inputs = [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, 3, SIDE, SIDE])]


def quantised_already(network):
    network.arrays["scale"] = np.array(0.1)
    network.nodes.insert(0, helper.make_node("QuantizeLinear", ["image", "scale"], ["unused"], "quantize"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without_a_size, "fix height and width"),
        (of_two, "2 inputs"),
        (with_a_batch, "the batch"),
        (in_integers, "not float32"),
        (quantised_already, "lenet-edge retie"),
    ],
)
def test_what_is_refused_says_why(change, said):
    network = Network()
    change(network)
    with pytest.raises(BadInputError, match=said):
        load_onnx(network.bytes(), SHAPE)


def test_other_pictures_and_other_bytes_are_refused(data):
    with pytest.raises(BadInputError, match="3 x 10 x 10 values, and the pictures have 28 x 28 x 1"):
        load_onnx(data, (28, 28, 1))
    with pytest.raises(BadInputError, match="ONNX Runtime"):
        load_onnx(data[:300], SHAPE)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [("dense.w", np.nan, "no numbers"), ("stem.w", np.inf, "infinite"), ("var", -1, "infinite")],
)
def test_weights_that_are_no_numbers_are_refused(name, value, words):
    """In words, where ONNX Runtime's quantiser says "scale issue" behind warnings of numpy."""
    network = Network()
    network.arrays[name][0] = value
    with pytest.raises(BadInputError, match=words):
        load_onnx(network.bytes(), SHAPE)


def test_constants_that_are_inputs_as_well_and_nodes_without_names(data):
    """As old exporters write files: batch normalisation is folded all the same, and the last layer is compared."""
    model = onnx.load_model_from_string(data)
    for each in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(each.name, each.data_type, each.dims))
    for node in model.graph.node:
        node.name = ""
    found = load_onnx(model.SerializeToString(), SHAPE)
    pictures = real_pictures(images_of(SHAPE, 4), (0, 1))
    names = {layer.name for layer in found.int8(pictures, (0, 1)).layers}
    assert {"a", "d", "e", "logits"} <= names & set(found.layers(pictures))


def test_the_command_writes_an_exact_model(data, tmp_path, run):
    (tmp_path / "net.onnx").write_bytes(data)
    images = images_of(SHAPE, 90)
    labels = load_onnx(data, SHAPE).logits(real_pictures(images, (0, 1))).argmax(axis=1)
    labels[:CLASSES] = labels[-CLASSES:] = np.arange(CLASSES)
    for index, label in enumerate(np.tile(np.arange(CLASSES), 3)):  # each class is there
        labels[4 * index] = label
    arrays = {"x_train": images[:60], "y_train": labels[:60], "x_test": images[60:], "y_test": labels[60:]}
    np.savez(tmp_path / "data.npz", **arrays)
    size = ("--range", 0, 1)
    done = run("quantize", "--model", "net.onnx", "--data", "data.npz", "--epochs", 0, *size, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    written = tflite.read(tmp_path / "build" / "net-int8.tflite")
    assert is_tie_free(written)
    assert report["proof"]["disagreements"] == 0
    assert {"stem", "deep", "join", "dense"} <= set(report["sqnr_db"])
    assert min(report["sqnr_db"].values()) > 20
    assert abs(report["drop_points"]) < 7


def test_a_layer_is_what_is_behind_its_activation(data):
    """Batch normalisation and ReLU are part of the convolution in int8; a convolution without one keeps its sign."""
    layers = load_onnx(data, SHAPE).layers(real_pictures(images_of(SHAPE, 4), (0, 1)))
    assert layers["stem"].shape == (4, SIDE // 2, SIDE // 2, CHANNELS)
    assert layers["stem"].min() == 0
    assert layers["join"].min() == 0
    assert layers["deep"].min() < 0
    assert layers["dense"].shape == (4, CLASSES)
    assert "flat" not in layers
