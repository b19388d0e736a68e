"""Inputs of a model's own shape from a file: .npy or .npz of NumPy, or .csv with one input in each row."""

from __future__ import annotations

import csv
import io
import math
import os
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from lenet_edge.datasets.npz import MEDMNIST, PARTS, array_of
from lenet_edge.errors import BadInputError
from lenet_edge.files import read_bytes, require_regular

__all__ = ["SUFFIXES", "Values", "holds_values", "read_values"]

Shape: TypeAlias = tuple[int, ...]

SUFFIXES = (".npy", ".npz", ".csv")
_MOST_BYTES = 1 << 30  # of a .npy or .csv
_LABELS = ("label", "labels", "class", "target", "y")
_SEPARATORS = ",;\t"
_KINDS = "int8 (the model's own integers), uint8 (the same plus 128, as of pixels) or floats (real values)"


@dataclass(frozen=True, eq=False)
class Values:
    """The inputs in a file, as it has them.

    Attributes:
        values: int8, uint8 or float64 ``[n, values]``, where several inputs of a model lie one behind the other.
        labels: for each the number or name of its class, as text; None if the file has none.
    """

    values: npt.NDArray[Any]
    labels: tuple[str, ...] | None


def holds_values(name: str) -> bool:
    """Whether this is a file for `read_values`, not a data set with training and test parts."""
    if not name.lower().endswith(SUFFIXES) or os.path.isdir(name):
        return False
    if not name.lower().endswith(".npz"):
        return True
    try:
        with zipfile.ZipFile(name) as archive:
            members = set(archive.namelist())
    except (OSError, ValueError, zipfile.BadZipFile):
        return False  # a data set's reader says what is wrong with it
    return not any(f"{pair[0]}.npy" in members for parts in (PARTS, MEDMNIST) for pair in parts.values())


def read_values(path: Path, shapes: Sequence[Shape]) -> Values:
    """The inputs in a file.

    Args:
        path: a .npy: an array ``[n, *shape]``, or of one input ``[*shape]``. A .npz: such an array, or one for each
            input of the model in their order, and perhaps `labels`. A .csv: in each row the values of an input, as real
            numbers; a header is optional, and one of its columns may be called `label`.
        shapes: of the model's inputs.

    Raises:
        BadInputError: the file is missing, damaged, or holds something else; the message says where.
    """
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return _of_csv(path, sum(map(math.prod, shapes)))
    try:
        require_regular(path)
        arrays, labels = _of_npz(path) if suffix == ".npz" else (_of_npy(path), None)
    except BadInputError:
        raise
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise BadInputError(f"{path} cannot be read as {suffix}: {reason}. Write it again with numpy.save.") from error
    values = _joined(path, arrays, shapes)
    if labels is not None and len(labels) != len(values):
        raise BadInputError(f"{path} has {len(values):,} inputs and {len(labels):,} labels")
    return Values(values, labels)


# --- NumPy's files ----------------------------------------------------------------------------------------------


def _of_npy(path: Path) -> dict[str, npt.NDArray[Any]]:
    with path.open("rb") as stream:
        return {"": array_of(stream, str(path))}


