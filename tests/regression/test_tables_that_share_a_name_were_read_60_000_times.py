"""A .tflite of some megabytes kept its reader busy for minutes: 60,000 tables shared one long name, or one long vtable.

Each was read as if it were another's.
"""

import struct
import time

import pytest

from lenet_edge.errors import BadInputError
from lenet_edge.formats.tflite import from_bytes


@pytest.mark.parametrize(
    ("vtable", "content", "said"),
    [
        (8, b"a" * (8 << 20), r"names in the .tflite are more than"),
        (65_534, bytes(65_534), "fields that are not known"),
    ],
    ids=["a name of 8 MB", "a vtable of 64 KB"],
)
def test_they_are_refused_at_once(vtable, content, said):
    data = _many_metadata(60_000, vtable, content)
    start = time.monotonic()
    with pytest.raises(BadInputError, match=said):
        from_bytes(data)
    assert time.monotonic() - start < 2


def _many_metadata(count, vtable_length, content):
    """A file whose root has `count` times the same table Metadata, with a name of that content."""
    table = 112 + 4 * count
    data = bytearray(table + 16)
    struct.pack_into("<I4s", data, 0, 64, b"TFL3")
    struct.pack_into("<HH7H", data, 32, 18, 8, 0, 0, 0, 0, 0, 0, 4)  # the root's vtable: metadata alone
    struct.pack_into("<iIHHHH", data, 64, 32, 28, 8, 8, 4, 0)  # the root, and from 72 on another vtable
    struct.pack_into("<I", data, 96, count)
    for index in range(count):
        struct.pack_into("<I", data, 100 + 4 * index, table - (100 + 4 * index))
    struct.pack_into("<HH", data, 72, vtable_length, 8)
    struct.pack_into("<iI", data, table, table - 72, 12)
    return bytes(data) + struct.pack("<I", len(content)) + content + bytes(8)
