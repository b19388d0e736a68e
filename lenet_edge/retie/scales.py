"""Which scale each tensor gets, so that every layer can be on the tie-free grid.

Layers that only move values tie tensors together: those have one scale. Around a sum the scales are small multiples
of one, `quantized.sums` says which. (Products have no such scales: with a multiplier of k / p the first of TFLM's two
roundings can move a result by more than 1 / 2p.)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TypeAlias

import numpy as np

from lenet_edge.quantized.clamps import BOUNDS, activation_clamp, clamp_tie
from lenet_edge.quantized.layers import (
    Add,
    AveragePool2d,
    Concatenate,
    Layer,
    Lookup,
    Mean,
    Multiply,
    QTensor,
    Rescale,
    Subtract,
    inputs_of,
)
from lenet_edge.quantized.lookup import is_universal_scale
from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.quantized.operator_cases import tie_problem
from lenet_edge.quantized.rescale import table
from lenet_edge.quantized.sums import MULTIPLES, is_same, output_ratios
from lenet_edge.quantized.tie_free import average_scale
from lenet_edge.retie.averages import averaged_values
from lenet_edge.retie.groups import Groups, tensor_of

__all__ = ["Scales", "choose_scales", "rescaled", "with_tensors"]

Sum: TypeAlias = Add | Subtract

_SAME = 1e-6  # relative: two scales that float32 rounded
_STEP = 1e-4  # from one scale that is tried to the next
_TRIES = 3000
_NEXT = 6  # fractions that are tried
_MOST_GROWTH = 1.25  # of an average's scale


@dataclass
class Scales:
    """The scale of each group of tensors that have one.

    Attributes:
        model: the model.
        group: source, as `QuantizedModel.reads` has it -> the group of its tensor.
        wanted: group -> the smallest scale that it may have.
        found: group -> its scale, a float32 value.
        q: average -> its q, with which one weight is exact.
        left: layer -> why its scales could not be related, for layers that runtimes will round differently.
    """

    model: QuantizedModel
    group: Mapping[int, int]
    wanted: Mapping[int, float]
    found: dict[int, float] = field(default_factory=dict)
    q: dict[int, int] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)

    def tensor(self, source: int) -> QTensor:
        """The tensor of a source, with its new scale."""
        return replace(tensor_of(self.model, source), scale=self.found[self.group[source]])


def choose_scales(model: QuantizedModel, least: Mapping[int, float]) -> Scales:
    """A scale for every tensor, as small as the model's own where that is possible.

    Args:
        least: source -> the smallest scale that its tensor may have, where that is more than its own.
    """
    groups = Groups(model)
    group = {source: groups.of(source) for source in range(-len(model.inputs), len(model.layers))}
    wanted: dict[int, float] = {}
    for source, its in group.items():
        wanted[its] = max(wanted.get(its, 0), tensor_of(model, source).scale, least.get(source, 0))
    scales = Scales(model, group, wanted, {groups.of(its): scale for its, scale in groups.fixed.items()})
    for index, layer in enumerate(model.layers):
        if isinstance(layer, (Add, Subtract)):
            _relate(scales, index, layer)
    for index, layer in enumerate(model.layers):
        if group[index] not in scales.found:
            scales.found[group[index]] = _alone(scales, index, layer)
    return scales


# --- one group by itself --------------------------------------------------------------------------


def _alone(scales: Scales, index: int, layer: Layer) -> float:
    """The smallest scale that suits all that has to do with the group of a layer's output."""
    wanted = scales.wanted[scales.group[index]]
    if isinstance(layer, (AveragePool2d, Mean)) and averaged_values(layer):
        return _of_average(scales, index, layer)
    if isinstance(layer, Rescale) and layer.operator != "LEAKY_RELU":
        source = scales.tensor(scales.model.reads[index][0])
        for ratio in output_ratios(wanted / source.scale, is_free=True)[:_NEXT]:
            scale = float(np.float32(source.scale * ratio))
            changed = rescaled(layer, source, _scaled(layer, scale))
            if _suits(scales, index, scale) and tie_problem(changed) is None:
                return scale
    return _suiting(scales, index, wanted)


def _of_average(scales: Scales, index: int, layer: AveragePool2d | Mean) -> float:
    """A scale at which one weight is the average exactly."""
    wanted = scales.wanted[scales.group[index]]
    source, count = scales.tensor(scales.model.reads[index][0]), averaged_values(layer)
    found = average_scale(count, source, wanted, lambda scale: _suits(scales, index, scale))
    if found is None or found[0] > _MOST_GROWTH * wanted:
        scales.left[layer.name] = f"no even weight is the average of {count:,} values exactly; average in two steps"
        return wanted
    scales.q[index] = found[1]
    return found[0]


