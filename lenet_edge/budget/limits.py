"""The budgets of a project: what its `lenet-edge.toml` allows."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lenet_edge import strict_toml
from lenet_edge.errors import BadInputError
from lenet_edge.records.budget import ACCURACY, COUNTS, DROP, SIZES, Number

__all__ = ["BOARD_KEYS", "MODEL", "Budgets", "read_budgets"]

MODEL = "model"
MODEL_KEYS, BOARD_KEYS = (ACCURACY, DROP), (*SIZES, *COUNTS)


@dataclass(frozen=True)
class Budgets:
    """What a file allows.

    Attributes:
        model: of `accuracy` (0..1, at least) and `drop_points` (percentage points, at most) what it has.
        boards: board -> of `flash_bytes`, `ram_bytes`, `instructions`, `cycles` (at most) what it has.
    """

    model: Mapping[str, Number]
    boards: Mapping[str, Mapping[str, int]]


def read_budgets(path: Path) -> Budgets:
    """The budgets of a file such as lenet-edge.toml, read strictly.

    Raises:
        BadInputError: it is missing or no TOML, has a word that is none of ours, a value that cannot be meant, or no
            budget at all.
    """
    hint = "`lenet-edge budget --help` shows what it may have."
    content = strict_toml.load(path, "the budgets", hint)
    _require_known(content, (MODEL, "board"), str(path))
    model = _table(content, MODEL, MODEL_KEYS, str(path))
    named = _require_table(content.get("board", {}), f"{path}: 'board'")
    for name in named:
        if not re.fullmatch(r"[a-z0-9_-]+", name):  # as `boards` has them: it is in paths and in tables
            raise BadInputError(f"{path}: [board.{name!r}] is no board's name; `lenet-edge boards` lists them")
    boards = {name: _table(named, name, BOARD_KEYS, f"{path} in [board]") for name in named}
    if not (model or any(boards.values())):
        raise BadInputError(f"{path} has no budget. {hint}")
    return Budgets(model, boards)


def _table(content: Mapping[str, Any], key: str, known: Sequence[str], where: str) -> dict[str, Any]:
    table = _require_table(content.get(key, {}), f"{where}: {key!r}")
    _require_known(table, known, f"{where} in [{key}]")
    for name, value in table.items():
        problem = _problem(name, value)
        if problem:
            raise BadInputError(f"{where} in [{key}]: {name!r} {problem}")
    return table


def _require_table(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadInputError(f"{where} is {strict_toml.shown(value)}; give a table")
    return value


def _require_known(table: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise BadInputError(f"{where}: {key!r} is not known.{strict_toml.nearest(key, known)}")


def _problem(name: str, value: Any) -> str:
    """What is wrong with a budget's value; empty where it can be meant."""
    if type(value) not in ((int, float) if name in MODEL_KEYS else (int,)):  # a bool is an int
        return f"is {strict_toml.shown(value)}; give {'a number' if name in MODEL_KEYS else 'an integer'}"
    if isinstance(value, int) and value.bit_length() > 64:  # a longer one has no float, and may not even be shown
        return f"is {strict_toml.shown(value)}; give a number of at most 64 bits"
    if not math.isfinite(value):
        return f"is {value}; give a number"
    if name == ACCURACY and not 0 <= value <= 1:
        return f"is {value}; give a share from 0 to 1, such as 0.99 for 99 %"
    if name == DROP and not -100 <= value <= 100:
        return f"is {value}; give percentage points, such as 0.1"
    if name in BOARD_KEYS and value < 0:
        return f"is {value}; give a number that is not negative"
    return ""
