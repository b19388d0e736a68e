"""A check as Markdown: a summary for the page of a CI run, or for a comment on a change."""

from __future__ import annotations

from lenet_edge.markdown import bullets, plain, row
from lenet_edge.records import CheckRecord, EngineResult, shortfall

__all__ = ["check_to_markdown"]

_HEADINGS = ("engine", "version", "accuracy", "logits that differ", "largest difference", "")


def check_to_markdown(record: CheckRecord) -> str:
    """The verdict first, then what int8 costs, a row for each engine, the reasons, and what else there is to know."""
    agreed = "every engine computes" if record.like is None else f"our C, the boards and {record.like} compute"
    on = f"{record.images:,} images of {plain(record.data)}"
    lines = [
        f"### lenet-edge: {f'{agreed} the same integers' if record.passed else 'the check did NOT pass'}",
        "",
        f"Model `{record.fingerprint[:16]}`, checked on {on}.{_cost(record)}",
        "",
        row(_HEADINGS),
        "|---|---|---:|---:|---:|---|",
        *(row(_cells(engine, record.like)) for engine in record.engines),
        *bullets(f"**{plain(problem)}**" for problem in record.problems),
        *bullets(_where(engine) for engine in record.engines if engine.first_difference is not None),
        *bullets(f"{plain(e.name)} is absent: {plain(e.message)}" for e in record.engines if e.status == "absent"),
        *bullets(map(plain, record.warnings)),
    ]
    return "\n".join(lines) + "\n"


def _cost(record: CheckRecord) -> str:
    """What int8 loses against the float model, if that was there."""
    if record.float_accuracy is None or record.int8_accuracy is None or record.drop_interval is None:
        return ""
    low, high = record.drop_interval
    return (
        f" Float {100 * record.float_accuracy:.2f} %, int8 {100 * record.int8_accuracy:.2f} %: "
        f"{record.drop_points:.2f} points lost (95 % interval {low:.2f} to {high:.2f}), at most {record.max_drop:.2f}."
    )


def _cells(engine: EngineResult, like: str | None) -> tuple[str, ...]:
    name, version = plain(engine.name), plain(engine.version or "")
    if engine.status != "ran":
        return name, version, "", "", "", f"**{engine.status}**" if shortfall(engine, like) else engine.status
    accuracy = "" if engine.accuracy is None else f"{100 * engine.accuracy:.2f} %"
    if engine.name == "reference":
        return name, version, accuracy, "reference", "", ""
    verdict = "**differs**" if shortfall(engine, like) else "as predicted" if engine.logits_differ else "ok"
    return name, version, accuracy, f"{engine.logits_differ:,}", f"{engine.max_abs_difference}", verdict


def _where(engine: EngineResult) -> str:
    first = engine.first_difference
    assert first is not None
    layer = f"layer {plain(first.layer)}" if first.layer else "a layer that is not known"
    return (
        f"{plain(engine.name)} differs first at image {first.image}, logit {first.logit}: {first.actual} instead of "
        f"{first.expected}, in {layer}"
    )
