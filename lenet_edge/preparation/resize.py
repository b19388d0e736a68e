"""Resize by area, exact: weights are rational numbers, and the result is rounded once.

On an axis of `size` pixels that becomes one of `target`, no larger, output i covers the inputs from i * size / target
to (i + 1) * size / target. Times `target` these are integers: input j then is [j * target, (j + 1) * target), output i
is [i * size, (i + 1) * size), and the weight of j in i is how much of the two is the same. They add up to `size`.

Where `target` is larger, output i is the nearest input, the one in which its middle lies: (2 i + 1) * size / (2 *
target), rounded down. Its weight is 1. The axes are independent: one may shrink and the other grow.

With both axes the weights of an output add up to T, at most 4,096 * 4,096 = 2^24, so that the weighted sum S is at
most 255 * 2^24 and S + T / 2 at most 255.5 * 2^24, below 2^32: C has it in uint32. Half up is (S + floor(T / 2)) / T,
rounded down: where T is odd, S / T is never a half, and S + (T - 1) / 2 lies below a multiple of T where S + T / 2
does.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["resize"]

UInt8Array: TypeAlias = npt.NDArray[np.uint8]
Int64Array: TypeAlias = npt.NDArray[np.int64]

_BLOCK_VALUES = 1 << 21  # of a frame that are widened to 64 bits at a time


def resize(pixels: UInt8Array, height: int, width: int) -> UInt8Array:
    """Resize by area; on an axis that grows, the nearest pixel.

    Args:
        pixels: uint8 ``[h, w]`` or ``[h, w, channels]``, at most 4,096 a side.
        height, width: of the result.

    Returns:
        uint8 ``[height, width]`` or ``[height, width, channels]``.
    """
    in_height, in_width = pixels.shape[:2]
    if (in_height, in_width) == (height, width):
        return pixels
    rows = max(1, _BLOCK_VALUES // (pixels.size // in_height))
    narrow = [_sums(pixels[top : top + rows], width, axis=1) for top in range(0, in_height, rows)]
    sums = _sums(np.concatenate(narrow), height, axis=0)
    total = (in_height if height <= in_height else 1) * (in_width if width <= in_width else 1)
    return ((sums + total // 2) // total).astype(np.uint8)


def _sums(values: npt.NDArray[Any], target: int, axis: int) -> Int64Array:
    """The weighted sums of the values along an axis."""
    size = values.shape[axis]
    if target > size:
        nearest: Int64Array = values.take((2 * np.arange(target) + 1) * size // (2 * target), axis).astype(np.int64)
        return nearest
    wide = np.moveaxis(values, axis, 0).astype(np.int64)
    before = np.zeros((size + 1, *wide.shape[1:]), np.int64)  # the sum of all in front of each input, times `target`
    np.cumsum(wide * target, axis=0, out=before[1:])
    pixel, part = np.divmod(np.arange(target + 1) * size, target)
    bounds = before[pixel]
    bounds[:-1] += wide[pixel[:-1]] * part[:-1].reshape(-1, *[1] * (wide.ndim - 1))
    sums: Int64Array = np.moveaxis(np.diff(bounds, axis=0), 0, axis)
    return sums
