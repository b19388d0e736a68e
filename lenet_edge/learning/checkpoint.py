"""Weights in files: safetensors with one metadata entry, read and written with numpy alone.

The safetensors writer puts several metadata entries into random order; one
entry, a JSON text, keeps the bytes the same for the same weights. It says what
was trained, on what and how well, and has a SHA-256 of itself and of all
tensors, so that no damage goes unnoticed. Tensors with the prefix ``resume.``
belong to an unfinished training; without them such a file is an ordinary checkpoint.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from lenet_edge import strict_json
from lenet_edge.errors import BadInputError
from lenet_edge.files import read_bytes, write_file
from lenet_edge.networks import reader, shapes
from lenet_edge.networks.description import ImageShape, Network
from lenet_edge.networks.folding import folded
from lenet_edge.preparation.settings import MNIST, Preparation
from lenet_edge.preparation.settings import from_json as preparation_from_json
from lenet_edge.version import __version__

__all__ = [
    "RESUME_PREFIX",
    "Checkpoint",
    "Shapes",
    "description",
    "from_bytes",
    "load",
    "preparation_of",
    "read",
    "save",
    "to_bytes",
    "weight_shapes",
]

Array: TypeAlias = npt.NDArray[Any]
Shapes: TypeAlias = Mapping[str, tuple[int, ...]]

RESUME_PREFIX = "resume."
_ENTRY = "lenet_edge"
_FORMAT = 1
_LARGEST_FILE = 64 << 20  # ours have about 1 MB; a larger one is refused before it is read
_BEFORE = ("lenet5", "lenet5-sigmoid")  # what a file without a description may be
_IMAGE_BEFORE = [28, 28, 1]
_MAX_CLASSES = 10_000
_MAX_NAME = 200  # characters
_HINTS = {
    "float": "`lenet-edge train` makes build/lenet5.safetensors.",
    "qat": "`lenet-edge quantize` leaves these weights.",
}


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Tensors by name and what is known about them.

    Attributes:
        tensors: float32 arrays by their PyTorch names.
        metadata: JSON values: kind, arch, classes, dataset and what else the writer noted.
        resume: the state of an unfinished training, without the prefix; empty in a final file.
        sha256: of the file's bytes that all this was read from (hex): names the model in what is made from it.
    """

    tensors: Mapping[str, Array]
    metadata: Mapping[str, Any]
    resume: Mapping[str, Array] = field(default_factory=dict)
    sha256: str = ""


def description(metadata: Mapping[str, Any]) -> tuple[Network, ImageShape, int]:
    """The network of a checkpoint, `folded`, the shape of its images and the number of its classes.

    A file of before networks were described is LeNet-5's in one of its two forms, for 28 x 28 x 1.

    Raises:
        BadInputError: they do not say which network it is, or not in a way that can be read.
    """
    if "network" in metadata:
        network = reader.from_json(metadata["network"], "the description in it")
    elif metadata["arch"] in _BEFORE:
        network = reader.load(metadata["arch"])
    else:
        raise BadInputError(f"its arch {metadata['arch']!r} is none of {', '.join(_BEFORE)}, and it has no description")
    found = metadata.get("image_shape", _IMAGE_BEFORE)
    if not isinstance(found, list) or len(found) != 3 or not all(map(_is_size, found)):
        raise BadInputError(f"its image_shape is {str(found)[:60]}, not height, width and channels")
    height, width, channels = found
    return folded(network), (height, width, channels), len(metadata["classes"])


def preparation_of(metadata: Mapping[str, Any]) -> Preparation:
    """How a picture becomes an image of the network; MNIST's way in a file of before that was said."""
    return preparation_from_json(metadata["preparation"]) if "preparation" in metadata else MNIST


def weight_shapes(metadata: Mapping[str, Any]) -> Shapes:
    """The weights of a checkpoint with such metadata: names and shapes as PyTorch keeps them (OIHW, OI)."""
    return shapes.weight_shapes(*description(metadata))


def to_bytes(tensors: Mapping[str, Array], metadata: Mapping[str, Any]) -> bytes:
    """The bytes of a checkpoint; the same for the same tensors and metadata.

    Args:
        tensors: arrays by name; those of an unfinished training have the prefix "resume.".
        metadata: JSON values; `load` wants kind ("float", "qat"), arch, classes (a list of names) and dataset.
    """
    arrays = {name: np.array(tensor, order="C") for name, tensor in tensors.items()}
    facts = {**metadata, "format": _FORMAT, "lenet_edge": __version__}
    entry = json.dumps({**facts, "sha256": _digest(arrays, facts)}, sort_keys=True, allow_nan=False)
    return bytes(safetensors.numpy.save(arrays, metadata={_ENTRY: entry}))


def save(path: Path, tensors: Mapping[str, Array], metadata: Mapping[str, Any]) -> None:
    """Write a checkpoint, or leave what was there; the arguments are those of `to_bytes`.

    Raises:
        BadInputError: it cannot be written.
    """
    write_file(path, to_bytes(tensors, metadata))


def load(path: Path, kind: str = "float") -> Checkpoint:
    """Read a checkpoint and check that it is that of the network it describes.

    Args:
        path: of the file.
        kind: "float", or "qat" for what `quantize` leaves. A float checkpoint has the network's weights and no
            other tensors; those of another kind are for the reader to check.

    Raises:
        BadInputError: missing, truncated, damaged, not ours, of another kind or of another network.
    """
    return from_bytes(read(path, kind), str(path), kind)


