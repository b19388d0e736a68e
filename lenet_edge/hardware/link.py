"""The framed protocol between host and device, host side, over whatever carries bytes.

A frame is a message in COBS (Cheshire and Baker, "Consistent Overhead Byte
Stuffing", IEEE/ACM Transactions on Networking 7(2), 1999) and a delimiter 0x00;
an empty frame is ignored. All numbers are little-endian. A message::

    type u8 | 0 u8 | id u16 | body | CRC-32 of all before it, u32

A reply has the request's type with bit 7 set, and its id. The device's side is
``firmware/app/le_link.c``; the two agree on every byte stream, which a test holds.
"""

from __future__ import annotations

import contextlib
import struct
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lenet_edge.errors import BadInputError, LinkError

__all__ = [
    "COUNTER_UNITS",
    "PROTOCOL",
    "ByteStream",
    "Decoder",
    "Device",
    "Hello",
    "Malformed",
    "Message",
    "cobs_decode",
    "cobs_encode",
    "encode",
]

PROTOCOL = 1
BANNER = b"lenet-edge "  # what the text that a device prints when it starts begins with
COUNTER_UNITS = ("none", "cycles", "instructions", "ticks")

HELLO, INFER, PROFILE, EXIT = 1, 2, 3, 4
REPLY = 0x80
ERROR = 0xFF
REQUESTS = {HELLO: "HELLO", INFER: "INFER", PROFILE: "PROFILE", EXIT: "EXIT"}

BAD_FRAME, TOO_LONG, TOO_SHORT, BAD_CRC, UNKNOWN_TYPE, BAD_LENGTH, SELF_TEST, FAULT = range(1, 9)
ERRORS = {
    BAD_FRAME: "the frame was malformed when it arrived",
    TOO_LONG: "the frame was longer than the device's buffer",
    TOO_SHORT: "the frame was too short when it arrived",
    BAD_CRC: "the frame was damaged when it arrived (CRC)",
    UNKNOWN_TYPE: "the firmware does not know this request",
    BAD_LENGTH: "the body has the wrong length for this request",
    SELF_TEST: "its self-test failed, so it refuses to infer",
    FAULT: "the processor faulted",
}
SELF_TEST_PARTS = ("the CRC of the weights is wrong", "the golden vectors come out wrong")

MESSAGE_MAX = 65_534  # bytes, CRC included: the longest that the device's side can hold
OVERHEAD = 8  # bytes of a message that are not its body
RETRIES = 2
NAME_MAX = 128  # characters of a board's name
SHOWN = 60  # bytes of what came that an error message shows
BANNER_MAX = 4096  # bytes of text without a delimiter that are remembered
LAST_BYTES_MAX = 65_536  # of what a device that is gone had still sent


# --- frames --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Message:
    """A message that arrived whole: type, id and body."""

    type: int
    id: int
    body: bytes


@dataclass(frozen=True)
class Malformed:
    """A frame that arrived damaged: `code` (BAD_FRAME to UNKNOWN_TYPE) says how."""

    code: int


def cobs_encode(data: bytes) -> bytes:
    """`data` without zero bytes, in COBS; the delimiter is not appended."""
    out = bytearray()
    pieces = data.split(b"\0")
    for number, piece in enumerate(pieces):
        while len(piece) >= 254:
            out += b"\xff" + piece[:254]
            piece = piece[254:]
            if not piece and number == len(pieces) - 1:
                return bytes(out)  # the end follows a full block at once
        out += bytes([len(piece) + 1]) + piece
    return bytes(out)


def cobs_decode(frame: bytes) -> bytes:
    """What `cobs_encode` was given; `frame` is without its delimiter.

    Raises:
        ValueError: a zero byte, or the last block is cut short.
    """
    if 0 in frame:
        raise ValueError("a zero byte in COBS data")
    data, complete = _decode_blocks(frame)
    if not complete:
        raise ValueError("the last COBS block is cut short")
    return data


