"""A model that ends in [1, 1, 1, 10] gave tracebacks, and "58 logits differ" where none did.

The reference kept the shape, the engines gave a vector: numpy compared each image with all the others.
"""

import json

import idx_files
import numpy as np
import pytest
from sample_models import ModelBuilder

from lenet_edge import parity
from lenet_edge.cli.artefacts import Artefacts
from lenet_edge.engines import ENGINES
from lenet_edge.formats import tflite
from lenet_edge.quantized.meaning import meaning_of
from lenet_edge.quantized.reference import layer_outputs, run
from lenet_edge.records import read_check

ALL = ("tflm", "litert-reference", "litert-builtin", "host_c", "onnxruntime", "onnxruntime-qoperator")


def fully_convolutional(size=28, classes=10, softmax=False):
    """Ends in [1, 1, classes] where the image is 28 x 28, in a map where it is larger."""
    pixels = ModelBuilder(3).current
    image = type(pixels)((size, size, 1), pixels.scale, pixels.zero_point)
    builder = ModelBuilder(3, image=image).conv("C1", 4).pool("S2").conv("C3", 5).pool("S4")
    builder.conv("OUTPUT", classes, kernel=4, relu=False)
    return (builder.softmax() if softmax else builder).build()


def images_for(model, count=20):
    return np.random.default_rng(1).integers(-128, 128, (count, *model.input.shape), dtype=np.int8)


def checked(model, folder, names=ALL, labels=None):
    path = folder / "model.tflite"
    path.write_bytes(tflite.to_bytes(model))
    engines = {name: ENGINES[name] for name in names}
    with Artefacts(
        path, model, path.read_bytes(), folder / "none", kinds=[engine.artefact for engine in engines.values()]
    ) as files:
        found = parity.check(model, files, images_for(model), labels, engines=engines)
    return {engine.name: engine for engine in found.engines}


@pytest.mark.parametrize(("size", "values"), [(28, 10), (36, 90)])
def test_the_emulator_gives_one_row_for_each_image(size, values):
    model = fully_convolutional(size)
    images = images_for(model, 3)
    *_, last = layer_outputs(model, images)
    outputs = run(model, images)
    assert outputs.shape == (3, values) if size == 28 else last.shape[1:] == model.output.shape
    np.testing.assert_array_equal(outputs, last.reshape(3, -1))


def test_every_engine_gives_the_same_vector(tmp_path):
    model = fully_convolutional()
    assert model.output.shape == (1, 1, 10)
    labels = meaning_of(model).predictions(run(model, images_for(model))).astype(np.uint8)
    for name, engine in checked(model, tmp_path, labels=labels).items():
        assert (engine.status, engine.logits_differ, engine.argmax_differ) == ("ran", 0, 0), (name, engine.message)
        assert engine.accuracy == 1.0


def test_a_map_is_compared_value_by_value_and_has_no_accuracy(tmp_path):
    model = fully_convolutional(36)
    assert model.output.shape == (3, 3, 10)
    labels = np.zeros(20, np.uint8)
    for name, engine in checked(model, tmp_path, labels=labels).items():
        assert (engine.status, engine.logits_differ) == ("ran", 0), (name, engine.message)
        assert (engine.accuracy, engine.argmax_differ) == (None, None)


def test_the_layers_of_an_engine_are_found_by_their_name(tmp_path):
    model = fully_convolutional()
    image = images_for(model)[0]
    path = tmp_path / "model.tflite"
    path.write_bytes(tflite.to_bytes(model))
    with Artefacts(path, model, path.read_bytes(), tmp_path / "none", kinds=["onnx"]) as files:
        for name in ("tflm", "onnxruntime"):
            outputs, logits = ENGINES[name].layer_outputs(files[ENGINES[name].artefact], image)
            np.testing.assert_array_equal(logits, run(model, image[None])[0])
            np.testing.assert_array_equal(outputs["OUTPUT"].ravel(), logits)


def test_a_flat_input_reaches_the_engines_too(tmp_path):
    image = ModelBuilder().current
    flat = type(image)((12,), image.scale, image.zero_point)
    model = ModelBuilder(4, image=flat).fully_connected("F1", 8).fully_connected("OUT", 3, relu=False).build()
    names = ("tflm", "litert-reference", "onnxruntime", "onnxruntime-qoperator")
    for name, engine in checked(model, tmp_path, names).items():
        assert (engine.status, engine.logits_differ) == ("ran", 0), (name, engine.message)


def test_predict_and_check_of_the_command_line(answer, tmp_path):
    from PIL import Image

    (tmp_path / "m.tflite").write_bytes(tflite.to_bytes(fully_convolutional()))
    Image.fromarray(np.random.default_rng(2).integers(0, 256, (28, 28), np.uint8)).save(tmp_path / "x.png")
    logits = []
    for engine in ("reference", "tflm", "onnxruntime"):
        (prediction,) = answer("predict", "x.png", "--model", "m.tflite", "--engine", engine)["predictions"]
        logits.append(prediction["logits"])
        assert len(prediction["distribution"]) == 10
    assert logits[0] == logits[1] == logits[2]
    engines = ("--engine", "tflm", "--engine", "litert-reference")
    assert answer("check", "--model", "m.tflite", "--data", "noise", "--images", 5, *engines)["passed"]


def test_the_record_of_a_map_is_read_again(answer, tmp_path):
    (tmp_path / "m.tflite").write_bytes(tflite.to_bytes(ModelBuilder(3).conv("C1", 2).build()))
    idx_files.write_folder(tmp_path / "data", idx_files.small_arrays())
    engines = ("--engine", "tflm", "--engine", "litert-reference")
    for data in ("noise", "data"):
        found = answer("check", "--model", "m.tflite", "--data", data, "--images", 5, *engines)
        assert found["passed"]
        assert found["int8_accuracy"] is None
        assert any("24 x 24 x 2 values, not one score for each class" in warning for warning in found["warnings"])
        record = read_check(tmp_path / "build" / "check.json")
        assert [engine.argmax_differ for engine in record.engines] == [None] * 3


def test_predict_shows_no_class_of_a_map(call, tmp_path):
    from PIL import Image

    builder = ModelBuilder(3).conv("C1", 2).build()
    (tmp_path / "m.tflite").write_bytes(tflite.to_bytes(builder))
    Image.linear_gradient("L").resize((28, 28)).save(tmp_path / "x.png")
    done = call("predict", "x.png", "--model", "m.tflite", "--json")
    assert "24 x 24 x 2 values, not one score for each class" in done.stderr
    (found,) = json.loads(done.stdout)["predictions"]
    assert (found["class"], found["distribution"], len(found["values"])) == (None, None, 24 * 24 * 2)
