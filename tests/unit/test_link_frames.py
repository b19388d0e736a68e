"""COBS and frames of the link between host and device."""

from __future__ import annotations

import random
import zlib

import pytest
from fake_device import (
    GOOD,
    GOOD_MESSAGE,
    RUN,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from lenet_edge.hardware import link
from lenet_edge.hardware.link import Decoder, Malformed, Message, cobs_decode, cobs_encode, encode

# The eleven examples of Wikipedia, "Consistent Overhead Byte Stuffing", section "Encoding examples", there with the
# delimiter at the end.
VECTORS = [
    ("00", "01 01"),
    ("00 00", "01 01 01"),
    ("00 11 00", "01 02 11 01"),
    ("11 22 00 33", "03 11 22 02 33"),
    ("11 22 33 44", "05 11 22 33 44"),
    ("11 00 00 00", "02 11 01 01 01"),
    (RUN.hex(), "ff" + RUN.hex()),
    ("00" + RUN.hex(), "01 ff" + RUN.hex()),
    (RUN.hex() + "ff", "ff" + RUN.hex() + "02 ff"),
    (RUN[1:].hex() + "ff 00", "ff" + RUN[1:].hex() + "ff 01 01"),
    (RUN[2:].hex() + "ff 00 01", "fe" + RUN[2:].hex() + "ff 02 01"),
    ("", "01"),  # no example there: the shortest of all
]


@pytest.mark.parametrize(("data", "frame"), VECTORS)
def test_cobs_vectors(data, frame):
    assert cobs_encode(bytes.fromhex(data)) == bytes.fromhex(frame)
    assert cobs_decode(bytes.fromhex(frame)) == bytes.fromhex(data)


@given(st.one_of(st.binary(), st.integers(0, 1600).map(lambda n: b"\x07" * n)))
def test_cobs_round_trip(data):
    frame = cobs_encode(data)
    assert 0 not in frame
    assert len(frame) <= len(data) + 1 + len(data) // 254
    assert cobs_decode(frame) == data


def test_a_full_block_may_be_followed_by_an_empty_one():
    """Some encoders end so; it means the same."""
    assert cobs_decode(b"\xff" + RUN + b"\x01") == RUN


@pytest.mark.parametrize(("frame", "message"), [(b"\x03a", "cut short"), (b"\x02a\0", "zero byte"), (b"\0", "zero")])
def test_cobs_that_is_none(frame, message):
    with pytest.raises(ValueError, match=message):
        cobs_decode(frame)


def test_a_frame_byte_by_byte():
    """Written out, so that the format cannot change on both sides at once. The CRC's check value is ISO-HDLC's."""
    assert zlib.crc32(b"123456789") == 0xCBF43926
    assert zlib.crc32(b"\x01\x00\x34\x12") == 0xD16B3AC6
    assert bytes.fromhex("02 01  07 34 12 c6 3a 6b d1  00") == GOOD


messages = st.builds(Message, st.integers(0, 255), st.integers(0, 0xFFFF), st.binary(max_size=600))


@given(st.lists(messages, max_size=4), st.integers(1, 50))
def test_messages_arrive_however_they_are_cut(sent, step):
    stream = b"".join(encode(m.type, m.id, m.body) for m in sent)
    decoder, found = Decoder(), []
    for at in range(0, len(stream), step):
        found += decoder.feed(stream[at : at + step])
    assert found == sent
    assert Decoder().feed(stream) == sent


@given(st.lists(st.binary(max_size=40), max_size=6), st.integers(0, 40))
def test_bytes_fed_singly_or_at_once(pieces, capacity):
    stream = b"\0".join(pieces) + b"\0"
    single = Decoder(capacity)
    assert [found for byte in stream for found in single.feed(bytes([byte]))] == Decoder(capacity).feed(stream)


@given(st.binary(max_size=300))
def test_after_any_bytes_a_good_frame_is_understood(noise):
    assert Decoder().feed(noise + b"\0" + GOOD)[-1] == GOOD_MESSAGE


def test_after_a_megabyte_of_noise_a_good_frame_is_understood():
    noise = random.Random(1).randbytes(1_000_000)
    assert Decoder().feed(noise + b"\0" + GOOD)[-1] == GOOD_MESSAGE


def test_a_sender_without_delimiters_fills_no_memory():
    decoder = Decoder(capacity=100)
    for _ in range(1000):
        assert decoder.feed(b"\x55" * 1000) == []
    assert len(decoder._frame) <= 110
    assert decoder.feed(b"\0" + GOOD) == [Malformed(link.TOO_LONG), GOOD_MESSAGE]


@given(st.binary(min_size=1, max_size=30), st.data())
@settings(max_examples=50)
def test_a_changed_bit_is_noticed(body, data):
    frame = bytearray(encode(link.INFER, 3, body))
    at = data.draw(st.integers(0, len(frame) - 2))
    frame[at] ^= 1 << data.draw(st.integers(0, 7))
    assert Message(link.INFER, 3, body) not in Decoder().feed(bytes(frame))