def _decode_blocks(frame: bytes) -> tuple[bytes, bool]:
    """The data of the blocks of `frame`, which has no zero bytes; whether the last block is complete."""
    out = bytearray()
    at = 0
    while at < len(frame):
        code = frame[at]
        out += frame[at + 1 : at + code]
        at += code
        if code < 255 and at < len(frame):
            out.append(0)
    return bytes(out), at == len(frame)


def encode(type_: int, id_: int, body: bytes = b"") -> bytes:
    """The frame of a message, its delimiter included."""
    head = struct.pack("<BBH", type_, 0, id_) + body
    return cobs_encode(head + struct.pack("<I", zlib.crc32(head))) + b"\0"


class Decoder:
    """Bytes as they come, cut anywhere -> messages and notes of malformed frames.

    Remembers no more than one frame, however long a sender goes on without a delimiter.
    """

    def __init__(self, capacity: int = MESSAGE_MAX) -> None:
        """`capacity`: bytes of the longest message, CRC included; a longer one is `TOO_LONG`."""
        self._capacity = capacity
        self._frame_max = 1 + capacity + capacity // 254  # beyond that it is too long, whatever it holds
        self._frame = bytearray()

    def feed(self, data: bytes) -> list[Message | Malformed]:
        """What the bytes complete, in order."""
        found = []
        *ends, rest = data.split(b"\0")
        for piece in ends:
            self._append(piece)
            if self._frame:
                found.append(self._judge(bytes(self._frame)))
                self._frame.clear()
        self._append(rest)
        return found

    def _append(self, piece: bytes) -> None:
        room = self._frame_max + 1 - len(self._frame)  # one byte too many remains, as a mark
        self._frame += piece[:room]

    def _judge(self, frame: bytes) -> Message | Malformed:
        data, complete = _decode_blocks(frame)
        if len(data) > self._capacity or len(frame) > self._frame_max:
            return Malformed(TOO_LONG)
        if not complete:
            return Malformed(BAD_FRAME)
        if len(data) < OVERHEAD:
            return Malformed(TOO_SHORT)
        head, (crc,) = data[:-4], struct.unpack("<I", data[-4:])
        if zlib.crc32(head) != crc:
            return Malformed(BAD_CRC)
        kind, reserved, number = struct.unpack("<BBH", head[:4])
        return Message(kind, number, head[4:]) if reserved == 0 else Malformed(UNKNOWN_TYPE)


# --- what a device says of itself ----------------------------------------------------------------

_HELLO = struct.Struct("<BBBBIHHHHI32s")


@dataclass(frozen=True)
class Hello:
    """The reply to HELLO: what the device is and what it runs.

    Sizes are in bytes; `counter_unit` is one of `COUNTER_UNITS`, `fingerprint`
    the hexadecimal name of the model, `self_test` 0 where the self-test passed.
    """

    self_test: int
    counter_unit: str
    steps: int
    clock_hz: int
    input_bytes: int
    output_bytes: int
    stack_used: int
    stack_size: int
    buffer_bytes: int
    fingerprint: str
    board: str

    @classmethod
    def parse(cls, body: bytes) -> Hello:
        """The reply's body.

        Raises:
            LinkError: it is of another version of the protocol, or not a HELLO.
        """
        if body[:1] and body[0] != PROTOCOL:
            raise LinkError(
                f"the firmware speaks version {body[0]} of the protocol, this lenet-edge version {PROTOCOL}; "
                "build the firmware again and flash it"
            )
        if len(body) <= _HELLO.size:
            raise LinkError(f"the reply to HELLO has {len(body)} bytes, fewer than the {_HELLO.size + 1} it needs")
        _, self_test, unit, steps, clock_hz, inputs, outputs, used, stack, buffer, fingerprint = _HELLO.unpack_from(
            body
        )
        name = body[_HELLO.size :]
        if not inputs or not outputs:
            raise LinkError(f"the reply to HELLO is of a model with {inputs} bytes of input and {outputs} of output")
        if unit >= len(COUNTER_UNITS):
            raise LinkError(f"the reply to HELLO names counter unit {unit}; 0 to {len(COUNTER_UNITS) - 1} are known")
        if self_test >> len(SELF_TEST_PARTS):
            raise LinkError(f"the reply to HELLO has the self-test result {self_test:#x}, with unknown bits")
        if len(name) > NAME_MAX or not all(0x20 <= byte <= 0x7E for byte in name):
            shown = f"{name[:SHOWN]!r}{'...' if len(name) > SHOWN else ''}"
            raise LinkError(
                f"the reply to HELLO has the board name {shown} of {len(name)} bytes, "
                f"which is not printable ASCII of at most {NAME_MAX}"
            )
        return cls(
            self_test=self_test,
            counter_unit=COUNTER_UNITS[unit],
            steps=steps,
            clock_hz=clock_hz,
            input_bytes=inputs,
            output_bytes=outputs,
            stack_used=used,
            stack_size=stack,
            buffer_bytes=buffer,
            fingerprint=fingerprint.hex(),
            board=name.decode("ascii"),
        )


