"""What a data set is: images, labels and the names of its classes, in three parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from lenet_edge.preparation.settings import Preparation

__all__ = [
    "VALIDATION_PART",
    "Dataset",
    "LabelArray",
    "Part",
    "TestSet",
    "UInt8Array",
    "labels_of",
    "last_twelfth",
]

UInt8Array: TypeAlias = npt.NDArray[np.uint8]
LabelArray: TypeAlias = npt.NDArray[np.uint8 | np.int32]
"""uint8 for up to 256 classes, int32 beyond: what torch and IDX both know."""


class Part(NamedTuple):
    """Images uint8 ``[n, h, w]`` or ``[n, h, w, 3]``, and the numbers of their classes, ``[n]``."""

    images: UInt8Array
    labels: LabelArray


VALIDATION_PART = 12  # one twelfth: 5,000 of 60,000


@dataclass(frozen=True, eq=False)
class Dataset:
    """A training set, the part of it that validates, and a test set.

    Attributes:
        name: of the data set or its folder.
        train_images: uint8 ``[n, h, w]``, or ``[n, h, w, 3]`` in RGB; the validation set is part of it.
        train_labels: integers ``[n]``, the numbers of the classes: uint8, or int32 beyond 256 classes.
        test_images: uint8 ``[m, h, w]`` or ``[m, h, w, 3]``.
        test_labels: integers ``[m]``.
        class_names: what the labels stand for.
        preparation: how a picture becomes such an image.
        validation: bool ``[n]``: which training images validate; their labels are not learnt from.
        train_files: the pictures' paths within the folder; empty where the images do not come from pictures.
        test_files: likewise.
        transposed: whether rows and columns of the stored images were swapped.
    """

    name: str
    train_images: UInt8Array
    train_labels: LabelArray
    test_images: UInt8Array
    test_labels: LabelArray
    class_names: tuple[str, ...]
    preparation: Preparation
    validation: npt.NDArray[np.bool_]
    train_files: tuple[str, ...] = ()
    test_files: tuple[str, ...] = ()
    transposed: bool = False

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels (1 or 3) of an image."""
        height, width, *channels = self.train_images.shape[1:]
        return height, width, channels[0] if channels else 1

    @property
    def validation_count(self) -> int:
        """How many of the training images are the validation set."""
        return int(self.validation.sum())

    @property
    def fit_images(self) -> UInt8Array:
        """The training images without the validation set."""
        return self.train_images[~self.validation]

    @property
    def fit_labels(self) -> LabelArray:
        """The training labels without the validation set."""
        return self.train_labels[~self.validation]

    @property
    def validation_images(self) -> UInt8Array:
        """The images of the validation set."""
        return self.train_images[self.validation]

    @property
    def validation_labels(self) -> LabelArray:
        """The labels of the validation set."""
        return self.train_labels[self.validation]


class TestSet(NamedTuple):
    """The test images of a data set.

    Attributes:
        images: uint8 ``[n, h, w]`` or ``[n, h, w, 3]``.
        labels: integers ``[n]``; None where there are none.
        class_names: what the labels stand for.
        files: the pictures' paths within the folder; empty where the images do not come from pictures.
    """

    images: UInt8Array
    labels: LabelArray | None
    class_names: tuple[str, ...]
    files: tuple[str, ...] = ()


TestSet.__test__ = False  # type: ignore[attr-defined]  # its name looks like one of pytest's


def last_twelfth(count: int) -> npt.NDArray[np.bool_]:
    """The validation set of MNIST and Fashion-MNIST: the last twelfth, rounded down, of the order of the file.

    Images 55,000 to 59,999. It needs no random numbers, so every version of every library agrees on it.
    """
    chosen = np.zeros(count, np.bool_)
    chosen[-max(1, count // VALIDATION_PART) :] = True
    return chosen


def labels_of(numbers: npt.ArrayLike, classes: int) -> LabelArray:
    """Class numbers in the type that a data set of so many classes has."""
    return np.asarray(numbers).astype(np.uint8 if classes <= 256 else np.int32)
