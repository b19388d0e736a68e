"""`lenet-edge fits`."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

from lenet_edge.cli import common, modules, picture_options
from lenet_edge.cli.options import refuse_given
from lenet_edge.errors import BadInputError, CheckFailedError, MissingToolError

if TYPE_CHECKING:
    from lenet_edge.estimate import Count, Estimate
    from lenet_edge.hardware.boards import Board
    from lenet_edge.networks.description import ImageShape, Network
    from lenet_edge.quantized.model import QuantizedModel

    Found = list[tuple[Board, Estimate]]

_INT8 = (".tflite", ".onnx")
_ORDER = ("FITS", "TIGHT", "TOO BIG", "IMPOSSIBLE")
_STYLES = {"TIGHT": "yellow", "TOO BIG": "red", "IMPOSSIBLE": "red"}
_SIDE = 28  # pixels, if nobody says
_MOST_CLASSES = 10_000


@click.command()
@click.argument("what", metavar="NETWORK|MODEL")
@click.option(
    "--board",
    "boards",
    type=common.BOARD,
    multiple=True,
    metavar="NAME",
    help="Only this board, by its name or its .toml; may be repeated. Exit code 1 if one of them is too small.",
)
@click.option(
    "--size",
    type=picture_options.SIZE,
    metavar="N|WxH",
    help="Pixels of a network's images.  [default: the network's own, else 28]",
)
@click.option("--colour/--grey", default=None, help="RGB or grey.  [default: the network's own, else grey]")
@click.option(
    "--classes", type=click.IntRange(2, _MOST_CLASSES), help="How many classes a network tells apart.  [default: 10]"
)
@common.optimize_option
@click.option("--build", "builds", is_flag=True, help="Compile the firmware for exact bytes; takes seconds per board.")
@common.toolchain_option
@common.json_option
def fits(
    what: str,
    boards: tuple[Board, ...],
    size: tuple[int, int] | None,
    colour: bool | None,
    classes: int | None,
    optimize: str,
    builds: bool,
    toolchain: str,
    as_json: bool,
) -> None:
    """Show which boards a network or model fits, before you train it.

    NETWORK is what `train --network` takes: a name, a .toml, or a PyTorch module, my_net.py:Net. MODEL is
    a checkpoint of `train` (.safetensors) or an int8 .tflite or QDQ .onnx, also another tool's. A network that is not
    trained gets made-up weights.

    \b
    FITS        at most 90 % of the board's flash and of its RAM are taken
    TIGHT       more, but it fits; build it before you rely on it
    TOO BIG     it does not fit, by so many bytes
    IMPOSSIBLE  it exceeds a limit of the firmware, which is named

    RAM and tables are computed as `build` does it; code and instructions are estimated from measured firmware.
    Instructions (on an AVR cycles) come with an error: nine in ten such estimates were off by no more.
    """
    from lenet_edge.hardware.boards import board_names, load

    if not builds:
        refuse_given("without --build: nothing is compiled", "toolchain")
    made = _Made.of(what, size, colour, classes)
    every = boards or tuple(map(load, board_names()))
    found = [(board, made.on(board, optimize)) for board in every]
    if builds:
        found = _built(made, found, toolchain, optimize, named=bool(boards))
    found.sort(key=_place)
    result = {"of": what, "optimize": optimize, **made.facts(), "boards": [_facts(*each) for each in found]}
    common.show(result, as_json=as_json, tables=lambda: _tables(what, made, found))
    if boards and (wrong := [board.name for board, each in found if each.verdict in _ORDER[2:]]):
        raise CheckFailedError(f"{what} does not fit {', '.join(wrong)}")


# --- what is estimated ----------------------------------------------------------------------------


class _Made:
    """The network or model, as a model; None if it has too many weights to make up."""

    def __init__(self, image_shape: tuple[int, ...], outputs: int, weights: int, model: QuantizedModel | None) -> None:
        self.image_shape, self.outputs, self.weights, self.model = image_shape, outputs, weights, model

    @classmethod
    def of(cls, what: str, size: tuple[int, int] | None, colour: bool | None, classes: int | None) -> _Made:
        """The model of a file, or one with the shapes of a network.

        Raises:
            BadInputError: there is no such network or file, or int8 cannot express it.
        """
        if what.endswith((*_INT8, ".safetensors")):
            refuse_given("with a model, which has its own", "size", "colour", "classes")
            return cls._of_int8(Path(what)) if what.endswith(_INT8) else cls._of_checkpoint(Path(what))
        network = modules.NetworkType().convert(what, None, None)
        asked = picture_options.request_of(size, colour, None)
        own = None if isinstance(network, str) else network.input
        height, width, channels = own or (_SIDE, _SIDE, 1)
        image_shape = (asked.height or height, asked.width or width, asked.channels or channels)
        names = [str(number) for number in range(classes or 10)]
        if isinstance(network, str):
            nothing = modules.ModuleOptions(None, None, None)
            network, _ = modules.taken_over(network, nothing, image_shape, len(names), seed=0)
        return cls._of_network(network, image_shape, names)

    @classmethod
    def _of_int8(cls, path: Path) -> _Made:
        from math import prod

        from lenet_edge.formats import int8_models
        from lenet_edge.quantized.model import WEIGHTED

        model = int8_models.read(path)
        weights = sum(layer.weights.size for layer in model.layers if isinstance(layer, WEIGHTED))
        return cls(model.input.shape, prod(model.output.shape), weights, model)

    @classmethod
    def _of_checkpoint(cls, path: Path) -> _Made:
        from lenet_edge.learning import checkpoint

        metadata = checkpoint.load(path).metadata
        network, image_shape, _ = checkpoint.description(metadata)
        return cls._of_network(network, image_shape, metadata["classes"])

    @classmethod
    def _of_network(cls, network: Network, image_shape: ImageShape, names: list[str]) -> _Made:
        from lenet_edge.estimate import MOST_WEIGHTS, made_up_model, weights_of

        weights = weights_of(network, image_shape, len(names))
        model = made_up_model(network, image_shape, names) if weights <= MOST_WEIGHTS else None
        return cls(image_shape, len(names), weights, model)

    def facts(self) -> dict[str, object]:
        """Its part of the JSON."""
        return {"input": list(self.image_shape), "outputs": self.outputs, "weights": self.weights}

    def on(self, board: Board, optimize: str) -> Estimate:
        """What it takes on a board."""
        from lenet_edge.estimate import at_least, estimate

        return at_least(self.weights, board) if self.model is None else estimate(self.model, board, optimize)


def _built(made: _Made, found: Found, toolchain: str, optimize: str, *, named: bool) -> Found:
    """The same with the bytes of compiled firmware; a board without a compiler keeps its estimate.

    Raises:
        MissingToolError: the compiler of a board that the user `named` is not installed.
    """
    from lenet_edge.estimate import with_sizes
    from lenet_edge.hardware import firmware

    exact: Found = []
    for number, (board, each) in enumerate(found, 1):
        if made.model is not None and each.flash_bytes is not None:
            common.log(f"building for {board.name} ({number} of {len(found)})")
            try:
                each = with_sizes(
                    each, board, *firmware.measure(made.model, board, toolchain=toolchain, optimize=optimize)
                )
            except MissingToolError as error:
                if named:
                    raise
                common.log(f"{board.name} is estimated: {error}")
            except BadInputError as error:  # what only the compiler or the linker can know
                each = with_sizes(each, board, None, str(error))
        exact.append((board, each))
    return exact


# --- what is shown --------------------------------------------------------------------------------


def _place(entry: tuple[Board, Estimate]) -> tuple[int, int, int, str]:
    """Boards that fit come first, starting with the smallest."""
    board, each = entry
    return _ORDER.index(each.verdict), board.flash_budget_bytes, board.ram_budget_bytes, board.name


def _facts(board: Board, each: Estimate) -> dict[str, object]:
    budget = {"flash_budget_bytes": board.flash_budget_bytes, "ram_budget_bytes": board.ram_budget_bytes}
    return {"board": board.name, "core": board.cpu.core, **asdict(each), **budget}


def _tables(what: str, made: _Made, found: Found) -> list[Table | str]:
    title = f"{what}: {_images(made.image_shape)}, {made.outputs:,} outputs, {made.weights:,} weights"
    table = common.new_table(
        title, "board", "core", "flash", "RAM", "per inference, about", "verdict", left=2, spare="core"
    )
    table.columns[5].justify = "left"
    notes = []
    for board, each in found:
        flash = _share(each.flash_bytes, board.flash_budget_bytes)
        ram = _share(each.ram_bytes, board.ram_budget_bytes)
        style = _STYLES.get(each.verdict)
        table.add_row(board.name, board.cpu.core, flash, ram, _about(each.count), _verdict(each), style=style)
        if each.problem:
            notes.append(f"{board.name}: {each.problem}")
        if each.packing:
            notes.append(f"{board.name}: {common.packing_text(each.packing)}, or it would not fit")
        if each.not_measured:
            notes.append(f"{board.name} takes more flash: {', '.join(each.not_measured)} was not measured")
    built = {each.toolchain for _, each in found}
    if built != {""}:
        notes.append(f"bytes are from firmware built with {', '.join(sorted(built - {''}))}")
    else:
        notes.append("flash and instructions are estimates; --build gives the exact bytes")
    if not what.endswith(_INT8):
        notes.append("weights are made up; a trained network may need slower kernels: ask again with its .tflite")
    return [table, *notes]


def _images(shape: tuple[int, ...]) -> str:
    if len(shape) != 3 or shape[2] not in (1, 3):
        return f"input of {' x '.join(map(str, shape))}"
    height, width, channels = shape
    return f"images of {width} x {height} in {'grey' if channels == 1 else 'colour'}"


def _share(used: int | None, available: int) -> str:
    return "" if used is None else f"{used:,} ({100 * used / available:.0f} %)"


def _about(count: Count | None) -> str:
    """Three figures, and how far off that may be: rounded away from 0, for three figures are never exact."""
    if count is None:
        return ""
    digits = max(0, len(str(count.about)) - 3)
    low, high = (100 * (end / max(count.about, 1) - 1) for end in (count.least, count.most))
    least, most = min(-1, math.floor(low)), max(1, math.ceil(high))
    return f"{round(count.about, -digits):,} {count.unit} ({least:+} to {most:+} %)"


def _verdict(each: Estimate) -> str:
    over = [f"{by:,} bytes of {what}" for what, by in (("flash", each.flash_over), ("RAM", each.ram_over)) if by]
    return f"{each.verdict} by {' and '.join(over)}" if over else each.verdict
