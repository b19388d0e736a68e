"""`lenet-edge data`: what it finds in sets whose faults are known."""

import io
import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from test_picture_folders import save, write_set

from lenet_edge import datasets
from lenet_edge.cli import cli
from lenet_edge.errors import CheckFailedError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write_set(tmp_path / "parts", ("[red]", "b", "水"), side=12)


def looked_at(*arguments):
    done = CliRunner().invoke(cli, ["data", "--json", *map(str, arguments)])
    assert done.exception is None, done.exception
    return json.loads(done.stdout)


def test_a_set_without_faults(folder, tmp_path):
    found = looked_at(folder)
    dataset = datasets.load(str(folder))
    assert [each["name"] for each in found["classes"]] == ["[red]", "b", "水"]
    for label, each in enumerate(found["classes"]):
        assert each["test"] == (dataset.test_labels == label).sum()
        assert each["fit"] + each["validation"] == (dataset.train_labels == label).sum()
    assert set(found["counts"].values()) == {0}
    assert found["sizes"] == [{"width": 12, "height": 12, "pictures": 60}]
    sheet = Image.open(io.BytesIO((tmp_path / "build" / "parts-data.png").read_bytes()))
    assert sheet.width > 8 * 100
    assert sheet.height > 3 * 100


def test_faults_are_counted_and_named(folder):
    (folder / "b" / "void.png").touch()
    (folder / "b" / "notes.txt").touch()
    shutil.copy(folder / "b" / "001.png", folder / "b" / "copy.png")
    shutil.copy(folder / "b" / "002.png", folder / "水" / "also.png")
    save(folder / "水" / "blank.png", np.full((12, 12), 90, np.uint8))
    found = looked_at(folder)
    assert found["unreadable"][0]["file"] == "b/void.png"
    assert found["skipped"] == ["b/notes.txt: not called as a picture is"]
    assert found["duplicates"] == [["b/001.png", "b/copy.png"]]
    assert found["contradictions"] == [["b/002.png", "水/also.png"]]
    assert found["blank"] == ["水/blank.png"]


@pytest.mark.parametrize(("drawn", "said"), [((0,), "dark on bright"), ((255,), "bright on dark"), ((0, 255), "mixed")])
def test_polarity(tmp_path, monkeypatch, drawn, said):
    monkeypatch.chdir(tmp_path)
    for index in range(40):
        shade = drawn[index % len(drawn)]
        picture = np.full((10, 10), 255 - shade, np.uint8)
        picture[3:7, 3:7] = shade
        picture[3, 3] = index * 2 + 60
        save(tmp_path / "set" / "ab"[index // 20] / f"{index}.png", picture)
    assert looked_at(tmp_path / "set")["polarity"] == said


def test_size_and_colour_can_be_asked_for(folder):
    preparation = looked_at("--size", "9x7", "--colour", "--crop", "square", folder)["preparation"]
    assert (preparation["width"], preparation["height"], preparation["channels"]) == (9, 7, 3)
    assert preparation["crop"] == "square"


def test_what_train_refuses_ends_with_1_and_is_still_shown(folder):
    for path in list((folder / "b").iterdir())[2:]:
        path.unlink()
    done = CliRunner().invoke(cli, ["data", str(folder)])
    assert isinstance(done.exception, CheckFailedError)
    assert "'b' has 2 usable pictures" in str(done.exception)
    assert "[red]" in done.stdout


def test_arrays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).integers(0, 256, (30, 8, 8), np.uint8)
    y = np.arange(30) % 3
    np.savez(tmp_path / "own.npz", x_train=x, y_train=y, x_test=x[:5], y_test=y[:5])
    found = looked_at(tmp_path / "own.npz")
    assert found["counts"]["across"] == 5
    assert found["duplicates"][0] == ["training image 0", "test image 0"]
    assert (tmp_path / "build" / "own-data.png").is_file()
    text = CliRunner().invoke(cli, ["data", "own.npz"]).stdout
    assert "5 training images are also in the test set (kept): training image 0" in text
    assert "images of arrays are never left out" in text
    assert len(datasets.load("own.npz").train_images) == 30  # it is as was said
