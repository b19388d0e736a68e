"""The report of a colour model of twelve classes from one's own pictures, checked by real engines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from report_figures import Reader, require_figures

NAMES = ("red", "[green]", "<b>blue", "fünf", "six'quote", 'say "7"', "8 & 9", "a-b", "ten", "11", "12", "水")


@pytest.fixture(scope="module")
def build(run_cli, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `pipeline` and `check` left."""
    folder = tmp_path_factory.mktemp("colours")
    random = np.random.default_rng(5)
    for index, name in enumerate(NAMES):
        (folder / "pictures" / name).mkdir(parents=True)
        for number in range(24):
            picture = random.integers(0, 60, (20, 24, 3))
            picture[4:16, 2 * index : 2 * index + 3, index % 3] += 180
            Image.fromarray(picture.astype(np.uint8)).save(folder / "pictures" / name / f"{number}.png")
    train = ("train", "--data", "pictures", "--network", "lenet5-tiny", "--epochs", 2)
    quantize = ("quantize", "--int8", "--model", "build/lenet5-tiny.safetensors", "--data", "pictures", "--epochs", 1)
    engines = ("--engine", "tflm", "--engine", "litert-reference", "--max-drop", 100)
    check = ("check", "--model", "build/lenet5-tiny-int8.tflite", "--data", "pictures", *engines)
    for command in (train, quantize, check):
        done = run_cli(*command, cwd=folder)
        assert done.code == 0, done.stderr
    return folder / "build"


def test_the_report_of_a_colour_model_of_twelve_classes(run_cli, build):
    done = run_cli("report", "--json", cwd=build.parent)
    assert done.code == 0, done.stderr
    assert done.json["models"][0]["left_out"] == []
    report = Reader((build / "report.html").read_bytes())
    require_figures(report, build)
    cells = {key for _, key, *_ in report.figures if key.startswith("/confusion/matrix/")}
    assert len(cells) == len(NAMES) ** 2
    shown = {value for _, key, value, _ in report.figures if key.startswith("/confusion/classes/")}
    assert shown == set(NAMES)
    assert sum(tag == "img" for tag, _ in report.tags) == 24
    assert not {tag for tag, _ in report.tags} & {"b", "script"}
    assert "The input is 20 × 24 × 3" in report.text
