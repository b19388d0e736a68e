"""Networks: those that come along and those from files; what is read, what follows from it, what is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenet_edge.errors import BadInputError
from lenet_edge.networks import int8, reader, shapes, wiring
from lenet_edge.networks.description import Convolution, FullyConnected, MaxPooling, Network, Recipe, trained_by

MLP = """
summary = "one hidden layer"
activation = "relu"
[[classifier]]
name = "F1"
type = "fully-connected"
outputs = 8
[[classifier]]
name = "OUTPUT"
type = "fully-connected"
"""


NAMES = ["dscnn", "lenet5", "lenet5-1998", "lenet5-sigmoid", "lenet5-tiny", "mlp", "resnet8", "teacher"]


@pytest.mark.parametrize("name", NAMES)
def test_the_networks_that_come_along(name: str) -> None:
    assert name in reader.names()
    network = reader.load(name)
    assert network.name == name
    assert reader.from_json(reader.to_json(network)) == network
    last = network.classifier[-1].name
    others = () if name == "lenet5-1998" else (((48, 40, 3), 5),)  # its codes are of ten classes
    for image_shape, classes in (((28, 28, 1), 10), *others):
        assert shapes.output_shapes(network, image_shape, classes)[last] == (classes,)


def test_lenet5_has_the_weights_of_the_paper() -> None:
    weights = shapes.weight_shapes(reader.load("lenet5"), (28, 28, 1), 10)
    assert {name: shape for name, shape in weights.items() if name.endswith("weight")} == {
        "features.C1.weight": (6, 1, 5, 5),
        "features.C3.weight": (16, 6, 5, 5),
        "classifier.C5.weight": (120, 400),
        "classifier.F6.weight": (84, 120),
        "classifier.OUTPUT.weight": (10, 84),
    }


def test_resnet8_has_the_shapes_of_mlperf_tiny() -> None:
    network = reader.load("resnet8")
    outputs = shapes.output_shapes(network, (32, 32, 3), 10)
    assert [outputs[name] for name in ("C1", "A2", "A3", "A4", "MEAN")] == [
        (32, 32, 16),
        (32, 32, 16),
        (16, 16, 32),
        (8, 8, 64),
        (1, 1, 64),
    ]
    kernels = {name: shape[2:] for name, shape in shapes.weight_shapes(network, (32, 32, 3), 10).items()}
    assert [kernels[f"features.{name}.weight"] for name in ("C1", "C4b", "P3", "P4")] == [
        (3, 3),
        (3, 3),
        (1, 1),
        (1, 1),
    ]
    assert "features.P2.weight" not in kernels


@given(
    side=st.integers(1, 40),
    window=st.integers(1, 7),
    stride=st.integers(1, 3),
    padding=st.one_of(st.sampled_from(["valid", "same"]), st.integers(0, 3).map(lambda each: (each, each))),
)
def test_a_map_has_as_many_rows_as_windows_that_fit(side: int, window: int, stride: int, padding: object) -> None:
    layer = Convolution("C1", 2, (window, window), (stride, stride), padding)  # type: ignore[arg-type]
    network = Network("n", "s", (layer,), (FullyConnected("OUTPUT", None),))
    if padding == "same":  # TFLite: as many as there are starting points
        rows = len(range(0, side, stride))
    else:
        around = 0 if padding == "valid" else padding[0]  # type: ignore[index]
        rows = len(range(0, side + 2 * around - window + 1, stride))
    if rows == 0:
        with pytest.raises(BadInputError, match="C1"):
            shapes.output_shapes(network, (side, side, 1), 3)
    else:
        assert shapes.output_shapes(network, (side, side, 1), 3)["C1"] == (rows, rows, 2)


def test_a_network_that_is_too_deep_for_its_images_is_named_by_its_layer() -> None:
    with pytest.raises(BadInputError, match="C3"):
        shapes.output_shapes(reader.load("lenet5"), (6, 6, 1), 10)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_of_ones_own_is_called_after_its_name(tmp_path: Path) -> None:
    network = reader.load(str(written(tmp_path, MLP)))
    assert (network.name, network.classifier) == (
        "mine",
        (FullyConnected("F1", 8, "relu"), FullyConnected("OUTPUT", None, "none")),
    )


@pytest.mark.parametrize(
    ("before", "after", "parts"),
    [
        ("outputs = 8", "output = 8", ["F1", "outputs"]),
        ('"fully-connected"', '"dense"', ["fully-connected"]),
        ("outputs = 8", "outputs = 0", ["F1"]),
        ('name = "OUTPUT"', 'name = "F1"', ["F1"]),
        ('activation = "relu"', 'activation = "swish"', ["relu6"]),
        ('summary = "one hidden layer"', "", ["summary"]),
        ("[[classifier]]", "[[features]]", ["classifier"]),
        ("outputs = 8", "outputs = ", ["mine.toml"]),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, before: str, after: str, parts: list[str]) -> None:
    path = written(tmp_path, MLP.replace(before, after))
    with pytest.raises(BadInputError) as caught:
        reader.load(str(path))
    assert [part for part in [*parts, "mine.toml"] if part not in str(caught.value)] == []


def test_an_unknown_name_is_told_the_nearest() -> None:
    with pytest.raises(BadInputError, match="lenet5"):
        reader.load("lenet4")


def test_a_checkpoint_with_another_description_is_refused() -> None:
    facts = reader.to_json(reader.load("lenet5"))
    with pytest.raises(BadInputError):
        reader.from_json({**facts, "colour": "red"})


def test_the_stride_of_a_pooling_is_its_window_unless_given() -> None:
    network = reader.load("lenet5")
    pooling = next(layer for layer in network.features if isinstance(layer, MaxPooling))
    assert shapes.output_shapes(network, (28, 28, 1), 10)[pooling.name] == (14, 14, 6)
    assert dataclasses.replace(pooling, stride=(1, 1)).stride == (1, 1)


RESIDUAL = """
summary = "a block with a short cut, and one among values"
activation = "relu"
[[features]]
name = "C1"
type = "convolution"
channels = 4
window = 3
padding = "same"
[[features]]
name = "C2"
type = "convolution"
channels = 4
window = 3
padding = "same"
activation = "none"
[[features]]
name = "A2"
type = "add"
inputs = ["C1", "C2"]
[[features]]
name = "MEAN"
type = "average-pooling"
[[classifier]]
name = "F1"
type = "fully-connected"
outputs = 4
[[classifier]]
name = "A3"
type = "add"
inputs = ["flatten", "F1"]
activation = "none"
[[classifier]]
name = "OUTPUT"
type = "fully-connected"
"""


def test_a_layer_reads_what_it_names(tmp_path: Path) -> None:
    network = reader.load(str(written(tmp_path, RESIDUAL)))
    assert wiring.reads(network) == {
        "C1": ("image",),
        "C2": ("C1",),
        "A2": ("C1", "C2"),
        "MEAN": ("A2",),
        "F1": ("flatten",),
        "A3": ("flatten", "F1"),
        "OUTPUT": ("A3",),
    }
    assert [layer.activation for layer in (network.features[2], network.classifier[1])] == ["relu", "none"]  # type: ignore[union-attr]
    assert reader.from_json(reader.to_json(network)) == network
    int8.require_int8(network, (8, 8, 3), 3)
    branch = RESIDUAL.replace('name = "C2"', 'name = "C2"\ninput = "image"')
    assert wiring.reads(reader.load(str(written(tmp_path, branch))))["C2"] == ("image",)


@pytest.mark.parametrize(
    ("before", "after", "parts"),
    [
        ('"C1", "C2"', '"C1", "C3"', ["A2", "'C3'", "Did you mean 'C"]),
        ('"C1", "C2"', '"C1", "MEAN"', ["A2", "'MEAN'", "comes after it"]),
        ('"C1", "C2"', '"C1", "A2"', ["A2", "the layer itself"]),
        ('"C1", "C2"', '"C2", "C2"', ["A2", "twice"]),
        ('["C1", "C2"]', '"C2"', ["A2", "twice"]),
        ('"C1", "C2"', '"C1", "C2", "C1"', ["A2", "inputs"]),
        ('inputs = ["C1", "C2"]', "", ["A2", "inputs", "missing"]),
        ('inputs = ["C1", "C2"]', 'input = ["C1", "C2"]', ["A2", "inputs"]),
        ('"C1", "C2"', '"image", "C1"', ["C2", "nothing reads it"]),
        ('"flatten", "F1"', '"MEAN", "F1"', ["A3", "'MEAN'", "not in its module", "'flatten'"]),
        ('"C1", "C2"', '"C1", "flatten"', ["A2", "'flatten'", "not in its module"]),
        ('name = "C2"', 'name = "C2"\ninput = "C0"', ["C2", "'C0'", "C1"]),
        ('name = "MEAN"', 'name = "MEAN"\ninput = "C2"', ["A2", "nothing reads it"]),
    ],
)
def test_what_cannot_be_added_is_named(tmp_path: Path, before: str, after: str, parts: list[str]) -> None:
    assert before in RESIDUAL
    path = written(tmp_path, RESIDUAL.replace(before, after))
    with pytest.raises(BadInputError) as caught:
        reader.load(str(path))
    assert [part for part in [*parts, "mine.toml"] if part not in str(caught.value)] == []


@pytest.mark.parametrize(
    ("before", "after", "parts"),
    [
        (
            'channels = 4\nwindow = 3\npadding = "same"\n[',
            "channels = 4\nwindow = 3\n[",
            ["A2", "6 x 6 x 4", "4 x 4 x 4"],
        ),
        ("outputs = 4", "outputs = 5", ["A3", "flatten is 4", "F1 is 5"]),
        ('name = "MEAN"\ntype = "average-pooling"', 'name = "M"\ntype = "max-pooling"\nwindow = 8', []),
        ('[[features]]\nname = "MEAN"\ntype = "average-pooling"', "", ["A3"]),
    ],
)
def test_shapes_that_cannot_be_added(tmp_path: Path, before: str, after: str, parts: list[str]) -> None:
    assert before in RESIDUAL
    text = RESIDUAL.replace(before, after)
    if "4 x 4 x 4" in parts:
        text = text.replace('window = 3\npadding = "same"\nactivation', "window = 3\nactivation")
    network = reader.load(str(written(tmp_path, text)))
    if not parts:
        return int8.require_int8(network, (8, 8, 3), 3)
    with pytest.raises(BadInputError) as caught:
        shapes.output_shapes(network, (8, 8, 3), 3)
    assert [part for part in parts if part not in str(caught.value)] == []
    return None


def test_int8_cannot_add_values_in_two_orders_or_two_given_scales(tmp_path: Path) -> None:
    whole = RESIDUAL.replace('[[features]]\nname = "MEAN"\ntype = "average-pooling"', "").replace(
        "outputs = 4", "outputs = 256"
    )
    with pytest.raises(BadInputError, match=r"A3.*8 x 8"):
        int8.require_int8(reader.load(str(written(tmp_path, whole))), (8, 8, 3), 3)
    given = RESIDUAL.replace("channels = 4", "channels = 3").replace("outputs = 4", "outputs = 3")
    given = given.replace('"C1", "C2"', '"image", "C2"').replace('activation = "none"\n[[f', 'activation = "tanh"\n[[f')
    with pytest.raises(BadInputError, match=r"A2.*image.*tanh"):
        int8.require_int8(reader.load(str(written(tmp_path, given))), (8, 8, 3), 3)


# --- recipes ----------------------------------------------------------------------------------------

RECIPES = MLP.replace(
    "[[classifier]]",
    "[recipe]\nepochs = 30\nbatch = 64\n[recipes.slow]\nepochs = 90\nmirror = true\n[[classifier]]",
    1,
)


def test_a_recipe_with_a_name_says_what_is_other_than_the_networks_own(tmp_path: Path) -> None:
    network = reader.load(str(written(tmp_path, RECIPES)))
    assert trained_by(network, None).recipe == Recipe(epochs=30, batch=64)
    slow = trained_by(network, "slow")
    assert slow.recipe == Recipe(epochs=90, batch=64, mirror=True)
    assert reader.from_json(reader.to_json(slow)) == slow  # a checkpoint has the recipe that was taken, and no other
    assert not reader.from_json(reader.to_json(network)).recipes


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("mirror", "miror", r"\[recipes.slow\]: 'miror' is not known. Did you mean 'mirror'"),
        ("epochs = 90", "epochs = 0", r"\[recipes.slow\]: 'epochs' is 0"),
        ("mirror = true", "averaging = 1.0", "'averaging' is 1.0; give a decay from 0 to 0.99999"),
        ("mirror = true", "distortion = -1", "'distortion' is -1; give a number from 0 to 4"),
        ("mirror = true", "teachers = 0", "'teachers' is 0; give a number from 1 to 16"),
    ],
)
def test_recipes_that_are_wrong(tmp_path: Path, before: str, after: str, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        reader.load(str(written(tmp_path, RECIPES.replace(before, after))))


def test_a_recipe_that_is_not_there(tmp_path: Path) -> None:
    network = reader.load(str(written(tmp_path, RECIPES)))
    with pytest.raises(BadInputError, match=r"has no recipe 'slwo'\. Did you mean 'slow'"):
        trained_by(network, "slwo")
    with pytest.raises(BadInputError, match="It has none but its own"):
        trained_by(reader.load("mlp"), "slow")


@pytest.mark.parametrize("name", reader.names())
def test_teachers_of_recipes_that_come_along_are_networks_without_teachers(name: str) -> None:
    network = reader.load(name)
    for recipe in (network.recipe, *network.recipes.values()):
        if recipe.teacher is not None:
            assert reader.load(recipe.teacher).recipe.teacher is None
