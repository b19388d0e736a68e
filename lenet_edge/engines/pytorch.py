"""PyTorch: the very network that quantisation-aware training left, so that what was trained is what is checked.

This is the one engine that imports `learning`: rebuilding the network
here would check a copy instead of the network itself.
"""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lenet_edge.errors import MissingToolError

__all__ = ["install_command", "layer_outputs", "run", "version"]


def run(path: Path, images: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """The logits of int8 images ``[n, 28, 28, 1]``: int8 ``[n, classes]``.

    Args:
        path: the QAT weights that `quantize` left.

    Raises:
        MissingToolError: torch is not installed.
        BadInputError: the weights are missing, damaged or of another network.
    """
    version()
    from lenet_edge.learning.qat_network import load

    return load(path).integers(images)


def layer_outputs(
    path: Path, image: npt.NDArray[np.int8]
) -> tuple[dict[str, npt.NDArray[np.int8]], npt.NDArray[np.int8]]:
    """Every layer's output for one image ``[28, 28, 1]``, and the logits of that run; errors as in `run`."""
    version()
    from lenet_edge.learning.qat_network import load

    outputs = load(path).layer_integers(image)
    return outputs, list(outputs.values())[-1]


def version() -> str:
    """The installed version; `MissingToolError` where there is none."""
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        raise MissingToolError(f"PyTorch is not installed. Install with: {install_command()}") from None


def install_command() -> str:
    """What a user types to install the package."""
    return "pip install torch"
