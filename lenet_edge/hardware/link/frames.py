"""Messages and their frames: COBS, the CRC, and a decoder for bytes as they come.

A frame is a message in COBS (Cheshire and Baker, "Consistent Overhead Byte
Stuffing", IEEE/ACM Transactions on Networking 7(2), 1999) and a delimiter 0x00;
an empty frame is ignored. All numbers are little-endian. A message::

    type u8 | 0 u8 | id u16 | body | CRC-32 of all before it, u32

A reply has the request's type with bit 7 set, and its id. The device's side is
``firmware/app/le_link.c``; the two agree on every byte stream, which a test checks.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

__all__ = ["Decoder", "Malformed", "Message", "cobs_decode", "cobs_encode", "encode"]

HELLO, INFER, PROFILE, EXIT, FRAME_BEGIN, FRAME_ROWS, FRAME_END = range(1, 8)
REPLY = 0x80
ERROR = 0xFF

BAD_FRAME, TOO_LONG, TOO_SHORT, BAD_CRC, UNKNOWN_TYPE, BAD_LENGTH, SELF_TEST, FAULT, FRAME, ORDER = range(1, 11)

MESSAGE_MAX = 65_534  # bytes, CRC included: the longest that the device's side can hold
OVERHEAD = 8  # bytes of a message that are not its body


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
