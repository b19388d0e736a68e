"""What a network is: its two modules, layer by layer, and how it is trained.

A description has no shapes of its own: these follow from the size of the images and the number of classes (`shapes`).
The two modules are those of LeCun, Bottou, Bengio, Haffner 1998, "Gradient-based learning applied to document
recognition", section II: feature extraction, then a trainable classifier.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

__all__ = [
    "Activation",
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
    "Recipe",
]

Activation: TypeAlias = Literal["none", "relu", "relu6", "sigmoid", "tanh"]
Padding: TypeAlias = Literal["valid", "same"] | tuple[int, int]
"""As TFLite has it, or so many zeros above and below, left and right, as PyTorch has it."""
ImageShape: TypeAlias = tuple[int, int, int]
"""Height, width, channels (1 or 3)."""


@dataclass(frozen=True)
class Convolution:
    """A convolution, its batch normalisation (folded at the end of the float training) and its activation.

    Attributes:
        name: of the layer, as in the paper where it is there; unique in the network.
        channels: of its output.
        window, stride: height and width.
        activation: after it.
        batch_norm: whether it is trained with one.
    """

    name: str
    channels: int
    window: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: Padding = "valid"
    activation: Activation = "none"
    batch_norm: bool = False


@dataclass(frozen=True)
class DepthwiseConvolution:
    """A convolution of each channel by itself, with as many outputs per channel as `multiplier` says."""

    name: str
    window: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: Padding = "valid"
    multiplier: int = 1
    activation: Activation = "none"
    batch_norm: bool = False


@dataclass(frozen=True)
class MaxPooling:
    """The largest value of each window; no padding."""

    name: str
    window: tuple[int, int]
    stride: tuple[int, int]


@dataclass(frozen=True)
class AveragePooling:
    """The mean of each window, without padding; on int8 a depthwise convolution with one weight, which has no ties.

    Attributes:
        window: height and width; None is the whole map.
        stride: None is the window.
    """

    name: str
    window: tuple[int, int] | None
    stride: tuple[int, int] | None = None
    activation: Activation = "none"


@dataclass(frozen=True)
class Dropout:
    """Only while the float network is trained."""

    name: str
    rate: float


@dataclass(frozen=True)
class FullyConnected:
    """A fully connected layer.

    Attributes:
        outputs: None is the number of classes.
    """

    name: str
    outputs: int | None
    activation: Activation = "none"
    batch_norm: bool = False


LayerDescription: TypeAlias = (
    Convolution | DepthwiseConvolution | MaxPooling | AveragePooling | Dropout | FullyConnected
)


@dataclass(frozen=True)
class Recipe:
    """How the float network is trained, unless the command line says otherwise.

    Attributes:
        epochs: of training.
        learning_rate: the peak of the one-cycle schedule.
        batch: images in a batch.
        weight_decay: AdamW's.
        label_smoothing: 0..1.
        initial_gain: of Xavier's initialisation of every layer but the last; None keeps PyTorch's own.
        quantize_epochs, quantize_learning_rate: of `quantize`.
    """

    epochs: int = 15
    learning_rate: float = 8e-3
    batch: int = 128
    weight_decay: float = 1e-2
    label_smoothing: float = 0.05
    initial_gain: float | None = None
    quantize_epochs: int = 4
    quantize_learning_rate: float = 5e-4


@dataclass(frozen=True)
class Network:
    """A network.

    Attributes:
        name: what files are called after it.
        summary: one line.
        input: the images that it is for, where it is for one size only (None: the data's).
        features: the feature extraction module.
        classifier: the trainable classifier module; maps are flattened in front of it. Its last layer gives the logits.
        recipe: how it is trained.
    """

    name: str
    summary: str
    features: tuple[LayerDescription, ...]
    classifier: tuple[LayerDescription, ...]
    input: ImageShape | None = None
    recipe: Recipe = field(default_factory=Recipe)
