"""What a network is taught: of each image the distribution over the classes that teachers gave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor
from torch.nn import functional as F

__all__ = ["Lessons", "View", "taught_loss"]


@dataclass(frozen=True, eq=False)
class View:
    """The images (`TrainingSet.images_for_pupils`), each distorted in one way.

    Attributes:
        drawn: how, as `augmentation.draw` has it: ``[n, ...]``.
        said: what the teachers say of them, logarithms of probabilities ``[n, classes]``.
    """

    drawn: Tensor
    said: Tensor


class Lessons(Protocol):
    """The views of a training.

    Attributes:
        digest: of all they depend on: the teachers, the images and how they are distorted (hex).
    """

    digest: str

    def view(self, epoch: int) -> View:
        """That of an epoch, from 0."""


def taught_loss(logits: Tensor, said: Tensor) -> Tensor:
    """How far the distribution of the logits ``[n, classes]`` is from what teachers said (Kullback-Leibler, nats).

    Source: Hinton, Vinyals, Dean 2015, with a temperature of 1: higher ones taught LeNet-5 no better.
    """
    return F.kl_div(F.log_softmax(logits, dim=1), said.to(logits.device), log_target=True, reduction="batchmean")
