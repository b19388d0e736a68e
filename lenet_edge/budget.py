"""Budgets of a project: what `lenet-edge.toml` allows, what the records say, and what a change did to both.

The records are what the other commands leave below build/: check.json, firmware/BOARD/manifest.json, bench/BOARD.json.
All are of one model; a record of another is an error, for it would be judged in place of the one that is meant.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lenet_edge import records, strict_toml
from lenet_edge.errors import BadInputError
from lenet_edge.files import MANIFEST

__all__ = [
    "HEADINGS",
    "Budgets",
    "Measure",
    "Record",
    "cells",
    "judge",
    "read_base",
    "read_budgets",
    "read_records",
    "to_markdown",
]

MODEL = "model"
_ACCURACY, _DROP, _DIFFER = "accuracy", "drop_points", "logits_differ"
_SIZES = ("flash_bytes", "ram_bytes")
_COUNTS = ("instructions", "cycles")
_MODEL_KEYS, _BOARD_KEYS = (_ACCURACY, _DROP), (*_SIZES, *_COUNTS)
_AT_LEAST = (_ACCURACY,)  # the other budgets are upper ones
_TITLES = {
    _ACCURACY: "accuracy",
    _DROP: "drop against float, points",
    _DIFFER: "logits that differ",
    "flash_bytes": "flash, bytes",
    "ram_bytes": "RAM, bytes",
}

Number = int | float


@dataclass(frozen=True)
class Budgets:
    """What a file allows.

    Attributes:
        model: of `accuracy` (0..1, at least) and `drop_points` (percentage points, at most) what it has.
        boards: board -> of `flash_bytes`, `ram_bytes`, `instructions`, `cycles` (at most) what it has.
    """

    model: Mapping[str, Number]
    boards: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Record:
    """What was measured.

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


@dataclass(frozen=True)
class Measure:
    """One line of the table.

    Attributes:
        of: "model" or a board.
        name: what was measured.
        value: now.
        budget: what it may be at most (accuracy: at least); None where the file says nothing.
        base: what it was on the base branch; None where that is not known.
    """

    of: str
    name: str
    value: Number
    budget: Number | None
    base: Number | None

    @property
    def within(self) -> bool:
        if self.budget is None:
            return True
        return self.value >= self.budget if self.name in _AT_LEAST else self.value <= self.budget

    @property
    def change(self) -> Number | None:
        """Now less base."""
        return None if self.base is None else self.value - self.base

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "change": self.change, "within": self.within}


# --- the budgets ----------------------------------------------------------------------------------


def read_budgets(path: Path) -> Budgets:
    """The budgets of a file such as lenet-edge.toml, read strictly.

    Raises:
        BadInputError: it is missing or no TOML, has a word that is none of ours, a value that cannot be meant, or no
            budget at all.
    """
    hint = "`lenet-edge budget --help` shows what it may have."
    content = strict_toml.load(path, "the budgets", hint)
    _require_known(content, (MODEL, "board"), str(path))
    model = _table(content, MODEL, _MODEL_KEYS, str(path))
    named = _require_table(content.get("board", {}), f"{path}: 'board'")
    for name in named:
        if not re.fullmatch(r"[a-z0-9_-]+", name):  # as `boards` has them: it is in paths and in tables
            raise BadInputError(f"{path}: [board.{name!r}] is no board's name; `lenet-edge boards` lists them")
    boards = {name: _table(named, name, _BOARD_KEYS, f"{path} in [board]") for name in named}
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
    if type(value) not in ((int, float) if name in _MODEL_KEYS else (int,)):  # a bool is an int
        return f"is {strict_toml.shown(value)}; give {'a number' if name in _MODEL_KEYS else 'an integer'}"
    if isinstance(value, int) and value.bit_length() > 64:  # a longer one has no float, and may not even be shown
        return f"is {strict_toml.shown(value)}; give a number of at most 64 bits"
    if not math.isfinite(value):
        return f"is {value}; give a number"
    if name == _ACCURACY and not 0 <= value <= 1:
        return f"is {value}; give a share from 0 to 1, such as 0.99 for 99 %"
    if name == _DROP and not -100 <= value <= 100:
        return f"is {value}; give percentage points, such as 0.1"
    if name in _BOARD_KEYS and value < 0:
        return f"is {value}; give a number that is not negative"
    return ""


# --- the records ----------------------------------------------------------------------------------


