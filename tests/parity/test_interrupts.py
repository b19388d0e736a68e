"""Ctrl-C, SIGTERM and SIGHUP in each command: an end within seconds, no traceback, nothing lost or left behind."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lenet_edge.learning import checkpoint

SECONDS_TO_END = 30  # on a busy machine; alone it is one


class Command:
    """The command line in its own session, as a terminal starts it.

    What it starts has other sessions, and is found by a variable that it inherits.
    """

    def __init__(self, folder: Path, *arguments: object) -> None:
        self.temporary = folder / "tmp"
        self.temporary.mkdir(exist_ok=True)
        self.log = folder / "stderr.txt"
        places = {"TMPDIR": str(self.temporary), "LENET_EDGE_TEST": str(self.temporary)}
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **places}
        with self.log.open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "lenet_edge", *map(str, arguments)],
                cwd=folder,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                start_new_session=True,
            )

    def wait_until(self, condition: Callable[[Command], bool]) -> None:
        until = time.monotonic() + 240
        while not condition(self):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.01)

    def interrupt(self, whole_group: bool, number: int = signal.SIGINT) -> None:
        """As the terminal does, to the whole foreground group; or to the one process, as `kill` does."""
        (os.killpg if whole_group else os.kill)(self.process.pid, number)

    def ended_well(self, code: int = 130) -> None:
        assert self.process.wait(SECONDS_TO_END) == code, self.log.read_text()
        said = self.log.read_text()
        assert ("interrupted" if code == 130 else "ended by SIG") in said
        assert "Traceback" not in said
        assert "Exception ignored" not in said
        assert "failed" not in said  # what Ctrl-C ended has not failed
        until = time.monotonic() + 20  # a process that measures TFLM's arena ends by itself, within milliseconds
        while self.members() and time.monotonic() < until:
            time.sleep(0.01)
        assert self.members() == []
        assert list(self.temporary.glob("lenet-edge-*")) == []

    def members(self) -> list[int]:
        """It, and the processes that it started, as far as they are still there."""
        found, mark = [], f"LENET_EDGE_TEST={self.temporary}".encode()
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it has ended meanwhile, or is another user's
                ours = mark in (path / "environ").read_bytes().split(b"\0")
                if ours and (path / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                    found.append(int(path.name))
        return found


def says(text: str) -> Callable[[Command], bool]:
    return lambda command: text in command.log.read_text()


def exists(path: Path) -> Callable[[Command], bool]:
    return lambda _: path.exists()


def imports(library: str) -> Callable[[Command], bool]:
    """It has loaded that shared library, so that a heavy import is under way."""
    return lambda command: library in Path(f"/proc/{command.process.pid}/maps").read_text(errors="replace")


def has_child(command: Command) -> bool:
    """A worker runs."""
    return len(command.members()) > 1


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Command]]:
    started: list[Command] = []

    def run(*arguments: object) -> Command:
        started.append(Command(tmp_path, *arguments))
        return started[-1]

    yield run
    for command in started:
        for member in command.members():  # only where a test failed
            with contextlib.suppress(ProcessLookupError):
                os.kill(member, signal.SIGKILL)
        command.process.wait()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def build(pipeline, tmp_path: Path) -> Path:
    """What `train` and `quantize` left, as what must survive; with something in every other place of output."""
    folder = shutil.copytree(pipeline.build, tmp_path / "build")
    (folder / "check.json").write_text("old")
    for target in ("tflm", "onnx"):
        (folder / target).mkdir()
        (folder / target / "manifest.json").write_text("old")
    return folder


# --- train ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", ["first import", "first batch", "later epoch"])
def test_train(start, build, bands_data, moment):
    before = contents(build)
    partial = build / "lenet5.partial.safetensors"
    command = start("train", "--data", bands_data, "--epochs", 3000)
    conditions = {
        "first import": imports("libtorch"),
        "first batch": exists(partial),
        "later epoch": says("epoch 2 of 3000"),
    }
    command.wait_until(conditions[moment])
    command.interrupt(whole_group=moment != "later epoch")
    command.ended_well()
    after = contents(build)
    left = after.pop(partial.name, None)
    assert after == before
    assert (left is None) == (moment == "first import")
    if left is not None:
        saved = checkpoint.load(partial)  # an ordinary checkpoint
        assert saved.metadata["epochs"] == 3000
        assert saved.metadata["epochs_done"] >= (1 if moment == "later epoch" else 0)


def test_train_goes_on_where_it_was_interrupted(start, run_cli, bands_data, tmp_path):
    arguments = ["train", "--data", bands_data, "--epochs", 15]
    command = start(*arguments)
    command.wait_until(says("epoch 2 of 15"))
    command.interrupt(whole_group=True)
    command.ended_well()
    assert not (tmp_path / "build/lenet5.safetensors").exists()
    resumed = run_cli(*arguments, "--resume", "--json", cwd=tmp_path)
    assert resumed.code == 0, resumed.stderr
    assert "epoch 1 of" not in resumed.stderr
    assert "epoch 15 of 15" in resumed.stderr
    assert resumed.json["epochs_done"] == 15
    assert not (tmp_path / "build/lenet5.partial.safetensors").exists()
    whole = run_cli(*arguments, "--out", "whole.safetensors", cwd=tmp_path)
    assert whole.code == 0, whole.stderr
    assert (tmp_path / "whole.safetensors").read_bytes() == (tmp_path / "build/lenet5.safetensors").read_bytes()


def test_pipeline_goes_on_where_its_training_was_interrupted(start, bands_data, tmp_path):
    arguments = ["pipeline", "--data", bands_data, "--board", "microbit", "--epochs", 15]
    first = start(*arguments)
    first.wait_until(says("epoch 2 of 15"))
    first.interrupt(whole_group=True)
    first.ended_well()
    done = checkpoint.load(tmp_path / "build/lenet5.partial.safetensors").metadata["epochs_done"]
    second = start(*arguments)
    second.wait_until(says(f"epoch {done + 1} of 15"))
    second.interrupt(whole_group=True)
    second.ended_well()
    assert f"epoch {done} of" not in second.log.read_text()
    third = start(*arguments, "--seed", 1)  # another training, which begins at its beginning
    third.wait_until(says("epoch 1 of 15"))
    third.interrupt(whole_group=True)
    third.ended_well()
    assert "belongs to another training: seed is 0 there and 1 here" in third.log.read_text()


# --- the others -------------------------------------------------------------------------------------


@pytest.mark.parametrize("condition", [says("epoch 1 of 3000"), says("proving")], ids=["training", "proof"])
def test_quantize(start, build, bands_data, condition, request):
    before = contents(build)
    epochs = 3000 if "training" in request.node.name else 0
    command = start("quantize", "--data", bands_data, "--epochs", epochs)
    command.wait_until(condition)
    command.interrupt(whole_group=True)
    command.ended_well()
    assert contents(build) == before


@pytest.mark.parametrize("whole_group", [True, False], ids=["terminal", "kill"])
@pytest.mark.parametrize("moment", ["emulator", "workers"])
def test_check(start, build, whole_group, moment):
    before = contents(build)
    command = start("check", "--data", "noise")
    command.wait_until(says("checking") if moment == "emulator" else has_child)
    command.interrupt(whole_group)
    command.ended_well()
    assert contents(build) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=["SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("moment", ["emulator", "workers"])
def test_what_ci_and_a_terminal_that_closes_send(start, build, number, moment):
    before = contents(build)
    command = start("check", "--data", "noise")
    command.wait_until(says("checking") if moment == "emulator" else has_child)
    command.interrupt(whole_group=number == signal.SIGHUP, number=number)
    command.ended_well(128 + number)
    assert contents(build) == before


@pytest.mark.parametrize("whole_group", [True, False], ids=["terminal", "kill"])
def test_export(start, build, whole_group):
    before = contents(build)
    command = start("export", "--target", "tflm")
    command.wait_until(has_child)
    command.interrupt(whole_group)
    command.ended_well()
    assert contents(build) == before


def test_export_while_it_imports(start, build):
    before = contents(build)
    command = start("export", "--target", "onnx")
    command.wait_until(imports("onnx_cpp2py_export"))
    command.interrupt(whole_group=True)
    command.ended_well()
    assert contents(build) == before


@pytest.mark.parametrize("whole_group", [True, False], ids=["terminal", "kill"])
def test_predict(start, build, tmp_path, whole_group):
    Image.fromarray(np.eye(28, dtype=np.uint8) * 255).save(tmp_path / "x.png")
    command = start("predict", "x.png", "--engine", "tf-lite")
    command.wait_until(has_child)
    command.interrupt(whole_group)
    command.ended_well()


def test_analyze(start, build):
    command = start("analyze", "build/lenet5-int8.tflite")
    command.wait_until(says("enumerating"))
    command.interrupt(whole_group=True)
    command.ended_well()
