"""What the commands share: options, the data they read, how results and progress are shown."""

from __future__ import annotations

import functools
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from lenet_edge.cli.places import require_place
from lenet_edge.cli.terminal import PlainTable, printable, write_stdout
from lenet_edge.errors import BadInputError
from lenet_edge.files import to_json

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lenet_edge.hardware.boards import Board
    from lenet_edge.hardware.firmware import Firmware
    from lenet_edge.hardware.link import Device
    from lenet_edge.quantized.model import QuantizedModel

__all__ = [
    "BOARD",
    "EPOCHS_MAX",
    "IMAGE_COUNT",
    "INT8_MODEL",
    "MAX_DROP",
    "PERCENT",
    "POINTS",
    "SECONDS",
    "SEED",
    "board_option",
    "built_firmware",
    "counted",
    "data_option",
    "emulator_option",
    "firmware_of",
    "firmware_option",
    "from_python",
    "image_count_option",
    "infer_all",
    "inputs_option",
    "json_option",
    "keeps_inputs",
    "log",
    "model_option",
    "new_table",
    "optimize_option",
    "out_option",
    "packing_text",
    "progress_bar",
    "require_apart",
    "short_name",
    "show",
    "toolchain_option",
    "weight_packing_option",
]

_OUTPUTS = ("out", "junit", "summary", "log_file", "sheet", "plot")
_RENEWED = ("earlier_path", "base_path")  # records that a command compares with and may then replace

Command = TypeVar("Command", bound=Callable[..., Any])


class _FiniteRange(click.FloatRange):
    """`click.FloatRange` takes nan and what becomes infinite, since no comparison with nan is true."""

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)  # type: ignore[arg-type]  # it takes texts
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


class _BoardType(click.ParamType):  # type: ignore[type-arg]  # older releases have no argument
    """A board by its name or the path of its TOML: the option is read once, and commands get the `Board`."""

    name = "board"

    def convert(self, value: str | Board, param: click.Parameter | None, ctx: click.Context | None) -> Board:
        from lenet_edge.hardware import boards

        return boards.load(value) if isinstance(value, str) else value


BOARD = _BoardType()

# What the options take: below, nothing can be meant; above, nothing would ever end, or torch and numpy overflow.
IMAGE_COUNT = click.IntRange(1, 2**31 - 1)
EPOCHS_MAX = 10_000
SEED = click.IntRange(0, 2**32 - 1)
POINTS = _FiniteRange(0, 100)  # percentage points
PERCENT = _FiniteRange(0, 1_000_000)
SECONDS = _FiniteRange(1, 86_400)
REAL = _FiniteRange(-1e6, 1e6)  # what a pixel may stand for

INT8_MODEL = Path("build/lenet5-int8.tflite")
_NAME = 28  # characters of a layer in a table, which then has room in a terminal of 80
MAX_DROP = 0.10  # percentage points that int8 may lose, where nobody says

# In a notebook it writes plain text, too: rich's own output there needs packages that few have.
_stderr = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True, force_jupyter=False)


@dataclass(frozen=True)
class _Python:
    """Python code called the command, not a command line."""

    quiet: bool


_python: ContextVar[_Python | None] = ContextVar("_python", default=None)


@contextmanager
def from_python(*, quiet: bool) -> Iterator[None]:
    """Within this, commands print no result; with `quiet` they say nothing on stderr either."""
    token = _python.set(_Python(quiet))
    try:
        yield
    finally:
        _python.reset(token)


def _is_quiet() -> bool:
    caller = _python.get()
    return caller is not None and caller.quiet


def log(message: str) -> None:
    """A line of progress, on stderr."""
    if _is_quiet():
        return
    _stderr.print(printable(message))


def progress_bar() -> Progress:
    """A progress bar on stderr, if that is a terminal; plain lines come from `log`."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), MofNCompleteColumn())
    silent = _is_quiet() or not _stderr.is_terminal  # in a file it would leave an empty line
    return Progress(*columns, TimeElapsedColumn(), console=_stderr, transient=True, disable=silent)


def new_table(title: str, *columns: str, left: int = 1, spare: str = "") -> Table:
    """A table whose first `left` columns are text and whose others are figures; all of it is shown as it is.

    The column `spare` is left out where the terminal is too narrow for it.
    """
    table = PlainTable(title, spare)
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index < left else "right", no_wrap=index == 0)
    return table


@contextmanager
def counted(what: str, total: int) -> Iterator[Callable[[], object]]:
    """A progress bar; what this gives is called after each of the `total`."""
    with progress_bar() as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


def short_name(layer: str) -> str:
    """A layer's name, short enough for a table: converters join the names of all operations that became one layer."""
    return layer if len(layer) <= _NAME else f"{layer[: _NAME // 4]}...{layer[3 + _NAME // 4 - _NAME :]}"


