"""A camera's frame through the link: its rows in messages, its image and logits back."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lenet_edge.errors import LinkError
from lenet_edge.hardware.link.device import Device
from lenet_edge.hardware.link.frames import FRAME_BEGIN, FRAME_END, FRAME_ROWS

__all__ = ["FRAME_HEAD_BYTES", "FrameAnswer", "infer_frame"]

_HEAD = struct.Struct("<BBH")  # pass, 0, first row
FRAME_HEAD_BYTES = _HEAD.size
"""In front of the rows of a message."""

_WITH_IMAGE = 1


@dataclass(frozen=True, eq=False)
class FrameAnswer:
    """What the board made of a frame.

    Attributes:
        image: int8 [bytes of the input]: as the board prepared it.
        logits: int8 [outputs].
        preparation, inference: the counter's difference, in the unit that HELLO says.
    """

    image: NDArray[np.int8]
    logits: NDArray[np.int8]
    preparation: int
    inference: int


def infer_frame(
    device: Device,
    rows: NDArray[np.uint8],
    width: int,
    form: int,
    progress: Callable[[int, int], object] | None = None,
) -> FrameAnswer:
    """The image and the logits of a frame. The board keeps no frame: where it needs two passes the rows go twice.

    Args:
        rows: uint8 [height, bytes of a row], as the camera leaves them.
        width: of the frame in pixels.
        form: the number of the format, its index in `preparation.frames.FORMATS`.
        progress: called after every message with how many rows were sent, and how many there are to send.

    Raises:
        LinkError: no valid answer, or the board refused: it was not built for frames, or not for such wide ones.
    """
    hello = device.hello()
    height = len(rows)
    try:
        reply = device.ask(FRAME_BEGIN, struct.pack("<HHB", width, height, form), _HEAD.size)
    except LinkError as error:
        raise LinkError(f"a frame of {width}×{height} pixels, {rows.shape[1]:,} bytes a row: {error}") from error
    passes, _, room = _HEAD.unpack(reply)
    count = room // rows.shape[1]
    if passes not in (1, 2) or count == 0:
        raise LinkError(f"the reply to FRAME_BEGIN asks for {passes} passes of rows in {room} bytes")
    for number in range(passes):
        for first in range(0, height, count):
            part = rows[first : first + count]
            device.ask(FRAME_ROWS, _HEAD.pack(number, 0, first) + part.tobytes(), _HEAD.size)
            if progress is not None:
                progress(number * height + first + len(part), passes * height)
    size = 8 + hello.output_bytes + hello.input_bytes
    body = device.ask(FRAME_END, bytes([_WITH_IMAGE]), size)
    preparation, inference = struct.unpack_from("<II", body)
    values = np.frombuffer(body[8:], np.int8)
    return FrameAnswer(values[hello.output_bytes :], values[: hello.output_bytes], preparation, inference)
