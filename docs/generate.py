"""Tables of the site that are made from the code when it is built, so that they cannot disagree with it.

mkdocs calls `on_page_markdown` for every page; a line `<!-- generate: NAME -->` there becomes the table of that name.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Mapping
from itertools import groupby
from typing import Any

from lenet_edge import api, strict_toml
from lenet_edge.formats.c_source import FAMILIES
from lenet_edge.hardware.boards import Board, Policy
from lenet_edge.hardware.firmware import Firmware
from lenet_edge.networks.description import LAYER_TYPES, Recipe
from lenet_edge.networks.reader import NetworkFile
from lenet_edge.records import CheckRecord
from lenet_edge.sweep.space import SpaceFile

_MARK = re.compile(r"^<!-- generate: ([a-z-]+) -->$", re.MULTILINE)
_HEAD = ("| key | type | default | meaning |", "|---|---|---|---|")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The page's text with its generated tables; an unknown name is an error, which ends the build."""
    return _MARK.sub(lambda mark: TABLES[mark[1]](), markdown)


def board_keys() -> str:
    """The keys of a board's TOML, a section for each of its tables."""
    keys = list(strict_toml.keys(Board))
    meanings = {_path(key): key.meaning for key in keys}
    lines: list[str] = []
    for table, entries in groupby(sorted(keys, key=lambda key: _order(key.table, keys)), key=lambda key: key.table):
        rows = [_row(key) for key in entries if not _is_table(key, keys)]
        lines += [f"\n### {_heading(table)}\n"]
        lines += [f"{meanings[table]}\n"] if table in meanings else []
        lines += [*_HEAD, *rows] if rows else []
    return "\n".join(lines)


def _heading(table: str) -> str:
    if not table:
        return "At the top"
    return f"`[[{table.removesuffix('[]')}]]`, a list of tables" if table.endswith("[]") else f"`[{table}]`"


def policy_keys() -> str:
    """The keys of a policy."""
    return "\n".join([*_HEAD, *map(_row, strict_toml.keys(Policy))])


def network_keys() -> str:
    """The keys of a network's TOML: at the top, its recipe, and of each type of layer."""
    parts = {"At the top": NetworkFile, "`[recipe]`": Recipe}
    parts |= {f'`type = "{name}"`': layer for name, layer in LAYER_TYPES.items()}
    lines: list[str] = []
    for heading, schema in parts.items():
        keys = [key for key in strict_toml.keys(schema) if not key.table]
        lines += [f"\n### {heading}\n", *_HEAD, *map(_row, keys)]
    return "\n".join(lines)


def sweep_keys() -> str:
    """The keys of a sweep's space."""
    keys = [key for key in strict_toml.keys(SpaceFile) if key.table == "space"]
    rows = [f"| `{key.name}` | {key.type} | {key.meaning}{f' ({key.unit})' if key.unit else ''} |" for key in keys]
    return "\n".join(["| key | type | meaning |", "|---|---|---|", *rows])


def kernel_families() -> str:
    """What each family of kernels runs on."""
    rows = [
        f"| `{family.name}` | {', '.join(sorted(family.cpus)) or 'any C99 (and C++) compiler'} | "
        f"`firmware/kernels/{family.folder}/`, `lenet_edge/formats/c_source/families/{family.folder}.py` |"
        for family in FAMILIES.values()
    ]
    return "\n".join(["| `--kernels` | runs on | its files |", "|---|---|---|", *rows])


def python_functions() -> str:
    """The functions of the Python interface with their parameters, and what they return."""
    parts = []
    for name in api.FUNCTIONS:
        function = getattr(api, name)
        parts += [f"\n## `{name}`\n", _signature(function), _described(function)]
    for kind in (*api.RESULTS, CheckRecord, Firmware):
        parts += [f"\n## `{kind.__name__}`\n", _described(kind)]
    return "\n".join(parts)


def _signature(function: Callable[..., Any]) -> str:
    """The head of a function, a line for each parameter."""
    signature, lines = inspect.signature(function), []
    for parameter in signature.parameters.values():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and "    *," not in lines:
            lines.append("    *,")
        default = "" if parameter.default is inspect.Parameter.empty else f" = {parameter.default!r}"
        lines.append(f"    {parameter.name}: {parameter.annotation}{default},")
    head, end = f"lenet_edge.{function.__name__}(", f") -> {signature.return_annotation}"
    return "\n".join(["```python", head, *lines, end, "```\n"])


def _described(thing: Any) -> str:
    """A docstring: its first lines as a paragraph, its lists as tables."""
    first, *sections = re.split(r"^(Args|Attributes|Raises):\n", inspect.getdoc(thing) or "", flags=re.MULTILINE)
    parts = [_code(first.strip())]
    for title, text in zip(sections[::2], sections[1::2], strict=True):
        rows = re.findall(r"^ {4}(\S[^:]*): (.*(?:\n {5,}.*)*)", text, re.MULTILINE)
        head = {"Args": "parameter", "Attributes": "attribute", "Raises": "raises"}[title]
        parts += [f"\n| {head} | |\n|---|---|"]
        parts += [
            f"| {', '.join(f'`{name}`' for name in names.split(', '))} | {_cell(words)} |" for names, words in rows
        ]
    return "\n".join(parts)


def _cell(words: str) -> str:
    return _code(" ".join(words.split()).removesuffix("."))


def _code(text: str) -> str:
    """Markdown has one backtick where docstrings have two."""
    return text.replace("``", "`")


def _path(key: strict_toml.Key) -> str:
    return f"{key.table}.{key.name}".lstrip(".")


def _order(table: str, keys: list[strict_toml.Key]) -> int:
    """Tables in the order of the schema, each with all of its keys, though the schema has a table's tables between."""
    return 1 + [_path(key) for key in keys].index(table.removesuffix("[]")) if table else 0


def _is_table(key: strict_toml.Key, keys: list[strict_toml.Key]) -> bool:
    return any(each.table == _path(key) for each in keys)


def _row(key: strict_toml.Key) -> str:
    default = "**required**" if key.required else _toml(key.default)
    kind = key.type.removeprefix("a ").removeprefix("an ") + (f", {key.unit}" if key.unit else "")
    return f"| `{key.name}` | {kind} | {default} | {key.meaning} |"


def _toml(value: Any) -> str:
    """A default as one would write it."""
    if value is None or value == () or value == {} or dataclasses.is_dataclass(value):
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return "`[" + ", ".join(f'"{each}"' for each in value) + "]`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


TABLES: Mapping[str, Callable[[], str]] = {
    "board-keys": board_keys,
    "kernel-families": kernel_families,
    "network-keys": network_keys,
    "policy-keys": policy_keys,
    "python-functions": python_functions,
    "sweep-keys": sweep_keys,
}
