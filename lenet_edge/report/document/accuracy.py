"""Accuracy in float and in int8, what int8 loses, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lenet_edge.report.charts import Interval, draw_intervals
from lenet_edge.report.html import Figure
from lenet_edge.significance import share_interval

if TYPE_CHECKING:
    from markupsafe import Markup

    from lenet_edge.report.document.reading import Build, Found

__all__ = ["Accuracy", "accuracy_of", "images_of"]


@dataclass(frozen=True)
class Row:
    """An accuracy, and its 95 % interval in per cent."""

    name: str
    accuracy: Figure
    low: str
    high: str


@dataclass(frozen=True)
class Accuracy:
    """See the module.

    Attributes:
        rows: float and int8, or one of them.
        drop, drop_low, drop_high, mcnemar: of the comparison with the float model; None without one.
        significant: whether the interval of the drop lies on one side of zero.
        images: how many it is of, and of which data set.
    """

    rows: list[Row]
    drop: Figure | None
    drop_low: Figure | None
    drop_high: Figure | None
    mcnemar: Figure | None
    significant: bool
    images: Figure | str
    data: Figure | str
    chart: Markup


def accuracy_of(build: Build, place: int) -> Accuracy | None:
    """From the record of `check`, or else from the report of `quantize`; None without labels."""
    found = measured(build)
    if found is None:
        return None
    record, content = found.record, found.content
    images, names = images_of(found), ("float", "int8")
    rows, intervals = [], []
    for name in names:
        share = content.get(f"{name}_accuracy")
        if share is None:
            continue
        low, high = share_interval(round(share * images), images)
        rows.append(Row(name, content.percent(f"{name}_accuracy"), f"{100 * low:.2f} %", f"{100 * high:.2f} %"))
        intervals.append(Interval(name, share, low, high))
    compared = record.drop_points is not None and record.drop_interval is not None
    return Accuracy(
        rows,
        content.number("drop_points") if compared else None,
        content.number("drop_interval", 0) if compared else None,
        content.number("drop_interval", 1) if compared else None,
        content.number("mcnemar_p", form=".3f") if compared else None,
        compared and (record.drop_interval[0] > 0 or record.drop_interval[1] < 0),
        content.count("images") if "images" in content.content else f"{images:,}",
        content.text("data") if "data" in content.content else str(build.model.metadata.get("dataset", "its data set")),
        draw_intervals(intervals, f"accuracy-{place}", _told(rows)),
    )


def measured(build: Build) -> Found | None:
    """The record that has an accuracy."""
    for found in (build.check, build.quantize):
        if found is not None and found.record.int8_accuracy is not None and images_of(found):
            return found
    return None


def images_of(found: Found) -> int:
    """How many images a record's accuracy is of; 0 where it does not say."""
    record: Any = found.record
    if record.confusion is not None:
        return int(record.confusion.images)
    return getattr(record, "images", 0)


def _told(rows: list[Row]) -> str:
    return "; ".join(f"{row.name} {row.accuracy}, 95 % interval {row.low} to {row.high}" for row in rows)
