"""Networks of every kind of layer on int8: what QAT computes, the frozen model, the float network and the runtimes."""

from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
import torch
from described_networks import NETWORKS, Described, calibrated, pixels_of

from lenet_edge.engines import ENGINES
from lenet_edge.formats import onnx, tflite
from lenet_edge.learning.qat_network import QatNetwork
from lenet_edge.quantized.model import Conv2d, DepthwiseConv2d
from lenet_edge.quantized.proof import prove
from lenet_edge.quantized.reference import layer_outputs, run
from lenet_edge.quantized.tie_free import tie_free_problem


@pytest.fixture(scope="module", params=NETWORKS)
def quantized(request):
    pixels = pixels_of(request.param, 96)
    networks = {grid: calibrated(request.param, grid, pixels) for grid in ("tie-free", "ordinary")}
    floating, made = networks["tie-free"][0], {grid: qat for grid, (_, qat) in networks.items()}
    network = NETWORKS[request.param][1]
    images = (pixels ^ 0x80).view(np.int8)
    return SimpleNamespace(network=network, floating=floating, pixels=pixels, images=images, made=made)


def test_no_accumulator_has_a_tie(quantized):
    frozen = quantized.made["tie-free"].freeze()
    assert tie_free_problem(frozen) is None
    assert prove(frozen).passed


def test_integers_are_those_of_the_frozen_model(quantized):
    qat = quantized.made["tie-free"]
    np.testing.assert_array_equal(qat.integers(quantized.images), run(qat.freeze(), quantized.images))
    seen = qat.layer_integers(quantized.images[0])
    for layer, expected in zip(qat.freeze().layers, layer_outputs(qat.freeze(), quantized.images[:1]), strict=True):
        np.testing.assert_array_equal(seen[layer.name], expected[0], err_msg=layer.name)


@pytest.mark.parametrize("grid", ["tie-free", "ordinary"])
def test_real_steps_are_the_float_network(quantized, grid):
    values = torch.from_numpy(quantized.pixels).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        expected = quantized.floating(values)
        *_, found = quantized.made[grid].real_outputs(values)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("grid", ["tie-free", "ordinary"])
def test_int8_is_near_the_float_network(quantized, grid):
    qat = quantized.made[grid]
    with torch.no_grad():
        real = quantized.floating(torch.from_numpy(quantized.pixels).permute(0, 3, 1, 2).float() / 255).numpy()
    output = qat.steps[-1].output
    found = (qat.integers(quantized.images).astype(np.float64) - output.zero_point) * output.scale
    signal, noise = np.square(real).sum(), np.square(real - found).sum()
    assert 10 * np.log10(signal / noise) > 20


@pytest.mark.parametrize("engine", ["tflm", "litert-builtin", "litert-reference", "litert-xnnpack"])
def test_every_tflite_runtime_computes_the_same(quantized, engine, tmp_path):
    frozen = quantized.made["tie-free"].freeze()
    path = tmp_path / "model.tflite"
    path.write_bytes(tflite.to_bytes(frozen))
    assert tflite.from_bytes(path.read_bytes()) == frozen
    np.testing.assert_array_equal(ENGINES[engine].run(path, quantized.images), run(frozen, quantized.images))


@pytest.mark.parametrize("form", ["qdq", "qoperator"])
def test_onnx_runtime_computes_the_same(quantized, form, tmp_path):
    frozen = quantized.made["tie-free"].freeze()
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx.to_bytes(frozen, form=form))
    kind = {"qdq": "onnx", "qoperator": "onnx-qoperator"}[form]
    engine = next(each for each in ENGINES.values() if each.artefact == kind)
    np.testing.assert_array_equal(engine.run(path, quantized.images), run(frozen, quantized.images))


def test_an_average_is_one_even_weight_and_exact():
    image_shape, network = NETWORKS["depthwise separable"]
    qat = QatNetwork(Described(network, image_shape, 1), network, image_shape, "tie-free")
    qat.observe_float(torch.rand(32, 3, 48, 48))
    qat.fit_scales()
    averages = [layer for layer in qat.freeze().layers if layer.name.startswith("A")]
    for layer, values in zip(averages, (4, 36), strict=True):
        assert isinstance(layer, DepthwiseConv2d)
        assert len(np.unique(layer.weights)) == 1
        assert layer.weights.flat[0] % 2 == 0
        assert not layer.bias.any()
        real = layer.weights.flat[0] * layer.weight_scales.astype(np.float64)
        np.testing.assert_allclose(real, 1 / values, rtol=1e-6)


def test_stride_2_with_padding_1_is_a_window_of_4_with_zeros_that_training_keeps():
    image_shape, network = NETWORKS["depthwise separable"]
    qat = QatNetwork(Described(network, image_shape, 1), network, image_shape, "tie-free")
    qat.observe_float(torch.rand(16, 3, 48, 48))
    qat.fit_scales()
    qat.train()
    optimizer = torch.optim.AdamW(qat.parameters(), lr=1e-3)
    for _ in range(3):
        qat(torch.rand(8, 3, 48, 48)).square().sum().backward()
        optimizer.step()
    qat.fit_scales()
    first = qat.freeze().layers[0]
    assert isinstance(first, Conv2d)
    assert first.weights.shape[1:3] == (4, 4)
    assert first.padding == "same"
    assert not first.weights[:, 3].any()
    assert not first.weights[:, :, 3].any()
    assert first.weights[:, :3, :3].any()


def test_the_float_network_in_onnx_is_pytorchs(quantized):
    tensors = {name: value.detach().numpy() for name, value in quantized.floating.state_dict().items()}
    content = onnx.float_to_bytes(tensors, quantized.network, quantized.pixels.shape[1:], list("abcde"))
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    values = (quantized.pixels.transpose(0, 3, 1, 2) / 255).astype(np.float32)
    logits, distribution = session.run(["logits", "distribution"], {"image": values})
    with torch.no_grad():
        expected = quantized.floating(torch.from_numpy(values))
    np.testing.assert_allclose(logits, expected.numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(distribution, expected.softmax(1).numpy(), rtol=1e-4, atol=1e-5)
