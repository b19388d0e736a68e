"""`lenet-edge bench`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

from lenet_edge.cli import common, inputs
from lenet_edge.cli.common import short_name
from lenet_edge.cli.drawing import bar
from lenet_edge.cli.like import as_in_firmware
from lenet_edge.cli.options import refuse_given
from lenet_edge.cli.stacks import proved_stack, require_proved, stack_line
from lenet_edge.errors import BadInputError, CheckFailedError, LinkError
from lenet_edge.records import BenchRecord, LayerCount, read_bench, write_bench

if TYPE_CHECKING:
    from lenet_edge.formats.c_source.plan import Plan
    from lenet_edge.hardware.boards import Board
    from lenet_edge.hardware.emulators.process import CallCount
    from lenet_edge.hardware.firmware import Firmware
    from lenet_edge.hardware.link import Hello
    from lenet_edge.hardware.session import Session
    from lenet_edge.quantized.model import QuantizedModel

_SHARE, _BAR = "share of all", 10  # characters
_FEW = 3  # layers that are named in one line


@click.command()
@click.option(
    "--board", type=common.BOARD, metavar="NAME", help="A board of `lenet-edge boards`, or the path of your own .toml."
)
@click.option("--host", is_flag=True, help="Time this machine instead: the exported C against LiteRT with XNNPACK.")
@common.model_option(common.INT8_MODEL, "int8 model that the firmware was built from")
@common.firmware_option
@common.emulator_option
@common.inputs_option
@click.option(
    "--images",
    "image_count",
    type=common.IMAGE_COUNT,
    default=100,
    show_default=True,
    help="Count over the first N test images.",
)
@click.option(
    "--compare",
    "earlier_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="An earlier record: fail if the inference or a layer exceeds its count there by more than --max-growth.",
)
@click.option(
    "--max-growth",
    type=common.PERCENT,
    default=1.0,
    show_default=True,
    metavar="PERCENT",
    help="How much a count may grow with --compare.",
)
@common.out_option("build/bench/NAME.json")
@common.json_option
def bench(
    board: Board | None,
    host: bool,
    model: Path,
    firmware_folder: Path | None,
    emulator: str,
    data: str,
    image_count: int,
    earlier_path: Path | None,
    max_growth: float,
    out: Path | None,
    as_json: bool,
) -> None:
    """Count the instructions of an inference, layer by layer.

    The whole firmware runs in an emulator. Instruction counts are exact and repeatable, but they are not
    latency. The AVR's simulator also gives true cycles. Counts depend on the image where the compiled code
    branches; the largest and the mean over the images are shown.

    With --host, time is measured instead: the C with this machine's kernels, the C with the plain ones,
    and LiteRT with XNNPACK, interleaved in one run, one thread, one image per call.
    """
    if host == (board is not None):
        raise click.UsageError("name either a --board or --host")
    if host:
        on_host = "with --host, which runs no firmware and leaves no record; it goes with --board"
        refuse_given(on_host, "firmware_folder", "emulator", "earlier_path", "max_growth", "out")
        _bench_host(model, data, image_count, as_json=as_json)
        return
    if earlier_path is None:
        refuse_given("without --compare", "max_growth")
    assert board is not None
    earlier = None if earlier_path is None else _read_earlier(earlier_path, board)
    record = _count(board, model, firmware_folder, emulator, data, image_count)
    grown = [] if earlier is None else _grown(earlier, record, max_growth)
    path = out or Path("build/bench") / f"{board.name}.json"
    if not grown or earlier_path != path:  # else the next run would compare with what was refused
        write_bench(path, record)
    common.show(record.content(), as_json=as_json, tables=lambda: _tables(record, earlier))
    require_proved(record.stack_used_bytes, record.stack_proved_bytes)
    if grown:
        raise CheckFailedError(f"more than {max_growth:g} % above {earlier_path}: {'; '.join(grown)}")


def _count(board: Board, model: Path, folder: Path | None, emulator: str, data: str, image_count: int) -> BenchRecord:
    """Run the first test images on the firmware and count each inference.

    Raises:
        LinkError: an inference was not counted, or asked for twice.
        BadInputError: the firmware is not the one that was built, or changed in the meantime.
    """
    from lenet_edge.formats import int8_models
    from lenet_edge.hardware import session

    loaded = as_in_firmware(int8_models.read(model), board, folder)
    images = inputs.test_inputs(loaded, data, image_count, None).images
    built = common.built_firmware(board, loaded, folder)
    of_board = (board, built.elf, loaded.fingerprint)
    common.log(f"counting {len(images):,} inferences on {board.name}")
    known, macs = session.sizes_of(loaded), session.macs_of(loaded)
    with session.connect(*of_board, sizes=known, emulator=emulator, count=True, macs=macs) as running:
        common.infer_all(running.device, images)
        hello = running.device.hello()
        # The self-test's inferences do not return to the function that answers, and make one long call before ours.
        calls = running.counts()[-len(images) :]
    if len(calls) != len(images) or running.device.retries:
        raise LinkError(f"{len(calls)} inferences were counted instead of {len(images)}; try again")
    if running.image_sha256 != built.image_sha256:  # sizes and compiler are the manifest's
        raise BadInputError(f"{built.folder} changed in the meantime, or was edited; make it with: lenet-edge build")
    return _record(loaded, built, running, hello, calls)


def _record(
    model: QuantizedModel, built: Firmware, running: Session, hello: Hello, calls: Sequence[CallCount]
) -> BenchRecord:
    """The record: cycles where the emulator counts them, else instructions."""
    from lenet_edge.formats import c_source

    cycles = bool(calls[0].cycles)
    parts = [call.cycles if cycles else call.instructions for call in calls]
    return BenchRecord(
        board=built.board,
        emulator=running.emulator,
        toolchain=built.toolchain,
        optimize=built.optimize,
        fingerprint=model.fingerprint,
        image_sha256=running.image_sha256,
        images=len(calls),
        unit="cycles" if cycles else "instructions",
        total=max(map(sum, parts)),
        mean=round(sum(map(sum, parts)) / len(parts)),
        layers=_layers(c_source.make_plan(model, built.family, built.packing), parts),
        flash_bytes=built.sizes.flash,
        ram_bytes=hello.buffer_bytes + hello.stack_used - hello.input_bytes,
        stack_used_bytes=hello.stack_used,
        **proved_stack(built),
    )


def _bench_host(model: Path, data: str, image_count: int, *, as_json: bool) -> None:
    from lenet_edge.cli.bench_host import host_tables, time_on_host
    from lenet_edge.formats import int8_models

    loaded, content = int8_models.load(model)
    result = time_on_host(model, loaded, content, inputs.test_inputs(loaded, data, image_count, None).images)
    common.show(result, as_json=as_json, tables=lambda: host_tables(result))


def _read_earlier(path: Path, board: Board) -> BenchRecord:
    """An earlier record.

    Raises:
        BadInputError: it is not one, or another board's.
    """
    record = read_bench(path, board.argument)
    if record.board != board.name:
        raise BadInputError(f"{path} is a record of {record.board}, not of {board.name}")
    return record


def _grown(earlier: BenchRecord, now: BenchRecord, max_growth: float) -> list[str]:
    """The inference and the layers that take more than they may; a layer that is new counts in the whole only."""
    if earlier.unit != now.unit:
        raise BadInputError(f"the record counts {earlier.unit}, this emulator {now.unit}")
    layers = zip(now.layers, _before(earlier, now), strict=True)
    counts = [("all", earlier.total, now.total), *((layer.name, before, layer.count) for layer, before in layers)]
    return [
        f"{name} {before:,} -> {count:,}"
        for name, before, count in counts
        if before is not None and count > before * (1 + max_growth / 100)
    ]


def _before(earlier: BenchRecord | None, now: BenchRecord) -> list[int | None]:
    """What each layer took in an earlier record; None for one that is new.

    Of layers that share a name, the first is compared with the first, and so on; with another number of them there is
    nothing that tells which is which, and all count as new.
    """
    found: dict[str, list[int]] = {}
    for layer in () if earlier is None else earlier.layers:
        found.setdefault(layer.name, []).append(layer.count)
    names = Counter(layer.name for layer in now.layers)
    same = {name: iter(counts) for name, counts in found.items() if len(counts) == names[name]}
    return [next(same[layer.name]) if layer.name in same else None for layer in now.layers]


def _layers(plan: Plan, parts: Sequence[tuple[int, ...]]) -> tuple[LayerCount, ...]:
    """Each step's largest count; what runs before the first step belongs to none."""
    return tuple(
        LayerCount(
            name="+".join(placed.step.names),
            count=max(part[index + 1] for part in parts),
            macs=placed.step.macs,
            kernel=placed.kernel.name,
            why_plain=placed.kernel.why_plain,
            runner_up=placed.kernel.runner_up,
            runner_up_more=placed.kernel.runner_up_more,
        )
        for index, placed in enumerate(plan.steps)
    )