def _of_npz(path: Path) -> tuple[dict[str, npt.NDArray[Any]], tuple[str, ...] | None]:
    """The arrays by name, in the order of the archive, and the labels."""
    arrays, labels = {}, None
    with zipfile.ZipFile(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        if len(names) > 64 or len(names) != len(set(names)):
            raise BadInputError(f"{path} has {len(names)} arrays, or one of them twice")
        for name in names:
            with archive.open(f"{name}.npy") as stream:
                array = array_of(stream, f"{path}: the array {name}")
            if name.lower() in _LABELS:
                labels = tuple(map(str, array.reshape(-1).tolist()))
            else:
                arrays[name] = array
    return arrays, labels


def _joined(path: Path, arrays: dict[str, npt.NDArray[Any]], shapes: Sequence[Shape]) -> npt.NDArray[Any]:
    """``[n, values]``: one array with all values of each input, or one array for each input of the model."""
    whole = (sum(map(math.prod, shapes)),)
    if len(arrays) == 1:
        shapes = shapes if len(shapes) == 1 else [whole]
    elif len(arrays) != len(shapes):
        listed = ", ".join(arrays) or "none"
        raise BadInputError(f"{path} has {len(arrays)} arrays ({listed}), but the model has {len(shapes)} inputs")
    parts = [
        _rows(array, shape, f"{path}: {name}" if name else str(path))
        for (name, array), shape in zip(arrays.items(), shapes, strict=True)
    ]
    counts, kinds = {len(part) for part in parts}, {part.dtype for part in parts}
    if len(counts) > 1 or len(kinds) > 1:
        raise BadInputError(f"{path}: its arrays have different types, or different numbers of inputs")
    return np.concatenate(parts, axis=1)


def _rows(array: npt.NDArray[Any], shape: Shape, where: str) -> npt.NDArray[Any]:
    """An array as ``[n, values]``: of many inputs or of one, axes of length 1 aside."""
    size = math.prod(shape)
    wanted, given = _bare(shape), _bare(array.shape)
    if not (_bare(array.shape[1:]) in (wanted, _bare((size,))) or (given == wanted and array.ndim <= len(shape))):
        sizes = " x ".join(map(str, shape))
        raise BadInputError(
            f"{where} has the shape {list(array.shape)}; the model takes {sizes} values: give [n, "
            f"{', '.join(map(str, shape))}]"
        )
    if array.dtype not in (np.int8, np.uint8) and array.dtype.kind != "f":
        raise BadInputError(f"{where} holds {array.dtype}; give {_KINDS}")
    rows = array.reshape(-1, size)
    if not len(rows):
        raise BadInputError(f"{where} holds no inputs")
    if rows.dtype.kind != "f":
        return rows
    if not np.isfinite(rows).all():
        number, position = (int(index) for index in np.argwhere(~np.isfinite(rows))[0])
        raise BadInputError(
            f"{where}: value {position} of input {number} is {rows[number, position]}; it must be finite"
        )
    return rows.astype(np.float64)


def _bare(shape: Shape) -> Shape:
    return tuple(size for size in shape if size != 1)


# --- text -------------------------------------------------------------------------------------------------------


def _of_csv(path: Path, size: int) -> Values:
    text = read_bytes(path, "the inputs", limit=_MOST_BYTES).decode("utf-8-sig", "replace")
    lines = _lines(text, path)
    header, column = _header(path, next(lines, (0, [])), size)
    if header is None:
        lines = _lines(text, path)
    rows, labels = [], []
    for line, cells in lines:
        if len(cells) != size + (column is not None):
            raise BadInputError(_wrong_count(f"{path}, line {line}", len(cells), size, header is not None))
        if column is not None:
            labels.append(cells[column].strip())
        rows.append([_number(path, line, index, cell) for index, cell in enumerate(cells) if index != column])
    if not rows:
        raise BadInputError(f"{path} holds no inputs")
    return Values(np.array(rows, np.float64), None if column is None else tuple(labels))


def _lines(text: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line number, cells) of each line that is not empty."""
    first = text[: text.find("\n")] if "\n" in text else text
    separator = max(_SEPARATORS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise BadInputError(f"{path}, line {reader.line_num}: {error}") from error


def _header(path: Path, first: tuple[int, list[str]], size: int) -> tuple[list[str] | None, int | None]:
    """The names in the first line, None if it holds numbers; and which column has the labels."""
    line, cells = first
    if all(_is_number(cell) for cell in cells):
        return None, None
    names = [cell.strip().lower() for cell in cells]
    columns = [index for index, name in enumerate(names) if name in _LABELS]
    if len(columns) > 1:
        raise BadInputError(f"{path}, line {line}: two columns are called {names[columns[0]]} or the like")
    column = columns[0] if columns and len(cells) == size + 1 else None
    if len(cells) != size + (column is not None):
        raise BadInputError(_wrong_count(f"{path}, line {line}", len(cells), size, True))
    return cells, column


def _wrong_count(where: str, found: int, size: int, has_header: bool) -> str:
    advice = ""
    if found == size + 1:
        named = "call" if has_header else "begin the file with a line of names, and call"
        advice = f". If one is the class, {named} its column 'label'"
    return f"{where} has {found:,} values, but the model takes {size:,}{advice}"


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _number(path: Path, line: int, column: int, cell: str) -> float:
    number = float(cell) if _is_number(cell) else math.nan
    if not math.isfinite(number):
        raise BadInputError(f"{path}, line {line}, column {column + 1}: {cell.strip()[:40]!r} is not a number")
    return number
