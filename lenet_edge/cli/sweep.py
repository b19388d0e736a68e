"""`lenet-edge sweep`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lenet_edge.cli import common, sweep_tables
from lenet_edge.cli.options import refuse_given
from lenet_edge.cli.sweep_options import STUDY, Asked, asked_options, sampler_option, worker_options
from lenet_edge.cli.sweep_work import joined, require_plot
from lenet_edge.errors import CheckFailedError

if TYPE_CHECKING:
    from lenet_edge.records import SweepRecord
    from lenet_edge.sweep.worker import WorkerSettings

_STORAGE = "sqlite:///build/sweep/studies.db"


@click.command()
@asked_options
@click.option("--study", type=STUDY, default="sweep", show_default=True, metavar="NAME", help="The study's name.")
@click.option(
    "--storage",
    default=_STORAGE,
    show_default=True,
    envvar="LENET_EDGE_STORAGE",
    show_envvar=True,
    metavar="URL",
    help="Where studies are kept. Many machines share one: postgresql+psycopg://user@host/database.",
)
@sampler_option
@worker_options
@click.option("--test", is_flag=True, help="Then measure the models of this machine on the test set, each once.")
@click.option("--device", default="cpu", show_default=True, help="The torch device: cpu, cuda, mps.")
@common.out_option("build/sweep/STUDY/")
@common.json_option
def sweep(
    asked: Asked,
    study: str,
    storage: str,
    worker: WorkerSettings,
    heartbeat: int | None,
    sampler: str | None,
    test: bool,
    device: str,
    out: Path | None,
    as_json: bool,
) -> SweepRecord:
    """Train and quantise many networks, recipes and seeds.

    Each configuration is one trial of an Optuna study: `train` and `quantize` in a folder of its own, judged on
    the validation set. Start the command as often as you like, on as many machines as see the storage: every
    worker takes what is open, each configuration completes once, and what a worker was doing when it died is
    taken over by another. Without options that say what to sweep, a study that exists goes on.

    Leaves in OUT the record sweep.json and the plot sweep.svg, accuracy against flash, and a folder for each
    trial of this machine.
    """
    from lenet_edge.sweep.storage import open_storage, require_optuna

    if worker.most == 0:
        refuse_given("with --trials 0, which takes none", "attempts", "wait", "retry", "device")
    require_optuna()
    require_plot()
    space = asked.space() if asked.anything else None
    folder = out or Path("build/sweep") / study
    opened = open_storage(storage)
    with opened.explaining():
        here = joined(opened, study, asked, space, (heartbeat, sampler))
        here.require_apart(folder, asked.data)
        here.work(folder, worker, device)
        if test:
            here.test(folder)
        record = here.write(folder)
    common.show(record.content(), as_json=as_json, tables=lambda: sweep_tables.tables(record, folder))
    if bad := [row for row in record.configurations if row.state in ("failed", "lost")]:
        text = ", ".join(f"{row.number} ({row.problem})" for row in bad[:3])
        raise CheckFailedError(
            f"{len(bad)} of {len(record.configurations)} configurations did not work: {text}", record
        )
    return record
