"""What `sweep` prints and draws."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from lenet_edge.cli import common

if TYPE_CHECKING:
    from lenet_edge.records import SweepRecord, SweepRow
    from lenet_edge.sweep.summary import Group

__all__ = ["draw", "tables"]


def tables(record: SweepRecord, folder: Path) -> list[Table | str]:
    """The configurations, the means over seeds, and where to look further."""
    from lenet_edge.sweep.summary import groups_of

    groups = groups_of(record.configurations)
    found: list[Table | str] = [_configurations(record)]
    if constant := _constant(record):
        found.insert(0, f"all with {constant}")
    if any(len(group.rows) > 1 for group in groups):
        found.append(_groups(record, groups))
    for row in record.configurations:
        if row.problem and row.state in ("failed", "lost"):
            found.append(f"{row.number}: {row.problem}")
    complete = sum(row.state == "complete" for row in record.configurations)
    found.append(f"{complete} of {len(record.configurations)} configurations are complete, in {record.storage}")
    return [*found, f"{folder / 'sweep.json'}: the record"]


def draw(record: SweepRecord, title: str) -> bytes | None:
    """Accuracy against flash, as an SVG file; None as long as nothing is complete."""
    from lenet_edge.report.charts import Cloud, draw_accuracy_against_flash, standing_alone
    from lenet_edge.sweep.summary import groups_of

    groups = groups_of(record.configurations)
    if not groups:
        return None
    clouds = [
        Cloud(
            str(group.values["network"]),
            tuple(row.flash_bytes or 0 for row in group.rows),
            tuple(row.validation_accuracy or 0.0 for row in group.rows),
        )
        for group in groups
    ]
    return standing_alone(draw_accuracy_against_flash(clouds, _flash(record), "sweep", title))


def _flash(record: SweepRecord) -> str:
    return f"flash of {record.board}, estimated" if record.board else "weights and biases"


def _varied(record: SweepRecord) -> list[str]:
    """The keys with more than one value."""
    keys = record.configurations[0].values
    return [key for key in keys if len({repr(row.values[key]) for row in record.configurations}) > 1]


def _constant(record: SweepRecord) -> str:
    """What does not vary."""
    varied, values = _varied(record), record.configurations[0].values
    return ", ".join(f"{key} {value}" for key, value in values.items() if key not in varied)


def _configurations(record: SweepRecord) -> Table:
    varied, tested = _varied(record), any(row.test_accuracy is not None for row in record.configurations)
    title = f"study {record.study} on {record.data}, validation set"
    figures = ["int8 %", "float %", "bytes", "s", *(["int8 test %", "float test %"] if tested else [])]
    table = common.new_table(title, "", *varied, "state", *figures, left=len(varied) + 2)
    for row in record.configurations:
        values = [str(row.values[key]) for key in varied]
        table.add_row(str(row.number), *values, row.state, *_figures(row, tested))
    return table


def _figures(row: SweepRow, tested: bool) -> list[str]:
    figures = [_percent(row.validation_accuracy), _percent(row.float_validation_accuracy)]
    figures.append("" if row.flash_bytes is None else f"{row.flash_bytes:,}")
    figures.append("" if row.seconds is None else f"{row.seconds:,.0f}")
    return [*figures, *([_percent(row.test_accuracy), _percent(row.float_test_accuracy)] if tested else [])]


def _groups(record: SweepRecord, groups: list[Group]) -> Table:
    varied, tested = (
        [key for key in _varied(record) if key != "seed"],
        any(group.mean("test_accuracy") is not None for group in groups),
    )
    columns = ["seeds", "int8 %", "float %", "bytes", *(["int8 test %"] if tested else [])]
    title = "mean and standard deviation over seeds, validation set"
    table = common.new_table(title, *(varied or ["network"]), *columns, left=len(varied) or 1)
    for group in groups:
        flash = group.mean("flash_bytes")
        figures = ["validation_accuracy", "float_validation_accuracy"]
        cells = [_spread(group, figure) for figure in figures]
        cells.append("" if flash is None else f"{flash:,.0f}")
        cells += [_spread(group, "test_accuracy")] if tested else []
        table.add_row(*_named(group.values, varied), str(len(group.rows)), *cells)
    return table


def _named(values: Mapping[str, object], varied: list[str]) -> list[str]:
    return [str(values[key]) for key in varied or ["network"]]


def _spread(group: Group, figure: str) -> str:
    mean, deviation = group.mean(figure), group.deviation(figure)
    if mean is None:
        return ""
    return f"{100 * mean:.2f}" + ("" if deviation is None else f" ± {100 * deviation:.2f}")


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.2f}"
