"""What `check` prints of its record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from lenet_edge.cli import common

if TYPE_CHECKING:
    from lenet_edge.records import CheckRecord, EngineResult

__all__ = ["tables"]


def tables(record: CheckRecord) -> list[Table | str]:
    """What the command prints, from its record."""
    from lenet_edge.records import shortfall

    columns = ("engine", "version", "accuracy", "logits differ", "arg-max differ", "largest", "s")
    title = f"model {record.fingerprint[:16]} on {record.images} images of {record.data}"
    table = common.new_table(title, *columns, left=2, spare="version")
    notes: list[Table | str] = []
    for engine in record.engines:
        name = engine.name
        if engine.status != "ran":
            table.add_row(name, engine.version or "", engine.status, style="dim")
            notes.append(f"{name} is {engine.status}: {engine.message}")
            continue
        accuracy = "" if engine.accuracy is None else f"{100 * engine.accuracy:.2f} %"
        differ = "reference" if name == "reference" else str(engine.logits_differ)
        figures = (engine.argmax_differ, engine.max_abs_difference)
        rest = ("", "") if name == "reference" else tuple("" if figure is None else str(figure) for figure in figures)
        style = "red" if shortfall(engine, record.like) else "yellow" if engine.logits_differ else None
        table.add_row(name, engine.version or "", accuracy, differ, *rest, f"{engine.seconds:.1f}", style=style)
        notes += _explanation(engine)
    if record.float_accuracy is not None and record.int8_accuracy is not None and record.drop_interval is not None:
        low, high = record.drop_interval
        notes.append(
            f"float {100 * record.float_accuracy:.2f} %, int8 {100 * record.int8_accuracy:.2f} %: "
            f"drop {record.drop_points:.2f} points, 95 % interval {low:.2f} to {high:.2f}, "
            f"McNemar p {record.mcnemar_p:.2f}"
        )
    agreed = "every engine computes" if record.like is None else f"our C, the boards and {record.like} compute"
    verdict = f"passed: {agreed} the same integers" if record.passed else "NOT passed"
    return [table, *notes, verdict]


def _explanation(engine: EngineResult) -> list[str]:
    """Where and why an engine differs from the reference, and whether its own rounding says so."""
    first, lines = engine.first_difference, []
    if first is not None:
        where = f"first at layer {common.short_name(first.layer)}" if first.layer else "layer not known"
        lines.append(
            f"{engine.name}: {engine.images_differ} images differ; image {first.image}, logit {first.logit}: "
            f"{first.actual} instead of {first.expected}, {where}{'; ' + first.note if first.note else ''}"
        )
    if engine.beyond_rule:
        lines.append(f"  {engine.name}: {engine.beyond_rule} are beyond its rounding ({engine.rule})")
    elif first is not None and engine.beyond_rule == 0:
        lines.append(f"  {engine.logits_differ} logits differ, as its rounding says ({engine.rule})")
    elif first is not None:
        lines.append(f"  its rounding is {engine.rule or 'unknown'}, so its outputs are not predicted")
    return lines
