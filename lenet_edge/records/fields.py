"""A record as data that anybody may have edited: a JSON object whose fields are asked for by type and range."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from lenet_edge import strict_json
from lenet_edge.errors import BadInputError
from lenet_edge.files import read_bytes, to_json, write_file

__all__ = [
    "BOARD",
    "SHA256",
    "Fields",
    "WrongRecordError",
    "content_of",
    "load_object",
    "read_record",
    "readable",
    "record_fields",
    "require_format",
    "shown",
    "write_record",
]

Record = TypeVar("Record")

SHA256, BOARD = r"[0-9a-f]{64}", r"[a-z0-9_-]+"

_LARGEST_FILE = 4 << 20  # ours have some KB
_LARGEST_COUNT = 10**15
_LONGEST_TEXT = 1 << 16


class WrongRecordError(ValueError):
    """What is wrong with a record; the text goes on after the name of its file."""


def read_record(path: Path, parse: Callable[[Mapping[str, Any]], Record], command: str) -> Record:
    """What `parse` makes of the JSON object in a file.

    Args:
        command: that writes such a record: `lenet-edge check`, and its arguments.

    Raises:
        BadInputError: the file is missing, or `parse` raised `WrongRecordError`.
    """
    data = read_bytes(path, "the record", f"Make it with: {command}", limit=_LARGEST_FILE)
    name = " ".join(command.split()[:2])
    try:
        return parse(load_object(data))
    except WrongRecordError as error:
        raise BadInputError(f"{path} is not a record of `{name}`: {error}. Make it again with: {command}") from None


def write_record(path: Path, content: Mapping[str, Any], parse: Callable[[Mapping[str, Any]], Any]) -> None:
    """Write the JSON object of a record, which `parse` must take: what is written can be read.

    Raises:
        BadInputError: it cannot be written.
        WrongRecordError: it is not such a record, which is our fault.
    """
    data = to_json(content).encode()
    parse(load_object(data))
    write_file(path, data)


def content_of(record: Any, form: int) -> dict[str, Any]:
    """The JSON object of a record: its attributes under their names, and its format's number."""
    return {"format": form, **asdict(record)}


def load_object(data: bytes) -> Mapping[str, Any]:
    """The JSON object of that text, as `strict_json` reads it; `WrongRecordError` where it is not one."""
    try:
        content = strict_json.parse(data)
    except ValueError as error:
        raise WrongRecordError(f"it is not JSON that can be read: {str(error)[:100]}") from None
    if not isinstance(content, dict):
        raise WrongRecordError("it is not a JSON object")
    return content


