"""The settings of a float training, and what it reports while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lenet_edge.datasets import Dataset, LabelArray

__all__ = ["TrainingProgress", "TrainingSet", "TrainingSettings"]

UInt8Array: TypeAlias = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """What is learnt from, and what the accuracy is reported on: nothing is fitted to that.

    Attributes:
        images, labels: uint8 ``[n, h, w]`` or ``[n, h, w, 3]``, and integers ``[n]``.
        validation_images, validation_labels: likewise.
    """

    images: UInt8Array
    labels: LabelArray
    validation_images: UInt8Array
    validation_labels: LabelArray

    @classmethod
    def of(cls, dataset: Dataset) -> TrainingSet:
        """That of a data set, without its test set."""
        return cls(dataset.fit_images, dataset.fit_labels, dataset.validation_images, dataset.validation_labels)


@dataclass(frozen=True)
class TrainingSettings:
    """What is trained, and how.

    Attributes:
        arch: name of the architecture.
        classes: their names, in the order of the labels.
        dataset: its name, for the checkpoint.
        device: of torch.
    """

    arch: str
    classes: Sequence[str]
    dataset: str
    epochs: int = 15
    seed: int = 0
    device: str = "cpu"


@dataclass(frozen=True)
class TrainingProgress:
    """Where the training is.

    Attributes:
        epoch: from 1 to `epochs`.
        epochs: in all.
        batch: how many batches of the epoch are done.
        batches: of an epoch.
        loss: mean over the epoch so far.
        validation_accuracy: 0..1, at the end of an epoch; None after a batch.
    """

    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float
    validation_accuracy: float | None
