"""Workers ran a `numpy.py` or `code.py` that lay in the user's folder."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import lenet_edge
from lenet_edge import children
from lenet_edge.hardware import toolchain

TRAPS = ("numpy", "code", "json", "argparse", "subprocess", "ctypes", "contextlib", "runpy", "signal", "lenet_edge")


@pytest.fixture
def trapped(tmp_path):
    for name in (*TRAPS, "ziglang", "tflite_micro"):
        (tmp_path / f"{name}.py").write_text("open('sprung', 'w').close()\nraise SystemExit(99)\n")
    return tmp_path


def command_line():
    """The console script: `python -m lenet_edge` in such a folder is the user's own doing."""
    return [sys.executable, "-P", "-c", "from lenet_edge.__main__ import main; main()"]


def test_workers(trapped, model):
    for engine in ("tflm", "litert-reference"):
        argv = [*command_line(), "predict", "x.png", "--model", model, "--engine", engine]
        done = subprocess.run(argv, cwd=trapped, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
    assert not (trapped / "sprung").exists()


def test_modules_of_ours(trapped):
    argv = children.python_module("lenet_edge.engines.board_worker")
    done = subprocess.run(argv, cwd=trapped, capture_output=True, text=True, timeout=60)
    assert "not enough values to unpack" in done.stderr  # it is the module, and it wants arguments
    assert not (trapped / "sprung").exists()


def test_modules_of_ours_where_nothing_is_installed(tmp_path):
    """The package is found because Python was started next to it, and its workers find it as well."""
    code = "import lenet_edge.children as c; print(c._PACKAGES)"
    folder = Path(lenet_edge.__file__).parents[1]
    there = subprocess.run([sys.executable, "-S", "-c", code], cwd=folder, capture_output=True, text=True, timeout=60)
    assert there.stdout.strip() == str(folder)
    argv = children.python_module("lenet_edge.child_guard", "exec", str(os.getpid()), "/bin/echo", "found")
    argv.insert(1, "-S")
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stdout == "found\n", done.stderr


# --- zig ------------------------------------------------------------------------------------------

needs_zig = pytest.mark.skipif(find_spec("ziglang") is None, reason="zig is not installed")


@needs_zig
def test_zig_is_not_looked_for_in_the_users_folder(trapped, monkeypatch):
    monkeypatch.chdir(trapped)
    zig = toolchain.Toolchain("zig", (str(Path(find_spec("ziglang").origin).with_name("zig")), "cc"), ())
    assert toolchain.version(zig).startswith("zig 0.")
    assert not (trapped / "sprung").exists()


@pytest.mark.parametrize("home", [None, "", "/proc/nothing", "file"])
def test_zig_has_a_cache_where_there_is_no_home(tmp_path, monkeypatch, home):
    """zig: "error: unable to resolve zig cache directory: AppDataDirUnavailable"."""
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("ZIG_GLOBAL_CACHE_DIR", raising=False)
    (tmp_path / "file").write_text("not a folder")
    if home is None:
        monkeypatch.delenv("HOME")
    else:
        monkeypatch.setenv("HOME", str(tmp_path / home) if home == "file" else home)
    caches = toolchain._zig_caches(tmp_path)
    assert Path(caches["ZIG_GLOBAL_CACHE_DIR"]).is_relative_to(tmp_path)


def test_zig_keeps_its_usual_cache(tmp_path, monkeypatch):
    monkeypatch.delenv("ZIG_GLOBAL_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "ZIG_GLOBAL_CACHE_DIR" not in toolchain._zig_caches(tmp_path)
    assert (tmp_path / ".cache" / "zig").is_dir()
    monkeypatch.setenv("HOME", "/proc/nothing")
    monkeypatch.setenv("ZIG_GLOBAL_CACHE_DIR", "/somewhere")
    assert "ZIG_GLOBAL_CACHE_DIR" not in toolchain._zig_caches(tmp_path)


@needs_zig
def test_zig_compiles_without_a_home(tmp_path, monkeypatch):
    for name in ("HOME", "XDG_CACHE_HOME", "ZIG_GLOBAL_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "a.c").write_text("int answer(void) { return 42; }\n")
    zig = str(Path(find_spec("ziglang").origin).with_name("zig"))
    compiler = toolchain.Toolchain("zig", (zig, "cc", "-target", "thumb-freestanding-eabi", "-mcpu=cortex_m4"), ())
    toolchain.compile_source(compiler, tmp_path, "a.c", "-O2")
    assert (tmp_path / "a.c.o").stat().st_size > 100
