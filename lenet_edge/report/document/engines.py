"""What the engines and boards computed, and where they differ."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lenet_edge.records import shortfall
from lenet_edge.report.html import Figure

if TYPE_CHECKING:
    from lenet_edge.records import EngineResult
    from lenet_edge.report.document.reading import Build
    from lenet_edge.report.document.recorded import Recorded

__all__ = ["Engines", "engines_of", "ran"]


@dataclass(frozen=True)
class Row:
    """An engine that ran. Its state is "equal", "differs" as its rounding says, or "wrong"."""

    name: Figure
    version: Figure | None
    state: str
    is_reference: bool
    accuracy: Figure | None
    logits: Figure
    images: Figure
    classes: Figure | None
    largest: Figure
    seconds: Figure | None
    rule: Figure | None
    first: str


@dataclass(frozen=True)
class Missing:
    """An engine that did not run, and why."""

    name: Figure
    state: Figure
    why: Figure


@dataclass(frozen=True)
class Engines:
    """Those that ran, boards last, and those that did not."""

    rows: list[Row]
    missing: list[Missing]
    images: Figure
    logits: str
    data: Figure
    like: Figure | None
    problems: list[Figure]
    warnings: list[Figure]
    differ: bool


def engines_of(build: Build) -> Engines | None:
    """From the record of `check`."""
    if build.check is None:
        return None
    record, content = build.check.record, build.check.content
    rows, missing = [], []
    for index, engine in enumerate(record.engines):
        if engine.status == "ran":
            rows.append(_row(content, index, engine, record.like))
        else:
            missing.append(Missing(*(content.text("engines", index, key) for key in ("name", "status", "message"))))
    return Engines(
        rows,
        missing,
        content.count("images"),
        f"{record.images * build.meaning.outputs:,}",
        content.text("data"),
        content.text("like") if record.like else None,
        [content.text("problems", index) for index in range(len(record.problems))],
        [content.text("warnings", index) for index in range(len(record.warnings))],
        any(row.state != "equal" for row in rows),
    )


def _row(content: Recorded, index: int, engine: EngineResult, like: str | None) -> Row:
    def count(key: str) -> Figure:
        return content.count("engines", index, key)

    wrong = bool(shortfall(engine, like))
    return Row(
        name=content.text("engines", index, "name"),
        version=content.text("engines", index, "version") if engine.version else None,
        state="wrong" if wrong else "differs" if engine.logits_differ else "equal",
        is_reference=engine.name == "reference",
        accuracy=None if engine.accuracy is None else content.percent("engines", index, "accuracy"),
        logits=count("logits_differ"),
        images=count("images_differ"),
        classes=None if engine.argmax_differ is None else count("argmax_differ"),
        largest=count("max_abs_difference"),
        seconds=None if engine.seconds is None else content.number("engines", index, "seconds", form=".1f", unit="s"),
        rule=content.text("engines", index, "rule") if engine.rule else None,
        first=_first(engine),
    )


def _first(engine: EngineResult) -> str:
    """The first difference in words."""
    first = engine.first_difference
    if first is None:
        return ""
    where = f"first at layer {first.layer}" if first.layer else "the layer is not known"
    said = "" if engine.beyond_rule is None else f"; {engine.beyond_rule:,} beyond what its rounding predicts"
    note = f"; {first.note}" if first.note else ""
    return f"image {first.image}, logit {first.logit}: {first.actual} instead of {first.expected}, {where}{note}{said}"


def ran(build: Build) -> tuple[list[EngineResult], list[str]]:
    """The runtimes that a check ran besides the reference, and the names of the boards."""
    if build.check is None:
        return [], []
    engines = [each for each in build.check.record.engines if each.status == "ran" and each.name != "reference"]
    boards = [match[1] for each in engines if (match := re.match(r"board:([^/]+)/", each.name))]
    return [each for each in engines if not each.name.startswith("board:")], boards
