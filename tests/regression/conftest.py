"""What tests of the command line share: how it is started, and a small model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sample_models
from PIL import Image

from lenet_edge.cli import main
from lenet_edge.formats import tflite

Start = Callable[..., "subprocess.CompletedProcess[bytes]"]
Call = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """``start(*arguments)``: the command line in its own process, in the folder of `model` and x.png."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()

    def run(*arguments: object, redirect: str = "", **variables: str) -> subprocess.CompletedProcess[bytes]:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(temporary), **variables}
        argv = [sys.executable, "-m", "lenet_edge", *map(os.fsencode, map(str, arguments))]
        if redirect:  # what subprocess cannot say: a stream that is closed
            argv = ["sh", "-c", f'exec "$@" {redirect}', "sh", *argv]
        return subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, timeout=120)

    return run


@pytest.fixture
def model(tmp_path: Path) -> str:
    """The name of a .tflite that `start` finds, and a picture x.png next to it."""
    (tmp_path / "m.tflite").write_bytes(tflite.to_bytes(sample_models.lenet5(51)))
    pixels = np.random.default_rng(1).integers(0, 256, (28, 28), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    return "m.tflite"


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Call]:
    """``call(*arguments)``: as `start`, but in this process, which takes no start."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LENET_EDGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "120")
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGALRM)}

    def start(*arguments: object) -> subprocess.CompletedProcess[str]:
        with pytest.raises(SystemExit) as ended:
            main([*map(str, arguments)])
        assert isinstance(ended.value.code, int)
        return subprocess.CompletedProcess([], ended.value.code, *capsys.readouterr())

    yield start
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def answer(call: Call) -> Callable[..., Any]:
    """``answer(*arguments)``: what the command prints with --json; it must succeed."""

    def ask(*arguments: object) -> Any:
        done = call(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return ask
