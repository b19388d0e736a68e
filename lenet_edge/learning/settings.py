"""The settings of a float training, and what it reports while it runs."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lenet_edge.datasets import Dataset, LabelArray
from lenet_edge.networks.description import ImageShape, Network
from lenet_edge.preparation.settings import MNIST, Preparation

__all__ = ["TrainingProgress", "TrainingSet", "TrainingSettings"]

UInt8Array: TypeAlias = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """What is learnt from, and what the accuracy is reported on: nothing is fitted to the labels of that.

    Attributes:
        images, labels: uint8 ``[n, h, w]`` or ``[n, h, w, 3]``, and integers ``[n]``.
        validation_images, validation_labels: likewise.
        validation_chooses: whether the accuracy on them chooses between networks, so that pupils are not shown them.
    """

    images: UInt8Array
    labels: LabelArray
    validation_images: UInt8Array
    validation_labels: LabelArray
    validation_chooses: bool = False

    @classmethod
    def of(cls, dataset: Dataset, *, validation_chooses: bool = False) -> TrainingSet:
        """That of a data set, without its test set."""
        validation = dataset.validation_images, dataset.validation_labels
        return cls(dataset.fit_images, dataset.fit_labels, *validation, validation_chooses)

    @functools.cached_property
    def images_for_pupils(self) -> UInt8Array:
        """What a network learns from its teachers: those of training, then those of validation.

        Teachers answer for the labels, so that pictures without labels serve as well. The labels of validation stay
        unknown to teachers and pupils, but a pupil agrees with its teachers more often on images that it was taught:
        its accuracy on them is nearer to its teachers' than on new images.
        """
        if self.validation_chooses:
            return self.images
        return np.concatenate([self.images, self.validation_images])

    @functools.cached_property
    def sha256(self) -> str:
        """Of all images and labels (hex)."""
        digest = hashlib.sha256()
        for array in (self.images, self.labels, self.validation_images, self.validation_labels):
            digest.update(f"{array.shape}".encode() + array.tobytes())
        return digest.hexdigest()

    @property
    def image_shape(self) -> ImageShape:
        """Height, width, channels."""
        height, width, *channels = self.images.shape[1:]
        return height, width, channels[0] if channels else 1


@dataclass(frozen=True)
class TrainingSettings:
    """What is trained, and how.

    Attributes:
        network: its description, with its recipe.
        classes: their names, in the order of the labels.
        dataset: its name, for the checkpoint.
        epochs: instead of the recipe's.
        device: of torch.
        preparation: how a picture becomes such an image, for the checkpoint.
        class_weights: whether images of rare classes count more, so that all classes count the same.
        initial: weights to start from, by the names of `learning.network.build`'s module; None draws them.
        transposed: whether rows and columns of the data set's stored images were swapped, for the checkpoint.
    """

    network: Network
    classes: Sequence[str]
    dataset: str
    epochs: int | None = None
    seed: int = 0
    device: str = "cpu"
    preparation: Preparation = MNIST
    class_weights: bool = False
    initial: Mapping[str, npt.NDArray[np.float32]] | None = None
    transposed: bool = False

    @property
    def epochs_in_all(self) -> int:
        """Those asked for, or the recipe's."""
        return self.network.recipe.epochs if self.epochs is None else self.epochs


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
