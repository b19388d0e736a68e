"""Tables of the site that are made from the code when it is built, so that they cannot disagree with it.

mkdocs calls `on_page_markdown` for every page; a line `<!-- generate: NAME -->` there becomes the table of that name.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args, get_origin, get_type_hints

from lenet_edge.hardware import boards

_MARK = re.compile(r"^<!-- generate: ([a-z-]+) -->$", re.MULTILINE)
_NAMES = {str: "text", int: "integer", float: "number", bool: "true or false"}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The page's text with its generated tables; an unknown name is an error, which ends the build."""
    return _MARK.sub(lambda mark: TABLES[mark[1]](), markdown)


def board_keys() -> str:
    """The keys of a board's TOML, one table for each of its tables."""
    return "\n".join(_sections(boards._File, ""))


def policy_keys() -> str:
    """The keys of a policy."""
    return "\n".join(_rows(boards.Policy))


def _sections(schema: type, name: str) -> Iterator[str]:
    """A heading and a table for a schema, then those of the tables in it."""
    yield f"\n### {f'`[{name}]`' if name else 'At the top'}\n"
    yield f"{_summary(schema)}\n"
    yield from _rows(schema)
    for field, of in _tables_of(schema):
        yield from _sections(of, f"{name}.{field}" if name else field)


def _rows(schema: type) -> Iterator[str]:
    """The lines of a table: every key that is not a table of its own."""
    hints, meanings, tables = get_type_hints(schema), _meanings(schema), dict(_tables_of(schema))
    rows = [
        f"| `{field.name}` | {_type(hints[field.name])} | {_default(field)} | {meanings.get(field.name, '')} |"
        for field in dataclasses.fields(schema)
        if field.name not in tables
    ]
    if rows:
        yield from ("| key | type | default | meaning |", "|---|---|---|---|", *rows)


def _tables_of(schema: type) -> list[tuple[str, type]]:
    """The fields that a file writes as `[tables]`, with their schemas."""
    hints = get_type_hints(schema)
    found = []
    for field in dataclasses.fields(schema):
        for of in (hints[field.name], *get_args(hints[field.name])):
            if dataclasses.is_dataclass(of) and get_origin(hints[field.name]) is not tuple:
                found.append((field.name, of))
    return found


def _type(hint: Any) -> str:
    """A type as one writes it in TOML."""
    if hint in _NAMES:
        return _NAMES[hint]
    if dataclasses.is_dataclass(hint):
        return "table"
    arguments = [each for each in get_args(hint) if each not in (type(None), Ellipsis)]
    match get_origin(hint):
        case types.UnionType | typing.Union:
            return " or ".join(map(_type, arguments))
        case origin if origin is tuple:
            return f"list of {_type(arguments[0])}s"
        case origin if issubclass(origin, Mapping):
            return f"table of name = {_type(arguments[1])}"
    raise TypeError(f"no words for {hint}")


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is dataclasses.MISSING:
        return "none" if field.default_factory is not dataclasses.MISSING else "**required**"
    match field.default:
        case None | "" | ():
            return "none"
        case tuple():
            return f"`[{', '.join(map(repr, field.default))}]`"
        case bool():
            return f"`{str(field.default).lower()}`"
    return f"`{field.default}`"


def _summary(schema: type) -> str:
    return (schema.__doc__ or "").strip().partition("\n\n")[0].replace("\n", " ")


def _meanings(schema: type) -> dict[str, str]:
    """Field -> what the docstrings of the schema and of what it inherits say of it."""
    found: dict[str, str] = {}
    for of in reversed(schema.__mro__):
        attributes = (of.__dict__.get("__doc__") or "").partition("Attributes:\n")[2]
        for names, meaning in re.findall(r"^ {8}([\w, ]+): ((?:.*\n(?: {12}.*\n)*))", attributes + "\n", re.MULTILINE):
            for name in names.split(", "):
                found[name] = " ".join(meaning.split())
    return found


TABLES: Mapping[str, Callable[[], str]] = {"board-keys": board_keys, "policy-keys": policy_keys}
