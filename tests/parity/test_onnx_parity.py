"""ONNX Runtime on both int8 forms against the reference, on inputs chosen to break integer kernels."""

from __future__ import annotations

import importlib.metadata
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import sample_models
import torch

from lenet_edge.engines import onnxruntime
from lenet_edge.errors import BadInputError, MissingToolError
from lenet_edge.formats.onnx import float_to_bytes, to_bytes
from lenet_edge.learning import network
from lenet_edge.networks import reader
from lenet_edge.quantized import reference
from lenet_edge.quantized.model import WEIGHTED, QuantizedModel
from lenet_edge.quantized.runtimes import RuntimeRules
from lenet_edge.quantized.tie_free import LARGEST_Q, grid_scale, is_tie_free
from lenet_edge.quantized.verify import verify

TIE_FREE = ("lenet5", "lenet5_sigmoid", "every_layer")
SEEDS = (21, 22, 23)
FORMS = ("qdq", "qoperator")
SETTINGS = [(form, optimize) for form in FORMS for optimize in (True, False)]
FLOAT32 = RuntimeRules("float32", "float32", "float32")


@cache
def sample_of(name: str, seed: int, grid: str = "tie-free") -> QuantizedModel:
    if name == "extreme":
        return extreme(seed)
    return getattr(sample_models, name)(seed, grid)


def extreme(seed: int) -> QuantizedModel:
    """LeNet-5 with the largest weights of the grid everywhere: a pair of products exceeds int16 if taken as uint8.

    Multipliers are the smallest of the grid, so that accumulators of that size are not all clamped.
    """
    random, layers = np.random.default_rng(seed), []
    for layer in sample_models.lenet5(seed).layers:
        if isinstance(layer, WEIGHTED):
            weights = random.choice(np.array([-126, 126], np.int8), layer.weights.shape)
            weights[0], weights[1] = 126, -126
            scale = grid_scale(layer.input.scale, layer.output.scale, LARGEST_Q)
            layer = replace(layer, weights=weights, weight_scales=np.full(len(weights), scale, np.float32))
        layers.append(layer)
    return verify(QuantizedModel(tuple(layers)))


def images_for(model: QuantizedModel, count: int = 100) -> np.ndarray:
    """Noise, noise of black and white only, and the images that are all black or all white."""
    random, shape = np.random.default_rng(0), (count, *model.input.shape)
    noise = random.integers(-128, 128, shape, dtype=np.int8)
    extremes = random.choice(np.array([-128, 127], np.int8), shape)
    edges = np.stack([np.full(model.input.shape, value, np.int8) for value in (-128, 127)])
    return np.concatenate([noise, extremes, edges])


def saved(model: QuantizedModel, form: str, folder: Path) -> Path:
    path = folder / f"{form}.onnx"
    path.write_bytes(to_bytes(model, form))
    return path


@pytest.mark.parametrize(("form", "optimize"), SETTINGS)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("sample", [*TIE_FREE, "extreme"])
def test_every_logit_of_a_tie_free_model_is_the_emulators(sample, seed, form, optimize, tmp_path):
    model = sample_of(sample, seed)
    assert is_tie_free(model)
    images = images_for(model)
    logits = onnxruntime.run(saved(model, form, tmp_path), images, optimize=optimize)
    assert logits.dtype == np.int8
    np.testing.assert_array_equal(logits, reference.run(model, images))
    assert len(np.unique(logits, axis=0)) > 20  # the images are told apart


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sample", [*TIE_FREE, "extreme"])
def test_a_session_with_default_options_has_the_same_logits(sample, form):
    """What a user gets who loads the file without knowing of any option."""
    model = sample_of(sample, 21)
    images = images_for(model)
    session = ort.InferenceSession(to_bytes(model, form), providers=["CPUExecutionProvider"])
    logits = session.run(["logits"], {"image": np.ascontiguousarray(images.transpose(0, 3, 1, 2))})[0]
    np.testing.assert_array_equal(logits, reference.run(model, images))


@pytest.mark.parametrize(("form", "optimize"), [("qdq", True), ("qoperator", True), ("qoperator", False)])
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("sample", TIE_FREE)
def test_an_ordinary_model_follows_the_float32_rule_and_not_tflms(sample, seed, form, optimize, tmp_path):
    """The positive control: the comparison sees rounding, and integers are accumulated exactly."""
    model = sample_of(sample, seed, "ordinary")
    images = images_for(model, 200)
    logits = onnxruntime.run(saved(model, form, tmp_path), images, optimize=optimize)
    np.testing.assert_array_equal(logits, reference.run(model, images, FLOAT32))
    assert (logits != reference.run(model, images)).any()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sample", TIE_FREE)
def test_the_optimised_graph_multiplies_in_integers_only(sample, form, tmp_path):
    model = sample_of(sample, 21)
    operators = onnxruntime.optimized_operators(saved(model, form, tmp_path))
    integer = [name for name in operators if name in ("QLinearConv", "QLinearMatMul", "QGemm")]
    assert len(integer) == sum(isinstance(layer, WEIGHTED) for layer in model.layers)
    assert not {"Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul"} & set(operators)


