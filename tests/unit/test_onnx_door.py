"""A QDQ .onnx wherever a .tflite of others is taken."""

from __future__ import annotations

import json

import numpy as np
import pytest
import qdq_graphs

from lenet_edge.cli.inputs import test_inputs
from lenet_edge.errors import BadInputError
from lenet_edge.formats import int8_models, tflite
from lenet_edge.quantized import reference
from lenet_edge.quantized.tie_free import is_tie_free


@pytest.fixture
def model(tmp_path):
    """The two forms, in files; the first as it is read."""
    (tmp_path / "chain.onnx").write_bytes(qdq_graphs.chain(qdq_graphs.UINT8))
    (tmp_path / "residual.ONNX").write_bytes(qdq_graphs.residual())
    return int8_models.read(tmp_path / "chain.onnx")


def test_exports_have_the_model_and_its_name(model, tmp_path, run):
    done = run("export", "--target", "tflite", "--model", "chain.onnx", "--json")
    assert done.returncode == 0, done.stderr
    assert list(json.loads(done.stdout)["files"]) == ["chain.tflite"]
    assert tflite.read(tmp_path / "build/tflite/chain.tflite") == model


def test_it_is_analysed_estimated_and_moved_onto_the_grid(model, tmp_path, run):
    done = run("analyze", "chain.onnx", "--json")
    assert (done.returncode, json.loads(done.stdout)["fingerprint"]) == (0, model.fingerprint)
    assert "FITS" in run("fits", "chain.onnx", "--board", "mps2-an386").stdout
    done = run("retie", "chain.onnx", "--json")
    assert done.returncode == 0, done.stderr
    written = tflite.read(tmp_path / "build/chain-tiefree.tflite")
    assert is_tie_free(written)
    assert "imported" not in written.metadata


def test_check_runs_the_users_own_graph(model, run):
    """ONNX Runtime gets the file itself, whose GlobalAveragePool or input of one image ours would not have."""
    engines = ("--engine", "onnxruntime", "--engine", "onnxruntime-qoperator")
    done = run(
        "check", "--model", "residual.ONNX", "--data", "noise", "--images", 50, "--like", "tflm", *engines, "--json"
    )
    assert done.returncode == 0, done.stderr
    found = {engine["name"]: engine for engine in json.loads(done.stdout)["engines"]}
    assert found["onnxruntime"]["artefact"] == "residual.ONNX"
    assert found["onnxruntime"]["beyond_rule"] == 0
    assert found["tflm"]["artefact"] == "residual.tflite"
    assert found["host_c"]["logits_differ"] == 0


def test_our_c_computes_what_onnx_runtime_makes_of_the_file(model, tmp_path, run):
    at, like = ("--model", "residual.ONNX"), ("--like", "onnxruntime", "--json")
    exported = run("export", "--target", "c", *at, *like)
    assert exported.returncode == 0, exported.stderr
    manifest = json.loads(exported.stdout)
    assert (manifest["like"], manifest["requantization"]) == ("onnxruntime", "float32, half to even")
    done = run("check", *at, "--data", "noise", "--images", 50, "--engine", "onnxruntime", "--engine", "tflm", *like)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["fingerprint"] == manifest["fingerprint"]  # it is that folder which ran
    differ = {engine["name"]: engine["logits_differ"] for engine in record["engines"]}
    assert differ["host_c"] == differ["onnxruntime"] == 0 < differ["tflm"]
    refused = run("export", "--target", "onnx", *at, *like)
    assert (refused.returncode, "--like has no effect" in refused.stderr) == (2, True)


def test_like_a_runtime_that_nothing_predicts(model, tmp_path, run):
    graph = qdq_graphs.Graph(2)
    x = graph.edge(graph.node("LeakyRelu", graph.edge(graph.image(2, 3, 3), -6), alpha=0.1), -5, 3)
    (tmp_path / "leaky.onnx").write_bytes(graph.finish(x))
    refused = run("export", "--target", "c", "--model", "leaky.onnx", "--like", "onnxruntime")
    assert refused.returncode == 3, refused.stdout
    assert "onnxruntime computes layer leakyrelu_" in refused.stderr
    assert "in floats that nothing predicts" in refused.stderr


def test_what_cannot_be_read_is_bad_input(tmp_path, run):
    (tmp_path / "broken.onnx").write_bytes(b"nothing")
    done = run("analyze", "broken.onnx")
    assert (done.returncode, "broken.onnx: it " in done.stderr) == (3, True)
    with pytest.raises(BadInputError, match=r"missing\.onnx"):
        int8_models.read(tmp_path / "missing.onnx")


def test_a_float_output_gets_its_scale_from_inputs(tmp_path, run):
    """As PyTorch's quantiser for x86 leaves it: the last layer, and an operand of a sum, are float."""
    graph = qdq_graphs.Graph(13)
    x = graph.edge(graph.image(2, 4, 4), -6)
    x = graph.node("Add", graph.node("Conv", x, graph.weights(2, 2, 1, 1)), x)
    x = graph.edge(graph.node("Flatten", x), -4)
    last = graph.node("Gemm", x, graph.weights(3, 32), graph.floats(3), transB=1)
    (tmp_path / "float.onnx").write_bytes(graph.finish(last))
    refused = run("analyze", "float.onnx")
    assert (refused.returncode, "--calibrate" in refused.stderr) == (3, True)
    done = run("export", "--target", "tflite", "--model", "float.onnx", "--calibrate", "noise")
    assert done.returncode == 0, done.stderr
    assert f"tensor {last}: -" in done.stderr
    model = tflite.read(tmp_path / "build/tflite/float.tflite")
    assert 0.9 < np.ptp(run_reference(model)) / 255 <= 1
    assert (
        run("export", "--target", "c", "--model", "build/tflite/float.tflite", "--calibrate", "noise").returncode == 2
    )


def run_reference(model):
    """The outputs on the noise that it was calibrated on."""
    given = test_inputs(model, "noise", 500, None)
    return reference.run(model, given.images).astype(int)
