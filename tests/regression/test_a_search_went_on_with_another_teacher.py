"""`quantize --fit-board` took what a search with another teacher had trained: a model has only the path of its TOML."""

from types import SimpleNamespace

import numpy as np
import pytest

from lenet_edge.cli.quantize_fit import _Search
from lenet_edge.errors import BadInputError
from lenet_edge.networks import reader
from lenet_edge.resources import networks_folder


def folder_of(teacher, epochs=None):
    """Where a search keeps what it found; all but the teacher's file stays the same."""
    description = SimpleNamespace(name="pupil", recipe=SimpleNamespace(teacher=teacher))
    network, saved = SimpleNamespace(description=description), SimpleNamespace(sha256="0" * 64)
    images, labels = np.zeros((2, 4, 4), np.uint8), np.zeros(2, np.int64)
    names = ("fit_images", "fit_labels", "validation_images", "validation_labels")
    dataset = SimpleNamespace(**dict(zip(names, (images, labels) * 2, strict=True)))
    return _Search(saved, network, dataset, None, {}, {"epochs": epochs, "seed": 1, "device": "cpu"}).kept.folder


@pytest.fixture
def teacher(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "own.toml"
    path.write_text((networks_folder() / "lenet5-tiny.toml").read_text(encoding="utf-8"), encoding="utf-8")
    return path


def test_what_a_search_found_is_of_its_teacher(teacher):
    first, without = folder_of(str(teacher)), folder_of(str(teacher), epochs=0)
    assert folder_of(str(teacher)) == first
    other = networks_folder() / "lenet5.toml"
    assert reader.to_json(reader.load(str(other))) != reader.to_json(reader.load(str(teacher)))
    teacher.write_text(other.read_text(encoding="utf-8"), encoding="utf-8")
    assert folder_of(str(teacher)) != first
    assert folder_of(str(teacher), epochs=0) == without


def test_a_teacher_that_is_gone(teacher):
    teacher.unlink()
    with pytest.raises(BadInputError, match=r"own\.toml"):
        folder_of(str(teacher))
