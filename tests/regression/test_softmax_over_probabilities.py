"""What a SOFTMAX or a LOGISTIC gave went through a softmax once more: 0.996 was shown as 0.2313.

And the arg-max over the one output of a LOGISTIC is always 0, so every accuracy was that of the first class.
"""

import idx_files
import numpy as np
import pytest
from PIL import Image
from sample_models import ModelBuilder

from lenet_edge.formats import tflite
from lenet_edge.quantized.reference import quantize_images, run


def model_ending(how, classes, seed=10):
    builder = ModelBuilder(seed).conv("C1", 3).pool("S2").flatten().fully_connected("OUT", classes, relu=False)
    return {"softmax": builder.softmax, "sigmoid": lambda: builder.lookup("LOGISTIC")}[how]().build()


@pytest.fixture
def shown(answer, tmp_path):
    """``shown(model)``: (its int8 outputs for a picture, what `predict` shows of it)."""

    def show(model):
        (tmp_path / "m.tflite").write_bytes(tflite.to_bytes(model))
        pixels = np.random.default_rng(3).integers(0, 256, (28, 28), np.uint8)
        pixels[[0, -1]] = pixels[:, [0, -1]] = 0  # a dark border: not inverted
        Image.fromarray(pixels).save(tmp_path / "x.png")
        (prediction,) = answer("predict", "x.png", "--model", "m.tflite", "--engine", "tflm")["predictions"]
        return run(model, quantize_images(pixels[None]))[0].astype(float), prediction

    return show


def test_softmax(shown):
    values, prediction = shown(model_ending("softmax", 5))
    assert list(prediction["distribution"].values()) == ((values + 128) / 256).tolist()
    assert prediction["class"] == str(values.argmax())


def test_several_logistic_outputs_are_independent(shown):
    values, prediction = shown(model_ending("sigmoid", 4))
    assert list(prediction["distribution"].values()) == ((values + 128) / 256).tolist()
    assert prediction["class"] == str(values.argmax())


def test_one_logistic_output_is_two_classes(shown):
    model = model_ending("sigmoid", 1).with_metadata(classes=["no", "yes"])
    (value,), prediction = shown(model)
    second = (value + 128) / 256
    assert prediction["distribution"] == {"no": 1 - second, "yes": second}
    assert prediction["class"] == ("yes" if second > 0.5 else "no")


def test_the_accuracy_of_one_output(answer, tmp_path):
    model = model_ending("sigmoid", 1)
    squares = np.random.default_rng(5).integers(0, 256, (40, 4, 4))
    images = np.kron(squares, np.ones((7, 7), int)).astype(np.uint8)
    second = run(model, quantize_images(images))[:, 0] > 0  # more than 128 / 256
    assert 0 < second.sum() < 40
    labels = second.astype(np.uint8)
    labels[:4] ^= 1  # four wrong ones
    idx_files.write_folder(tmp_path / "data", [images[:8], labels[:8], images, labels])
    (tmp_path / "m.tflite").write_bytes(tflite.to_bytes(model))
    engines = ("--engine", "tflm", "--engine", "litert-reference")
    found = answer("check", "--model", "m.tflite", "--data", "data", *engines)
    assert found["int8_accuracy"] == 0.9
    assert {engine["accuracy"] for engine in found["engines"]} == {0.9}
