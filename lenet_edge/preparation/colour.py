"""Grey from RGB, and back."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["grey_of", "in_channels"]

UInt8Array: TypeAlias = npt.NDArray[np.uint8]


def grey_of(frame: UInt8Array) -> UInt8Array:
    """``(77 R + 150 G + 29 B + 128) >> 8`` of uint8 ``[h, w, 3]``; what is grey, ``[h, w]``, stays."""
    if frame.ndim == 2:
        return frame
    red, green, blue = (frame[..., index].astype(np.uint16) for index in range(3))
    return ((77 * red + 150 * green + 29 * blue + 128) >> 8).astype(np.uint8)  # at most 256 * 255 + 128


def in_channels(frame: UInt8Array, channels: int) -> UInt8Array:
    """The frame as ``[h, w]`` for 1 channel, ``[h, w, 3]`` for 3: grey is the same in red, green and blue."""
    if channels == 1:
        return grey_of(frame)
    return frame if frame.ndim == 3 else np.repeat(frame[..., None], 3, axis=2)
