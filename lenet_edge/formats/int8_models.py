"""An int8 model by its path, whatever file it is in: a .tflite, or a QDQ .onnx that becomes one in memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lenet_edge.errors import BadInputError
from lenet_edge.files import read_bytes
from lenet_edge.formats import tflite
from lenet_edge.quantized.model import QuantizedModel

__all__ = ["from_onnx", "is_onnx", "load", "load_onnx", "read", "tflite_name"]


def is_onnx(path: Path) -> bool:
    """Whether the name is that of an ONNX file."""
    return path.suffix.lower() == ".onnx"


def tflite_name(path: Path) -> str:
    """What the .tflite of that model is called."""
    return path.with_suffix(".tflite").name if is_onnx(path) else path.name


def read(path: Path) -> QuantizedModel:
    """Read and verify an int8 model; errors as `tflite.read` and `onnx.read` have them."""
    return load(path)[0]


def load(path: Path) -> tuple[QuantizedModel, bytes]:
    """The model, and its .tflite for runtimes: the very bytes that it was read from, or those that it is written as.

    The metadata of one from ONNX have the `Imported` (``imported``), which no file keeps.

    Raises:
        BadInputError: it cannot be read, or no .tflite can hold it.
    """
    if not is_onnx(path):
        return tflite.load(path)
    return from_onnx(load_onnx(path), path)


def from_onnx(
    data: bytes, path: Path, ranges: Mapping[str, tuple[float, float]] | None = None
) -> tuple[QuantizedModel, bytes]:
    """The model of a QDQ .onnx and its .tflite, as `load` has them; `ranges` as `onnx.read` has them."""
    from lenet_edge.formats.onnx.reader import import_bytes

    found = import_bytes(data, str(path), ranges=ranges)
    try:
        return found.model.with_metadata(imported=found), tflite.to_bytes(found.model)
    except BadInputError as error:
        raise BadInputError(f"{path}: {error}") from error


def load_onnx(path: Path) -> bytes:
    """The bytes of an .onnx; `BadInputError` where it is missing or too large."""
    from lenet_edge.formats.onnx.reader import MAX_BYTES

    return read_bytes(path, "the model", "Export it, with one file for graph and weights.", limit=MAX_BYTES)
