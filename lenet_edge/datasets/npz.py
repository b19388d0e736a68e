"""A data set in NumPy's .npz, as Keras and MedMNIST write it; nothing in it is executed, and sizes are not believed."""

from __future__ import annotations

import math
import os
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from lenet_edge.datasets import class_names
from lenet_edge.datasets.dataset import Part, UInt8Array
from lenet_edge.datasets.labels import numbered
from lenet_edge.errors import BadInputError
from lenet_edge.files import require_regular

__all__ = ["MEDMNIST", "PARTS", "array_of", "read"]

MOST_BYTES = 4 << 30  # of one array
PARTS = {"train": ("x_train", "y_train"), "validation": ("x_val", "y_val"), "test": ("x_test", "y_test")}
MEDMNIST = {"train": ("train_images", "train_labels"), "validation": ("val_images", "val_labels")}
MEDMNIST |= {"test": ("test_images", "test_labels")}
_NAMES = "class_names"
MOST_SIDE = 4096
PIECE_BYTES = 1 << 20
_TO_BYTES = 'If 0 is black and 1 is white, write (x * 255).round().astype("uint8")'
_SCALE = 'Scale it so that 0 is black and 255 white, and save it as "uint8".'


def read(path: Path) -> tuple[dict[str, Part], tuple[str, ...]]:
    """The parts of a data set, "train" and perhaps "validation" and "test", and the names of the classes.

    Pixels may be integers of 0 to 255, or fractions k / 255 of float32 or float64; labels integers ``[n]`` or
    ``[n, 1]``, or one-hot ``[n, classes]``. An array `class_names` of texts names the classes, else they are numbers.

    Raises:
        BadInputError: the file is missing, damaged or no such data set, or its values do not stand for bytes exactly.
    """
    try:
        require_regular(path)
        with zipfile.ZipFile(path) as archive:
            return _read(archive, str(path))
    except BadInputError:
        raise
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        # RuntimeError: encrypted, or NotImplementedError of a compression
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise BadInputError(f"{path} cannot be read as .npz: {reason}. Write it again with numpy.savez.") from error


def _read(archive: zipfile.ZipFile, where: str) -> tuple[dict[str, Part], tuple[str, ...]]:
    members = archive.namelist()
    if len(members) != len(set(members)):
        raise BadInputError(f"{where} has an array twice. Write it again with numpy.savez.")
    names = PARTS if "x_train.npy" in members else MEDMNIST
    wanted = {part: pair for part, pair in names.items() if any(f"{name}.npy" in members for name in pair)}
    if "train" not in wanted:
        raise BadInputError(
            f"{where} has no x_train and y_train (nor train_images and train_labels), but "
            f"{', '.join(members[:8]) or 'nothing'}. Save them with numpy.savez."
        )
    arrays = {name: _array(archive, name, where) for pair in wanted.values() for name in pair}
    found = {
        part: (_images(arrays[x], f"{where}: {x}"), _labels(arrays[y], f"{where}: {y}"))
        for part, (x, y) in wanted.items()
    }
    for part, (images, labels) in found.items():
        if len(images) != len(labels) or not len(labels):
            raise BadInputError(f"{where}: the part {part} has {len(images):,} images and {len(labels):,} labels.")
        if images.shape[1:] != found["train"][0].shape[1:]:
            raise BadInputError(f"{where}: the images of the part {part} have another shape than those to train on.")
    return numbered(found, _class_names(archive, members, where), f"{where}{os.sep}class_names")


def _array(archive: zipfile.ZipFile, name: str, where: str) -> npt.NDArray[Any]:
    """An array, no larger than its header says, and that no larger than is read."""
    try:
        member = archive.getinfo(f"{name}.npy")
    except KeyError:
        raise BadInputError(f"{where} has no array {name}.") from None
    with archive.open(member) as stream:
        return array_of(stream, f"{where}: the array {name}")


def array_of(stream: IO[bytes], what: str) -> npt.NDArray[Any]:
    """The array of a .npy, no larger than its header says.

    Args:
        what: it is, for messages.

    Raises:
        BadInputError: it is damaged, too large, or holds neither numbers nor texts.
        ValueError, EOFError: its header is damaged.
    """
    version = npy.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise BadInputError(f"{what} has version {version} of the format; 1.0 and 2.0 are read.")
    reader = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, by_columns, kind = reader(stream)
    if kind.hasobject or kind.kind not in "biufU":
        raise BadInputError(
            f"{what} is of type {kind}; it must hold numbers (or texts, for names), and nothing is unpickled."
        )
    size = math.prod(shape) * kind.itemsize
    if min(shape, default=1) < 0 or size > MOST_BYTES:
        raise BadInputError(f"{what} claims {size:,} bytes; at most {MOST_BYTES:,} are read.")
    body = _exactly(stream, size, what)
    values = np.frombuffer(body, kind, count=math.prod(shape)) if kind.itemsize else np.zeros(math.prod(shape), kind)
    return values.reshape(shape, order="F" if by_columns else "C")


