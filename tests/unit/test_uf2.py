"""UF2 files, read as the format's definition says (microsoft/uf2, README: "File format")."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from lenet_edge.hardware.elf import Elf, Segment
from lenet_edge.hardware.uf2 import to_uf2

FAMILY = 0xE48BFF56  # RP2040


def image(*segments: Segment) -> Elf:
    made = Elf.__new__(Elf)
    made.segments = segments
    return made


def read(content: bytes) -> dict[int, int]:
    """Address -> byte, after every field of every block has been looked at."""
    assert len(content) % 512 == 0
    memory = {}
    for number in range(len(content) // 512):
        block = content[512 * number : 512 * (number + 1)]
        words = struct.unpack("<8I", block[:32])
        assert words[:3] == (0x0A324655, 0x9E5D5157, 0x00002000)
        address, size, own_number, count, family = words[3:]
        assert (size, own_number, count, family) == (256, number, len(content) // 512, FAMILY)
        assert address % 256 == 0
        assert block[32 + size : 508] == bytes(476 - size)
        assert struct.unpack("<I", block[508:]) == (0x0AB16F30,)
        for offset, byte in enumerate(block[32 : 32 + size]):
            assert address + offset not in memory
            memory[address + offset] = byte
    return memory


@given(st.binary(min_size=1, max_size=1500), st.integers(0x1000_0000, 0x1000_0400), st.integers(0, 600), st.binary())
def test_every_byte_is_at_its_address(first, start, gap, second):
    segments = [Segment(start, first), Segment(start + len(first) + gap, second)]
    found = read(to_uf2(image(*segments), FAMILY))
    for part in segments:
        for offset, byte in enumerate(part.content):
            assert found.pop(part.address + offset) == byte
    assert set(found.values()) <= {0xFF}
    assert len(found) < 3 * 256 + gap
