"""Teachers: what they say is what is learnt, in float and on the grid; it is computed once and kept."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lenet_edge.datasets.dataset import Dataset, last_twelfth
from lenet_edge.errors import BadInputError
from lenet_edge.learning import checkpoint, qat_training, teaching, training
from lenet_edge.learning.augmentation import Distortion, distorted
from lenet_edge.learning.lessons import View
from lenet_edge.learning.network import TorchNetwork
from lenet_edge.learning.settings import TrainingProgress, TrainingSet, TrainingSettings
from lenet_edge.learning.teaching import Teaching
from lenet_edge.networks import reader
from lenet_edge.networks.description import Network, Recipe
from lenet_edge.preparation import MNIST
from lenet_edge.sweep import trial
from lenet_edge.sweep.space import Space

CLASSES = ("top", "bottom", "left")
TEACHER = """
summary = "a small teacher"
activation = "relu"
[recipe]
epochs = 2
least_steps = 1
[[features]]
name = "C1"
type = "convolution"
channels = 4
window = 3
batch_norm = true
[[features]]
name = "S2"
type = "average-pooling"
window = 4
[[classifier]]
name = "OUTPUT"
type = "fully-connected"
"""


def stripes(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise with a bright band at the top, the bottom or the left."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 60, (count, 28, 28), dtype=np.uint8)
    labels = rng.integers(0, 3, count).astype(np.uint8)
    images[labels == 0, 4:9, :] += 180
    images[labels == 1, 19:24, :] += 180
    images[labels == 2, :, 4:9] += 180
    return images, labels


DATA = TrainingSet(*stripes(400, seed=1), *stripes(90, seed=2))
DATASET = Dataset("stripes", *stripes(120, 3), *stripes(8, 4), CLASSES, MNIST, last_twelfth(120))


class Contrary:
    """Lessons that name the class after the right one, of images as they are."""

    digest = "contrary"

    def view(self, _epoch: int) -> View:
        labels = np.concatenate([DATA.labels, DATA.validation_labels])
        said = torch.full((len(labels), 3), 1e-4)
        said[torch.arange(len(said)), torch.from_numpy((labels + 1) % 3).long()] = 1 - 2e-4
        return View(torch.zeros(len(said), 5), said.log())


class ContraryLater(Contrary):
    """Likewise, but only of the validation images: of the others they say nothing."""

    digest = "contrary later"

    def view(self, epoch: int) -> View:
        view = super().view(epoch)
        view.said[: len(DATA.labels)] = -np.log(3)
        return view


def lenet5(**recipe: object) -> Network:
    network = reader.load("lenet5")
    return dataclasses.replace(network, recipe=dataclasses.replace(network.recipe, least_steps=1, **recipe))  # type: ignore[arg-type]


def settings(network: Network, epochs: int) -> TrainingSettings:
    return TrainingSettings(network, CLASSES, "stripes", epochs=epochs)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("networks") / "small.toml"
    path.write_text(TEACHER, encoding="utf-8")
    return path


def contrary(logits: Tensor | np.ndarray) -> float:
    """The share of validation images that are given the class after the right one."""
    return float((np.asarray(logits).argmax(1) == (DATA.validation_labels + 1) % 3).mean())


def test_what_teachers_say_is_learnt_and_the_labels_are_not(tmp_path: Path) -> None:
    network = lenet5(teacher="teacher")
    trained = training.train(DATA, settings(network, 12), tmp_path / "x", lessons=Contrary())
    pupil = training.network_of(trained)
    assert contrary(training.logits(pupil, DATA.validation_images)) > 0.95


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> TorchNetwork:
    """A network that learnt the labels."""
    partial = tmp_path_factory.mktemp("right") / "x"
    network = training.network_of(training.train(DATA, settings(lenet5(), 12), partial))
    assert contrary(training.logits(network, DATA.validation_images)) < 0.05
    return network


def test_pupils_are_taught_the_validation_images_too(tmp_path: Path) -> None:
    """Teachers need no labels."""
    network = lenet5(teacher="teacher")
    pupil = training.network_of(training.train(DATA, settings(network, 12), tmp_path / "x", lessons=ContraryLater()))
    assert contrary(training.logits(pupil, DATA.validation_images)) > 0.9


def test_a_sweep_that_chooses_by_validation_shows_pupils_no_image_of_it(
    teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taught on them, `lenet5-tiny` gained 0.7 points there and none on new images: such a recipe would win."""
    shown: list[np.ndarray] = []

    def spied(recipe, data, *others):  # type: ignore[no-untyped-def]
        shown.append(data.images_for_pupils)
        return teaching.lessons_for(recipe, data, *others)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(trial, "lessons_for", spied)
    tiny = reader.load("lenet5-tiny")
    once = dataclasses.replace(tiny.recipe, teacher=str(teacher), epochs=1, quantize_epochs=1, least_steps=1)
    space = Space({"network": ("tiny",)}, {}, {"tiny": dataclasses.replace(tiny, recipe=once)})
    (only,) = space.configurations()
    trial.run_trial(space, only, DATASET, tmp_path / "trial", "cpu", lambda _: None)
    assert [len(each) for each in shown] == [len(DATASET.fit_images)] * 2
    assert len(TrainingSet.of(DATASET).images_for_pupils) == len(DATASET.train_images)


