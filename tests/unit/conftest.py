"""Unit tests run where torch and tensorflow are not installed: a test that imports one fails."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from command_line import Run
from fake_device import Clock, FakeStream

from lenet_edge.formats.c_source import choice
from lenet_edge.hardware import link, tools
from lenet_edge.hardware.link import Device

HEAVY = ("torch", "tensorflow")


@pytest.fixture(autouse=True)
def _nothing_heavy():
    before = set(sys.modules)
    yield
    imported = [name for name in HEAVY if name in sys.modules and name not in before]
    assert not imported, f"a unit test imported {imported}"


@pytest.fixture
def nothing_installed(monkeypatch, tmp_path):
    """A machine without any of the tools; returns the folder in which programs would be found."""
    monkeypatch.setattr(tools, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tools, "_PREFIXES", (tmp_path,))
    return tmp_path


@pytest.fixture
def families_order(monkeypatch):
    """As if no kernel had been counted: the first that a family has is taken, whatever it costs."""
    monkeypatch.setattr(choice, "_measured", lambda family: None)


@pytest.fixture
def connect(monkeypatch):
    """(device, stream) for a script; time-outs take no time."""
    clock = Clock()
    monkeypatch.setattr(link.device, "time", SimpleNamespace(monotonic=clock.monotonic))

    def make(*script, at_start=(), timeout_s=10.0):
        stream = FakeStream(clock, script, at_start)
        return Device(stream, timeout_s), stream

    return make


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """``run(*arguments)``: the command line in its own process, in an empty folder."""

    def start(*arguments: object, code: str = "", **options: object) -> subprocess.CompletedProcess[str]:
        first = ["-c", code] if code else ["-m", "lenet_edge"]
        environment = {**os.environ, "LENET_EDGE_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
        options = {"capture_output": True, **options}
        argv = [sys.executable, *first, *map(str, arguments)]
        return subprocess.run(argv, cwd=tmp_path, env=environment, text=True, timeout=120, **options)  # type: ignore[call-overload, no-any-return]

    return start
