"""Data sets of IDX files in a folder: which files belong together, by MNIST's names and by EMNIST's."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lenet_edge.datasets import class_names, idx, labels
from lenet_edge.datasets.dataset import Part, UInt8Array
from lenet_edge.errors import BadInputError

__all__ = ["IdxSet", "find", "has_files", "has_idx", "is_idx", "numbered", "read"]

_NAME = re.compile(
    r"(?P<prefix>(?:[^.].*[-_.])?)(?P<part>train|t10k|test|val|valid|validation)-"
    r"(?P<what>images(?=[-.]idx[34])|labels(?=[-.]idx1))[-.]idx[134]-ubyte(?:\.gz)?"
)
_WHATS = ("images", "labels")
_PARTS = {"train": "train", "t10k": "test", "test": "test"}  # the others validate
_NAMED = 6  # of several sets, in a message


@dataclass(frozen=True)
class IdxSet:
    """The files of a data set.

    Attributes:
        folder: where they are.
        prefix: what stands before "train-images" in their names: "" as a rule, "emnist-letters-" of EMNIST's letters.
        files: part ("train", "validation", "test") and "images" or "labels" -> the files, each of which could be it.
    """

    folder: Path
    prefix: str
    files: Mapping[tuple[str, str], list[Path]]

    @property
    def name(self) -> str:
        """Its name according to its files; empty if they do not say."""
        return self.prefix.rstrip("-_.")


def is_idx(path: Path) -> bool:
    """Whether a file has the name of an IDX file of a data set."""
    return _NAME.fullmatch(path.name) is not None


def has_idx(folder: Path) -> bool:
    """Whether a folder has any IDX file of a data set, or nothing at all: it is not one of pictures."""
    try:
        empty = not os.listdir(folder)
    except OSError:
        return True
    return empty or bool(_sets(folder))


def has_files(folder: Path) -> bool:
    """Whether a folder has any IDX file of a data set."""
    return bool(_sets(folder))


def find(path: Path) -> IdxSet:
    """The data set in a folder, or the one that a file belongs to.

    Raises:
        BadInputError: the folder cannot be read, or has several data sets.
    """
    is_folder = os.path.isdir(path)
    folder = path if is_folder else path.parent
    if not os.access(folder, os.R_OK | os.X_OK):
        raise BadInputError(f"You may not read {folder}; change its permissions.")
    sets = _sets(folder)
    named = None if is_folder else _NAME.fullmatch(path.name)
    prefix = "" if named is None else named["prefix"]
    if named is None and "" not in sets and sets:
        if len(sets) > 1:
            known = ", ".join(sorted(each.rstrip("-_.") for each in sets)[:_NAMED])
            first = min(min(paths) for paths in sets[min(sets)].values())
            raise BadInputError(
                f"{folder} has {len(sets)} data sets: {known}. Name a file of the one that you mean, such as {first}"
            )
        (prefix,) = sets
    return IdxSet(folder, prefix, sets.get(prefix, {}))


def read(found: IdxSet, *, needed: tuple[str, ...] = ("train",)) -> dict[str, Part]:
    """The parts of a data set: those that are needed, and "validation" and "test" if there are files for them.

    Labels are as in the files.

    Raises:
        BadInputError: a file is missing or damaged, is there twice with different content, or they do not fit each
            other.
    """
    parts = sorted({part for part, _ in found.files} | {*needed}, key=("train", "validation", "test").index)
    missing = [_usual(found, part, what) for part in parts for what in _WHATS if (part, what) not in found.files]
    if missing:
        if not found.files:
            missing = list(idx.FILES)
        raise BadInputError(
            f"{found.folder} lacks {', '.join(missing)}. A data set is four IDX files, each gzipped (.gz) or not: "
            f"{', '.join(found.prefix + name for name in idx.FILES)}; without the last two, part of the training "
            f"images becomes the test set.{'' if found.files else ' Or it is a folder of pictures for each class.'}"
        )
    arrays = {part: Part(*(_read_one(found.files[part, what], what) for what in _WHATS)) for part in parts}
    places = {part: tuple(str(found.files[part, what][0]) for what in _WHATS) for part in parts}
    for part, each in arrays.items():
        idx.require_pairs(each.images, each.labels, *places[part])
        idx.require_alike(arrays["train"].images, each.images, places["train"][0], places[part][0])
    return arrays


def numbered(found: IdxSet, parts: Mapping[str, Part]) -> tuple[dict[str, Part], tuple[str, ...]]:
    """The parts with labels from 0 on, and the names of the classes.

    The names are in `classes.txt` or `labels.txt`, one a line, or in EMNIST's `mapping.txt`; without such a file the
    classes are called by their labels.

    Raises:
        BadInputError: the file is damaged, or a label has no name.
    """
    if (given := class_names.from_file(found.folder)) is not None:
        return labels.numbered(parts, given[0], str(given[1]))
    names = (f"{found.prefix}mapping.txt", "mapping.txt")
    path = next((found.folder / name for name in names if os.path.exists(found.folder / name)), None)
    if path is not None:
        return labels.mapped(parts, class_names.from_mapping(path), str(path))
    return labels.numbered(parts, None, str(found.folder))


def _sets(folder: Path) -> dict[str, dict[tuple[str, str], list[Path]]]:
    """The files by the prefix of their names.

    Kaggle's MNIST, unpacked, has each file in a folder that is called as the file is: they come last.
    """
    sets: dict[str, dict[tuple[str, str], list[Path]]] = {}
    try:
        places = sorted(folder / name for name in os.listdir(folder) if _NAME.fullmatch(name))
        inside = [place / name for place in places if os.path.isdir(place) for name in sorted(os.listdir(place))]
    except OSError:
        return {}  # `find` says that it cannot be read
    files = [place for place in places if not os.path.isdir(place)]
    for path in files + [place for place in inside if _is_same(place) and not os.path.isdir(place)]:
        named = _NAME.fullmatch(path.name)
        if named is not None and os.path.exists(path):
            key = _PARTS.get(named["part"], "validation"), named["what"]
            sets.setdefault(named["prefix"], {}).setdefault(key, []).append(path)
    return sets


def _is_same(path: Path) -> bool:
    """Whether a file in a folder of such a name is the one that the folder is called after."""
    file, folder = _NAME.fullmatch(path.name), _NAME.fullmatch(path.parent.name)
    return file is not None and folder is not None and file.groupdict() == folder.groupdict()


def _usual(found: IdxSet, part: str, what: str) -> str:
    """What a missing file would be called."""
    spelt = "test" if found.prefix else "t10k"
    written = {"train": "train", "test": spelt, "validation": "validation"}[part]
    return f"{found.prefix}{written}-{what}-idx{3 if what == 'images' else 1}-ubyte"


def _read_one(paths: list[Path], what: str) -> UInt8Array:
    """The array of a file that may be there several times, such as packed and unpacked."""
    dimensions = idx.dimensions(what)
    array, *others = (idx.read_file(path, dimensions) for path in paths)
    for path, other in zip(paths[1:], others, strict=True):
        if not np.array_equal(array, other):
            raise BadInputError(f"{paths[0]} and {path} differ, and either could be meant. Remove one of them.")
    return array
