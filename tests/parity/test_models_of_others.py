"""Models that others made, and files from the TensorFlow converter: every one is read, as LiteRT and TFLM read it."""

from itertools import pairwise

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from lenet_edge.engines import tflm
from lenet_edge.formats.tflite import from_bytes, load, to_bytes
from lenet_edge.quantized.model import Constant
from lenet_edge.quantized.reference import run

MODELS = 10
_LARGE = 100_000  # values of all tensors together: more images than one take too long


@pytest.fixture(scope="module")
def files(shared):
    found = sorted((shared / "models").glob("*.tflite"))
    assert len(found) >= MODELS
    return [*found, *sorted((shared / "cases" / "own").glob("*.tflite"))]


def test_every_one_is_read_and_written_again(files):
    for path in files:
        model, _ = load(path)
        assert from_bytes(to_bytes(model)) == model, path.name


def test_shapes_and_scales_are_litert_s(files):
    for path in files:
        model, data = load(path)
        interpreter = Interpreter(model_content=data, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
        interpreter.allocate_tensors()
        ends = {"uint8": 128, "int8": 0}
        kinds = model.metadata.get("ends", {"inputs": ["int8"], "outputs": ["int8"]})
        given = zip(kinds["inputs"], interpreter.get_input_details(), model.inputs, strict=True)
        taken = zip(kinds["outputs"], interpreter.get_output_details(), model.outputs, strict=True)
        for kind, details, tensor in [*given, *taken]:
            assert _plain(details["shape"]) == tensor.shape, path.name
            assert details["quantization"] == pytest.approx((tensor.scale, tensor.zero_point + ends[kind])), path.name
        _compare_layers(model, interpreter, path.name)


def _plain(shape):
    return tuple(shape[1:]) if len(shape) > 1 and shape[0] == 1 else tuple(shape)


def _compare_layers(model, interpreter, name):
    """Each layer's output by its name; those that a file does not have (a flattening inside) are few."""
    known = {details["name"]: details for details in interpreter.get_tensor_details()}
    found = [layer for layer in model.layers if layer.name in known]
    assert len(found) >= len(model.layers) - 1, name
    for layer in found:
        details = known[layer.name]
        assert details["quantization"] == pytest.approx((layer.output.scale, layer.output.zero_point)), layer.name
        assert np.prod(details["shape"]) == np.prod(layer.output.shape), layer.name


def test_outputs_are_tflm_s(files):
    for path in files:
        model, _ = load(path)
        values = sum(int(np.prod(layer.output.shape)) for layer in model.layers)
        images = np.random.default_rng(7).integers(-128, 128, (1 if values > _LARGE else 20, *model.input.shape))
        images[0] = np.random.default_rng(8).choice([-128, 127], model.input.shape)
        images = images.astype(np.int8)
        np.testing.assert_array_equal(run(model, images), tflm.run(path, images), err_msg=path.name)


def test_wiring_of_the_residual_network(files):
    """resnet_large: three sums, each of a branch of two convolutions and of what came before them."""
    (path,) = (path for path in files if path.name == "resnet_large_int8.tflite")
    model, _ = load(path)
    sums = [index for index, layer in enumerate(model.layers) if type(layer).__name__ == "Add"]
    assert len(sums) == 3
    assert all(len(set(model.reads[index])) == 2 and index - 1 in model.reads[index] for index in sums)
    assert all(first < second for first, second in pairwise(sums))
    assert not any(isinstance(layer, Constant) for layer in model.layers)
