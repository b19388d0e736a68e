"""The scales of all steps of an int8 network, one after the other, those of what is added together in proportion.

What an addition reads needs scales in small proportion (`quantized.sums`). The first of the two that gets one takes
what its range asks for, the other the next one in proportion. A layer with weights can have any scale; a sum and an
average cannot, so these come first where the network allows it, and a layer whose sum will be added to one of these
takes a scale in proportion to that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from lenet_edge.errors import BadInputError
from lenet_edge.learning.fake_quantize import (
    FakeQuantizedLayer,
    FakeQuantizedLookup,
    FakeQuantizedMap,
    FakeQuantizedSum,
    FarApart,
)
from lenet_edge.learning.qat_step import Step
from lenet_edge.quantized.lookup import OUTPUT_SCALING
from lenet_edge.quantized.model import QTensor

__all__ = ["Reads", "fit_scales"]

Reads = tuple[tuple[int, ...], ...]
"""For each step the indices of those that it reads, in the order of its operands; -1 is the image."""

_NARROWER = 8  # how much narrower than its partner a scale is at most, before it is widened


def fit_scales(steps: Sequence[Step], reads: Reads, image: QTensor) -> None:
    """Set the scales of all steps from their ranges and weights as they are now.

    Raises:
        BadInputError: a sum has no such scales; the layer is named.
    """
    try:
        _fit(steps, reads, image, looks_ahead=False)
    except BadInputError:
        _fit(steps, reads, image, looks_ahead=True)


def _fit(steps: Sequence[Step], reads: Reads, image: QTensor, *, looks_ahead: bool) -> None:
    """As `fit_scales`; `looks_ahead` lets sums, too, be in proportion to what their sums are added to."""
    for step in steps:
        if hasattr(step, "least"):
            step.least = 0.0
    for _ in steps:
        fitting = _Fitting(steps, reads, image, looks_ahead)
        try:
            for index in range(len(steps)):
                fitting.fit(index)
        except _Widened:
            continue
        return
    raise BadInputError(
        "no scales suit all that is added together; put a convolution of window 1 behind one input of an add, or train "
        "the network for longer if its layers reach very differently far"
    )


class _Widened(Exception):  # noqa: N818  # a signal: start again
    """A scale was too narrow beside what it is added to, and is wider now."""


@dataclass(eq=False)
class _Fitting:
    """One pass over the steps."""

    steps: Sequence[Step]
    reads: Reads
    image: QTensor
    looks_ahead: bool
    done: set[int] = field(default_factory=lambda: {-1})
    partners: dict[int, set[int]] = field(init=False)
    sums: dict[int, set[int]] = field(init=False)  # step -> those that add what it gives

    def __post_init__(self) -> None:
        self.partners = {index: set() for index in range(-1, len(self.steps))}
        self.sums = {index: set() for index in self.partners}
        for index, (step, sources) in enumerate(zip(self.steps, self.reads, strict=True)):
            if isinstance(step, FakeQuantizedSum):
                first, second = (self._origin(source) for source in sources)
                for one, other in ((first, second), (second, first)):
                    self.sums[one].add(index)
                    self.partners[one] |= {other} - {one}

    def fit(self, index: int) -> None:
        """Fit a step, and before it what it needs."""
        if index in self.done:
            return
        for source in self.reads[index]:
            self.fit(source)
        if self._is_free(index):
            for partner in sorted(self.partners[index]):
                if not self._is_free(partner) and index not in self._behind(partner):
                    self.fit(partner)
        known = self._known(self.partners[index])
        if self.looks_ahead and isinstance(self.steps[index], FakeQuantizedSum):
            known |= self._ahead(index)
        arguments: list[object] = [*(self._tensor(source) for source in self.reads[index]), [*known.values()]]
        if self._is_free(index):
            base = [*self._ahead(index).items()]
            known |= dict(base[-1:])
            arguments.append(base[-1][1] if base else 0.0)
        try:
            self.steps[index].fit(*arguments)
        except FarApart as far:
            self._widen(min(known, key=lambda each: known[each]), index, far.scale)
        self.done.add(index)

    def _ahead(self, index: int) -> dict[int, float]:
        """The scales, where known, of what the sums that add this step's output are added to."""
        return self._known(each for its in self.sums[index] for each in self.partners[its] - {index})

    def _known(self, wanted: Iterable[int]) -> dict[int, float]:
        """The scales of those that have one: what the image and tables have is always the same."""
        found: dict[int, float] = {}
        for index in sorted(wanted):
            step = self.steps[index] if index >= 0 else None
            if isinstance(step, FakeQuantizedLookup):
                found[index] = OUTPUT_SCALING[step.function][0]
            elif index in self.done:
                found[index] = self._tensor(index).scale
        return found

    def _widen(self, narrow: int, index: int, scale: float) -> None:
        step = self.steps[narrow] if narrow >= 0 else None
        if step is None or not hasattr(step, "least"):
            raise BadInputError(
                f"layer {self.steps[index].name} reaches too far beyond what it is added to, whose scale int8 fixes; "
                "put a convolution of window 1 behind that"
            )
        step.least = scale / _NARROWER
        raise _Widened

    def _is_free(self, index: int) -> bool:
        step = self.steps[index] if index >= 0 else None
        return isinstance(step, FakeQuantizedLayer) and not step.operation.averages

    def _behind(self, index: int) -> set[int]:
        """All that a step depends on, and itself."""
        found, waiting = set[int](), [index]
        while waiting:
            if (each := waiting.pop()) not in found:
                found.add(each)
                waiting += self.reads[each] if each >= 0 else ()
        return found

    def _tensor(self, index: int) -> QTensor:
        return self.steps[index].output if index >= 0 else self.image

    def _origin(self, index: int) -> int:
        """The step whose scale the output of a step has: its own, unless it only moves values."""
        while index >= 0 and isinstance(self.steps[index], FakeQuantizedMap):
            (index,) = self.reads[index]
        return index
