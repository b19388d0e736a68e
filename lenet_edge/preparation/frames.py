"""The raw bytes of a camera's frame, and the pixels that they hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from lenet_edge.errors import BadInputError
from lenet_edge.preparation.colour import grey_of
from lenet_edge.preparation.settings import MOST_SIDE

__all__ = ["FORMATS", "FrameShape", "decode", "encode", "frame_bytes", "row_bytes"]

UInt8Array: TypeAlias = npt.NDArray[np.uint8]
Int32Array: TypeAlias = npt.NDArray[np.int32]

FORMATS: Final = ("grey8", "rgb565", "rgb565-swapped", "rgb888", "yuv422")
"""The index of a format is its number in C (`le_frame_format`) and on the link.

* grey8: one byte a pixel.
* rgb565: 16 bits a pixel, red in the high ones, the low byte first, as a camera's DMA leaves it in memory.
* rgb565-swapped: the high byte first.
* rgb888: red, green, blue.
* yuv422: Y0 U Y1 V for two pixels, full range (JFIF); a row of odd width ends with a whole group.
"""


@dataclass(frozen=True)
class FrameShape:
    """What all frames of a camera have in common.

    Attributes:
        width, height: in pixels.
        form: one of `FORMATS`.
    """

    width: int
    height: int
    form: str

    @property
    def row_bytes(self) -> int:
        """The bytes of a row."""
        return row_bytes(self.form, self.width)

    def __str__(self) -> str:
        return f"{self.width}x{self.height}/{self.form}"


def row_bytes(form: str, width: int) -> int:
    """The bytes of a row of so many pixels.

    Raises:
        BadInputError: there is no such format.
    """
    _require_format(form)
    return {"grey8": width, "rgb888": 3 * width, "yuv422": 4 * ((width + 1) // 2)}.get(form, 2 * width)


def frame_bytes(form: str, width: int, height: int) -> int:
    """The bytes of a frame, its rows one behind the other."""
    return height * row_bytes(form, width)


def decode(data: bytes, form: str, width: int, height: int, channels: int) -> UInt8Array:
    """The pixels of a frame.

    Args:
        data: `frame_bytes` of them, rows from the top.
        channels: of the image that is made from it. It counts for yuv422 alone: the grey of that is its Y.

    Returns:
        uint8 ``[height, width]``, or ``[height, width, 3]`` in RGB.

    Raises:
        BadInputError: there is no such format, a side is not 1 to 4,096, or the data has another length.
    """
    _require_format(form)
    if not (1 <= width <= MOST_SIDE and 1 <= height <= MOST_SIDE):
        raise BadInputError(f"a frame has 1 to {MOST_SIDE:,} pixels a side, not {width}×{height}")
    if len(data) != (expected := frame_bytes(form, width, height)):
        raise BadInputError(f"a frame of {width}×{height} pixels in {form} has {expected:,} bytes, not {len(data):,}")
    rows = np.frombuffer(data, np.uint8).reshape(height, -1)
    if form == "grey8":
        return rows
    if form == "rgb888":
        return rows.reshape(height, width, 3)
    if form == "yuv422":
        return _from_yuv422(rows, width, channels)
    return _from_rgb565(rows.view("<u2" if form == "rgb565" else ">u2"))


def encode(frame: UInt8Array, form: str) -> bytes:
    """The frame that a camera would give; what the format cannot hold is cut off.

    Args:
        frame: uint8 ``[height, width]`` or ``[height, width, 3]`` in RGB.

    Raises:
        BadInputError: there is no such format.
    """
    _require_format(form)
    if form == "grey8":
        return grey_of(frame).tobytes()
    rgb = frame if frame.ndim == 3 else np.repeat(frame[..., None], 3, axis=2)
    if form == "rgb888":
        return rgb.tobytes()
    if form == "yuv422":
        return _to_yuv422(rgb)
    red, green, blue = (rgb[..., index].astype(np.uint16) for index in range(3))
    words = red >> 3 << 11 | green >> 2 << 5 | blue >> 3
    return words.astype("<u2" if form == "rgb565" else ">u2").tobytes()


def _require_format(form: str) -> None:
    if form not in FORMATS:
        raise BadInputError(f"frames are in {', '.join(FORMATS)}, not in {form!r}")


def _from_rgb565(words: npt.NDArray[np.uint16]) -> UInt8Array:
    """High bits are repeated below, so that white stays white."""
    red, green, blue = words >> 11, words >> 5 & 0x3F, words & 0x1F
    return np.stack((red << 3 | red >> 2, green << 2 | green >> 4, blue << 3 | blue >> 2), axis=-1).astype(np.uint8)


def _from_yuv422(rows: UInt8Array, width: int, channels: int) -> UInt8Array:
    """ITU-R BT.601, full range, in 1/256: red 1.402 V, green -0.344 U - 0.714 V, blue 1.772 U."""
    luma = rows[:, ::2][:, :width]
    if channels == 1:
        return np.ascontiguousarray(luma)
    y = 256 * luma.astype(np.int32) + 128
    u, v = (np.repeat(rows[:, at::4].astype(np.int32) - 128, 2, axis=1)[:, :width] for at in (1, 3))
    rgb = np.stack((y + 359 * v, y - 88 * u - 183 * v, y + 454 * u), axis=-1) >> 8
    return rgb.clip(0, 255).astype(np.uint8)


def _to_yuv422(rgb: UInt8Array) -> bytes:
    height, width, _ = rgb.shape
    even = np.concatenate((rgb, rgb[:, -1:]), axis=1) if width % 2 else rgb
    pairs = even.reshape(height, -1, 2, 3).astype(np.int32).sum(axis=2)  # twice the mean of two pixels
    red, green, blue = (pairs[..., index] for index in range(3))
    groups = np.empty((height, pairs.shape[1], 4), np.uint8)
    groups[..., ::2] = grey_of(even).reshape(height, -1, 2)
    groups[..., 1] = ((-43 * red - 85 * green + 128 * blue + 256) // 512 + 128).clip(0, 255)
    groups[..., 3] = ((128 * red - 107 * green - 21 * blue + 256) // 512 + 128).clip(0, 255)
    return groups.tobytes()
