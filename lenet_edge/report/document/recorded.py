"""A record's figures: each is looked up where its address says, so that the two cannot disagree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lenet_edge.report import html
from lenet_edge.report.html import Figure

__all__ = ["Recorded"]


@dataclass(frozen=True)
class Recorded:
    """A record as its file has it.

    Attributes:
        file: its name, as below the build folder.
        content: its JSON object.
    """

    file: str
    content: Mapping[str, Any]

    def get(self, *path: str | int) -> Any:
        """The value at a path; None where a value on the way is null."""
        value: Any = self.content
        for part in path:
            if value is None:
                return None
            value = value[part]
        return value

    def count(self, *path: str | int) -> Figure:
        """A number of things."""
        return html.count(self.get(*path), self.file, pointer(path))

    def percent(self, *path: str | int) -> Figure:
        """A share as per cent."""
        return html.percent(self.get(*path), self.file, pointer(path))

    def number(self, *path: str | int, form: str = ".2f", unit: str = "") -> Figure:
        """A number in the given form."""
        return html.number(self.get(*path), self.file, pointer(path), form, unit)

    def size(self, *path: str | int) -> Figure:
        """Bytes."""
        return html.size(self.get(*path), self.file, pointer(path))

    def text(self, *path: str | int) -> Figure:
        """A text."""
        return html.text(self.get(*path), self.file, pointer(path))

    def name(self, *path: str | int) -> Figure:
        """The name of a layer or class, which may be long."""
        return html.name(self.get(*path), self.file, pointer(path))


def pointer(path: tuple[str | int, ...]) -> str:
    """A path as a JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
