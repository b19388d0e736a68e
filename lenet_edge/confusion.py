"""What a classifier takes for what: the confusion matrix, and the images that it is most wrong about (numpy only)."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["confusion_matrix", "precision", "recall", "worst_images", "worst_pairs"]

Matrix: TypeAlias = npt.NDArray[np.int64]
Float64Array: TypeAlias = npt.NDArray[np.float64]


def confusion_matrix(labels: npt.NDArray[Any], said: npt.NDArray[Any], classes: int) -> Matrix:
    """How often each class was taken for each.

    Args:
        labels: what is right, integers ``[n]`` below `classes`.
        said: what the classifier says, likewise.
        classes: how many there are.

    Returns:
        ``[classes, classes]``: the row is what is right, the column what was said.
    """
    pairs = labels.astype(np.int64) * classes + said
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def recall(matrix: Matrix) -> Float64Array:
    """The share (0..1) of each class's images that were recognised, ``[classes]``; NaN where it has no image."""
    return _share(matrix, axis=1)


def precision(matrix: Matrix) -> Float64Array:
    """The share (0..1) of what was said to be a class that is one, ``[classes]``; NaN where that was never said."""
    return _share(matrix, axis=0)


def _share(matrix: Matrix, axis: int) -> Float64Array:
    totals = matrix.sum(axis=axis)
    shares = np.full(len(matrix), np.nan)
    np.divide(matrix.diagonal(), totals, out=shares, where=totals > 0)
    return shares


def worst_pairs(matrix: Matrix, most: int) -> list[tuple[int, int, int]]:
    """(class, what it was taken for, how often) of the most frequent confusions, at most so many."""
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = (divmod(int(place), len(matrix)) for place in order)
    return [(right, said, int(wrong[right, said])) for right, said in pairs if wrong[right, said]]


def worst_images(
    labels: npt.NDArray[Any], said: npt.NDArray[np.int64], probabilities: Float64Array, most: int
) -> npt.NDArray[np.int64]:
    """The wrong images, those with the highest probability first, then the right ones that are least sure.

    Args:
        labels: ``[n]``.
        said: what each is taken for, ``[n]``.
        probabilities: ``[n, classes]``.
        most: how many, at most.

    Returns:
        Numbers of images.
    """
    sure = probabilities.max(axis=1)
    wrong = said != labels
    order = np.lexsort((np.where(wrong, -sure, sure), ~wrong))
    return order[:most].astype(np.int64)