def _suiting(scales: Scales, source: int, wanted: float) -> float:
    for attempt in range(_TRIES):
        scale = float(np.float32(wanted * (1 + attempt * _STEP)))
        if _suits(scales, source, scale):
            return scale
    return wanted


def _suits(scales: Scales, source: int, scale: float) -> bool:
    """Whether tables that read such a tensor are universal, and no bound of an activation is a tie."""
    model, group = scales.model, scales.group[source]
    for index, layer in enumerate(model.layers):
        reads_it = isinstance(layer, Lookup) and scales.group[model.reads[index][0]] == group
        if reads_it and not is_universal_scale(layer.function, scale, layer.input.zero_point):  # type: ignore[union-attr]
            return False
        if scales.group[index] == group and clamp_tie(with_tensors(layer, inputs_of(layer), _scaled(layer, scale))):
            return False
    return True


def _scaled(layer: Layer, scale: float) -> QTensor:
    return replace(layer.output, scale=scale)


def rescaled(layer: Rescale, source: QTensor, output: QTensor) -> Rescale:
    """The layer between other tensors, with the table that it has there."""
    return replace(layer, input=source, output=output, table=table(layer.operator, source, output, layer.slope))


def with_tensors(layer: Layer, inputs: Sequence[QTensor], output: QTensor) -> Layer:
    """The layer between other tensors, with the clamp that its activation is there."""
    changes: dict[str, object] = {"output": output}
    several = isinstance(layer, (Add, Subtract, Multiply, Concatenate))
    if inputs:
        changes |= {"inputs": tuple(inputs)} if several else {"input": inputs[0]}
    if hasattr(layer, "clamp_min"):
        changes |= dict(zip(("clamp_min", "clamp_max"), _clamp(layer, output), strict=True))
    return replace(layer, **changes)  # type: ignore[arg-type]


def _clamp(layer: Layer, output: QTensor) -> tuple[int, int]:
    """That of the same activation; of none that we know, the same real bounds."""
    low, high = layer.clamp_min, layer.clamp_max  # type: ignore[union-attr]
    for activation in BOUNDS:
        if activation_clamp(activation, layer.output) == (low, high):
            return activation_clamp(activation, output)
    ratio, zero = layer.output.scale / output.scale, output.zero_point
    moved = (round((bound - zero) * ratio) + zero if abs(bound + 0.5) < 127.5 else bound for bound in (low, high))
    low, high = (int(min(max(bound, -128), 127)) for bound in moved)
    return low, high


# --- around a sum --------------------------------------------------------------------


def _relate(scales: Scales, index: int, layer: Sum) -> None:
    """Give the operands and the output of a sum scales at which no result is a tie, the smallest ones that suit."""
    groups = [scales.group[source] for source in (*scales.model.reads[index], index)]
    wanted = [scales.found.get(group, scales.wanted[group]) for group in groups]
    free = [group not in scales.found for group in groups]
    sources = (*scales.model.reads[index], index)
    for found in sorted(_candidates(groups, wanted, free), key=lambda found: _growth(found, wanted)):
        values = [
            float(np.float32(new)) if is_free else old for new, old, is_free in zip(found, wanted, free, strict=True)
        ]
        first, second, output = (
            replace(tensor, scale=value) for tensor, value in zip((*layer.inputs, layer.output), values, strict=True)
        )
        suited = len({*zip(groups, values, strict=True)}) == len(set(groups))  # a group has one scale
        suited = suited and all(_suits(scales, source, value) for source, value in zip(sources, values, strict=True))
        if suited and tie_problem(with_tensors(layer, (first, second), output)) is None:
            scales.found.update(zip(groups, values, strict=True))
            return
    scales.left[layer.name] = "the scales of its operands are fixed, and no small multiples of one"


def _growth(found: Sequence[float], wanted: Sequence[float]) -> float:
    """How much precision is lost: the bits by which scales grow."""
    return sum(math.log2(new / old) for new, old in zip(found, wanted, strict=True))


def _candidates(
    groups: Sequence[int], wanted: Sequence[float], free: Sequence[bool]
) -> Iterator[tuple[float, float, float]]:
    """Scales of both operands and of the output."""
    first, second = wanted[:2]
    for i, j in product(MULTIPLES, MULTIPLES):
        if math.gcd(i, j) > 1:
            continue
        s = first / i if not free[0] else second / j if not free[1] else max(first / i, second / j)
        is_wide = i * s >= first * (1 - _SAME) and j * s >= second * (1 - _SAME)
        is_given = (free[0] or is_same(i * s, first)) and (free[1] or is_same(j * s, second))
        if is_wide and is_given and (groups[0] != groups[1] or i == j):
            yield from ((i * s, j * s, s * ratio) for ratio in output_ratios(wanted[2] / s, is_free=free[2])[:_NEXT])
