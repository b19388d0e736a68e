"""tflite-runtime 2.14, the interpreter on many Raspberry Pis, in its own environment.

It was built against numpy 1 and fails under the numpy that the toolkit needs,
so it cannot be imported here.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from lenet_edge.engines import worker
from lenet_edge.engines.worker import Int8Array, LayerOutputs
from lenet_edge.errors import MissingToolError

__all__ = ["PYTHON_VARIABLE", "REQUIREMENTS", "install_command", "layer_outputs", "python", "run", "version"]

PYTHON_VARIABLE = "LENET_EDGE_TFLITE_PYTHON"
_PYTHONS, _MACHINES = ((3, 9), (3, 10), (3, 11)), ("x86_64", "aarch64", "armv7l")  # its wheels on PyPI
_START_S = 10.0
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
    """What a user types to make the environment; where no Python here can have the package, why not."""
    folder, packages = shlex.quote(str(_folder())), " ".join(REQUIREMENTS)
    name = _python_with_wheels()
    if name is None:
        return (
            f"not for Python {sys.version_info[0]}.{sys.version_info[1]} on {sys.platform} {platform.machine()}: "
            f"{REQUIREMENTS[0]} has wheels for Python 3.9 to 3.11 on Linux alone. Where another Python has {packages}, "
            f"name it in {PYTHON_VARIABLE}"
        )
    return f"{shlex.quote(name)} -m venv {folder} && {folder}/bin/pip install {packages}"


def _python_with_wheels() -> str | None:
    """A Python that can have the package: this one, or another on the PATH that starts."""
    if not sys.platform.startswith("linux") or platform.machine() not in _MACHINES:
        return None
    if sys.version_info[:2] in _PYTHONS:
        return "python3" if shutil.which("python3") else sys.executable
    for major, minor in reversed(_PYTHONS):
        if (program := shutil.which(f"python{major}.{minor}")) and _starts(program):
            return program
    return None


def _starts(program: str) -> bool:
    """Whether a Python runs and can make environments: pyenv has a name for each, and Debian leaves out ensurepip."""
    try:
        done = subprocess.run(  # noqa: S603 - a list, no shell
            [program, "-I", "-c", "import ensurepip, venv"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_START_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _folder() -> Path:
    return Path(sys.prefix) / "tflite-runtime"
