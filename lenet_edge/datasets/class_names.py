"""Names of classes: what may be one. They go into checkpoints, models, C headers, banners and tables."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from lenet_edge.errors import BadInputError

__all__ = ["LONGEST", "checked"]

LONGEST = 200  # characters
MOST = 1_000  # classes


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
