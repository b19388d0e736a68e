"""Quantisation-aware training: what the network computes while it trains is what its frozen model computes."""

import numpy as np
import pytest
import torch

from lenet_edge import datasets
from lenet_edge.errors import BadInputError
from lenet_edge.learning import qat_network, qat_weights
from lenet_edge.learning.network import build
from lenet_edge.learning.qat_training import QatSettings, quantize
from lenet_edge.learning.sqnr import layer_sqnr
from lenet_edge.learning.training import TrainingSet
from lenet_edge.networks import reader
from lenet_edge.quantized.proof import prove
from lenet_edge.quantized.reference import layer_outputs, quantize_images, run
from lenet_edge.quantized.runtimes import RUNTIMES
from lenet_edge.quantized.tie_free import is_tie_free, tie_free_problem


def network(arch, seed=0):
    torch.manual_seed(seed)
    return build(reader.load(arch)).eval()


def images(count, seed=0):
    return datasets.noise(count, seed)[:count]


def quantized(arch="lenet5", epochs=0, grid="tie-free", seed=0):
    """A random network quantised with noise for data: the integers do not care."""
    labels = np.random.default_rng(seed).integers(0, 10, 384).astype(np.uint8)
    settings = QatSettings(epochs=epochs, seed=seed, grid=grid)
    return quantize(
        network(arch, seed), reader.load(arch), TrainingSet(images(384), labels, images(64, 1), labels[:64]), settings
    )


@pytest.mark.parametrize("epochs", [0, 2])
@pytest.mark.parametrize("arch", ["lenet5", "lenet5-sigmoid"])
def test_integers_are_those_of_the_frozen_model(arch, epochs):
    qat = quantized(arch, epochs)
    frozen = qat.freeze()
    test = quantize_images(datasets.noise(300, seed=7))
    assert tie_free_problem(frozen) is None
    assert prove(frozen).passed
    np.testing.assert_array_equal(qat.integers(test), run(frozen, test))


@pytest.mark.parametrize("arch", ["lenet5", "lenet5-sigmoid"])
def test_every_layer_is_that_of_the_frozen_model(arch):
    qat = quantized(arch)
    image = quantize_images(images(1, seed=3))
    seen = qat.layer_integers(image[0])
    layers = qat.freeze().layers
    for layer, expected in zip(layers, layer_outputs(qat.freeze(), image), strict=True):
        np.testing.assert_array_equal(seen[layer.name], expected[0], err_msg=layer.name)
    assert list(seen) == [layer.name for layer in layers]


def test_real_logits_are_the_dequantised_integers():
    qat = quantized()
    pixels = images(20, seed=5)
    output = qat.freeze().output
    with torch.no_grad():
        real = qat(torch.from_numpy(pixels)[:, None].float() / 255).numpy()
    integers = run(qat.freeze(), quantize_images(pixels)).astype(np.float64)
    np.testing.assert_allclose(real, (integers - output.zero_point) * output.scale, rtol=1e-6)


def test_ordinary_grid_follows_the_float32_rule():
    qat = quantized(grid="ordinary")
    frozen = qat.freeze()
    test = quantize_images(images(300, seed=7))
    assert not is_tie_free(frozen)
    np.testing.assert_array_equal(qat.integers(test), run(frozen, test, RUNTIMES["pytorch"]))


def test_training_on_the_grid_changes_the_weights_and_lowers_the_loss():
    """The straight-through gradient reaches every layer."""
    before, after = quantized(epochs=0).freeze(), quantized(epochs=2).freeze()
    for first, second in zip(before.layers, after.layers, strict=True):
        if hasattr(first, "weights"):
            assert (first.weights != second.weights).any(), first.name


def test_same_seed_same_model():
    assert quantized(epochs=1).freeze() == quantized(epochs=1).freeze()
    assert quantized(epochs=1).freeze() != quantized(epochs=1, seed=1).freeze()


def test_weights_file_brings_the_same_network_back(tmp_path):
    qat = quantized("lenet5-sigmoid")
    frozen = qat.freeze().with_metadata(arch="lenet5-sigmoid", classes=list("0123456789"), dataset="x", grid="tie-free")
    path = tmp_path / "model.qat.safetensors"
    path.write_bytes(qat_weights.to_bytes(qat.weights(frozen)))
    assert qat_network.load(path).freeze() == frozen
    assert qat_weights.to_bytes(qat.weights(frozen)) == path.read_bytes()


def test_damaged_weights_file_is_refused(tmp_path):
    qat = quantized()
    frozen = qat.freeze().with_metadata(arch="lenet5", classes=list("0123456789"), dataset="x", grid="tie-free")
    data = qat_weights.to_bytes(qat.weights(frozen))
    flipped = data[:-100] + bytes([data[-100] ^ 64]) + data[-99:]
    for damaged in (data[:-9], b"", flipped):
        path = tmp_path / "model.qat.safetensors"
        path.write_bytes(damaged)
        with pytest.raises(BadInputError):
            qat_network.load(path)


def test_signal_to_noise_is_that_of_eight_bits():
    """About 6 dB a bit less the headroom of the range; a wrong scale or order of channels would give less than 10."""
    ratios = layer_sqnr(quantized(), images(100, seed=2))
    assert set(ratios) == {"C1", "C3", "C5", "F6", "OUTPUT"}
    assert all(15 < value < 60 for value in ratios.values()), ratios


def test_widest_weight_widens_the_output():
    """A channel that does not fit at q = 1 is never clipped: the output scale gives way."""
    float_network = network("lenet5")
    with torch.no_grad():
        float_network.features.C3.weight[0, 0, 0, 0] = 500.0
        float_network.features.C3.bias[0] = -1e3
    labels = np.zeros(128, np.uint8)
    qat = quantize(
        float_network,
        reader.load("lenet5"),
        TrainingSet(images(128), labels, images(8), labels[:8]),
        QatSettings(epochs=0),
    )
    frozen = qat.freeze()
    assert is_tie_free(frozen)
    real = frozen.layers[2].weights[0, 0, 0, 0] * float(frozen.layers[2].weight_scales[0])
    assert real == pytest.approx(500, rel=0.02)
