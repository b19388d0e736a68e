"""The Python functions leave the files that the commands leave, byte for byte."""

from __future__ import annotations

import json

import pytest

import lenet_edge
from lenet_edge.errors import BadInputError

PROGRAM = """
import json, sys
import lenet_edge

data = sys.argv[1]
trained = lenet_edge.train(data, epochs=1, quiet=True)
int8 = lenet_edge.quantize(trained.model, data, epochs=1, quiet=True)
record = lenet_edge.check(int8.model, data, engines=["pytorch", "tflm", "litert-reference"], max_drop=100, quiet=True)
firmware = lenet_edge.build("mps2-an386", int8.model, toolchain="zig", quiet=True)
ran = lenet_edge.run("mps2-an386", int8.model, data=data, images=3, emulator="unicorn", quiet=True)
print(json.dumps({
    "history": [vars(epoch) for epoch in trained.history],
    "test_accuracy": trained.test_accuracy,
    "fingerprint": int8.fingerprint,
    "int8_accuracy": int8.int8_accuracy,
    "cases": int8.proof.cases,
    "passed": record.passed,
    "checked": record.fingerprint,
    "flash": firmware.sizes.flash,
    "ran": [ran.fingerprint, ran.logits_differ, [len(answer.logits) for answer in ran.answers]],
}))
"""


@pytest.fixture(scope="module")
def called(run_cli, bands_data, tmp_path_factory):
    """(folder, what the program printed) of a program that calls the functions, as the `pipeline` did the commands."""
    folder = tmp_path_factory.mktemp("python")
    done = run_cli(bands_data, cwd=folder, code=PROGRAM)
    assert done.code == 0, done.stderr
    return folder, json.loads(done.stdout), done.stderr


def test_the_same_bytes_as_the_commands(called, pipeline):
    folder, _, _ = called
    for name in ("lenet5.safetensors", "lenet5-int8.tflite", "lenet5-int8.qat.safetensors", "lenet5-int8.json"):
        assert (folder / "build" / name).read_bytes() == (pipeline.build / name).read_bytes(), name


def test_they_return_what_the_commands_print(called, pipeline):
    _, found, _ = called
    assert {name: found[name] for name in ("history", "test_accuracy")} == {
        name: pipeline.train.json[name] for name in ("history", "test_accuracy")
    }
    said = pipeline.quantize.json
    assert found["fingerprint"] == said["fingerprint"] == found["checked"]
    assert (found["int8_accuracy"], found["cases"]) == (said["int8_accuracy"], said["proof"]["cases"])


def test_check_build_and_run_go_on_from_there(called):
    folder, found, said = called
    assert found["passed"]
    assert json.loads((folder / "build" / "check.json").read_text())["fingerprint"] == found["fingerprint"]
    assert found["flash"] == (folder / "build/firmware/mps2-an386/firmware.bin").stat().st_size
    assert found["ran"] == [found["fingerprint"], 0, [10, 10, 10]]
    assert said == ""


def test_quantize_refuses_another_ending(pipeline):
    with pytest.raises(BadInputError, match=r"must end with \.tflite"):
        lenet_edge.quantize(pipeline.build / "lenet5.safetensors", out="x.onnx")
