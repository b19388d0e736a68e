"""`lenet-edge flash`."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

from lenet_edge.cli import common, inputs
from lenet_edge.cli.like import as_in_firmware
from lenet_edge.cli.options import given, refuse_given
from lenet_edge.cli.stacks import proved_stack, require_proved, stack_line
from lenet_edge.errors import BadInputError, CheckFailedError

if TYPE_CHECKING:
    from lenet_edge.hardware.boards import Board
    from lenet_edge.hardware.flashing import Asked, Candidate, FlashLog, Job, Verdict
    from lenet_edge.quantized.model import QuantizedModel
    from lenet_edge.records import CheckRecord, FlashResult

_RECORD = Path("build/check.json")
_LOG = Path("build/flash.log")


@click.command()
@common.board_option
@common.model_option(common.INT8_MODEL, "int8 model that the firmware was built from")
@common.firmware_option
@click.option(
    "--check",
    "records",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=f"A record of `check`; may be repeated.  [default: {_RECORD}]",
)
@click.option(
    "--policy",
    "policy_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A TOML file with what the record must show, instead of the board's [policy].",
)
@click.option(
    "--tool",
    metavar="NAME",
    help="The tool that writes.  [default: the board's; if it has none, its emulator's GDB port]",
)
@click.option("--probe", metavar="ID", help="The debug probe's serial number; for `emulator` the GDB port HOST:PORT.")
@click.option("--port", metavar="DEVICE", help="The board's serial port.")
@click.option("--volume", type=click.Path(path_type=Path), metavar="DIR", help="The volume of the board's boot loader.")
@common.inputs_option
@click.option(
    "--images",
    "image_count",
    type=common.IMAGE_COUNT,
    default=100,
    show_default=True,
    metavar="N",
    help="Compare the logits of the first N test images.",
)
@click.option(
    "--timeout",
    type=common.SECONDS,
    default=120,
    show_default=True,
    metavar="SECONDS",
    help="Time limit for each run of the tool.",
)
@click.option("--dry-run", is_flag=True, help="Check the conditions, print the command lines, write nothing.")
@click.option(
    "--force",
    metavar="FINGERPRINT",
    help="Flash even if `check` does not show everything: type the model's fingerprint, 16 digits or all of it. "
    "This is logged.",
)
@click.option(
    "--log",
    "log_file",
    type=click.Path(path_type=Path),
    default=_LOG,
    show_default=True,
    metavar="FILE",
    help="The log to append to.",
)
@common.json_option
@common.keeps_inputs
def flash(
    board: Board,
    model: Path,
    firmware_folder: Path | None,
    records: tuple[Path, ...],
    policy_file: Path | None,
    tool: str | None,
    probe: str | None,
    port: str | None,
    volume: Path | None,
    data: str,
    image_count: int,
    timeout: float,
    dry_run: bool,
    force: str | None,
    log_file: Path,
    as_json: bool,
) -> None:
    """Write checked firmware into a board and compare every logit.

    The tables in the firmware must be those of the model, and `check` must have passed for the model with
    what the board's policy asks for; if an emulator has the board, also for this very firmware. A policy
    names its data as `data = "mnist"` or by the data_sha256 of check's record; otherwise it is that of the
    model. With `like = "tflm"` it accepts a record of `check --like tflm`. The stages are: write, read back,
    reset, banner, self-test, test images. If one fails, the message names it; flash again.
    """
    from lenet_edge.hardware import flashing

    candidate = _candidate(board, model, firmware_folder)
    asked = _asked(candidate, policy_file)
    verdict = flashing.judge(candidate, _records(records), asked, force)
    job, loaded = _job(candidate, tool, probe, port, volume), candidate.model
    result = _result(job, asked, verdict, loaded)
    log = flashing.FlashLog(log_file, job, loaded.fingerprint, asked, verdict)
    if dry_run:
        lines = _command_lines(job, volume, port)
        common.show(result | {"commands": lines}, as_json=as_json, tables=lambda: _dry_run_tables(log, lines))
    elif verdict.problem:
        _leave(log.refused)
    else:
        tests = inputs.test_inputs(loaded, _data_of(asked, data), image_count, None)
        done = _flash(log, candidate, tests.images, (volume, port), timeout)
        common.show(result | asdict(done), as_json=as_json, tables=lambda: _tables(log, done))
    if verdict.problem:
        raise CheckFailedError(verdict.problem)


def _data_of(asked: Asked, data: str) -> str:
    """The data set that is run: the one that was named, or the policy's noise."""
    return data if given("data") or asked.policy.data != "noise" else "noise"


def _candidate(board: Board, model: Path, folder: Path | None) -> Candidate:
    """The firmware that is to be flashed, and the model that it was supposedly made from; each is read once."""
    from lenet_edge.files import read_bytes
    from lenet_edge.formats import int8_models
    from lenet_edge.hardware import firmware, flashing

    loaded = as_in_firmware(int8_models.read(model), board, folder)
    built = firmware.load(folder or common.firmware_of(board.name), board.argument)
    elf = read_bytes(built.elf, "the firmware", "`lenet-edge build` makes it.")
    argument = "" if model == common.INT8_MODEL else f" --model {shlex.quote(str(model))}"
    return flashing.Candidate(board, loaded, built, elf, argument)


