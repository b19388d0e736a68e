"""Starts `tflite_worker.py`, the script in which the TFLite interpreters run, and reads what it leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lenet_edge import children
from lenet_edge.errors import BadInputError, LenetEdgeError, MissingToolError, NothingToRunError, ToolFailedError
from lenet_edge.files import temporary_folder

__all__ = ["LayerOutputs", "call", "failure", "infer", "infer_layers", "run_process"]

Int8Array: TypeAlias = npt.NDArray[np.int8]
LayerOutputs: TypeAlias = tuple[dict[str, Int8Array], Int8Array]

_WORKER = Path(__file__).with_name("tflite_worker.py")
_START_S, _IMAGE_S = 120.0, 1.0  # time-out: tensorflow's import on a slow disk, and a generous invoke of a large model
_BAD_INPUT, _MISSING, _NOTHING = 3, 4, 5  # the worker's exit codes
_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def infer(
    interpreter: str, path: Path, images: Int8Array, *, kernels: str, install: str, python: str = ""
) -> Int8Array:
    """Run the model of `path` in the worker.

    Args:
        interpreter: package, as `tflite_worker.py --interpreter` names it.
        path: the .tflite.
        images: int8 ``[n, *shape]``; of several inputs ``[n, values]``, one behind the other.
        kernels: as `tflite_worker.py --kernels` names them.
        install: the command that installs the package.
        python: the Python that has the package; without it this process's.

    Returns:
        int8 ``[n, outputs]``; several outputs lie one behind the other. A file's uint8 and float32 ends are int8 here.

    Raises:
        MissingToolError, BadInputError, ToolFailedError: see `call`.
    """
    logits, _ = _infer(interpreter, path, images, kernels, install, python, keep=False)
    return logits


def infer_layers(
    interpreter: str, path: Path, image: Int8Array, *, kernels: str, install: str, python: str = ""
) -> LayerOutputs:
    """One image ``[h, w, c]`` with all tensors kept: (int8 outputs by layer name, logits); else as `infer`."""
    logits, layers = _infer(interpreter, path, image[np.newaxis], kernels, install, python, keep=True)
    return {name: outputs[0] for name, outputs in layers.items()}, logits[0]


def _infer(
    interpreter: str, path: Path, images: Int8Array, kernels: str, install: str, python: str, *, keep: bool
) -> tuple[Int8Array, dict[str, Int8Array]]:
    with temporary_folder() as folder:
        files = [folder / "images.npy", folder / "logits.npy"]
        layers = folder / "layers.npz"
        np.save(files[0], images)
        options = [f"--kernels={kernels}"] + ([f"--layers={layers}"] if keep else [])
        timeout_s = _START_S + _IMAGE_S * len(images)
        call(interpreter, options, [path, *files], install=install, python=python, timeout_s=timeout_s)
        logits: Int8Array = np.load(files[1], allow_pickle=False)
        return logits, _read_layers(layers) if keep else {}


def _read_layers(path: Path) -> dict[str, Int8Array]:
    with np.load(path, allow_pickle=False) as archive:
        return {str(name): archive[f"arr_{index}"] for index, name in enumerate(archive["arr_0"], start=1)}


def call(
    interpreter: str,
    options: Sequence[str],
    files: Sequence[Path] = (),
    *,
    install: str,
    python: str = "",
    timeout_s: float = _START_S,
) -> tuple[str, str]:
    """Run the worker to its end; it stops if this process is interrupted.

    Returns:
        (stdout, stderr); native log lines are on stderr and reach nobody unless something fails.

    Raises:
        MissingToolError: the interpreter is not installed.
        NothingToRunError: the kernels take none of the model's operators.
        BadInputError: it refused the model or the images, or crashed on them.
        ToolFailedError: it took too long, was ended from outside or failed otherwise.
    """
    argv = [python or sys.executable, str(_WORKER), f"--interpreter={interpreter}", *options, "--", *map(str, files)]
    what = f"{files[0]} in {interpreter}" if files else interpreter
    try:
        done = children.run(argv, timeout_s=timeout_s, environment=_environment(python), lasting=True)
    except subprocess.TimeoutExpired:
        raise ToolFailedError(f"{what} did not finish within {timeout_s:.0f} s and was ended") from None
    except OSError as error:
        raise MissingToolError(f"{argv[0]} cannot be started: {error.strerror}. Install with: {install}") from error
    if done.code != 0:
        raise failure(done.code, done.stderr, what, install)
    return done.stdout, done.stderr


def run_process(argv: list[str], timeout_s: float) -> tuple[int, str]:
    """Run another worker to its end.

    Returns:
        (exit code, the last line on stderr).

    Raises:
        ToolFailedError: it took too long, or cannot be started.
    """
    try:
        done = children.run(argv, timeout_s=timeout_s, lasting=True)
    except subprocess.TimeoutExpired:
        raise ToolFailedError(f"{argv[-1]} did not finish within {timeout_s:.0f} s and was ended") from None
    except OSError as error:
        raise ToolFailedError(f"{argv[0]} cannot be started: {error.strerror}") from error
    return done.code, _last_words(done.stderr, 1)


def failure(code: int, stderr: str, what: str, install: str) -> LenetEdgeError:
    """The error for an exit code of a worker and its last words."""
    said = _last_words(stderr)
    if code == _MISSING:
        return MissingToolError(f"{what}: {said}. Install with: {install}")
    if code == _NOTHING:
        return NothingToRunError(f"{what}: {said}")
    if code == _BAD_INPUT:
        return BadInputError(f"{what}: {said}")
    if code < 0:
        name = _signal_name(-code)
        if -code in _FROM_OUTSIDE:  # for want of memory, mostly
            return ToolFailedError(f"{what}: the worker was ended from outside ({name}). {said}".rstrip())
        return BadInputError(f"{what}: the interpreter crashed ({name}). {said}".rstrip())
    return ToolFailedError(f"{what}: the worker failed with exit code {code}. {said}".rstrip())


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


def _environment(python: str) -> dict[str, str]:
    environment = {
        **os.environ,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "CUDA_VISIBLE_DEVICES": "-1",
    }
    if python:  # another environment: this one's packages must not leak into it
        for name in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"):
            environment.pop(name, None)
    return children.safe_path(environment)


def _last_words(stderr: str, lines: int = 4) -> str:
    """The end of what was said on stderr, on one line, without chatter."""
    said = [line.strip() for line in stderr.splitlines() if line.strip()]
    said = [line for line in said if not line.startswith(("INFO:", "WARNING:", "I0000", "W0000"))]
    return " / ".join(line.removeprefix("error: ") for line in said[-lines:])
