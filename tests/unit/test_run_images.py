"""Which test images the commands take: as the model records its data set, by its classes' names; `run`'s choice."""

import numpy as np
import pytest
from click.testing import CliRunner
from idx_files import small_arrays, write_folder
from PIL import Image
from sample_models import ModelBuilder, lenet5

from lenet_edge.cli import cli, inputs
from lenet_edge.cli.preparing import PrepareOptions
from lenet_edge.cli.run import _shown
from lenet_edge.cli.run_images import ImageOptions
from lenet_edge.errors import BadInputError
from lenet_edge.formats import tflite
from lenet_edge.preparation import Preparation, to_json


def write_pictures(folder, counts):
    """A folder with so many random 28 x 28 pictures of each class, of which all test."""
    random = np.random.default_rng(0)
    for part in ("train", "test"):
        for name, count in counts.items():
            (folder / part / name).mkdir(parents=True)
            for index in range(count):
                pixels = random.integers(0, 256, (28, 28), np.uint8)
                Image.fromarray(pixels).save(folder / part / name / f"{index:02}.png")
    return str(folder)


def run_images(model, data, count=10, **options):
    shown = {"picture": None, "invert": None, "prepare": PrepareOptions(None, None, None), "transpose": None} | options
    return ImageOptions(data=data, image_count=count, **shown).read(model)


@pytest.fixture
def model():
    """Of three classes."""
    built = ModelBuilder(7).conv("C1", 3).pool("S2").flatten().fully_connected("OUT", 3, relu=False).build()
    return built.with_metadata(classes=["bird", "cat", "dog"], preparation=to_json(Preparation(28, 28)))


def test_run_takes_each_class_in_turn_where_the_data_are_sorted(tmp_path, model):
    data = write_pictures(tmp_path / "pets", {"bird": 12, "cat": 2, "dog": 5})
    found = run_images(model, data, 8)
    assert found.labels.tolist() == [0, 1, 2, 0, 1, 2, 0, 2]
    assert found.files[:4] == ("test/bird/00.png", "test/cat/00.png", "test/dog/00.png", "test/bird/01.png")
    assert found.numbers == (0, 12, 14, 1, 13, 15, 2, 16)
    assert len(run_images(model, data, 1000).images) == 19
    every = inputs.test_inputs(model, data, None, None)
    np.testing.assert_array_equal(found.images, every.images[list(found.numbers)])


def test_run_takes_the_first_where_the_data_are_mixed(tmp_path):
    arrays = small_arrays(test=12)
    found = run_images(lenet5(1), str(write_folder(tmp_path, arrays)), 10)
    np.testing.assert_array_equal(found.images[..., 0], (arrays[2][:10] ^ 0x80).view(np.int8))
    assert found.labels.tolist() == arrays[3][:10].tolist()
    assert found.numbers == tuple(range(10))
    assert found.files == ()


def test_labels_are_found_by_the_names_of_the_classes(tmp_path, model):
    data = write_pictures(tmp_path / "pets", {"cat": 3, "dog": 3})
    assert inputs.test_inputs(model, data, None, None).labels.tolist() == [1, 1, 1, 2, 2, 2]


def test_labels_of_classes_with_other_names_are_numbers(tmp_path, model):
    data = write_pictures(tmp_path / "pets", {"Katze": 3, "dog": 3})
    assert inputs.test_inputs(model, data, None, None).labels.tolist() == [0, 0, 0, 1, 1, 1]
    arrays = small_arrays()
    arrays[1][:], arrays[3][:] = [5, 9] * 12, [5, 9, 5, 9, 5]
    with pytest.raises(BadInputError, match=r"labels of .* are 5 to 9, and the model has 3 classes"):
        inputs.test_inputs(model, str(write_folder(tmp_path / "idx", arrays)), None, None)


