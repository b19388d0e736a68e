"""`lenet-edge flash`."""

from __future__ import annotations

import datetime
import json
import re
import shlex
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from lenet_edge.cli import common, inputs
from lenet_edge.cli.options import refuse_given
from lenet_edge.errors import BadInputError, CheckFailedError, LinkError, MissingToolError

_RECORD = Path("build/check.json")
_LOG = Path("build/flash.log")
_TYPED = 16  # hexadecimal digits of a fingerprint that --force takes for all 64: as many as are shown
_WITH_PROBE = ("pyocd", "openocd", "probe-rs")
_RECORD_CONDITIONS = ("check", "data", "engines", "accuracy drop", "this image")


@click.command()
@common.board_option
@common.model_option(common.INT8_MODEL, "int8 model")
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
    help="What the record must show, as TOML, instead of the board's [policy].",
)
@click.option(
    "--tool", metavar="NAME", help="What writes.  [default: the board's; without one its emulator's GDB port]"
)
@click.option("--probe", metavar="ID", help="The debug probe's serial number; for `emulator` its GDB port HOST:PORT.")
@click.option("--port", metavar="DEVICE", help="The board's serial port.")
@click.option("--volume", type=click.Path(path_type=Path), metavar="DIR", help="The volume of the board's boot loader.")
@common.data_option
@click.option("--images", "image_count", type=common.IMAGE_COUNT, default=100, show_default=True, metavar="N")
@click.option("--timeout", type=common.SECONDS, default=120, show_default=True, metavar="SECONDS")
@click.option("--dry-run", is_flag=True, help="Ask the gate, print the command lines, write nothing.")
@click.option(
    "--force",
    metavar="FINGERPRINT",
    help="Flash although `check` does not show it all: type the model's fingerprint, 16 digits or all. It is logged.",
)
@click.option("--log", "log_file", type=click.Path(path_type=Path), default=_LOG, show_default=True, metavar="FILE")
@common.json_option
@common.keeps_inputs
def flash(
    board: str,
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
    """Write checked firmware into a board and prove that the board computes what was validated.

    Nothing unchecked gets there: the tables in the firmware must be those of the model, and `check`
    must have passed for it with the data, engines, images and accuracy drop of the board's policy;
    where an emulator has the board, for this very firmware. A policy names its data as `data = "mnist"`
    or by the data_sha256 of check's record; else it is the one that the model was quantised with.
    Then: write, read back, reset, banner, self-test, and test images over the serial port with every
    logit compared. A failure says at which stage it came; flash again to recover.
    """
    from lenet_edge.files import read_bytes
    from lenet_edge.formats import tflite
    from lenet_edge.hardware import boards, firmware, flashing

    described = boards.load(board)
    policy = boards.read_policy(policy_file) if policy_file else described.policy
    _require_engines(policy.engines, policy_file or f"[policy] of {described.name}")
    loaded = tflite.read(model)
    built = firmware.load(firmware_folder or common.firmware_of(described.name))
    elf = read_bytes(built.elf, "the firmware", "`lenet-edge build` makes it.")
    candidate = flashing.Candidate(described, loaded, built, elf)
    wanted = _test_set(policy.data, policy_file or f"[policy] of {described.name}", loaded)
    conditions = flashing.examine(candidate, _records(records), policy, wanted)
    job = _job(candidate, tool, probe, port, volume)
    result = {
        "board": described.name,
        "fingerprint": loaded.fingerprint,
        "image_sha256": candidate.image.sha256,
        "tool": job.tool,
        "policy": {"from": str(policy_file or f"[policy] of {described.name}"), **asdict(policy)},
        "data": asdict(wanted),
        "conditions": [asdict(condition) | {"met": condition.met} for condition in conditions],
        "forced": False,
        "warnings": inputs.model_warnings(loaded),
    }
    problem = _refusal(conditions, force, loaded.fingerprint)
    result["forced"] = not problem and not all(condition.met for condition in conditions)
    if dry_run:
        result["commands"] = _command_lines(_Work(job, volume, port, timeout, may_lack=True))
        common.show(result, as_json=as_json, tables=lambda: _tables(result))
    if problem:
        raise CheckFailedError(problem)
    if dry_run:
        return
    for condition in conditions:
        common.log(f"  {condition.name}: {_seen(condition)}")
    images = _images(data, image_count, loaded)
    work = _Work(job, volume, port, timeout)
    _log(log_file, result, "begins")
    try:
        done = work.run(loaded, images)
    except BaseException as error:
        _log(log_file, result, "failed", error=str(error) or type(error).__name__)
        raise
    result |= {
        "stages": [asdict(stage) for stage in done.stages],
        "banner": done.banner,
        "images": done.images,
        "logits_differ": 0,  # anything else is an error of the last stage
        "stack_used_bytes": done.hello.stack_used,
    }
    _log(log_file, result, "done")
    common.show(result, as_json=as_json, tables=lambda: _tables(result))


def _seen(condition: Any) -> str:
    if not condition.met:
        return f"FORCED, {condition.problem}"
    return f"NOT SHOWN: {condition.caveat}" if condition.caveat else str(condition.found)


def _require_engines(names: Sequence[str], source: Path | str) -> None:
    """Refuse a policy that asks for what `check` never runs.

    Raises:
        BadInputError: it does.
    """
    from lenet_edge.engines import ENGINES
    from lenet_edge.strict_toml import nearest

    known = {*ENGINES, "host_c-x86"}  # the record may be of another machine
    for name in names:
        if name not in known and not re.fullmatch(r"board:[a-z0-9_-]+/(unicorn|qemu|simavr)", name):
            raise BadInputError(f"{source}: engines has {name!r}, which is not an engine.{nearest(name, known)}")
        if names.count(name) > 1:
            raise BadInputError(f"{source}: engines has {name!r} twice")


def _test_set(named: str | None, source: Path | str, loaded: Any) -> Any:
    """The test set that the policy asks for: the one that it names, else the model's own, else MNIST.

    Raises:
        BadInputError: the policy names what is not a published data set and not a SHA-256.
    """
    from lenet_edge import datasets
    from lenet_edge.hardware.flashing import TestSet

    by, name = str(source), named
    if name is None:
        by, digest, name = TestSet.OWN, loaded.metadata.get("test_sha256"), loaded.metadata.get("dataset")
        if isinstance(digest, str) and re.fullmatch(r"[0-9a-f]{64}", digest):
            name = digest
        elif name not in datasets.NAMES:
            by, name = "default", "mnist"
    for published in datasets.NAMES:
        digest = datasets.published_sha256(published)
        if name in (published, digest):
            return TestSet(published, digest, datasets.PUBLISHED_TEST_IMAGES, by)
    if not re.fullmatch(r"[0-9a-f]{64}", str(name)):
        known = ", ".join(datasets.NAMES)
        raise BadInputError(f"{by}: data is {name!r}; give one of {known}, or the data_sha256 of check's record")
    return TestSet(str(name), str(name), None, by)


def _job(candidate: Any, tool: str | None, probe: str | None, port: str | None, volume: Path | None) -> Any:
    from lenet_edge.hardware import flashing

    board = candidate.board
    chosen = tool or (board.flash_tool.tool if board.flash_tool else flashing.EMULATOR)
    known = [*flashing.FLASHERS, *flashing.COPIES]
    if chosen not in known:
        raise BadInputError(f"there is no flash tool {chosen!r}. Known: {', '.join(known)}")
    target = flashing.target_of(board, chosen)
    if volume is not None and chosen not in flashing.COPIES:
        raise click.UsageError(f"--volume is for copies, --tool {' or '.join(flashing.COPIES)}; {chosen} writes itself")
    _refuse_unused(chosen, probe, port, copies=flashing.COPIES)
    return flashing.Job(board, chosen, target, candidate.image, probe=probe, port=port)


def _refuse_unused(tool: str, probe: str | None, port: str | None, copies: Collection[str]) -> None:
    """Refuse options that the tool has no use for."""
    if tool in copies:
        refuse_given(f"with --tool {tool}, which copies a file and runs no program", "timeout")
    if tool == "emulator" and probe is None:
        refuse_given("with an emulator that is started for this; --probe names one that runs", "port")
    if tool not in (*_WITH_PROBE, "emulator") and port is not None:
        refuse_given(f"with --tool {tool} and --port: it only finds the port", "probe")


def _records(named: Sequence[Path]) -> Any:
    """The records of `check`: those that are named, which must be there, else the usual one where there is one."""
    from lenet_edge.hardware import flashing
    from lenet_edge.records import read_check

    return [read_check(path) for path in named] if named else flashing.read_records((_RECORD,))


def _refusal(conditions: Sequence[Any], force: str | None, fingerprint: str) -> str:
    """Why nothing is flashed; empty where all conditions are met, or --force overrides those that are not."""
    refused = [condition for condition in conditions if not condition.met]
    words = [f"{condition.name}: {condition.problem}. Fix it with: {condition.remedy}" for condition in refused]
    words += [f"Not shown: {condition.caveat}" for condition in conditions if condition.met and condition.caveat]
    listed = "; ".join(words)
    if force is not None and (len(force) < _TYPED or not fingerprint.startswith(force.lower())):
        return (
            f"refused to flash: --force {force} is not the model's fingerprint; type the {_TYPED} digits that "
            f"`lenet-edge build` shows for it, or all of them. {listed}"
        ).rstrip()
    if not refused:
        return ""
    if force is None:
        return f"refused to flash. {listed}"
    if any(condition.name not in _RECORD_CONDITIONS for condition in refused):
        return f"refused to flash; --force overrides the check's record only. {listed}"
    return ""


def _command_lines(work: _Work) -> list[str]:
    """What would run, in a temporary folder that holds the firmware's files."""
    from lenet_edge.hardware import flashing

    job = work.job
    if job.tool in flashing.COPIES:
        return [shlex.join(["cp", flashing.COPIES[job.tool], str(work.volume or job.target)])]
    used = flashing.commands(job)
    return [shlex.join(argv) for argv in (used.identify, used.write, used.verify, used.reset) if argv]


def _images(data: str, count: int, loaded: Any) -> Any:
    return inputs.test_inputs(loaded, data, count).images


class _Work:
    """What is left to find before the stages can run: the probe, the volume, the serial port.

    Where they `may_lack`, as for a dry run, what is not found is said and left out.
    """

    def __init__(
        self, job: Any, volume: Path | None, port: str | None, timeout_s: float, *, may_lack: bool = False
    ) -> None:
        from lenet_edge.hardware import flashing

        self.volume, self.timeout_s = volume, timeout_s
        self.open_port: Callable[[], Any] | None = None
        find = _if_there if may_lack else _call
        serial_number = job.probe
        if job.tool in flashing.COPIES and volume is None:
            self.volume = find(lambda: _find_volume(job.target))
        elif job.tool in _WITH_PROBE and job.probe is None:
            serial_number = find(_find_probe)
        elif job.tool == "probe-rs":
            job = replace(job, probe=_selector(job.probe))
        if not (job.tool == flashing.EMULATOR and job.probe is None):
            port = port or find(lambda: _find_port(serial_number))
            self.open_port = lambda: _open(port)
        self.job = replace(job, port=port)

    def run(self, model: Any, images: Any) -> Any:
        from lenet_edge.hardware import flashing

        return flashing.flash(
            self.job,
            model,
            images,
            volume=self.volume,
            open_port=self.open_port,
            timeout_s=self.timeout_s,
            say=common.log,
        )


def _call(find: Callable[[], Any]) -> Any:
    return find()


def _if_there(find: Callable[[], Any]) -> Any:
    try:
        return find()
    except (LinkError, MissingToolError) as error:
        common.log(f"  {error}")
        return None


def _find_volume(label: str) -> Path:
    from lenet_edge.hardware.flashing import detection

    hint = f"Start the board's boot loader, so that the volume {label} appears"
    return Path(detection.take_one(detection.volumes(label), f"volume {label}", "--volume", hint).name)


def _find_probe() -> str | None:
    """The serial number of the only debug probe; None where the system does not list them."""
    from lenet_edge.hardware.flashing import detection

    probes = detection.probes()
    if probes is None:
        return None
    hint = "Plug in the board or its probe (Linux: may you access it? See the tool's udev rules)"
    return detection.take_one(probes, "debug probe", "--probe", hint).serial_number


def _selector(probe: str) -> str:
    """A serial number as probe-rs takes it, VID:PID:SERIAL."""
    from lenet_edge.hardware.flashing import detection

    found = None if ":" in probe else detection.probe_of(probe)
    return probe if found is None else f"{found.usb}:{probe}"


def _find_port(serial_number: str | None) -> str:
    """The board's serial port: the one of its probe, whose number may follow its kind or VID:PID, else the only one."""
    from lenet_edge.hardware.flashing import detection

    found = detection.serial_ports()
    number = (serial_number or "").rpartition(":")[2]
    of_probe = [each for each in found if number and each.serial_number == number]
    hint = "The board's UART must be connected: test images go through it"
    return detection.take_one(of_probe or found, "serial port", "--port", hint).name


def _open(port: str) -> Any:
    from lenet_edge.hardware.serial_port import SerialStream

    return SerialStream(port, 115200)


def _log(path: Path, result: dict[str, Any], event: str, **facts: Any) -> None:
    """One line of JSON for each event; a line that begins and does not end is a flash that was cut off."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    keys = ("board", "fingerprint", "image_sha256", "tool", "policy", "data", "forced")
    unmet = [condition["problem"] for condition in _unmet(result)]
    kept = {key: result[key] for key in keys} | {"passed_over": unmet, "not_shown": _not_shown(result)}
    line = json.dumps({"time": now, "event": event, **kept, **facts}, ensure_ascii=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Of file names: JSON has such escapes.
        with path.open("a", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(line + "\n")
    except OSError as error:
        raise BadInputError(f"cannot write the log {path}: {error.strerror}; choose another with --log") from error


def _unmet(result: dict[str, Any]) -> list[dict[str, Any]]:
    return [condition for condition in result["conditions"] if not condition["met"]]


def _not_shown(result: dict[str, Any]) -> list[str]:
    """What the gate lets pass although nothing showed it: said with every verdict."""
    return [condition["caveat"] for condition in result["conditions"] if condition["met"] and condition["caveat"]]


def _tables(result: dict[str, Any]) -> list[Table | str]:
    title = f"{result['board']}, model {result['fingerprint'][:16]}"
    gate = common.new_table(title, "condition", "", "what was seen", left=3)
    for condition in result["conditions"]:
        if condition["caveat"] and condition["met"]:
            gate.add_row(condition["name"], "NOT SHOWN", condition["caveat"])
        else:
            met = condition["met"]
            gate.add_row(condition["name"], "met" if met else "NOT met", condition["found" if met else "problem"])
    lines: list[Table | str] = [gate]
    missing = _not_shown(result)
    if "commands" in result:
        lines += [f"not shown: {what}" for what in missing]
        lines += [f"FORCED: {condition['problem']}" for condition in _unmet(result) if result["forced"]]
        lines += ["would run, in a folder with the firmware's files:", *(f"  {c}" for c in result["commands"])]
        return [*lines, "dry run: nothing was written, and the board was not asked"]
    stages = common.new_table(f"flashed by {result['tool']}", "stage", "what was seen", "seconds", left=2)
    for stage in result["stages"]:
        stages.add_row(stage["name"], stage["found"], f"{stage['seconds']:.1f}")
    but = f", but: {'; '.join(missing)}" if missing else ""
    verdict = f"{result['board']} runs what was checked{but}"
    return [*lines, stages, verdict + (" (FORCED)" if result["forced"] else "")]
