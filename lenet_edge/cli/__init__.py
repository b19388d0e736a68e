"""The command line: `lenet-edge`, one module per command; everything heavy is imported when a command runs."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

import click

from lenet_edge import __version__
from lenet_edge.cli import common
from lenet_edge.cli.analyze import analyze
from lenet_edge.cli.bench import bench
from lenet_edge.cli.boards import boards
from lenet_edge.cli.budget import budget
from lenet_edge.cli.build import build
from lenet_edge.cli.check import check
from lenet_edge.cli.doctor import doctor
from lenet_edge.cli.export import export
from lenet_edge.cli.flash import flash
from lenet_edge.cli.predict import predict
from lenet_edge.cli.quantize import quantize
from lenet_edge.cli.run import run
from lenet_edge.cli.train import train
from lenet_edge.errors import BadInputError, LenetEdgeError, MissingToolError
from lenet_edge.files import remove_temporary_folders

__all__ = ["cli", "main"]

INTERRUPTED = 130
_ASK_AGAIN_S = 0.001

# Module -> package on PyPI, of what the commands import on their way.
_PACKAGES = {
    "ai_edge_litert": "ai-edge-litert",
    "elftools": "'lenet-edge[boards]'",
    "flatbuffers": "flatbuffers",
    "google": "protobuf",
    "numpy": "numpy",
    "onnx": "onnx",
    "onnxruntime": "onnxruntime",
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

    The pipeline, each step's output being the next one's default input:

    \b
        lenet-edge train                    build/lenet5.safetensors
        lenet-edge quantize --int8          build/lenet5-int8.tflite
        lenet-edge export --target tflm     build/tflm/
        lenet-edge check                    build/check.json
        lenet-edge build --board microbit   build/firmware/microbit/
        lenet-edge run --board microbit     that firmware in an emulator, or on a real board
        lenet-edge flash --board microbit   into the board, if it was checked

    Exit codes: 0 done, 1 a check fell short, 2 wrong usage, 3 bad input, 4 a tool or package is missing,
    5 the board or link failed, 130 interrupted.
    """


for _command in (
    *(train, quantize, export, check, build, run, flash),
    *(bench, budget, predict, analyze, boards, doctor),
):
    cli.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with the code that the design gives to what happened."""
    interrupts = _note_interrupts()
    try:
        code = _run(arguments)
    except (click.Abort, KeyboardInterrupt):
        _exit_interrupted()
    except Exception:
        if interrupts:  # Ctrl-C broke an import, and a C extension made another error of it
            _exit_interrupted()
        raise
    if code and interrupts:
        _exit_interrupted()
    signal.setitimer(signal.ITIMER_REAL, 0)
    sys.exit(code)


def _run(arguments: Sequence[str] | None) -> int:
    """Run the command line; returns the exit code and has said on stderr what went wrong."""
    try:
        code = cli.main(arguments, prog_name="lenet-edge", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except LenetEdgeError as error:
        return _fail(error)
    except ModuleNotFoundError as error:
        package = _PACKAGES.get((error.name or "").partition(".")[0])
        if package is None:
            raise
        return _fail(MissingToolError(f"{package} is not installed. Install with: pip install {package}"))
    except BrokenPipeError:  # as in `common.show`, but at the last flush
        common.drop_stdout()
    except OSError as error:  # a full disk below the temporary folder, or where stdout goes
        where = f" {error.filename}" if error.filename else " the output or a temporary file"
        common.drop_stdout()
        return _fail(BadInputError(f"cannot read or write{where}: {error.strerror or error}. Is the disk full?"))
    else:
        return code or 0
    return 0


def _fail(error: LenetEdgeError) -> int:
    click.echo(f"error: {error}", err=True)
    return error.exit_code


def _note_interrupts() -> list[int]:
    """The signals of Ctrl-C from here on; each raises KeyboardInterrupt, but not within an import.

    A C extension that is interrupted while it is set up makes another error of it, or ends in a
    segmentation fault (onnx does), so a timer asks again until the import is over.
    """
    seen: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            seen.append(number)
        if len(seen) == 1 and _is_importing(frame):
            signal.setitimer(signal.ITIMER_REAL, _ASK_AGAIN_S)
        else:
            signal.default_int_handler(number, frame)

    # Where SIGINT is ignored (`nohup`, a script's background job), it stays so.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, note)
        signal.signal(signal.SIGALRM, note)
    return seen


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame is not None


def _exit_interrupted() -> NoReturn:
    """End with code 130; what had to be cleaned up was when the exception passed, or is now."""
    for number in (signal.SIGINT, signal.SIGALRM):  # impatience must not bring a traceback
        signal.signal(number, signal.SIG_IGN)
    remove_temporary_folders()
    click.echo("interrupted; what existed before is unchanged", err=True)
    # Not sys.exit: where Ctrl-C came within an exec(), as imports use, CPython would end by the signal, without a code.
    os._exit(INTERRUPTED)
