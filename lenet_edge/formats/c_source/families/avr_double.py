"""TFLM's requantisation in the kernels for AVRs: le_requantize_double_avr.S says what it computes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lenet_edge.formats.c_source.tables import DoubleRounding

__all__ = ["double_bytes", "left_shifts"]

IntArray = npt.NDArray[np.int64]

_NOTHING = 24  # a shift to the right of an int24 that leaves 0
_NO_SHIFT = 128  # of `whole`: nothing is shifted to the right


def left_shifts(by: DoubleRounding) -> IntArray:
    """Per channel the bits that an accumulator is shifted to the left; where the multiplier is 0, none."""
    shifts: IntArray = np.where(by.multiplier == 0, 0, np.maximum(by.shift, 0))
    return shifts


def double_bytes(bias: IntArray, by: DoubleRounding, zero_point: int) -> IntArray:
    """The 10 bytes of each output, int64 ``[outputs, 10]``: bias, multiplier, factor, whole bytes, zero point + 128.

    Args:
        bias: what is added to the kernel's sums of products, modulo 2^24.
        by: of the layer; accumulators are above -2^23 and below 2^23, and so are they shifted to the left.
        zero_point: of the output.
    """
    is_nothing = (by.multiplier == 0) | (by.shift <= -_NOTHING)
    multiplier = np.where(is_nothing, 0, 2 * by.multiplier)
    right = np.where(is_nothing, 1, -by.shift)
    is_right = right > 0
    whole = np.where(is_right, (right - 1) // 8, _NO_SHIFT - right)
    factor = np.where(is_right, 1 << (7 - (right - 1) % 8), 0)
    columns = [part >> shift & 0xFF for part, size in ((bias, 3), (multiplier, 4)) for shift in range(0, 8 * size, 8)]
    return np.stack([*columns, factor, whole, np.full(len(bias), zero_point + 128)], axis=1)
