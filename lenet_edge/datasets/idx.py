"""IDX, the file format of MNIST: reading that survives any bytes, and writing.

A file is two zero bytes, the type of its values (8 is uint8), the number of
dimensions, each dimension as a big-endian uint32, and the values in C order
(https://yann.lecun.com/exdb/mnist/, "the IDX file format"). The header is only
believed after it has been compared with the number of bytes that are there.
"""

from __future__ import annotations

import io
import math
import struct
import zlib
from collections.abc import Mapping
from gzip import GzipFile
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from lenet_edge.errors import BadInputError
from lenet_edge.files import read_bytes

__all__ = [
    "CLASSES",
    "FILES",
    "IMAGE_SHAPE",
    "Arrays",
    "UInt8Array",
    "check",
    "decode",
    "dimensions",
    "encode",
    "header",
    "read_file",
    "require_alike",
    "require_pairs",
]

UInt8Array: TypeAlias = npt.NDArray[np.uint8]

IMAGE_SHAPE = (28, 28)
CLASSES = 10
MOST_SIDE = 4096
# In the order of `Arrays`; `idx_sets` has the other spellings.
FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")

# Of a file's values: EMNIST by class has 698,000 images. A gzip of 1 MB can claim a thousand times as much.
MAX_BYTES = {4: 5 << 27, 3: 5 << 27, 1: 1 << 20}
PIECE_BYTES = 2**20  # decompressed at a time
MAX_GZIP_RATIO = 1032  # deflate cannot expand further (RFC 1951: 258 bytes from two bits)
UINT8_TYPE, INT32_TYPE = 8, 12
TYPES = {8: "uint8", 9: "int8", 11: "int16", 12: "int32", 13: "float32", 14: "float64"}
GZIP_MAGIC = b"\x1f\x8b"
OTHER_FORMATS = {
    b"\x89PNG": "a PNG",
    b"\xff\xd8\xff": "a JPEG",
    b"GIF8": "a GIF",
    b"BM": "a BMP",
    b"%PDF": "a PDF",
    b"PK\x03\x04": "a zip archive",
    b"\x93NUMPY": "a NumPy .npy file",
    b"\xfd7zXZ": "an xz archive",
    b"BZh": "a bzip2 archive",
    b"<": "an HTML or XML page, perhaps the error page of a download",
}


class Arrays(NamedTuple):
    """The four arrays of a data set: images uint8 ``[n, height, width]``, labels uint8 ``[n]``."""

    train_images: UInt8Array
    train_labels: UInt8Array
    test_images: UInt8Array
    test_labels: UInt8Array


def decode(data: bytes, where: str, dimensions: int) -> UInt8Array:
    """The array in the IDX file `data`, gzipped or not.

    Args:
        data: the content of the file.
        where: what messages call it, usually its path.
        dimensions: how many the array must have: 3 for images, 1 for labels.

    Raises:
        BadInputError: it is not an IDX file of uint8, or not exactly one.
    """
    if not data:
        raise BadInputError(f"{where} is empty (0 bytes). Fetch it again.")
    if data[:2] == GZIP_MAGIC:
        return _decode_gzip(data, where, dimensions)
    shape = _read_header(data, where, dimensions)
    return _to_array(memoryview(data)[_header_bytes(dimensions) :], shape, where)


def encode(array: npt.NDArray[np.uint8 | np.int32]) -> bytes:
    """The IDX file, not gzipped, that holds `array`: uint8, or int32 in big-endian order."""
    kind = UINT8_TYPE if array.dtype == np.uint8 else INT32_TYPE
    return header(array.shape, kind) + array.astype(array.dtype.newbyteorder(">"), copy=False).tobytes()


def header(shape: tuple[int, ...], kind: int = 8) -> bytes:
    """The first bytes of an IDX file of values of a type, one of `TYPES`, in `shape`."""
    return struct.pack(f">HBB{len(shape)}I", 0, kind, len(shape), *shape)


def read_file(path: Path, dimensions: int) -> UInt8Array:
    """The array in the IDX file at `path`, gzipped or not.

    Raises:
        BadInputError: it is missing, unreadable or not such a file (see `decode`).
    """
    limit = MAX_BYTES[dimensions] + _header_bytes(dimensions)
    content = read_bytes(path, "IDX file", limit=limit)
    if dimensions == 3 and _has_channels(content):
        array = decode(content, str(path), 4)
        if array.shape[3] not in (1, 3):
            first = " Its channels seem to come first; store them last." if array.shape[1] in (1, 3) else ""
            raise BadInputError(
                f"{path} holds images of {_times(array.shape[1:])}; they must have 1 or 3 channels.{first}"
            )
        return array if array.shape[3] == 3 else array[..., 0]
    return decode(content, str(path), dimensions)


def _has_channels(content: bytes) -> bool:
    """Whether a file says that it has four dimensions: images with channels."""
    if content[:2] != GZIP_MAGIC:
        return content[:4] == bytes((0, 0, UINT8_TYPE, 4))
    try:
        return GzipFile(fileobj=io.BytesIO(content)).read(4) == bytes((0, 0, UINT8_TYPE, 4))
    except (OSError, EOFError, zlib.error):
        return False  # `decode` says what is wrong