def _asked(candidate: Candidate, policy_file: Path | None) -> Asked:
    """What the policy asks for: the board's, or the one in a file."""
    from lenet_edge import datasets
    from lenet_edge.engines import ENGINES, host_c
    from lenet_edge.hardware import boards, flashing

    policy = boards.read_policy(policy_file) if policy_file else candidate.board.policy
    source = str(policy_file or f"[policy] of {candidate.board.name}")
    known = {*ENGINES, *(f"host_c-{family}" for family in host_c.FAMILIES)}  # the record may be of another machine
    published = [
        flashing.TestSet(name, datasets.published_sha256(name), datasets.PUBLISHED_TEST_IMAGES, "")
        for name in datasets.NAMES
    ]
    if policy.like is not None and policy.data == datasets.NOISE:  # which is in the model's own shape
        published.append(flashing.TestSet(datasets.NOISE, *inputs.noise_facts(candidate.model), ""))
    return flashing.asked_of(policy, source, candidate.model, engines=known, published=published)


def _records(named: Sequence[Path]) -> list[CheckRecord]:
    """The records of `check`: those that are named, which must be there, else the usual one where there is one."""
    from lenet_edge.hardware import flashing
    from lenet_edge.records import read_check

    return [read_check(path) for path in named] if named else flashing.read_records((_RECORD,))


def _job(candidate: Candidate, tool: str | None, probe: str | None, port: str | None, volume: Path | None) -> Job:
    """What is written, and with which tool; options that it has no use for are refused."""
    from lenet_edge.hardware import flashing

    chosen = flashing.choose_tool(candidate.board, tool)
    target = flashing.target_of(candidate.board, chosen)
    copies = flashing.COPIES
    if volume is not None and chosen not in copies:
        raise click.UsageError(f"--volume is for copies, --tool {' or '.join(copies)}; {chosen} writes itself")
    if chosen in copies:
        refuse_given(f"with --tool {chosen}, which copies a file and runs no program", "timeout")
    if chosen == flashing.EMULATOR and probe is None:
        refuse_given("with an emulator that is started for this; --probe names one that is running", "port")
    if chosen not in (*flashing.WITH_PROBE, flashing.EMULATOR) and port is not None:
        refuse_given(f"with --tool {chosen} and --port: it only finds the port", "probe")
    return flashing.Job(candidate.board, chosen, target, candidate.image, probe=probe, port=port)


def _result(job: Job, asked: Asked, verdict: Verdict, model: QuantizedModel) -> dict[str, object]:
    return {
        "board": job.board.name,
        "fingerprint": model.fingerprint,
        "image_sha256": job.image.sha256,
        "tool": job.tool,
        "policy": asked.content(),
        "data": asdict(asked.data),
        "conditions": [asdict(condition) | {"met": condition.met} for condition in verdict.conditions],
        "forced": verdict.forced,
        "warnings": inputs.model_warnings(model),
    }


def _flash(
    log: FlashLog,
    candidate: Candidate,
    images: inputs.Int8Array,
    places: tuple[Path | None, str | None],
    timeout_s: float,
) -> FlashResult:
    """Flash, and leave what came of it in the log; `places` are the volume and the port that the user named."""
    from lenet_edge.hardware import flashing

    for condition in log.verdict.conditions:
        seen = f"NOT SHOWN: {condition.caveat}" if condition.caveat else condition.found
        common.log(f"  {condition.name}: {seen if condition.met else f'FORCED, {condition.problem}'}")
    connection = flashing.find_connection(log.job, volume=places[0], port=places[1])
    log.begins()
    try:
        done = flashing.flash(
            connection.job,
            candidate.model,
            images,
            volume=connection.volume,
            open_port=connection.open_port,
            timeout_s=timeout_s,
            say=common.log,
        ).result(**proved_stack(candidate.firmware))
        require_proved(done.stack_used_bytes, done.stack_proved_bytes)
    except BaseException as error:
        _leave(partial(log.failed, error))
        raise
    log.done(done)
    return done


def _leave(write: Callable[[], None]) -> None:
    """Leave a refusal or failure in the log; a log that cannot be written is said, and hides neither."""
    try:
        write()
    except BadInputError as error:
        common.log(f"warning: {error}")


def _command_lines(job: Job, volume: Path | None, port: str | None) -> list[str]:
    """What would run; what is not there is said."""
    from lenet_edge.hardware import flashing

    found = flashing.find_connection(job, volume=volume, port=port, lacking=lambda what: common.log(f"  {what}"))
    return flashing.command_lines(found)


def _dry_run_tables(log: FlashLog, command_lines: list[str]) -> list[Table | str]:
    verdict = log.verdict
    return [
        _gate_table(log),
        *(f"not shown: {what}" for what in verdict.not_shown),
        *(f"FORCED: {problem}" for problem in verdict.unmet if verdict.forced),
        "would run, in a folder with the firmware's files:",
        *(f"  {line}" for line in command_lines),
        "dry run: nothing was written, and the board was not contacted",
    ]


def _tables(log: FlashLog, done: FlashResult) -> list[Table | str]:
    stages = common.new_table(f"flashed by {log.job.tool}", "stage", "what was seen", "seconds", left=2)
    for stage in done.stages:
        stages.add_row(stage.name, stage.found, f"{stage.seconds:.1f}")
    verdict = log.verdict
    but = f", but: {'; '.join(verdict.not_shown)}" if verdict.not_shown else ""
    forced = " (FORCED)" if verdict.forced else ""
    stack = stack_line(done.stack_used_bytes, done.stack_proved_bytes, done.stack_problem)
    return [_gate_table(log), stages, stack, f"{log.job.board.name} runs what was checked{but}{forced}"]


def _gate_table(log: FlashLog) -> Table:
    title = f"{log.job.board.name}, model {log.fingerprint[:16]}"
    table = common.new_table(title, "condition", "", "what was seen", left=3)
    for condition in log.verdict.conditions:
        if condition.caveat and condition.met:
            table.add_row(condition.name, "NOT SHOWN", condition.caveat)
        elif condition.met:
            table.add_row(condition.name, "met", condition.found)
        else:
            table.add_row(condition.name, "NOT met", condition.problem)
    return table
