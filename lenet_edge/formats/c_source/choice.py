"""Which kernel computes a step: of those of a family that can, and the plain one, the one that takes least."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from lenet_edge.formats.c_source.costs import CoreCosts, costs
from lenet_edge.formats.c_source.families import FAMILIES, plain
from lenet_edge.formats.c_source.families.shared import gaps_problem, multiplier_of
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.loops import kind_of_kernel, loops_of
from lenet_edge.formats.c_source.steps import Step
from lenet_edge.quantized.model import WEIGHTED

__all__ = ["candidates", "choose"]


def choose(family: str, step: Step, name: str, *, divisible: bool) -> Kernel:
    """The kernel of a step, whose C identifiers begin with `name`.

    What each would take is estimated from its loops. Where a candidate was not measured, the family's own order counts.

    Args:
        family: a name of `FAMILIES`.
        step: the step.
        name: a C identifier.
        divisible: the model is on the tie-free grid (`tables.is_divisible`).
    """
    usual = plain.kernel(step, name, divisible=divisible)
    if FAMILIES[family].fast is None or not isinstance(step.layer, WEIGHTED):
        return usual
    found = candidates(family, step, name, divisible=divisible)
    if isinstance(found, str):
        return replace(usual, why_plain=found)
    return _cheapest(family, step, [*found, usual], divisible=divisible)


def candidates(family: str, step: Step, name: str, *, divisible: bool) -> Sequence[Kernel] | str:
    """The family's kernels that can compute a step with weights, those that are usually best first; or why none can."""
    fast = FAMILIES[family].fast
    assert fast is not None
    assert isinstance(step.layer, WEIGHTED)
    if divisible and (multiplier_of(step.layer) >= 2**31).any():
        return "a channel has q = 1, whose multiplier no int32 holds"
    return gaps_problem(step.layer) or fast(step, name, divisible=divisible)


def _cheapest(family: str, step: Step, kernels: Sequence[Kernel], *, divisible: bool) -> Kernel:
    """The one that takes least, with the runner-up; the last of them is the plain one."""
    measured = _measured(family)
    known = {} if measured is None else measured.counts
    kinds = [kind_of_kernel(step, kernel, divisible=divisible) for kernel in kernels]
    if not all(kind in known for kind in kinds):
        return kernels[0]
    needs = [known[kind].of(loops_of(step, kernel)) for kind, kernel in zip(kinds, kernels, strict=True)]
    best, second, *_ = sorted(range(len(kernels)), key=needs.__getitem__)
    more = f"{kernels[second].name}, which would take {needs[second] / needs[best] - 1:.0%} more"
    why = "it takes fewer instructions than the fast one" if kernels[best] is kernels[-1] else ""
    return replace(kernels[best], runner_up=more, why_plain=why)


@cache
def _measured(family: str) -> CoreCosts | None:
    """The costs of a family's first processor; None where none was measured."""
    return next((core for core in costs().cores if core.kernels == family), None)
