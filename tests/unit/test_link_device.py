"""Requests and their replies, the banner, and the device that is meant."""

from __future__ import annotations

import re
import struct

import numpy as np
import pytest
from fake_device import (
    FINGERPRINT,
    HELLO_REPLY,
    IMAGE,
    INFER_REPLY,
    hello_body,
    reply,
)

from lenet_edge.errors import BadInputError, LinkError
from lenet_edge.hardware import link
from lenet_edge.hardware.link import Device, Hello, Message, encode


def test_hello(connect):
    device, stream = connect([HELLO_REPLY])
    assert device.hello() == Hello(
        self_test=0,
        counter_unit="instructions",
        steps=3,
        clock_hz=64_000_000,
        input_bytes=4,
        output_bytes=2,
        stack_used=500,
        stack_size=2048,
        buffer_bytes=5000,
        fingerprint=FINGERPRINT,
        board="nrf52840dk",
    )
    assert [(request.type, request.body) for request in stream.requests] == [(link.HELLO, b"")]
    assert (device.retries, device.ignored) == (0, 0)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "has 0 bytes, fewer than the 53"),
        (hello_body(name=b""), "has 52 bytes, fewer than the 53"),
        (b"\x02", "speaks version 2 of the protocol, this lenet-edge version 1; build the firmware again"),
        (hello_body(unit=4), "counter unit 4"),
        (hello_body(self_test=4), "self-test result 0x4"),
        (hello_body(name=b"n\xffrf"), "board name b'n\\\\xffrf'"),
    ],
)
def test_a_hello_that_is_none(connect, body, message):
    with pytest.raises(LinkError, match=message):
        connect([reply(body)])[0].hello()


def test_infer(connect):
    device, stream = connect([HELLO_REPLY], [INFER_REPLY])
    assert device.infer(IMAGE) == (b"\x80\x7f", 123_456)
    assert stream.requests[1].body == IMAGE
    assert stream.requests[0].id != stream.requests[1].id


def test_infer_all(connect):
    def logits(request):
        pixels = np.frombuffer(request.body, np.int8)
        return reply(struct.pack("<I", 7) + pixels[:2].tobytes())(request)

    device, stream = connect([HELLO_REPLY], *[[logits]] * 3)
    images = np.arange(-6, 6, dtype=np.int8).reshape(3, 2, 2)
    done = []
    result = device.infer_all(images[:, ::-1], done.append)  # not contiguous
    assert result.dtype == np.int8
    assert np.array_equal(result, images[:, 1, :])
    assert done == [1, 2, 3]
    assert len(stream.requests) == 4


def test_infer_all_of_nothing_and_of_the_wrong_thing(connect):
    device, _ = connect([HELLO_REPLY])
    assert device.infer_all(np.empty((0, 2, 2), np.int8)).shape == (0, 2)
    with pytest.raises(BadInputError, match="are uint8, and a device takes int8"):
        device.infer_all(np.zeros((1, 4), np.uint8))
    with pytest.raises(BadInputError, match="have 5 bytes each, and the device's model takes 4"):
        device.infer_all(np.zeros((1, 5), np.int8))


def test_profile(connect):
    device, _ = connect([HELLO_REPLY], [reply(struct.pack("<IIIbb", 1, 2, 0xFFFFFFFF, 3, -4))])
    assert device.profile(IMAGE) == (b"\x03\xfc", (1, 2, 0xFFFFFFFF))


def test_exit(connect):
    device, stream = connect([reply(b"")])
    device.exit(42)
    assert stream.requests[0] == Message(link.EXIT, 1, b"\x2a")


@pytest.mark.parametrize(("call", "name"), [("infer", "INFER"), ("profile", "PROFILE")])
def test_a_reply_of_the_wrong_size(connect, call, name):
    device, _ = connect([HELLO_REPLY], [reply(b"12345")])
    with pytest.raises(LinkError, match=rf"the reply to {name} has 5 bytes instead of \d+; build the firmware again"):
        getattr(device, call)(IMAGE)


# --- the banner ----------------------------------------------------------------------------------

BANNER = b"lenet-edge 0.1 nrf52840dk\nmodel 0f0f\n\0"


@pytest.mark.parametrize(
    "chunks",
    [
        [BANNER],
        [BANNER[i : i + 1] for i in range(len(BANNER))],
        [b"\xff\x00\x81boot", b"loader\r\n" + BANNER],
        [b"lenet-edge 0.1 nrf5", b"\xfe" + BANNER],  # reset in the middle of the first
        [b"noise\0more\0" + BANNER],
        [3.0, BANNER[:7], 3.0, BANNER[7:]],
        [b"x" * 100_000 + BANNER],
    ],
)
def test_a_banner(connect, chunks):
    device, _ = connect([HELLO_REPLY], at_start=chunks)
    assert device.banner() == BANNER[:-1].decode()
    assert device.hello().board == "nrf52840dk"


def test_what_follows_the_banner_is_not_lost(connect):
    """The first half of a frame right behind it; the second half comes later."""
    early = encode(link.HELLO | link.REPLY, 1, hello_body())
    device, _ = connect([early[20:]], at_start=[BANNER + early[:20]])
    device.banner()
    assert device.hello().board == "nrf52840dk"


@pytest.mark.parametrize(
    ("chunks", "came"),
    [
        ([], "nothing"),
        ([b"\x80\x81U-Boot 2024\r\n\0"], r"b'\x80\x81U-Boot 2024\r\n\x00'"),
        ([BANNER[:-1]], "b'lenet-edge 0"),
    ],
)
def test_no_banner(connect, chunks, came):
    device, stream = connect(at_start=chunks)
    before = stream.clock.now
    with pytest.raises(LinkError, match=re.escape(f"no banner within 10 s; what came: {came}")):
        device.banner()
    assert stream.clock.now - before == pytest.approx(10.0)


# --- the device that is meant --------------------------------------------------------------------


def test_the_expected_device():
    Device.expect(Hello.parse(hello_body()), "nrf52840dk", FINGERPRINT)
    Device.expect(Hello.parse(hello_body()), "nrf52840dk", FINGERPRINT.upper())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": b"microbit"}, "firmware of board microbit, not of nrf52840dk; build it again .*--board nrf52840dk"),
        ({"fingerprint": b"\xaa" * 32}, f"model {'aa' * 32}, not of {FINGERPRINT}; build it again"),
        ({"self_test": 1}, "self-test of nrf52840dk failed: the CRC of the weights is wrong; build"),
        ({"self_test": 2}, "failed: the golden vectors come out wrong; build"),
        ({"self_test": 3}, "failed: the CRC of the weights is wrong and the golden vectors come out wrong"),
    ],
)
def test_another_device(changes, message):
    with pytest.raises(LinkError, match=message):
        Device.expect(Hello.parse(hello_body(**changes)), "nrf52840dk", FINGERPRINT)


def test_errors_of_the_link_exit_with_5():
    assert LinkError.exit_code == 5
