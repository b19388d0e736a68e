"""`check`, `run` and `bench` fed ``pixel - 128`` whatever numbers black and white are to the model.

`predict` and `le_prepare` went by the range that a model records, so that `check` judged other images than these.
"""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from random_chains import Chain

from lenet_edge.cli import cli, inputs
from lenet_edge.cli.check_subject import Subject
from lenet_edge.cli.preparing import PrepareOptions
from lenet_edge.errors import CheckFailedError
from lenet_edge.formats import c_source, tflite
from lenet_edge.formats.tflm.wording import settings_words
from lenet_edge.pictures import read_picture
from lenet_edge.preparation import Preparation, to_json
from lenet_edge.quantized.model import QTensor
from lenet_edge.resources import firmware_folder

SIDE = 6
RANDOM = np.random.default_rng(4)


def model_of(scale=0.0123, zero_point=3, **metadata):
    """Its input's scale and zero point are not those of pixels."""
    chain = Chain(8, (SIDE, SIDE, 1))
    chain.current = QTensor((SIDE, SIDE, 1), float(np.float32(scale)), zero_point)
    return chain.flatten().fully_connected(3, clamp=(-128, 127)).build(**metadata)


def recording(low, high):
    return model_of(preparation=to_json(Preparation(SIDE, SIDE, 1, low=low, high=high)))


def entering(model, pixels, low, high):
    """What goes in, by floating point; there are no ties here."""
    real = low + (high - low) * pixels.astype(np.float64) / 255
    exact = real / np.float64(np.float32(model.input.scale))
    assert np.abs(exact - np.floor(exact) - 0.5).min() > 1e-9
    return (np.rint(exact) + model.input.zero_point).clip(-128, 127)[..., None]


@pytest.fixture
def data(tmp_path):
    """A folder of pictures, two of each class to test."""
    for side in ("train", "test"):
        for name in "abc":
            (tmp_path / "data" / side / name).mkdir(parents=True)
            for number in range(2):
                pixels = RANDOM.integers(0, 256, (SIDE, SIDE)).astype(np.uint8)
                Image.fromarray(pixels).save(tmp_path / "data" / side / name / f"{number}.png")
    return tmp_path / "data"


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (0.0, 255.0), (1.0, 0.0)])
def test_test_images_enter_as_the_model_records(data, low, high):
    model = recording(low, high)
    found = inputs.test_inputs(model, str(data), None, None)
    np.testing.assert_array_equal(found.images, entering(model, found.pixels, low, high))
    assert (found.images != found.pixels[..., None].astype(int) - 128).any()


def test_check_and_predict_feed_the_same(data, tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(tflite.to_bytes(model_of()))
    given = PrepareOptions(low_high=(-0.5, 0.75))
    subject = Subject.read(path, str(data), None, tmp_path, prepare=given)
    preparation, _ = given.applied(subject.model)
    assert len(subject.tests.files) == 6
    for image, name in zip(subject.tests.images, subject.tests.files, strict=True):
        pixels, _ = read_picture(data / name, preparation)
        np.testing.assert_array_equal(image, inputs.picture_inputs(subject.model, pixels[None], preparation)[0])
    np.testing.assert_array_equal(subject.tests.images, entering(subject.model, subject.tests.pixels, -0.5, 0.75))
    checked = subject.check({}, [], None, max_drop=0.1)
    assert checked.record.warnings == ("black is -0.5 and white 0.75 to the model",)


def test_no_warning_where_the_range_is_recorded():
    assert len(inputs.model_warnings(model_of())) == 1
    assert inputs.model_warnings(recording(-1.0, 1.0)) == []


@pytest.mark.parametrize(
    ("model", "data_set", "said"),
    [
        (model_of(), "noise", "--range has no effect with --data noise"),
        (recording(-1.0, 1.0), None, "--range has no effect with this model: it records"),
    ],
)
def test_a_range_without_effect_is_refused(data, tmp_path, model, data_set, said):
    path = tmp_path / "m.tflite"
    path.write_bytes(tflite.to_bytes(model))
    argv = ["check", "--model", str(path), "--data", data_set or str(data), "--range", "-1", "1"]
    done = CliRunner().invoke(cli, [*argv, "--out", str(tmp_path / "c.json")])
    assert (done.exit_code, said in done.stderr) == (2, True), done.stderr
    assert not isinstance(done.exception, CheckFailedError)


def of_pixels(low, high):
    """With the scale and zero point of pixels."""
    return model_of(1 / 255, -128, preparation=to_json(Preparation(SIDE, SIDE, 1, low=low, high=high)))


def test_exported_sources_say_what_pixels_are():
    plain, other = of_pixels(0.0, 1.0), of_pixels(1.0, 0.0)
    header = c_source.export(c_source.make_plan(plain), firmware_folder())["le_model.h"].decode()
    assert "int8 = pixel - 128" in header
    header = " ".join(c_source.export(c_source.make_plan(other), firmware_folder())["le_model.h"].decode().split())
    assert "int8 = pixel - 128" not in header
    assert "Pixel 0 is int8 127, and pixel 255 is int8 -128." in header.replace(" * ", " ")
    assert [settings_words(model)["quantize"].count("QuantizePixel") for model in (plain, other)] == [1, 0]
