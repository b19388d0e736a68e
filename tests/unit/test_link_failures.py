"""What goes wrong on the way to a device and back, and how it is told."""

from __future__ import annotations

import re
import struct
from types import SimpleNamespace

import pytest
from fake_device import (
    HELLO_REPLY,
    IMAGE,
    INFER_REPLY,
    damaged,
    error,
    hello_body,
    reply,
)

from lenet_edge.errors import LinkError
from lenet_edge.hardware import link
from lenet_edge.hardware.link import Decoder, encode


def test_a_reply_split_across_reads(connect):
    frame = encode(link.HELLO | link.REPLY, 1, hello_body())
    device, _ = connect([frame[i : i + 1] for i in range(len(frame))])
    assert device.hello().board == "nrf52840dk"
    device, _ = connect([frame[:30], 5.0, frame[30:]])
    assert device.hello().board == "nrf52840dk"
    assert device.retries == 0


def test_a_late_reply_is_dropped(connect):
    late = encode(link.INFER | link.REPLY, 999, struct.pack("<Ibb", 1, 0, 0))
    device, _ = connect([HELLO_REPLY], [late, INFER_REPLY], [late + b"text\0", INFER_REPLY])
    device.hello()
    assert device.infer(IMAGE) == (b"\x80\x7f", 123_456)
    assert (device.retries, device.ignored) == (0, 1)
    assert device.infer(IMAGE) == (b"\x80\x7f", 123_456)
    assert (device.retries, device.ignored) == (0, 3)


def test_the_answer_to_the_first_attempt_comes_during_the_second(connect):
    device, stream = connect([11.0, HELLO_REPLY], [HELLO_REPLY], [INFER_REPLY])
    device.hello()
    assert device.retries == 1
    assert device.infer(IMAGE) == (b"\x80\x7f", 123_456)  # the second HELLO's reply comes first, and is dropped
    assert (device.retries, device.ignored, len(stream.requests)) == (1, 1, 3)


def test_a_damaged_reply_and_then_a_good_one(connect):
    device, stream = connect([HELLO_REPLY], [damaged(b"123456")], [INFER_REPLY])
    before = stream.clock.now
    assert device.infer(IMAGE) == (b"\x80\x7f", 123_456)
    assert (device.retries, device.ignored) == (1, 1)
    assert stream.clock.now - before == pytest.approx(1.0)  # not the whole time-out
    assert [request.body for request in stream.requests[1:]] == [IMAGE, IMAGE]


def test_a_request_that_arrives_damaged_is_sent_again(connect):
    device, _ = connect([error(link.BAD_CRC, request_id=0)], [HELLO_REPLY])
    assert device.hello().board == "nrf52840dk"
    assert device.retries == 1


def test_always_damaged(connect):
    device, stream = connect(*[[error(link.BAD_CRC, request_id=0)]] * 3)
    with pytest.raises(LinkError, match=r"asked 3 times.*the device says: the frame was damaged .* \(code 4\)"):
        device.hello()
    assert len(stream.requests) == 3


def test_silence(connect):
    device, stream = connect(timeout_s=2.5)
    with pytest.raises(LinkError, match=r"no valid reply to HELLO within 7.5 s, asked 3 times; what came: nothing$"):
        device.hello()
    assert len(stream.requests) == 3
    assert len({request.id for request in stream.requests}) == 3
    assert device.retries == 2


@pytest.mark.parametrize(("call", "argument", "name"), [("exit", 0, "EXIT"), ("profile", IMAGE, "PROFILE")])
def test_what_is_not_asked_again(connect, call, argument, name):
    device, stream = connect([HELLO_REPLY])
    device.hello()
    with pytest.raises(LinkError, match=rf"no valid reply to {name} within 10\.0 s; what came: nothing"):
        getattr(device, call)(argument)
    assert len(stream.requests) == 2
    assert device.retries == 0


def test_what_came_is_shown_and_cut(connect):
    device, _ = connect([b"HardFault at 0x1234 " * 50])
    with pytest.raises(LinkError, match=r"what came: b'HardFault at 0x1234 .{40}'\.\.\.$") as caught:
        device.hello()
    assert len(str(caught.value)) < 200


