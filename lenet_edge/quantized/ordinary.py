"""The usual per-channel int8 quantisation, as other tools do it: the positive control of the tie-free grid."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lenet_edge.errors import BadInputError
from lenet_edge.quantized.model import Float32Array

__all__ = ["ordinary_scales", "to_ordinary"]

LARGEST_WEIGHT = 127


def ordinary_scales(weights: npt.NDArray[np.float64]) -> Float32Array:
    """One scale per channel of weights ``[channels, ...]``: the largest magnitude becomes 127."""
    magnitude = np.abs(weights.reshape(len(weights), -1)).max(axis=1)
    return np.where(magnitude > 0, magnitude / LARGEST_WEIGHT, 1.0).astype(np.float32)


def to_ordinary(
    weights: npt.NDArray[np.float64], bias: npt.NDArray[np.float64], input_scale: float, scales: Float32Array
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int32]]:
    """Real weights ``[channels, ...]`` and biases to the nearest integers, weights within -127..127.

    Raises:
        BadInputError: a bias does not fit in int32.
    """
    steps = scales.astype(np.float64)
    integers = np.rint(weights.reshape(len(weights), -1) / steps[:, None])
    limited = np.clip(integers, -LARGEST_WEIGHT, LARGEST_WEIGHT).astype(np.int8).reshape(weights.shape)
    integer_bias = np.rint(bias / (input_scale * steps))
    if np.abs(integer_bias).max(initial=0) >= 2**31:
        raise BadInputError(f"channel {int(np.abs(integer_bias).argmax())}: its bias does not fit in int32")
    return limited, integer_bias.astype(np.int32)
