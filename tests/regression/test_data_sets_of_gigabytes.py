"""A gzip file of 1 MB whose header claims 1 GB, truthfully, took 1.1 GB and 9 s; four of them 4 GB."""

from __future__ import annotations

import struct
import zlib

import pytest

from lenet_edge.datasets import idx
from lenet_edge.errors import BadInputError


def zeros_in_gzip(header: bytes, count: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    pieces = [packer.compress(header)]
    for start in range(0, count, 1 << 24):
        pieces.append(packer.compress(bytes(min(1 << 24, count - start))))
    return b"".join([*pieces, packer.flush()])


@pytest.mark.parametrize(("count", "dimensions"), [(856_000 * 784, 3), (2**20 + 1, 1)])
def test_what_is_claimed_and_there_is_refused_all_the_same(tmp_path, count, dimensions):
    shape = (count // 784, 28, 28) if dimensions == 3 else (count,)
    header = struct.pack(f">HBB{dimensions}I", 0, 8, dimensions, *shape)
    path = tmp_path / "file.gz"
    path.write_bytes(zeros_in_gzip(header, count))
    assert path.stat().st_size < 700_000
    with pytest.raises(BadInputError, match=r"more than the .* that are read"):
        idx.read_file(path, dimensions)
    with pytest.raises(BadInputError, match=r"more than the .* that are read"):
        idx.decode(header + b"\0", "x", dimensions)


def test_a_sparse_file_is_not_read(tmp_path):
    path = tmp_path / "file"
    with path.open("wb") as stream:
        stream.write(struct.pack(">HBBIII", 0, 8, 3, 1_369_000, 28, 28))
        stream.truncate(16 + 1_369_000 * 784)
    with pytest.raises(BadInputError, match="too large"):
        idx.read_file(path, 3)


def test_the_largest_data_set_is_read(tmp_path):
    path = tmp_path / "labels"
    path.write_bytes(struct.pack(">HBBI", 0, 8, 1, 2**20) + bytes(2**20))
    assert idx.read_file(path, 1).shape == (2**20,)
