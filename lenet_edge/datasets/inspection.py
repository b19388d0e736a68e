"""What one wants to know of a data set before one trains."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from lenet_edge.datasets import folder as folders
from lenet_edge.datasets.dataset import Dataset, LabelArray, UInt8Array
from lenet_edge.datasets.split import FIT, TEST, VALIDATION, digest
from lenet_edge.errors import BadInputError
from lenet_edge.preparation import Preparation
from lenet_edge.preparation.request import PreparationRequest

__all__ = ["Inspection", "Polarity", "inspect_arrays", "inspect_folder"]

Polarity: TypeAlias = Literal["dark on bright", "bright on dark", "mixed", "unclear"]

BLANK = 8  # of 255: an image with less between its darkest and its brightest pixel shows nothing
CLEAR = 8  # of 255, between an image's border and its mean, where one of the two polarities is seen
MIXED = 0.1  # the smaller part of the images from which two polarities are said
UNEVEN = 3.0  # times the smallest class


@dataclass(frozen=True, eq=False)
class Inspection:
    """A data set that was looked at.

    Attributes:
        images, labels, sides, files: as in `FolderSet`; of arrays, `files` says which image it is.
        sizes: how many pictures have which width and height; empty for arrays.
        unreadable: files that cannot be read, and why.
        skipped: what else was left out of a folder, and why.
        duplicates: groups of the same image in one class.
        contradictions: groups of the same image in different classes.
        across: images to learn from or validate on that the given test set has, too.
        blank: images that show nothing.
        refused: why `train` would refuse it; empty where it would not.
    """

    class_names: tuple[str, ...]
    preparation: Preparation
    images: UInt8Array
    labels: LabelArray
    sides: npt.NDArray[np.int8]
    files: tuple[str, ...]
    duplicates: tuple[tuple[str, ...], ...]
    contradictions: tuple[tuple[str, ...], ...]
    across: tuple[str, ...]
    sizes: Counter[tuple[int, int]]
    unreadable: tuple[tuple[str, str], ...] = ()
    skipped: tuple[str, ...] = ()
    refused: str = ""

    @property
    def blank(self) -> tuple[str, ...]:
        """The images that show nothing: nearly one shade."""
        flat = self.images.reshape(len(self.images), -1, self.images.shape[3] if self.images.ndim == 4 else 1)
        spread = (flat.max(axis=1).astype(int) - flat.min(axis=1)).max(axis=1)
        return tuple(self.files[index] for index in np.flatnonzero(spread < BLANK))

    @property
    def polarity(self) -> Polarity:
        """Whether what is drawn is darker or brighter than the border, of most images."""
        grey = self.images.mean(axis=3) if self.images.ndim == 4 else self.images
        edges = np.concatenate([grey[:, 0], grey[:, -1], grey[:, :, 0], grey[:, :, -1]], axis=1)
        drawn = grey.mean(axis=(1, 2)) - np.median(edges, axis=1)
        dark, bright = int((drawn < -CLEAR).sum()), int((drawn > CLEAR).sum())
        if dark + bright <= len(grey) / 2:
            return "unclear"
        if min(dark, bright) > MIXED * (dark + bright):
            return "mixed"
        return "dark on bright" if dark > bright else "bright on dark"

    @property
    def imbalance(self) -> float:
        """How many times as many images to learn from the largest class has as the smallest; 0 where that has none."""
        counts = [int(((self.labels == label) & (self.sides == FIT)).sum()) for label in range(len(self.class_names))]
        return max(counts) / min(counts) if min(counts) else 0.0

    def counts(self, label: int) -> dict[str, int]:
        """The images of a class on each side."""
        own = self.sides[self.labels == label]
        return {name: int((own == side).sum()) for name, side in SIDES.items()}


SIDES = {"fit": FIT, "validation": VALIDATION, "test": TEST}


def inspect_folder(
    folder: str, asked: Preparation | PreparationRequest | None, progress: Callable[[str], None]
) -> Inspection:
    """Look at a folder of pictures.

    Raises:
        BadInputError: there are fewer than two classes, an empty one, or no picture that can be read.
    """
    found = folders.read_pictures(Path(folder), asked, progress)
    refused = ""
    try:
        folders.require_enough(found, folder)
    except BadInputError as error:
        refused = str(error)
    return Inspection(
        found.scan.classes,
        found.preparation,
        found.images,
        found.labels,
        found.sides,
        found.files,
        found.duplicates,
        found.contradictions,
        found.across,
        found.sizes,
        found.unreadable,
        found.scan.skipped,
        refused,
    )


def inspect_arrays(dataset: Dataset) -> Inspection:
    """Look at a data set that came as arrays."""
    train = np.where(dataset.validation, VALIDATION, FIT).astype(np.int8)
    files = [f"training image {index}" for index in range(len(train))]
    files += [f"test image {index}" for index in range(len(dataset.test_images))]
    labels = np.concatenate([dataset.train_labels, dataset.test_labels])
    images = np.concatenate([dataset.train_images, dataset.test_images])
    sides = np.concatenate([train, np.full(len(dataset.test_images), TEST, np.int8)])
    groups: dict[bytes, list[int]] = defaultdict(list)
    for index, image in enumerate(images):
        groups[digest(image)].append(index)
    learnt = np.unique(dataset.train_labels)
    refused = "" if len(learnt) > 1 else f"all training images have the label {dataset.class_names[int(learnt[0])]}"
    several = [members for members in groups.values() if len(members) > 1]
    alike = [members for members in several if len(set(labels[members].tolist())) == 1]
    across = [index for members in several for index in _learnt_and_tested(members, sides)]
    return Inspection(
        dataset.class_names,
        dataset.preparation,
        images,
        labels,
        sides,
        tuple(files),
        tuple(tuple(files[index] for index in members) for members in alike),
        tuple(tuple(files[index] for index in members) for members in several if members not in alike),
        tuple(files[index] for index in across),
        Counter(),
        refused=refused and f"{dataset.name}: {refused}; two classes are needed.",
    )


def _learnt_and_tested(members: list[int], sides: npt.NDArray[np.int8]) -> Iterator[int]:
    """Those of the same image to learn from or validate on, where the test set has it, too."""
    if (sides[members] == TEST).any():
        yield from (index for index in members if sides[index] != TEST)
