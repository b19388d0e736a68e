"""Whatever bytes a device gets, it answers each malformed frame and then the next good one."""

from __future__ import annotations

import random
import struct
import time
import zlib

import pytest
import workbench
from workbench import LENET5, exit_status, raw

from lenet_edge.hardware import link
from lenet_edge.hardware.link import Decoder, Malformed, encode

BOTH = [(board, emulator) for board in ("mps2-an386", "microbit", "sifive_e") for emulator in ("unicorn", "qemu")]
ONE_EACH = [("mps2-an386", "unicorn"), ("mps2-an386", "qemu"), ("sifive_e", "unicorn"), ("sifive_e", "qemu")]
IMAGE = workbench.images(LENET5, 4, seed=9)
EXPECTED = workbench.reference(LENET5, IMAGE)


def answers(stream, number, timeout_s=90.0, read_s=1.0):
    """What the device sends, as messages, up to the reply to the request of that number."""
    decoder, found, deadline = Decoder(), [], time.monotonic() + timeout_s
    while not any(isinstance(each, link.Message) and each.id == number for each in found):
        assert time.monotonic() < deadline, found[-3:]
        found += decoder.feed(stream.read(read_s))
    return found


def errors(found):
    """The codes of the error replies among them, which must all be whole."""
    assert not [each for each in found if isinstance(each, Malformed)]
    return [each.body[0] for each in found if each.type == link.ERROR]


@pytest.mark.parametrize(
    ("board", "emulator", "size"),
    [("mps2-an386", "unicorn", 1 << 20), ("sifive_e", "unicorn", 1 << 20), ("mps2-an386", "qemu", 1 << 16)],
)
def test_random_bytes_and_then_a_good_frame(build, board, emulator, size):
    noise = random.Random(7).randbytes(size)
    with raw(board, build(board).elf, emulator) as device:
        device.banner()
        device.stream.write(noise + b"\0" + encode(link.HELLO, 12345))
        found = answers(device.stream, 12345)
        assert (found[-1].type, len(found) - 1) == (link.HELLO | link.REPLY, len(errors(found)))
        assert len(found) > size // 600  # of 256 bytes one ends a frame
        assert set(errors(found)) <= {link.BAD_FRAME, link.TOO_LONG, link.TOO_SHORT, link.BAD_CRC}
        device.hello()
        assert (device.infer_all(IMAGE) == EXPECTED).all()
        assert device.retries == 0


@pytest.mark.parametrize("board", ["mps2-an386", "sifive_e"])
def test_an_impatient_reader_gets_the_same_bytes(build, board):
    """Unicorn is stopped hundreds of times amid requests and replies, and within inferences."""
    workbench.need(board, "gcc", "unicorn")
    requests = random.Random(11).randbytes(1 << 16) + b"\0" + encode(link.HELLO, 12345)
    said = []
    for read_s in (5.0, 0.0005):
        with raw(board, build(board).elf, "unicorn") as device:
            device.banner()
            device.stream.write(requests)
            said.append(answers(device.stream, 12345, read_s=read_s))
            device.stream.write(encode(link.INFER, 7, IMAGE[0].tobytes()))
            (reply,) = answers(device.stream, 7, read_s=0.02)
            assert reply.body[4:] == EXPECTED[0].tobytes()  # behind how long it took
    assert len(said[0]) > 200
    assert said[0] == said[1]


@pytest.mark.parametrize(("board", "emulator"), [*ONE_EACH, ("microbit", "unicorn")])
def test_malformed_frames_are_each_answered(build, board, emulator):
    good = encode(link.INFER, 77, IMAGE[0].tobytes())
    wrong_crc = bytearray(link.cobs_decode(good[:-1]))
    wrong_crc[-1] ^= 1
    reserved = struct.pack("<BBH", link.HELLO, 1, 5)
    cases = [
        (good[:400] + b"\0", link.BAD_FRAME, 0),  # truncated within a block
        (encode(link.INFER, 3, bytes(2000)), link.TOO_LONG, 0),
        (b"\xff" * (70_000 if emulator == "unicorn" else 3_000) + b"\0", link.TOO_LONG, 0),
        (link.cobs_encode(b"\1\0\1") + b"\0", link.TOO_SHORT, 0),
        (link.cobs_encode(bytes(wrong_crc)) + b"\0", link.BAD_CRC, 0),
        (encode(99, 8), link.UNKNOWN_TYPE, 8),
        (encode(0, 9), link.UNKNOWN_TYPE, 9),
        (link.cobs_encode(reserved + struct.pack("<I", zlib.crc32(reserved))) + b"\0", link.UNKNOWN_TYPE, 5),
        (encode(link.INFER, 10, IMAGE[0].tobytes()[:-1]), link.BAD_LENGTH, 10),
        (encode(link.INFER, 11), link.BAD_LENGTH, 11),
        (encode(link.HELLO, 12, b"x"), link.BAD_LENGTH, 12),
        (encode(link.EXIT, 13, b"\0\0"), link.BAD_LENGTH, 13),
    ]
    with raw(board, build(board).elf, emulator) as device:
        device.banner()
        for frame, code, number in cases:
            device.stream.write(frame + encode(link.HELLO, 1000))
            found = answers(device.stream, 1000)
            assert errors(found) == [code], (frame[:20], found)
            assert (found[0].type, found[0].id) == (link.ERROR, number), frame[:20]
            assert (found[1].type, found[1].id) == (link.HELLO | link.REPLY, 1000)
        assert (device.infer_all(IMAGE) == EXPECTED).all()


def test_exit_ends_with_its_code(build):
    for board, emulator in (*ONE_EACH, ("atmega2560", "simavr")):
        with raw(board, build(board).elf, emulator) as device:
            device.banner()
            device.hello()
            device.exit(42)
            assert exit_status(device.stream) == 42
