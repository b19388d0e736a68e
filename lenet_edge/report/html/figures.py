"""Figures that say which record they are from: formatted once, and readable by a program."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

__all__ = ["Figure", "count", "exact", "name", "number", "percent", "short", "size", "text"]

_LONGEST = 36  # characters of a name that is shown whole


@dataclass(frozen=True)
class Figure:
    """A value of a record as people read it.

    Attributes:
        value: as the record has it.
        shown: as it is printed.
        record: the file's name, as below the build folder.
        key: where it stands there: ``engines[2].logits_differ``.
    """

    value: Any
    shown: str
    record: str
    key: str

    def __str__(self) -> str:
        return self.shown

    def __html__(self) -> str:
        """What a template prints: the text, with the exact value beside it."""
        facts = {"data-value": exact(self.value), "data-record": self.record, "data-key": self.key}
        if isinstance(self.value, str) and self.shown != self.value:
            facts["title"] = self.value
        attributes = " ".join(f'{name}="{escape(fact)}"' for name, fact in facts.items())
        return f"<span {attributes}>{escape(self.shown)}</span>"


def exact(value: Any) -> str:
    """The value so that it can be read back: JSON's form of numbers, a text as it is."""
    return repr(value) if isinstance(value, float) else str(value)


def count(value: int, record: str, key: str) -> Figure:
    """A number of things: ``10,000``."""
    return Figure(value, f"{value:,}", record, key)


def percent(value: float, record: str, key: str) -> Figure:
    """A share (0..1) as per cent: ``98.67 %``."""
    return Figure(value, f"{100 * value:.2f} %", record, key)


def number(value: float, record: str, key: str, form: str = ".2f", unit: str = "") -> Figure:
    """A number in the given form."""
    return Figure(value, f"{value:{form}} {unit}".rstrip().replace("-", "−"), record, key)


def size(value: int, record: str, key: str) -> Figure:
    """Bytes as KB of 1,024 bytes; below one of them as they are."""
    return Figure(value, f"{value / 1024:,.1f} KB" if value >= 1024 else f"{value:,} bytes", record, key)


def text(value: str, record: str, key: str) -> Figure:
    """A text, such as a version."""
    return Figure(value, value, record, key)


def name(value: str, record: str, key: str) -> Figure:
    """The name of a layer or class, which may be long: see `short`."""
    return Figure(value, short(value), record, key)


def short(value: str) -> str:
    """A name without its middle where it is long: converters join the names of all operations that became a layer."""
    return value if len(value) <= _LONGEST else f"{value[: _LONGEST // 4]}…{value[1 + _LONGEST // 4 - _LONGEST :]}"
