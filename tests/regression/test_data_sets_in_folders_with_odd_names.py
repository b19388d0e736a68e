"""`check --data DIR` ended with exit 70, after the work, where the folder's name is not UTF-8 or the locale is C."""

from __future__ import annotations

import json
import os

import idx_files
import pytest

from lenet_edge import datasets

NAMES = ["bad\udcff", "esc\x1b[31m", "[red]seven", "a\nb", "-dash", "x" * 250, "\U0001f600"]


@pytest.mark.parametrize("name", NAMES)
def test_its_name_can_be_shown_and_recorded(name, tmp_path):
    folder = idx_files.write_folder(tmp_path / name, idx_files.small_arrays())
    found = datasets.load(os.fspath(folder)).name
    assert found.isprintable()
    assert 0 < len(found) <= 200  # more is not taken from a checkpoint
    found.encode()


@pytest.mark.parametrize("name", NAMES[:5])
def test_check_records_it(name, tmp_path, call, model):
    idx_files.write_folder(tmp_path / name, idx_files.small_arrays())
    exports = tmp_path / "exports\udcfe"
    exports.mkdir()
    done = call(
        "check", "--model", model, f"--data={name}", "--images", 2, "--engine", "tflm", "--engine", "onnxruntime",
        "--exports", exports, "--json",
    )  # fmt: skip
    assert done.returncode == 1, done.stderr  # no LiteRT engine is asked for
    assert json.loads(done.stdout)["data"].isprintable()
    record = json.loads((tmp_path / "build" / "check.json").read_bytes())
    assert record["data"].isprintable()
    assert {engine["name"]: engine["status"] for engine in record["engines"]}["tflm"] == "ran"


@pytest.mark.parametrize("name", [*NAMES[:4], NAMES[-1]])
def test_a_model_with_an_odd_name_too(name, tmp_path, call, model):
    """The record names the artefact of each engine; a name that is not UTF-8 ended with exit 70."""
    idx_files.write_folder(tmp_path / "data", idx_files.small_arrays())
    odd = f"{name}.tflite"
    (tmp_path / model).rename(tmp_path / odd)
    done = call("check", f"--model={odd}", "--data=data", "--images", 2, "--engine", "tflm", "--json")
    assert done.returncode == 1, done.stderr  # no LiteRT engine is asked for
    record = json.loads((tmp_path / "build" / "check.json").read_bytes())
    assert {engine["name"]: engine["status"] for engine in record["engines"]} == {"reference": "ran", "tflm": "ran"}
