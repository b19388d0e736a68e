"""The command line: `lenet-edge`, one module per command; everything heavy is imported when a command runs."""

from __future__ import annotations

import errno
import io
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from lenet_edge.cli.analyze import analyze
from lenet_edge.cli.bench import bench
from lenet_edge.cli.boards import boards
from lenet_edge.cli.budget import budget
from lenet_edge.cli.build import build
from lenet_edge.cli.check import check
from lenet_edge.cli.conformance import conformance
from lenet_edge.cli.data import data
from lenet_edge.cli.doctor import doctor
from lenet_edge.cli.endings import Interrupts, command_line, report_our_fault
from lenet_edge.cli.export import export
from lenet_edge.cli.fits import fits
from lenet_edge.cli.flash import flash
from lenet_edge.cli.page import page
from lenet_edge.cli.pipeline import pipeline
from lenet_edge.cli.predict import predict
from lenet_edge.cli.quantize import quantize
from lenet_edge.cli.report import report
from lenet_edge.cli.retie import retie
from lenet_edge.cli.run import run
from lenet_edge.cli.sweep import sweep
from lenet_edge.cli.terminal import drop_stdout, prepare_streams, say
from lenet_edge.cli.train import train
from lenet_edge.errors import OUR_FAULT, BadInputError, LenetEdgeError, MissingToolError
from lenet_edge.version import __version__

__all__ = ["cli", "main", "meaning_of"]

# Module -> package on PyPI, of what the commands import on their way.
_PACKAGES = {
    "aiohttp": "'lenet-edge[page]'",
    "ai_edge_litert": "ai-edge-litert",
    "elftools": "'lenet-edge[boards]'",
    "flatbuffers": "flatbuffers",
    "google": "protobuf",
    "jinja2": "'lenet-edge[report]'",
    "matplotlib": "'lenet-edge[report]'",
    "numpy": "numpy",
    "onnx": "onnx",
    "onnxruntime": "onnxruntime",
    "optuna": "'lenet-edge[sweep]'",
    "PIL": "pillow",
    "safetensors": "safetensors",
    "torch": "torch",
}


class _InOrder(click.Group):
    """Lists the commands in the order of the pipeline."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_InOrder, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="lenet-edge")
def cli() -> None:
    """From data to an int8 image classifier that computes the same integers everywhere.

    The pipeline. Each step's output is the next step's default input; `lenet-edge pipeline --data DIR
    --board NAME` does them all, up to an emulated board:

    \b
        lenet-edge data DIR                 looks at a data set before you train
        lenet-edge train                    build/lenet5.safetensors
        lenet-edge quantize --int8          build/lenet5-int8.tflite
        lenet-edge export --target tflm     build/tflm/
        lenet-edge check                    build/check.json
        lenet-edge build --board microbit   build/firmware/microbit/
        lenet-edge run --board microbit     that firmware in an emulator, or on a real board
        lenet-edge flash --board microbit   that firmware onto the board, if it was checked

    Exit codes: 0 done, 1 a check fell short, 2 wrong usage, 3 bad input, 4 a tool or package is missing or
    failed, 5 the board or link failed, 70 a bug in lenet-edge, 130 interrupted (143 by SIGTERM, 129 by SIGHUP).
    """


for _command in (
    *(data, pipeline, train, quantize, retie, export, check, build, run, flash),
    *(sweep, fits, bench, budget, predict, page, report, analyze, conformance, boards, doctor),
):
    cli.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with the code that the design gives to what happened."""
    prepare_streams()
    interrupts = Interrupts()
    try:
        code = _run(command_line(arguments))
    except (click.Abort, KeyboardInterrupt):
        interrupts.end()
    if code and interrupts.seen:  # Ctrl-C broke an import, and a C extension made another error of it
        interrupts.end()
    interrupts.forget()
    sys.exit(code)


def _run(arguments: Sequence[str]) -> int:
    """Run the command line; returns the exit code and has said on stderr what went wrong."""
    try:
        code = cli.main(arguments, prog_name="lenet-edge", standalone_mode=False)
        sys.stdout.flush()
    except (click.Abort, KeyboardInterrupt):
        raise
    except BrokenPipeError:  # as in `write_stdout`, but at the last flush
        drop_stdout()
        return 0
    except BaseException as error:
        return _explain(error, arguments)
    return code if isinstance(code, int) else 0  # a command returns what it found


def meaning_of(error: BaseException) -> LenetEdgeError | None:
    """What an error of Python's means to the user, who can fix it; None if it is a bug of ours, or not an error."""
    match error:
        case ImportError() if (package := _PACKAGES.get((error.name or "").partition(".")[0])) is not None:
            missing = isinstance(error, ModuleNotFoundError)
            problem = f"{package} is not installed" if missing else f"{package} cannot be imported ({error})"
            return MissingToolError(f"{problem}. Install with: pip install {package}")
        case OSError():  # a full disk below the temporary folder, or where stdout goes
            where = f" {error.filename}" if error.filename else " the output or a temporary file"
            hint = " Is the disk full?" if error.errno in (None, errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else ""
            return BadInputError(f"cannot read or write{where}: {error.strerror or error}.{hint}")
        case MemoryError():
            return BadInputError("there is not enough memory for this; a smaller input needs less")
    return None


def _explain(error: BaseException, arguments: Sequence[str]) -> int:
    """Say what went wrong; the exit code."""
    match error:
        case click.ClickException():
            shown = io.StringIO()
            error.show(shown)
            say(shown.getvalue().rstrip("\n"))
            return error.exit_code
        case LenetEdgeError() if error.exit_code != OUR_FAULT:
            return _fail(error)
        case SystemExit():
            return error.code if isinstance(error.code, int) else int(error.code is not None)
    if isinstance(error, OSError):  # it may be stdout's
        drop_stdout()
    meant = meaning_of(error)
    return report_our_fault(error, arguments) if meant is None else _fail(meant)


def _fail(error: LenetEdgeError) -> int:
    say(f"error: {error}")
    return error.exit_code
