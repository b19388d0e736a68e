"""The firmware at the other end of a byte stream: requests, their replies, and what goes wrong on the way."""

from __future__ import annotations

import contextlib
import struct
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lenet_edge.errors import BadInputError, LinkError
from lenet_edge.hardware.link.frames import (
    BAD_CRC,
    BAD_FRAME,
    BAD_LENGTH,
    ERROR,
    EXIT,
    FAULT,
    FRAME,
    FRAME_BEGIN,
    FRAME_END,
    FRAME_ROWS,
    HELLO,
    INFER,
    ORDER,
    PROFILE,
    REPLY,
    SELF_TEST,
    TOO_LONG,
    TOO_SHORT,
    UNKNOWN_TYPE,
    Decoder,
    Malformed,
    Message,
    encode,
)
from lenet_edge.hardware.link.hello import SELF_TEST_PARTS, Hello

__all__ = ["ByteStream", "Device"]

_BANNER = b"lenet-edge "  # what the text that a device prints when it starts begins with
_REQUESTS = {
    HELLO: "HELLO",
    INFER: "INFER",
    PROFILE: "PROFILE",
    EXIT: "EXIT",
    FRAME_BEGIN: "FRAME_BEGIN",
    FRAME_ROWS: "FRAME_ROWS",
    FRAME_END: "FRAME_END",
}
_ERRORS = {
    BAD_FRAME: "the frame was malformed when it arrived",
    TOO_LONG: "the frame was longer than the device's buffer",
    TOO_SHORT: "the frame was too short when it arrived",
    BAD_CRC: "the frame was damaged when it arrived (CRC)",
    UNKNOWN_TYPE: "the firmware does not know this request",
    BAD_LENGTH: "the body has the wrong length for this request",
    SELF_TEST: "its self-test failed, so it refuses to infer",
    FAULT: "the processor faulted",
    FRAME: "it cannot prepare this frame",
    ORDER: "rows or the end of a frame came out of order",
}
_NO_FRAMES = "; build it for frames (lenet-edge build --frames 320x240/rgb565) and flash it"
_FRAME_PROBLEMS = {
    -1: "a side is not 1 to 4,096 pixels, or the format is unknown",
    -2: "it does not hold what the model crops of it",
    -3: "it shows nothing that could be centred",
    -4: "it had too few rows or too many",
    -64: "its rows are longer than this firmware takes: build it again with a wider --frames",
}

