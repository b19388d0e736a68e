"""Which kernel computes a step: of those of a family that can, and the plain one, the one that takes least.

A kernel whose code no other step needs has to save something for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType

from lenet_edge.formats.c_source.costs import CoreCosts, costs
from lenet_edge.formats.c_source.families import FAMILIES, PLAIN, connected, packed, plain
from lenet_edge.formats.c_source.families.shared import gaps_problem, multiplier_of
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.loops import kind_of_kernel, loops_of
from lenet_edge.formats.c_source.repeating import repeated, repeating, repeating_problem
from lenet_edge.formats.c_source.steps import Step
from lenet_edge.quantized.like import USUAL
from lenet_edge.quantized.model import WEIGHTED

__all__ = ["candidates", "choose", "is_small", "need_of", "same_kernel"]

_NONE: Mapping[str, str] = MappingProxyType({})
_WORTH_ITS_CODE = 0.01  # of what all steps take
_TOO_LITTLE = "a fast one would save less than 1 % of the model, for code of its own"


@dataclass(frozen=True, eq=False)
class _Ranking:
    """The kernels that can compute a step, the one that takes least first, and what each would take.

    Where nothing was counted, the needs are empty, and the first is the only one.
    """

    kernels: Sequence[Kernel]
    needs: Sequence[float] = ()

    def take(self, index: int) -> Kernel:
        """The kernel at `index`, with the best of the others as its runner-up."""
        kernel = self.kernels[index]
        if len(self.needs) < 2:
            return kernel
        second = 0 if index else 1
        more = round(self.needs[second] / self.needs[index] - 1, 3)
        why = kernel.why_plain and (_TOO_LITTLE if index else kernel.why_plain)
        return replace(kernel, runner_up=self.kernels[second].name, runner_up_more=more, why_plain=why)


def choose(
    family: str, steps: Sequence[Step], names: Sequence[str], packings: Mapping[str, str] = _NONE, *, divisible: bool
) -> list[Kernel]:
    """The kernel of each step, whose C identifiers begin with its name.

    What each candidate would take is estimated from its loops. Where one was not counted, the family's own order
    counts.

    Args:
        family: a name of `FAMILIES`.
        steps: the steps of a model.
        names: a C identifier for each.
        packings: layer -> how its weights lie, where that is not a byte each; each admits it.
        divisible: the model is on the tie-free grid (`tables.is_divisible`).
    """
    rankings = [
        _Ranking([_packed(family, step, name, packings[step.layer.name], divisible=divisible)])
        if isinstance(step.layer, WEIGHTED) and step.layer.name in packings
        else _rank(family, step, name, divisible=divisible)
        for step, name in zip(steps, names, strict=True)
    ]
    picks = [0] * len(rankings)
    while any(_gives_up(rankings, picks, index) for index in range(len(picks))):
        pass
    return [ranking.take(pick) for ranking, pick in zip(rankings, picks, strict=True)]


def _gives_up(rankings: Sequence[_Ranking], picks: list[int], index: int) -> bool:
    """Whether a step now takes another kernel than its best, since that had code that no other step has for little."""
    ranking = rankings[index]
    others = [
        other.kernels[pick] for number, (other, pick) in enumerate(zip(rankings, picks, strict=True)) if number != index
    ]
    there = {file for kernel in others for file in kernel.sources}
    if picks[index] or there.issuperset(ranking.kernels[0].sources):
        return False
    little = _WORTH_ITS_CODE * sum(other.needs[0] for other in rankings if other.needs)
    for pick, need in enumerate(ranking.needs):
        if need - ranking.needs[0] < little and there.issuperset(ranking.kernels[pick].sources):
            picks[index] = pick
            return True
    return False


def candidates(family: str, step: Step, name: str, *, divisible: bool) -> Sequence[Kernel] | str:
    """The family's kernels that can compute a step with weights, those that are usually best first; or why none can."""
    fast = FAMILIES[family].fast
    assert fast is not None
    assert isinstance(step.layer, WEIGHTED)
    if step.rule != USUAL:
        return "the fast kernels round as TFLM does, not in float32"
    if divisible and (multiplier_of(step.layer) >= 2**31).any():
        return "a channel has q = 1, whose multiplier no int32 holds"
    if problem := gaps_problem(step.layer) or repeating_problem(step):
        return problem
    found = fast(repeated(step), name, divisible=divisible)
    return found if isinstance(found, str) else [repeating(step, kernel) for kernel in found]


def _packed(family: str, step: Step, name: str, packing: str, *, divisible: bool) -> Kernel:
    """The kernel of a step with packed weights: the family's own, or the portable one."""
    own = FAMILIES[family].packed
    found = None if own is None or step.rule != USUAL else own(step, name, packing, divisible=divisible)
    return found or packed.kernel(step, name, packing, divisible=divisible)


def _rank(family: str, step: Step, name: str, *, divisible: bool) -> _Ranking:
    usual = plain.kernel(step, name, divisible=divisible, small=is_small(family))
    portable = connected.kernel(step, name, divisible=divisible) or usual
    if FAMILIES[family].fast is None or not isinstance(step.layer, WEIGHTED):
        return _Ranking([portable])
    found = candidates(family, step, name, divisible=divisible)
    if isinstance(found, str):
        return _Ranking([replace(portable, why_plain=found)])
    kernels = [*found, replace(usual, why_plain="it takes fewer instructions than the fast one")]
    measured = _measured(family)
    known = {} if measured is None else measured.counts
    kinds = [kind_of_kernel(step, kernel, divisible=divisible) for kernel in kernels]
    if not all(kind in known for kind in kinds):
        return _Ranking(kernels[:1])
    needs = [known[kind].of(loops_of(step, kernel)) for kind, kernel in zip(kinds, kernels, strict=True)]
    order = sorted(range(len(kernels)), key=needs.__getitem__)
    return _Ranking([kernels[index] for index in order], [needs[index] for index in order])


def is_small(family: str) -> bool:
    """Whether fewer bytes are wanted before fewer instructions."""
    return family == PLAIN or FAMILIES[family].is_small


def same_kernel(family: str, step: Step, name: str, like: Kernel, *, divisible: bool) -> Kernel | None:
    """The kernel of a step with weights that is of the same functions as `like`; None where it has none such."""
    found = candidates(family, step, name, divisible=divisible) if FAMILIES[family].fast else ()
    usual = plain.kernel(step, name, divisible=divisible, small=is_small(family))
    kernels = (*(() if isinstance(found, str) else found), usual)
    return next((each for each in kernels if (each.name, each.sources) == (like.name, like.sources)), None)


def need_of(family: str, step: Step, kernel: Kernel, *, divisible: bool) -> float | None:
    """What a step takes on the family's first processor; None where that was not counted, or does not choose."""
    measured = _measured(family)
    cost = None if measured is None else measured.counts.get(kind_of_kernel(step, kernel, divisible=divisible))
    return None if cost is None else cost.of(loops_of(step, kernel))


@cache
def _measured(family: str) -> CoreCosts | None:
    """The costs of a family's first processor; None where none was measured, or where bytes alone choose."""
    if FAMILIES[family].is_small:
        return None
    return next((core for core in costs().cores if core.kernels == family), None)
