"""The page on which one draws, within the report."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from lenet_edge import strict_json
from lenet_edge.errors import BadInputError
from lenet_edge.files import read_bytes
from lenet_edge.report.html import Frame

__all__ = ["read_page"]

_LARGEST = 2_000_000  # bytes; the report stays below three millions
_CONTENTS = re.compile('<script type="application/json" id="contents">(.*?)</script>', re.DOTALL)


def read_page(path: Path, fingerprints: Collection[str]) -> Frame:
    """A file of `lenet-edge page`.

    Args:
        fingerprints: of the models that the report is of.

    Raises:
        BadInputError: it is not such a file, or shows another model.
    """
    hint = "Make it with: lenet-edge page"
    try:
        source = read_bytes(path, "the page", hint, limit=_LARGEST).decode()
        found = _CONTENTS.search(source)
        shown = [model["fingerprint"] for model in strict_json.parse(found[1] if found else "")["models"]]
    except (ValueError, LookupError, TypeError):
        raise BadInputError(f"{path} is not a page that `lenet-edge page` wrote. {hint}") from None
    if others := [each for each in shown if each not in fingerprints]:
        raise BadInputError(f"{path} shows another model, {str(others[0])[:16]}. {hint}")
    return Frame.of(source)