def fine_tuned(network: TorchNetwork, lessons: Contrary) -> np.ndarray:
    """The integers that it gives for the validation images after training on the grid."""
    how = qat_training.QatSettings(epochs=8, learning_rate=1e-2)
    qat = qat_training.quantize(network, network.description, DATA, how, lessons=lessons)
    return qat.integers((DATA.validation_images.astype(np.int16) - 128).astype(np.int8)[..., None]).astype(int)


def test_on_the_grid_teachers_are_followed_and_not_the_float_network(right: TorchNetwork) -> None:
    assert contrary(fine_tuned(right, Contrary())) > 0.9


def test_on_the_grid_they_are_followed_on_the_validation_images_too(right: TorchNetwork) -> None:
    integers, rows = fine_tuned(right, ContraryLater()), np.arange(len(DATA.validation_labels))
    right_ones, contrary_ones = (integers[rows, (DATA.validation_labels + later) % 3] for later in (0, 1))
    assert contrary_ones.mean() > right_ones.mean()


def test_what_teachers_say_is_computed_once_and_kept(teacher: Path, tmp_path: Path) -> None:
    recipe = Recipe(teacher=str(teacher), teachers=2, distortion=0.5)
    steps: list[TrainingProgress] = []
    how = Teaching(tmp_path, progress=steps.append)
    lessons = teaching.lessons_for(recipe, DATA, CLASSES, "stripes", how)
    assert lessons is not None
    first = lessons.view(3)
    networks = [training.load(path) for path in sorted(tmp_path.glob("small-*.safetensors"))]
    assert len(networks) == 2
    seen = np.concatenate([DATA.images, DATA.validation_images])
    images = distorted(torch.from_numpy(seen)[:, None].float() / 255, first.drawn, Distortion(0.5, dark=False))
    with torch.no_grad():
        mean = (torch.softmax(networks[0](images), 1) + torch.softmax(networks[1](images), 1)) / 2
    assert (first.said.exp() - mean).abs().max() < 1e-3  # it is kept as float16
    assert torch.equal(first.drawn, lessons.view(3 + teaching.VIEWS).drawn)
    assert not torch.equal(first.drawn, lessons.view(4).drawn)

    kept, steps[:] = {path: path.read_bytes() for path in tmp_path.iterdir()}, []
    again = teaching.lessons_for(recipe, DATA, CLASSES, "stripes", how)
    assert again is not None
    assert torch.equal(again.view(3).said, first.said)
    assert not steps
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == kept
    next(tmp_path.glob("view-*-03.npy")).write_bytes(b"damaged")
    damaged = teaching.lessons_for(recipe, DATA, CLASSES, "stripes", how)
    assert damaged is not None
    assert torch.equal(damaged.view(3).said, first.said)


def test_other_data_have_other_teachers(teacher: Path, tmp_path: Path) -> None:
    recipe = Recipe(teacher=str(teacher))
    for data in (DATA, dataclasses.replace(DATA, labels=(DATA.labels + 1) % 3)):
        teaching.lessons_for(recipe, data, CLASSES, "stripes", Teaching(tmp_path))
    assert len([*tmp_path.glob("small-*.safetensors")]) == 2