def _exactly(stream: IO[bytes], size: int, what: str) -> bytearray:
    """As many bytes as were claimed, and the end after them, which makes zipfile compare its checksum."""
    body = bytearray()
    while len(body) <= size and (piece := stream.read(min(PIECE_BYTES, size + 1 - len(body)))):
        body += piece
    if len(body) != size:
        raise BadInputError(f"{what} is cut short or followed by other bytes: its header claims {size:,}.")
    return body


def _images(array: npt.NDArray[Any], what: str) -> UInt8Array:
    shape = array.shape
    if len(shape) == 4 and shape[3] == 1:
        array = array[..., 0]
    elif len(shape) == 4 and shape[1] in (1, 3) and shape[3] != 3:
        raise BadInputError(f"{what} has its channels first: {list(shape)}. Save x.transpose(0, 2, 3, 1).")
    elif len(shape) == 2:
        raise BadInputError(f"{what} holds flat images: {list(shape)}. Save x.reshape(len(x), height, width).")
    if (
        array.ndim not in (3, 4)
        or (array.ndim == 4 and shape[3] != 3)
        or not min(shape) >= 1
        or max(shape[1:3]) > MOST_SIDE
    ):
        raise BadInputError(
            f"{what} has the shape {list(shape)}; [n, h, w] or [n, h, w, 3] is wanted, up to 4,096 a side."
        )
    return _as_bytes(array, what)


def _as_bytes(array: npt.NDArray[Any], what: str) -> UInt8Array:
    """The pixels as bytes, where they stand for such exactly."""
    if array.dtype == np.uint8:
        return np.array(array, np.uint8, order="C")  # it can be written, which torch wants
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind not in "iuf":
        raise BadInputError(f"{what} is of type {array.dtype}; pixels must be 0 to 255. {_SCALE}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise BadInputError(f"{what} has values that are not numbers (NaN or infinite). Fix whatever wrote it.")
    low, high = array.min(), array.max()
    if low < 0 or high > 255:
        way = '((x + 1) * 127.5).round().astype("uint8")' if -1 <= low < 0 < high <= 1 else ""
        advice = f"If -1 is black and 1 is white, write {way}" if way else _SCALE
        raise BadInputError(f"{what} has values from {low} to {high}; pixels must be 0 to 255. {advice}")
    if array.dtype.kind == "f" and high <= 1:
        pixels = np.rint(array * 255.0).astype(np.uint8)
        step = 2 * float(np.finfo(array.dtype).eps)  # x / 255 and x * (1 / 255) differ in the last digit
        exact = bool((np.abs(pixels.astype(array.dtype) / array.dtype.type(255) - array) <= step).all())
    else:
        pixels = array.astype(np.uint8)
        exact = bool((pixels == array).all())
    if not exact:
        raise BadInputError(f"{what} has values that are not k / 255 nor whole numbers of 0 to 255. {_TO_BYTES}")
    return np.asarray(pixels, np.uint8)


def _labels(array: npt.NDArray[Any], what: str) -> npt.NDArray[np.int64]:
    if array.dtype.kind not in "biuf" or array.ndim not in (1, 2) or not array.size:
        raise BadInputError(
            f"{what} is of type {array.dtype} and shape {list(array.shape)}; the classes' numbers are wanted."
        )
    if array.ndim == 2 and array.shape[1] > 1:
        if not (np.isin(array, (0, 1)).all() and (array.sum(axis=1) == 1).all()):
            raise BadInputError(
                f"{what} has {array.shape[1]} columns and is not one-hot; one class an image is wanted."
            )
        return np.asarray(array.argmax(axis=1), np.int64)
    flat = array.reshape(-1)
    if flat.dtype.kind == "f" and not np.isfinite(flat).all():
        raise BadInputError(f"{what} has labels that are not numbers (NaN or infinite). Fix whatever wrote it.")
    if (flat < 0).any() or (flat >= class_names.MOST).any():
        raise BadInputError(
            f"{what} has labels from {flat.min()} to {flat.max()}; they must be 0 to {class_names.MOST - 1}. "
            "Number the classes from 0 on, such as np.unique(y, return_inverse=True)[1]"
        )
    whole = flat.astype(np.int64)
    if not np.array_equal(whole, flat):
        raise BadInputError(f"{what} has labels that are not whole numbers.")
    return whole


def _class_names(archive: zipfile.ZipFile, members: list[str], where: str) -> tuple[str, ...] | None:
    if f"{_NAMES}.npy" not in members:
        return None
    array = _array(archive, _NAMES, where)
    if array.dtype.kind != "U" or array.ndim != 1 or not len(array):
        raise BadInputError(f"{where}: class_names are texts, one for each class.")
    return class_names.checked([str(name) for name in array], f"{where}{os.sep}class_names")
