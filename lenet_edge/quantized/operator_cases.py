"""Every case of a layer without weights: all pairs of a sum or a product, all sums of a mean, all entries of a table.

What each rule makes of them, against the real value rounded: the parts of
`proof` and of `tie_free` for these layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from lenet_edge.quantized.elementwise import rules_of
from lenet_edge.quantized.layers import (
    ELEMENTWISE,
    Elementwise,
    Int64Array,
    Layer,
    Mean,
    Multiply,
    Rescale,
    Subtract,
    clamp_of,
)
from lenet_edge.quantized.mean import MEAN_RULES, parameters
from lenet_edge.quantized.requantize import Float64Array
from lenet_edge.quantized.rescale import RESCALE_RULES, real_steps

__all__ = ["ENUMERATED", "SMALLEST_DISTANCE", "Cases", "cases", "is_enumerable", "tie_problem"]

ENUMERATED = (*ELEMENTWISE, Mean, Rescale)
"""The kinds of layers that `cases` enumerates."""

SMALLEST_DISTANCE = 1e-3
"""Output steps: nearer to a tie than that, runtimes may differ. XNNPACK's sums err most, by 2^-21 of 255 steps and
of as many again; its tables err more, and are enumerated by themselves."""

_MOST_SUMS = 2**22


@dataclass(frozen=True)
class Cases:
    """What an enumeration of a layer gives.

    Attributes:
        ideal: the real results rounded half up, zero point and clamp included, int64 ``[cases]``.
        distance: of the real results that the clamp does not fix, the nearest to a tie, in output steps.
        by_rule: rule -> what runtimes with that rule give, int64 ``[cases]``.
    """

    ideal: Int64Array
    distance: float
    by_rule: dict[str, Int64Array]


def cases(layer: Layer, low: int = -128, high: int = 127) -> Cases:
    """All cases of a layer of `ENUMERATED` whose inputs are in ``low..high``; `is_enumerable` says whether they are few
    enough."""
    if isinstance(layer, ELEMENTWISE):
        steps, found = _pairs(layer, low, high)
    elif isinstance(layer, Mean):
        steps, found = _sums(layer, low, high)
    elif isinstance(layer, Rescale):
        steps, found = _entries(layer, low, high)
    else:
        raise TypeError(f"no cases of {type(layer).__name__}")
    bottom, top = clamp_of(layer)
    real = steps + layer.output.zero_point
    free = real[(real > bottom - 1) & (real < top + 1)]
    distance = float(np.abs(free - np.floor(free) - 0.5).min(initial=0.5))
    by_rule = {rule: np.clip(values, bottom, top) for rule, values in found.items()}
    return Cases(np.clip(np.floor(real + 0.5), bottom, top).astype(np.int64), distance, by_rule)


def is_enumerable(layer: Layer) -> bool:
    """Whether `cases` takes the layer: not a mean of more values than anyone has."""
    return not isinstance(layer, Mean) or parameters(layer).count * 255 <= _MOST_SUMS


def tie_problem(layer: Layer, low: int = -128, high: int = 127) -> str | None:
    """Why runtimes may not compute a layer of `ENUMERATED` alike; None where all of them do."""
    if not is_enumerable(layer):
        return "its sums are too many to enumerate"
    found = cases(layer, low, high)
    differing = np.any([values != found.ideal for values in found.by_rule.values()], axis=0)
    count = int(np.count_nonzero(differing))
    if count:
        return f"runtimes round {count:,} of its {len(found.ideal):,} cases differently"
    if found.distance < SMALLEST_DISTANCE:
        return f"one of its results is {found.distance:.1e} output steps from a tie; runtimes may differ there"
    return None


_Found: TypeAlias = tuple[Float64Array, Mapping[str, Int64Array]]


def _pairs(layer: Elementwise, low: int, high: int) -> _Found:
    values = np.arange(low, high + 1, dtype=np.int64)
    pairs = np.meshgrid(values, values, indexing="ij")
    first, second = (side.ravel() - tensor.zero_point for side, tensor in zip(pairs, layer.inputs, strict=True))
    by_first, by_second = (tensor.scale for tensor in layer.inputs)
    if isinstance(layer, Multiply):
        real = first * second * (by_first * by_second)
    else:
        real = first * by_first + second * (-by_second if isinstance(layer, Subtract) else by_second)
    rules = rules_of(layer).items()
    return np.asarray(real / layer.output.scale, np.float64), {
        rule: compute(layer, first, second) + layer.output.zero_point for rule, compute in rules
    }


def _sums(layer: Mean, low: int, high: int) -> _Found:
    count = parameters(layer).count
    sums = np.arange(count * low, count * high + 1, dtype=np.int64)
    real = (sums - count * layer.input.zero_point) * layer.input.scale / (count * layer.output.scale)
    return np.asarray(real, np.float64), {
        rule: compute(layer, sums[:, np.newaxis]).ravel() for rule, compute in MEAN_RULES.items()
    }


def _entries(layer: Rescale, low: int, high: int) -> _Found:
    reached = slice(low + 128, high + 129)
    return real_steps(layer)[reached], {
        rule: tables(layer)[0][reached].astype(np.int64) for rule, tables in RESCALE_RULES.items()
    }