def infer_all(device: Device, images: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """The logits of many images, as `Device.infer_all`, with a progress bar: large models take minutes."""
    with counted("images", len(images)) as done:
        return device.infer_all(images, lambda _: done())


def show(result: Mapping[str, object], *, as_json: bool, tables: Callable[[], Sequence[RenderableType]]) -> None:
    """Print the result on stdout: one JSON object and nothing else, or what `tables` makes."""
    if _python.get() is not None:
        return
    write_stdout(to_json(result) if as_json else _rendered(tables()), as_json=as_json)


def _rendered(tables: Sequence[RenderableType]) -> str:
    # Not a terminal: a file or a pipe, where lines should not be cut to 80 columns.
    console = Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else 200)
    with console.capture() as captured:
        for table in tables:
            if isinstance(table, str):
                console.print(printable(table), soft_wrap=True)
            else:
                console.print(table)
    return captured.get()


def json_option(command: Command) -> Command:
    """``--json``."""
    help_text = "Print one JSON object on stdout and nothing else there."
    return click.option("--json", "as_json", is_flag=True, help=help_text)(command)


def board_option(command: Command) -> Command:
    """``--board NAME``."""
    help_text = "A board of `lenet-edge boards`, or the path of your own .toml."
    return click.option("--board", type=BOARD, required=True, metavar="NAME", help=help_text)(command)


def toolchain_option(command: Command) -> Command:
    """``--toolchain``."""
    return click.option(
        "--toolchain",
        type=click.Choice(["auto", "gcc", "zig"]),
        default="auto",
        show_default=True,
        help="The compiler; auto uses GCC if it is installed, else zig.",
    )(command)


def emulator_option(command: Command) -> Command:
    """``--emulator``."""
    return click.option(
        "--emulator",
        type=click.Choice(["auto", "unicorn", "qemu", "simavr"]),
        default="auto",
        show_default=True,
        help="What runs the firmware; auto uses the first that is installed and has the board.",
    )(command)


def firmware_option(command: Command) -> Command:
    """``--firmware FOLDER``."""
    return click.option(
        "--firmware",
        "firmware_folder",
        type=click.Path(path_type=Path),
        metavar="FOLDER",
        help="The folder that `build` wrote.  [default: build/firmware/NAME/]",
    )(command)


def built_firmware(board: Board, model: QuantizedModel, folder: Path | None, *, row_bytes: int = 0) -> Firmware:
    """The firmware in `folder`; without one that in the board's usual folder, built now if there is none.

    Raises:
        BadInputError: there is none in `folder`, or another model's.
    """
    from lenet_edge.hardware import firmware

    usual = firmware_of(board.name)
    if folder is None and not usual.exists():
        log(f"building the firmware of {board.name}")
        return firmware.build(model, board, usual, row_bytes=row_bytes)
    built = firmware.load(folder or usual, board.argument)
    if built.fingerprint != model.fingerprint:  # its self-test may take minutes, and say no more than this
        raise BadInputError(
            f"{built.folder} holds the firmware of model {built.fingerprint[:16]}, not of {model.fingerprint[:16]}; "
            f"build it again: lenet-edge build --board {board.argument}, with the same --model"
        )
    return built


def firmware_of(board: str, build: Path = Path("build")) -> Path:
    """Where `build` leaves a board's firmware; in a folder other than the usual one, where the pipeline leaves it."""
    return build / "firmware" / board


_OPTIMIZE = "speed: the kernels for the instruction set; size: the plain ones, a third of the code and less RAM."


def optimize_option(command: Command, about: str = "") -> Command:
    """``--optimize speed|size``; `about` stands in front of what all commands say of it."""
    return click.option(
        "--optimize",
        type=click.Choice(["speed", "size"]),
        default="speed",
        show_default=True,
        help=f"{about}{_OPTIMIZE}",
    )(command)


