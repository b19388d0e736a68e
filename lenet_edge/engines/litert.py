"""LiteRT: the `ai-edge-litert` interpreter with one of its three sets of kernels, single-threaded."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Literal, TypeAlias

from lenet_edge.engines import worker
from lenet_edge.engines.worker import Int8Array, LayerOutputs
from lenet_edge.errors import MissingToolError

__all__ = ["Kernels", "install_command", "layer_outputs", "run", "version"]

Kernels: TypeAlias = Literal["reference", "builtin", "xnnpack"]
"""LiteRT's op resolvers ``BUILTIN_REF``, ``BUILTIN_WITHOUT_DEFAULT_DELEGATES`` and ``AUTO``.

With "xnnpack" the run fails unless operators were in fact handed to the
delegate: LiteRT itself would silently fall back to the built-in kernels.
"""


def run(path: Path, images: Int8Array, kernels: Kernels = "xnnpack") -> Int8Array:
    """The logits of int8 images ``[n, h, w, c]``, one invoke each: int8 ``[n, classes]``.

    Raises:
        MissingToolError: ai-edge-litert is not installed.
        BadInputError: the interpreter refuses the file or the images.
    """
    return worker.infer("ai_edge_litert", path, images, kernels=kernels, install=install_command())


def layer_outputs(path: Path, image: Int8Array, kernels: Kernels = "xnnpack") -> LayerOutputs:
    """Every layer's output for one image ``[h, w, c]``, and the logits of that run.

    All tensors are preserved, which splits what XNNPACK runs as one into single
    operators: compare the logits with those of `run`. Errors as in `run`.
    """
    return worker.infer_layers("ai_edge_litert", path, image, kernels=kernels, install=install_command())


def version() -> str:
    """The installed version; `MissingToolError` where there is none."""
    try:
        return importlib.metadata.version("ai-edge-litert")
    except importlib.metadata.PackageNotFoundError:
        raise MissingToolError(f"LiteRT is not installed. Install with: {install_command()}") from None


def install_command() -> str:
    """What a user types to install the package."""
    return "pip install ai-edge-litert"
