"""The framed protocol between host and device, host side, over whatever carries bytes.

`frames` has the messages, `hello` what a device says of itself, `device` the requests and their replies. The device's
side is ``firmware/app/le_link.c``.
"""

from lenet_edge.hardware.link.device import ByteStream, Device
from lenet_edge.hardware.link.frames import (
    BAD_CRC,
    BAD_FRAME,
    BAD_LENGTH,
    ERROR,
    EXIT,
    FAULT,
    HELLO,
    INFER,
    MESSAGE_MAX,
    OVERHEAD,
    PROFILE,
    REPLY,
    SELF_TEST,
    TOO_LONG,
    TOO_SHORT,
    UNKNOWN_TYPE,
    Decoder,
    Malformed,
    Message,
    cobs_decode,
    cobs_encode,
    encode,
)
from lenet_edge.hardware.link.hello import COUNTER_UNITS, HELLO_BYTES, PROTOCOL, Hello

__all__ = [
    "BAD_CRC",
    "BAD_FRAME",
    "BAD_LENGTH",
    "COUNTER_UNITS",
    "ERROR",
    "EXIT",
    "FAULT",
    "HELLO",
    "HELLO_BYTES",
    "INFER",
    "MESSAGE_MAX",
    "OVERHEAD",
    "PROFILE",
    "PROTOCOL",
    "REPLY",
    "SELF_TEST",
    "TOO_LONG",
    "TOO_SHORT",
    "UNKNOWN_TYPE",
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