def readable(value: Any) -> Any:
    """JSON values with texts that `Fields` reads: bytes that are not UTF-8 become escapes, `\\udcff`."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()[:_LONGEST_TEXT]
    if isinstance(value, Mapping):
        return {readable(key): readable(each) for key, each in value.items()}
    return [readable(each) for each in value] if isinstance(value, list | tuple) else value


class Fields:
    """A JSON object whose fields are asked for by type and range; what is not as asked raises `WrongRecordError`."""

    def __init__(self, content: Any, where: str = "") -> None:
        self._where = f"{where}: " if where else ""
        if not isinstance(content, dict):
            raise WrongRecordError(f"{where or 'it'} is not an object")
        self._content, self._asked = content, set[str]()

    @property
    def content(self) -> Mapping[str, Any]:
        """The object as it came, where nothing is judged by its fields."""
        return self._content

    def wrong(self, key: str, wanted: str) -> WrongRecordError:
        """The error of a field that is not what was `wanted`."""
        return WrongRecordError(f"{self._where}{key} is {shown(self._content.get(key))}, not {wanted}")

    def get(self, key: str) -> Any:
        """A field that must be there, whatever it holds."""
        self._asked.add(key)
        if key not in self._content:
            raise WrongRecordError(f"{self._where}{key} is missing")
        return self._content[key]

    def has(self, key: str) -> bool:
        return key in self._content

    def text(self, key: str, pattern: str = "") -> str:
        """A text; with a pattern one that is matched as a whole."""
        value = self.get(key)
        if not _is_text(value) or (pattern and not re.fullmatch(pattern, value)):
            raise self.wrong(key, "as it should be" if pattern and isinstance(value, str) else "a text")
        return str(value)

    def texts(self, key: str) -> tuple[str, ...]:
        values = self._list(key)
        if not all(map(_is_text, values)):
            raise self.wrong(key, "a list of texts")
        return tuple(values)

    def flag(self, key: str) -> bool:
        value = self.get(key)
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value

    def count(self, key: str, most: int = _LARGEST_COUNT, least: int = 0) -> int:
        """An integer from `least` to `most`; true is not one."""
        value = self.get(key)
        if type(value) is not int or not least <= value <= most:
            raise self.wrong(key, f"an integer from {least:,} to {most:,}")
        return value

    def counts(self, key: str, most: int = _LARGEST_COUNT) -> tuple[int, ...]:
        """A list of integers from 0 to `most`."""
        items = self._listed(key)
        return tuple(items.count(number, most) for number in items.items())

    def rows(self, key: str) -> tuple[tuple[int, ...], ...]:
        """A list of lists of counts."""
        rows = self._list(key)
        for row in rows:
            if not isinstance(row, list) or not all(
                type(count) is int and 0 <= count <= _LARGEST_COUNT for count in row
            ):
                raise self.wrong(key, "rows of counts")
        return tuple(map(tuple, rows))

    def number(self, key: str, low: float, high: float) -> float:
        """A finite number from `low` to `high`."""
        value = self.get(key)
        if type(value) not in (int, float) or not low <= value <= high:
            raise self.wrong(key, f"a number from {low:g} to {high:g}")
        return float(value)

    def optional(self, key: str, read: Callable[..., Any], *arguments: Any) -> Any:
        """None where the field is null, else what `read` makes of it."""
        return None if self.get(key) is None else read(key, *arguments)

    def given(self, key: str, read: Callable[..., Any], *arguments: Any) -> Any:
        """As `optional`; None also where the field is left out."""
        self._asked.add(key)
        return self.optional(key, read, *arguments) if self.has(key) else None

    def numbers(self, key: str, low: float, high: float) -> list[float]:
        items = self._listed(key)
        return [items.number(number, low, high) for number in items.items()]

    def require_known(self) -> None:
        """Refuse fields that were not asked for so far."""
        for key in self._content:
            if key not in self._asked:
                raise WrongRecordError(f"{self._where}{shown(key)} is not known")

    def objects(self, key: str) -> list[Fields]:
        return [Fields(value, f"{self._where}{key} {number}") for number, value in enumerate(self._list(key))]

    def table(self, key: str) -> Fields:
        return Fields(self.get(key), f"{self._where}{key}")

    def items(self) -> Sequence[str]:
        return tuple(self._content)

    def _listed(self, key: str) -> Fields:
        """A list as an object, whose keys are its places."""
        return Fields({str(place): value for place, value in enumerate(self._list(key))}, f"{self._where}{key}")

    def _list(self, key: str) -> list[Any]:
        value = self.get(key)
        if not isinstance(value, list):
            raise self.wrong(key, "a list")
        return value


def _is_text(value: Any) -> bool:
    """A text that can be printed, which a lone half of a surrogate pair cannot."""
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        return False
    return not any("\ud800" <= letter <= "\udfff" for letter in value)


def shown(value: Any) -> str:
    text = ascii(value) if not isinstance(value, int) or abs(value) < 10**30 else "a very large number"
    return text if len(text) <= 60 else f"{text[:57]}..."


@contextmanager
def record_fields(content: Any, form: int | None = None) -> Iterator[Fields]:
    """The fields of a record, or of an object in one; at the end those that nobody has asked for are refused.

    Args:
        content: a JSON object, or its `Fields`.
        form: the format's number, which a record must have.

    Raises:
        WrongRecordError: as of `Fields`, `require_format` and `Fields.require_known`.
    """
    fields = content if isinstance(content, Fields) else Fields(content)
    if form is not None:
        require_format(fields, form, numbered=True)
    yield fields
    fields.require_known()


def require_format(fields: Fields, wanted: int, *, numbered: bool) -> None:
    """Refuse another version's record.

    Args:
        numbered: whether a record without a number is refused: this version reads none without one.
    """
    if not numbered and not fields.has("format"):
        return
    found = fields.get("format") if fields.has("format") else None
    if type(found) is not int or found != wanted:
        raise WrongRecordError(f"its format is {shown(found)}, another version's; this one reads {wanted}")
