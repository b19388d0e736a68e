"""TOML read by a schema, strictly: an unknown key is an error that names the nearest known one.

The schema is a dataclass: its names and types are what a table may have, and a field with a default may be
left out. A number must be finite and fit into 32 bits, unsigned, as addresses, sizes, frequencies,
register values and counts do; a field's `about` may give another range. A pair of numbers may be written as one that
stands for both. A field of type `Path` is not a key: the reader is given it. `keys` lists what a schema has.
"""

from __future__ import annotations

import codecs
import dataclasses
import difflib
import re
import tomllib
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from lenet_edge.errors import BadInputError
from lenet_edge.files import TEXT_BYTES, read_bytes

__all__ = ["LARGEST", "Key", "about", "did_you_mean", "keys", "load", "nearest", "parse", "read", "read_text"]

LARGEST = 0xFFFF_FFFF
"""The largest number that a file may have."""

Schema = TypeVar("Schema")

_UNIONS = (types.UnionType, Union)  # with a Literal in it, `A | B` is the second
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_LONG_NUMBER = re.compile(r"[0-9_]{1000,}")  # Python refuses one of 4,300 digits, and does not say where it is


def load(path: Path, what: str, hint: str = "") -> dict[str, Any]:
    """The content of a TOML file.

    Args:
        what: what messages call it, such as "the policy".
        hint: what to do where it is missing.

    Raises:
        BadInputError: it cannot be read, or as `parse`.
    """
    return parse(read_text(path, what, hint), path)


def read_text(path: Path, what: str, hint: str = "") -> str:
    """The text of a TOML file, which is UTF-8 with or without a byte order mark.

    Raises:
        BadInputError: it cannot be read, or is in another encoding.
    """
    content = read_bytes(path, what, hint, limit=TEXT_BYTES)
    if content.startswith(_UTF_16) or b"\0" in content:
        raise BadInputError(f"{path} has zero bytes or is UTF-16; save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8") from None


def parse(text: str, path: Path) -> dict[str, Any]:
    """The content of a TOML text.

    Args:
        path: the file that it is from, for messages.

    Raises:
        BadInputError: it is not TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInputError(f"{path} is not TOML: {error}") from None
    except RecursionError:
        raise BadInputError(f"{path} is not TOML that can be read: its values are nested too deeply") from None
    except ValueError:  # an integer of more digits than Python converts
        raise BadInputError(f"{path} is not TOML that can be read: {_long_number(text)}") from None


def _long_number(text: str) -> str:
    for number, line in enumerate(text.splitlines(), 1):
        if found := _LONG_NUMBER.search(line):
            key = line.partition("=")[0].strip()[:80]
            return f"line {number}: {key!r} has a number of {len(found[0]):,} digits; give a number of 32 bits"
    return "a number is too long; give a number of 32 bits"


def about(
    meaning: str, *, unit: str = "", least: float = 0, most: float = LARGEST, advice: str = ""
) -> Mapping[str, Any]:
    """What a key is, as the metadata of the dataclass's field.

    Args:
        meaning: a sentence.
        unit: of a number that has one.
        least, most: the range of a number.
        advice: what to give instead of a number out of range, such as "a share from 0 to 1".
    """
    return {"meaning": meaning, "unit": unit, "least": least, "most": most, "advice": advice}


@dataclass(frozen=True)
class Key:
    """What a TOML may have at one place.

    Attributes:
        table: the tables that it is in, joined by dots; "" at the top. `[]` marks a list of tables, `NAME` any name.
        name: the key.
        type: as messages call it, such as "an integer" or "a list of strings".
        required: whether it has no default.
        default: what is read where it is left out; None where that is nothing.
        meaning, unit: see `about`.
    """

    table: str
    name: str
    type: str
    required: bool
    default: Any
    meaning: str
    unit: str


def keys(schema: type, table: str = "") -> Iterator[Key]:
    """Every key of a schema, depth first: a table before what is in it."""
    hints = get_type_hints(schema)
    for entry in dataclasses.fields(schema):
        kind = hints[entry.name]
        if kind is Path:
            continue
        default = entry.default_factory() if entry.default_factory is not dataclasses.MISSING else entry.default
        required = default is dataclasses.MISSING
        default = None if required else default
        meaning, unit = entry.metadata.get("meaning", ""), entry.metadata.get("unit", "")
        yield Key(table, entry.name, _wanted_in_full(kind), required, default, meaning, unit)
        inner, mark = _table_in(kind)
        if inner is not None:
            yield from keys(inner, ".".join(part for part in (table, entry.name + mark) if part))


def _table_in(kind: Any) -> tuple[Any, str]:
    """The schema of the tables in a value, and how their place is marked."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in _UNIONS:
        return next((each for each in map(_table_in, inner) if each[0] is not None), (None, ""))
    if _is_list(kind) and dataclasses.is_dataclass(inner[0]):
        return inner[0], "[]"
    if origin is Mapping and dataclasses.is_dataclass(inner[1]):
        return inner[1], ".NAME"
    return (kind, "") if dataclasses.is_dataclass(kind) else (None, "")


