"""Which class a label means: numbers from 0 on or from 1 on, EMNIST's mapping, and the names of another list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from lenet_edge.datasets.dataset import LabelArray, Part, UInt8Array, labels_of
from lenet_edge.errors import BadInputError

__all__ = ["mapped", "numbered", "renumbered"]

Labels: TypeAlias = npt.NDArray[np.integer[Any]]
Unnumbered: TypeAlias = Mapping[str, tuple[UInt8Array, Labels]]


def numbered(parts: Unnumbered, names: tuple[str, ...] | None, where: str) -> tuple[dict[str, Part], tuple[str, ...]]:
    """The parts with labels from 0 on, and the names of the classes.

    Labels may start at 1: with names, if only then there is a name for each label; without names, if every label from 1
    to the largest occurs.

    Args:
        parts: images and labels, whole numbers from 0 on.
        names: of the classes, in order; None calls them by their labels.
        where: the names come from, for messages.

    Raises:
        BadInputError: there are fewer names than labels.
    """
    found = np.unique(np.concatenate([np.unique(labels) for _, labels in parts.values()]))
    low, high = int(found[0]), int(found[-1])
    if names is None:
        first = 1 if low == 1 and len(found) == high else 0
        names = tuple(map(str, range(first, high + 1)))
    else:
        first = 1 if low >= 1 and high == len(names) else 0
        if high - first >= len(names):
            raise BadInputError(
                f"{where} has {len(names)} names, but labels go up to {high}: at least {high + 1} names are needed."
            )
    return _moved(parts, {label: label - first for label in found.tolist()}, len(names)), names


def mapped(parts: Unnumbered, mapping: Mapping[int, str], where: str) -> tuple[dict[str, Part], tuple[str, ...]]:
    """Likewise, with a mapping that has the name of each label; the classes are in the order of the labels.

    Raises:
        BadInputError: a label has no name.
    """
    known = {label: index for index, label in enumerate(sorted(mapping))}
    found = {label for _, labels in parts.values() for label in np.unique(labels).tolist()}
    if unknown := sorted(found - known.keys()):
        raise BadInputError(f"{where} has no line for the label {unknown[0]}. Does it belong to another data set?")
    return _moved(parts, known, len(mapping)), tuple(mapping[label] for label in sorted(mapping))


def renumbered(labels: LabelArray, names: Sequence[str], wanted: Sequence[str]) -> LabelArray:
    """Labels of classes with some names as numbers of a list that has the same names in another order, or more.

    If a name is not in that list, labels stay numbers: the data's own numbers if its classes are named by number.

    Args:
        labels: integers ``[n]``, each below the number of names.
        names: what they stand for.
        wanted: the list, such as a model's.
    """
    numbers = list(range(len(names)))
    if set(names) <= set(wanted):
        numbers = [list(wanted).index(name) for name in names]
    elif all(name.isascii() and name.isdigit() for name in names):
        numbers = [int(name) for name in names]
    return labels_of(np.array(numbers, np.int64)[labels], 1 + max(numbers))


def _moved(parts: Unnumbered, numbers: Mapping[int, int], classes: int) -> dict[str, Part]:
    table = np.zeros(1 + max(numbers), np.int64)
    table[list(numbers)] = list(numbers.values())
    return {part: Part(images, labels_of(table[labels], classes)) for part, (images, labels) in parts.items()}
