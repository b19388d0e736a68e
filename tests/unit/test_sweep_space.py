"""What is varied: from options, from a file, and from a study."""

import xml.etree.ElementTree as ElementTree
from dataclasses import fields
from itertools import product
from pathlib import Path

import pytest

from lenet_edge.errors import BadInputError
from lenet_edge.networks import reader
from lenet_edge.networks.description import Recipe
from lenet_edge.preparation.request import PreparationRequest
from lenet_edge.report.charts import Cloud, draw_accuracy_against_flash, standing_alone
from lenet_edge.report.charts.scatter import front
from lenet_edge.sweep.plan import Plan
from lenet_edge.sweep.space import AXES, Space, make_space, read_file

OPTIONS = Path("the options")


def file_of(tmp_path, text):
    path = tmp_path / "space.toml"
    path.write_text(text)
    return path


def test_every_combination_once():
    space = make_space({}, {"seed": [3, 1], "network": ["mlp", "lenet5"], "epochs": [2, 4, 8]}, OPTIONS)
    found = [tuple(each.values.values()) for each in space.configurations()]
    assert found == list(product(["mlp", "lenet5"], [2, 4, 8], [3, 1]))
    assert [each.number for each in space.configurations()] == list(range(12))
    assert [each.seed for each in space.configurations()][:2] == [3, 1]


def test_all_of_a_recipe_may_vary():
    assert {entry.name for entry in fields(Recipe)} < set(AXES)


def test_recipes_of_a_file(tmp_path):
    text = '[space]\nrecipe = ["network", "slow"]\nbatch = [32]\n[recipes.slow]\nepochs = 99\nlearning_rate = 1e-3\n'
    path = file_of(tmp_path, text)
    space = make_space(read_file(path), {"seed": [0]}, path)
    own, slow = (space.network(each).recipe for each in space.configurations())
    usual = reader.load("lenet5").recipe
    assert (own.epochs, own.learning_rate, own.batch) == (usual.epochs, usual.learning_rate, 32)
    assert (slow.epochs, slow.learning_rate, slow.batch) == (99, 1e-3, 32)
    assert slow.weight_decay == usual.weight_decay


def test_options_replace_what_the_file_says(tmp_path):
    path = file_of(tmp_path, "[space]\nseed = [0, 1]\nepochs = [1]\n")
    space = make_space(read_file(path), {"seed": [7]}, path)
    assert space.axes == {"network": ("lenet5",), "epochs": (1,), "seed": (7,)}


def test_a_study_has_all_of_it(tmp_path):
    """A network of one's own, too: the file may be gone."""
    own = tmp_path / "own.toml"
    own.write_text(Path(reader.__file__).parents[2].joinpath("networks/lenet5-tiny.toml").read_text())
    given = {
        "network": [str(own), "mlp"],
        "class_weights": [True, False],
        "grid": ["tie-free"],
        "weight_bits": [8, "OUTPUT=2"],
    }
    plan = Plan(
        make_space({}, given, OPTIONS), "d", "1" * 64, PreparationRequest(8, 9, 3, (1, 2, 3, 4)), True, "microbit", 7
    )
    own.unlink()
    assert Plan.from_json(plan.to_json(), "the study") == plan
    assert plan.space.networks["own"].name == "own"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[space]\nseeds = [1]", r"space.toml in \[space\]: 'seeds' is not known. Did you mean 'seed'"),
        ("[space]\nseed = []", "seed has no values"),
        ("[space]\nseed = 1", r"'seed' is an integer; give a list"),
        ("[space]\nseed = [-1]", "give a number that is not negative"),
        ("[space]\nseed = [1, 1]", "the space has seed 1 twice"),
        ("[space]\nepochs = [0]", "give a number from 1 to 10000"),
        ("[space]\nlearning_rate = [nan]", "give a rate such as 8e-3"),
        ('[space]\ngrid = ["tie"]', "Did you mean 'tie-free'"),
        ('[space]\nnetwork = ["lenet"]', "there is no network 'lenet'. Did you mean 'lenet5'"),
        ('[space]\nrecipe = ["slwo"]\n[recipes.slow]\nepochs = 1', "no recipe 'slwo'. Did you mean 'slow'"),
        ('[space]\nrecipe = ["network"]\n[recipes.slow]\nepochs = 1', "the recipe 'slow' is not used"),
        ('[space]\nrecipe = ["network"]\n[recipes.network]\nepochs = 1', "the recipe 'network' is the network's own"),
        ("[space]\nepochs = [1]\n[recipes.slow]\nepochs = 2", "epochs is varied by itself and is in the recipe 'slow'"),
        ("[space]\nweight_bits = [3]", "'3' is not 8, 4 or 2"),
        ('[space]\nweight_bits = [8, 2]\ngrid = ["tie-free", "ordinary"]', "on the tie-free grid only"),
        ("[recipes.slow]\nepoch = 2\n[space]", r"\[recipes.slow\]: 'epoch' is not known"),
        (f"[space]\nseed = {list(range(2001))}", "has 2,001 configurations, and 2,000 at most"),
        ("seed = [1]", "'seed' is not known"),
    ],
)
def test_what_is_wrong_with_a_space(tmp_path, text, words):
    path = file_of(tmp_path, text)
    with pytest.raises(BadInputError, match=words):
        make_space(read_file(path), {}, path)


@pytest.mark.parametrize("damage", [{}, None, [], {"axes": {}}, {"axes": {"x": [1]}, "recipes": {}, "networks": {}}])
def test_a_study_with_a_damaged_space(damage):
    with pytest.raises(BadInputError, match="the study"):
        Space.from_json(damage, "the study")


def test_the_front_is_what_nothing_beats():
    clouds = [
        Cloud("a", (100, 100), (0.9, 0.92)),
        Cloud("b", (50,), (0.8,)),
        Cloud("c", (60,), (0.8,)),  # more flash, no better
        Cloud("d", (50,), (0.7,)),  # worse at the same flash
        Cloud("e", (200,), (0.91,)),
    ]
    assert front(clouds) == [(50, 0.8), (100, 0.91)]


def test_the_plot_stands_alone():
    """Names that somebody chose are texts in it, and its colours need no style sheet of a page."""
    name = "<$x$> & co"
    svg = standing_alone(draw_accuracy_against_flash([Cloud(name, (2048,), (0.5,))], "flash", "sweep", "t"))
    root = ElementTree.fromstring(svg)  # noqa: S314 - ours
    texts = ["".join(each.itertext()) for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert name in texts
    assert b"var(" not in svg
    assert b"prefers-color-scheme: dark" in svg
    assert svg == standing_alone(draw_accuracy_against_flash([Cloud(name, (2048,), (0.5,))], "flash", "sweep", "t"))