def test_what_makes_no_sense_is_refused(teacher: Path, tmp_path: Path) -> None:
    assert teaching.lessons_for(Recipe(), DATA, CLASSES, "stripes", Teaching(tmp_path)) is None
    with pytest.raises(BadInputError, match="Did you mean 'teacher'"):
        teaching.lessons_for(Recipe(teacher="teahcer"), DATA, CLASSES, "stripes", Teaching(tmp_path))
    chained = tmp_path / "chained.toml"
    chained.write_text(TEACHER.replace("epochs = 2", 'teacher = "lenet5"'), encoding="utf-8")
    with pytest.raises(BadInputError, match="chained is a teacher and has one itself"):
        teaching.lessons_for(Recipe(teacher=str(chained)), DATA, CLASSES, "stripes", Teaching(tmp_path))
    weighted = dataclasses.replace(settings(lenet5(teacher=str(teacher)), 1), class_weights=True)
    with pytest.raises(BadInputError, match="class weights"):
        training.train(DATA, weighted, tmp_path / "x", lessons=Contrary())


def test_the_commands_find_teachers_again(run_cli, bands_data, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "small.toml").write_text(TEACHER, encoding="utf-8")
    taught = '[recipes.taught]\nteacher = "small.toml"\naveraging = 0.9\nquantize_epochs = 1\n[[features]]'
    (tmp_path / "pupil.toml").write_text(TEACHER.replace("[[features]]", taught, 1), encoding="utf-8")
    train = ["train", "--network", "pupil.toml", "--data", str(bands_data), "--recipe"]
    quantize = ["quantize", "--model", "build/pupil.safetensors", "--data", str(bands_data)]
    code = (
        "import sys\nfrom lenet_edge.cli import main\n"
        f"for arguments in {[[*train, 'taught'], quantize, [*train, 'thaught']]!r}:\n"
        "    try: main(arguments)\n"
        "    except SystemExit as end: print('ended with', end.code, file=sys.stderr)\n"
    )
    said = run_cli(cwd=tmp_path, code=code).stderr
    trained, quantized, refused = said.split("ended with")[:3]
    assert "teacher 1 of 1: small is trained, for 2 epochs" in trained
    assert "teacher 1 of 1: build/teachers/small-" in quantized
    assert "is trained" not in quantized
    assert "Did you mean 'taught'?" in refused
    assert [part.split()[0] for part in said.split("ended with")[1:]] == ["0", "0", "3"]
    assert len([*(tmp_path / "build/teachers").glob("view-*")]) == 2  # of the two epochs
    assert checkpoint.load(tmp_path / "build/pupil.safetensors").metadata["recipe"]["teacher"] == "small.toml"
    assert (tmp_path / "build/pupil-int8.tflite").exists()


# --- averages of weights ----------------------------------------------------------------------------


def test_the_average_follows_the_weights_and_is_the_result(tmp_path: Path) -> None:
    """An epoch is one step here, so that the partial checkpoint has the weights after each."""
    network, path, seen = lenet5(averaging=0.75, batch=1000), tmp_path / "x.safetensors", []

    def look(progress: TrainingProgress) -> None:
        if progress.batch == 1 and progress.validation_accuracy is None:
            seen.append(checkpoint.load(path).resume)  # before this epoch's is written

    result = training.train(DATA, settings(network, 3), path, progress=look)
    seen.append(checkpoint.load(path).resume)
    weights = [resume["state.features.C3.weight"].astype(np.float64) for resume in seen]
    expected = weights[0]
    for each in weights[1:]:
        expected = 0.75 * expected + 0.25 * each
    np.testing.assert_allclose(result.tensors["features.C3.weight"], expected, atol=1e-6)
    assert np.abs(weights[-1] - expected).max() > 1e-3
    accuracy = training.evaluate(training.network_of(result), DATA.validation_images, DATA.validation_labels)
    assert result.metadata["validation_accuracy"] == accuracy


def test_an_average_survives_an_interruption(tmp_path: Path) -> None:
    network = lenet5(averaging=0.9)

    def interrupt(progress: TrainingProgress) -> None:
        if progress.epoch == 2:
            raise KeyboardInterrupt

    whole = training.train(DATA, settings(network, 3), tmp_path / "whole.safetensors")
    with pytest.raises(KeyboardInterrupt):
        training.train(DATA, settings(network, 3), tmp_path / "x.safetensors", progress=interrupt)
    resumed = training.train(DATA, settings(network, 3), tmp_path / "x.safetensors", resume=True)
    assert checkpoint.to_bytes(resumed.tensors, resumed.metadata) == checkpoint.to_bytes(whole.tensors, whole.metadata)
