"""What a network is: its two modules, layer by layer, and how it is trained.

A description has no shapes of its own: these follow from the size of the images and the number of classes (`shapes`).
The two modules are those of LeCun, Bottou, Bengio, Haffner 1998, "Gradient-based learning applied to document
recognition", section II: feature extraction, then a trainable classifier.

The classes are also the schema of a network's TOML (`reader`): what a key means is said in its `about`, from which the
documentation prints its tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from lenet_edge import strict_toml
from lenet_edge.errors import BadInputError
from lenet_edge.networks.recipe import Recipe
from lenet_edge.strict_toml import about

__all__ = [
    "LAYER_TYPES",
    "Activation",
    "Addition",
    "AveragePooling",
    "Convolution",
    "DepthwiseConvolution",
    "Dropout",
    "FullyConnected",
    "ImageShape",
    "LayerDescription",
    "MaxPooling",
    "Network",
    "Padding",
    "Rbf",
    "Recipe",
    "Subsampling",
    "trained_by",
]

Activation: TypeAlias = Literal["none", "relu", "relu6", "sigmoid", "tanh", "scaled-tanh"]
"""What follows a layer; "scaled-tanh" is the paper's ``1.7159 tanh(2/3 x)`` (`folding`)."""
Padding: TypeAlias = Literal["valid", "same"] | tuple[int, int]
"""As TFLite has it, or so many zeros above and below, left and right, as PyTorch has it."""
ImageShape: TypeAlias = tuple[int, int, int]
"""Height, width, channels (1 or 3)."""

_NAME = about("The layer's name, of letters, digits and _; no other layer has it.")
_ACTIVATION = about("What follows it: a function of each value. Left out, the network's.")
_NORMALISED = about("Whether it is trained with batch normalisation, which ends up in its weights and costs nothing.")
_INPUT = about(
    "The earlier layer that it reads, by its name; left out, the one before. What its module begins with is called "
    '"image" in the features and "flatten" in the classifier.'
)
_WINDOW = about("The extent that one output sees: height and width.", unit="pixels", least=1, most=255)
_STRIDE = about("How far windows are apart: down and right.", unit="pixels", least=1, most=64)
_PADDING = about(
    'Zeros around the map: none ("valid"); as many as keep its size at stride 1 ("same", as in TFLite); or how many '
    "above and below, and left and right (as in PyTorch).",
    unit="pixels",
    most=254,
)


@dataclass(frozen=True)
class Convolution:
    """A convolution, its batch normalisation (folded at the end of the float training) and its activation.

    Attributes:
        name: of the layer, as in the paper where it is there; unique in the network.
        channels: of its output.
        window, stride: height and width.
        activation: after it.
        batch_norm: whether it is trained with one.
        input: the name of the earlier layer that it reads; None is the one before (`wiring.reads`).
        connections: for each channel of its output those of its input that it sees; None is all.
    """

    name: str = field(metadata=_NAME)
    channels: int = field(metadata=about("The channels of its output.", least=1, most=4096))
    window: tuple[int, int] = field(metadata=_WINDOW)
    stride: tuple[int, int] = field(default=(1, 1), metadata=_STRIDE)
    padding: Padding = field(default="valid", metadata=_PADDING)
    activation: Activation = field(default="none", metadata=_ACTIVATION)
    batch_norm: bool = field(default=False, metadata=_NORMALISED)
    input: str | None = field(default=None, metadata=_INPUT)
    connections: tuple[tuple[int, ...], ...] | None = field(
        default=None,
        metadata=about(
            "For each channel of its output the channels of its input that it sees, counted from 0; left out, all. "
            "Weights between others are 0 and are not trained.",
            most=4095,
        ),
    )


@dataclass(frozen=True)
class DepthwiseConvolution:
    """A convolution of each channel by itself, with as many outputs per channel as `multiplier` says."""

    name: str = field(metadata=_NAME)
    window: tuple[int, int] = field(metadata=_WINDOW)
    stride: tuple[int, int] = field(default=(1, 1), metadata=_STRIDE)
    padding: Padding = field(default="valid", metadata=_PADDING)
    multiplier: int = field(
        default=1, metadata=about("The channels of its output for each of its input.", least=1, most=64)
    )
    activation: Activation = field(default="none", metadata=_ACTIVATION)
    batch_norm: bool = field(default=False, metadata=_NORMALISED)
    input: str | None = field(default=None, metadata=_INPUT)


@dataclass(frozen=True)
class MaxPooling:
    """The largest value of each window; no padding.

    Attributes:
        stride: None is the window.
    """

    name: str = field(metadata=_NAME)
    window: tuple[int, int] = field(metadata=_WINDOW)
    stride: tuple[int, int] | None = field(
        default=None,
        metadata=about("How far windows are apart; left out, the window.", unit="pixels", least=1, most=64),
    )
    input: str | None = field(default=None, metadata=_INPUT)


@dataclass(frozen=True)
class AveragePooling:
    """The mean of each window, without padding; on int8 a depthwise convolution with one weight, which has no ties.

    Attributes:
        window: height and width; None is the whole map.
        stride: None is the window.
    """

    name: str = field(metadata=_NAME)
    window: tuple[int, int] | None = field(
        default=None, metadata=about("As of a convolution; left out, the whole map.", unit="pixels", least=1, most=255)
    )
    stride: tuple[int, int] | None = field(
        default=None,
        metadata=about("How far windows are apart; left out, the window.", unit="pixels", least=1, most=64),
    )
    activation: Activation = field(
        default="none", metadata=about("What follows it: a function of each value. The network's is not taken.")
    )
    input: str | None = field(default=None, metadata=_INPUT)


