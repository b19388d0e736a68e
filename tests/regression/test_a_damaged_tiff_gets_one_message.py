"""libtiff wrote its own lines about a damaged TIFF to standard error, past Python, in front of our message."""

import io
import os
import struct
import sys

import numpy as np
import pytest
from PIL import Image

from lenet_edge.errors import BadInputError
from lenet_edge.pictures import read_picture


def tiff(**options) -> bytes:
    grey = np.zeros((30, 30), np.uint8)
    grey[5:25, 12:18] = 255
    stream = io.BytesIO()
    Image.fromarray(grey).save(stream, "TIFF", **options)
    return stream.getvalue()


def cut(data: bytes) -> bytes:
    """With a strip that ends early: its byte count (tag 279) is 3."""
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    entries = [start + 2 + 12 * index for index in range(count)]
    place = next(at for at in entries if struct.unpack_from("<H", data, at) == (279,))
    return data[: place + 8] + struct.pack("<I", 3) + data[place + 12 :]


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_nothing_else_is_written(tmp_path, capfd, compression):
    path = tmp_path / "seven.tiff"
    path.write_bytes(cut(tiff(compression=compression)))
    with pytest.raises(BadInputError, match=r"seven\.tiff cannot be read: .*\. If it is damaged, save it again\.$"):
        read_picture(path)
    assert capfd.readouterr() == ("", "")
    os.write(2, b"standard error is there again")
    assert capfd.readouterr().err == "standard error is there again"


def test_a_good_one_is_read_without_standard_error(tmp_path, monkeypatch):
    path = tmp_path / "seven.tiff"
    path.write_bytes(tiff(compression="tiff_lzw"))
    assert read_picture(path)[0].max() > 200
    monkeypatch.setattr(sys, "stderr", None)
    assert read_picture(path)[0].max() > 200
