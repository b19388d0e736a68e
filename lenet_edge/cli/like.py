"""`--like`: the runtime whose integers our C is to compute."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lenet_edge.cli import common
from lenet_edge.errors import BadInputError

if TYPE_CHECKING:
    from lenet_edge.cli.common import Command
    from lenet_edge.hardware.boards import Board
    from lenet_edge.quantized.model import QuantizedModel

__all__ = ["LIKE", "as_asked", "as_in_firmware", "like_option", "read_model"]

LIKE = ("tflm", "onnxruntime", "litert-xnnpack")  # `quantized.like.RUNTIMES`, whose module takes numpy


def like_option(command: Command) -> Command:
    """``--like tflm|onnxruntime|litert-xnnpack``."""
    return click.option(
        "--like",
        type=click.Choice(LIKE),
        default=LIKE[0],
        show_default=True,
        help="The runtime whose integers the C computes, bit for bit; a tie-free model has the same in all.",
    )(command)


def read_model(path: Path, like: str) -> QuantizedModel:
    """The int8 model in a file as that runtime computes it; errors as of `int8_models.read` and `as_computed_by`."""
    from lenet_edge.formats import int8_models

    return as_asked(int8_models.read(path), like)


def as_in_firmware(model: QuantizedModel, board: Board, folder: Path | None) -> QuantizedModel:
    """The model as the firmware in `folder`, or in the board's usual one, was built to compute it."""
    from lenet_edge.hardware import firmware
    from lenet_edge.quantized.like import as_computed_by
    from lenet_edge.records import MANIFEST

    where = folder or common.firmware_of(board.name)
    like = firmware.load(where, board.argument).like if (where / MANIFEST).exists() else None
    if like not in (None, *LIKE):
        raise BadInputError(f"{where} holds a firmware that computes the integers of {like!r}, which is not known here")
    return as_computed_by(like or LIKE[0], model)


def as_asked(model: QuantizedModel, like: str) -> QuantizedModel:
    """The model as that runtime computes it; says so where that changes nothing."""
    from lenet_edge.quantized.like import as_computed_by

    found = as_computed_by(like, model)
    if found is model and like != LIKE[0]:
        common.log(f"--like {like} changes nothing: every runtime computes the same integers of this model")
    return found
