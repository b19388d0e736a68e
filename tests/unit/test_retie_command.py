"""`lenet-edge retie`: what it writes, shows and refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest
import residual_models
import sample_models
from random_chains import Chain

from lenet_edge.formats import tflite
from lenet_edge.quantized.model import AveragePool2d
from lenet_edge.quantized.tie_free import is_tie_free


@pytest.fixture
def model(tmp_path):
    """An ordinary residual network, in its file."""
    found = residual_models.residual(3)
    (tmp_path / "model.tflite").write_bytes(tflite.to_bytes(found))
    return found


def test_it_writes_an_exact_model_and_what_that_cost(model, tmp_path, run):
    done = run("retie", "model.tflite", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    written = tflite.read(tmp_path / "build" / "model-tiefree.tflite")
    assert is_tie_free(written)
    assert report == json.loads((tmp_path / "build" / "model-tiefree.json").read_text())
    assert (report["fingerprint"], report["retied_from"]) == (written.fingerprint, model.fingerprint)
    assert written.metadata["retied_from"] == model.fingerprint
    assert report["proof"]["disagreements"] == 0
    assert report["proof"]["cases"] > 1_000_000
    assert [layer["name"] for layer in report["layers"]] == [layer.name for layer in model.layers]
    assert (report["tuned_on"], report["softmax_at_the_end"], report["cost"]["accuracy"]) == (0, False, None)
    shown = run("retie", "model.tflite", "--out", "again.tflite").stdout
    assert "0 disagreements" in shown
    assert "both say the same class" in shown


def test_with_data_it_fits_and_measures_on_others(model, tmp_path, run):
    images = np.random.default_rng(2).integers(-128, 128, (90, *model.input.shape)).astype(np.int8)
    labels = np.arange(90) % 5
    np.savez(tmp_path / "mine.npz", images=images, labels=labels)
    done = run("retie", "model.tflite", "--data", "mine.npz", "--images", 50, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["tuned_on"], report["cost"]["images"]) == (50, 40)
    assert 0 <= report["cost"]["accuracy"] <= 1
    assert report["cost"]["agreement"] > 0.8


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("model.tflite", "--images", 5), 2, "--images"),
        (("model.tflite", "--out", "x.onnx"), 2, ".tflite"),
        (("model.tflite", "--out", "model.tflite"), 3, "would be overwritten"),
        (("missing.tflite",), 3, "missing.tflite"),
        (("exact.tflite",), 3, "tie-free already"),
        (("model.tflite", "--data", "few.npy", "--images", 4), 3, "leaves none to measure on"),
        (("edges.tflite",), 1, "AveragePool2d"),
        (("model.tflite", "--crop", "square"), 2, "--crop"),
    ],
)
def test_what_is_refused_writes_nothing(arguments, code, said, model, tmp_path, run):
    (tmp_path / "exact.tflite").write_bytes(tflite.to_bytes(sample_models.lenet5(1)))
    edges = Chain(3, (7, 7, 2)).conv(3, (3, 3)).pool((2, 2), (1, 1), "same", AveragePool2d).flatten()
    (tmp_path / "edges.tflite").write_bytes(tflite.to_bytes(edges.build()))
    np.save(tmp_path / "few.npy", np.zeros((4, *model.input.shape), np.int8))
    before = sorted(path.name for path in tmp_path.iterdir() if path.name != "cache")
    done = run("retie", *arguments)
    assert done.returncode == code, done.stderr
    assert said in " ".join(done.stderr.split())
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "cache") == before
