"""The record of `budget`: what a run on the base branch leaves for the next one to compare with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lenet_edge.records.fields import (
    Fields,
    WrongRecordError,
    content_of,
    read_record,
    require_format,
    write_record,
)

__all__ = [
    "ACCURACY",
    "BUDGET_FORMAT",
    "COUNTS",
    "DIFFER",
    "DROP",
    "SIZES",
    "BudgetRecord",
    "Measure",
    "Number",
    "parse_budget",
    "read_budget",
    "write_budget",
]

BUDGET_FORMAT = 1
"""Older ones have the same fields and no number."""

ACCURACY, DROP, DIFFER = "accuracy", "drop_points", "logits_differ"
SIZES = ("flash_bytes", "ram_bytes")
COUNTS = ("instructions", "cycles")

_AT_LEAST = (ACCURACY,)  # the other budgets are upper ones
_LARGEST = float(1 << 64)

Number = int | float


@dataclass(frozen=True)
class Measure:
    """One line of the table.

    Attributes:
        of: "model" or a board.
        name: what was measured: `ACCURACY` (0..1), `DROP` (percentage points), `DIFFER`, one of `SIZES` or `COUNTS`.
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
    def is_lower_bound(self) -> bool:
        """Whether the budget is what it must be at least."""
        return self.name in _AT_LEAST

    @property
    def within(self) -> bool:
        if self.budget is None:
            return True
        return self.value >= self.budget if self.is_lower_bound else self.value <= self.budget

    @property
    def change(self) -> Number | None:
        """Now less base."""
        return None if self.base is None else self.value - self.base


@dataclass(frozen=True)
class BudgetRecord:
    """A comparison of what was measured with the budgets.

    Attributes:
        fingerprint: of the model; `base_fingerprint`: of that on the base branch.
        data, images: what `check` ran on.
        toolchains: board -> what its firmware was compiled with.
        problems: every reason to refuse the change.
        notes: what the reader should know of the base.
    """

    fingerprint: str
    data: str
    images: int
    toolchains: Mapping[str, str]
    base_fingerprint: str | None
    measures: tuple[Measure, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.problems

    def content(self) -> dict[str, Any]:
        """The record's JSON object; what follows from the rest is spelled out for other tools."""
        lines = [{**asdict(line), "change": line.change, "within": line.within} for line in self.measures]
        return {**content_of(self, BUDGET_FORMAT), "measures": lines, "passed": self.passed}

    def values(self, of: str) -> dict[str, Number]:
        """Measure -> value, of "model" or a board."""
        return {line.name: line.value for line in self.measures if line.of == of}


def read_budget(path: Path) -> BudgetRecord:
    """The record of `budget` in a file.

    Raises:
        BadInputError: it is missing, not such a record, another version's, or contradicts itself.
    """
    return read_record(path, parse_budget, "lenet-edge budget")


def write_budget(path: Path, record: BudgetRecord) -> None:
    """Write a record of `budget`; errors as of `write_record`."""
    write_record(path, record.content(), parse_budget)


def parse_budget(content: Mapping[str, Any]) -> BudgetRecord:
    """A record of `budget`, from its JSON object; errors as of `parse_check`."""
    fields = Fields(content)
    require_format(fields, BUDGET_FORMAT, numbered=False)
    names = fields.table("toolchains")
    record = BudgetRecord(
        fingerprint=fields.text("fingerprint"),
        data=fields.text("data"),
        images=fields.count("images"),
        toolchains={board: names.text(board) for board in names.items()},
        base_fingerprint=fields.optional("base_fingerprint", fields.text),
        measures=tuple(map(_measure, fields.objects("measures"))),
        problems=fields.texts("problems"),
        notes=fields.texts("notes"),
    )
    passed = fields.flag("passed")
    fields.require_known()
    places = [(line.of, line.name) for line in record.measures]
    if twice := [place for place in places if places.count(place) > 1]:
        raise WrongRecordError(f"it has {twice[0][1]} of {twice[0][0]} twice")
    if passed != record.passed:
        raise WrongRecordError(f"passed is {str(passed).lower()}, with {len(record.problems)} problems")
    return record


def _measure(fields: Fields) -> Measure:
    name = fields.text("name")
    measure = Measure(
        of=fields.text("of"),
        name=name,
        value=_value(fields, name),
        budget=_bounded(fields, "budget"),
        base=None if fields.get("base") is None else _value(fields, name, "base"),
    )
    within = fields.flag("within")
    _bounded(fields, "change")
    fields.require_known()
    if within != measure.within:
        raise WrongRecordError(f"{name} of {measure.of} says within: {str(within).lower()}, and its values do not")
    return measure


def _bounded(fields: Fields, key: str) -> Number | None:
    """A number of at most 64 bits, which stays an integer where it is one; or None."""
    found: float | None = fields.optional(key, fields.number, -_LARGEST, _LARGEST)
    number: Number | None = fields.get(key)
    return None if found is None else number


def _value(fields: Fields, name: str, key: str = "value") -> Number:
    """The value of a measure, within what that measure can be."""
    if name == ACCURACY:
        return fields.number(key, 0, 1)
    if name == DROP:
        return fields.number(key, -100, 100)
    known = (DIFFER, *SIZES, *COUNTS)
    if name not in known:
        raise fields.wrong("name", f"one of {', '.join((ACCURACY, DROP, *known))}")
    return fields.count(key)