_RETRIES = 2
_SHOWN = 60  # bytes of what came that an error message shows
_BANNER_MAX = 4096  # bytes of text without a delimiter that are remembered
_LAST_BYTES_MAX = 65_536  # of what a device that is gone had still sent


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
        """Takes the stream over as it is; the caller closes it."""
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
                start = text.rfind(_BANNER)
                if start >= 0:
                    self._take(b"\0".join([*ends[number + 1 :], rest]))
                    return _printable(text[start:])
                text.clear()
            text += rest
            del text[:-_BANNER_MAX]
        raise LinkError(
            f"no banner within {self.timeout_s:g} s; what came: {self._what_came()}. Is lenet-edge's firmware on "
            "the device, and is this its port and speed? Reset the device, or flash it again"
        )

    def ready(self) -> str:
        """Wait for the byte 0 that firmware with the small link sends instead of a banner.

        Returns:
            The banner, which is empty.

        Raises:
            LinkError: it did not come in time, or the other end is gone.
        """
        deadline = time.monotonic() + self.timeout_s
        self._came.clear()
        while data := self._read(deadline):
            _, end, rest = data.partition(b"\0")
            if end:
                self._take(rest)
                return ""
        raise LinkError(
            f"nothing that says it is ready within {self.timeout_s:g} s; what came: {self._what_came()}. Is "
            "lenet-edge's firmware on the device? Reset the device, or flash it again"
        )

    def hello(self) -> Hello:
        """Ask the device what it is.

        Raises:
            LinkError: no valid answer, or another device's than before.
        """
        hello, earlier = Hello.parse(self._request(HELLO, b"", _RETRIES)), self._hello
        if earlier is not None and replace(hello, stack_used=earlier.stack_used) != earlier:
            raise LinkError(f"the device has changed since it was first asked: it said {earlier}, now {hello}")
        self._hello = hello
        return hello

    @staticmethod
    def expect(
        hello: Hello,
        board: str,
        fingerprint: str,
        sizes: tuple[int, int] | None = None,
        *,
        argument: str | None = None,
    ) -> None:
        """Make sure that a device is the intended one and in working order.

        Args:
            sizes: bytes of the model's input and output, where the caller knows the model.
            argument: what --board takes for the board, where that is not its name.

        Raises:
            LinkError: it has another board's or another model's firmware, or its self-test failed.
        """
        again = f"build it again for this board and model (lenet-edge build --board {argument or board}) and flash it"
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
        body = self._sized(self._request(INFER, image, _RETRIES), INFER, 4 + outputs)
        return body[4:], struct.unpack_from("<I", body)[0]

    def infer_all(self, images: NDArray[np.int8], progress: Callable[[int], object] | None = None) -> NDArray[np.int8]:
        """The logits of many images.

        Args:
            images: int8 [n, ...], one image's bytes in the order that the model takes them.
            progress: called after every image with how many are done.

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

    def ask(self, kind: int, body: bytes, size: int) -> bytes:
        """The body of the reply, of so many bytes, to a request that may be sent twice without harm.

        Raises:
            LinkError: no valid answer, or the device refused.
        """
        return self._sized(self._request(kind, body, _RETRIES), kind, size)

    # --- one request and its reply

    def _known(self) -> Hello:
        return self._hello or self.hello()

    def _sized(self, body: bytes, kind: int, size: int) -> bytes:
        if len(body) != size:
            raise LinkError(
                f"the reply to {_REQUESTS[kind]} has {len(body)} bytes instead of {size}; "
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
            f"no valid reply to {_REQUESTS[kind]} within {seconds:.1f} s{tries}; what came: {self._what_came()}{note}"
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
            hint = _NO_FRAMES if kind == FRAME_BEGIN and message.body[:1] == bytes([UNKNOWN_TYPE]) else ""
            raise LinkError(f"the device cannot do {_REQUESTS[kind]}: {_words(message.body)}{hint}")

    def _write(self, data: bytes) -> None:
        """Send; where the other end is gone, look whether it left because of a fault and said so."""
        try:
            self.stream.write(data)
        except LinkError:
            rest = bytearray()
            with contextlib.suppress(LinkError):
                while len(rest) < _LAST_BYTES_MAX and (came := self.stream.read(0)):
                    rest += came
            self._take(bytes(rest))
            raise

    def _read(self, deadline: float) -> bytes:
        """What has come; b"" once the deadline is over."""
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            return b""
        data = self.stream.read(remaining)
        self._came += data[: _SHOWN + 1 - len(self._came)]
        return data

    def _take(self, data: bytes) -> None:
        """Frames that answer no request; a fault is reported all the same."""
        for found in self._decoder.feed(data):
            self.ignored += 1
            if isinstance(found, Message) and found.type == ERROR and found.body[:1] == bytes([FAULT]):
                raise LinkError(f"the firmware has ended: {_words(found.body)}")

    def _what_came(self) -> str:
        cut = "..." if len(self._came) > _SHOWN else ""
        return f"{bytes(self._came[:_SHOWN])!r}{cut}" if self._came else "nothing"


def _printable(text: bytes | bytearray) -> str:
    """What a device printed, without what would steer the terminal that shows it."""
    decoded = text.decode(errors="replace")
    return "".join(each if each.isprintable() or each in "\r\n\t" else "\N{REPLACEMENT CHARACTER}" for each in decoded)


def _words(body: bytes) -> str:
    """An error reply's body in words."""
    if not body:
        return "an error without a code"
    words = _ERRORS.get(body[0], "an error that this version does not know")
    if body[0] == FAULT and len(body) >= 5:
        words += f" at address {struct.unpack_from('<I', body, 1)[0]:#010x}"
    if body[0] == FRAME and len(body) >= 4:
        problem, row_bytes = struct.unpack_from("<bH", body, 1)
        words += f": {_FRAME_PROBLEMS.get(problem, f'problem {problem}')} (rows of up to {row_bytes:,} bytes)"
    return f"{words} (code {body[0]})"
