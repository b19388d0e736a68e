"""Keras models as TensorFlow's converter makes them: `analyze` reads them, and `check --like tflm` passes."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from float_files import images_of

TESTS = Path(__file__).parents[1]
PICTURES = ["Conv2d", "DepthwiseConv2d", "Conv2d", "Add", "Mean", "FullyConnected", "Softmax"]
ONE_DIMENSION = ["Reshape", "Conv2d", "MaxPool2d", "Conv2d", "Flatten", "FullyConnected"]
ENGINES = ("tflm", "host_c", "litert-builtin")


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """The folder of the models of keras_models.py."""
    folder = tmp_path_factory.mktemp("keras")
    program = [sys.executable, str(TESTS / "keras_models.py"), str(folder)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def shapes_aside(kinds):
    """Without the axis that Keras puts into a series for each layer, and takes out again."""
    return [kind for index, kind in enumerate(kinds) if kind != "Reshape" or index == 0]


@pytest.mark.parametrize(
    ("name", "expected"), [("pictures", PICTURES), ("series", ONE_DIMENSION), ("dilated", ONE_DIMENSION)]
)
def test_a_converted_model_is_analysed_and_our_c_is_tflm_s(name, expected, converted, run_cli):
    found = run_cli("analyze", f"{name}.tflite", "--json", cwd=converted)
    assert found.code == 0, found.stderr
    assert shapes_aside([layer["kind"] for layer in found.json["layers"]]) == expected
    engines = [part for engine in ENGINES for part in ("--engine", engine)]
    files = ("--model", f"{name}.tflite", "--exports", name, "--out", f"{name}.json")
    checked = run_cli("check", *files, "--data", "noise", "--images", 300, "--like", "tflm", *engines, cwd=converted)
    assert checked.code == 0, checked.stderr
    record = json.loads((converted / f"{name}.json").read_text())
    assert record["passed"]
    differ = {engine["name"]: engine["logits_differ"] for engine in record["engines"]}
    assert (differ["tflm"], differ["host_c"]) == (0, 0)


def test_a_dilation_in_an_open_batch_says_how_to_convert_it(converted, run_cli):
    """TFLM takes the file's shapes, which are those of one part, and computes something else than LiteRT."""
    found = run_cli("analyze", "dilated-in-an-open-batch.tflite", cwd=converted)
    assert found.code == 3
    assert "SPACE_TO_BATCH_ND" in found.stderr
    assert "keras.Input(shape, batch_size=1)" in " ".join(found.stderr.split())


@pytest.mark.parametrize(("name", "pixels"), [("pictures", (0, 1)), ("rescaled", (0, 255))])
def test_a_float_model_is_quantised_and_every_engine_agrees(name, pixels, converted, run_cli):
    """Labels are arbitrary: what counts is how near int8 is to the float model, and that engines agree."""
    images, labels = images_of((16, 16, 3), 120), np.arange(120) % 5
    parts = {"x_train": images[:80], "y_train": labels[:80], "x_test": images[80:], "y_test": labels[80:]}
    np.savez(converted / f"{name}.npz", **parts)
    data = ("--data", f"{name}.npz")
    options = ("--epochs", 0, "--range", *pixels, "--json")
    done = run_cli("quantize", "--model", f"{name}-float.tflite", *data, *options, cwd=converted)
    assert done.code == 0, done.stderr
    assert done.json["proof"]["disagreements"] == 0
    assert min(done.json["sqnr_db"].values()) > 20
    if name == "rescaled":  # engines see nothing new in it
        return
    model = ("--model", f"build/{name}-float-int8.tflite")
    checked = run_cli("check", *model, "--data", "noise", "--images", 200, "--out", "c.json", cwd=converted)
    assert checked.code == 0, checked.stderr
    engines = json.loads((converted / "c.json").read_text())["engines"]
    assert {engine["logits_differ"] for engine in engines if engine["status"] == "ran"} == {0}
    assert {"tflm", "host_c", "litert-xnnpack"} <= {engine["name"] for engine in engines if engine["status"] == "ran"}
