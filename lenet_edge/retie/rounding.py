"""Real weights to the tie-free grid, so that the sums that they are for err least.

Rounding each weight to the nearest leaves a sum of errors in every channel, which activations of one sign turn into an
offset of the output. So some weights are rounded the other way, those that are nearest to a tie, until the errors of
each kernel, and then those of the whole channel, add up to less than half a step: Guo et al. 2022, "SQuant: On-the-Fly
Data-Free Quantization via Diagonal Hessian Approximation", section 3.
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
import numpy.typing as npt

from lenet_edge.quantized.tie_free import ADMISSIBLE_Q, LARGEST_WEIGHT, GridChannels, to_grid

__all__ = ["on_grid"]

FloatArray = npt.NDArray[np.float64]

_STEPS = LARGEST_WEIGHT // 2  # even weights are twice -63 to 63
_TRIED = 16  # q of a channel: at the smallest of these a step is up to a seventh wider


def on_grid(
    weights: FloatArray, bias: FloatArray, input_scale: float, output_scale: float, farthest: int
) -> GridChannels:
    """As `tie_free.to_grid`, with the q of each channel and the rounding of each weight that err least.

    Args:
        weights: ``[channels, kernels, values of a kernel]``.
        bias, input_scale, output_scale, farthest: as `to_grid` has them.

    Raises:
        BadInputError: as of `to_grid`.
    """
    flat = weights.reshape(len(weights), -1)
    usual = to_grid(flat, bias, input_scale, output_scale, farthest=farthest)
    q = np.array([_best_q(row, int(most), input_scale, output_scale) for row, most in zip(flat, usual.q, strict=True)])
    found = to_grid(flat, bias, input_scale, output_scale, q)
    steps = weights / (2 * found.weight_scales.astype(np.float64))[:, np.newaxis, np.newaxis]
    halves = np.array([_rounded(channel) for channel in steps])
    return GridChannels(found.q, found.weight_scales, (2 * halves).astype(np.int8).reshape(flat.shape), found.bias)


def _best_q(row: FloatArray, most: int, input_scale: float, output_scale: float) -> int:
    """Of the q next to the largest that holds the weights the one at which rounding them errs least."""
    end = bisect_right(ADMISSIBLE_Q, most)
    tried = np.array(ADMISSIBLE_Q[max(0, end - _TRIED) : end])
    step = output_scale / (tried * input_scale)
    scaled = row / step[:, np.newaxis]
    errors = (((np.rint(scaled) - scaled) * step[:, np.newaxis]) ** 2).sum(axis=1)
    return int(tried[errors.argmin()])


def _rounded(steps: FloatArray) -> npt.NDArray[np.int64]:
    """The weights of a channel ``[kernels, values]``, in steps, as integers from -63 to 63."""
    nearest = np.rint(steps)
    errors = nearest - steps
    for kernel, its in zip(nearest, errors, strict=True):
        _balance(kernel, its)
    _balance(nearest.reshape(-1), errors.reshape(-1))
    return nearest.astype(np.int64)


def _balance(nearest: FloatArray, errors: FloatArray) -> None:
    """Round as many of the weights the other way as the sum of the errors asks for, those that err most; in place."""
    direction = np.sign(errors.sum())
    count = int(abs(errors.sum()) + 0.5)
    able = np.flatnonzero((direction * errors > 0) & (np.abs(nearest - direction) <= _STEPS))
    turned = able[np.argsort(-direction * errors[able], kind="stable")[:count]]
    nearest[turned] -= direction
    errors[turned] -= direction
