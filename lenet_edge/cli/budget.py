"""`lenet-edge budget`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

from lenet_edge.cli import common
from lenet_edge.errors import CheckFailedError

if TYPE_CHECKING:
    from lenet_edge.budget import Measured
    from lenet_edge.records import BudgetRecord


@click.command()
@click.option(
    "--budgets",
    "budgets_path",
    type=click.Path(path_type=Path),
    default=Path("lenet-edge.toml"),
    show_default=True,
    metavar="FILE",
    help="The file with the budgets.",
)
@click.option(
    "--records",
    type=click.Path(path_type=Path),
    default=Path("build"),
    show_default=True,
    metavar="DIR",
    help="Where `check`, `build` and `bench` left their records.",
)
@click.option(
    "--base",
    "base_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="This command's record from the base branch, to show what changed; may be missing the first time.",
)
@click.option("--markdown", is_flag=True, help="Print the table as Markdown, for a comment on a merge request.")
@click.option("--junit", type=click.Path(path_type=Path), metavar="FILE", help="Also write JUnit XML, for CI.")
@common.out_option("build/budget.json")
@common.json_option
def budget(
    budgets_path: Path,
    records: Path,
    base_path: Path | None,
    markdown: bool,
    junit: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Compare what was measured with the budgets of lenet-edge.toml.

    Reads the records of `check`, `build --board NAME` and `bench --board NAME`, and measures nothing
    itself. Fails when a figure is over its budget, or when the check did not pass. With --base it also
    compares with the base branch.

    \b
        [model]
        accuracy = 0.99           # at least, as a fraction of 1
        drop_points = 0.1         # at most, against the float model
        [board.microbit]
        flash_bytes = 80_000      # as `build` says
        ram_bytes = 4_096         # static, and the stack that is reserved
        instructions = 2_000_000  # as `bench` counts an inference; on an AVR: cycles
    """
    from lenet_edge import budget as budgeting
    from lenet_edge.files import write_file
    from lenet_edge.records import write_budget
    from lenet_edge.report import cases_to_junit

    if markdown and as_json:
        raise click.UsageError("--markdown and --json both want stdout; choose one")
    budgets = budgeting.read_budgets(budgets_path)
    measured = budgeting.read_measured(records, budgets)
    record = budgeting.judge(budgets, measured, _base(base_path))
    write_budget(out or Path("build/budget.json"), record)
    if junit is not None:
        write_file(junit, cases_to_junit("budget", _cases(record, measured)).encode())
    common.show(
        record.content(),
        as_json=as_json,
        tables=lambda: [budgeting.to_markdown(record).rstrip("\n")] if markdown else _tables(record),
    )
    if record.problems:
        raise CheckFailedError(f"not within budget: {'; '.join(record.problems)}")


def _base(path: Path | None) -> BudgetRecord | None:
    """The record on the base branch, where one is named and there."""
    from lenet_edge import budget as budgeting

    base = None if path is None else budgeting.read_base(path)
    if path is not None and base is None:
        common.log(f"there is no {path}: nothing to compare with yet")
    return base


def _cases(record: BudgetRecord, measured: Measured) -> list[tuple[str, str]]:
    """(name, what is wrong) of every budget, and of the check that the figures are from."""
    from lenet_edge import budget as budgeting

    cases = [("check", "; ".join(measured.problems))]
    for line in record.measures:
        if line.budget is not None:
            _, _, now, _, _, allowed, _ = budgeting.cells(line)
            cases.append((f"{line.of} {line.name}", "" if line.within else f"{now}, {allowed}"))
    return cases


def _tables(record: BudgetRecord) -> list[Table | str]:
    from lenet_edge import budget as budgeting

    title = f"model {record.fingerprint[:16]}, checked on {record.images:,} images of {record.data}"
    table = common.new_table(title, *budgeting.HEADINGS, left=2)
    for line in record.measures:
        table.add_row(*budgeting.cells(line), style=None if line.within else "red")
    verdict = "NOT within budget" if record.problems else "within budget"
    return [table, *record.notes, *record.problems, verdict]
