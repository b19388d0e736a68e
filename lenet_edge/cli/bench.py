"""`lenet-edge bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.table import Table

from lenet_edge.cli import common
from lenet_edge.errors import LinkError


@click.command()
@common.board_option
@common.model_option(common.INT8_MODEL, "int8 model that the firmware should have")
@common.firmware_option
@common.emulator_option
@common.data_option
@click.option(
    "--images",
    "image_count",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Count over the first N test images.",
)
@common.json_option
def bench(
    board: str, model: Path, firmware_folder: Path | None, emulator: str, data: str, image_count: int, as_json: bool
) -> None:
    """Count the instructions of an inference, layer by layer, on the whole firmware in an emulator.

    Instructions are exact and repeatable, and no latency. The AVR's simulator also gives true
    cycles. Counts depend on the image where the compiler branches: shown are the largest and the
    mean over the images.
    """
    from lenet_edge import datasets
    from lenet_edge.formats import c_source, tflite
    from lenet_edge.hardware import boards, session
    from lenet_edge.quantized.emulate import quantize_images

    loaded = tflite.read(model)
    described = boards.load(board)
    built = common.built_firmware(described, loaded, firmware_folder)
    pixels, _, _ = datasets.load_test(data, progress=common.log)
    common.require_input(loaded, pixels.shape[1:])
    images = quantize_images(pixels[:image_count])
    with session.connect(described, built.elf, loaded.fingerprint, emulator=emulator, count=True) as running:
        running.device.infer_all(images)
        hello = running.device.hello()
        # The self-test's inferences do not return to the function that answers, and make one long call before ours.
        calls = running.counts()[-len(images) :]
    if len(calls) != len(images) or running.device.retries:
        raise LinkError(f"{len(calls)} inferences were counted instead of {len(images)}; try again")
    cycles = bool(calls[0].cycles)
    parts = [call.cycles if cycles else call.instructions for call in calls]
    result = {
        "board": described.name,
        "emulator": running.emulator,
        "toolchain": built.toolchain,
        "fingerprint": loaded.fingerprint,
        "images": len(images),
        "unit": "cycles" if cycles else "instructions",
        "total": max(map(sum, parts)),
        "mean": round(sum(map(sum, parts)) / len(parts)),
        "layers": _layers(c_source.facts(loaded)["steps"], parts),
        "flash_bytes": built.sizes.flash,
        "ram_bytes": hello.buffer_bytes + hello.stack_used - hello.input_bytes,
        "stack_used_bytes": hello.stack_used,
    }
    common.show(result, as_json=as_json, tables=lambda: _tables(result))


def _layers(steps: list[dict[str, Any]], parts: list[tuple[int, ...]]) -> list[dict[str, Any]]:
    """Each step's largest count; what runs before the first step belongs to none."""
    return [
        {
            "name": "+".join(step["layers"]),
            "count": max(part[index + 1] for part in parts),
            "macs": step["macs"],
        }
        for index, step in enumerate(steps)
    ]


def _tables(result: dict[str, Any]) -> list[Table | str]:
    unit = result["unit"]
    title = f"{result['board']} in {result['emulator']}: {unit} per inference, largest of {result['images']} images"
    table = common.new_table(title, "layer", unit, "MACs", f"{unit} per MAC")
    for layer in result["layers"]:
        per_mac = f"{layer['count'] / layer['macs']:.2f}" if layer["macs"] else ""
        table.add_row(layer["name"], f"{layer['count']:,}", f"{layer['macs']:,}" if layer["macs"] else "", per_mac)
    macs = sum(layer["macs"] for layer in result["layers"])
    table.add_row("all", f"{result['total']:,}", f"{macs:,}", f"{result['total'] / macs:.2f}", style="bold")
    return [
        table,
        f"mean {result['mean']:,}; flash {result['flash_bytes']:,} bytes, RAM beside the image "
        f"{result['ram_bytes']:,} bytes, of these {result['stack_used_bytes']:,} of stack; {result['toolchain']}",
    ]
