"""LeNet-5, in the two modules of the paper: feature extraction and trainable classifier.

LeCun, Bottou, Bengio, Haffner 1998, "Gradient-based learning applied to
document recognition", section II.B. The layers have the paper's names.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy.typing as npt
import torch
from torch import Tensor, nn

from lenet_edge.errors import BadInputError

__all__ = ["ARCHITECTURES", "Architecture", "LeNet5", "architecture", "build", "load_tensors", "to_tensors"]

Activation: TypeAlias = Literal["relu", "sigmoid", "tanh"]
Subsampling: TypeAlias = Literal["max", "average"]

_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}
_SUBSAMPLINGS: dict[str, type[nn.Module]] = {"max": nn.MaxPool2d, "average": nn.AvgPool2d}


@dataclass(frozen=True)
class Architecture:
    """A form of LeNet-5 and how it is trained.

    Attributes:
        activation: after every convolution and hidden layer.
        subsampling: what S2 and S4 do with a 2x2 window.
        initial_gain: of the Xavier initialisation of every layer but OUTPUT; None keeps PyTorch's own.
        learning_rate: the peak of the one-cycle schedule.
    """

    activation: Activation
    subsampling: Subsampling
    initial_gain: float | None
    learning_rate: float


ARCHITECTURES: dict[str, Architecture] = {
    "lenet5": Architecture("relu", "max", None, 8e-3),
    # A sigmoid has slope 1/4 at 0: a gain of 4 keeps the variance of the signal.
    "lenet5-sigmoid": Architecture("sigmoid", "max", 4.0, 1e-2),
}
"""The forms by the name that ``--arch`` takes."""


class LeNet5(nn.Module):
    """LeNet-5 for 28x28 images.

    ``forward(images float32 [n, 1, 28, 28] in 0..1) -> logits [n, classes]``.
    C1 pads by 2, so that it sees the paper's 32x32. C5 is written as a full
    connection: on a 5x5 map the paper's 5x5 convolution is one. The maps are
    flattened in (channel, row, column) order.
    """

    def __init__(self, activation: Activation = "relu", subsampling: Subsampling = "max", classes: int = 10) -> None:
        super().__init__()
        squash, subsample = _ACTIVATIONS[activation], _SUBSAMPLINGS[subsampling]
        self.features = nn.Sequential(
            OrderedDict(
                C1=nn.Conv2d(1, 6, kernel_size=5, padding=2),  # 28x28 -> 6 @ 28x28
                C1_squash=squash(),
                S2=subsample(2),  # -> 6 @ 14x14
                C3=nn.Conv2d(6, 16, kernel_size=5),  # -> 16 @ 10x10
                C3_squash=squash(),
                S4=subsample(2),  # -> 16 @ 5x5
            )
        )
        self.classifier = nn.Sequential(
            OrderedDict(
                C5=nn.Linear(16 * 5 * 5, 120),
                C5_squash=squash(),
                F6=nn.Linear(120, 84),
                F6_squash=squash(),
                OUTPUT=nn.Linear(84, classes),
            )
        )

    def forward(self, images: Tensor) -> Tensor:
        maps = self.features(images)
        logits: Tensor = self.classifier(maps.flatten(1))
        return logits

    def distribution(self, images: Tensor) -> Tensor:
        """The distribution over the classes, ``[n, classes]``: each row sums to 1."""
        return torch.softmax(self(images), dim=1)

    def initialize(self, gain: float | None, generator: torch.Generator) -> None:
        """Draw the initial weights: Xavier's uniform distribution with that gain (1 on OUTPUT), biases 0.

        With no gain the bounds are PyTorch's own, ``1 / sqrt(fan_in)``, for weights and biases.

        Source: Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks".
        """
        for name, layer in (*self.features.named_children(), *self.classifier.named_children()):
            if not isinstance(layer, (nn.Conv2d, nn.Linear)):
                continue
            assert layer.bias is not None
            if gain is not None:
                nn.init.xavier_uniform_(layer.weight, 1.0 if name == "OUTPUT" else gain, generator)
                nn.init.zeros_(layer.bias)
            else:
                bound = layer.weight[0].numel() ** -0.5
                nn.init.uniform_(layer.weight, -bound, bound, generator)
                nn.init.uniform_(layer.bias, -bound, bound, generator)


def architecture(arch: str) -> Architecture:
    """The form of that name.

    Raises:
        BadInputError: there is none.
    """
    if arch not in ARCHITECTURES:
        raise BadInputError(f"there is no architecture {arch!r}; choose one of: {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[arch]


def build(arch: str, classes: int = 10) -> LeNet5:
    """The form of that name, with whatever weights PyTorch gives it.

    Raises:
        BadInputError: there is no form of that name.
    """
    form = architecture(arch)
    return LeNet5(form.activation, form.subsampling, classes)


def to_tensors(model: nn.Module) -> dict[str, npt.NDArray[Any]]:
    """Copies of the weights as arrays under their state_dict names."""
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in model.state_dict().items()}


def load_tensors(model: nn.Module, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
    """Set the weights of `model` to arrays under their state_dict names."""
    model.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in tensors.items()})
