"""The main job on the real MNIST, shortened: a few epochs instead of fifteen, every engine, all 10,000 test images."""

import json
import subprocess
import sys

import pytest

from lenet_edge.engines import ENGINES

# What a few epochs reach; the figures of the README take `make demo`.
EXPECTED_ACCURACY = {"lenet5": 0.975, "lenet5-sigmoid": 0.93}


def lenet_edge(folder, *arguments):
    """Run a command in `folder`; its JSON. Its stderr is shown when it fails."""
    command = [sys.executable, "-m", "lenet_edge", *arguments, "--json"]
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


@pytest.fixture(scope="module", params=sorted(EXPECTED_ACCURACY))
def pipeline(request, tmp_path_factory):
    """(arch, folder, results of train and quantize) after a short pipeline in an empty folder."""
    folder = tmp_path_factory.mktemp(request.param)
    trained = lenet_edge(folder, "train", "--arch", request.param, "--epochs", "2")
    quantized = lenet_edge(folder, "quantize", "--model", f"build/{request.param}.safetensors", "--epochs", "1")
    return request.param, folder, trained, quantized


def test_training_learns_the_digits(pipeline):
    arch, _, trained, _ = pipeline
    assert trained["test_accuracy"] > EXPECTED_ACCURACY[arch]


def test_every_accumulator_is_proved(pipeline):
    arch, _, _, quantized = pipeline
    assert quantized["proof"]["passed"]
    assert quantized["proof"]["cases"] > 100_000_000
    layers = {rule for layer in quantized["proof"]["layers"] if layer["q_min"] for rule in layer["disagreements"]}
    tables = {rule for layer in quantized["proof"]["layers"] if not layer["q_min"] for rule in layer["disagreements"]}
    assert layers == {"tflm", "ruy", "single", "float32"}
    assert tables == ({"tflm", "litert", "xnnpack", "tf-lite"} if arch == "lenet5-sigmoid" else set())


def test_int8_keeps_the_accuracy(pipeline):
    _, _, _, quantized = pipeline
    assert quantized["int8_accuracy"] > quantized["float_accuracy"] - 0.005


@pytest.mark.parametrize("data", ["mnist", "noise"])
def test_no_logit_of_any_engine_differs(pipeline, data):
    arch, folder, _, _ = pipeline
    model = f"build/{arch}-int8.tflite"
    drop = ["--max-drop", "0.5"] if data == "mnist" else []  # noise has no accuracy that could drop
    checked = lenet_edge(folder, "check", "--model", model, "--data", data, "--require-all", *drop)
    assert checked["passed"]
    assert {engine["name"] for engine in checked["engines"]} == {"reference", *ENGINES}
    assert len(ENGINES) >= 11
    for engine in checked["engines"]:
        assert engine["status"] == "ran", engine
        assert engine["images"] >= 10_000
        assert engine["logits_differ"] == 0, engine
