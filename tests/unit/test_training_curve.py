"""`train --plot`: the curve as a picture, the same bytes for the same figures, and refused before the work."""

from __future__ import annotations

import io
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from command_line import without
from PIL import Image

from lenet_edge.errors import BadInputError
from lenet_edge.report import draw_training

SVG, PNG = Path("x.svg"), Path("x.PNG")
HISTORY = [(2.0, 0.5), (0.5, 0.9), (1.0, 0.7)]


def curve(svg: str, colour: str) -> np.ndarray:
    """The points (x, y) of the line of that colour, y from the top."""
    (path,) = re.findall(rf'<path d="([^"]+)"[^>]*stroke: {colour}; stroke-width: 1.5', svg)
    return np.array([list(map(float, point.split()[1:])) for point in re.findall("[ML][^ML]+", path)])


@pytest.mark.parametrize(("colour", "values"), [("#b45309", [2, 0.5, 1]), ("#1d4ed8", [0.5, 0.9, 0.7])])
def test_the_lines_of_the_svg_go_through_the_values(colour, values):
    points = curve(draw_training(HISTORY, "lenet5", SVG).decode(), colour)
    x, y = points.T
    assert x[1] - x[0] == pytest.approx(x[2] - x[1], rel=1e-3)
    scale = (y[1] - y[0]) / (values[1] - values[0])
    assert scale < 0
    assert y[2] - y[0] == pytest.approx(scale * (values[2] - values[0]), rel=1e-3)


def test_the_same_figures_give_the_same_bytes_and_no_date():
    for path in (SVG, PNG):
        first = draw_training(HISTORY, "lenet5", path)
        assert draw_training(HISTORY, "lenet5", path) == first
        assert draw_training(HISTORY[:2], "lenet5", path) != first
        assert not re.search(rb"20\d\d-\d\d", first)


@pytest.mark.parametrize("title", ["</text><script>", "$x_1$ on [red]", "水 \x1b[31m", "a" * 200])
def test_names_stay_text(title):
    svg = draw_training(HISTORY, title, SVG).decode()
    root = ElementTree.fromstring(svg)  # noqa: S314 - we wrote it
    texts = [element.text for element in root.iter() if element.tag.endswith("}text")]
    assert title.replace("\x1b", "\\x1b")[:80] in texts
    assert {"loss", "validation accuracy, %", "epoch"} <= set(texts)
    with Image.open(io.BytesIO(draw_training(HISTORY, title, PNG))) as picture:
        assert min(picture.size) > 400


def test_one_epoch_and_none_are_drawn_too():
    for history in ([], [(0.5, 0.9)]):
        assert b"</svg>" in draw_training(history, "lenet5", SVG)


def test_another_ending_is_refused():
    with pytest.raises(BadInputError, match=r"x\.jpg: the name of a plot must end with \.svg or \.png"):
        draw_training(HISTORY, "", Path("x.jpg"))


def test_what_cannot_be_plotted_is_refused_before_the_training(run, tmp_path):
    argv = ("train", "--data", "nowhere", "--plot")
    missing = run(*argv, "x.svg", code=without("matplotlib"))
    assert missing.returncode == 4
    assert "pip install 'lenet-edge[report]'" in missing.stderr
    assert run(*argv, "x.jpg").returncode == 3
    assert "must end with .svg or .png" in run(*argv, "x.jpg").stderr
    (tmp_path / "file").touch()
    assert "file is not a folder" in run(*argv, "file/x.svg").stderr
