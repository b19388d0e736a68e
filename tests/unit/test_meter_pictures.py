"""The pictures of examples/meter: the same for the same seed, and a folder that is read as a data set."""

import importlib.util
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lenet_edge import datasets

SCRIPT = Path(__file__).parents[2] / "examples" / "meter" / "make_pictures.py"
CLASSES = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "NaN")


@pytest.fixture(scope="module")
def meter():
    specification = importlib.util.spec_from_file_location("make_pictures", SCRIPT)
    module = importlib.util.module_from_spec(specification)
    sys.modules["make_pictures"] = module
    specification.loader.exec_module(module)
    return module


def test_the_same_seed_gives_the_same_pictures(meter):
    first, again, other = (list(meter.pictures(22, meter.SEEN, seed)) for seed in (1, 1, 2))
    assert first == again
    assert not {content for _, _, content in first} & {content for _, _, content in other}
    assert [label for label, _, _ in first] == [*CLASSES, *CLASSES]


def test_pictures_differ_in_size_and_color(meter):
    pictures = [Image.open(io.BytesIO(content)) for _, _, content in meter.pictures(44, meter.SEEN, 0)]
    assert {picture.format for picture in pictures} == {"JPEG"}
    assert len({picture.size for picture in pictures}) > 20
    assert {40 <= picture.width <= 80 for picture in pictures} == {True}
    assert np.ptp([np.asarray(picture).mean() for picture in pictures]) > 80


def test_a_wheel_between_two_numbers_has_none_in_the_middle(meter):
    """The ink of a digit stands in the middle row of its window; between two numbers that row is empty."""
    font = meter.fonts(meter.SEEN)[0]
    spread = {
        label: np.mean(
            [
                np.asarray(meter._window(label, font, np.random.default_rng(seed)), np.float32)[62:82].std(axis=1).max()
                for seed in range(20)
            ]
        )
        for label in CLASSES
    }
    assert spread["NaN"] < min(spread[label] for label in CLASSES[:-1]) / 1.5


def test_fonts_that_are_held_out_are_never_trained_with(meter):
    assert not set(meter.SEEN) & set(meter.UNSEEN)
    names = {name.split("-", 1)[1] for _, name, _ in meter.pictures(33, meter.UNSEEN, 0)}
    assert names == {"hankengrotesk-semibold.jpg", "fredokaone-regular.jpg"}


def test_the_folder_is_a_data_set(tmp_path):
    def run(*arguments):
        return subprocess.run(
            [sys.executable, SCRIPT, tmp_path / "meter", *arguments], capture_output=True, text=True, timeout=120
        )

    assert run("--count", "110").returncode == 0
    dataset = datasets.load(str(tmp_path / "meter"))
    assert dataset.class_names == CLASSES
    assert len(dataset.train_images) + len(dataset.test_images) == 110
    again = run()
    assert again.returncode == 2
    assert "is there already" in again.stderr