def dimensions(name: str) -> int:
    """How many dimensions the array in the file `name` (one of `FILES`) has."""
    return 3 if "images" in name else 1


def check(arrays: Arrays, where: Mapping[str, str]) -> None:
    """Hold that the four arrays are a data set.

    Args:
        where: what messages call each of `FILES`.

    Raises:
        BadInputError: images are too large, or training and test images differ in shape, or there is not one label for
            each image.
    """
    places = [where[name] for name in FILES]
    require_pairs(*arrays[:2], *places[:2])
    require_pairs(*arrays[2:], *places[2:])
    require_alike(arrays.train_images, arrays.test_images, places[0], places[2])


def require_pairs(images: UInt8Array, labels: npt.NDArray[Any], images_at: str, labels_at: str) -> None:
    """Check that images are not too large, and that there is one label for each; errors as of `check`."""
    if max(images.shape[1:3]) > MOST_SIDE:
        raise BadInputError(
            f"{images_at} holds images of {_times(images.shape[1:])} pixels; at most {MOST_SIDE:,} a side are taken."
        )
    if len(images) != len(labels):
        raise BadInputError(
            f"{images_at} holds {len(images):,} images, but {labels_at} holds {len(labels):,} labels. "
            "They belong to different sets, or one of them is cut short."
        )


def require_alike(train: UInt8Array, other: UInt8Array, train_at: str, other_at: str) -> None:
    """Check that images have the shape of the training images; errors as of `check`."""
    shapes = [_times(images.shape[1:]) for images in (train, other)]
    if shapes[0] != shapes[1]:
        raise BadInputError(
            f"{train_at} holds images of {shapes[0]} pixels, and {other_at} of {shapes[1]}; they must be alike."
        )


def _decode_gzip(data: bytes, where: str, dimensions: int) -> UInt8Array:
    stream = GzipFile(fileobj=io.BytesIO(data))
    try:
        shape = _read_header(stream.read(_header_bytes(dimensions)), where, dimensions)
        claimed = math.prod(shape)
        if claimed > MAX_GZIP_RATIO * len(data):
            raise BadInputError(
                f"{where}: its header claims {_times(shape)} values, more than {len(data):,} bytes of gzip can hold. "
                "The file is damaged."
            )
        # One byte more than claimed: tells surplus, makes gzip compare its checksum, and stops a bomb. In pieces, as
        # `read` takes the memory for what the header claims before it knows what is there.
        body = bytearray()
        while len(body) <= claimed and (piece := stream.read(min(PIECE_BYTES, claimed + 1 - len(body)))):
            body += piece
    except (EOFError, zlib.error, OSError) as error:
        raise BadInputError(f"{where}: its gzip data is damaged or cut short ({error}). Fetch it again.") from error
    return _to_array(body, shape, where)


def _read_header(data: bytes, where: str, dimensions: int) -> tuple[int, ...]:
    for magic, what in OTHER_FORMATS.items():
        if data.startswith(magic):
            raise BadInputError(f"{where}: this is {what}, not an IDX file.")
    if data[:2] != b"\0\0"[: len(data)]:
        raise BadInputError(f"{where}: not an IDX file (it starts with {data[:4].hex(' ')}, not 00 00 08).")
    if len(data) < 4:
        raise BadInputError(f"{where} is cut short: {len(data)} bytes are not an IDX header. Fetch it again.")
    if data[2] != UINT8_TYPE:
        kind = TYPES.get(data[2], "unknown")
        raise BadInputError(f"{where}: an IDX file of type {data[2]:#04x} ({kind}); 0x08 (uint8) is wanted.")
    if data[3] != dimensions:
        raise BadInputError(
            f"{where}: an IDX file of {data[3]} dimensions; {dimensions} wanted. "
            "Images have 3, labels 1: were they swapped?"
        )
    if len(data) < _header_bytes(dimensions):
        raise BadInputError(f"{where} is cut short: {len(data)} bytes are not a whole IDX header. Fetch it again.")
    shape = struct.unpack_from(f">{dimensions}I", data, 4)
    if 0 in shape:
        raise BadInputError(f"{where} is empty: its header says {_times(shape)} values.")
    if math.prod(shape) > MAX_BYTES[dimensions]:
        most = MAX_BYTES[dimensions]
        raise BadInputError(f"{where}: its header claims {_times(shape)} values, more than the {most:,} that are read.")
    return shape


def _to_array(body: bytes | bytearray | memoryview, shape: tuple[int, ...], where: str) -> UInt8Array:
    claimed = math.prod(shape)
    if len(body) < claimed:
        raise BadInputError(
            f"{where} is cut short: its header claims {_times(shape)} = {claimed:,} bytes of values, "
            f"{len(body):,} are there. Fetch it again."
        )
    if len(body) > claimed:
        raise BadInputError(f"{where}: bytes follow after the {_times(shape)} values of its header. Fetch it again.")
    values = np.frombuffer(body, np.uint8).reshape(shape)
    # Arrays over bytes cannot be written, which torch.from_numpy warns about.
    return values if values.flags.writeable else values.copy()


def _header_bytes(dimensions: int) -> int:
    return 4 + 4 * dimensions


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(str(size) for size in shape)