def read(
    schema: type[Schema],
    content: Any,
    path: Path,
    given: Mapping[str, Any] | None = None,
    within: tuple[str, ...] = (),
) -> Schema:
    """A TOML's content, or a table of it, as a `schema`, which is a dataclass.

    Args:
        given: the values of the fields that are not keys of the file.
        within: the tables that the content is in, for messages.

    Raises:
        BadInputError: an unknown key, one that is missing, a value of the wrong type or out of range.
    """
    value: Schema = _read_table(schema, content, _Place(path, within), given or {})
    return value


def nearest(word: str, known: Iterable[str]) -> str:
    """ " Did you mean ...?", or all that is known where nothing is near."""
    known = sorted(known)
    if not known:
        return ""
    return did_you_mean(word, known) or f" Known: {', '.join(known)}."


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """ " Did you mean ...?" where something is near, else nothing."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f" Did you mean {near[0]!r}?" if near else ""


@dataclass(frozen=True)
class _Place:
    """Where in which file a value is, for messages."""

    path: Path
    keys: tuple[str, ...] = ()
    least: float = 0  # of a number here
    most: float = LARGEST
    advice: str = ""

    def inside(self, key: str, field: Mapping[str, Any] = MappingProxyType({})) -> _Place:
        """The place of a key, or of an item; `field` is the metadata of the dataclass's field."""
        about_ = {name: field.get(name, getattr(self, name)) for name in ("least", "most", "advice")}
        return _Place(self.path, (*self.keys, key), **about_)

    def error(self, what: str, key: str | None = None) -> BadInputError:
        """The error of this place, or of a key in it; `what` goes on after the key's name."""
        keys = self.keys if key is None else (*self.keys, key)
        table = f" in [{'.'.join(keys[:-1])}]" if keys[:-1] else ""
        return BadInputError(f"{self.path}{table}: {keys[-1] if keys else 'the file'!r} {what}")


def _read(kind: Any, value: Any, place: _Place) -> Any:
    """`value` as a `kind`, which is an annotation of a dataclass."""
    if dataclasses.is_dataclass(kind):
        return _read_table(kind, value, place)
    origin = get_origin(kind)
    if origin in _UNIONS:
        return _read_union(get_args(kind), value, place)
    if origin is Literal:
        return _read_choice(get_args(kind), value, place)
    if origin is tuple and not _is_list(kind):
        return _read_fixed(get_args(kind), value, place)
    if origin is tuple:
        items = _require(value, list, place)
        return tuple(_read(get_args(kind)[0], item, place.inside(str(index))) for index, item in enumerate(items))
    if origin is Mapping:
        table = _require(value, dict, place)
        return {key: _read(get_args(kind)[1], item, place.inside(key)) for key, item in table.items()}
    given = value
    if kind is float and type(value) is int:  # TOML's 0 and 0.0 are two types; a long integer has no float
        value = float(value) if abs(value) <= LARGEST else float("inf")
    _require(value, kind, place)
    if kind in (int, float) and not place.least <= value <= place.most:  # not a number is false as well
        raise place.error(f"is {_shown(given)}; give {_in_range(kind, given, place)}")
    if kind is str and not (value and value.isprintable()):
        raise place.error("is empty or has characters that cannot be printed; give a plain text")
    return value


def _read_choice(choices: tuple[str, ...], value: Any, place: _Place) -> str:
    word: str = _require(value, str, place)
    if word not in choices:
        raise place.error(f"is {word[:80]!r}; give {_choices(choices)}.{did_you_mean(word, choices)}")
    return word


def _read_fixed(kinds: tuple[Any, ...], value: Any, place: _Place) -> tuple[Any, ...]:
    """A list of fixed length; of a pair of one kind, also one value that stands for both."""
    if _is_pair(kinds) and type(value) is not list:
        value = [value] * 2
    items = _require(value, list, place)
    if len(items) != len(kinds):
        raise place.error(f"is a list of {len(items)}; give {_fixed(kinds)}")
    # No place of its own: "'0' is 7" would not say which key it is about.
    return tuple(_read(kind, item, place) for kind, item in zip(kinds, items, strict=True))


