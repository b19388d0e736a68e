"""Texts of others in Markdown, as text."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["bullets", "plain", "row"]


def plain(text: str) -> str:
    """One line without what Markdown or HTML would act on: an engine's message may have anything."""
    return re.sub(r"[\\`*_{}\[\]<>()#|!@]", lambda found: f"\\{found[0]}", " ".join(text.split()))


def row(texts: Iterable[str]) -> str:
    """A row of a table."""
    return f"| {' | '.join(texts)} |"


def bullets(texts: Iterable[str]) -> list[str]:
    """The lines of a list, with an empty line before it; none without items."""
    items = [f"* {text}" for text in texts]
    return ["", *items] if items else []
