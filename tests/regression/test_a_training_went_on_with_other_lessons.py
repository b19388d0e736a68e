"""`train --resume` took a training up again with what other teachers say, or of other images, and did not say so."""

import dataclasses

import pytest

from lenet_edge.errors import BadInputError
from lenet_edge.networks import reader
from lenet_edge.resources import networks_folder


@pytest.fixture
def taught(tmp_path, monkeypatch):
    """`train(resume)`, of a network whose teacher is the file own.toml, for one epoch on eight images."""
    pytest.importorskip("torch")
    import numpy as np

    from lenet_edge.learning import teaching, training
    from lenet_edge.learning.settings import TrainingSet, TrainingSettings

    monkeypatch.chdir(tmp_path)
    tiny = reader.load("lenet5-tiny")
    pupil = dataclasses.replace(tiny, recipe=dataclasses.replace(tiny.recipe, teacher="own.toml", least_steps=1))
    images, labels = np.random.default_rng(1).integers(0, 256, (8, 28, 28), np.uint8), np.arange(8) % 2
    classes = [str(number) for number in range(10)]

    def train(*, resume, validation_chooses=False):
        data = TrainingSet(images[:6], labels[:6], images[6:], labels[6:], validation_chooses)
        lessons = teaching.lessons_for(pupil.recipe, data, classes, "eight", teaching.Teaching(tmp_path))
        settings = TrainingSettings(pupil, classes, "eight", epochs=1)
        return training.train(data, settings, tmp_path / "x.safetensors", resume=resume, lessons=lessons)

    own_teacher(tmp_path, epochs=1)
    return train


def own_teacher(folder, epochs):
    text = (networks_folder() / "lenet5-tiny.toml").read_text(encoding="utf-8")
    assert "\nepochs = 15\n" in text
    text = text.replace("epochs = 15", f"epochs = {epochs}\nleast_steps = 1")
    (folder / "own.toml").write_text(text, encoding="utf-8")


def test_the_same_lessons(taught):
    assert taught(resume=False).metadata["lessons"]
    taught(resume=True)


def test_another_teacher(taught, tmp_path):
    taught(resume=False)
    own_teacher(tmp_path, epochs=2)
    with pytest.raises(BadInputError, match=r"belongs to another training: lessons is \w{12} there and \w{12} here"):
        taught(resume=True)


def test_fewer_images(taught):
    taught(resume=False)
    with pytest.raises(BadInputError, match="belongs to another training: lessons"):
        taught(resume=True, validation_chooses=True)
