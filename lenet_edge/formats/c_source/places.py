"""Where a step of the generated C finds its inputs and leaves its output."""

from __future__ import annotations

from dataclasses import dataclass

from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.steps import Step

__all__ = ["Place", "PlacedStep"]


@dataclass(frozen=True)
class Place:
    """Where a tensor lies: `offset` bytes into the workspace, the caller's image or logits, or in a constant table.

    Attributes:
        where: "memory", "image", "logits", or the name of the table.
        offset: in bytes.
    """

    where: str
    offset: int = 0

    @property
    def expression(self) -> str:
        """The place in C."""
        return f"{self.where} + {self.offset}" if self.offset or self.where == "memory" else self.where


@dataclass(frozen=True, eq=False)
class PlacedStep:
    """A step with its kernel and its places in memory.

    Attributes:
        step: what is computed.
        kernel: how.
        sources: where the inputs lie.
        target: where the output lies.
        scratch_offset: where the kernel's scratch memory lies in the workspace.
        occupied: what must lie apart in the workspace while the step runs: (offset, bytes) of all that lives.
        grows_over_input: the output overlaps the input, and begins in front of it: in `occupied` the two are one.
    """

    step: Step
    kernel: Kernel
    sources: tuple[Place, ...]
    target: Place
    scratch_offset: int
    occupied: tuple[tuple[int, int], ...]
    grows_over_input: bool = False

    @property
    def parts(self) -> tuple[tuple[Step, Kernel, int], ...]:
        """The (step, kernel) that are computed, and how often: itself, or the bands of a pair."""
        return self.kernel.parts or ((self.step, self.kernel, 1),)

    @property
    def is_last(self) -> bool:
        """Whether its output is one of the model's, in the caller's logits."""
        return self.target.where == "logits"

    @property
    def offset(self) -> int | None:
        """Where the output lies in the workspace; None: in the caller's logits."""
        return self.target.offset if self.target.where == "memory" else None
