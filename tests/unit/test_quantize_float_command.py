"""`lenet-edge quantize` of a float .tflite: what it writes, shows and refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest
import residual_models
import sample_models
from float_files import balanced, float_file

from lenet_edge.formats import tflite
from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.quantized.tie_free import is_tie_free

FIT, TEST = 180, 100


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """A float residual network, pictures that it tells apart, and the same network in int8."""
    model: QuantizedModel = residual_models.residual(3)
    images = np.random.default_rng(4).integers(0, 256, (FIT + TEST, *model.input.shape), dtype=np.uint8)
    images = (images // 3 + np.random.default_rng(5).integers(0, 170, (len(images), 1, 1, 3))).astype(np.uint8)
    content, labels = balanced(model, images)
    assert len(np.unique(labels)) == 5
    return {
        "model.tflite": content,
        "int8.tflite": tflite.to_bytes(model),
        "grey.tflite": float_file(sample_models.lenet5(2)),
        "data.npz": packed(images[:FIT], labels[:FIT], images[FIT:], labels[FIT:]),
        "two.npz": packed(images[:FIT], labels[:FIT] % 2, images[FIT:], labels[FIT:] % 2),
        "few.npz": packed(images[:8], np.arange(8) % 5, images[FIT:], labels[FIT:]),
    }


def packed(*arrays) -> dict[str, np.ndarray]:
    return dict(zip(("x_train", "y_train", "x_test", "y_test"), arrays, strict=True))


@pytest.fixture
def folder(files, tmp_path):
    for name, content in files.items():
        if isinstance(content, dict):
            np.savez(tmp_path / name, **content)
        else:
            (tmp_path / name).write_bytes(content)
    return tmp_path


def test_it_writes_an_exact_model_that_is_near_the_float_one(folder, run):
    done = run("quantize", "--model", "model.tflite", "--data", "data.npz", "--epochs", 0, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    written = tflite.read(folder / "build" / "model-int8.tflite")
    assert is_tie_free(written)
    assert json.loads((folder / "build" / "model-int8.json").read_text()).items() <= report.items()
    assert report["fingerprint"] == written.fingerprint
    assert (report["float_accuracy"], report["proof"]["disagreements"]) == (1.0, 0)
    assert report["int8_accuracy"] >= 0.95
    assert report["drop_points"] == pytest.approx(100 * (1 - report["int8_accuracy"]))
    assert min(report["sqnr_db"].values()) > 20
    assert written.metadata["classes"] == list("01234")
    assert written.metadata["grid"] == "tie-free"
    assert written.metadata["calibrated_on"] == 159  # a twelfth of each class validates
    assert (written.metadata["preparation"]["low"], written.metadata["preparation"]["high"]) == (0, 1)
    assert "black is 0 and white 1" in done.stderr


def test_the_range_that_is_given_is_recorded_and_the_ordinary_grid_is_for_comparison(folder, run):
    options = ("--grid", "ordinary", "--range", -1, 1, "--images", 20, "--out", "x.tflite")
    done = run("quantize", "--model", "model.tflite", "--data", "data.npz", *options)
    assert done.returncode == 0, done.stderr
    written = tflite.read(folder / "x.tflite")
    assert written.input.scale == pytest.approx(2 / 255)
    assert not is_tie_free(written)
    assert (written.metadata["preparation"]["low"], written.metadata["calibrated_on"]) == (-1, 20)
    assert "no proof" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--model", "model.tflite", "--epochs", 3), 2, "cannot be trained here"),
        (("--model", "model.tflite", "--seed", 3), 2, "--seed"),
        (("--model", "model.tflite", "--out", "x.onnx"), 2, ".tflite"),
        (("--model", "model.tflite", "--out", "model.tflite"), 3, "would be overwritten"),
        (("--model", "missing.tflite"), 3, "missing.tflite"),
        (("--model", "int8.tflite"), 3, "lenet-edge retie"),
        (("--model", "grey.tflite"), 3, "10 values, and data.npz has 5 classes"),
        (("--model", "model.tflite", "--data", "two.npz"), 3, "5 values, and two.npz has 2 classes"),
        (("--model", "model.tflite", "--data", "few.npz"), 3, "at least 10"),
        (("--model", "model.tflite", "--data", "none"), 3, "There is no data set"),
        (("--model", "build/lenet5.safetensors", "--range", 0, 1), 2, "--range"),
        (("--images", 20), 2, "--images"),
    ],
)
def test_what_is_refused_writes_nothing(arguments, code, said, folder, run):
    before = sorted(path.name for path in folder.iterdir() if path.name != "cache")
    data = () if "--data" in arguments else ("--data", "data.npz")
    done = run("quantize", *arguments, *data)
    assert done.returncode == code, done.stderr
    assert said in " ".join(done.stderr.split())
    assert sorted(path.name for path in folder.iterdir() if path.name != "cache") == before