# --- the device ----------------------------------------------------------------------------------


class ByteStream(Protocol):
    """What carries the bytes: an emulator's socket, an emulator in this process, a serial port."""

    def write(self, data: bytes) -> None:
        """Send all of `data`.

        Raises:
            LinkError: the other end is gone.
        """

    def read(self, timeout_s: float) -> bytes:
        """What has come, at least one byte; b"" if nothing came within `timeout_s`.

        Raises:
            LinkError: the other end is gone.
        """

    def close(self) -> None:
        """End the connection; reading and writing afterwards is an error."""


class Device:
    """The firmware at the other end of a byte stream.

    Every call waits at most `timeout_s` for an answer, and HELLO and INFER,
    which may be asked twice without harm, are sent again up to two times when
    none comes. A damaged frame may have been the answer: after one the wait is
    a tenth of that. Frames that answer something else are dropped.

    Attributes:
        retries: requests that were sent again.
        ignored: frames that were dropped: malformed, late or unknown.
    """

    def __init__(self, stream: ByteStream, timeout_s: float = 10.0) -> None:
        """Takes the stream over as it is; whoever opened it closes it."""
        self.stream = stream
        self.timeout_s = timeout_s
        self.retries = 0
        self.ignored = 0
        self._decoder = Decoder()
        self._id = 0
        self._came = bytearray()  # the first bytes since something was asked, for error messages
        self._hello: Hello | None = None

    def banner(self) -> str:
        """The text that the device prints when it starts, up to its 0x00; what came before it is dropped.

        Raises:
            LinkError: none came in time, or the other end is gone.
        """
        deadline = time.monotonic() + self.timeout_s
        self._came.clear()
        text = bytearray()
        while data := self._read(deadline):
            *ends, rest = data.split(b"\0")
            for number, piece in enumerate(ends):
                text += piece
                start = text.rfind(BANNER)
                if start >= 0:
                    self._take(b"\0".join([*ends[number + 1 :], rest]))
                    return _printable(text[start:])
                text.clear()
            text += rest
            del text[:-BANNER_MAX]
        raise LinkError(
            f"no banner within {self.timeout_s:g} s; what came: {self._what_came()}. Is lenet-edge's firmware on "
            "the device, and is this its port and speed? Reset the device, or flash it again"
        )

    def hello(self) -> Hello:
        """Ask the device what it is.

        Raises:
            LinkError: no valid answer, or another device's than before.
        """
        hello, earlier = Hello.parse(self._request(HELLO, b"", RETRIES)), self._hello
        if earlier is not None and replace(hello, stack_used=earlier.stack_used) != earlier:
            raise LinkError(f"the device has become another since it was asked first: it said {earlier}, now {hello}")
        self._hello = hello
        return hello

    @staticmethod
    def expect(hello: Hello, board: str, fingerprint: str, sizes: tuple[int, int] | None = None) -> None:
        """Make sure that a device is the one that is meant and in order.

        Args:
            sizes: bytes of the model's input and output, where the caller knows the model.

        Raises:
            LinkError: it has another board's or another model's firmware, or its self-test failed.
        """
        again = f"build it again for this board and model (lenet-edge build --board {board}) and flash it"
        if hello.board != board:
            raise LinkError(f"the device runs the firmware of board {hello.board}, not of {board}; {again}")
        if hello.fingerprint != fingerprint.lower():
            raise LinkError(
                f"the device runs the firmware of model {hello.fingerprint}, not of {fingerprint.lower()}; {again}"
            )
        if sizes is not None and sizes != (hello.input_bytes, hello.output_bytes):
            raise LinkError(
                f"the device says that its model takes {hello.input_bytes} bytes and gives {hello.output_bytes}; "
                f"model {fingerprint[:16]} takes {sizes[0]} and gives {sizes[1]}; {again}"
            )
        wrong = [text for bit, text in enumerate(SELF_TEST_PARTS) if hello.self_test >> bit & 1]
        if wrong:
            raise LinkError(f"the self-test of {board} failed: {' and '.join(wrong)}; {again}")

    def infer(self, image: bytes) -> tuple[bytes, int]:
        """The int8 logits of an int8 image, and the counter's difference over the inference.

        Raises:
            LinkError: no valid answer, or the device refused.
        """
        outputs = self._known().output_bytes
        body = self._sized(self._request(INFER, image, RETRIES), INFER, 4 + outputs)
        return body[4:], struct.unpack_from("<I", body)[0]

    def infer_all(self, images: NDArray[np.int8], progress: Callable[[int], object] | None = None) -> NDArray[np.int8]:
        """The logits of many images.

        Args:
            images: int8 [n, ...], one image's bytes in the order that the model takes them.
            progress: is told after every image how many are done.

        Returns:
            int8 [n, classes].

        Raises:
            BadInputError: the images are not int8, or not of the size that the model takes.
            LinkError: no valid answer, or the device refused.
        """
        hello = self._known()
        if images.dtype != np.int8:
            raise BadInputError(f"the images are {images.dtype}, and a device takes int8 (the pixels minus 128)")
        size = images[0].size if len(images) else hello.input_bytes
        if size != hello.input_bytes:
            raise BadInputError(f"the images have {size} bytes each, and the device's model takes {hello.input_bytes}")
        logits = np.empty((len(images), hello.output_bytes), np.int8)
        for number, image in enumerate(images):
            logits[number] = np.frombuffer(self.infer(image.tobytes())[0], np.int8)
            if progress is not None:
                progress(number + 1)
        return logits

    def profile(self, image: bytes) -> tuple[bytes, tuple[int, ...]]:
        """The int8 logits of an int8 image, and the counter's difference over each step of the inference.

        Raises:
            LinkError: no valid answer, or the device refused.
        """
        hello = self._known()
        body = self._sized(self._request(PROFILE, image), PROFILE, 4 * hello.steps + hello.output_bytes)
        return body[4 * hello.steps :], struct.unpack_from(f"<{hello.steps}I", body)

    def exit(self, code: int = 0) -> None:
        """End the firmware with an exit code, 0 to 255; in an emulator that ends the emulator.

        Raises:
            LinkError: no valid answer.
        """
        self._sized(self._request(EXIT, bytes([code])), EXIT, 0)

    # --- one request and its reply

    def _known(self) -> Hello:
        return self._hello or self.hello()

    def _sized(self, body: bytes, kind: int, size: int) -> bytes:
        if len(body) != size:
            raise LinkError(
                f"the reply to {REQUESTS[kind]} has {len(body)} bytes instead of {size}; "
                "build the firmware again and flash it"
            )
        return body

    def _request(self, kind: int, body: bytes, retries: int = 0) -> bytes:
        """The body of the reply. What an earlier attempt of the same request is answered counts as well."""
        start = time.monotonic()
        self._came.clear()
        ids: set[int] = set()
        note = ""
        for attempt in range(1 + retries):
            self.retries += attempt > 0
            self._id = self._id % 0xFFFF + 1  # never 0: that is the id of an error reply to what was unreadable
            ids.add(self._id)
            self._write(b"\0" + encode(kind, self._id, body))  # the delimiter ends what noise began
            reply, note = self._await(kind, ids)
            if reply is not None:
                return reply
        seconds = time.monotonic() - start
        tries = f", asked {1 + retries} times" if retries else ""
        raise LinkError(
            f"no valid reply to {REQUESTS[kind]} within {seconds:.1f} s{tries}; what came: {self._what_came()}{note}"
        )

    def _await(self, kind: int, ids: set[int]) -> tuple[bytes | None, str]:
        """The body of the reply to one of `ids`, or None and what is known of why there is none.

        Raises:
            LinkError: the device answers that it cannot, or the other end is gone.
        """
        deadline = time.monotonic() + self.timeout_s
        note = ""
        while data := self._read(deadline):
            for found in self._decoder.feed(data):
                if isinstance(found, Message):
                    if found.id in ids and found.type == kind | REPLY:
                        return found.body, ""
                    self._raise_if_refused(found, kind, ids)
                    if found.type == ERROR and found.id == 0:
                        note = f" (the device says: {_words(found.body)})"
                self.ignored += 1
                if isinstance(found, Malformed) or (found.type == ERROR and found.id == 0):
                    deadline = min(deadline, time.monotonic() + self.timeout_s / 10)
        return None, note

    def _raise_if_refused(self, message: Message, kind: int, ids: set[int]) -> None:
        """An error reply to this request is final; so is a fault, whatever its id."""
        if message.type == ERROR and (message.id in ids or message.body[:1] == bytes([FAULT])):
            raise LinkError(f"the device cannot do {REQUESTS[kind]}: {_words(message.body)}")

    def _write(self, data: bytes) -> None:
        """Send; where the other end is gone, look whether it left because of a fault and said so."""
        try:
            self.stream.write(data)
        except LinkError:
            rest = bytearray()
            with contextlib.suppress(LinkError):
                while len(rest) < LAST_BYTES_MAX and (came := self.stream.read(0)):
                    rest += came
            self._take(bytes(rest))
            raise

    def _read(self, deadline: float) -> bytes:
        """What has come; b"" once the deadline is over."""
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            return b""
        data = self.stream.read(remaining)
        self._came += data[: SHOWN + 1 - len(self._came)]
        return data

    def _take(self, data: bytes) -> None:
        """Frames that answer nothing that was asked; a fault is told all the same."""
        for found in self._decoder.feed(data):
            self.ignored += 1
            if isinstance(found, Message) and found.type == ERROR and found.body[:1] == bytes([FAULT]):
                raise LinkError(f"the firmware has ended: {_words(found.body)}")

    def _what_came(self) -> str:
        cut = "..." if len(self._came) > SHOWN else ""
        return f"{bytes(self._came[:SHOWN])!r}{cut}" if self._came else "nothing"


def _printable(text: bytes | bytearray) -> str:
    """What a device printed, without what would steer the terminal that shows it."""
    decoded = text.decode("ascii", errors="replace")
    return "".join(each if each.isprintable() or each in "\r\n\t" else "\N{REPLACEMENT CHARACTER}" for each in decoded)


def _words(body: bytes) -> str:
    """An error reply's body in words."""
    if not body:
        return "an error without a code"
    words = ERRORS.get(body[0], "an error that this version does not know")
    if body[0] == FAULT and len(body) >= 5:
        words += f" at address {struct.unpack_from('<I', body, 1)[0]:#010x}"
    return f"{words} (code {body[0]})"
