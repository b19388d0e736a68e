"""Residual networks of one's own: trained, quantised and kept in files; scales of sums in corners of the wiring."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from test_torch_modules import RESIDUAL, written

from lenet_edge.engines import ENGINES
from lenet_edge.errors import BadInputError
from lenet_edge.formats import onnx, tflite
from lenet_edge.learning import checkpoint, qat_network, qat_training, qat_weights, training
from lenet_edge.learning.network import build, fold, load_tensors
from lenet_edge.learning.qat_network import QatNetwork
from lenet_edge.learning.settings import TrainingSet, TrainingSettings
from lenet_edge.learning.torch_module.importing import load
from lenet_edge.networks import reader
from lenet_edge.networks.description import (
    Addition,
    AveragePooling,
    Convolution,
    FullyConnected,
    MaxPooling,
    Network,
    Recipe,
)
from lenet_edge.preparation import Preparation
from lenet_edge.quantized.model import Add
from lenet_edge.quantized.proof import prove
from lenet_edge.quantized.reference import run
from lenet_edge.quantized.runtimes import RUNTIMES
from lenet_edge.quantized.tie_free import tie_free_problem

OUTPUT = FullyConnected("OUTPUT", None)
MEAN = AveragePooling("MEAN", None)


def narrow_resnet8():
    """The network that comes along with a fourth of its channels."""
    network = reader.load("resnet8")
    features = tuple(
        dataclasses.replace(layer, channels=layer.channels // 4) if isinstance(layer, Convolution) else layer
        for layer in network.features
    )
    recipe = dataclasses.replace(network.recipe, least_steps=20, batch=32)
    return dataclasses.replace(network, name="narrow", features=features, recipe=recipe)


def shapes_in_colour(count, seed):
    """Discs, bars and crosses in random colours, uint8 ``[n, 16, 16, 3]``, and which they are."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:16, :16]
    images, labels = np.empty((count, 16, 16, 3), np.uint8), random.integers(0, 3, count).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        down, right = (np.abs(axis - random.uniform(6, 9)) for axis in (rows, columns))
        inside = (
            down**2 + right**2 < 20,
            (down < 2) & (right < 6),
            (np.minimum(down, right) < 1.5) & (down + right < 7),
        )
        dark, bright = random.integers(0, 90, 3), random.integers(160, 256, 3)
        image[:] = np.where(inside[label][..., np.newaxis], bright, dark) + random.integers(-10, 10, image.shape)
    return images, labels


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(file of the float network, the network on int8, test images and labels)"""
    folder = tmp_path_factory.mktemp("residual")
    data = TrainingSet(*shapes_in_colour(360, 1), *shapes_in_colour(60, 2))
    settings = TrainingSettings(
        narrow_resnet8(), ["disc", "bar", "cross"], "shapes", epochs=4, seed=1, preparation=Preparation(16, 16, 3)
    )
    found = training.train(data, settings, folder / "narrow.partial.safetensors")
    checkpoint.save(folder / "narrow.safetensors", found.tensors, found.metadata)
    network = training.load(folder / "narrow.safetensors")
    qat = qat_training.quantize(network, network.description, data, qat_training.QatSettings(epochs=2))
    return folder / "narrow.safetensors", qat, shapes_in_colour(100, 3)


def test_a_residual_network_learns_and_is_proved(trained):
    path, qat, (images, labels) = trained
    frozen = qat.freeze()
    assert (sum(isinstance(layer, Add) for layer in frozen.layers), tie_free_problem(frozen)) == (3, None)
    assert prove(frozen).passed
    integers = run(frozen, (images ^ 0x80).view(np.int8))
    accuracy = (integers.argmax(1) == labels).mean()
    assert accuracy > 0.8
    assert accuracy >= training.evaluate(training.load(path), images, labels) - 0.05


@pytest.mark.parametrize("engine", ["pytorch", "tflm", "litert-xnnpack", "onnxruntime"])
def test_every_engine_has_the_same_logits(trained, engine, tmp_path):
    path, qat, (images, _) = trained
    frozen = qat.freeze().with_metadata(**checkpoint.load(path).metadata)
    wanted = {"pytorch": "weights", "onnxruntime": "onnx"}.get(engine, "tflite")
    content = {"weights": lambda: qat_weights.to_bytes(qat.weights(frozen)), "onnx": lambda: onnx.to_bytes(frozen)}
    file = tmp_path / "model"
    file.write_bytes(content.get(wanted, lambda: tflite.to_bytes(frozen))())
    integers = (images ^ 0x80).view(np.int8)
    np.testing.assert_array_equal(ENGINES[engine].run(file, integers), run(frozen, integers))


def test_scales_of_a_sum_are_in_the_weights_file_and_checked(trained, tmp_path):
    path, qat, _ = trained
    frozen = qat.freeze().with_metadata(**checkpoint.load(path).metadata)
    weights = qat.weights(frozen)
    file = tmp_path / "narrow.qat.safetensors"
    file.write_bytes(qat_weights.to_bytes(weights))
    assert qat_network.load(file).freeze() == frozen
    file.write_bytes(
        qat_weights.to_bytes(
            dataclasses.replace(weights, outputs={name: each for name, each in weights.outputs.items() if name != "A3"})
        )
    )
    with pytest.raises(BadInputError, match="A3"):
        qat_weights.load(file)


def test_a_module_with_additions_has_the_same_integers(tmp_path):
    taken = load(written(tmp_path, RESIDUAL.replace("SUM", "out += identity")) + ":net", (12, 12, 1), 3)
    network = build(taken.network, (12, 12, 1), 3)
    load_tensors(network, {**{name: value.numpy() for name, value in network.state_dict().items()}, **taken.tensors})
    folded = fold(network)
    qat = calibrated(folded.description, folded, (12, 12, 1))
    names = [layer.name for layer in taken.network.features if isinstance(layer, Addition)]
    assert len(names) == 2
    frozen, images = qat.freeze(), integers_of((12, 12, 1))
    assert prove(frozen).passed
    path = tmp_path / "net.tflite"
    path.write_bytes(tflite.to_bytes(frozen))
    np.testing.assert_array_equal(qat.integers(images), run(frozen, images))
    np.testing.assert_array_equal(ENGINES["tflm"].run(path, images), run(frozen, images))


def calibrated(description, network, shape, grid="tie-free"):
    """A network on int8 with the ranges of random images."""
    qat = QatNetwork(network, description, shape, grid)
    height, width, channels = shape
    qat.observe_float(torch.rand(16, channels, height, width, generator=torch.Generator().manual_seed(1)))
    qat.fit_scales()
    return qat.eval()


def integers_of(shape):
    return np.random.default_rng(1).integers(-128, 128, (40, *shape), dtype=np.int8)


def conv(name, activation="none", reads=None, channels=4):
    return Convolution(name, channels, (3, 3), (1, 1), "same", activation, input=reads)


CORNERS = {
    "sums of sums": (
        conv("A", "relu"),
        conv("B"),
        Addition("E", ("A", "B"), "relu"),
        conv("C", reads="image"),
        conv("D", "relu6"),
        Addition("F", ("D", "C")),
        Addition("G", ("E", "F"), "relu"),
        MEAN,
    ),
    "the image": (conv("A", "tanh", channels=3), conv("B", channels=3), Addition("E", ("image", "B")), MEAN),
    "a block in a block": (
        conv("A", "relu"),
        conv("B"),
        Addition("E", ("A", "B"), "relu"),
        conv("C"),
        Addition("F", ("E", "C"), "relu6"),
        Addition("G", ("F", "A"), "tanh"),
        MEAN,
    ),
    "tables": (
        conv("A", "tanh"),
        conv("B", "sigmoid"),
        Addition("E", ("A", "B"), "tanh"),
        conv("C"),
        Addition("F", ("C", "E"), "relu"),
        MEAN,
    ),
    "averages": (
        conv("A", "relu"),
        Convolution("B", 4, (2, 2)),
        AveragePooling("V", (2, 2), (1, 1), input="A"),
        Addition("E", ("B", "V"), "relu"),
        MaxPooling("M", (1, 1)),
        conv("C"),
        Addition("F", ("M", "C"), "relu6"),
        MEAN,
    ),
    "a long stage": (
        conv("A", "relu"),
        *(
            layer
            for i in range(6)
            for layer in (conv(f"B{i}"), Addition(f"E{i}", (f"E{i - 1}" if i else "A", f"B{i}")))
        ),
        MEAN,
    ),
}


def corner(name, weights=lambda tensor: None, grid="tie-free"):
    network = Network("corner", "", CORNERS[name], (OUTPUT,), recipe=Recipe())
    torch.manual_seed(3)
    module = build(network, (8, 8, 3), 3)
    with torch.no_grad():
        weights(module)
    return calibrated(network, module, (8, 8, 3), grid)


@pytest.mark.parametrize("name", CORNERS)
def test_corners_of_wiring_are_without_ties(name):
    qat = corner(name)
    frozen, images = qat.freeze(), integers_of((8, 8, 3))
    assert tie_free_problem(frozen) is None
    np.testing.assert_array_equal(qat.integers(images), run(frozen, images))


def test_sums_with_ties_are_rounded_by_the_rule_that_is_known_of_pytorch():
    qat, images = corner("a long stage", grid="ordinary"), integers_of((8, 8, 3))
    frozen = qat.freeze()
    np.testing.assert_array_equal(qat.integers(images), run(frozen, images, RUNTIMES["pytorch"]))
    assert (run(frozen, images) != run(frozen, images, RUNTIMES["pytorch"])).any()  # TFLM rounds ties otherwise


@pytest.mark.parametrize("factor", [1e-4, 1e3])
def test_branches_of_very_different_reach(factor):
    def weights(module):
        module.features.B.weight.mul_(factor)
        module.features.B.bias.mul_(factor)

    qat = corner("sums of sums", weights)
    images = integers_of((8, 8, 3))
    assert tie_free_problem(qat.freeze()) is None
    np.testing.assert_array_equal(qat.integers(images), run(qat.freeze(), images))


@pytest.mark.parametrize("factor", [0.7, 3, 5])
def test_a_sum_whose_own_sum_is_added_to_an_earlier_layer(factor):
    def weights(module):
        module.features.B.weight.mul_(factor)

    qat, images = corner("a block in a block", weights), integers_of((8, 8, 3))
    assert tie_free_problem(qat.freeze()) is None
    np.testing.assert_array_equal(qat.integers(images), run(qat.freeze(), images))
