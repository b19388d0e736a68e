"""Writing files: all or nothing, whatever interrupts it."""

import json
import os
import resource
import shutil
import stat
import subprocess
import sys
import tempfile

import pytest

from lenet_edge import files
from lenet_edge.errors import BadInputError
from lenet_edge.files import read_bytes, to_json, write_file, write_files

LIMIT = 100_000  # bytes that a file may have in `run_with_small_files`


def content_of(folder):
    """{relative path: bytes} of all files below the folder, hidden ones included."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def run_with_small_files(program, *arguments):
    """Run a program in which writing beyond LIMIT bytes fails, as on a full disk: a real error in the middle."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))

    head = "import signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nfrom pathlib import Path\n"
    argv = [sys.executable, "-c", head + program, *map(str, arguments)]
    return subprocess.run(argv, preexec_fn=limit, capture_output=True, text=True, timeout=60)


def test_write_and_read(tmp_path):
    write_file(tmp_path / "new" / "folders" / "a.bin", b"\x00\x01")
    assert content_of(tmp_path) == {"new/folders/a.bin": b"\x00\x01"}
    assert read_bytes(tmp_path / "new" / "folders" / "a.bin", "the file") == b"\x00\x01"
    write_file(tmp_path / "new" / "folders" / "a.bin", b"")
    assert content_of(tmp_path) == {"new/folders/a.bin": b""}


def test_permissions_follow_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        write_file(tmp_path / "a", b"1")
        assert os.umask(0o027) == 0o027  # left as it was
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_a_write_that_fails_in_the_middle_keeps_the_old_file(tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(b"old")
    program = """
from lenet_edge.errors import BadInputError
from lenet_edge.files import write_file
try:
    write_file(Path(sys.argv[1]), bytes(10_000_000))
except BadInputError as error:
    sys.exit(f"BadInputError: {error}")
"""
    result = run_with_small_files(program, path)
    assert result.returncode == 1
    assert result.stderr.startswith(f"BadInputError: cannot write {path}: File too large")
    assert "What was there is unchanged" in result.stderr
    assert content_of(tmp_path) == {"model.bin": b"old"}


def test_of_several_files_none_is_written_when_the_last_fails(tmp_path):
    (tmp_path / "a").write_bytes(b"old a")
    program = """
from lenet_edge.errors import BadInputError
from lenet_edge.records import write_artefact
try:
    write_artefact(Path(sys.argv[1]), {"a": b"new", "b": b"new", "c": bytes(10_000_000)}, "f" * 64)
except BadInputError:
    sys.exit(3)
"""
    assert run_with_small_files(program, tmp_path).returncode == 3
    assert content_of(tmp_path) == {"a": b"old a"}


def test_a_folder_that_cannot_be_made(tmp_path):
    """Below a file nobody can write, not even root."""
    (tmp_path / "file").write_bytes(b"1")
    for path in (tmp_path / "file" / "a", tmp_path / "file" / "b" / "c"):
        with pytest.raises(
            BadInputError, match=r"cannot write .*: (Not a directory|a file is where its folder should be)"
        ) as caught:
            write_file(path, b"2")
        assert str(path) in str(caught.value)
        assert "choose another place" in str(caught.value)
    assert content_of(tmp_path) == {"file": b"1"}


def test_a_folder_that_is_read_only(tmp_path, monkeypatch):
    """Refused by the operating system, root or not: the call that makes the temporary file reports it."""

    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a").write_bytes(b"old")
    monkeypatch.setattr(files.os, "open", refuse)
    with pytest.raises(BadInputError, match=r"cannot write .*/a: Permission denied"):
        write_file(tmp_path / "a", b"new")
    assert content_of(tmp_path) == {"a": b"old"}


def test_the_target_is_a_folder(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(BadInputError, match=r"cannot write .*/a: it is a folder"):
        write_files(tmp_path, {"b": b"1", "a": b"2"})
    assert content_of(tmp_path) == {}
    assert (tmp_path / "a").is_dir()


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_ctrl_c_in_the_middle(tmp_path, monkeypatch, call):
    def interrupt(*_args):
        raise KeyboardInterrupt

    (tmp_path / "a").write_bytes(b"old")
    monkeypatch.setattr(files.os, call, interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_files(tmp_path, {"a": b"new", "b": b"new"})
    assert content_of(tmp_path) == {"a": b"old"}


def test_read_bytes_says_what_is_missing_and_what_to_do(tmp_path):
    with pytest.raises(BadInputError, match=r"the model .*none does not exist\. Make one\.$"):
        read_bytes(tmp_path / "none", "the model", "Make one.")
    with pytest.raises(BadInputError, match=r"the model .* cannot be read: Is a directory\.$"):
        read_bytes(tmp_path, "the model")


def test_to_json_is_sorted_and_refuses_nan():
    assert to_json({"b": 1, "a": ["ä"]}) == '{\n  "a": [\n    "ä"\n  ],\n  "b": 1\n}\n'
    content = {"a": [[0, -1], [1e-7, 2.5]], "b": ["[\n 1\n]", 1], "c": []}
    text = to_json(content)
    assert "    [0, -1],\n    [1e-07, 2.5]\n" in text
    assert json.loads(text) == content
    with pytest.raises(ValueError, match="JSON"):
        to_json(float("nan"))


# --- temporary folders ------------------------------------------------------------------------------


def test_a_temporary_folder_is_gone_afterwards(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with files.temporary_folder() as folder:
        (folder / "inside").mkdir()
        assert folder.parent == tmp_path
        assert folder.stat().st_mode & 0o777 == 0o700
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(KeyboardInterrupt), files.temporary_folder() as folder:
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_while_it_is_made(tmp_path, monkeypatch):
    """It exists, and nobody has its name yet; likewise where removing it is cut short."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    mkdir = os.mkdir

    def make_and_be_interrupted(path, mode):
        mkdir(path, mode)
        raise KeyboardInterrupt

    def be_interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "mkdir", make_and_be_interrupted)
        patched.setattr(shutil, "rmtree", be_interrupted)
        with pytest.raises(KeyboardInterrupt), files.temporary_folder():
            pass
    assert len(list(tmp_path.iterdir())) == 1
    files.remove_temporaries()
    assert list(tmp_path.iterdir()) == []
