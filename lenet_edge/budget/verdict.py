"""The verdict: what was measured against the budgets, what a change did to it, and the table that shows both."""

from __future__ import annotations

from lenet_edge.budget.limits import BOARD_KEYS, MODEL, Budgets
from lenet_edge.budget.measured import Measured
from lenet_edge.markdown import bullets, plain, row
from lenet_edge.records.budget import ACCURACY, DIFFER, DROP, BudgetRecord, Measure, Number

__all__ = ["HEADINGS", "cells", "judge", "to_markdown"]

HEADINGS = ("of", "what", "now", "base", "change", "budget", "")

_TITLES = {
    ACCURACY: "accuracy",
    DROP: "drop against float, points",
    DIFFER: "logits that differ",
    "flash_bytes": "flash, bytes",
    "ram_bytes": "RAM, bytes",
}


def judge(budgets: Budgets, measured: Measured, base: BudgetRecord | None) -> BudgetRecord:
    """The comparison: all lines of the table, every reason to refuse the change, what to know of the base."""
    notes = []
    if base is not None and (base.data, base.images) != (measured.data, measured.images):
        notes.append(f"the base was checked on {base.images:,} images of {base.data}: no change of the model's figures")
    measures = []
    for of, values in measured.values.items():
        limits = {**budgets.model, DIFFER: 0} if of == MODEL else budgets.boards[of]
        known = {} if base is None or (of == MODEL and notes) else base.values(of)
        measures += [Measure(of, name, value, limits.get(name), known.get(name)) for name, value in values.items()]
    if base is not None:
        for board, toolchain in measured.toolchains.items():
            earlier = base.toolchains.get(board, toolchain)
            if earlier != toolchain:
                notes.append(f"{board}: the base was built with {earlier}, this with {toolchain}")
    over = [
        f"{line.of}: {_title(line.name)} {_shown(line.name, line.value)}, {_limit(line)}"
        for line in measures
        if not line.within
    ]
    return BudgetRecord(
        fingerprint=measured.fingerprint,
        data=measured.data,
        images=measured.images,
        toolchains=measured.toolchains,
        base_fingerprint=None if base is None else base.fingerprint,
        measures=tuple(measures),
        problems=(*over, *(f"check: {problem}" for problem in measured.problems)),
        notes=tuple(notes),
    )


def _title(name: str) -> str:
    return _TITLES.get(name, name)


def _shown(name: str, value: Number, *, signed: bool = False) -> str:
    sign = "+" if signed else ""
    if name == ACCURACY:
        return f"{100 * value:{sign}.2f} {'points' if signed else '%'}"
    if name == DROP:
        return f"{value:{sign}.2f}"
    return f"{value:{sign},}"


def _limit(line: Measure) -> str:
    if line.budget is None:
        return ""
    return f"{'at least' if line.is_lower_bound else 'at most'} {_shown(line.name, line.budget)}"


def cells(line: Measure) -> tuple[str, str, str, str, str, str, str]:
    """A line of the table: of, what, now, base, change, budget, verdict."""
    base = "" if line.base is None else _shown(line.name, line.base)
    change = "" if line.change is None else "0" if line.change == 0 else _shown(line.name, line.change, signed=True)
    if line.change and line.base and line.name in BOARD_KEYS:
        change += f" ({100 * line.change / line.base:+.1f} %)"
    verdict = "" if line.budget is None else "ok" if line.within else "OVER"
    if line.is_lower_bound and verdict == "OVER":
        verdict = "BELOW"
    return line.of, _title(line.name), _shown(line.name, line.value), base, change, _limit(line), verdict


def to_markdown(record: BudgetRecord) -> str:
    """The table for a comment on a merge request."""
    lines = [
        f"### lenet-edge: {'NOT within budget' if record.problems else 'within budget'}",
        "",
        f"Model `{record.fingerprint[:16]}`, checked on {record.images:,} images of {plain(record.data)}.",
        "",
        row(HEADINGS),
        "|---|---|---:|---:|---:|---:|---|",
        *(row(cells(line)) for line in record.measures),
    ]
    lines += bullets(f"**{plain(problem)}**" for problem in record.problems)
    lines += bullets(map(plain, record.notes))
    return "\n".join(lines) + "\n"
