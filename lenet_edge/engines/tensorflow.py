"""tf.lite: the interpreter in tensorflow, with its default kernels, single-threaded."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from lenet_edge.engines import worker
from lenet_edge.engines.worker import Int8Array, LayerOutputs
from lenet_edge.errors import MissingToolError

__all__ = ["install_command", "layer_outputs", "run", "version"]

_DISTRIBUTIONS = ("tensorflow", "tensorflow-cpu")


def run(path: Path, images: Int8Array) -> Int8Array:
    """The logits of int8 images ``[n, h, w, c]``, one invoke each: int8 ``[n, classes]``.

    Raises:
        MissingToolError: tensorflow is not installed.
        BadInputError: the interpreter refuses the file or the images.
    """
    return worker.infer("tensorflow", path, images, kernels="default", install=install_command())


def layer_outputs(path: Path, image: Int8Array) -> LayerOutputs:
    """Every layer's output for one image ``[h, w, c]``, and the logits of that run; errors as in `run`."""
    return worker.infer_layers("tensorflow", path, image, kernels="default", install=install_command())


def version() -> str:
    """The installed version, without importing it; `MissingToolError` where there is none."""
    for name in _DISTRIBUTIONS:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    raise MissingToolError(f"tensorflow is not installed. Install with: {install_command()}")


def install_command() -> str:
    """What a user types to install the package."""
    return 'pip install "tensorflow>=2.21"'
