"""LiteRT on a float .tflite: its outputs, and what its tensors hold in between."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lenet_edge import children
from lenet_edge.engines.litert import install_command
from lenet_edge.engines.worker import failure
from lenet_edge.errors import ToolFailedError
from lenet_edge.files import temporary_folder, write_files

__all__ = ["run"]

Float32Array: TypeAlias = npt.NDArray[np.float32]

_WORKER = Path(__file__).with_name("float_worker.py")
_START_S, _IMAGE_S = 120.0, 1.0


def run(
    model: bytes, inputs: Float32Array, tensors: Sequence[int] = ()
) -> tuple[Float32Array, dict[int, Float32Array]]:
    """Run a float .tflite, one invoke for each input.

    Args:
        model: the bytes of the file.
        inputs: float32 ``[n, ...]`` as the model takes them, without the batch.
        tensors: the numbers of those in the file whose values are wanted.

    Returns:
        float32 outputs ``[n, outputs]``, and for each of `tensors` its values ``[n, ...]``.

    Raises:
        MissingToolError: ai-edge-litert is not installed.
        BadInputError: the interpreter refuses the file or the inputs, or crashed on them.
        ToolFailedError: it took too long, or was ended from outside.
    """
    with temporary_folder() as folder:
        write_files(folder, {"model.tflite": model})
        np.save(folder / "inputs.npy", inputs)
        files = [folder / name for name in ("model.tflite", "inputs.npy", "outputs.npy")]
        wanted = [str(folder / "tensors.npz"), ",".join(map(str, tensors))] if tensors else []
        _call([sys.executable, str(_WORKER), *map(str, files), *wanted], _START_S + _IMAGE_S * len(inputs))
        outputs: Float32Array = np.load(files[2], allow_pickle=False)
        if not tensors:
            return outputs, {}
        with np.load(folder / "tensors.npz", allow_pickle=False) as archive:
            return outputs, {index: archive[f"t{index}"] for index in tensors}


def _call(argv: list[str], timeout_s: float) -> None:
    try:
        done = children.run(argv, timeout_s=timeout_s, lasting=True)
    except subprocess.TimeoutExpired:
        raise ToolFailedError(f"LiteRT did not finish within {timeout_s:.0f} s and was ended") from None
    except OSError as error:
        raise ToolFailedError(f"{argv[0]} cannot be started: {error.strerror}") from error
    if done.code != 0:
        raise failure(done.code, done.stderr, "the float model in LiteRT", install_command())
