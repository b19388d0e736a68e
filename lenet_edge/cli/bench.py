"""`lenet-edge bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.table import Table

from lenet_edge.cli import common, inputs
from lenet_edge.cli.options import refuse_given
from lenet_edge.errors import BadInputError, CheckFailedError, LinkError
from lenet_edge.files import to_json, write_file
from lenet_edge.records import BENCH_FORMAT, parse_bench, read_record


@click.command()
@click.option("--board", metavar="NAME", help="A board of `lenet-edge boards`, or the path of a .toml of your own.")
@click.option("--host", is_flag=True, help="Time this machine instead: the exported C against LiteRT with XNNPACK.")
@common.model_option(common.INT8_MODEL, "int8 model that the firmware should have")
@common.firmware_option
@common.emulator_option
@common.data_option
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
    help="An earlier record (--json): fail where the inference or a layer takes more than --max-growth above it.",
)
@click.option("--max-growth", type=common.PERCENT, default=1.0, show_default=True, metavar="PERCENT")
@common.out_option("build/bench/NAME.json")
@common.json_option
def bench(
    board: str | None,
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
    """Count the instructions of an inference, layer by layer, on the whole firmware in an emulator.

    Instructions are exact and repeatable, and no latency. The AVR's simulator also gives true
    cycles. Counts depend on the image where the compiler branches: shown are the largest and the
    mean over the images.

    With --host it is a time, in one run by turns: the C with this machine's kernels and with the plain ones,
    and LiteRT with XNNPACK, one thread, one image a call.
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
    from lenet_edge.formats import c_source, tflite
    from lenet_edge.hardware import boards, session

    described = boards.load(board)
    earlier = None if earlier_path is None else _read_record(earlier_path, described.name)
    loaded = tflite.read(model)
    images = inputs.test_inputs(loaded, data, image_count).images
    built = common.built_firmware(described, loaded, firmware_folder)
    sizes = session.sizes_of(loaded)
    with session.connect(
        described, built.elf, loaded.fingerprint, sizes=sizes, emulator=emulator, count=True
    ) as running:
        running.device.infer_all(images)
        hello = running.device.hello()
        # The self-test's inferences do not return to the function that answers, and make one long call before ours.
        calls = running.counts()[-len(images) :]
    if len(calls) != len(images) or running.device.retries:
        raise LinkError(f"{len(calls)} inferences were counted instead of {len(images)}; try again")
    if running.image_sha256 != built.image_sha256:  # sizes and compiler are the manifest's
        raise BadInputError(f"{built.folder} changed meanwhile, or was edited; make it with: lenet-edge build")
    cycles = bool(calls[0].cycles)
    parts = [call.cycles if cycles else call.instructions for call in calls]
    result = {
        "board": described.name,
        "emulator": running.emulator,
        "toolchain": built.toolchain,
        "optimize": built.optimize,
        "format": BENCH_FORMAT,
        "fingerprint": loaded.fingerprint,
        "image_sha256": running.image_sha256,
        "images": len(images),
        "unit": "cycles" if cycles else "instructions",
        "total": max(map(sum, parts)),
        "mean": round(sum(map(sum, parts)) / len(parts)),
        "layers": _layers(c_source.facts(loaded, built.family)["steps"], parts),
        "flash_bytes": built.sizes.flash,
        "ram_bytes": hello.buffer_bytes + hello.stack_used - hello.input_bytes,
        "stack_used_bytes": hello.stack_used,
    }
    grown = [] if earlier is None else _grown(earlier, result, max_growth)
    record = out or Path("build/bench") / f"{described.name}.json"
    if not grown or earlier_path != record:  # else the next run would compare with what was refused
        write_file(record, to_json(result).encode())
    common.show(result, as_json=as_json, tables=lambda: _tables(result, earlier))
    if grown:
        raise CheckFailedError(f"more than {max_growth:g} % above {earlier_path}: {'; '.join(grown)}")


def _bench_host(model: Path, data: str, image_count: int, *, as_json: bool) -> None:
    from lenet_edge.cli.bench_host import host_tables, time_on_host
    from lenet_edge.formats import tflite

    loaded, content = tflite.load(model)
    result = time_on_host(model, loaded, content, inputs.test_inputs(loaded, data, image_count).images)
    common.show(result, as_json=as_json, tables=lambda: host_tables(result))


def _read_record(path: Path, board: str) -> dict[str, Any]:
    """An earlier `--json`: its board, unit, total and layers are what counts.

    Raises:
        BadInputError: it is none, or another board's.
    """
    record = read_record(path, parse_bench, f"lenet-edge bench --board {board}")
    if record.board != board:
        raise BadInputError(f"{path} is a record of {record.board}, not of {board}")
    return {"unit": record.unit, "all": record.total, **record.layers}


def _grown(earlier: dict[str, Any], result: dict[str, Any], max_growth: float) -> list[str]:
    """The inference and the layers that take more than they may; a layer that is new counts in the whole only."""
    if earlier["unit"] != result["unit"]:
        raise BadInputError(f"the record counts {earlier['unit']}, this emulator {result['unit']}")
    now = {"all": result["total"], **{layer["name"]: layer["count"] for layer in result["layers"]}}
    return [
        f"{name} {earlier[name]:,} -> {count:,}"
        for name, count in now.items()
        if name in earlier and count > earlier[name] * (1 + max_growth / 100)
    ]


def _layers(steps: list[dict[str, Any]], parts: list[tuple[int, ...]]) -> list[dict[str, Any]]:
    """Each step's largest count; what runs before the first step belongs to none."""
    return [
        {
            "name": "+".join(step["layers"]),
            "count": max(part[index + 1] for part in parts),
            "macs": step["macs"],
            "kernel": step["kernel"],
            "why_plain": step["why_plain"],
        }
        for index, step in enumerate(steps)
    ]


def _tables(result: dict[str, Any], earlier: dict[str, Any] | None) -> list[Table | str]:
    unit = result["unit"]
    title = f"{result['board']} in {result['emulator']}: {unit} per inference, largest of {result['images']} images"
    columns = (unit, "MACs", f"{unit} per MAC", "kernel", *(() if earlier is None else ("earlier", "change")))
    table = common.new_table(title, "layer", *columns)
    for layer in result["layers"]:
        table.add_row(*_row(layer["name"], layer["count"], layer["macs"], layer["kernel"], earlier))
    macs = sum(layer["macs"] for layer in result["layers"])
    table.add_row(*_row("all", result["total"], macs, "", earlier), style="bold")
    slow = [
        f"{layer['name']}: plain kernel, since {layer['why_plain']}" for layer in result["layers"] if layer["why_plain"]
    ]
    return [
        table,
        *slow,
        f"mean {result['mean']:,}; flash {result['flash_bytes']:,} bytes, RAM beside the image "
        f"{result['ram_bytes']:,} bytes, of these {result['stack_used_bytes']:,} of stack; {result['toolchain']}",
    ]


def _row(name: str, count: int, macs: int, kernel: str, earlier: dict[str, Any] | None) -> list[str]:
    row = [name, f"{count:,}", f"{macs:,}" if macs else "", f"{count / macs:.2f}" if macs else "", kernel]
    before = None if earlier is None else earlier.get(name)
    if before is None:
        return row
    return [*row, f"{before:,}", f"{100 * (count / before - 1):+.2f} %" if before else ""]
