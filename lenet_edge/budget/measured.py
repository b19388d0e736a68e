"""What was measured: the records that `check`, `build` and `bench` leave below build/.

All are of one model; a record of another is an error, since it would be judged in place of the one that is meant.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lenet_edge import strict_toml
from lenet_edge.budget.limits import MODEL, Budgets
from lenet_edge.errors import BadInputError
from lenet_edge.records import MANIFEST, BudgetRecord, CheckRecord, read_bench, read_budget, read_build, read_check
from lenet_edge.records.budget import ACCURACY, COUNTS, DIFFER, DROP, SIZES, Number

__all__ = ["Measured", "read_base", "read_measured"]

_READERS = {"build": read_build, "bench": read_bench}


@dataclass(frozen=True)
class Measured:
    """What the records say.

    Attributes:
        fingerprint: of the model.
        data, images: what `check` ran on.
        problems: why `check` did not pass.
        values: "model", or a board -> measure -> value.
        toolchains: board -> what its firmware was compiled with.
    """

    fingerprint: str
    data: str
    images: int
    problems: tuple[str, ...]
    values: Mapping[str, Mapping[str, Number]]
    toolchains: Mapping[str, str]


def read_measured(folder: Path, budgets: Budgets) -> Measured:
    """What the records in `folder` say about the model and the boards that have budgets.

    Raises:
        BadInputError: a record that a budget needs is missing, is not one, or is of another model.
    """
    path = folder / "check.json"
    check = read_check(path)
    values = {MODEL: _model_values(check)}
    for name in budgets.model:
        if name not in values[MODEL]:
            raise BadInputError(
                f"{path} has no {name} (data {check.data}), but there is a budget: run lenet-edge check again"
            )
    toolchains = {}
    for board, budget in budgets.boards.items():
        values[board], toolchains[board] = _board_values(folder, board, budget, check.fingerprint)
    return Measured(check.fingerprint, check.data, check.images, check.problems, values, toolchains)


def _model_values(check: CheckRecord) -> dict[str, Number]:
    found = {ACCURACY: check.int8_accuracy, DROP: check.drop_points}
    values: dict[str, Number] = {name: value for name, value in found.items() if value is not None}
    return {**values, DIFFER: sum(engine.logits_differ or 0 for engine in check.engines)}


def _board_values(
    folder: Path, board: str, budget: Mapping[str, int], fingerprint: str
) -> tuple[dict[str, Number], str]:
    """(measure -> value, toolchain); what no budget asks for may be missing."""
    built, counted = folder / "firmware" / board / MANIFEST, folder / "bench" / f"{board}.json"
    values: dict[str, Number] = {}
    toolchain = ""
    # Of a name that is too long for a file, Path.exists raises.
    if set(SIZES) & set(budget) or os.path.exists(built):
        build = _read_board(built, "build", board, fingerprint, folder)
        # As `build` adds them up: all loadable bytes; static RAM and the stack that is reserved.
        values |= dict(zip(SIZES, (build.sizes.flash, build.sizes.ram), strict=True))
        toolchain = build.toolchain
    if set(COUNTS) & set(budget) or os.path.exists(counted):
        bench = _read_board(counted, "bench", board, fingerprint, folder)
        values, toolchain = values | {bench.unit: bench.total}, bench.toolchain
    for name in budget:
        if name not in values:
            other = ", ".join(sorted(set(values) - set(SIZES)))
            raise BadInputError(f"{counted} counts {other}, not {name}; give [board.{board}] a budget of {other}")
    return values, toolchain


def _read_board(path: Path, command: str, board: str, fingerprint: str, folder: Path) -> Any:
    how = f"lenet-edge {command} --board {board}"
    if not os.path.exists(path):
        there = [entry.stem for entry in (folder / "bench").glob("*.json")]
        there += [entry.parent.name for entry in (folder / "firmware").glob(f"*/{MANIFEST}")]
        raise BadInputError(
            f"there is a budget for the board {board!r}, but no record {path}.{strict_toml.nearest(board, set(there))} "
            f"Make it with: {how}"
        )
    record: Any = _READERS[command](path, board)
    if record.board != board or record.fingerprint != fingerprint:
        raise BadInputError(
            f"{path} is of {record.board} and model {record.fingerprint[:16]}; the check is of model "
            f"{fingerprint[:16]}. Make both again: lenet-edge check, {how}"
        )
    return record


def read_base(path: Path) -> BudgetRecord | None:
    """What `budget` recorded on the base branch; None where there is no such file, as before the first merge.

    Raises:
        BadInputError: the file is not such a record.
    """
    return read_budget(path) if path.exists() else None
