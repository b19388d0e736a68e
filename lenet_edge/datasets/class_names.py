"""Names of classes: what may be one. They go into checkpoints, models, C headers, banners and tables."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from lenet_edge.errors import BadInputError
from lenet_edge.files import TEXT_BYTES, read_bytes

__all__ = ["LONGEST", "MOST", "checked", "from_file", "from_mapping"]

LONGEST = 200  # characters
MOST = 1_000  # classes
FILES = ("classes.txt", "labels.txt")


def checked(names: Iterable[str], where: str) -> tuple[str, ...]:
    """The names in Unicode's composed form (NFC), in their order.

    Args:
        where: what messages call the place that they come from.

    Raises:
        BadInputError: a name is empty, too long, twice there or cannot be shown, or there are too many.
    """
    found: dict[str, str] = {}
    for given in names:
        name = unicodedata.normalize("NFC", given).strip()
        if not name or not name.isprintable():
            why = "is empty" if not name else "has characters that cannot be shown"
            raise BadInputError(f"{where}: the name of the class {given!r} {why}. Rename it.")
        if len(name) > LONGEST:
            raise BadInputError(
                f"{where}: the name of the class {name[:40]}... has over {LONGEST} characters. Rename it."
            )
        if name in found:
            raise BadInputError(f"{where}: the classes {found[name]!r} and {given!r} have the same name. Rename one.")
        found[name] = given
    if len(found) > MOST:
        raise BadInputError(f"{where} has {len(found):,} classes; {MOST:,} at most are taken.")
    return tuple(found)


def from_file(folder: Path) -> tuple[tuple[str, ...], Path] | None:
    """The names in a folder's `classes.txt` or `labels.txt`, one a line, and that file; None without one.

    Raises:
        BadInputError: it is not UTF-8, or has a name that is not allowed.
    """
    path = next((folder / name for name in FILES if os.path.exists(folder / name)), None)
    return None if path is None else (checked(filter(str.strip, _lines(path)), str(path)), path)


def from_mapping(path: Path) -> dict[int, str]:
    """The name of each label in EMNIST's `mapping.txt`: lines of a label and the codes of its characters.

    The first of several characters, which are the forms of one letter, is the name.

    Raises:
        BadInputError: a line is something else, or a label or a name occurs twice.
    """
    found: dict[int, str] = {}
    for line in filter(str.strip, _lines(path)):
        numbers = line.split()
        if len(numbers) < 2 or not all(number.isascii() and number.isdigit() and len(number) < 6 for number in numbers):
            raise BadInputError(f"{path}: {line[:40]!r} is not a label and the codes of its characters.")
        label, code = map(int, numbers[:2])
        if label in found:
            raise BadInputError(f"{path} has the label {label} twice. Remove one of the lines.")
        found[label] = chr(code)
    names = checked((found[label] for label in sorted(found)), str(path))
    return dict(zip(sorted(found), names, strict=True))


def _lines(path: Path) -> list[str]:
    try:
        return read_bytes(path, "file of class names", limit=TEXT_BYTES).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path} is not UTF-8: {error.reason}. Save it as UTF-8.") from None
