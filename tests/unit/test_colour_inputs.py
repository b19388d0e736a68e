"""What `check` and `predict` feed to a model whose images are in colour, and prepared as the model says."""

import numpy as np

from lenet_edge.cli import inputs
from lenet_edge.preparation.settings import Preparation, to_json
from lenet_edge.quantized.model import Flatten, FullyConnected, QTensor, QuantizedModel

PIXEL = float(np.float32(1 / 255))


def model(shape, **metadata):
    image, flat = QTensor(shape, PIXEL, -128), QTensor((int(np.prod(shape)),), PIXEL, -128)
    weights = np.ones((3, flat.shape[0]), np.int8)
    last = FullyConnected("OUTPUT", flat, QTensor((3,), 1.0, 0), weights, np.zeros(3, np.int32), np.ones(3, np.float32))
    return QuantizedModel((Flatten("flatten", image, flat), last), metadata)


def colour_data(folder, side=8):
    random = np.random.default_rng(0)
    arrays = {}
    for name, count in (("train", 12), ("test", 6)):
        arrays[f"x_{name}"] = random.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
        arrays[f"y_{name}"] = (np.arange(count) % 3).astype(np.uint8)
    np.savez(folder / "data.npz", **arrays)
    return str(folder / "data.npz"), arrays["x_test"]


def test_colour_images_go_in_as_they_are(tmp_path):
    data, pixels = colour_data(tmp_path)
    found = inputs.test_inputs(model((8, 8, 3)), data, 4, None)
    np.testing.assert_array_equal(found.pixels, pixels[:4])
    np.testing.assert_array_equal(found.images, pixels[:4].astype(np.int16) - 128)


def test_a_grey_model_gets_the_grey_of_colour_images(tmp_path):
    data, pixels = colour_data(tmp_path)
    found = inputs.test_inputs(model((8, 8, 1), preparation=to_json(Preparation(8, 8, 1))), data, None, None)
    red, green, blue = pixels.astype(np.int64).transpose(3, 0, 1, 2)
    np.testing.assert_array_equal(found.pixels, (77 * red + 150 * green + 29 * blue + 128) >> 8)


def test_the_preparation_in_the_model_is_obeyed(tmp_path):
    """Twice the size by area: each pixel of the model is the mean of four."""
    data, pixels = colour_data(tmp_path, side=16)
    found = inputs.test_inputs(model((8, 8, 3), preparation=to_json(Preparation(8, 8, 3))), data, None, None)
    means = pixels.reshape(6, 8, 2, 8, 2, 3).astype(np.int64).sum(axis=(2, 4))
    np.testing.assert_array_equal(found.pixels, (means + 2) // 4)
