"""The whole pipeline from the command line on a small data set: what it leaves, that it repeats, and how it refuses."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from pathlib import Path

import idx_files
import numpy as np
import pytest
import sample_models
from PIL import Image

from lenet_edge import __version__
from lenet_edge.engines import ENGINES
from lenet_edge.formats import tflite
from lenet_edge.learning import checkpoint, training
from lenet_edge.quantized import reference
from lenet_edge.quantized.meaning import meaning_of
from lenet_edge.records import write_artefact

DIGITS = [str(digit) for digit in range(10)]
CHECK_KEYS = {
    *("fingerprint", "images", "float_accuracy", "int8_accuracy", "drop_points", "drop_interval", "mcnemar_p"),
    *("passed", "engines"),
}
ENGINE_KEYS = {
    *("name", "version", "status", "images", "accuracy", "logits_differ", "argmax_differ", "max_abs_difference"),
    "seconds",
}
LIMIT = (
    "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0}))\nfrom lenet_edge.cli import main; main()"
)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(outcome, code: int, *parts: str) -> None:
    assert outcome.code == code, outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert outcome.stdout == ""
    assert all(part in outcome.stderr for part in parts), outcome.stderr


@pytest.fixture
def place(pipeline, tmp_path) -> Path:
    """A folder with a copy of what `train` and `quantize` left."""
    shutil.copytree(pipeline.build, tmp_path / "build")
    return tmp_path


# --- train and quantize -----------------------------------------------------------------------------


def test_train_leaves_the_float_model(pipeline):
    result = pipeline.train.json
    assert result["out"] == "build/lenet5.safetensors"
    assert (result["arch"], result["epochs_done"], result["dataset"]) == ("lenet5", 1, "bands")
    assert 0 <= result["test_accuracy"] <= 1
    assert [epoch["validation_accuracy"] for epoch in result["history"]] == [result["validation_accuracy"]]
    assert f"loss {result['history'][0]['loss']:.4f}, validation accuracy" in pipeline.train.stderr
    assert checkpoint.load(pipeline.build / "lenet5.safetensors").metadata["classes"] == DIGITS
    assert not list(pipeline.build.glob("*.partial*"))


def test_quantize_leaves_model_weights_and_report(pipeline):
    result = pipeline.quantize.json
    assert result["out"] == "build/lenet5-int8.tflite"
    report = json.loads((pipeline.build / "lenet5-int8.json").read_text())
    assert report == {key: value for key, value in result.items() if key != "out"}
    assert (pipeline.build / "lenet5-int8.qat.safetensors").exists()
    proof = result["proof"]
    assert proof["passed"] is True
    assert [layer["name"] for layer in proof["layers"]] == ["C1", "C3", "C5", "F6", "OUTPUT"]
    for layer in proof["layers"]:
        assert set(layer["disagreements"].values()) == {0}
        assert layer["cases"] > 0
        assert layer["q_min"] % 2 == layer["q_max"] % 2 == 1
    assert all(value > 0 for value in result["sqnr_db"].values())
    assert result["drop_points"] == pytest.approx(100 * (result["float_accuracy"] - result["int8_accuracy"]))


def test_the_tflite_says_what_it_is(pipeline):
    model = tflite.read(pipeline.model)
    assert model.fingerprint == pipeline.quantize.json["fingerprint"]
    assert list(meaning_of(model).classes) == list(DIGITS)
    facts = model.metadata
    assert (facts["arch"], facts["grid"], facts["dataset"]) == ("lenet5", "tie-free", "bands")
    assert facts["float_sha256"] == hashlib.sha256((pipeline.build / "lenet5.safetensors").read_bytes()).hexdigest()
    raw = pipeline.model.read_bytes()
    assert model.fingerprint.encode() in raw
    assert __version__.encode() in raw


def test_the_same_seed_gives_the_same_files_and_bare_quantize_means_int8(run_cli, pipeline, bands_data, tmp_path):
    options = {"cwd": tmp_path, "PYTHONHASHSEED": "77"}
    assert run_cli("train", "--data", bands_data, "--epochs", 1, **options).code == 0
    assert (tmp_path / "build/lenet5.safetensors").read_bytes() == (pipeline.build / "lenet5.safetensors").read_bytes()
    bare = run_cli("quantize", "--data", bands_data, "--epochs", 1, **options)  # the fixture's has --int8
    assert bare.code == 0, bare.stderr
    assert "0 disagreements" in bare.stdout
    for name in ("lenet5-int8.tflite", "lenet5-int8.qat.safetensors", "lenet5-int8.json"):
        assert (tmp_path / "build" / name).read_bytes() == (pipeline.build / name).read_bytes()


def test_another_seed_gives_other_weights(run_cli, pipeline, bands_data, tmp_path):
    done = run_cli("train", "--data", bands_data, "--epochs", 1, "--seed", 1, "--out", "x.safetensors", cwd=tmp_path)
    assert done.code == 0, done.stderr
    assert (tmp_path / "x.safetensors").read_bytes() != (pipeline.build / "lenet5.safetensors").read_bytes()
    assert not (tmp_path / "build").exists()


# --- export -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [["tflite"], ["onnx"], ["onnx", "--onnx-form", "qoperator"], ["tflm"]], ids=" ".join
)
def test_export_gives_the_same_bytes_anywhere(run_cli, pipeline, place, options):
    target = options[0]
    first = run_cli("export", "--target", *options, "--json", cwd=place, PYTHONHASHSEED="1")
    assert first.code == 0, first.stderr
    elsewhere = ["--model", pipeline.model, "--out", place / "elsewhere" / "folder"]
    environment = {"PYTHONHASHSEED": "2", "TZ": "Asia/Tokyo", "SOURCE_DATE_EPOCH": "1"}
    assert run_cli("export", "--target", *options, *elsewhere, cwd=place, **environment).code == 0
    files = contents(place / "build" / target)
    assert files == contents(place / "elsewhere" / "folder")
    manifest = json.loads(files.pop("manifest.json"))
    said = {"folder", "warnings"}  # by the command alone
    assert manifest == {key: value for key, value in first.json.items() if key not in said}
    assert manifest["files"] == {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    assert (manifest["fingerprint"], manifest["lenet_edge"]) == (pipeline.quantize.json["fingerprint"], __version__)
    if target == "tflite":
        assert files["lenet5-int8.tflite"] == pipeline.model.read_bytes()
    if target == "onnx":
        assert set(files) == {"lenet5-int8.onnx", "lenet5-float.onnx"}


# --- check and predict ------------------------------------------------------------------------------


def test_check_runs_every_engine_on_what_was_exported(run_cli, pipeline, place, bands_data):
    assert run_cli("export", "--target", "onnx", cwd=place).code == 0
    arguments = ["--data", bands_data, "--require-all", "--max-drop", 100, "--junit", "junit.xml", "--json"]
    done = run_cli("check", *arguments, cwd=place)
    assert done.code == 0, done.stderr
    result = done.json
    assert result.keys() >= CHECK_KEYS
    matrix = np.array(result["confusion"]["matrix"])
    assert (matrix.sum(), matrix.trace() / 100) == (100, result["int8_accuracy"])
    assert pipeline.quantize.json["confusion"] == result["confusion"]
    assert result == json.loads((place / "build/check.json").read_text())
    assert (result["passed"], result["images"]) == (True, 100)
    assert result["fingerprint"] == pipeline.quantize.json["fingerprint"]
    for key in ("float_accuracy", "int8_accuracy", "drop_points", "drop_interval", "mcnemar_p"):
        assert result[key] == pytest.approx(pipeline.quantize.json[key])
    assert [engine["name"] for engine in result["engines"]] == ["reference", *ENGINES]
    for engine in result["engines"]:
        assert engine.keys() >= ENGINE_KEYS
        assert (engine["status"], engine["images"], engine["logits_differ"]) == ("ran", 100, 0), engine
        assert engine["accuracy"] == result["int8_accuracy"]
        assert (engine["version"] is None) == (engine["name"] == "reference")
    artefacts = {engine["name"]: engine["artefact"] for engine in result["engines"]}
    assert artefacts["onnxruntime"] == "lenet5-int8.onnx"  # the exported one, not one made for the occasion
    assert artefacts["pytorch"] == "lenet5-int8.qat.safetensors"
    assert 'failures="0"' in (place / "junit.xml").read_text()


def test_a_drop_above_the_limit_is_exit_1(run_cli, place):
    """The float model of this comparison is right on every image, since it gave the labels."""
    saved = checkpoint.load(place / "build/lenet5.safetensors")
    rng = np.random.default_rng(0)
    weights = {name: (rng.standard_normal(value.shape) / 8).astype(np.float32) for name, value in saved.tensors.items()}
    (place / "right.safetensors").write_bytes(checkpoint.to_bytes(weights, saved.metadata))
    data = idx_files.small_arrays(train=24, test=40)
    data[3] = training.logits(training.load(place / "right.safetensors"), data[2]).argmax(axis=1).astype(np.uint8)
    wrong = reference.run(tflite.read(place / "build/lenet5-int8.tflite"), reference.quantize_images(data[2])).argmax(
        axis=1
    )
    drop = 100 * float((wrong != data[3]).mean())
    assert drop > 10
    folder = idx_files.write_folder(place / "labelled", data)
    arguments = ["--data", folder, "--float", "right.safetensors", "--engine", "tflm", "--engine", "litert-reference"]
    done = run_cli("check", *arguments, "--max-drop", drop - 1, "--json", cwd=place)
    assert (done.code, done.json["passed"]) == (1, False)
    assert (done.json["float_accuracy"], done.json["drop_points"]) == (1, pytest.approx(drop))
    assert "int8 loses" in done.stderr
    assert run_cli("check", *arguments, "--max-drop", drop, cwd=place).code == 0


def test_ordinary_int8_is_seen_to_differ_by_the_rule_that_is_known(run_cli, place, bands_data):
    quantized = run_cli("quantize", "--grid", "ordinary", "--epochs", 0, "--data", bands_data, "--json", cwd=place)
    assert quantized.code == 0, quantized.stderr
    assert quantized.json["proof"] is None
    engines = [name for name in ENGINES if name != "tf-lite"]  # its import takes long, its kernels are XNNPACK's
    chosen = [option for name in engines for option in ("--engine", name)]
    done = run_cli("check", "--data", "noise", "--images", 400, *chosen, "--json", cwd=place)
    assert done.code == 1, done.stderr
    result = done.json
    assert result["passed"] is False
    by_name = {engine["name"]: engine for engine in result["engines"]}
    assert by_name["tflm"]["logits_differ"] == 0
    for name in ("litert-xnnpack", "onnxruntime", "onnxruntime-qoperator", "pytorch"):
        engine = by_name[name]
        assert engine["logits_differ"] > 0
        assert engine["beyond_rule"] == 0, engine
        assert engine["first_difference"]["layer"] in ("C1", "C3", "C5", "F6", "OUTPUT")
        assert engine["first_difference"]["expected"] != engine["first_difference"]["actual"]
        assert engine["name"] in done.stderr
    assert {key for key in ("float_accuracy", "int8_accuracy", "drop_points") if result[key] is not None} == set()


def test_check_without_tflm_or_litert_does_not_pass(run_cli, tmp_path, tie_free_file):
    arguments = ["check", "--model", tie_free_file, "--data", "noise", "--images", 3, "--engine", "litert-builtin"]
    done = run_cli(*arguments, cwd=tmp_path)
    assert done.code == 1
    assert "TFLM did not run" in done.stderr
    assert (tmp_path / "build/check.json").exists()


@pytest.mark.parametrize("manifest_agrees", [False, True])
def test_an_exported_file_that_was_changed(run_cli, tmp_path, tie_free_file, manifest_agrees):
    """With a wrong hash it is refused; with a right one it is run, and seen to be another model."""
    import onnx

    folder = tmp_path / "build/onnx"
    assert run_cli("export", "--target", "onnx", "--model", tie_free_file, cwd=tmp_path).code == 0
    path = folder / "random-int8.onnx"
    graph = onnx.load(path)
    weights = max(graph.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    assert weights.data_type == onnx.TensorProto.INT8
    changed = np.frombuffer(weights.raw_data, np.int8).copy()
    changed[::3] = -changed[::3]
    weights.raw_data = changed.tobytes()
    path.write_bytes(graph.SerializeToString())
    if manifest_agrees:
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["files"][path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
        (folder / "manifest.json").write_text(json.dumps(manifest))
    engines = ["--engine", "tflm", "--engine", "litert-reference", "--engine", "onnxruntime"]
    done = run_cli(
        "check", "--model", tie_free_file, "--data", "noise", "--images", 5, *engines, "--json", cwd=tmp_path
    )
    if not manifest_agrees:
        refused(done, 3, "build/onnx/random-int8.onnx", "export it again")
        assert not (tmp_path / "build/check.json").exists()
        return
    assert done.code == 1, done.stderr
    differ = {engine["name"]: engine["logits_differ"] for engine in done.json["engines"]}
    assert differ["onnxruntime"] > 0
    assert {differ["tflm"], differ["litert-reference"]} == {0}


def test_predict_is_the_same_on_two_engines(run_cli, place, bands_data):
    pixels = np.zeros((28, 28), np.uint8)
    pixels[9:13, 4:24] = 240
    Image.fromarray(pixels).save(place / "band.png")
    found = [
        run_cli("predict", "band.png", "--engine", engine, "--json", cwd=place).json
        for engine in ("reference", "pytorch")
    ]
    assert found[0]["predictions"] == found[1]["predictions"]
    distribution = found[0]["predictions"][0]["distribution"]
    assert sum(distribution.values()) == pytest.approx(1)
    assert found[0]["predictions"][0]["class"] == max(distribution, key=distribution.__getitem__)


def test_the_classic_form_goes_through_everything(run_cli, bands_data, tmp_path):
    steps = [
        ["train", "--arch", "lenet5-sigmoid", "--data", bands_data, "--epochs", 1, "--plot", "plots/curve.svg"],
        ["quantize", "--model", "build/lenet5-sigmoid.safetensors", "--data", bands_data, "--epochs", 0],
        *(["export", "--target", target, "--model", "build/lenet5-sigmoid-int8.tflite"] for target in ("onnx", "tflm")),
    ]
    for step in steps:
        done = run_cli(*step, cwd=tmp_path)
        assert done.code == 0, done.stderr
    assert "lenet5-sigmoid on bands" in (tmp_path / "plots" / "curve.svg").read_text()
    engines = [option for name in ENGINES if name != "tf-lite" for option in ("--engine", name)]
    model = ["--model", "build/lenet5-sigmoid-int8.tflite"]
    done = run_cli("check", *model, "--data", bands_data, *engines, "--max-drop", 100, "--json", cwd=tmp_path)
    assert done.code == 0, done.stderr
    assert {engine["status"] for engine in done.json["engines"]} == {"ran"}
    assert done.json["float_accuracy"] is not None
    assert tflite.read(tmp_path / model[1]).metadata["arch"] == "lenet5-sigmoid"


# --- bad input --------------------------------------------------------------------------------------


def test_quantize_refuses_what_is_no_float_checkpoint(run_cli, place, bands_data):
    """One start of torch for many files: each is refused by name, nothing is written, the old model stays."""
    good = (place / "build/lenet5.safetensors").read_bytes()
    weights = checkpoint.load(place / "build/lenet5.safetensors")
    other = {**weights.tensors, "features.C1.weight": np.zeros((6, 3, 5, 5), np.float32)}
    bad = {
        "truncated": good[: len(good) // 2],
        "empty": b"",
        "flipped": good[:-100] + bytes([good[-100] ^ 1]) + good[-99:],
        "pickle": pickle.dumps({"weights": [1, 2]}),
        "other": checkpoint.to_bytes(other, weights.metadata),
        "qat": (place / "build/lenet5-int8.qat.safetensors").read_bytes(),
        "tflite": (place / "build/lenet5-int8.tflite").read_bytes(),
    }
    for name, content in bad.items():
        (place / f"{name}.safetensors").write_bytes(content)
    before = contents(place / "build")
    code = (
        "import sys\nfrom lenet_edge.cli import main\n"
        f"for name in {[*bad, 'missing']!r}:\n"
        "    try: main(['quantize', '--model', name + '.safetensors', '--data', sys.argv[1]])\n"
        "    except SystemExit as end: print(name, end.code)\n"
    )
    done = run_cli(bands_data, cwd=place, code=code)
    assert done.stdout.splitlines() == [f"{name} 3" for name in [*bad, "missing"]], done.stderr
    assert all(f"{name}.safetensors" in done.stderr for name in bad)
    assert "Traceback" not in done.stderr
    assert contents(place / "build") == before


def test_out_must_be_a_tflite(run_cli, place, bands_data):
    refused(run_cli("quantize", "--data", bands_data, "--out", "model.bin", cwd=place), 2, ".tflite")


def test_train_refuses_data_that_is_none(run_cli, bands_data, tmp_path):
    folder = shutil.copytree(bands_data, tmp_path / "data")
    Image.new("L", (28, 28)).save(tmp_path / "x.png")
    (folder / idx_files.NAMES[0]).write_bytes((tmp_path / "x.png").read_bytes())
    refused(run_cli("train", "--data", folder, cwd=tmp_path), 3, idx_files.NAMES[0], "PNG")
    refused(run_cli("train", "--data", "nowhere", cwd=tmp_path), 3, "nowhere")
    assert not (tmp_path / "build").exists()


def test_a_model_of_other_layers_is_refused_by_check(run_cli, tmp_path):
    (tmp_path / "x.tflite").write_bytes(tflite.to_bytes(sample_models.every_layer(3)))
    idx_files.write_folder(tmp_path / "data", idx_files.small_arrays())
    done = run_cli("check", "--model", "x.tflite", "--data", "data", cwd=tmp_path)
    refused(done, 3, "the model takes 13 x 11 x 2 values", "28 x 28 x 1")


# --- output that cannot be written --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "limit"),
    [
        (["train", "--epochs", "1", "--data", "DATA"], 100_000),
        (["quantize", "--epochs", "0", "--grid", "ordinary", "--data", "DATA"], 30_000),
        (
            ["quantize", "--epochs", "0", "--grid", "ordinary", "--data", "DATA"],
            100_000,
        ),  # only the second file is larger
        (["export", "--target", "tflite"], 30_000),
        (["export", "--target", "onnx"], 100_000),
        (["check", "--images", "1", "--data", "noise", "--engine", "tflm", "--engine", "litert-reference"], 1_200),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else str(value),
)
def test_a_disk_that_is_full_in_the_middle_of_a_write(run_cli, place, bands_data, arguments, limit):
    """A limit on the size of files makes the write itself fail, part-way."""
    for target in ("tflite", "onnx"):  # what earlier exports left
        write_artefact(place / "build" / target, {"lenet5-int8.onnx": b"old"}, "0" * 64)
    (place / "build/check.json").write_text("old")
    before = contents(place / "build")
    arguments = [str(bands_data) if argument == "DATA" else argument for argument in arguments]
    refused(run_cli(*arguments, cwd=place, code=LIMIT.format(limit)), 3, "File too large", "build/")
    assert contents(place / "build") == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "--epochs", "1", "--data", "DATA", "--out", "file/x.safetensors"],
        ["quantize", "--epochs", "0", "--grid", "ordinary", "--data", "DATA", "--out", "file/x.tflite"],
        ["check", "--images", "1", "--data", "noise", "--engine", "tflm", "--out", "file/x.json"],
        ["check", "--images", "1", "--data", "noise", "--engine", "tflm", "--junit", "/proc/nowhere/x.xml"],
    ],
    ids=" ".join,
)
def test_a_folder_that_cannot_be_written(run_cli, place, bands_data, arguments):
    (place / "file").write_text("a regular file")
    arguments = [str(bands_data) if argument == "DATA" else argument for argument in arguments]
    refused(run_cli(*arguments, cwd=place), 3, "cannot write", arguments[-1].partition(".")[0])
