"""`pipeline`, from a folder of pictures to an emulated board, once in full and then after all that may change."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import picture_files
import pytest
import workbench
from workbench import refused

from lenet_edge import records
from lenet_edge.hardware import boards

BOARD, OTHER = "mps2-an386", "longan-nano"
NAMES = ("[red]", "six'quote", "fünf", "$(touch owned)")
STEPS = ["train", "quantize", f"build {BOARD}", "export", "check", f"check {BOARD}"]
OPTIONS = ("--network", "lenet5-tiny", "--epochs", 2, "--quantize-epochs", 1, "--max-drop", 100)


def pipeline(cli, *arguments: object, board: object = BOARD):
    return cli("pipeline", "--data", "photos", "--board", board, *OPTIONS, *arguments, timeout_s=280)


def steps_done(done) -> list[str]:
    assert done.returncode == 0, done.stderr
    return [step["name"] for step in json.loads(done.stdout)["steps"] if step["why"]]


@pytest.fixture
def photos(cli) -> Path:
    for board in (BOARD, OTHER):
        workbench.need(board, "gcc", "unicorn")
    return picture_files.write(cli.folder / "photos", classes=4, each=24, names=NAMES, size=20)


def test_once_in_full_and_then_what_has_changed(cli, photos):
    done = pipeline(cli, "--json")
    assert steps_done(done) == STEPS
    found = json.loads(done.stdout)
    ran = found["logits_differ"]
    assert set(ran.values()) == {0}
    assert {"reference", "pytorch", "tflm", "litert-reference", "onnxruntime", f"board:{BOARD}/unicorn"} <= set(ran)
    assert found["proof"]["passed"]
    assert "[1/6] train: not done yet" in done.stderr
    assert not (cli.folder / "owned").exists()

    again = pipeline(cli)
    assert again.returncode == 0, again.stderr
    assert "nothing has changed: no step was repeated" in again.stdout
    assert again.stderr.splitlines() == [f"[{number}/6] {name}: unchanged" for number, name in enumerate(STEPS, 1)]

    flash = next(line for line in found["next"] if line.startswith("lenet-edge flash"))
    dry = cli(*shlex.split(flash)[1:], "--dry-run", "--json")
    assert dry.returncode == 0, dry.stderr
    conditions = json.loads(dry.stdout)["conditions"]
    assert all(condition["met"] for condition in conditions)
    assert [each["name"] for each in conditions][-1] == "this firmware"  # it ran in the emulator, on all images

    assert steps_done(pipeline(cli, "--json", board=OTHER)) == [f"build {OTHER}", f"check {OTHER}"]
    too_small = small_board(cli.folder)
    refused_build(pipeline(cli, board=too_small))

    picture_files.picture(photos / NAMES[0] / "0.png", seed=77, size=20)
    assert steps_done(pipeline(cli, "--json")) == STEPS
    record = records.read_check(cli.folder / "build/check.json")
    assert (record.passed, set(record.firmware)) == (True, {BOARD})  # the other board ran another model


def small_board(folder: Path) -> Path:
    """The board with 8 KB of flash."""
    text = boards.load(BOARD).path.read_text()
    (folder / "boards").mkdir()
    path = folder / "boards" / "small.toml"
    name, size = f'name = "{BOARD}"', next(line for line in text.splitlines() if line.startswith("size_bytes"))
    path.write_text(text.replace(name, 'name = "small"').replace(size, "size_bytes = 8192", 1))
    return path


def refused_build(done) -> None:
    """It ends where the firmware is built, says by how many bytes it is too big, and shows what was done before."""
    assert done.returncode == 1, done.stderr
    assert "error: build small: over budget: flash: " in done.stderr
    assert "bytes, " in done.stderr
    assert "more than the 8,192 of small" in done.stderr
    assert "NOT done: build small" in done.stdout
    assert "export" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--board", BOARD], 2, "--board mps2-an386 is given twice"),
        (["--board", "microbitt"], 3, "microbit"),
        (["--network", "mlp", "--weights", "w.pt"], 2, "--weights has no effect"),
        (["--network", "nowhere.py:Net"], 3, "nowhere.py"),
        (["--epochs", "0"], 2, "--epochs 0 trains nothing"),
        (["--size", "2", "--network", "lenet5"], 3, "train: "),
        (["--out", "photos/build"], 3, "is inside the data set"),
        (["--transpose"], 2, "--transpose has no effect"),
    ],
)
def test_what_is_wrong_is_said_before_the_training(cli, photos, arguments, code, said):
    done = pipeline(cli, *arguments)
    refused(done, code, said)
    assert "epoch 1" not in done.stderr
    assert not (cli.folder / "build").exists() or not list((cli.folder / "build").glob("*.safetensors"))
