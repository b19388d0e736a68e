"""What is taken for what, and the images that the model is most wrong about."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lenet_edge import confusion
from lenet_edge.quantized.reference import run
from lenet_edge.report.html import Figure

if TYPE_CHECKING:
    from lenet_edge.report.document.reading import Build, Samples, UInt8Array

__all__ = ["Mistakes", "Picture", "Worst", "mistakes_of", "png", "worst_of"]

_HEATS = 8  # shades of the matrix
_MATRIX_CLASSES = 40  # more are a list of pairs
_PAIRS = 20
_PICTURES = 24
_LARGEST_SIDE = 112


@dataclass(frozen=True)
class Cell:
    """A count of the matrix: how dark, and whether it is on the diagonal."""

    count: Figure
    heat: int
    right: bool


@dataclass(frozen=True)
class Class:
    """A row of the matrix: a class and what it was taken for."""

    name: Figure
    images: str
    recall: str
    precision: str
    cells: list[Cell]


@dataclass(frozen=True)
class Pair:
    """A class, what it was taken for, and how often."""

    name: Figure
    said: Figure
    count: Figure


@dataclass(frozen=True)
class Mistakes:
    """The matrix, whole or, of many classes, its most frequent confusions only."""

    classes: list[Class]
    whole: bool
    pairs: list[Pair]
    short: bool


def mistakes_of(build: Build) -> Mistakes | None:
    """From the record of `check`, or else from the report of `quantize`."""
    found = next(
        (each for each in (build.check, build.quantize) if each is not None and each.record.confusion is not None), None
    )
    if found is None:
        return None
    names, content = found.record.confusion.classes, found.content
    matrix = np.array(found.record.confusion.matrix, np.int64)
    recalls, precisions = confusion.recall(matrix), confusion.precision(matrix)
    totals = np.maximum(matrix.sum(axis=1), 1)

    def cell(row: int, column: int) -> Cell:
        count = int(matrix[row, column])
        heat = math.ceil(_HEATS * math.sqrt(count / totals[row])) if count else 0
        return Cell(content.count("confusion", "matrix", row, column), heat, row == column)

    whole = len(names) <= _MATRIX_CLASSES
    classes = [
        Class(
            content.name("confusion", "classes", row),
            f"{matrix[row].sum():,}",
            _percent(recalls[row]),
            _percent(precisions[row]),
            [cell(row, column) for column in range(len(names))] if whole else [],
        )
        for row in range(len(names))
    ]
    pairs = [
        Pair(classes[right].name, classes[said].name, content.count("confusion", "matrix", right, said))
        for right, said, _ in confusion.worst_pairs(matrix, _PAIRS)
    ]
    return Mistakes(classes, whole, pairs, all(len(name) <= 6 for name in names))


def _percent(share: float) -> str:
    return "" if math.isnan(share) else f"{100 * share:.2f} %"


# --- the images ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Picture:
    """An image with what is right, what int8 says, and how sure it is."""

    address: str
    right: str
    said: str
    wrong: bool
    sure: str
    where: str


@dataclass(frozen=True)
class Worst:
    """The worst of `images` images, of which `wrong` are wrong."""

    pictures: list[Picture]
    images: int
    wrong: int
    total: int
    data: str


def worst_of(build: Build) -> Worst | None:
    """The wrong images that the model is sure about, then the right ones that it is least sure about."""
    tests, meaning = build.tests, build.meaning
    if tests is None or tests.labels is None or meaning.kind == "values" or tests.pixels.ndim not in (3, 4):
        return None
    if tests.pixels.ndim == 4 and tests.pixels.shape[3] != 3:
        return None
    outputs = run(build.model, tests.images)
    said, probabilities = meaning.predictions(outputs), meaning.probabilities(outputs)
    chosen = confusion.worst_images(tests.labels, said, probabilities, _PICTURES)
    pictures = [
        Picture(
            png(tests.pixels[index]),
            meaning.classes[int(tests.labels[index])],
            meaning.classes[int(said[index])],
            bool(said[index] != tests.labels[index]),
            f"{100 * probabilities[index, said[index]]:.1f} %",
            _where(tests, int(index)),
        )
        for index in chosen
    ]
    return Worst(pictures, len(said), int((said != tests.labels).sum()), tests.total, tests.data)


def _where(tests: Samples, index: int) -> str:
    return tests.files[index] if tests.files else f"image {index:,}"


def png(image: UInt8Array) -> str:
    """An image as the address of a PNG; a large one is reduced."""
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(image))
    if max(picture.size) > _LARGEST_SIDE:
        picture.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE), Image.Resampling.BOX)
    with io.BytesIO() as file:
        picture.save(file, "PNG", optimize=True)
        return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
