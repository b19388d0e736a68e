"""What the commands share: options, the data they read, how results and progress are shown."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from lenet_edge.errors import BadInputError
from lenet_edge.files import to_json

__all__ = [
    "INT8_MODEL",
    "board_option",
    "built_firmware",
    "data_option",
    "distribution",
    "drop_stdout",
    "emulator_option",
    "firmware_of",
    "firmware_option",
    "image_count_option",
    "json_option",
    "log",
    "model_option",
    "new_table",
    "optimize_option",
    "out_option",
    "progress_bar",
    "require_input",
    "show",
    "toolchain_option",
]

Command = TypeVar("Command", bound=Callable[..., Any])

INT8_MODEL = Path("build/lenet5-int8.tflite")

_stderr = Console(stderr=True, highlight=False, soft_wrap=True)


def log(message: str) -> None:
    """A line of progress, on stderr."""
    _stderr.print(message, markup=False)


def progress_bar() -> Progress:
    """A progress bar on stderr; plain lines come from `log`."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), console=_stderr, transient=True)


def new_table(title: str, *columns: str, left: int = 1) -> Table:
    """A table whose first `left` columns are text and whose others are figures."""
    table = Table(title=title, title_justify="left", header_style="bold", title_style="bold")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index < left else "right", no_wrap=index == 0)
    return table


def show(result: dict[str, Any], *, as_json: bool, tables: Callable[[], list[Table | str]]) -> None:
    """Print the result on stdout: one JSON object and nothing else, or what `tables` makes."""
    try:
        click.echo(to_json(result) if as_json else _rendered(tables()), nl=False)
    except BrokenPipeError:  # `lenet-edge ... | head`: whoever read us has gone, but the verdict is still to come
        drop_stdout()


def _rendered(tables: list[Table | str]) -> str:
    # Not a terminal: a file or a pipe, where lines should not be cut to 80 columns.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    with console.capture() as captured:
        for table in tables:
            console.print(table, markup=False, soft_wrap=True) if isinstance(table, str) else console.print(table)
    return captured.get()


def drop_stdout() -> None:
    """Let what is still to be flushed go nowhere, or the interpreter complains at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def require_input(model: Any, shape: tuple[int, ...]) -> None:
    """Refuse images ``[h, w]`` that the model does not take.

    Raises:
        BadInputError: the model's input is another.
    """
    if model.input.shape != (*shape, 1):
        raise BadInputError(f"the model takes images {model.input.shape}, these are {(*shape, 1)}")


def distribution(logits: Any, model: Any) -> dict[str, float]:
    """The softmax over int8 logits ``[classes]``: class -> probability."""
    import numpy as np

    real = (logits.astype(np.float64) - model.output.zero_point) * model.output.scale
    exp = np.exp(real - real.max())
    return dict(zip(model.classes, (exp / exp.sum()).tolist(), strict=True))


def json_option(command: Command) -> Command:
    """``--json``."""
    help_text = "Print one JSON object on stdout and nothing else there."
    return click.option("--json", "as_json", is_flag=True, help=help_text)(command)


def board_option(command: Command) -> Command:
    """``--board NAME``."""
    help_text = "A board of `lenet-edge boards`, or the path of a .toml of your own."
    return click.option("--board", required=True, metavar="NAME", help=help_text)(command)


def toolchain_option(command: Command) -> Command:
    """``--toolchain``."""
    return click.option(
        "--toolchain",
        type=click.Choice(["auto", "gcc", "zig"]),
        default="auto",
        show_default=True,
        help="The compiler; auto takes GCC where it is installed, else zig.",
    )(command)


def emulator_option(command: Command) -> Command:
    """``--emulator``."""
    return click.option(
        "--emulator",
        type=click.Choice(["auto", "unicorn", "qemu", "simavr"]),
        default="auto",
        show_default=True,
        help="What runs the firmware; auto takes the first that is installed and has the board.",
    )(command)


def firmware_option(command: Command) -> Command:
    """``--firmware FOLDER``."""
    return click.option(
        "--firmware",
        "firmware_folder",
        type=click.Path(path_type=Path),
        metavar="FOLDER",
        help="What `build` wrote.  [default: build/firmware/NAME/]",
    )(command)


def built_firmware(board: Any, model: Any, folder: Path | None) -> Any:
    """The firmware in `folder`; without one that in the board's usual folder, built now if there is none."""
    from lenet_edge.hardware import firmware

    usual = firmware_of(board.name)
    if folder is None and not usual.exists():
        log(f"building the firmware of {board.name}")
        return firmware.build(model, board, usual)
    return firmware.load(folder or usual)


def firmware_of(board: str) -> Path:
    """Where `build` leaves a board's firmware."""
    return Path("build/firmware") / board


def optimize_option(command: Command) -> Command:
    """``--optimize speed|size``."""
    return click.option(
        "--optimize",
        type=click.Choice(["speed", "size"]),
        default="speed",
        show_default=True,
        help="speed: the kernels for the instruction set; size: the plain ones, a third of the code and less RAM.",
    )(command)


def data_option(command: Command) -> Command:
    """``--data NAME|DIR``."""
    return click.option(
        "--data",
        default="mnist",
        show_default=True,
        metavar="NAME|DIR",
        help="mnist, fashion-mnist, or a folder with the four IDX files (.gz or not).",
    )(command)


def model_option(default: Path, what: str) -> Callable[[Command], Command]:
    """``--model FILE``."""
    path = click.Path(path_type=Path)
    return click.option(
        "--model", type=path, default=default, show_default=True, metavar="FILE", help=f"The {what} to read."
    )


def out_option(default: str) -> Callable[[Command], Command]:
    """``--out PATH``; the default is worked out by the command and only described here."""
    path = click.Path(path_type=Path)
    return click.option("--out", type=path, metavar="PATH", help=f"Where to write.  [default: {default}]")


def image_count_option(command: Command) -> Command:
    """``--images N``."""
    return click.option(
        "--images", "image_count", type=click.IntRange(min=1), metavar="N", help="Only the first N test images."
    )(command)
