"""A fault of ours was a traceback and exit 1, which is what a check that falls short has; so were failed compilers."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import lenet_edge
from lenet_edge import children, errors
from lenet_edge.engines import host_c, worker
from lenet_edge.errors import CheckFailedError, LenetEdgeError, ToolFailedError
from lenet_edge.hardware import toolchain

RAISING = "import lenet_edge.cli as cli\ndef broken(*a, **o): {}\ncli.cli.main = broken\ncli.main(['x', '--y z'])"


def run(statement, tmp_path):
    return subprocess.run(
        [sys.executable, "-c", RAISING.format(statement)],
        env={"TMPDIR": str(tmp_path), "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    "statement",
    [
        "raise ValueError('what [/b] is this')",
        "raise RecursionError",
        "'\\udcff'.encode()",
        "{}['x']",
        "assert False",
        "raise GeneratorExit",
        "raise cli.LenetEdgeError('nobody raises the base')",
    ],
)
def test_a_fault_of_ours(statement, tmp_path):
    done = run(statement, tmp_path)
    assert done.returncode == 70
    assert "Traceback" not in done.stderr
    assert "a bug in lenet-edge, not your mistake" in done.stderr
    (report,) = tmp_path.iterdir()
    assert str(report) in done.stderr
    content = report.read_text()
    for part in ("Traceback", f"lenet-edge {lenet_edge.__version__}", "Python 3.", "numpy ", "lenet-edge x '--y z'"):
        assert part in content


def test_no_room_for_the_report(tmp_path):
    done = run(f"import tempfile; tempfile.tempdir = {str(tmp_path / 'none')!r}; raise ValueError('x')", tmp_path)
    assert done.returncode == 70
    assert "Traceback" in done.stderr  # better here than nowhere
    assert "a bug in lenet-edge, not your mistake: ValueError: x" in done.stderr


@pytest.mark.parametrize(
    ("statement", "code", "said"),
    [
        ("raise MemoryError", 3, "memory"),
        ("raise OSError(28, 'No space left on device')", 3, "Is the disk full?"),
        ("raise PermissionError(13, 'Permission denied', '/x')", 3, "cannot read or write /x: Permission denied"),
        ("raise ImportError('libx.so.1: cannot open', name='numpy')", 4, "pip install numpy"),
        ("raise SystemExit(7)", 7, ""),
    ],
)
def test_what_is_not_our_fault(statement, code, said, tmp_path):
    done = run(statement, tmp_path)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_exit_1_is_a_check_that_fell_short_and_nothing_else():
    assert LenetEdgeError.exit_code == errors.OUR_FAULT == 70
    ones = {kind for kind in LenetEdgeError.__subclasses__() if kind.exit_code == 1}
    assert ones == {CheckFailedError}
    package = Path(lenet_edge.__file__).parent
    raised = [path for path in package.rglob("*.py") if re.search(r"raise LenetEdgeError\b", path.read_text())]
    assert raised == []


# --- tools that fail ------------------------------------------------------------------------------


def script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("text", ["echo no such option >&2; exit 1", "kill -11 $$", "exec sleep 60"])
def test_a_compiler_that_fails(tmp_path, monkeypatch, text):
    monkeypatch.setattr(toolchain, "_TIME_OUT_S", 0.5)
    compiler = toolchain.Toolchain("gcc", (script(tmp_path / "cc", text),), ())
    with pytest.raises(ToolFailedError) as caught:
        toolchain.compile_source(compiler, tmp_path, "a.c", "-O2")
    assert caught.value.exit_code == 4


def test_a_compiler_that_cannot_be_started(tmp_path, monkeypatch):
    (tmp_path / "cc").write_bytes(b"\x7fELF of another machine")
    (tmp_path / "cc").chmod(0o755)
    compiler = toolchain.Toolchain("gcc", (str(tmp_path / "cc"),), ())
    with pytest.raises(ToolFailedError, match="cannot be started"):
        toolchain.compile_source(compiler, tmp_path, "a.c", "-O2")
    monkeypatch.setenv("CC", str(tmp_path / "cc"))
    with pytest.raises(ToolFailedError, match="cannot be started"):
        host_c.version()


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [(3, 3), (4, 4), (1, 4), (-11, 3), (-6, 3), (-9, 4), (-15, 4), (-40, 3)],
)
def test_a_worker_that_fails(monkeypatch, code, exit_code):
    """A model that crashes the interpreter is bad input; a worker that somebody ends is a tool that failed."""
    monkeypatch.setattr(worker.children, "run", lambda *_, **__: children.Done(code, "", "error: why"))
    with pytest.raises(LenetEdgeError, match="why") as caught:
        worker.call("tflite_micro", [], install="x")
    assert caught.value.exit_code == exit_code


def test_a_worker_that_does_not_end(monkeypatch):
    def late(argv, *, timeout_s, **_):
        raise subprocess.TimeoutExpired(argv, timeout_s)

    monkeypatch.setattr(worker.children, "run", late)
    with pytest.raises(ToolFailedError, match="did not finish"):
        worker.call("tflite_micro", [], install="x")
