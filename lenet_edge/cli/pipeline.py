"""`lenet-edge pipeline`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lenet_edge.cli import common, modules, picture_options
from lenet_edge.cli.places import require_place
from lenet_edge.errors import CheckFailedError

if TYPE_CHECKING:
    from lenet_edge.cli.pipeline_summary import Summary
    from lenet_edge.hardware.boards import Board
    from lenet_edge.pipeline import Outcome
    from lenet_edge.preparation.request import PreparationRequest


@click.command()
@click.option(
    "--data",
    required=True,
    metavar="NAME|DIR|FILE.npz",
    help="A folder of pictures by class, a .npz, a folder with IDX files, mnist or fashion-mnist.",
)
@click.option(
    "--board",
    "boards",
    type=common.BOARD,
    multiple=True,
    required=True,
    metavar="NAME",
    help="A board of `lenet-edge boards`, or the path of your own .toml; may be repeated.",
)
@modules.network_option(click.STRING)
@modules.recipe_option
@modules.module_options
@picture_options.transpose_option
@picture_options.requested
@click.option(
    "--epochs", type=click.IntRange(0, common.EPOCHS_MAX), help="Epochs of training.  [default: the network's]"
)
@click.option(
    "--quantize-epochs",
    type=click.IntRange(0, common.EPOCHS_MAX),
    help="Epochs of fine-tuning in int8.  [default: the network's]",
)
@click.option("--seed", type=common.SEED, default=0, show_default=True, help="Seed of training and fine-tuning.")
@click.option("--class-weights", is_flag=True, help="Let all classes count the same in training.")
@common.optimize_option
@click.option(
    "--max-drop",
    type=common.POINTS,
    metavar="POINTS",
    help=f"The most accuracy that int8 may lose, in percentage points.  [default: {common.MAX_DROP:.2f}, or one test "
    "image if that is more]",
)
@click.option("--force", is_flag=True, help="Do every step, whatever has changed.")
@common.out_option("build/")
@common.json_option
@modules.packed
def pipeline(
    data: str,
    boards: tuple[Board, ...],
    network: str,
    recipe: str | None,
    module: modules.ModuleOptions,
    transpose: bool | None,
    request: PreparationRequest,
    epochs: int | None,
    quantize_epochs: int | None,
    seed: int,
    class_weights: bool,
    optimize: str,
    max_drop: float | None,
    force: bool,
    out: Path | None,
    as_json: bool,
) -> None:
    """Go from data to a checked board in one command.

    A step is repeated only if its inputs or its results have changed since the last run: a new picture, another
    option, another version. An interrupted training resumes. If a step fails, the message names it, the exit
    code is that of its command, and the same command line goes on from there. OUT/pipeline.json records what
    was done. The last lines are the single commands that do the same.
    """
    from lenet_edge.cli.pipeline_order import Order
    from lenet_edge.cli.pipeline_steps import leave_policies, steps
    from lenet_edge.cli.pipeline_summary import Summary
    from lenet_edge.cli.train import refuse_what_has_no_effect
    from lenet_edge.pipeline import run_steps

    transposed = picture_options.transposes(data, transpose)
    given = (network, module, request, transposed, epochs, quantize_epochs, seed, class_weights, optimize, max_drop)
    require_place(out or Path("build"), folder=True)
    order = Order(data, boards, *given, out or Path("build"), force, recipe)
    refuse_what_has_no_effect(order.described, epochs)
    order.require_able()
    outcomes: list[Outcome] = []
    try:
        run_steps(steps(order), order.out / "pipeline.json", again=force, say=common.log, done=outcomes.append)
    except CheckFailedError as error:
        _show(Summary(order, outcomes, str(error)), as_json)
        raise
    leave_policies(order)
    _show(Summary(order, outcomes), as_json)


def _show(summary: Summary, as_json: bool) -> None:
    common.show(summary.content(), as_json=as_json, tables=summary.tables)
