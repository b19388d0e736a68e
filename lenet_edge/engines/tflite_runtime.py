"""tflite-runtime 2.14, the interpreter of many a Raspberry Pi, in an environment of its own.

It was built against numpy 1 and fails under the numpy that the toolkit needs,
so that it cannot be imported here.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from lenet_edge.engines import worker
from lenet_edge.engines.worker import Int8Array, LayerOutputs
from lenet_edge.errors import MissingToolError

__all__ = ["PYTHON_VARIABLE", "REQUIREMENTS", "install_command", "layer_outputs", "python", "run", "version"]

PYTHON_VARIABLE = "LENET_EDGE_TFLITE_PYTHON"
REQUIREMENTS = ("tflite-runtime==2.14.0", "numpy==1.26.4")


def run(path: Path, images: Int8Array) -> Int8Array:
    """The logits of int8 images ``[n, h, w, c]``, one invoke each: int8 ``[n, classes]``.

    Raises:
        MissingToolError: the environment or the package in it is missing.
        BadInputError: the interpreter refuses the file or the images.
    """
    return worker.infer(
        "tflite_runtime", path, images, kernels="default", install=install_command(), python=str(python())
    )


def layer_outputs(path: Path, image: Int8Array) -> LayerOutputs:
    """Every layer's output for one image ``[h, w, c]``, and the logits of that run; errors as in `run`."""
    return worker.infer_layers(
        "tflite_runtime", path, image, kernels="default", install=install_command(), python=str(python())
    )


def version() -> str:
    """The version in its environment; `MissingToolError` where there is none."""
    stdout, _ = worker.call("tflite_runtime", ["--version"], install=install_command(), python=str(python()))
    return stdout.split()[-1]


def python() -> Path:
    """The Python of the environment: what `PYTHON_VARIABLE` names, else ``tflite-runtime`` within this one.

    Raises:
        MissingToolError: it does not exist.
    """
    chosen = os.environ.get(PYTHON_VARIABLE)
    path = Path(chosen) if chosen else _folder() / "bin" / "python"
    if not path.exists():
        source = f" (from {PYTHON_VARIABLE})" if chosen else ""
        raise MissingToolError(
            f"tflite-runtime has no environment: {path}{source} does not exist. Make it with: {install_command()}"
        )
    return path


def install_command() -> str:
    """What a user types to make the environment."""
    folder = shlex.quote(str(_folder()))
    return f"python3 -m venv {folder} && {folder}/bin/pip install {' '.join(REQUIREMENTS)}"


def _folder() -> Path:
    return Path(sys.prefix) / "tflite-runtime"
