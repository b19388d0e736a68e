"""Functions of each channel by itself, scale and shift, and how they become part of a layer's weights.

Arrays here are float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Affine", "Array", "BatchNorm", "behind", "scaled"]

Array: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Affine:
    """``scale * x + shift``, a number per channel each."""

    scale: Array
    shift: Array


@dataclass(frozen=True, eq=False)
class BatchNorm:
    """A batch normalisation: arrays per channel."""

    weight: Array
    bias: Array
    mean: Array
    var: Array
    eps: float

    def affine(self) -> Affine:
        """What it does in evaluation."""
        scale = self.weight / np.sqrt(self.var + self.eps)
        return Affine(scale, self.bias - self.mean * scale)


def scaled(weight: Array, bias: Array, affine: Affine) -> tuple[Array, Array]:
    """A layer with an affine function of its outputs behind it."""
    return weight * affine.scale.reshape(-1, *[1] * (weight.ndim - 1)), bias * affine.scale + affine.shift


def behind(weight: Array, bias: Array, affine: Affine, *, depthwise: bool) -> tuple[Array, Array]:
    """A layer that does not pad with an affine function of its inputs in front of it."""
    if depthwise:
        scale, shift = (np.repeat(each, len(weight) // len(each)) for each in (affine.scale, affine.shift))
        return weight * scale.reshape(-1, 1, 1, 1), bias + weight.sum((1, 2, 3)) * shift
    per_input = (1, -1, *[1] * (weight.ndim - 2))
    sums = weight.reshape(*weight.shape[:2], -1).sum(2)
    return weight * affine.scale.reshape(per_input), bias + sums @ affine.shift
