"""Weights of few bits: each channel's step between two levels is learnt.

With 8 bits a channel's step follows from its widest weight. With 4 or 2 bits that would waste the few levels that there
are, so the step is a parameter, trained with the weights (Esser, McKinstry, Bablani, Appuswamy, Modha 2020, "Learned
step size quantization"): weights beyond the last level are clipped to it, and the step finds how far that should go.

On the tie-free grid a channel's step is ``s_y / (q s_x)`` with an admissible q: the one nearest to the learnt step.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lenet_edge.quantized.model import QTensor
from lenet_edge.quantized.tie_free import ADMISSIBLE_Q, EXACT_FLOAT32

__all__ = ["LearnedSteps", "clipped", "farthest_sums", "with_exact_levels"]

_SMALLEST = 1e-8
_SPREAD = 2.7  # standard deviations that 4 bits reach at first
_LARGEST_SUM = 0.9 * EXACT_FLOAT32  # with room for weights that are trained further
_MEAN_PARTS = 1.2  # of the mean magnitude, the ternary step at first


class LearnedSteps(nn.Module):
    """The steps ``[channels]`` of a layer's weights, in real units, and the q that they become.

    Attributes:
        levels: the largest level: weights are ``step * k``, k in -levels..levels.
    """

    admissible: Tensor
    scaling: Tensor

    def __init__(self, weight: Tensor, levels: int, connected: Tensor | None = None) -> None:
        """Args:
        weight: ``[channels, ...]`` of the float network, which the first steps suit.
        levels: 7 (4 bits) or 1 (ternary).
        connected: of the same shape, 1 where the weight exists and 0 where there is no connection; None: all exist.
        """
        super().__init__()
        self.levels = levels
        exists = torch.ones_like(weight) if connected is None else connected
        exists = exists.detach().flatten(1)
        self.steps = nn.Parameter(_first_steps(weight.detach().flatten(1) * exists, exists, levels))
        slowing = 1 / (exists.sum(1).clamp_min(1) * levels).sqrt()  # of the gradient; the paper's section 2.2
        self.register_buffer("scaling", slowing, persistent=False)
        self.register_buffer("admissible", torch.tensor(ADMISSIBLE_Q, dtype=torch.float32), persistent=False)

    def q(self, input_scale: float, output_scale: float) -> Tensor:
        """Float32 ``[channels]``: the admissible q whose ``s_y / (q s_x)`` is nearest to the step, by ratio."""
        wanted = output_scale / (input_scale * self.steps.detach().abs().clamp_min(_SMALLEST))
        above = torch.searchsorted(self.admissible, wanted).clamp(max=len(self.admissible) - 1)
        high, low = self.admissible[above], self.admissible[(above - 1).clamp_min(0)]
        return torch.where(wanted * wanted < high * low, low, high)

    def widest(self) -> float:
        """The largest step; an output scale of ``s_x`` times it has room for q = 1."""
        return float(self.steps.detach().abs().max())

    def unit(self) -> Tensor:
        """1 for each channel, with the gradient of the step relative to itself: what is multiplied follows the step."""
        steps = self.steps.abs().clamp_min(_SMALLEST)
        slowed = (steps - steps.detach()) * self.scaling + steps.detach()
        return slowed / steps.detach()


def _first_steps(weight: Tensor, exists: Tensor, levels: int) -> Tensor:
    """Steps that leave little error on weights ``[channels, n]`` that are about normal.

    Where `exists` is 0 there is no connection, and nothing counts: a channel that sees half of its inputs would
    otherwise start with half of its step.
    """
    magnitudes, count = weight.abs(), exists.sum(1).clamp_min(1)
    mean = magnitudes.sum(1) / count
    if levels == 1:
        steps = _MEAN_PARTS * mean
    else:
        centred = (weight - (weight.sum(1) / count)[:, None]) * exists
        spread = (centred.square().sum(1) / count).sqrt() * _SPREAD
        steps = torch.minimum(magnitudes.amax(1), torch.maximum(spread, mean)) / levels
    return steps.clamp_min(_SMALLEST).clone()


def clipped(
    weights: npt.NDArray[np.float64], weight_scales: npt.NDArray[np.float32], levels: int
) -> npt.NDArray[np.float64]:
    """Real weights ``[channels, ...]`` with those beyond the last level on it.

    Args:
        weight_scales: float32 ``[channels]``; a level is two of them.
    """
    shape = (-1,) + (1,) * (weights.ndim - 1)
    most = (2 * levels * weight_scales.astype(np.float64)).reshape(shape)
    inside: npt.NDArray[np.float64] = np.clip(weights, -most, most)
    return inside


def with_exact_levels(
    q: npt.NDArray[np.int64],
    weights: npt.NDArray[np.float64],
    bias: npt.NDArray[np.float64],
    levels: int,
    scaling: tuple[QTensor, float],
) -> npt.NDArray[np.int64]:
    """The q ``[channels]``, lowered where an accumulator could come near 2^24; only large layers have such.

    A lower q is a wider step, so that the weights are fewer steps. Every round lowers what is too large, and the output
    scale is one at which q = 1 is not (`tie_free.smallest_exact_scale`), so there is an end.

    Args:
        weights, bias: real, ``[channels, ...]`` and ``[channels]``.
        levels: the largest level.
        scaling: the input, and the scale of the output.
    """
    (source, output), flat = scaling, weights.reshape(len(weights), -1)
    admissible = np.array(ADMISSIBLE_Q)
    while True:
        steps = output / (q * source.scale)
        rounded = np.clip(np.rint(flat / steps[:, None]), -levels, levels)
        largest = farthest_sums(torch.from_numpy(rounded), source).numpy() + 2 * np.abs(bias) / (source.scale * steps)
        too_large = (largest > _LARGEST_SUM) & (q > 1)
        if not too_large.any():
            return q
        most = np.where(too_large, q * np.minimum(_LARGEST_SUM / largest, 1), q)
        q = admissible[np.searchsorted(admissible, np.maximum(most, 1), side="right") - 1]


def farthest_sums(levels: Tensor, source: QTensor) -> Tensor:
    """How far from 0 an accumulator without its bias can be, and any part of it: ``[channels]``.

    Args:
        levels: ``[channels, inputs]``; a weight is two of them.
        source: the tensor of the inputs.
    """
    above, below = 127 - source.zero_point, 128 + source.zero_point
    positive, negative = levels.clamp(min=0).sum(1), -levels.clamp(max=0).sum(1)
    return 2 * torch.maximum(positive * above + negative * below, negative * above + positive * below)
