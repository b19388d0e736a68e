"""Models of others, from the file to a flashed board: `check --like tflm`, `bench` and `flash` on an M4 and an RV32."""

from __future__ import annotations

import json

import pytest
import workbench

MODELS = {
    "hello_world_int8": "models",  # one number in, one out
    "mnist_resnet_q": "models",  # sums of two branches
    "conv1d_audio": "cases/own",  # of rank 3
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_of_others_gets_onto_both_boards(name, cli, shared, tmp_path):
    model = shared / MODELS[name] / f"{name}.tflite"
    (tmp_path / "policy.toml").write_text('like = "tflm"\nimages = 50\n')
    usual = ("--model", model, "--json")
    analysis = cli("analyze", model, "--json")
    assert analysis.returncode == 0, analysis.stderr
    for board in ("mps2-an386", "riscv-virt"):
        workbench.need(board, "gcc", "unicorn")
        firmware, record = tmp_path / board, tmp_path / f"{board}.json"
        of_board = ("--board", board, "--firmware", firmware)
        built = cli("build", "--board", board, *usual, "--out", firmware, "--toolchain", "gcc")
        assert built.returncode == 0, built.stderr
        counted = cli("bench", *of_board, *usual, "--data", "noise", "--images", 1, "--out", tmp_path / "bench.json")
        assert json.loads(counted.stdout)["total"] > 0, counted.stderr
        exports = tmp_path / "exports"
        (exports / "firmware").mkdir(parents=True, exist_ok=True)
        (exports / "firmware" / board).symlink_to(firmware)
        options = (
            "--data",
            "noise",
            "--images",
            50,
            "--like",
            "tflm",
            "--engine",
            "tflm",
            "--engine",
            "litert-xnnpack",
        )
        places = ("--exports", exports, "--out", record)
        checked = cli("check", *usual, *options, "--board", board, "--emulator", "unicorn", *places)
        assert checked.returncode == 0, checked.stderr
        engines = {engine["name"]: engine for engine in json.loads(checked.stdout)["engines"]}
        for same in ("tflm", "host_c", f"board:{board}/unicorn"):
            assert engines[same]["logits_differ"] == 0
        assert (engines["litert-xnnpack"]["status"], engines["litert-xnnpack"]["beyond_rule"]) == ("ran", 0)
        flashed = cli("flash", *of_board, *usual, "--policy", tmp_path / "policy.toml", "--check", record, "--dry-run")
        assert flashed.returncode == 0, flashed.stderr
