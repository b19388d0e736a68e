"""The command line without torch: help, exit codes, and one JSON object on stdout."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import idx_files
import numpy as np
import pytest
import sample_models
from command_line import Run, without
from PIL import Image

from lenet_edge import __version__
from lenet_edge.cli import main
from lenet_edge.formats import tflite
from lenet_edge.quantized import reference

COMMANDS = (
    *("data", "pipeline", "train", "quantize", "retie", "export", "check", "build", "run", "flash"),
    *("sweep", "fits", "bench", "budget", "predict", "page", "report", "analyze", "conformance", "boards", "doctor"),
)
MODEL = sample_models.lenet5(51)
CONTENT = tflite.to_bytes(MODEL)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "random-int8.tflite"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """As `run`, but in this process, which takes no start."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LENET_EDGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "100")
    handlers = {
        number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
    }

    def start(*arguments: object) -> subprocess.CompletedProcess[str]:
        with pytest.raises(SystemExit) as ended:
            main([*map(str, arguments)])
        assert isinstance(ended.value.code, int)
        return subprocess.CompletedProcess([], ended.value.code, *capsys.readouterr())

    yield start
    for number, handler in handlers.items():
        signal.signal(number, handler)


def refused(done: subprocess.CompletedProcess[str], code: int, *parts: str) -> None:
    """It ended with that code and a message that has these parts: no traceback, nothing on stdout."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert all(part in done.stderr for part in parts), done.stderr


# --- help and version -------------------------------------------------------------------------------


def test_help_lists_the_commands_in_the_order_of_the_pipeline(call):
    shown = call("--help").stdout
    listed = [line.split()[0] for line in shown.split("Commands:")[1].splitlines() if line.strip()]
    assert listed == list(COMMANDS)
    assert "130 interrupted" in shown


@pytest.mark.parametrize(
    ("command", "defaults"),
    [
        (
            "train",
            ["build/NETWORK.safetensors", "the network's", "default: lenet5", "default: mnist", "--resume"],
        ),
        (
            "quantize",
            ["build/lenet5.safetensors", "build/MODEL-int8.tflite", "the network's", "tie-free", "--int8"],
        ),
        ("export", ["build/lenet5-int8.tflite", "build/TARGET/", "default: qdq", "default: tflm"]),
        ("check", ["build/lenet5-int8.tflite", "build/check.json", "default: mnist", "default: 0.1"]),
        ("predict", ["build/lenet5-int8.tflite", "default: reference"]),
        ("analyze", ["MODEL..."]),
    ],
)
def test_help_of_a_command_names_its_defaults(call, command, defaults):
    done = call(command, "--help")
    assert done.returncode == 0
    shown = " ".join(done.stdout.split())
    assert [default for default in [*defaults, "--json"] if default not in shown] == []


def test_help_imports_nothing_heavy(run):
    heavy = ("torch", "onnx", "onnxruntime", "tensorflow", "ai_edge_litert", "tflite_micro", "numpy", "PIL")
    report = f"import atexit; atexit.register(lambda: print([name for name in {heavy!r} if name in sys.modules]))"
    done = run("--help", code=without(then=report))
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "[]"


def test_version(call):
    assert __version__ in call("--version").stdout


# --- 2: wrong usage ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["train", "--nonsense"],
        ["train", "--epochs", "0"],
        ["train", "--epochs", "many"],
        ["quantize", "--epochs", "-1"],
        ["quantize", "--grid", "coarse"],
        ["export"],
        ["export", "--target", "nonsense"],
        ["check", "--images", "0"],
        ["check", "--max-drop", "-1"],
        ["check", "--engine", "nonsense"],
        ["predict"],
        ["predict", "x.png", "--engine", "nonsense"],
        ["analyze"],
    ],
    ids=" ".join,
)
def test_wrong_usage(call, arguments):
    refused(call(*arguments), 2, "Usage" if "nonsense" not in arguments[-1:] else "")


def test_an_unknown_engine_is_told_the_known_ones(call):
    refused(call("check", "--engine", "nonsense"), 2, "nonsense", "litert-xnnpack", "tflm")


# --- 3: bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["check", "export", "predict", "analyze"])
def test_a_model_that_is_missing(call, tmp_path, command):
    Image.linear_gradient("L").resize((28, 28)).save(tmp_path / "x.png")
    arguments = {
        "check": ["--data", "noise"],
        "export": ["--target", "tflite"],
        "predict": ["x.png"],
        "analyze": ["build/lenet5-int8.tflite"],
    }
    refused(call(command, *arguments[command]), 3, "build/lenet5-int8.tflite", "does not exist")


@pytest.mark.parametrize(
    "content",
    [b"", b"TFL3", CONTENT[:100], CONTENT[: len(CONTENT) // 2], b"\x89PNG\r\n\x1a\n" * 9, CONTENT[:8] + bytes(4000)],
    ids=["empty", "four bytes", "header", "half", "picture", "zeros"],
)
def test_a_model_that_is_damaged(call, model, content):
    model.write_bytes(content)
    refused(call("analyze", model), 3, model.name)


def test_a_flipped_bit_is_no_crash(call, model):
    random = np.random.default_rng(0)
    for _ in range(4):
        damaged = bytearray(CONTENT)
        damaged[random.integers(0, 2000)] ^= 1 << random.integers(0, 8)
        model.write_bytes(damaged)
        done = call("export", "--target", "tflite", "--model", model, "--out", "out")
        assert done.returncode in (0, 3), done.stderr
        assert "Traceback" not in done.stderr


def test_a_folder_in_place_of_a_model(call, tmp_path):
    refused(call("analyze", tmp_path), 3, str(tmp_path))


def test_images_of_another_size(call, tmp_path, model):
    model.write_bytes(tflite.to_bytes(sample_models.every_layer(3)))
    folder = idx_files.write_folder(tmp_path / "data", idx_files.small_arrays())
    sizes = ("13 x 11 x 2", "28 x 28 x 1")
    refused(call("check", "--model", model, "--data", folder, "--images", 3), 3, *sizes, "--data noise")
    Image.linear_gradient("L").resize((28, 28)).save(tmp_path / "x.png")
    refused(call("predict", tmp_path / "x.png", "--model", model), 3, "13 x 11 x 2", "grey", "RGB")


def test_pictures_in_place_of_idx_files(call, tmp_path, model):
    folder = idx_files.write_folder(tmp_path / "data", idx_files.small_arrays())
    Image.linear_gradient("L").resize((28, 28)).save(tmp_path / "x.png")
    (folder / idx_files.NAMES[2]).write_bytes((tmp_path / "x.png").read_bytes())
    refused(call("check", "--model", model, "--data", folder), 3, idx_files.NAMES[2], "PNG")
    (folder / idx_files.NAMES[2]).write_bytes(b"")
    refused(call("check", "--model", model, "--data", folder), 3, idx_files.NAMES[2])


def test_a_picture_that_is_none(call, tmp_path, model):
    (tmp_path / "x.png").write_bytes(b"no picture")
    refused(call("predict", tmp_path / "x.png", "--model", model), 3, "x.png")


def test_an_engine_without_its_file(call, tmp_path, model):
    Image.linear_gradient("L").resize((28, 28)).save(tmp_path / "x.png")
    refused(call("predict", "x.png", "--model", model, "--engine", "pytorch"), 3, "random-int8.qat.safetensors")


@pytest.mark.parametrize("place", ["file/out", "/proc/lenet-edge"])
def test_a_folder_that_cannot_be_written(call, tmp_path, model, place):
    (tmp_path / "file").write_text("a regular file")
    refused(call("export", "--target", "tflite", "--model", model, "--out", place), 3, place, "cannot write")


def test_no_space_left_where_stdout_goes(run, model):
    with open("/dev/full", "w") as full:
        done = run("analyze", model, "--json", capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 3
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_a_reader_that_went_away_is_no_error(run, model, tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = run("analyze", model, "--json", capture_output=False, stdout=writer, stderr=subprocess.PIPE)
    finally:
        os.close(writer)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


# --- 4: a package is missing ------------------------------------------------------------------------


def test_without_torch_one_cannot_train(run):
    refused(run("train", "--data", "x", code=without("torch")), 4, "torch", "pip install torch")
    refused(run("quantize", "--data", "x", code=without("torch")), 4, "pip install torch")


def test_without_onnx_one_cannot_export_it(run, model):
    code = without("onnx")
    refused(run("export", "--target", "onnx", "--model", model, code=code), 4, "pip install onnx")


def test_a_module_of_our_own_that_is_missing_is_our_fault(run, model):
    refused(run("analyze", model, code=without("lenet_edge.quantized.proof")), 70, "bug in lenet-edge", "proof")


def test_an_engine_that_is_not_installed(run, tmp_path, model, monkeypatch):
    Image.linear_gradient("L").resize((28, 28)).save(tmp_path / "x.png")
    hidden = tmp_path / "hidden"  # goes before the installed package, in the worker too
    hidden.mkdir()
    (hidden / "tflite_micro.py").write_text("raise ModuleNotFoundError('No module named tflite_micro')")
    monkeypatch.setenv("PYTHONPATH", str(hidden))
    refused(run("predict", "x.png", "--model", model, "--engine", "tflm"), 4, "pip install tflite-micro")


# --- 0 ----------------------------------------------------------------------------------------------


def test_analyze_prints_one_json_object(run, model):
    done = run("analyze", model, "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0
    assert (found["fingerprint"], found["tie_free"], found["macs"]) == (MODEL.fingerprint, True, 416_520)
    assert [layer["name"] for layer in found["layers"]] == [layer.name for layer in MODEL.layers]
    assert {count for layer in found["layers"] for count in layer["differ"].values()} == {0}


def test_analyze_counts_what_the_rules_decide_differently(call, model):
    model.write_bytes(tflite.to_bytes(sample_models.lenet5(51, "ordinary")))
    found = json.loads(call("analyze", model, "--json").stdout)
    assert found["tie_free"] is False
    assert found["not_tie_free_because"]
    convolution = next(layer for layer in found["layers"] if layer["name"] == "C1")
    assert convolution["differ"]["tflm/float32"] > 0
    table = call("analyze", model)
    assert "runtimes will differ" in table.stdout


def test_predict_prints_the_distribution(call, tmp_path, model):
    pixels = np.random.default_rng(1).integers(0, 256, (28, 28), np.uint8)
    pixels[[0, -1]] = pixels[:, [0, -1]] = 0  # a dark border: not inverted
    Image.fromarray(pixels).save(tmp_path / "x.png")
    found = json.loads(call("predict", "x.png", "--model", model, "--json").stdout)
    (prediction,) = found["predictions"]
    logits = reference.run(MODEL, reference.quantize_images(pixels[None]))[0]
    assert prediction["logits"] == logits.tolist()
    assert prediction["class"] == str(logits.argmax())
    real = np.exp(logits * np.float64(MODEL.output.scale))
    assert list(prediction["distribution"].values()) == pytest.approx((real / real.sum()).tolist())
    assert list(prediction["distribution"]) == [str(digit) for digit in range(10)]
    assert f"x.png: {logits.argmax()}" in call("predict", "x.png", "--model", model).stdout


def test_export_c_writes_the_same_folder_everywhere(call, tmp_path, model):
    found = json.loads(call("export", "--target", "c", "--model", model, "--json").stdout)
    assert (found["folder"], found["target"], found["fingerprint"]) == ("build/c", "c", MODEL.fingerprint)
    assert (found["classes"], found["input_bytes"], found["workspace_bytes"]) == (10, 784, 1576)
    assert (found["weight_bytes"], found["requantization"]) == (62_414, "tie-free")
    assert [step["layers"] for step in found["steps"]] == [["C1", "S2"], ["C3", "S4"], ["C5"], ["F6"], ["OUTPUT"]]
    assert sum(step["macs"] for step in found["steps"]) == 416_520
    assert {"le_model.c", "le_model.h", "le_conv2d.c", "CMakeLists.txt", "example/main.c"} <= set(found["files"])
    again = json.loads(call("export", "--target", "c", "--model", model, "--out", "a/b", "--json").stdout)
    assert again["files"] == found["files"]
    for name in (*found["files"], "manifest.json"):
        assert (tmp_path / "build/c" / name).read_bytes() == (tmp_path / "a/b" / name).read_bytes(), name
    shown = call("export", "--target", "c", "--model", model).stdout
    assert "workspace 1,576 bytes" in shown
    assert "416,520 MACs" in shown


def test_export_c_over_another_model_leaves_no_kernel_behind(call, tmp_path, model):
    call("export", "--target", "c", "--model", model)
    model.write_bytes(tflite.to_bytes(sample_models.lenet5(51, "ordinary")))
    found = json.loads(call("export", "--target", "c", "--model", model, "--json").stdout)
    assert found["requantization"] == "double rounding"
    sources = {path.name for path in (tmp_path / "build/c").glob("le_requantize*")}
    assert sources == {"le_requantize_double.c"}


@pytest.mark.skipif(shutil.which("cc") is None, reason="cc is missing")
def test_predict_with_the_c_that_was_exported_or_else_with_its_own(call, tmp_path, model):
    Image.fromarray(np.random.default_rng(2).integers(0, 256, (28, 28), np.uint8)).save(tmp_path / "x.png")
    predict = ("predict", "x.png", "--model", model, "--json", "--engine")
    expected = json.loads(call(*predict, "reference").stdout)["predictions"][0]["logits"]
    assert json.loads(call(*predict, "host_c").stdout)["predictions"][0]["logits"] == expected
    call("export", "--target", "c", "--model", model)
    assert json.loads(call(*predict, "host_c").stdout)["predictions"][0]["logits"] == expected
    (tmp_path / "build" / "c" / "le_argmax.c").write_text("/* changed by hand */")
    refused(call(*predict, "host_c"), 3, "build/c/le_argmax.c", "export it again")
