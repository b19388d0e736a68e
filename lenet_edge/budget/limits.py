"""The budgets of a project: what its `lenet-edge.toml` allows.

The dataclasses are the schema; `strict_toml.keys(BudgetsFile)` gives every key with its type, unit and meaning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lenet_edge import strict_toml
from lenet_edge.errors import BadInputError
from lenet_edge.records.budget import COUNTS, SIZES, Number
from lenet_edge.strict_toml import about

__all__ = ["BOARD_KEYS", "MODEL", "BoardBudget", "Budgets", "BudgetsFile", "ModelBudget", "read_budgets"]

MODEL = "model"
BOARD_KEYS = (*SIZES, *COUNTS)

_MOST = 2**64 - 1


@dataclass(frozen=True)
class ModelBudget:
    """[model]: what is asked of its accuracy."""

    accuracy: float | None = field(
        default=None,
        metadata=about(
            "The least accuracy: a share, such as 0.99 for 99 %.",
            most=1,
            advice="a share from 0 to 1, such as 0.99 for 99 %",
        ),
    )
    drop_points: float | None = field(
        default=None,
        metadata=about(
            "The most accuracy that int8 may lose against the float model, such as 0.1.",
            unit="percentage points",
            least=-100,
            most=100,
            advice="percentage points from -100 to 100, such as 0.1",
        ),
    )


@dataclass(frozen=True)
class BoardBudget:
    """[board.NAME]: the most that an inference and its firmware may take."""

    flash_bytes: int | None = field(default=None, metadata=about("Flash, as `build` says.", unit="bytes", most=_MOST))
    ram_bytes: int | None = field(
        default=None, metadata=about("Static RAM, and the stack that is reserved.", unit="bytes", most=_MOST)
    )
    instructions: int | None = field(
        default=None, metadata=about("Instructions of an inference, as `bench` counts them.", most=_MOST)
    )
    cycles: int | None = field(
        default=None, metadata=about("Cycles of an inference, where the simulator counts them: on an AVR.", most=_MOST)
    )


@dataclass(frozen=True)
class BudgetsFile:
    """The file."""

    model: ModelBudget = field(default=ModelBudget(), metadata=about("What is asked of the model's accuracy."))
    board: Mapping[str, BoardBudget] = field(
        default_factory=dict, metadata=about("A table for each board: the most that it may take.")
    )


@dataclass(frozen=True)
class Budgets:
    """What a file allows: its keys, without those that it does not have.

    Attributes:
        model: of `ModelBudget`.
        boards: board -> of `BoardBudget`.
    """

    model: Mapping[str, Number]
    boards: Mapping[str, Mapping[str, int]]


def read_budgets(path: Path) -> Budgets:
    """The budgets of a file such as lenet-edge.toml, read strictly.

    Raises:
        BadInputError: it is missing or not TOML, has an unknown key, a value out of range, or no budget at all.
    """
    hint = "`lenet-edge budget --help` shows what it may have."
    file = strict_toml.read(BudgetsFile, strict_toml.load(path, "the file of budgets", hint), path)
    for name in file.board:
        if not re.fullmatch(r"[a-z0-9_-]+", name):  # as `boards` has them: it is in paths and in tables
            raise BadInputError(f"{path}: [board.{name!r}] is not a board's name; `lenet-edge boards` lists them")
    found = Budgets(_given(file.model), {name: _given(budget) for name, budget in file.board.items()})
    if not (found.model or any(found.boards.values())):
        raise BadInputError(f"{path} has no budget. {hint}")
    return found


def _given(budget: ModelBudget | BoardBudget) -> dict[str, int]:
    return {name: value for name, value in asdict(budget).items() if value is not None}
