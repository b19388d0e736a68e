"""The proof by enumeration: every reachable accumulator of every channel, under every rounding rule.

Every rule is monotone, and so is the ideal result. Where the smallest accumulator that is enumerated is already clamped
by both, all below it are; and all above the largest. So those that are far beyond the clamp need not be enumerated.

`prove` compares each rule with the ideal result, not the rules with each
other, and so covers every runtime that accumulates in integers and rounds by
one of the rules, for every int8 image. `compare_rules` asks the same of any
model: how many accumulators does each pair of rules decide differently?
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from lenet_edge.errors import BadInputError
from lenet_edge.quantized.lookup import TABLE_RULES, distance_to_tie
from lenet_edge.quantized.model import (
    WEIGHTED,
    Int64Array,
    Layer,
    Lookup,
    QuantizedModel,
    Weighted,
    accumulator_bounds,
    channel_weights,
    input_ranges,
)
from lenet_edge.quantized.operator_cases import ENUMERATED, cases, is_enumerable
from lenet_edge.quantized.requantize import RULES, multipliers, real_multipliers
from lenet_edge.quantized.tie_free import channel_q, ideal, tie_free_problem

__all__ = ["LayerComparison", "LayerProof", "Proof", "compare_rules", "prove"]

_CHUNK = 1 << 15  # accumulators at a time: the working arrays then stay in the cache


@dataclass(frozen=True)
class LayerProof:
    """What was enumerated of one layer.

    Attributes:
        name: of the layer.
        channels: their number; 1 of a layer without weights.
        q_min, q_max: the smallest and largest q of the channels; None of a layer without weights.
        cases: accumulators that any int8 image reaches; table entries, or pairs of operands.
        disagreements: rule -> cases in which it differs from the ideal result, of those that were enumerated.
        margin: of a layer without weights, the distance of its nearest result to a tie in output steps; None otherwise.
    """

    name: str
    channels: int
    q_min: int | None
    q_max: int | None
    cases: int
    disagreements: dict[str, int]
    margin: float | None = None


@dataclass(frozen=True)
class Proof:
    """The enumeration of a whole model; `passed` when no case disagrees."""

    layers: tuple[LayerProof, ...]

    @property
    def cases(self) -> int:
        return sum(layer.cases for layer in self.layers)

    @property
    def disagreements(self) -> int:
        return sum(sum(layer.disagreements.values()) for layer in self.layers)

    @property
    def passed(self) -> bool:
        return self.disagreements == 0


def prove(model: QuantizedModel) -> Proof:
    """Enumerate every accumulator that any int8 image can reach and compare each rule with the ideal.

    Raises:
        BadInputError: the model is not on the tie-free grid, so there is no ideal to compare with.
    """
    problem = tie_free_problem(model)
    if problem:
        raise BadInputError(f"the model is not on the tie-free grid: {problem}")
    proofs = []
    for layer, (low, high) in zip(model.layers, input_ranges(model), strict=True):
        if isinstance(layer, WEIGHTED):
            proofs.append(_prove_weighted(layer, low, high))
        elif isinstance(layer, Lookup):
            proofs.append(_prove_lookup(layer))
        elif isinstance(layer, ENUMERATED):
            proofs.append(_prove_operator(layer, low, high))
    return Proof(tuple(proofs))


def _prove_weighted(layer: Weighted, low: int, high: int) -> LayerProof:
    q = channel_q(layer)
    disagreements = dict.fromkeys(RULES, 0)
    every = _reachable(layer, low, high)
    for channel, accumulator in _chunks(_unsaturated(layer, every)):
        expected = ideal(accumulator, int(q[channel]), layer)
        for rule, outputs in _outputs(layer, channel, accumulator):
            disagreements[rule] += int(np.count_nonzero(outputs != expected))
    return LayerProof(layer.name, len(q), int(q.min()), int(q.max()), sum(map(len, every)), disagreements)


def _prove_lookup(layer: Lookup) -> LayerProof:
    disagreements = {
        rule: int(np.count_nonzero(table(layer.function, layer.input) != layer.table))
        for rule, table in TABLE_RULES.items()
    }
    return LayerProof(layer.name, 1, None, None, 256, disagreements, distance_to_tie(layer.function, layer.input))


def _prove_operator(layer: Layer, low: int, high: int) -> LayerProof:
    found = cases(layer, low, high)
    disagreements = {rule: int(np.count_nonzero(outputs != found.ideal)) for rule, outputs in found.by_rule.items()}
    return LayerProof(layer.name, 1, None, None, len(found.ideal), disagreements, found.distance)


def _outputs(layer: Weighted, channel: int, accumulator: Int64Array) -> Iterator[tuple[str, Int64Array]]:
    """For each rule its name and its outputs, zero point and clamp included."""
    for rule, rounded in RULES.items():
        result = rounded(accumulator, multipliers(layer, rule)[channel : channel + 1])
        yield rule, np.clip(result + layer.output.zero_point, layer.clamp_min, layer.clamp_max)


def _reachable(layer: Weighted, low: int, high: int) -> list[range]:
    """The accumulators of each channel: every value between the bounds that the weights' gcd admits."""
    minimum, maximum = accumulator_bounds(layer, low, high)
    steps = np.maximum(np.gcd.reduce(channel_weights(layer), axis=1), 1)
    bounds = zip(minimum.tolist(), maximum.tolist(), steps.tolist(), strict=True)
    return [range(first, last + 1, step) for first, last, step in bounds]


