"""TensorFlow Lite for Microcontrollers: the interpreter of the `tflite-micro` wheel, with its reference kernels."""

from __future__ import annotations

import importlib.metadata
import json
import re
from dataclasses import dataclass
from pathlib import Path

from lenet_edge.engines import worker
from lenet_edge.engines.worker import Int8Array, LayerOutputs
from lenet_edge.errors import MissingToolError, ToolFailedError

__all__ = ["Arena", "arena", "install_command", "layer_outputs", "run", "version"]


@dataclass(frozen=True)
class Arena:
    """What a model takes of TFLM's tensor arena on this (64-bit) host, in bytes.

    Attributes:
        total: head and tail.
        head: the non-persistent part: activations and the kernels' scratch buffers, planned to overlap.
        tail: the persistent part: structures of the interpreter and of the kernels.
        smallest: the smallest arena, in steps of 16, in which the model was allocated and ran.
    """

    total: int
    head: int
    tail: int
    smallest: int


def run(path: Path, images: Int8Array) -> Int8Array:
    """The logits of int8 images ``[n, h, w, c]``, one invoke each: int8 ``[n, classes]``.

    Raises:
        MissingToolError: tflite-micro is not installed.
        BadInputError: the interpreter refuses the file or the images.
    """
    return worker.infer("tflite_micro", path, images, kernels="default", install=install_command())


def layer_outputs(path: Path, image: Int8Array) -> LayerOutputs:
    """Every layer's output for one image ``[h, w, c]``, and the logits of that run; errors as in `run`."""
    return worker.infer_layers("tflite_micro", path, image, kernels="default", install=install_command())


def arena(path: Path) -> Arena:
    """Measure the arena by the interpreter's own account (``RecordingMicroAllocator``) and by trying sizes.

    Raises:
        MissingToolError, BadInputError: as `run`.
        ToolFailedError: the account is not in the form that is known.
    """
    stdout, account = worker.call("tflite_micro", ["--arena"], [path], install=install_command())
    figures = {part: _figure(part, account) for part in ("total", "head", "tail")}
    if figures["head"] + figures["tail"] != figures["total"]:
        raise ToolFailedError(f"TFLM's account of its arena does not add up: {figures}")
    return Arena(**figures, smallest=int(json.loads(stdout)["smallest"]))


def _figure(part: str, account: str) -> int:
    found = re.search(rf"Arena allocation {part} (\d+) bytes", account)
    if not found:
        raise ToolFailedError(
            f"TFLM {version()} did not print 'Arena allocation {part} ... bytes': its account has a new form"
        )
    return int(found[1])


def version() -> str:
    """The installed version; `MissingToolError` where there is none."""
    try:
        return importlib.metadata.version("tflite-micro")
    except importlib.metadata.PackageNotFoundError:
        raise MissingToolError(f"TFLM is not installed. Install with: {install_command()}") from None


def install_command() -> str:
    """What a user types to install the package."""
    return "pip install tflite-micro"
