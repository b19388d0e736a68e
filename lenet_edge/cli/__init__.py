"""The command line: `lenet-edge`, one module per command; everything heavy is imported when a command runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from lenet_edge import __version__
from lenet_edge.cli.analyze import analyze
from lenet_edge.cli.check import check
from lenet_edge.cli.export import export
from lenet_edge.cli.predict import predict
from lenet_edge.cli.quantize import quantize
from lenet_edge.cli.train import train
from lenet_edge.errors import LenetEdgeError

__all__ = ["cli", "main"]

INTERRUPTED = 130


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

    Exit codes: 0 done, 1 a check fell short, 2 wrong usage, 3 bad input, 4 a tool or package is missing,
    5 the board or link failed, 130 interrupted.
    """


for _command in (train, quantize, export, check, predict, analyze):
    cli.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with the code that the design gives to what happened."""
    try:
        code = cli.main(arguments, prog_name="lenet-edge", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except LenetEdgeError as error:
        click.echo(f"error: {error}", err=True)
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted; what existed before is unchanged", err=True)
        code = INTERRUPTED
    except BrokenPipeError:  # `lenet-edge ... | head`: whoever read us has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code or 0)
