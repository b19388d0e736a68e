"""`predict --frame`: a camera's bytes, prepared as the model says."""

from __future__ import annotations

import json

import numpy as np
import pytest
import sample_models
from click.testing import CliRunner
from PIL import Image

from lenet_edge.cli import cli
from lenet_edge.errors import BadInputError
from lenet_edge.formats import tflite
from lenet_edge.preparation import MNIST, prepare
from lenet_edge.preparation.frames import FORMATS, decode, encode
from lenet_edge.quantized.reference import quantize_images, run

MODEL = sample_models.lenet5(7)
WIDTH, HEIGHT = 61, 45


@pytest.fixture
def predict(tmp_path):
    """``predict(*options)``, in a folder with a model and a frame of each format."""
    (tmp_path / "m.tflite").write_bytes(tflite.to_bytes(MODEL))
    for form in FORMATS:
        (tmp_path / f"{form}.raw").write_bytes(encode(scene(), form))
    Image.fromarray(scene()).save(tmp_path / "scene.png")
    model = ("--model", str(tmp_path / "m.tflite"), "--json")
    return lambda *options: CliRunner().invoke(cli, ["predict", *model, *(str(option) for option in options)])


def scene():
    frame = np.random.default_rng(1).integers(180, 200, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    frame[8:40, 20:27] = [90, 20, 40]
    frame[34:40, 20:44] = [20, 20, 90]
    return frame


def expected(form):
    image = prepare(decode(encode(scene(), form), form, WIDTH, HEIGHT, 1), MNIST)
    return run(MODEL, quantize_images(image[None]))[0].tolist()


@pytest.mark.parametrize("form", FORMATS)
def test_the_logits_are_those_of_the_prepared_frame(predict, tmp_path, form):
    done = predict("--frame", tmp_path / f"{form}.raw", "--format", form, "--frame-size", f"{WIDTH}x{HEIGHT}")
    assert done.exit_code == 0, done.stderr
    (prediction,) = json.loads(done.stdout)["predictions"]
    assert prediction["logits"] == expected(form)
    assert prediction["prepared"].startswith(f"{form} {WIDTH}×{HEIGHT}, inverted, since its border is bright")
    picture = predict("--frame", tmp_path / "scene.png", "--format", form)
    assert json.loads(picture.stdout)["predictions"][0]["logits"] == expected(form)


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ((), 2, "name pictures, or a camera's frame with --frame"),
        (("scene.png", "--frame", "grey8.raw"), 2, "scene.png has no effect with --frame"),
        (("scene.png", "--frame-size", "61x45"), 2, "--frame-size has no effect without --frame"),
        (("scene.png", "--format", "grey8"), 2, "--format has no effect without --frame"),
        (("--frame", "grey8.raw", "--frame-size", "61x45", "--invert"), 2, "--invert has no effect with --frame"),
        (("--frame", "grey8.raw"), 3, "--frame-size 320x240"),
        (("--frame", "grey8.raw", "--frame-size", "61x45"), 3, "in rgb565 has 5,490 bytes, not 2,745"),
        (("--frame", "none.raw", "--frame-size", "61x45"), 3, "none.raw"),
        (("--frame", "grey8.raw", "--frame-size", "61"), 3, "61×61"),
    ],
)
def test_what_is_wrong_is_said(predict, tmp_path, monkeypatch, options, code, said):
    monkeypatch.chdir(tmp_path)
    done = predict(*options)
    found = done.stderr if code == 2 else str(done.exception)
    assert said in found
    assert done.exit_code == 2 if code == 2 else isinstance(done.exception, BadInputError)
