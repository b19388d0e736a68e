"""TFLM's requantisation in the kernels for scalar instruction sets: le_lanes.h says what it computes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lenet_edge.formats.c_source.families.shared import largest_sum
from lenet_edge.formats.c_source.tables import double_rounding_of
from lenet_edge.quantized.model import Weighted, channel_weights

__all__ = ["double_problem", "double_words"]

_LARGEST_ACCUMULATOR = 1 << 29


def double_problem(layer: Weighted) -> str:
    """Why the requantisation of a layer is beyond the kernels; empty where it is not."""
    by = double_rounding_of(layer)
    largest = int((np.abs(by.bias) + largest_sum(layer)).max())
    if largest >= _LARGEST_ACCUMULATOR:
        return f"its accumulators may reach {largest}, and the kernels take those below {_LARGEST_ACCUMULATOR}"
    if ((by.shift >= 0) & (by.multiplier != 0)).any():
        return "a channel's scale is a half or more"
    return ""


def double_words(layer: Weighted, clamp: tuple[int, int]) -> npt.NDArray[np.int64]:
    """Per channel bias, multiplier, and the bytes shift, zero point, smallest, largest output: int64 ``[channels, 3]``.

    The bias is for sums of products with u = x + 128; the zero point and what clamps are + 128.
    """
    by = double_rounding_of(layer)
    bias = by.bias - 128 * channel_weights(layer).astype(np.int64).sum(axis=1)
    # An accumulator below 2^29 shifted by 30 or more is rounded to nothing; and 2^(30 - 1) is the most that int32 adds.
    is_nothing = (by.multiplier == 0) | (by.shift <= -30)
    multiplier, shift = np.where(is_nothing, 0, by.multiplier), np.where(is_nothing, 1, -by.shift)
    low, high = clamp
    others = (layer.output.zero_point + 128) << 8 | (low + 128) << 16 | (high + 128) << 24
    words: npt.NDArray[np.int64] = np.stack([bias, multiplier, shift | others], axis=1)
    return words
