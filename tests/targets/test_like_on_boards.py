"""Firmware that computes ONNX Runtime's integers: on an Arm board, on one without 64-bit products, where `int` has 16
bits; and the commands that meet it."""

from __future__ import annotations

import json

import pytest
import qdq_graphs
import workbench

from lenet_edge.formats.onnx.reader import import_bytes
from lenet_edge.hardware import boards, session
from lenet_edge.quantized.like import as_computed_by
from lenet_edge.quantized.reference import run
from lenet_edge.quantized.runtimes import REFERENCE, rules_of

IMAGES = 20


def imported():
    """A residual network in PyTorch's form: sums, an average pooling with edges, a matrix."""
    found = import_bytes(qdq_graphs.residual(seed=3), "x")
    return found.model.with_metadata(imported=found), found.onnx


def theirs(content, images, folder):
    """What ONNX Runtime makes of the file, not what our reference does."""
    onnxruntime = pytest.importorskip("lenet_edge.engines.onnxruntime")
    pytest.importorskip("onnxruntime")
    (folder / "ends.onnx").write_bytes(content)
    return onnxruntime.run(folder / "ends.onnx", images, optimize=True)


@pytest.mark.parametrize("board", ["mps2-an386", "microbit", "atmega2560"])
def test_a_board_computes_onnx_runtimes_integers(build, board, tmp_path):
    workbench.need(board, "gcc")
    model, content = imported()
    images = workbench.images(model, IMAGES, seed=4)
    expected = theirs(content, images, tmp_path)
    assert (expected != run(model, images, REFERENCE)).any()  # else it proves nothing
    like = as_computed_by("onnxruntime", model)
    built = build(board, "gcc", like)
    assert (built.like, built.fingerprint == model.fingerprint) == ("onnxruntime", False)
    with session.connect(boards.load(board), built.elf, like.fingerprint) as running:
        assert (running.device.infer_all(images) == expected).all()


def test_build_check_run_and_flash(cli):
    """The firmware's folder says what it computes; `flash` wants a record of the same."""
    workbench.need("mps2-an386", "gcc")
    pytest.importorskip("onnxruntime")
    (cli.folder / "m.onnx").write_bytes(qdq_graphs.residual(seed=3))
    at = ("--model", "m.onnx", "--json")
    built = json.loads(cli("build", "--board", "mps2-an386", "--like", "onnxruntime", *at).stdout)
    ran = cli("run", "--board", "mps2-an386", "--data", "noise", "--images", 9, *at)
    assert (ran.returncode, json.loads(ran.stdout)["logits_differ"]) == (0, 0), ran.stderr
    assert json.loads(ran.stdout)["fingerprint"] == built["fingerprint"]
    engines = ("--engine", "onnxruntime", "--board", "mps2-an386")
    check = cli("check", "--data", "noise", "--images", 20, "--like", "onnxruntime", *engines, *at)
    assert check.returncode == 0, check.stderr
    (cli.folder / "p.toml").write_text('like = "onnxruntime"\nimages = 20\nboard_images = 20\n')
    (cli.folder / "other.toml").write_text('like = "tflm"\nimages = 20\nboard_images = 20\n')
    dry = ("flash", "--board", "mps2-an386", "--dry-run", *at)
    flashed = cli(*dry, "--policy", "p.toml")
    assert flashed.returncode == 0, flashed.stderr
    refused = cli(*dry, "--policy", "other.toml")
    assert "the firmware computes the integers of onnxruntime, the policy asks for those of tflm" in refused.stderr
    assert "build --board mps2-an386 --model m.onnx --like tflm" in refused.stderr


def test_the_rules_of_the_file_are_what_is_computed():
    model, _ = imported()
    images = workbench.images(model, IMAGES, seed=4)
    like = as_computed_by("onnxruntime", model)
    assert (run(like, images) == run(model, images, rules_of("onnxruntime", model))).all()
