"""Whatever a model was trained on, its pictures were made grey, inverted, cut out and centred as MNIST's are.

A model trained on dark-on-bright pictures classified 5 of 100 of its own test pictures, and Fashion-MNIST as files of
280 x 280 pixels 60 of 100. The preparation that a model records is what `predict` obeys.
"""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from random_chains import Chain

from lenet_edge.formats import tflite
from lenet_edge.pictures import read_frame
from lenet_edge.preparation import MNIST, Preparation, int8_values, to_json
from lenet_edge.quantized.reference import quantize_images, run

RANDOM = np.random.default_rng(5)


def predicted(tmp_path, model, picture, *options):
    path = tmp_path / "m.tflite"
    path.write_bytes(tflite.to_bytes(model))
    argv = [sys.executable, "-m", "lenet_edge", "predict", str(picture), "--model", str(path), "--json", *options]
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, cwd=tmp_path)


def model_of(shape, preparation=None, **metadata):
    chain = Chain(8, shape).flatten().fully_connected(4, clamp=(-128, 127))
    return chain.build(**metadata, **({} if preparation is None else {"preparation": to_json(preparation)}))


def saved(tmp_path, pixels, name="p.png"):
    Image.fromarray(pixels).save(tmp_path / name)
    return tmp_path / name


def logits(model, image):
    values = int8_values(Preparation(*image.shape[:2]), model.input.scale, model.input.zero_point)
    return run(model, values[image].reshape(1, *model.input.shape))[0].tolist()


@pytest.mark.parametrize(
    ("image", "channels"),
    [
        (255 - RANDOM.integers(0, 40, (28, 28)).astype(np.uint8), 1),  # dark on bright, or nearly one shade
        (RANDOM.integers(0, 256, (28, 28)).astype(np.uint8), 1),
        (RANDOM.integers(0, 256, (12, 10, 3)).astype(np.uint8), 3),
        (np.zeros((16, 16), np.uint8), 1),
    ],
)
@pytest.mark.parametrize("by", [1, 10])
def test_a_picture_of_its_own_data_is_the_image_again(tmp_path, image, channels, by):
    height, width = image.shape[:2]
    model = model_of((height, width, channels), Preparation(height, width, channels))
    picture = saved(tmp_path, image.repeat(by, axis=0).repeat(by, axis=1))
    done = predicted(tmp_path, model, picture)
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)["predictions"]
    assert found["logits"] == logits(model, image)
    said = "taken as it is" if by == 1 else f"resized by area to {width}×{height}"
    assert found["prepared"] == f"{by * width}×{by * height}, {said}"


def test_frames_of_files(tmp_path):
    deep = (RANDOM.integers(0, 256, (9, 7)) * 257).astype(np.uint16)
    np.testing.assert_array_equal(read_frame(saved(tmp_path, deep)), deep // 257)
    clear = np.zeros((9, 7, 4), np.uint8)
    clear[2:5, 3:6] = 255, 0, 0, 255
    frame = read_frame(saved(tmp_path, clear))
    assert frame.shape == (9, 7, 3)
    assert frame[0, 0].tolist() == [255, 255, 255]
    assert frame[3, 4].tolist() == [255, 0, 0]


def test_options_are_for_a_model_that_records_nothing(tmp_path):
    image = RANDOM.integers(0, 256, (20, 12)).astype(np.uint8)
    picture = saved(tmp_path, image)
    model = model_of((8, 8, 1), arch="foreign")
    done = predicted(tmp_path, model, picture, "--crop", "2,5,8,8")
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)["predictions"]
    values = (image[5:13, 2:10] ^ 0x80).view(np.int8)
    assert found["logits"] == run(model, values.reshape(1, 8, 8, 1))[0].tolist()
    assert "cut to 8×8" in found["prepared"]
    assert "to the model" in found["prepared"]
    recorded = model_of((28, 28, 1), MNIST)
    for option in (("--crop", "square"), ("--centred",), ("--range", "0", "1")):
        done = predicted(tmp_path, recorded, picture, *option)
        assert done.returncode == 2, done.stderr
        assert "it records how its pictures are prepared" in done.stderr
    for wrong in ("middle", "1,2,3", "1,2,3,-4"):
        assert predicted(tmp_path, model, picture, "--crop", wrong).returncode == 2
    done = predicted(tmp_path, model, picture, "--crop", "9,0,8,8")
    assert done.returncode == 3
    assert "does not hold the crop of 8×8 at 9, 0" in done.stderr


def test_a_record_that_is_none_is_told(tmp_path):
    picture = saved(tmp_path, RANDOM.integers(0, 256, (28, 28)).astype(np.uint8))
    for record in ({}, {"height": 28}, [], "mnist", to_json(Preparation(27, 28))):
        chain = Chain(8, (28, 28, 1)).flatten().fully_connected(4, clamp=(-128, 127))
        done = predicted(tmp_path, chain.build(preparation=record), picture)
        assert done.returncode == 3, done.stderr
        assert "preparation" in done.stderr


def test_the_identity_is_that_of_before():
    pixels = RANDOM.integers(0, 256, (3, 5, 4)).astype(np.uint8)
    values = int8_values(MNIST, float(np.float32(1 / 255)), -128)
    np.testing.assert_array_equal(values[pixels][..., None], quantize_images(pixels))