def _unsaturated(layer: Weighted, every: Sequence[range]) -> Iterator[range]:
    """Of each channel's accumulators those up to the first that is two output steps beyond the clamp, on either side.

    Where all are beyond it, the one that is nearest.
    """
    real = real_multipliers(layer)
    ends = (layer.clamp_min - layer.output.zero_point - 2, layer.clamp_max - layer.output.zero_point + 2)
    for reachable, multiplier in zip(every, real, strict=True):
        below, above = (round(float(np.clip(end / multiplier, -(2.0**40), 2.0**40))) for end in ends)
        first = (below - reachable.start) // reachable.step  # rounded down, as the other is up: both are beyond
        last = -((reachable.start - above) // reachable.step)
        most = len(reachable) - 1
        yield reachable[min(max(first, 0), most) : min(max(last, 0), most) + 1]


def _chunks(every: Iterable[range]) -> Iterator[tuple[int, Int64Array]]:
    """(channel, accumulators) of at most `_CHUNK`, ascending."""
    for channel, accumulators in enumerate(every):
        for start in range(0, len(accumulators), _CHUNK):
            part = accumulators[start : start + _CHUNK]
            yield channel, np.arange(part.start, part.stop, part.step, dtype=np.int64)


# --- any model: where do the rules part? ----------------------------------------------------------


@dataclass(frozen=True)
class LayerComparison:
    """How the rules decide the reachable accumulators of one layer, or the cases of a layer without weights.

    Attributes:
        name: of the layer.
        accumulators: how many were enumerated: those whose result the clamp does not fix; or all cases.
        differ: (rule, rule) -> how many the two decide differently.
    """

    name: str
    accumulators: int
    differ: dict[tuple[str, str], int]


def compare_rules(model: QuantizedModel, *, limit: int = 2_000_000_000) -> list[LayerComparison]:
    """For each layer that is enumerated: the cases that each pair of rules decides differently.

    A mean of too many values is left out.

    Args:
        limit: accumulators of the whole model beyond which enumeration is refused.

    Raises:
        BadInputError: there are more than `limit`.
    """
    comparisons, left = [], limit
    for layer, (low, high) in zip(model.layers, input_ranges(model), strict=True):
        if isinstance(layer, WEIGHTED):
            comparison = _compare_weighted(layer, low, high, left)
            left -= comparison.accumulators
            comparisons.append(comparison)
        elif isinstance(layer, Lookup):
            tables = {rule: table(layer.function, layer.input) for rule, table in TABLE_RULES.items()}
            comparisons.append(LayerComparison(layer.name, 256, _count_pairs(list(tables.items()))))
        elif isinstance(layer, ENUMERATED) and is_enumerable(layer):
            found = cases(layer, low, high)
            pairs = _count_pairs(list(found.by_rule.items()))
            comparisons.append(LayerComparison(layer.name, len(found.ideal), pairs))
    return comparisons


def _compare_weighted(layer: Weighted, low: int, high: int, limit: int) -> LayerComparison:
    differ = dict.fromkeys(combinations(RULES, 2), 0)
    cases = 0
    for channel, accumulator in _chunks(_unsaturated(layer, _reachable(layer, low, high))):
        cases += accumulator.size
        if cases > limit:
            raise BadInputError(f"layer {layer.name}: too many reachable accumulators to enumerate")
        for pair, count in _count_pairs(list(_outputs(layer, channel, accumulator))).items():
            differ[pair] += count
    return LayerComparison(layer.name, cases, differ)


def _count_pairs(outputs: Sequence[tuple[str, np.ndarray]]) -> dict[tuple[str, str], int]:
    return {
        (first, second): int(np.count_nonzero(of_first != of_second))
        for (first, of_first), (second, of_second) in combinations(outputs, 2)
    }