@dataclass(frozen=True)
class Subsampling:
    """The sum of each window, without padding, times a coefficient and plus a bias that each map learns.

    On int8 it is a depthwise convolution whose weights are equal within a map.

    Source: LeCun, Bottou, Bengio, Haffner 1998, section II.B, layers S2 and S4.

    Attributes:
        stride: None is the window.
    """

    name: str = field(metadata=_NAME)
    window: tuple[int, int] = field(default=(2, 2), metadata=_WINDOW)
    stride: tuple[int, int] | None = field(
        default=None,
        metadata=about("How far windows are apart; left out, the window.", unit="pixels", least=1, most=64),
    )
    activation: Activation = field(default="none", metadata=_ACTIVATION)
    input: str | None = field(default=None, metadata=_INPUT)


@dataclass(frozen=True)
class Dropout:
    """Only while the float network is trained."""

    name: str = field(metadata=_NAME)
    rate: float = field(
        metadata=about("The share of values that are set to 0.", most=0.95, advice="a share from 0 to 0.95")
    )
    input: str | None = field(default=None, metadata=_INPUT)


@dataclass(frozen=True)
class FullyConnected:
    """A fully connected layer.

    Attributes:
        outputs: None is the number of classes.
    """

    name: str = field(metadata=_NAME)
    outputs: int | None = field(
        default=None,
        metadata=about(
            "How many values it gives. The last layer gives one per class and has no such key.", least=1, most=65536
        ),
    )
    activation: Activation = field(default="none", metadata=_ACTIVATION)
    batch_norm: bool = field(default=False, metadata=_NORMALISED)
    input: str | None = field(default=None, metadata=_INPUT)


@dataclass(frozen=True)
class Addition:
    """The sum of what two earlier layers give, value by value, such as the end of a residual block.

    Attributes:
        inputs: the names of the two.
        activation: after it.
    """

    name: str = field(metadata=_NAME)
    inputs: tuple[str, str] = field(
        metadata=about("The two earlier layers whose outputs it adds, by their names; the shapes must be the same.")
    )
    activation: Activation = field(default="none", metadata=_ACTIVATION)


@dataclass(frozen=True)
class Rbf:
    """Radial basis functions: how far its input is from the code of each class; the nearest is the answer.

    Of the squared distances ``y_i = sum_j (x_j - w_ij)^2`` only ``-2 x.w_i`` differs from class to class where each
    component of a code is +1 or -1, so it is a fully connected layer with the fixed weights ``2 w`` and no bias, whose
    largest logit is the smallest distance. Nothing in it is trained.

    Source: LeCun, Bottou, Bengio, Haffner 1998, section II.B, equation 7.

    Attributes:
        codes: for each class the rows of its bitmap, "#" for +1 and "." for -1.
    """

    name: str = field(metadata=_NAME)
    codes: tuple[tuple[str, ...], ...] = field(
        metadata=about(
            'For each class a bitmap: its rows from top to bottom, of "#" for +1 and "." for -1; row by row, they are '
            "what its input should be. They are not trained."
        )
    )
    input: str | None = field(default=None, metadata=_INPUT)


LayerDescription: TypeAlias = (
    Convolution
    | DepthwiseConvolution
    | MaxPooling
    | AveragePooling
    | Subsampling
    | Addition
    | Dropout
    | FullyConnected
    | Rbf
)

LAYER_TYPES: dict[str, type[LayerDescription]] = {
    "convolution": Convolution,
    "depthwise": DepthwiseConvolution,
    "max-pooling": MaxPooling,
    "average-pooling": AveragePooling,
    "subsampling": Subsampling,
    "add": Addition,
    "dropout": Dropout,
    "fully-connected": FullyConnected,
    "rbf": Rbf,
}
"""What a TOML's `type` stands for."""


@dataclass(frozen=True)
class Network:
    """A network.

    Attributes:
        name: what files are called after it.
        summary: one line.
        input: the images that it is for, where it is for one size only (None: the data's).
        features: the feature extraction module; its last layer is what the classifier reads.
        classifier: the trainable classifier module; maps are flattened in front of it. Its last layer gives the logits.
        recipe: how it is trained.
        recipes: other ways, by their names; a network that was trained has none (`trained_by`).
    """

    name: str
    summary: str
    features: tuple[LayerDescription, ...]
    classifier: tuple[LayerDescription, ...]
    input: ImageShape | None = None
    recipe: Recipe = field(default_factory=Recipe)
    recipes: Mapping[str, Recipe] = field(default_factory=dict, compare=False)


def trained_by(network: Network, name: str | None) -> Network:
    """The network with its recipe of that name, or with its own for None; the other recipes are left behind.

    Raises:
        BadInputError: it has no such recipe.
    """
    if name is None:
        return replace(network, recipes={})
    if name not in network.recipes:
        known = strict_toml.nearest(name, network.recipes) or " It has none but its own."
        raise BadInputError(
            f"{network.name} has no recipe {name!r}.{known} A recipe is a table [recipes.{name[:40]}] of its TOML."
        )
    return replace(network, recipe=network.recipes[name], recipes={})
