"""Two builds side by side: what one has more or less of than the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lenet_edge.quantized.model import macs
from lenet_edge.report.document.accuracy import measured
from lenet_edge.report.html import Figure, size

if TYPE_CHECKING:
    from lenet_edge.report.document.reading import Build

__all__ = ["Row", "compared"]


@dataclass(frozen=True)
class Row:
    """A figure of both; `tone` is "good" where the other build is better, "bad" where it is worse."""

    what: str
    first: Figure | str
    second: Figure | str
    change: str
    tone: str


def compared(first: Build, second: Build) -> list[Row]:
    """What both have measured; the change is from the first to the second."""
    return [*_model(first, second), *_checked(first, second), *_boards(first, second)]


def _row(what: str, values: tuple[float, float], shown: tuple[Figure | str, Figure | str], *, up: bool = False) -> Row:
    """Of whole numbers; more is better only if `up`."""
    before, after = values
    change = "equal" if before == after else f"{100 * (after / before - 1):+.1f} %" if before else f"{after:+,g}"
    tone = "" if before == after else "good" if (after > before) == up else "bad"
    return Row(what, *shown, change.replace("-", "−"), tone)


def _model(first: Build, second: Build) -> Iterator[Row]:
    works = [sum(map(macs, build.model.layers)) for build in (first, second)]
    yield _row("multiply-accumulates", (works[0], works[1]), (f"{works[0]:,}", f"{works[1]:,}"))


def _checked(first: Build, second: Build) -> Iterator[Row]:
    found = [measured(build) for build in (first, second)]
    if found[0] is not None and found[1] is not None:
        shares = [each.record.int8_accuracy for each in found if each is not None]
        change = 100 * (shares[1] - shares[0])
        tone = "" if not change else "good" if change > 0 else "bad"
        shown = [each.content.percent("int8_accuracy") for each in found if each is not None]
        said = "equal" if not change else f"{change:+.2f} points".replace("-", "−")
        yield Row("int8 accuracy", shown[0], shown[1], said, tone)
    checks = [build.check for build in (first, second)]
    if checks[0] is None or checks[1] is None:
        return
    indices = [{engine.name: index for index, engine in enumerate(check.record.engines)} for check in checks if check]
    for name in indices[0]:
        if name == "reference" or name not in indices[1]:
            continue
        places = [(check, index[name]) for check, index in zip(checks, indices, strict=True) if check is not None]
        counts = [check.record.engines[place].logits_differ for check, place in places]
        if None not in counts and any(counts):
            shown = [check.content.count("engines", place, "logits_differ") for check, place in places]
            row = _row(f"logits that differ, {name}", (counts[0], counts[1]), (shown[0], shown[1]))
            yield replace(row, change=f"{counts[1] - counts[0]:+,}".replace("-", "−")) if row.tone else row


def _boards(first: Build, second: Build) -> Iterator[Row]:
    sizes: dict[str, Callable[[Any], int]] = {
        "flash": lambda record: record.sizes.flash,
        "RAM": lambda record: record.sizes.ram,
    }
    for board in first.firmware:
        if board in second.firmware:
            records = [build.firmware[board].record for build in (first, second)]
            for what, of in sizes.items():
                bytes_ = (of(records[0]), of(records[1]))
                yield _row(f"{what} of {board}", bytes_, (str(size(bytes_[0], "", "")), str(size(bytes_[1], "", ""))))
    for board, found in first.bench.items():
        other = second.bench.get(board)
        if other is not None and other.record.unit == found.record.unit:
            totals = (found.record.total, other.record.total)
            shown = (found.content.count("total"), other.content.count("total"))
            yield _row(f"{found.record.unit} on {board}", totals, shown)
