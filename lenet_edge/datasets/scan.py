"""Which pictures a folder has, and which class and part each belongs to; no picture is opened."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lenet_edge.datasets import class_names
from lenet_edge.errors import BadInputError

__all__ = ["PictureFile", "Scan", "scan"]

ENDINGS = frozenset(
    [
        ".png",
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".bmp",
        ".dib",
        ".webp",
        ".tif",
        ".tiff",
        ".gif",
        ".ppm",
        ".pgm",
        ".pnm",
        ".pbm",
    ]
)
DROPPINGS = frozenset(("thumbs.db", "desktop.ini", "__macosx", "@eadir", "icon\r"))  # of operating systems
PARTS = {"train": "train", "training": "train", "test": "test", "testing": "test"}
PARTS |= dict.fromkeys(("val", "valid", "validation"), "validation")
MOST_DEEP = 16  # folders below a class
MOST_FILES = 1_000_000


@dataclass(frozen=True)
class PictureFile:
    """A picture of a class.

    Attributes:
        path: of the file.
        name: its path within the data set.
        label: the number of its class.
        part: "train", "validation" or "test" where the folders say so; empty where the data set is yet to be split.
    """

    path: Path
    name: str
    label: int
    part: str


@dataclass(frozen=True)
class Scan:
    """What is in the folder of a data set.

    Attributes:
        classes: their names, in order.
        files: the pictures, class by class, in the order of their names.
        parts: which of "train", "validation" and "test" the folders give; empty where there are none.
        skipped: what was left out, and why.
    """

    classes: tuple[str, ...]
    files: tuple[PictureFile, ...]
    parts: frozenset[str]
    skipped: tuple[str, ...]


def scan(folder: Path) -> Scan:
    """The pictures of a data set: a sub-folder for each class, or `train`, `test`, `validation` with such.

    Folders below a class belong to it. Links that lead out of the data set, and links to folders, are not followed.

    Raises:
        BadInputError: it cannot be read, has fewer than two classes, or a class has no picture or no usable name.
    """
    skipped: list[str] = []
    tops = {part or "": place for part, place in _parts(folder, skipped)}
    names = sorted({entry.name for place in tops.values() for entry in _folders(place, folder, [])})
    _require_classes(folder, tops, names)
    classes = class_names.checked(names, str(folder))
    files: list[PictureFile] = []
    for part, place in tops.items():
        for label, name in enumerate(names):
            inside = place / name
            if not inside.is_dir():
                continue
            for path in _pictures(inside, folder, skipped, 0):
                files.append(PictureFile(path, os.path.relpath(path, folder), label, part))
                if len(files) > MOST_FILES:
                    raise BadInputError(f"{folder} has over {MOST_FILES:,} pictures, more than are taken.")
    found = Scan(classes, tuple(files), frozenset(filter(None, tops)), tuple(skipped))
    _require_pictures(folder, found)
    return found


def _parts(folder: Path, skipped: list[str]) -> list[tuple[str, Path]]:
    """The folders that have the classes: the data set's own, or its `train`, `test` and `validation`."""
    own = _folders(folder, folder, skipped)
    given = [(PARTS[entry.name.lower()], Path(entry.path)) for entry in own if entry.name.lower() in PARTS]
    # A class may be called "train", too: it then has pictures, and the others are no parts.
    train = [place for part, place in given if part == "train" and _folders(place, folder, [])]
    if not train or any(next(_pictures(place, folder, [], MOST_DEEP), None) for place in train):
        return [("", folder)]
    parts = [part for part, _ in given]
    if twice := [part for part in parts if parts.count(part) > 1]:
        raise BadInputError(f"{folder} has two folders for the part {twice[0]}. Remove one of them.")
    skipped += [f"{entry.name}: not one of train, test, validation" for entry in own if entry.name.lower() not in PARTS]
    return given


def _require_classes(folder: Path, tops: dict[str, Path], names: list[str]) -> None:
    if len(names) > 1:
        return
    if next(_pictures(folder, folder, [], MOST_DEEP), None) is not None and not names:
        raise BadInputError(
            f"{folder} has pictures, and no folders: put those of each class into a folder of its name."
        )
    place = next(iter(tops.values()))
    inner = place / names[0] if names else None
    hint = f" Did you mean {inner}?" if inner and len(_folders(inner, folder, [])) > 1 else ""
    count = "one class" if names else "no classes"
    raise BadInputError(f"{place} has {count}; at least two are needed, each a folder with its pictures.{hint}")


def _require_pictures(folder: Path, found: Scan) -> None:
    learnt = "train" if found.parts else ""
    for part in sorted({learnt, *found.parts}):
        having = {file.label for file in found.files if file.part == part}
        empty = [name for label, name in enumerate(found.classes) if label not in having]
        if empty and part == learnt:
            where = f"{folder}{os.sep}{part}" if part else str(folder)
            raise BadInputError(
                f"{where}: the class {empty[0]!r} has no pictures ({len(empty)} of {len(found.classes)} classes "
                "without any). Add some, or remove it."
            )


def _folders(place: Path, root: Path, skipped: list[str]) -> list[os.DirEntry[str]]:
    found = []
    for entry in _entries(place):
        if entry.is_symlink() and os.path.isdir(entry.path):  # entry.is_dir() fails without permission
            skipped.append(f"{os.path.relpath(entry.path, root)}: a link to a folder, which is not followed")
        elif entry.is_dir(follow_symlinks=False):
            found.append(entry)
    return found


def _pictures(place: Path, root: Path, skipped: list[str], depth: int) -> Iterator[Path]:
    """The files below a folder that are called as pictures are, in order."""
    for entry in _entries(place):
        name = os.path.relpath(entry.path, root)
        if entry.is_symlink():
            if not _stays_inside(entry.path, root):
                skipped.append(f"{name}: a link out of the data set, or to nothing, which is not followed")
                continue
            if os.path.isdir(entry.path):
                skipped.append(f"{name}: a link to a folder, which is not followed")
                continue
        if entry.is_dir(follow_symlinks=False):
            if depth < MOST_DEEP:
                yield from _pictures(Path(entry.path), root, skipped, depth + 1)
        elif os.path.splitext(entry.name)[1].lower() in ENDINGS:
            yield Path(entry.path)
        else:
            skipped.append(f"{name}: not called as a picture is")


def _stays_inside(path: str, root: Path) -> bool:
    try:
        real = os.path.realpath(path)
    except OSError:  # no permission to look where it leads
        return False
    return os.path.exists(real) and os.path.commonpath((real, os.path.realpath(root))) == os.path.realpath(root)


def _entries(place: Path) -> list[os.DirEntry[str]]:
    """What is in a folder, in order, without what is hidden."""
    try:
        with os.scandir(place) as found:
            shown = [each for each in found if each.name[0] != "." and each.name.lower() not in DROPPINGS]
    except OSError as error:
        raise BadInputError(f"{place} cannot be read: {error.strerror or error}.") from error
    return sorted(shown, key=lambda entry: entry.name)
