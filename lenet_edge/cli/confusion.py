"""What `train`, `quantize` and `check` show of a classifier's mistakes: tables, and a sheet of the worst images."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.table import Table

from lenet_edge.cli import common

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lenet_edge.confusion import Matrix
    from lenet_edge.records import Confusion
    from lenet_edge.report import Tile

__all__ = ["Answers", "sheet_option", "shown", "tables_of"]

Command = TypeVar("Command", bound=Callable[..., Any])

_MATRIX_CLASSES = 12  # more do not go into a terminal
_LISTED = 12  # classes, or pairs of classes
_SHORT = 4  # letters of a name that can head a column of counts
_TILES = 48


def sheet_option(command: Command) -> Command:
    """``--sheet FILE``."""
    path = click.Path(path_type=Path)
    help_text = "Also draw the worst test images on a sheet, a PNG: what is wrong and sure, then what is least sure."
    return click.option("--sheet", type=path, metavar="FILE", help=help_text)(command)


@dataclass(frozen=True, eq=False)
class Answers:
    """What a classifier says about labelled images.

    Attributes:
        images: uint8 ``[n, h, w]`` or ``[n, h, w, 3]``.
        labels: the right answers, ``[n]``.
        probabilities: ``[n, classes]``; the largest is what it says.
        names: of the classes.
        files: the images' files, if they come from files.
        of_float: what the float network says about the same images, ``[n]``, if int8 is compared with it.
        classes: what it says, ``[n]``, if the largest probability does not decide: two may be too close.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[Any]
    probabilities: npt.NDArray[np.float64]
    names: Sequence[str]
    files: Sequence[str] = ()
    of_float: npt.NDArray[np.int64] | None = None
    classes: npt.NDArray[np.int64] | None = None

    @property
    def said(self) -> npt.NDArray[np.int64]:
        """The number of the class that each image is taken for, ``[n]``."""
        return self.probabilities.argmax(axis=1) if self.classes is None else self.classes

    @property
    def accuracy(self) -> float:
        """The share of the images that are recognised, 0..1."""
        return float((self.said == self.labels).mean())

    @property
    def matrix(self) -> Matrix:
        """See `confusion_matrix`."""
        return self._of(self.said)

    def _of(self, said: npt.NDArray[np.int64]) -> Matrix:
        from lenet_edge.confusion import confusion_matrix

        return confusion_matrix(self.labels, said, len(self.names))

    def recorded(self) -> Confusion:
        """The matrix as a record has it."""
        from lenet_edge.records import Confusion

        return Confusion.of(self.names, self.matrix.tolist())

    def tables(self) -> list[Table | str]:
        """The classes, and what is taken for what; of int8 also what each class loses against the float network."""
        of_float = None if self.of_float is None else self._of(self.of_float)
        return tables_of(self.matrix, self.names, of_float)

    def write_sheet(self, path: Path | None) -> None:
        """Draw the worst images on a sheet; does nothing without a path.

        Raises:
            BadInputError: it cannot be written.
        """
        if path is None:
            return
        from lenet_edge.confusion import worst_images
        from lenet_edge.files import write_file
        from lenet_edge.report import draw_sheet

        worst = worst_images(self.labels, self.said, self.probabilities, _TILES)
        wrong = int((self.said != self.labels).sum())
        title = f"{wrong:,} of {len(self.labels):,} test images are wrong; the worst first, then those least sure"
        write_file(path, draw_sheet([self._tile(int(index)) for index in worst], title))
        common.log(f"{path}: the {len(worst)} worst images")

    def _tile(self, index: int) -> Tile:
        from lenet_edge.report import Tile

        right, said = self.labels[index], self.said[index]
        what = self.names[right] if said == right else f"{self.names[right]}, said {self.names[said]}"
        where = self.files[index] if self.files else f"image {index}"
        share = f"{100 * self.probabilities[index, said]:.1f} %"
        return Tile(self.images[index], (what, share, where), marked=bool(said != right))


def shown(answers: Answers | None, sheet: Path | None) -> list[Table | str]:
    """Tables for the terminal; also draws the sheet, if one is asked for."""
    if answers is None:
        return []
    answers.write_sheet(sheet)
    return answers.tables()


def tables_of(matrix: Matrix, names: Sequence[str], of_float: Matrix | None = None) -> list[Table | str]:
    """The classes of a confusion matrix, and what is taken for what; with the float network's, also what int8 loses."""
    parts: list[Table | str] = [_classes(matrix, names, of_float)]
    if len(names) <= _MATRIX_CLASSES:
        parts += [_matrix(matrix, names), "rows are what is right, columns what was said"]
    elif pairs := _pairs(matrix, names):
        parts.append(pairs)
    return parts


def _classes(matrix: Matrix, names: Sequence[str], of_float: Matrix | None) -> Table:
    from lenet_edge.confusion import precision, recall, worst_pairs

    recalls, precisions = recall(matrix), precision(matrix)
    order = range(len(names))
    title = "classes"
    if len(names) > _MATRIX_CLASSES:
        order = sorted(order, key=lambda index: (math.isnan(recalls[index]), recalls[index]))[:_LISTED]  # type: ignore[assignment]
        title = f"the {_LISTED} of {len(names)} classes with the lowest recall"
    lost = ("int8 loses",) if of_float is not None else ()
    taken = {right: f"{names[said]} ({count})" for right, said, count in reversed(worst_pairs(matrix, matrix.size))}
    table = common.new_table(title, "class", "most often taken for", "images", "recall %", "precision %", *lost, left=2)
    for index in order:
        loss = () if of_float is None else (f"{of_float[index, index] - matrix[index, index]:+d}",)
        shares = (_percent(recalls[index]), _percent(precisions[index]))
        table.add_row(names[index], taken.get(index, ""), f"{matrix[index].sum():,}", *shares, *loss)
    return table


def _percent(share: float) -> str:
    return "" if math.isnan(share) else f"{100 * share:.2f}"


def _matrix(matrix: Matrix, names: Sequence[str]) -> Table:
    short = all(len(name) <= _SHORT for name in names)
    heads = names if short else [str(index) for index in range(len(names))]
    table = common.new_table("confusion", "class", *heads)
    table.box, table.padding = None, (0, 1, 0, 0)
    for index, name in enumerate(names):
        counts = [str(count) if count else "." for count in matrix[index]]
        table.add_row(name if short else f"{index} {name}", *counts)
    return table


def _pairs(matrix: Matrix, names: Sequence[str]) -> Table | None:
    from lenet_edge.confusion import worst_pairs

    pairs = worst_pairs(matrix, _LISTED)
    if not pairs:
        return None
    table = common.new_table("the most frequent confusions", "class", "taken for", "times", "of", left=2)
    for right, said, count in pairs:
        table.add_row(names[right], names[said], str(count), f"{matrix[right].sum():,}")
    return table