def read_records(folder: Path, budgets: Budgets) -> Record:
    """What the records in `folder` say about the model and the boards that have budgets.

    Raises:
        BadInputError: a record that a budget needs is missing, is not one, or is of another model.
    """
    path = folder / "check.json"
    check = records.read_check(path)
    values = {MODEL: _model_values(check)}
    for name in budgets.model:
        if name not in values[MODEL]:
            raise BadInputError(
                f"{path} has no {name} (data {check.data}), but there is a budget: run lenet-edge check again"
            )
    toolchains = {}
    for board, budget in budgets.boards.items():
        values[board], toolchains[board] = _board_values(folder, board, budget, check.fingerprint)
    return Record(check.fingerprint, check.data, check.images, check.problems, values, toolchains)


def _model_values(check: records.CheckRecord) -> dict[str, Number]:
    found = {_ACCURACY: check.int8_accuracy, _DROP: check.drop_points}
    values: dict[str, Number] = {name: value for name, value in found.items() if value is not None}
    return {**values, _DIFFER: sum(engine.logits_differ or 0 for engine in check.engines)}


def _board_values(
    folder: Path, board: str, budget: Mapping[str, int], fingerprint: str
) -> tuple[dict[str, Number], str]:
    """(measure -> value, toolchain); what no budget asks for may be missing."""
    built, counted = folder / "firmware" / board / MANIFEST, folder / "bench" / f"{board}.json"
    values: dict[str, Number] = {}
    toolchain = ""
    if set(_SIZES) & set(budget) or built.exists():
        build = _read_board(built, "build", board, fingerprint, folder, records.parse_build)
        values, toolchain = values | _sizes_of(build, built), build.toolchain
    if set(_COUNTS) & set(budget) or counted.exists():
        bench = _read_board(counted, "bench", board, fingerprint, folder, records.parse_bench)
        values, toolchain = values | {bench.unit: bench.total}, bench.toolchain
    for name in budget:
        if name not in values:
            other = ", ".join(sorted(set(values) - set(_SIZES)))
            raise BadInputError(f"{counted} counts {other}, not {name}; give [board.{board}] a budget of {other}")
    return values, toolchain


def _sizes_of(build: records.BuildRecord, path: Path) -> dict[str, Number]:
    """As `build` adds them up: all loadable bytes; static RAM and the stack that is reserved."""
    sizes = build.sizes
    try:
        return {"flash_bytes": sizes["code"] + sizes["tables"], "ram_bytes": sizes["buffers"] + sizes["stack"]}
    except KeyError as error:
        how = f"lenet-edge build --board {build.board}"
        raise BadInputError(f"{path} has no size {error}; make it again with: {how}") from None


def _read_board(
    path: Path, command: str, board: str, fingerprint: str, folder: Path, parse: Callable[[Mapping[str, Any]], Any]
) -> Any:
    how = f"lenet-edge {command} --board {board}"
    if not os.path.exists(path):  # of a name that is too long, Path.exists raises
        there = [entry.stem for entry in (folder / "bench").glob("*.json")]
        there += [entry.parent.name for entry in (folder / "firmware").glob(f"*/{MANIFEST}")]
        raise BadInputError(
            f"there is a budget for the board {board!r}, but no record {path}.{strict_toml.nearest(board, set(there))} "
            f"Make it with: {how}"
        )
    record = records.read_record(path, parse, how)
    if record.board != board or record.fingerprint != fingerprint:
        raise BadInputError(
            f"{path} is of {record.board} and model {record.fingerprint[:16]}; the check is of model "
            f"{fingerprint[:16]}. Make both again: lenet-edge check, {how}"
        )
    return record


def read_base(path: Path) -> Record | None:
    """What `budget` recorded on the base branch; None where there is no such file, as before the first merge.

    Raises:
        BadInputError: the file is not such a record.
    """
    if not path.exists():
        return None
    found: Record = records.read_record(path, _parse_base, "lenet-edge budget")
    return found


def _parse_base(content: Mapping[str, Any]) -> Record:
    fields = records.Fields(content)
    values: dict[str, dict[str, Number]] = {}
    for line in fields.objects("measures"):
        of, name = line.text("of"), line.text("name")
        if name in values.setdefault(of, {}):
            raise records.WrongRecordError(f"it has {name} of {of} twice")
        values[of][name] = _measured(line, name)
    names = fields.table("toolchains")
    toolchains = {board: names.text(board) for board in names.items()}
    fingerprint, data, images = fields.text("fingerprint"), fields.text("data"), fields.count("images")
    return Record(fingerprint, data, images, (), values, toolchains)


