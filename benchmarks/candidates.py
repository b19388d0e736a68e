"""Plans with another kernel than the one that takes least: what every candidate takes has to be counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

from lenet_edge.formats.c_source import plan
from lenet_edge.formats.c_source.bands import pairs_of
from lenet_edge.formats.c_source.choice import candidates, choose
from lenet_edge.formats.c_source.families import FAMILIES
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.steps import Step
from lenet_edge.quantized.model import WEIGHTED

__all__ = ["named", "numbered"]


@contextmanager
def _picking(pick: Callable[[Sequence[Kernel]], Kernel | None]) -> Iterator[None]:
    """Every plan takes of a step's candidates the one picked, the usual one where that is None; no bands of rows."""

    def picked(
        family: str, steps: Sequence[Step], names: Sequence[str], packings: Mapping[str, str], *, divisible: bool
    ) -> list[Kernel]:
        kernels = choose(family, steps, names, packings, divisible=divisible)
        for index, (step, name) in enumerate(zip(steps, names, strict=True)):
            if FAMILIES[family].fast is not None and isinstance(step.layer, WEIGHTED):
                found = candidates(family, step, name, divisible=divisible)
                kernels[index] = kernels[index] if isinstance(found, str) else pick(found) or kernels[index]
        return kernels

    plan.choose = picked  # type: ignore[attr-defined]
    plan.pairs_of = lambda steps: []  # type: ignore[attr-defined]
    try:
        yield
    finally:
        plan.choose = choose  # type: ignore[attr-defined]
        plan.pairs_of = pairs_of  # type: ignore[attr-defined]


def named(part: str) -> AbstractContextManager[None]:
    """The first with `part` in its name."""
    return _picking(lambda found: next((kernel for kernel in found if part in kernel.name), None))


def numbered(index: int) -> AbstractContextManager[None]:
    """The one at `index` of the family's order; the last where it has fewer."""
    return _picking(lambda found: found[min(index, len(found) - 1)])
