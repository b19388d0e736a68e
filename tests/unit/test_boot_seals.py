"""Boot ROM checksums: the algorithm by its catalogue, the ELF around it untouched."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lenet_edge.hardware.boot_seals import SEALS, crc32_mpeg2


def test_the_check_value():
    """Catalogue of parametrised CRC algorithms, CRC-32/MPEG-2: check 0x0376e6e7."""
    assert crc32_mpeg2(b"123456789") == 0x0376E6E7


@given(st.binary(max_size=80))
def test_a_message_with_its_crc_leaves_nothing(data):
    """What a CRC without a final inversion is for."""
    assert crc32_mpeg2(data + crc32_mpeg2(data).to_bytes(4, "big")) == 0


@given(st.binary(min_size=256, max_size=256))
def test_the_rp2040_s_seal_is_the_last_word(boot):
    sealed = SEALS["rp2040"].seal(boot)
    assert len(sealed) == 256
    assert sealed[:252] == boot[:252]
    assert int.from_bytes(sealed[252:], "little") == crc32_mpeg2(boot[:252])
