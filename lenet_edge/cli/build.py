"""`lenet-edge build`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import click
from rich.table import Table

from lenet_edge.cli import common, frames
from lenet_edge.cli.like import like_option, read_model

if TYPE_CHECKING:
    from lenet_edge.hardware.boards import Board
    from lenet_edge.hardware.firmware import Firmware
    from lenet_edge.preparation.frames import FrameShape


class StackFacts(TypedDict):
    """How deep the stack can get; None where it was not proved, or, of the problem, where it was."""

    stack_depth_bytes: int | None
    stack_path: list[str]
    stack_inference_bytes: int | None
    stack_problem: str | None


class BuildResult(StackFacts):
    """What `--json` prints."""

    board: str
    fingerprint: str
    folder: str
    toolchain: str
    optimize: str
    kernels: str
    packing: dict[str, str]
    why_packed: str
    like: str | None
    flash_bytes: int
    ram_bytes: int
    beyond_weights_bytes: int
    sizes: dict[str, int]
    budget: dict[str, int]


@click.command()
@common.board_option
@common.model_option(common.INT8_MODEL, "int8 model to build")
@common.toolchain_option
@common.optimize_option
@common.weight_packing_option(
    "auto", "How weights of a few bits lie in flash: auto packs as few layers as it takes to fit"
)
@like_option
@frames.frames_option(
    "Take camera frames over the link, with rows up to this width and format, such as 320x240/rgb565."
)
@common.out_option("build/firmware/NAME/")
@common.json_option
def build(
    board: Board,
    model: Path,
    toolchain: str,
    optimize: str,
    weight_packing: str,
    like: str,
    frame_shape: FrameShape | None,
    out: Path | None,
    as_json: bool,
) -> Firmware:
    """Build a board's firmware: ELF, HEX, BIN, a map and its sizes.

    The same model, board and compiler give the same bytes, whatever the folder or the time. The build
    fails if the firmware does not fit, and names what is too big.
    """
    from lenet_edge.hardware import firmware

    loaded = read_model(model, like)
    folder = out or common.firmware_of(board.name)
    common.log(f"building {model} for {board.title}")
    row_bytes = 0 if frame_shape is None else frame_shape.row_bytes
    built = firmware.build(
        loaded, board, folder, toolchain=toolchain, optimize=optimize, row_bytes=row_bytes, packing=weight_packing
    )
    result: BuildResult = {
        "board": board.name,
        "fingerprint": built.fingerprint,
        "folder": str(folder),
        "toolchain": built.toolchain,
        "optimize": built.optimize,
        "kernels": built.family,
        "packing": dict(built.packing),
        "why_packed": built.why_packed,
        "like": built.like,
        "flash_bytes": built.sizes.flash,
        "ram_bytes": built.sizes.ram,
        **_stack_facts(built),
        "beyond_weights_bytes": built.sizes.beyond_weights,
        "sizes": vars(built.sizes),
        "budget": {"flash_bytes": board.flash_budget_bytes, "ram_bytes": board.ram_budget_bytes},
    }
    common.show(result, as_json=as_json, tables=lambda: _tables(result))
    return built


def _stack_facts(built: Firmware) -> StackFacts:
    return {
        "stack_depth_bytes": built.stack_depth or None,
        "stack_path": list(built.stack_path),
        "stack_inference_bytes": built.stack_inference or None,
        "stack_problem": built.stack_problem or None,
    }


def _tables(result: BuildResult) -> list[Table | str]:
    sizes, budget = result["sizes"], result["budget"]
    title = f"{result['folder']}: {result['board']}, model {result['fingerprint'][:16]}"
    table = common.new_table(title, "memory", "what", "bytes", "of", left=2)
    rows = (
        ("flash", "code, protocol, start-up", sizes["code"]),
        ("", "weights and biases", sizes["weights"]),
        ("", "other tables of the model", sizes["tables"] - sizes["weights"]),
        ("RAM", "buffers", sizes["buffers"]),
        ("", "of these the image", sizes["input_image"]),
        ("", "stack", sizes["stack"]),
        *([("", "of these proved to be enough", depth)] if (depth := result["stack_depth_bytes"]) else []),
    )
    for memory, what, size in rows:
        table.add_row(memory, what, f"{size:,}", "")
    for memory, used, available in (
        ("flash", result["flash_bytes"], budget["flash_bytes"]),
        ("RAM", result["ram_bytes"], budget["ram_bytes"]),
    ):
        table.add_row(memory, "all", f"{used:,}", f"{available:,} ({100 * used / available:.0f} %)", style="bold")
    like = f", rounds as {result['like']} does" if result["like"] else ""
    return [
        table,
        *_packed(result),
        *_stack(result),
        f"built for {result['optimize']} ({result['kernels']} kernels) with {result['toolchain']}{like}",
    ]


def _stack(result: BuildResult) -> list[str]:
    """The deepest path, for the reader; or why nothing is proved."""
    if result["stack_problem"]:
        return [f"stack NOT proved: {result['stack_problem']}"]
    if not result["stack_path"]:
        return []
    inference = (
        f"; an inference alone takes {result['stack_inference_bytes']:,}" if result["stack_inference_bytes"] else ""
    )
    return [f"the deepest path is {' > '.join(result['stack_path'])}{inference}"]


def _packed(result: BuildResult) -> list[str]:
    """Which weights are packed, and why, for the reader."""
    if not result["packing"]:
        return []
    why = f": {result['why_packed']}" if result["why_packed"] else ""
    return [f"{common.packing_text(result['packing'])}{why}"]