@pytest.mark.parametrize(
    ("recorded", "given", "transposed"),
    [(None, None, False), (None, True, True), (True, None, True), (True, False, False), ("true", None, False)],
)
def test_stored_images_are_transposed_as_the_model_records(tmp_path, recorded, given, transposed):
    arrays = small_arrays()
    data = str(write_folder(tmp_path, arrays))
    built = lenet5(1) if recorded is None else lenet5(1).with_metadata(transposed=recorded)
    wanted = np.swapaxes(arrays[2], 1, 2) if transposed else arrays[2]
    np.testing.assert_array_equal(inputs.test_inputs(built, data, None, given).pixels, wanted)


def test_pictures_are_never_transposed(tmp_path, model, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = write_pictures(tmp_path / "pets", {"cat": 3, "dog": 3})
    turned = model.with_metadata(transposed=True)
    plain = inputs.test_inputs(model, data, None, None).pixels
    np.testing.assert_array_equal(inputs.test_inputs(turned, data, None, None).pixels, plain)
    (tmp_path / "m.tflite").write_bytes(tflite.to_bytes(turned))
    for data in ("pets", "mnist", "noise"):
        done = CliRunner().invoke(cli, ["check", "--model", "m.tflite", "--data", data, "--transpose"])
        assert done.exit_code == 2
        assert f"--transpose has no effect with --data {data}" in done.stderr


@pytest.mark.parametrize("command", ["predict", "run"])
def test_predict_and_run_prepare_a_picture_alike(tmp_path, model, monkeypatch, command):
    """A third-party model, which records nothing: the options say how; the picture's middle is the model's image."""
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(1).integers(200, 256, (40, 60), np.uint8)
    Image.fromarray(pixels).save("p.png")
    (tmp_path / "m.tflite").write_bytes(tflite.to_bytes(type(model)(model.layers, {})))
    seen = []
    monkeypatch.setattr("lenet_edge.cli.inputs.picture_inputs", lambda *arguments: seen.append(arguments))
    picture = ["p.png"] if command == "predict" else ["--board", "microbit", "--image", "p.png"]
    for options in (["--crop", "5,3,28,28"], ["--crop", "5,3,28,28", "--auto-invert"], ["--range", "-1", "1"]):
        CliRunner().invoke(cli, [command, "--model", "m.tflite", *picture, *options])
    (box, first), (turned, _), (_, last) = [(found[1][0], found[2]) for found in seen]
    np.testing.assert_array_equal(box, pixels[3:31, 5:33])
    np.testing.assert_array_equal(turned, 255 - pixels[3:31, 5:33])
    assert first.crop == (5, 3, 28, 28)
    assert (last.low, last.high) == (-1.0, 1.0)


def test_run_prepares_test_images_of_a_third_party_model_as_check_does(tmp_path, model):
    data = write_pictures(tmp_path / "pets", {"bird": 3, "cat": 3, "dog": 3})
    theirs, prepare = type(model)(model.layers, {}), PrepareOptions((4, 2, 20, 20), None, (0.0, 0.5))
    found = run_images(theirs, data, 9, prepare=prepare)
    every = inputs.test_inputs(theirs, data, None, None, prepare)
    np.testing.assert_array_equal(found.images, every.images[list(found.numbers)])
    assert (found.images != run_images(theirs, data, 9).images).any()


@pytest.mark.parametrize("option", [["--invert"], ["--no-invert"], ["--auto-invert"]])
def test_inversion_without_a_picture_is_refused(tmp_path, model, monkeypatch, option):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.tflite").write_bytes(tflite.to_bytes(model))
    done = CliRunner().invoke(cli, ["run", "--board", "microbit", "--model", "m.tflite", *option])
    assert done.exit_code == 2
    assert f"Error: {option[0]} has no effect without --image" in done.stderr


def test_many_outputs_are_shown_as_their_range():
    """An autoencoder's 640 filled the terminal, eighty lines for each image."""
    assert _shown([-128, 7, 127]) == "-128    7  127"
    assert _shown([*range(-20, 20)]).split() == [str(value) for value in range(-20, 20)]
    assert _shown([3, *range(-99, 541)]) == "641 values, -99 to 540"
