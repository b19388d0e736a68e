"""A device that answers by a script, and the frames that it answers with; see the fixture `connect`."""

from __future__ import annotations

import struct

from lenet_edge.hardware import link
from lenet_edge.hardware.link import Decoder, Message, encode

FINGERPRINT = "0f" * 32
GOOD = encode(link.HELLO, 0x1234)
GOOD_MESSAGE = Message(link.HELLO, 0x1234, b"")
RUN = bytes(range(1, 255))  # 254 bytes, none of them zero


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
