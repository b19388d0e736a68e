"""Networks: those that come along and those from files; what is read, what follows from it, what is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenet_edge.errors import BadInputError
from lenet_edge.networks import reader, shapes
from lenet_edge.networks.description import Convolution, FullyConnected, MaxPooling, Network

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


@pytest.mark.parametrize("name", ["dscnn", "lenet5", "lenet5-sigmoid", "lenet5-tiny", "mlp"])
def test_the_networks_that_come_along(name: str) -> None:
    assert name in reader.names()
    network = reader.load(name)
    assert network.name == name
    assert reader.from_json(reader.to_json(network)) == network
    last = network.classifier[-1].name
    for image_shape, classes in (((28, 28, 1), 10), ((48, 40, 3), 5)):
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
