"""Which int8 value a pixel is: by the real numbers that it stands for, and the scale and zero point of the input."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lenet_edge.preparation.settings import Preparation

__all__ = ["IDENTITY", "int8_values", "to_int8"]

Int8Array: TypeAlias = npt.NDArray[np.int8]
UInt8Array: TypeAlias = npt.NDArray[np.uint8]

IDENTITY: Int8Array = (np.arange(256) - 128).astype(np.int8)
"""``pixel - 128``: what every model of ours takes."""


def int8_values(preparation: Preparation, scale: float, zero_point: int) -> Int8Array:
    """The int8 value of each pixel value, int8 ``[256]``.

    Pixel v stands for low + (high - low) v / 255, and its int8 is that over the scale, rounded half up, plus the zero
    point, saturated. All of it is rational: low, high and scale are the numbers that their floats are.

    Args:
        preparation: has the range.
        scale, zero_point: of the model's input; the scale is a float32.
    """
    low, high, step = (Fraction(float(value)) for value in (preparation.low, preparation.high, np.float32(scale)))
    real = (low + (high - low) * value / 255 for value in range(256))
    values = [math.floor(value / step + Fraction(1, 2)) + zero_point for value in real]
    return np.array([min(max(value, -128), 127) for value in values], np.int8)


def to_int8(images: UInt8Array, preparation: Preparation, scale: float, zero_point: int) -> Int8Array:
    """Prepared images as a model takes them.

    Args:
        images: uint8 ``[n, h, w]`` or ``[n, h, w, 3]``.

    Returns:
        int8 ``[n, h, w, 1]`` or ``[n, h, w, 3]``.
    """
    values = int8_values(preparation, scale, zero_point).view(np.uint8).take(images).view(np.int8)
    return values[..., None] if images.ndim == 3 else values