def _tables(record: BenchRecord, earlier: BenchRecord | None) -> list[Table | str]:
    unit = record.unit
    images = f"largest of {record.images:,} images" if record.images > 1 else "one image"
    title = f"{record.board} in {record.emulator}: {unit} per inference, {images}"
    columns = (unit, "MACs", "per MAC", "kernel", *(() if earlier is None else ("earlier", "change")))
    table = common.new_table(title, "layer", *columns, spare=_SHARE)
    table.add_column(_SHARE, no_wrap=True)
    for layer, before in zip(record.layers, _before(earlier, record), strict=True):
        cells, share = _row(layer, before), layer.count / (record.total or 1)
        empty = [""] * (1 + len(columns) - len(cells))
        table.add_row(*cells, *empty, f"{100 * share:4.1f} % {bar(share, _BAR)}")
    macs = sum(layer.macs for layer in record.layers)
    whole = LayerCount("all", record.total, macs, "", "")
    table.add_row(*_row(whole, None if earlier is None else earlier.total), style="bold")
    return [
        table,
        *_runners_up(record.layers),
        *_slow(record.layers),
        f"mean {record.mean:,}; flash {record.flash_bytes:,} bytes, RAM without the image "
        f"{record.ram_bytes:,} bytes, of these {record.stack_used_bytes:,} of stack; {record.toolchain}",
        stack_line(record.stack_used_bytes, record.stack_proved_bytes, record.stack_problem),
    ]


