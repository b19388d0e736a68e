"""What a classifier took for what, in a record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lenet_edge.records.fields import Fields, WrongRecordError, readable

__all__ = ["Confusion", "parse_confusion"]


@dataclass(frozen=True)
class Confusion:
    """A confusion matrix.

    Attributes:
        classes: their names.
        matrix: how many images of the class of a row were taken for the class of a column.
    """

    classes: tuple[str, ...]
    matrix: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, names: Sequence[str], matrix: Sequence[Sequence[int]]) -> Confusion:
        """From names and counts, ``[classes, classes]``."""
        return cls(tuple(readable(name) for name in names), tuple(map(tuple, matrix)))

    @property
    def images(self) -> int:
        """How many there are in all."""
        return sum(map(sum, self.matrix))

    @property
    def right(self) -> int:
        """How many of them were recognised."""
        return sum(row[index] for index, row in enumerate(self.matrix))


def parse_confusion(fields: Fields, key: str) -> Confusion | None:
    """The matrix in a field of a record, or None.

    Raises:
        WrongRecordError: it is something else.
    """
    if fields.get(key) is None:
        return None
    found = fields.table(key)
    classes, rows = found.texts("classes"), found.rows("matrix")
    found.require_known()
    if not classes or len(rows) != len(classes) or any(len(row) != len(classes) for row in rows):
        raise WrongRecordError(f"{key} is not a row and a column for each of {len(classes):,} classes")
    return Confusion(classes, rows)
