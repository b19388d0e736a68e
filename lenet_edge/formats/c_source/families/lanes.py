"""Two output channels in the lanes of one word: what kernels for scalar instruction sets share, with its bounds.

On the tie-free grid all weights are even, so that their halves h, from -63 to 63, do; and with the activations as
u = x + 128, from 0 to 255, the sum of the products h u over a chunk of taps ranges over 255 times the sum of |h|. Where
that is below 2^16 for both channels, and the sums begin high enough, one 32-bit multiplication and one addition do
both: a lane neither borrows nor carries. With H the sum of all chunks, n of le_tie_free.h is odd, so that

    output + 128 = floor(n / 2q) + 128 = floor(K / q),   K = H + (bias - 1) / 2 + constants.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lenet_edge.formats.c_source.families.common import bias_of
from lenet_edge.quantized.model import Conv2d, FullyConnected, Weighted, channel_weights
from lenet_edge.quantized.tie_free import channel_q

__all__ = ["chunk_problem", "halves", "offset_of", "pair_words"]

IntArray = npt.NDArray[np.int64]

_LARGEST_U = 255
_LANE = 1 << 16


def halves(layer: Conv2d | FullyConnected) -> IntArray:
    """The weights by two, int64 of the weights' shape.

    Raises:
        AssertionError: one is odd, which the tie-free grid excludes.
    """
    weights = layer.weights.astype(np.int64)
    assert not (weights % 2).any()
    return weights // 2


def offset_of(layer: Weighted) -> IntArray:
    """Per channel what makes K of the sum of the products h u: from 0 on it is the output + 128 times q."""
    q, bias = channel_q(layer), bias_of(layer)
    assert (bias % 2 != 0).all()
    h = channel_weights(layer).astype(np.int64).sum(axis=1) // 2
    offsets: IntArray = (bias - 1) // 2 - 128 * h + 128 * q
    return offsets


def chunk_problem(layer: Conv2d) -> str:
    """Why a row of the kernel in one input channel does not fit a lane; empty where all do."""
    largest = _LARGEST_U * int(np.abs(halves(layer)).sum(axis=2).max())  # [channel, row, input channel]
    return f"a row of its weights reaches {largest}, which no lane of 16 bits holds" if largest >= _LANE else ""


def pair_words(layer: Conv2d) -> tuple[IntArray, IntArray, IntArray]:
    """The chunks of each pair of output channels, the last one filled up with zeros.

    Returns:
        words ``[pairs, input channels, rows, taps]``, each h_a + 65536 h_b; beginnings ``[pairs, input channels,
        rows]``, both lanes; and per channel what the beginnings add to its sum, ``[channels, padded to even]``.
    """
    h = halves(layer).transpose(0, 3, 1, 2)  # [channel, input channel, row, tap]
    h = np.concatenate([h, np.zeros((len(h) % 2, *h.shape[1:]), np.int64)])
    begin = _LARGEST_U * np.maximum(-h, 0).sum(axis=3)
    words = h[::2] + _LANE * h[1::2] & 0xFFFFFFFF
    return words, begin[::2] + _LANE * begin[1::2], begin.sum(axis=(1, 2))