def weight_packing_option(default: str, about: str) -> Callable[[Command], Command]:
    """``--weight-packing auto|8|4|2|trits|LAYER=PACKING,...``; `about` is the help in front of what all have."""
    return click.option(
        "--weight-packing",
        default=default,
        show_default=True,
        metavar="auto|8|4|2|trits|LAYER=PACKING",
        help=f"{about}; 8, 4, 2 bits each or five trits a byte, by layer C5=trits,F6=4.",
    )


def packing_text(packings: Mapping[str, str]) -> str:
    """Which layers are packed, for the reader; `packings` is layer -> how."""
    from lenet_edge.formats.c_source import PACKINGS

    layers: dict[str, list[str]] = {}
    for layer, packing in packings.items():
        layers.setdefault(PACKINGS[packing].text, []).append(layer)
    return "; ".join(f"{', '.join(names)} in {text}" for text, names in layers.items())


def data_option(command: Command) -> Command:
    """``--data NAME|DIR|FILE.npz``."""
    return click.option(
        "--data",
        default="mnist",
        show_default=True,
        metavar="NAME|DIR|FILE.npz",
        help="mnist, fashion-mnist, a folder of pictures by class, a .npz, or a folder with IDX files.",
    )(command)


def inputs_option(command: Command) -> Command:
    """``--data NAME|DIR|FILE|noise``, for commands that need no labels."""
    return click.option(
        "--data",
        default="mnist",
        show_default=True,
        metavar="NAME|DIR|FILE|noise",
        help="Test inputs: a data set as for `train`; a .npy, .npz or .csv in the model's own shape; noise: random and "
        "extreme inputs.",
    )(command)


def model_option(default: Path, what: str) -> Callable[[Command], Command]:
    """``--model FILE``."""
    path = click.Path(path_type=Path)
    return click.option("--model", type=path, default=default, show_default=True, metavar="FILE", help=f"The {what}.")


def out_option(default: str, *, folder: bool = False) -> Callable[[Command], Command]:
    """``--out PATH``; the default is worked out by the command and only described here.

    Args:
        folder: whether it is one; so is a default that ends with a slash.
    """
    option = click.option(
        "--out", type=click.Path(path_type=Path), metavar="PATH", help=f"Where to write.  [default: {default}]"
    )
    return lambda command: option(keeps_inputs(command, out_is_folder=folder or default.endswith("/")))


def keeps_inputs(command: Command, *, out_is_folder: bool = False) -> Command:
    """Refuse, before the work, an output that cannot be written, is an input file, or is another output."""

    @functools.wraps(command)
    def kept(**options: object) -> object:
        outputs = [path for name, path in options.items() if name in _OUTPUTS and isinstance(path, Path)]
        inputs = [path for name, path in options.items() if name not in (*_OUTPUTS, *_RENEWED)]
        require_apart(outputs, inputs)
        for path in outputs:
            require_place(path, folder=out_is_folder and path is options.get("out"))
        return command(**options)

    return kept  # type: ignore[return-value]


def require_apart(outputs: Iterable[Path], inputs: Iterable[object]) -> None:
    """Refuse to write over an input.

    Args:
        outputs: files that are about to be written.
        inputs: files that were read: paths, tuples of them, names that may be one, boards; anything else is ignored.

    Raises:
        BadInputError: an output is an input, or twice an output.
    """
    taken: dict[str, str] = {}
    for each in inputs:
        for path in each if isinstance(each, tuple) else (each,):
            path = getattr(path, "path", path)  # a board has its file's
            if isinstance(path, (str, Path)) and os.path.isfile(path):
                taken[os.path.realpath(path)] = f"{path} is an input of this command"
    for out in outputs:
        real = os.path.realpath(out)
        if real in taken and (os.path.isfile(out) or not os.path.exists(out)):
            raise BadInputError(f"{out} would be overwritten: {taken[real]}. Choose another place")
        if not str(out).startswith("/dev/"):  # /dev/stdout takes several, also where it is a file
            taken[real] = f"{out} is another output"


def image_count_option(command: Command) -> Command:
    """``--images N``."""
    return click.option("--images", "image_count", type=IMAGE_COUNT, metavar="N", help="Only the first N test images.")(
        command
    )