def _measured(line: records.Fields, name: str) -> Number:
    """The value of a measure, within what that measure can be."""
    if name == _ACCURACY:
        return line.number("value", 0, 1)
    if name == _DROP:
        return line.number("value", -100, 100)
    if name not in (_DIFFER, *_BOARD_KEYS):
        raise line.wrong("name", f"one of {', '.join((_ACCURACY, _DROP, _DIFFER, *_BOARD_KEYS))}")
    return line.count("value")


# --- the verdict ----------------------------------------------------------------------------------


def judge(budgets: Budgets, record: Record, base: Record | None) -> tuple[list[Measure], list[str], list[str]]:
    """(all lines of the table, every reason to refuse the change, what the reader should know of the base)."""
    notes = []
    if base is not None and (base.data, base.images) != (record.data, record.images):
        notes.append(f"the base was checked on {base.images:,} images of {base.data}: no change of the model's figures")
    measures = []
    for of, values in record.values.items():
        limits = {**budgets.model, _DIFFER: 0} if of == MODEL else budgets.boards[of]
        known = {} if base is None or (of == MODEL and notes) else base.values.get(of, {})
        measures += [Measure(of, name, value, limits.get(name), known.get(name)) for name, value in values.items()]
    if base is not None:
        for board, toolchain in record.toolchains.items():
            earlier = base.toolchains.get(board, toolchain)
            if earlier != toolchain:
                notes.append(f"{board}: the base was built with {earlier}, this with {toolchain}")
    over = [
        f"{line.of}: {_title(line.name)} {_shown(line.name, line.value)}, {_limit(line)}"
        for line in measures
        if not line.within
    ]
    return measures, [*over, *(f"check: {problem}" for problem in record.problems)], notes


def _title(name: str) -> str:
    return _TITLES.get(name, name)


def _shown(name: str, value: Number, *, signed: bool = False) -> str:
    sign = "+" if signed else ""
    if name == _ACCURACY:
        return f"{100 * value:{sign}.2f} {'points' if signed else '%'}"
    if name == _DROP:
        return f"{value:{sign}.2f}"
    return f"{value:{sign},}"


def _limit(line: Measure) -> str:
    if line.budget is None:
        return ""
    return f"{'at least' if line.name in _AT_LEAST else 'at most'} {_shown(line.name, line.budget)}"


def cells(line: Measure) -> tuple[str, str, str, str, str, str, str]:
    """A line of the table: of, what, now, base, change, budget, verdict."""
    base = "" if line.base is None else _shown(line.name, line.base)
    change = "" if line.change is None else "0" if line.change == 0 else _shown(line.name, line.change, signed=True)
    if line.change and line.base and line.name in _BOARD_KEYS:
        change += f" ({100 * line.change / line.base:+.1f} %)"
    verdict = "" if line.budget is None else "ok" if line.within else "OVER"
    if line.name in _AT_LEAST and verdict == "OVER":
        verdict = "BELOW"
    return line.of, _title(line.name), _shown(line.name, line.value), base, change, _limit(line), verdict


HEADINGS = ("of", "what", "now", "base", "change", "budget", "")


def to_markdown(record: Record, measures: Sequence[Measure], problems: Sequence[str], notes: Sequence[str]) -> str:
    """The table for a comment on a merge request."""
    lines = [
        f"### lenet-edge: {'NOT within budget' if problems else 'within budget'}",
        "",
        f"Model `{record.fingerprint[:16]}`, checked on {record.images:,} images of {_plain(record.data)}.",
        "",
        _row(HEADINGS),
        "|---|---|---:|---:|---:|---:|---|",
        *(_row(cells(line)) for line in measures),
    ]
    for title, texts in (("", [f"**{_plain(problem)}**" for problem in problems]), ("", map(_plain, notes))):
        items = [f"* {text}" for text in texts]
        lines += [title, *items] if items else []
    return "\n".join(lines) + "\n"


def _row(texts: Iterable[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _plain(text: str) -> str:
    """One line without what Markdown or HTML would act on: an engine's message may have anything."""
    return re.sub(r"[\\`*_{}\[\]<>()#|!@]", lambda found: f"\\{found[0]}", " ".join(text.split()))
