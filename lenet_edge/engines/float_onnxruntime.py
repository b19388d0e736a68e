"""ONNX Runtime on a float .onnx: its outputs, what its nodes give in between, and its quantiser."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lenet_edge import children
from lenet_edge.engines.worker import failure
from lenet_edge.errors import BadInputError, ToolFailedError
from lenet_edge.files import temporary_folder, write_files

__all__ = ["Facts", "look", "quantized", "run"]

Float32Array: TypeAlias = npt.NDArray[np.float32]

_WORKER = Path(__file__).with_name("float_onnx_worker.py")
_START_S, _IMAGE_S = 120.0, 1.0
_INSTALL = "pip install onnx onnxruntime"
_MODEL = "model.onnx"


@dataclass(frozen=True)
class Facts:
    """The shape of the input, with the batch, and the number of output values."""

    shape: tuple[int, ...]
    outputs: int


def look(model: bytes) -> Facts:
    """What a float .onnx takes and gives.

    Raises:
        MissingToolError: onnx or onnxruntime is not installed.
        BadInputError: ONNX Runtime refuses the file, or it has several inputs or outputs, or an open size.
        ToolFailedError: it took too long, or was ended from outside.
    """
    with temporary_folder() as folder:
        _call(folder, model, "look", ["facts.json"], 0)
        found = json.loads((folder / "facts.json").read_text(encoding="ascii"))
        return Facts(tuple(found["shape"]), found["outputs"])


def run(
    model: bytes, inputs: Float32Array, *, with_layers: bool = False
) -> tuple[Float32Array, Mapping[str, Float32Array]]:
    """Run a float .onnx, once for each input; a softmax at the end is left out.

    Args:
        model: the bytes of the file.
        inputs: float32 ``[n, ...]`` as the model takes them, without the batch.

    Returns:
        float32 outputs ``[n, outputs]``; with `with_layers` also what nodes give, by their names: maps
        ``[n, c, h, w]``, and vectors of layers with weights.

    Raises:
        MissingToolError, BadInputError, ToolFailedError: as `look`.
    """
    with temporary_folder() as folder:
        np.save(folder / "inputs.npy", inputs)
        names = ["inputs.npy", "outputs.npy", *(["tensors.npz"] if with_layers else [])]
        _call(folder, model, "run", names, len(inputs))
        outputs: Float32Array = np.load(folder / "outputs.npy", allow_pickle=False)
        if not with_layers:
            return outputs, {}
        with np.load(folder / "tensors.npz", allow_pickle=False) as archive:
            return outputs, {str(name): archive[f"t{index}"][:, 0] for index, name in enumerate(archive["names"])}


def quantized(model: bytes, inputs: Float32Array, scale: float, zero_point: int) -> bytes:
    """The QDQ .onnx that ONNX Runtime's quantiser makes: int8, weights with a scale for each output channel.

    Args:
        model, inputs: as of `run`; the inputs calibrate.
        scale, zero_point: of the model's input.

    Raises:
        MissingToolError, BadInputError, ToolFailedError: as `look`.
    """
    with temporary_folder() as folder:
        np.save(folder / "inputs.npy", inputs)
        scaling = json.dumps({"scale": scale, "zero_point": zero_point})
        (folder / "scaling.json").write_text(scaling, encoding="ascii")
        _call(folder, model, "quantize", ["inputs.npy", "scaling.json", "qdq.onnx"], len(inputs))
        return (folder / "qdq.onnx").read_bytes()


def _call(folder: Path, model: bytes, mode: str, names: list[str], images: int) -> None:
    write_files(folder, {_MODEL: model})
    argv = [sys.executable, str(_WORKER), mode, *(str(folder / name) for name in (_MODEL, *names))]
    timeout_s = _START_S + _IMAGE_S * images
    try:
        done = children.run(argv, timeout_s=timeout_s, lasting=True)
    except subprocess.TimeoutExpired:
        raise ToolFailedError(f"ONNX Runtime did not finish within {timeout_s:.0f} s and was ended") from None
    except OSError as error:
        raise ToolFailedError(f"{argv[0]} cannot be started: {error.strerror}") from error
    if done.code != 0:
        raise failure(done.code, done.stderr, "the float model in ONNX Runtime", _INSTALL)
    if not all((folder / name).is_file() for name in names):
        raise BadInputError("ONNX Runtime left no result")