def test_a_device_that_never_stops_talking(connect):
    device, stream = connect()
    stream.read = lambda timeout_s: setattr(stream.clock, "now", stream.clock.now + 0.5) or b"bla "
    with pytest.raises(LinkError, match=r"within 30\.0 s, asked 3 times; what came: b'bla bla"):
        device.hello()


def test_text_between_frames_is_ignored(connect):
    device, _ = connect([b"debug: x=1\n\0", b"\0\0", HELLO_REPLY])
    assert device.hello().board == "nrf52840dk"
    assert (device.retries, device.ignored) == (0, 1)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ((link.UNKNOWN_TYPE,), "does not know this request (code 5)"),
        ((link.BAD_LENGTH,), "wrong length for this request (code 6)"),
        ((link.SELF_TEST,), "self-test failed, so it refuses to infer (code 7)"),
        ((link.FAULT, 0x78, 0x56, 0x34, 0x12), "the processor faulted at address 0x12345678 (code 8)"),
        ((link.FAULT,), "the processor faulted (code 8)"),
        ((77,), "an error that this version does not know (code 77)"),
        ((), "an error without a code"),
    ],
)
def test_errors_in_words(connect, body, words):
    device, stream = connect([HELLO_REPLY], [error(*body)])
    with pytest.raises(LinkError, match=re.escape(words)) as caught:
        device.infer(IMAGE)
    assert str(caught.value).startswith("the device cannot do INFER: ")
    assert len(stream.requests) == 2


def test_a_fault_counts_whatever_its_id(connect):
    device, _ = connect([error(link.FAULT, 1, 0, 0, 0, request_id=0)])
    with pytest.raises(LinkError, match="faulted at address 0x00000001"):
        device.hello()


def fault_frame(address):
    return encode(link.ERROR, 0, struct.pack("<BI", link.FAULT, address))


def test_a_fault_right_behind_the_banner(connect):
    """The fault handler's delimiter ends the banner, as its last byte would have done."""
    device, _ = connect(at_start=[b"lenet-edge 1\nboard x\n\0" + fault_frame(0x1234)])
    with pytest.raises(LinkError, match=r"has ended: the processor faulted at address 0x00001234 \(code 8\)"):
        device.banner()


def test_a_fault_that_was_told_before_the_other_end_went(connect):
    device, stream = connect()
    told = [fault_frame(0x1234), b""]
    stream.write = lambda data: (_ for _ in ()).throw(LinkError("ended with exit status 1"))
    stream.read = lambda timeout_s: told.pop(0)
    with pytest.raises(LinkError, match="faulted at address 0x00001234"):
        device.hello()


def test_an_end_without_a_fault_is_told_as_it_is(connect):
    device, stream = connect()
    stream.write = lambda data: (_ for _ in ()).throw(LinkError("ended with exit status 1"))
    stream.read = stream.write
    with pytest.raises(LinkError, match="ended with exit status 1"):
        device.hello()


def test_an_error_for_an_earlier_request_is_dropped(connect):
    device, _ = connect([error(link.BAD_LENGTH, request_id=555), HELLO_REPLY])
    assert device.hello().board == "nrf52840dk"
    assert (device.retries, device.ignored) == (0, 1)


@pytest.mark.parametrize("call", ["banner", "hello"])
def test_a_stream_that_ends(connect, call):
    gone = LinkError("the emulator ended with status 3")
    device, _ = connect([b"\x01", gone], at_start=[gone] if call == "banner" else [])
    with pytest.raises(LinkError, match="ended with status 3"):
        getattr(device, call)()


def test_a_request_ends_what_noise_began(connect):
    """What a device took for the start of a frame does not swallow the request."""
    device, stream = connect([HELLO_REPLY])
    stream.decoder = SimpleNamespace(feed=lambda data: Decoder.feed(noisy, data)[1:])
    noisy = Decoder()
    noisy.feed(b"\x09noise")
    assert device.hello().board == "nrf52840dk"


def test_ids_go_round_and_leave_out_zero(connect):
    device, stream = connect(*[[reply(b"")]] * 3)
    device._id = 0xFFFE
    for _ in range(3):
        device.exit()
    assert [request.id for request in stream.requests] == [0xFFFF, 1, 2]
