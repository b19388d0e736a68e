"""The IDX reader on files that are not what they should be."""

import gzip
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from idx_files import idx_bytes

from lenet_edge import files
from lenet_edge.datasets import idx
from lenet_edge.errors import BadInputError

IMAGES = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
GOOD = idx_bytes(IMAGES)


def decode(data: bytes, dimensions: int = 3) -> np.ndarray:
    return idx.decode(data, "some-file", dimensions)


@pytest.mark.parametrize("data", [GOOD, gzip.compress(GOOD, mtime=0)], ids=["plain", "gzip"])
def test_reads_what_was_written(data: bytes) -> None:
    np.testing.assert_array_equal(decode(data), IMAGES)


def test_writes_the_format() -> None:
    assert idx.encode(IMAGES) == GOOD
    assert idx.encode(np.array([7, 8], np.uint8)) == bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 8])


@pytest.mark.parametrize("size", range(1, len(GOOD)))
def test_any_truncation_is_told(size: int) -> None:
    with pytest.raises(BadInputError, match="some-file is cut short"):
        decode(GOOD[:size])


@pytest.mark.parametrize("size", range(2, len(gzip.compress(GOOD, mtime=0))))
def test_any_truncation_of_gzip_is_told(size: int) -> None:
    with pytest.raises(BadInputError, match="gzip data is damaged or cut short"):
        decode(gzip.compress(GOOD, mtime=0)[:size])


def test_a_flipped_bit_in_gzip_meets_the_checksum() -> None:
    data = bytearray(gzip.compress(GOOD, compresslevel=0, mtime=0))  # stored, so that a flip changes only a pixel
    data[-20] ^= 1
    with pytest.raises(BadInputError, match="gzip data is damaged"):
        decode(bytes(data))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"empty \(0 bytes\)"),
        (gzip.compress(b"", mtime=0), "cut short"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "this is a PNG"),
        (gzip.compress(b"\x89PNG\r\n\x1a\n" + bytes(40), mtime=0), "this is a PNG"),
        (b"\xff\xd8\xff\xe0" + bytes(40), "this is a JPEG"),
        (b"PK\x03\x04" + bytes(40), "this is a zip archive"),
        (b"<!DOCTYPE html><title>404</title>", "this is an HTML or XML page"),
        (b"\x12\x34\x56\x78" + bytes(40), "not an IDX file"),
        (idx_bytes(IMAGES, kind=13), r"type 0x0d \(float32\)"),
        (idx_bytes(IMAGES, kind=1), r"type 0x01 \(unknown\)"),
        (idx_bytes(IMAGES.ravel()), "1 dimensions; 3 wanted"),
        (idx_bytes(IMAGES[..., None]), "4 dimensions; 3 wanted"),
        (idx_bytes(IMAGES[:0]), "is empty"),
        (GOOD + b"\0", "bytes follow"),
        (gzip.compress(GOOD + b"\0", mtime=0), "bytes follow"),
        (gzip.compress(GOOD, mtime=0) + b"junk", "gzip data is damaged"),
    ],
)
def test_what_is_wrong_is_named(data: bytes, message: str) -> None:
    with pytest.raises(BadInputError, match=message) as caught:
        decode(data)
    assert "some-file" in str(caught.value)


@pytest.mark.parametrize("shape", [(2**32 - 1,) * 3, (2**20, 28, 28), (0, 2**32 - 1, 2**32 - 1)])
@pytest.mark.parametrize("zipped", [False, True])
def test_absurd_sizes_are_not_allocated(shape: tuple[int, ...], zipped: bool) -> None:
    data = struct.pack(">BBBBIII", 0, 0, 8, 3, *shape) + bytes(100)
    with pytest.raises(BadInputError):
        measured_decode(gzip.compress(data, mtime=0) if zipped else data)


def test_a_gzip_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(GOOD + bytes(64 * 2**20), mtime=0)
    with pytest.raises(BadInputError, match="bytes follow"):
        measured_decode(bomb)


def measured_decode(data: bytes) -> None:
    tracemalloc.start()
    try:
        decode(data)
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 2**20


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"nothing-here does not exist"):
        idx.read_file(tmp_path / "nothing-here", 3)


def test_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="Is a directory"):
        idx.read_file(tmp_path, 3)


def test_an_endless_device_is_not_read() -> None:
    with pytest.raises(BadInputError, match="not a regular file"):
        idx.read_file(Path("/dev/zero"), 3)


def test_an_unreadable_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret"
    path.write_bytes(GOOD)

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files.os, "open", refuse)  # root may read any file
    with pytest.raises(BadInputError, match="secret cannot be read: Permission denied"):
        idx.read_file(path, 3)


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as stream:
        stream.truncate(2**30 + 1)  # sparse: it takes no room
    with pytest.raises(BadInputError, match="huge is too large: 1,073,741,825 bytes"):
        idx.read_file(path, 3)


def holds_its_promise(data: bytes, dimensions: int) -> None:
    """A valid array that is exactly the file, or BadInputError; nothing else."""
    try:
        array = decode(data, dimensions)
    except BadInputError:
        return
    assert array.dtype == np.uint8
    assert array.ndim == dimensions
    plain = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    assert idx_bytes(array) == plain


@given(st.binary(max_size=64), st.sampled_from([1, 3]))
def test_any_bytes(data: bytes, dimensions: int) -> None:
    holds_its_promise(data, dimensions)


@given(
    sizes=st.lists(st.integers(0, 3) | st.integers(0, 2**32 - 1), max_size=4),
    head=st.binary(min_size=3, max_size=3) | st.just(b"\0\0\x08"),
    body=st.binary(max_size=30),
    zipped=st.booleans(),
    dimensions=st.sampled_from([1, 3]),
)
def test_any_header(sizes: list[int], head: bytes, body: bytes, zipped: bool, dimensions: int) -> None:
    data = head + bytes([len(sizes)]) + b"".join(struct.pack(">I", size) for size in sizes) + body
    holds_its_promise(gzip.compress(data, mtime=0) if zipped else data, dimensions)


@given(st.data(), st.booleans())
def test_any_damage(draw: st.DataObject, zipped: bool) -> None:
    data = bytearray(gzip.compress(GOOD, mtime=0) if zipped else GOOD)
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    holds_its_promise(bytes(data), 3)