def read(path: Path, kind: str = "float") -> bytes:
    """The bytes of a file that may be a checkpoint, for `from_bytes`; `BadInputError` where it is missing or huge."""
    return read_bytes(path, "the file of weights", _hint(kind), limit=_LARGEST_FILE)


def from_bytes(data: bytes, where: str, kind: str = "float") -> Checkpoint:
    """Parse and check a checkpoint's bytes; `where` is what messages call them.

    Raises:
        BadInputError: truncated, damaged, not ours, of another kind or of another network.
    """
    try:
        arrays, metadata, intact = _parse(data)
    except safetensors.SafetensorError as error:
        raise BadInputError(
            f"{where} is not a readable safetensors file ({_what(data)}; {error}). {_hint(kind)}"
        ) from error
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        # Readable, but with other metadata, or types and sizes that numpy does not know.
        raise BadInputError(f"{where} was not written by lenet-edge, or is damaged. {_hint(kind)}") from error
    if problem := _metadata_problem(metadata, intact, kind):
        raise BadInputError(f"{where} {problem}. {_hint(kind)}")
    resume = {
        name.removeprefix(RESUME_PREFIX): arrays.pop(name) for name in [*arrays] if name.startswith(RESUME_PREFIX)
    }
    try:
        wanted = weight_shapes(metadata)
        preparation_of(metadata)
    except BadInputError as error:
        raise BadInputError(f"{where}: {error}. {_hint(kind)}") from None
    if problem := _tensor_problem(arrays, wanted, exact=kind == "float"):
        raise BadInputError(f"{where} {problem}. {_hint(kind)}")
    return Checkpoint(arrays, metadata, resume, hashlib.sha256(data).hexdigest())


def _parse(data: bytes) -> tuple[dict[str, Array], dict[str, Any], bool]:
    """The tensors, the metadata without its SHA-256, and whether that was right.

    The header is a little-endian length and a JSON text, which `safetensors` has checked before it is read here.
    """
    arrays = safetensors.numpy.load(data)
    header = strict_json.parse(data[8 : 8 + int.from_bytes(data[:8], "little")])
    metadata = strict_json.parse(header["__metadata__"][_ENTRY])
    if not isinstance(metadata, dict):
        raise TypeError(metadata)
    stated = metadata.pop("sha256", None)
    return arrays, metadata, stated == _digest(arrays, metadata)


def _metadata_problem(metadata: Mapping[str, Any], intact: bool, kind: str) -> str | None:
    if metadata.get("format") != _FORMAT:
        found = str(metadata.get("format"))[:40]
        return f"has checkpoint format {found}, this lenet-edge {__version__} reads {_FORMAT}: damaged, or newer"
    if not intact:
        return "is damaged: its content does not match the SHA-256 in it"
    if metadata.get("kind") != kind:
        return f"holds {str(metadata.get('kind'))[:40]!r} weights, not {kind!r}"
    classes = metadata.get("classes")
    if not isinstance(classes, list) or not 0 < len(classes) < _MAX_CLASSES:
        return "does not say which classes it is for"
    if not all(map(_is_name, [metadata.get("arch"), metadata.get("dataset"), *classes])):
        return "does not say which arch, dataset and classes it is for"
    if metadata.get("transposed", False) not in (True, False):
        return "does not say whether its images are transposed"
    if len(set(classes)) < len(classes):
        return "has a class twice: nothing could tell the two apart"
    return None


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 < value < 2**15


def _is_name(value: Any) -> bool:
    """Whether it is a text that can be shown in a line, which goes into tables, headers and file names."""
    return isinstance(value, str) and 0 < len(value) <= _MAX_NAME and value.isprintable()


def _tensor_problem(tensors: Mapping[str, Array], expected: Shapes, *, exact: bool) -> str | None:
    for name, shape in expected.items():
        found = tensors.get(name)
        if found is None:
            return f"is of another network: the tensor {name} is missing"
        if found.shape != shape or found.dtype != np.float32:
            return f"is of another network: {name} is {found.dtype} {list(found.shape)}, not float32 {list(shape)}"
    if exact and (more := sorted(tensors.keys() - expected.keys())):
        return f"is of another network: it has the tensor {more[0]} besides"
    for name, tensor in tensors.items():
        if np.issubdtype(tensor.dtype, np.inexact) and not np.isfinite(tensor).all():
            return f"is of no use: {name} has values that are not finite, its training diverged"
    return None


def _digest(arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> str:
    """SHA-256 over the metadata and over every tensor's name, type, shape and bytes."""
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name, array in sorted(arrays.items()):
        digest.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _hint(kind: str) -> str:
    return _HINTS.get(kind, "")


def _what(data: bytes) -> str:
    """What a file that is not a safetensors file looks like."""
    if not data:
        return "it is empty"
    if data[:2] == b"PK":
        return "it looks like PyTorch's own .pt format, which is a pickle and is not read"
    if data[:1] == b"\x80":
        return "it looks like a pickle, which is not read"
    if data[4:8] == b"TFL3":
        return "it is a .tflite model"
    return "truncated, damaged or something else"