@pytest.mark.parametrize(("form", "optimize"), SETTINGS)
@pytest.mark.parametrize("sample", TIE_FREE)
def test_every_layer_is_the_emulators_and_looking_changes_nothing(sample, form, optimize, tmp_path):
    model = sample_of(sample, 22)
    path, image = saved(model, form, tmp_path), images_for(model, 1)[0]
    layers, logits = onnxruntime.layer_outputs(path, image, optimize=optimize)
    expected = [values[0] for values in reference.layer_outputs(model, image[np.newaxis])]
    assert list(layers) == [layer.name for layer in model.layers]
    for found, values in zip(layers.values(), expected, strict=True):
        np.testing.assert_array_equal(found, values)
    np.testing.assert_array_equal(logits, onnxruntime.run(path, image[np.newaxis], optimize=optimize)[0])


@pytest.mark.parametrize(("form", "optimize"), SETTINGS)
def test_a_clamp_inside_int8_is_kept(form, optimize, tmp_path):
    model = sample_of("lenet5", 21)
    layers = [replace(layer, clamp_max=40) if isinstance(layer, WEIGHTED) else layer for layer in model.layers]
    clamped, images = QuantizedModel(tuple(layers)), images_for(model)
    logits = onnxruntime.run(saved(clamped, form, tmp_path), images, optimize=optimize)
    np.testing.assert_array_equal(logits, reference.run(clamped, images))
    assert logits.max() == 40


@pytest.mark.parametrize(("form", "optimize"), SETTINGS)
def test_average_pooling_differs_by_one_at_ties_only(form, optimize, tmp_path):
    model = sample_models.average_pool_softmax(3)
    image = images_for(model, 1)[0]
    found, _ = onnxruntime.layer_outputs(saved(model, form, tmp_path), image, optimize=optimize)
    conv, mean, flat = model.layers[:3]
    windows = found[conv.name].reshape(*mean.output.shape[:1], 2, mean.output.shape[1], 2, -1).astype(int)
    exact = windows.sum(axis=(1, 3)) / 4
    assert np.abs(found[mean.name] - exact).max() <= 0.5
    np.testing.assert_array_equal(found[flat.name], found[mean.name].ravel())


def test_no_images_give_no_logits(tmp_path):
    path = saved(sample_of("lenet5", 21), "qdq", tmp_path)
    assert onnxruntime.run(path, np.empty((0, 28, 28, 1), np.int8), optimize=True).shape == (0, 10)


def test_batches_are_joined_in_order(tmp_path):
    model = sample_of("every_layer", 21)
    images = np.random.default_rng(1).integers(-128, 128, (1001, *model.input.shape), dtype=np.int8)
    logits = onnxruntime.run(saved(model, "qoperator", tmp_path), images, optimize=True)
    np.testing.assert_array_equal(logits, reference.run(model, images))


# --- bad input ------------------------------------------------------------------------------------


def test_a_missing_file_is_bad_input(tmp_path):
    with pytest.raises(BadInputError, match=r"no\.onnx does not exist"):
        onnxruntime.run(tmp_path / "no.onnx", np.zeros((1, 28, 28, 1), np.int8), optimize=True)


def test_images_of_another_shape_are_bad_input(tmp_path):
    path = saved(sample_of("lenet5", 21), "qdq", tmp_path)
    for images in (np.zeros((1, 14, 14, 1), np.int8), np.zeros((1, 28, 28), np.int8)):
        with pytest.raises(BadInputError, match="cannot run"):
            onnxruntime.run(path, images, optimize=True)


def test_a_damaged_file_is_bad_input_or_another_model(tmp_path, capfd):
    """Bits flipped and bytes cut off anywhere: never anything but `BadInputError`, and nothing on stdout."""
    content = to_bytes(sample_of("every_layer", 21))
    image, path = np.zeros((13, 11, 2), np.int8), tmp_path / "damaged.onnx"
    random, refused = np.random.default_rng(0), 0
    for attempt in range(150):
        damaged = bytearray(content)
        position = int(random.integers(len(content)))
        damaged[position] ^= 1 << int(random.integers(8))
        path.write_bytes(damaged[:position] if attempt % 3 == 0 else damaged)
        try:
            onnxruntime.run(path, image[np.newaxis], optimize=attempt % 2 == 0)
            onnxruntime.layer_outputs(path, image, optimize=attempt % 2 == 0)
        except BadInputError:
            refused += 1
    assert refused > 50
    assert capfd.readouterr().out == ""


def test_a_missing_package_names_the_command(tmp_path, monkeypatch):
    def absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    path = saved(sample_of("lenet5", 21), "qdq", tmp_path)
    monkeypatch.setattr(importlib.metadata, "version", absent)
    for call in (onnxruntime.version, lambda: onnxruntime.optimized_operators(path)):
        with pytest.raises(MissingToolError, match="pip install onnxruntime"):
            call()


# --- the float network ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["lenet5", "lenet5-sigmoid"])
def test_the_float_network_is_pytorchs(name):
    torch.manual_seed(3)
    model = network.build(reader.load(name)).eval()
    tensors = network.to_tensors(model)
    content = float_to_bytes(tensors, reader.load(name), (28, 28, 1), [str(digit) for digit in range(10)])
    images = np.random.default_rng(3).random((50, 1, 28, 28), np.float32)
    session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    logits, distribution = session.run(["logits", "distribution"], {"image": images})
    with torch.no_grad():
        expected = model(torch.from_numpy(images))
    np.testing.assert_allclose(logits, expected.numpy(), atol=1e-5)
    np.testing.assert_allclose(distribution, expected.softmax(dim=1).numpy(), atol=1e-5)
