"""The host's side of the link: frames, HELLO, and a device that answers late, damaged, wrongly or not at all."""

import random
import re
import struct
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lenet_edge.errors import BadInputError, LinkError
from lenet_edge.hardware import link
from lenet_edge.hardware.link import Decoder, Device, Hello, Malformed, Message, cobs_decode, cobs_encode, encode

FINGERPRINT = "0f" * 32
GOOD = encode(link.HELLO, 0x1234)
GOOD_MESSAGE = Message(link.HELLO, 0x1234, b"")
RUN = bytes(range(1, 255))  # 254 bytes, none of them zero


# --- COBS and frames -----------------------------------------------------------------------------

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


# --- a device ------------------------------------------------------------------------------------


class Clock:
    """Time that passes only while somebody waits."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


class FakeStream:
    """Answers requests by a script: per request, what then comes, one item per read.

    An item is bytes, a function of the request that makes bytes, a number of
    seconds of silence, or an exception.
    """

    def __init__(self, clock, script=(), at_start=()):
        self.clock = clock
        self.script = list(script)
        self.coming = list(at_start)
        self.requests = []
        self.decoder = Decoder()
        self.closed = False

    def write(self, data):
        for request in self.decoder.feed(data):
            assert isinstance(request, Message)
            self.requests.append(request)
            items = self.script.pop(0) if self.script else []
            self.coming += [item(request) if callable(item) else item for item in items]

    def read(self, timeout_s):
        assert timeout_s > 0
        if self.coming and isinstance(self.coming[0], Exception):
            raise self.coming[0]
        silence = self.coming.pop(0) if self.coming and isinstance(self.coming[0], (int, float)) else 0
        if silence > timeout_s:
            self.coming.insert(0, silence - timeout_s)
        if silence > timeout_s or not self.coming:
            self.clock.now += timeout_s
            return b""
        self.clock.now += silence
        return self.coming.pop(0)

    def close(self):
        self.closed = True


@pytest.fixture
def connect(monkeypatch):
    """(device, stream) for a script; time-outs take no time."""
    clock = Clock()
    monkeypatch.setattr(link, "time", SimpleNamespace(monotonic=clock.monotonic))

    def make(*script, at_start=(), timeout_s=10.0):
        stream = FakeStream(clock, script, at_start)
        return Device(stream, timeout_s), stream

    return make


def hello_body(**changes):
    fields = {
        "protocol": 1,
        "self_test": 0,
        "unit": 2,
        "steps": 3,
        "clock_hz": 64_000_000,
        "inputs": 4,
        "outputs": 2,
        "stack_used": 500,
        "stack_size": 2048,
        "buffer": 5000,
        "fingerprint": bytes.fromhex(FINGERPRINT),
    } | changes
    name = fields.pop("name", b"nrf52840dk")
    return struct.pack("<BBBBIHHHHI32s", *fields.values()) + name


def reply(body, id_offset=0):
    return lambda request: encode(request.type | link.REPLY, request.id + id_offset, body)


def error(*body, request_id=None):
    return lambda request: encode(link.ERROR, request.id if request_id is None else request_id, bytes(body))


def damaged(body):
    def make(request):
        frame = bytearray(reply(body)(request))
        frame[-2] ^= 0xFF if frame[-2] != 0xFF else 0x01
        return bytes(frame)

    return make


HELLO_REPLY = reply(hello_body())
INFER_REPLY = reply(struct.pack("<Ibb", 123_456, -128, 127))
IMAGE = b"\x80\x00\x7f\x01"


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


# --- what goes wrong on the way ------------------------------------------------------------------


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
