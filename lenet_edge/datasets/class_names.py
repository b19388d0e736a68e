"""Names of classes: what may be one. They go into checkpoints, models, C headers, banners and tables."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from lenet_edge.errors import BadInputError
from lenet_edge.files import TEXT_BYTES, read_bytes

__all__ = ["LONGEST", "MOST", "checked", "from_file"]

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


def from_file(folder: Path, count: int) -> tuple[str, ...] | None:
    """The names in a folder's `classes.txt` or `labels.txt`, one a line; None without such a file.

    Args:
        count: how many classes the labels have, at least.

    Raises:
        BadInputError: it is no UTF-8, has fewer names, or one that cannot be.
    """
    path = next((folder / name for name in FILES if os.path.exists(folder / name)), None)
    if path is None:
        return None
    try:
        lines = read_bytes(path, "file of class names", limit=TEXT_BYTES).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path} is not UTF-8: {error.reason}. Save it as UTF-8.") from None
    names = checked(filter(str.strip, lines), str(path))
    if len(names) < count:
        raise BadInputError(f"{path} has {len(names)} names, and labels go to {count - 1}. Give each class a line.")
    return names