def _runners_up(layers: Sequence[LayerCount]) -> list[Table]:
    """What the second best kernel of each layer would take, where there was a choice."""
    table = common.new_table("the next best kernels, as estimated", "layer", "kernel", "more", left=2)
    for layer in layers:
        if layer.runner_up:
            table.add_row(short_name(layer.name), layer.runner_up, f"{100 * layer.runner_up_more:.0f} %")
    return [table] if table.row_count else []


def _slow(layers: Sequence[LayerCount]) -> list[str]:
    """Why layers have plain kernels: a line per reason."""
    named: dict[str, list[str]] = {"": []}
    for layer in layers:
        named.setdefault(layer.why_plain, []).append(short_name(layer.name))
    del named[""]
    return [f"{_listed(names)}, since {why}" for why, names in named.items()]


def _listed(names: Sequence[str]) -> str:
    """Layers that have plain kernels; by number where they are many."""
    if len(names) == 1:
        return f"{names[0]}: plain kernel"
    return f"{', '.join(names) if len(names) <= _FEW else f'{len(names)} layers'}: plain kernels"


def _row(layer: LayerCount, before: int | None) -> list[str]:
    count, macs = layer.count, layer.macs
    per_mac = f"{count / macs:.2f}" if macs else ""
    row = [short_name(layer.name), f"{count:,}", f"{macs:,}" if macs else "", per_mac, layer.kernel]
    if before is None:
        return row
    return [*row, f"{before:,}", f"{100 * (count / before - 1):+.2f} %" if before else ""]