def _read_table(kind: Any, value: Any, place: _Place, given: Mapping[str, Any] = MappingProxyType({})) -> Any:
    table = _require(value, dict, place)
    hints = {name: hint for name, hint in get_type_hints(kind).items() if name not in given}
    for key in table:
        if key not in hints:
            raise place.error(f"is not known.{nearest(key, hints)}", key)
    for entry in dataclasses.fields(kind):
        optional = entry.default is not dataclasses.MISSING or entry.default_factory is not dataclasses.MISSING
        if entry.name not in table and entry.name not in given and not optional:
            raise place.error(f"is missing; {_wanted(hints[entry.name])} is needed", entry.name)
    about_ = {entry.name: entry.metadata for entry in dataclasses.fields(kind)}
    values = {key: _read(hints[key], item, place.inside(key, about_[key])) for key, item in table.items()}
    return kind(**values, **given)


def _in_range(kind: type, value: float, place: _Place) -> str:
    """What to give instead of a number out of range."""
    most = int(place.most)
    if place.advice:
        return place.advice
    if kind is int and place.least == 0 and most & (most + 1) == 0:  # all bits are set
        return "a number that is not negative" if value < 0 else f"a number of at most {most.bit_length()} bits"
    return f"a number from {place.least} to {place.most}"


def _shown(number: float) -> str:
    """A number as messages have it; Python refuses to show an integer of thousands of digits."""
    long = isinstance(number, int) and number.bit_length() > 64
    return f"an integer of {int(number).bit_length():,} bits" if long else str(number)


def _read_union(kinds: tuple[Any, ...], value: Any, place: _Place) -> Any:
    kinds = tuple(kind for kind in kinds if kind is not types.NoneType)  # TOML has no null: it is left out
    fitting = [kind for kind in kinds if type(value) in _toml_types(kind)]
    if len(kinds) > 1 and not fitting:
        wanted = " or ".join(map(_wanted, kinds))
        raise place.error(f"is {_named(value)}; give {wanted}")
    return _read((*fitting, *kinds)[0], value, place)


def _require(value: Any, kind: type, place: _Place) -> Any:
    if type(value) is not kind:  # not isinstance: a bool is an int
        raise place.error(f"is {_named(value)}; give {_wanted(kind)}")
    return value


def _toml_types(kind: Any) -> tuple[type, ...]:
    """The types of TOML's values that may be a `kind`."""
    if get_origin(kind) is Literal:
        return (str,)
    if get_origin(kind) is tuple:
        pair = not _is_list(kind) and _is_pair(get_args(kind))
        return (list, *(_toml_types(get_args(kind)[0]) if pair else ()))
    return (int, float) if kind is float else (kind,)


def _is_list(kind: Any) -> bool:
    """Whether it is a tuple of any length."""
    return get_origin(kind) is tuple and get_args(kind)[1:] == (...,)


def _is_pair(kinds: tuple[Any, ...]) -> bool:
    return len(kinds) == 2 and kinds[0] is kinds[1]


def _fixed(kinds: tuple[Any, ...]) -> str:
    """How a list of fixed length is called, which has values of one kind."""
    wanted = f"a list of {len(kinds)} {_plural(kinds[0])}"
    return f"{_wanted(kinds[0])} or {wanted}" if _is_pair(kinds) else wanted


def _choices(choices: tuple[str, ...]) -> str:
    named = [f'"{choice}"' for choice in choices]
    return " or ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)


_NAMES = {bool: "a boolean", dict: "a table", float: "a float", int: "an integer", list: "a list", str: "a string"}


def _named(value: Any) -> str:
    return _NAMES.get(type(value), "a date or time")


def _wanted_in_full(kind: Any) -> str:
    """As `_wanted`, and of what a list or a table with free names has."""
    inner = get_args(kind)
    if get_origin(kind) in _UNIONS:
        return " or ".join(_wanted_in_full(each) for each in inner if each is not types.NoneType)
    if _is_list(kind):
        return f"a list of {_plural(inner[0])}"
    if get_origin(kind) is Mapping:
        return f"a table of {_plural(inner[1])}"
    return _wanted(kind)


def _plural(kind: Any) -> str:
    if _is_list(kind):
        return f"lists of {_plural(get_args(kind)[0])}"
    named = _wanted_in_full(kind)
    return " or ".join(f"{each.removeprefix('a ').removeprefix('an ')}s" for each in named.split(" or "))


def _wanted(kind: Any) -> str:
    if dataclasses.is_dataclass(kind) or get_origin(kind) is Mapping:
        return _NAMES[dict]
    if get_origin(kind) is Literal:
        return _choices(get_args(kind))
    if get_origin(kind) is tuple:
        return _NAMES[list] if _is_list(kind) else _fixed(get_args(kind))
    return "a number" if kind is float else _NAMES[kind]  # an integer is taken as well
