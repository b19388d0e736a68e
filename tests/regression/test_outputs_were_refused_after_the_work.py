"""`train --out FOLDER` trained for an hour and then said that it cannot write there; so did every other command.

Without --out it was the same in a folder that nobody may write to, or where `build` is a file.
"""

from __future__ import annotations

import os

import picture_files
import pytest

FILES = [
    ("train", "--data", "nowhere", "--out"),
    ("quantize", "--data", "nowhere", "--out"),
    ("check", "--data", "nowhere", "--out"),
    ("check", "--data", "nowhere", "--junit"),
    ("bench", "--board", "microbit", "--out"),
    ("budget", "--budgets", "nowhere", "--out"),
    ("flash", "--board", "microbit", "--log"),
]
FOLDERS = [
    ("export", "--target", "c", "--model", "nowhere", "--out"),
    ("build", "--board", "microbit", "--out"),
]


@pytest.fixture
def places(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / "circle").symlink_to("circle")
    return tmp_path


@pytest.mark.parametrize("command", FILES, ids=lambda command: f"{command[0]}{command[-1]}")
@pytest.mark.parametrize("place", ["folder", "file/new", "file/a/b", "circle", "x" * 300])
def test_a_file_that_cannot_be_written(command, place, places, call):
    done = call(*command, place)
    assert done.returncode == 3, done.stderr
    assert done.stderr.startswith(f"error: cannot write {place}: "), done.stderr
    assert done.stderr.count("\n") == 1
    assert sorted(os.listdir(places)) == ["circle", "file", "folder"]


@pytest.mark.parametrize("command", FOLDERS, ids=lambda command: command[0])
@pytest.mark.parametrize("place", ["file", "file/new", "circle", "/dev/null", "x" * 300])
def test_a_folder_that_cannot_be_made(command, place, places, call):
    done = call(*command, place)
    assert done.returncode == 3, done.stderr
    assert done.stderr.startswith(f"error: cannot write {place}: "), done.stderr
    assert "free some space" not in done.stderr


@pytest.mark.parametrize("command", FILES, ids=lambda command: f"{command[0]}{command[-1]}")
@pytest.mark.parametrize("place", ["file", "new", "folder/new/er", "/dev/null", "/dev/stdout", "dangling"])
def test_what_can_be_written_is_not_refused(command, place, places, call):
    (places / "dangling").symlink_to("nowhere/yet")
    done = call(*command, place)
    assert done.returncode in (2, 3)  # no data, no board; `quantize` wants a name that ends with .tflite
    assert "cannot write" not in done.stderr
    assert not (places / "new").exists()


@pytest.mark.parametrize("place", ["folder/new", "folder/a/b"])
def test_a_folder_without_permission(place, places, call, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # the system's answer to anyone but root
    assert "Permission denied" in call(*FILES[0], place).stderr


@pytest.mark.parametrize(
    ("command", "place"),
    [
        (("check", "--data", "nowhere"), "build/check.json"),
        (("retie", "m.tflite"), "build/m-tiefree.tflite"),
        (("quantize", "--epochs", "0", "--model", "m.tflite"), "build/m-int8.tflite"),
        (("pipeline", "--data", "nowhere", "--board", "pico"), "build"),
        (("train", "--network", "mlp", "--data", "photos", "--epochs", "1"), "build/mlp.safetensors"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_the_usual_place_that_cannot_be_written(command, place, tmp_path, call):
    if command[0] == "train":
        pytest.importorskip("torch")
        picture_files.write(tmp_path / "photos", classes=2, each=4, size=8)
    (tmp_path / "build").write_text("x")
    done = call(*command)
    assert done.returncode == 3, done.stderr
    assert f"error: cannot write {place}: " in done.stderr
    assert "epoch" not in done.stderr
