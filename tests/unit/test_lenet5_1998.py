"""`lenet5-1998` against section II.B of the paper, and what is refused of the keys that it needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from lenet_edge.errors import BadInputError
from lenet_edge.networks import folding, reader, shapes
from lenet_edge.networks.description import Convolution, Rbf

IMAGE = (28, 28, 1)
SMALL = """
summary = "of the paper's kind"
activation = "scaled-tanh"
[[features]]
name = "C1"
type = "convolution"
channels = 3
window = 3
[[features]]
name = "S2"
type = "subsampling"
[[features]]
name = "C3"
type = "convolution"
channels = 2
window = 3
connections = [[0, 1], [1, 2]]
[[classifier]]
name = "F6"
type = "fully-connected"
outputs = 4
[[classifier]]
name = "OUTPUT"
type = "rbf"
codes = [["#.", ".#"], [".#", "#."], ["##", ".."]]
"""


def small(tmp_path: Path, before: str = "", after: str = "") -> Path:
    assert before in SMALL
    path = tmp_path / "mine.toml"
    path.write_text(SMALL.replace(before, after, 1), encoding="utf-8")
    return path


def test_it_learns_as_many_numbers_as_the_paper_says() -> None:
    learnt = shapes.trainable_parameters(reader.load("lenet5-1998"), IMAGE, 10)
    assert learnt == {"C1": 156, "S2": 12, "C3": 1_516, "S4": 32, "C5": 48_120, "F6": 10_164}
    assert sum(learnt.values()) == 60_000


def test_its_maps_have_the_sizes_of_figure_2() -> None:
    maps = shapes.output_shapes(reader.load("lenet5-1998"), IMAGE, 10)
    assert maps == {
        "C1": (28, 28, 6),
        "S2": (14, 14, 6),
        "C3": (10, 10, 16),
        "S4": (5, 5, 16),
        "C5": (120,),
        "F6": (84,),
        "OUTPUT": (10,),
    }


def test_c3_is_connected_as_the_paper_describes_table_1() -> None:
    """Six contiguous subsets of three maps, six of four, three discontinuous ones of four, and one of all six."""
    c3 = next(layer for layer in reader.load("lenet5-1998").features if layer.name == "C3")
    assert isinstance(c3, Convolution)
    offsets = [(0, 1, 2)] * 6 + [(0, 1, 2, 3)] * 6 + [(0, 1, 3, 4)] * 3
    starts = [*range(6), *range(6), *range(3)]
    expected = [
        tuple(sorted((start + each) % 6 for each in offset)) for start, offset in zip(starts, offsets, strict=True)
    ]
    found = c3.connections
    assert found is not None
    assert found[:12] == tuple(expected[:12])
    assert sorted(found[12:15]) == sorted(expected[12:])
    assert found[15] == (0, 1, 2, 3, 4, 5)
    assert sum(map(len, found)) == 60


def test_its_codes_are_bitmaps_of_7_x_12_that_are_far_apart() -> None:
    last = reader.load("lenet5-1998").classifier[-1]
    assert isinstance(last, Rbf)
    flat = ["".join(code) for code in last.codes]
    assert [(len(code), {*map(len, code)}) for code in last.codes] == [(12, {7})] * 10
    assert min(sum(a != b for a, b in zip(x, y, strict=True)) for x in flat for y in flat if x is not y) >= 10


def test_the_squashing_goes_into_the_weights_around_it(tmp_path: Path) -> None:
    network = reader.load(str(small(tmp_path)))
    a, s = 1.7159, 2 / 3
    assert folding.factors(network) == {
        "C1": (s, s),
        "S2": (pytest.approx(a * s), s),
        "C3": (pytest.approx(a * s), s),
        "F6": (pytest.approx(a * s), s),
        "OUTPUT": (a, 1.0),
    }
    plain = folding.folded(network)
    assert {getattr(layer, "activation", "none") for layer in (*plain.features, *plain.classifier)} == {"tanh", "none"}
    assert folding.factors(plain) == {}


def test_factors_pass_what_only_moves_values(tmp_path: Path) -> None:
    pooled = small(tmp_path, 'type = "subsampling"', 'type = "max-pooling"\nwindow = 2')
    assert folding.factors(reader.load(str(pooled)))["C3"] == (pytest.approx(1.7159 * 2 / 3), 2 / 3)


@pytest.mark.parametrize(
    ("before", "after", "parts"),
    [
        ("[[0, 1], [1, 2]]", "[[0, 1]]", ["C3", "connections", "2 channels"]),
        ("[[0, 1], [1, 2]]", "[[0, 1], []]", ["C3", "channel 1", "at least one"]),
        ("[[0, 1], [1, 2]]", "[[0, 1], [2, 1]]", ["C3", "ascending"]),
        ("[[0, 1], [1, 2]]", "[[0, 1], [1, 1]]", ["C3", "each once"]),
        ("[[0, 1], [1, 2]]", "[0, 1]", ["C3", "connections", "an integer"]),
        ("[[0, 1], [1, 2]]", "[[0, 1], [1, -2]]", ["C3", "-2"]),
        ('[".#", "#."]', '["#.", ".#"]', ["OUTPUT", "class 1 is that of class 0"]),
        ('[".#", "#."]', '[".#", "x."]', ["OUTPUT", "class 1", "'x'"]),
        ('[".#", "#."]', '[".#", "#"]', ["OUTPUT", "as many rows and columns"]),
        ('type = "subsampling"', 'type = "average-pooling"\nwindow = 2', ["S2", "1.7159", "tanh"]),
        ('type = "subsampling"', 'type = "average-pooling"\nactivation = "scaled-tanh"', ["S2", "2/3"]),
        ("[[classifier]]", '[[classifier]]\nname = "R"\ntype = "rbf"\ncodes = [["#"], ["."]]\n[[classifier]]', ["R"]),
        ('[[features]]\nname = "S2"', '[[classifier]]\nname = "S2"', ["S2", "[[features]]"]),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, before: str, after: str, parts: list[str]) -> None:
    with pytest.raises(BadInputError) as caught:
        reader.load(str(small(tmp_path, before, after)))
    assert [part for part in [*parts, "mine.toml"] if part not in str(caught.value)] == []


@pytest.mark.parametrize(
    ("before", "after", "classes", "parts"),
    [
        ("[1, 2]]", "[1, 3]]", 3, ["C3", "channel 1 has 3", "0 to 2"]),
        ("", "", 4, ["OUTPUT", "3 classes", "4"]),
        ("outputs = 4", "outputs = 5", 3, ["OUTPUT", "4 components", "5 values"]),
    ],
)
def test_what_does_not_suit_the_maps_or_the_data_is_named(
    tmp_path: Path, before: str, after: str, classes: int, parts: list[str]
) -> None:
    network = reader.load(str(small(tmp_path, before, after)))
    with pytest.raises(BadInputError) as caught:
        shapes.output_shapes(network, (12, 12, 1), classes)
    assert [part for part in parts if part not in str(caught.value)] == []
