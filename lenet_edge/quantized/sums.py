"""Scales around a sum at which no result is a tie: inputs ``i s`` and ``j s``, output ``(p / k) s``, p odd.

All four are integers, so the result ``k (i a + j b) / p`` is never half way between two integers: ``2 k (i a + j b)``
is even, ``(2 n + 1) p`` is not. How far from a tie a result is at least, 1 / 2p, must be more than what a runtime's
arithmetic errs by: `operator_cases.tie_problem` asks every rule of every pair of operands.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import islice

import numpy as np

from lenet_edge.quantized.clamps import clamp_tie
from lenet_edge.quantized.layers import Add, QTensor
from lenet_edge.quantized.operator_cases import tie_problem

__all__ = ["MULTIPLES", "are_related", "is_same", "output_ratios", "related_scale", "smallest_sum_scale", "sum_scale"]

MULTIPLES = range(1, 9)
"""What i and j may be, or the smaller of the two where one operand is much smaller than the other."""

_LARGEST = 48  # of the larger of i and j: leaves p / k so much room that the output may be five times as wide
_MOST = 127, 255  # p, and what it may be where nothing else suits: a result is 2e-3 output steps from a tie and more
_PARTS = range(1, 65)  # k
_MOST_STEPS = (
    2**15 - 256
)  # of the output that a sum can be from zero: LiteRT keeps 16 bits, with the zero point in them
_SAME = 1e-6  # relative: two scales that float32 rounded
_NEXT = 6  # fractions that are tried
_WIDER = {Fraction(j, i) for i in MULTIPLES for j in range(1, _LARGEST + 1)}
_ALL = frozenset(_WIDER | {1 / ratio for ratio in _WIDER})
_RATIOS = sorted(_ALL)  # each at most 9 / 8 of the one before
_NESTED = sorted({Fraction(j, i) for i in (1, 3, 5) for j in range(1, _LARGEST + 1)})
"""What operands may be to the partner of their sum: with odd parts of it the sum can be in proportion to it, too. With
quarters of it, say, p would be even."""


def is_same(one: float, other: float) -> bool:
    """Whether two scales, or ratios of them, are equal to what float32 rounds."""
    return abs(one / other - 1) < _SAME


def output_ratios(ratio: float, *, is_free: bool, most: int = _MOST[0]) -> list[Fraction]:
    """The fractions p / k next to the wanted ratio of the output's scale to s, from above.

    Args:
        is_free: False asks for that ratio itself.
        most: the largest p.
    """
    odd = {k: math.ceil(ratio * k * (1 - _SAME)) // 2 * 2 + 1 for k in _PARTS}
    return sorted({Fraction(p, k) for k, p in odd.items() if p <= most and (is_free or is_same(p / k, ratio))})


def related_scale(wanted: float, partners: Sequence[float], base: float = 0.0) -> float:
    """The smallest scale from `wanted` upwards that is in small proportion to each partner's.

    Args:
        partners: the scales of what it is added to; with none, and no base, it is `wanted` itself.
        base: the scale of what the sum will be added to, where there is such.

    Returns:
        A float32 value; 0 where there is none.
    """
    if not (base or partners):
        return float(np.float32(wanted))
    found = (base * float(ratio) for ratio in _NESTED) if base else (partners[0] * float(ratio) for ratio in _RATIOS)
    for scale in found:
        rounded = float(np.float32(scale))
        if scale >= wanted * (1 - _SAME) and are_related(rounded, partners):
            return rounded
    return 0.0


def are_related(scale: float, others: Iterable[float]) -> bool:
    """Whether a scale is in small proportion to each of the others."""
    return all(_proportion(scale, other) is not None for other in others)


def smallest_sum_scale(first: QTensor, second: QTensor) -> float:
    """The output scale from which on no sum of any int8 values leaves the 16 bits that LiteRT keeps.

    It only counts where results reach next to nothing beside what is added, as behind a ReLU that lets nothing through.
    """
    farthest = (max(127 - tensor.zero_point, 128 + tensor.zero_point) * tensor.scale for tensor in (first, second))
    return sum(farthest) / _MOST_STEPS


def sum_scale(layer: Add, partners: Sequence[float] = (), suits: Callable[[float], bool] = lambda _: True) -> float:
    """The smallest output scale from the layer's own upwards at which no sum is a tie in any runtime.

    Args:
        layer: with the inputs' scales, which are in small proportion.
        partners: the scales of what its output is added to.
        suits: whether a scale is taken; asked for one after the other.

    Returns:
        A float32 value; 0 where there is none.
    """
    first, second = (tensor.scale for tensor in layer.inputs)
    proportion = _proportion(first, second)
    if proportion is None:
        return 0.0
    s = first / proportion.numerator
    for most in _MOST:
        scales = (float(np.float32(scale)) for scale in _outputs(s, layer.output.scale, partners, most))
        suiting = (scale for scale in scales if are_related(scale, partners) and suits(scale))
        for scale in islice(suiting, _NEXT):
            changed = replace(layer, output=replace(layer.output, scale=scale))
            if tie_problem(changed) is None and clamp_tie(changed) is None:
                return scale
    return 0.0


def _outputs(s: float, wanted: float, partners: Sequence[float], most: int) -> list[float]:
    """The output scales from the wanted one upwards that have a p of at most `most`; see `sum_scale`."""
    if not partners:
        return [s * float(ratio) for ratio in output_ratios(wanted / s, is_free=True, most=most)]
    found = (partners[0] * float(ratio) for ratio in _RATIOS)
    wide = (scale for scale in found if scale >= wanted * (1 - _SAME))
    return [scale for scale in wide if _has_no_ties(scale / s, most)]


def _has_no_ties(ratio: float, most: int) -> bool:
    """Whether an output's scale is ``p / k`` times s with an odd p of at most `most`."""
    found = Fraction(ratio).limit_denominator(_MOST[-1])
    return found.numerator % 2 == 1 and found.numerator <= most and is_same(float(found), ratio)


def _proportion(scale: float, other: float) -> Fraction | None:
    """``scale / other`` as a fraction of small integers; None where it is none."""
    found = Fraction(scale / other).limit_denominator(_LARGEST)
    return found if found in _ALL and is_same(float(found), scale / other) else None
