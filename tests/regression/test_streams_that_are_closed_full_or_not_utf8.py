"""A closed stdout was a traceback, or the next open file got what was printed; Latin-1 was a UnicodeEncodeError."""

from __future__ import annotations

import json

import pytest

CLOSED = [">&-", "2>&-", "<&-", ">&- 2>&-", ">&- 2>&- <&-"]


@pytest.mark.parametrize("redirect", CLOSED)
def test_a_closed_stream_changes_no_exit_code(start, model, tmp_path, redirect):
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    for arguments, code in (
        (["predict", "x.png", "--model", model], 0),
        (["predict", "x.png", "--model", model, "--json"], 0),
        (["predict", "none.png", "--model", model], 3),
        (["nonsense"], 2),
    ):
        done = start(*arguments, redirect=redirect)
        assert done.returncode == code, (arguments, done.stderr)
        assert b"Traceback" not in done.stderr
        assert b"Exception ignored" not in done.stderr
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_the_files_of_a_command_whose_streams_are_closed(start, model, tmp_path):
    """The first file that is opened would get the number 1, and what is printed."""
    arguments = ["export", "--target", "tflite", "--model", model, "--out"]
    assert start(*arguments, "open").returncode == 0
    assert start(*arguments, "closed", redirect=">&- 2>&- <&-").returncode == 0
    for path in (tmp_path / "open").iterdir():
        assert (tmp_path / "closed" / path.name).read_bytes() == path.read_bytes()


def test_full_streams(start, model):
    for arguments in (
        ["predict", "x.png", "--model", model],
        ["predict", "x.png", "--model", model, "--json"],
        ["--help"],
    ):
        done = start(*arguments, redirect=">/dev/full")
        assert done.returncode == 3
        assert b"No space left" in done.stderr
        assert b"Traceback" not in done.stderr
    done = start("predict", "x.png", "--model", model, "--json", redirect="2>/dev/full")
    assert done.returncode == 0
    assert json.loads(done.stdout)["predictions"]
    assert start("predict", "none.png", "--model", model, redirect="2>/dev/full").returncode == 3
    assert start("predict", "x.png", "--model", model, redirect=">/dev/full 2>/dev/full").returncode == 3


@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=str,
)
def test_terminals_without_our_characters(start, model, tmp_path, variables):
    name = "数字.png"
    (tmp_path / name).write_bytes((tmp_path / "x.png").read_bytes())
    shown = start("predict", name, "--model", model, **variables)
    assert shown.returncode == 0, shown.stderr
    assert b": " in shown.stdout
    found = start("predict", name, "--model", model, "--json", **variables)
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout.decode("utf-8"))["predictions"][0]["class"].isdigit()
    missing = start("predict", "没有.png", "--model", model, **variables)
    assert missing.returncode == 3
    assert b"does not exist" in missing.stderr
    assert b"Traceback" not in missing.stderr
