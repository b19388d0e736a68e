"""Which kernel computes each step of the generated C, and where each tensor lies in the workspace.

At any time only two tensors of a chain are alive, so they take turns at the
two ends of one workspace; what a kernel needs for itself lies in between.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lenet_edge.errors import BadInputError
from lenet_edge.formats.c_source.families import PLAIN, choose
from lenet_edge.formats.c_source.families.shared import aligned
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.steps import Step, fuse
from lenet_edge.formats.c_source.tables import is_divisible
from lenet_edge.quantized.model import QuantizedModel

__all__ = ["PlacedStep", "Plan", "make_plan"]

_MOST_STEPS = 0xFF


@dataclass(frozen=True, eq=False)
class PlacedStep:
    """A step with its kernel and its places in the workspace, in bytes.

    Attributes:
        step: what is computed.
        kernel: how.
        offset: where the output lies; None: in the caller's logits.
        input_offset: where the input lies; None: in the caller's image.
        scratch_offset: where the kernel's scratch memory lies.
    """

    step: Step
    kernel: Kernel
    offset: int | None = None
    input_offset: int | None = None
    scratch_offset: int = 0

    @property
    def occupied(self) -> list[tuple[int, int]]:
        """What must lie apart in the workspace while the step runs: (offset, bytes) of input, scratch and output."""
        step, scratch_bytes = self.step, self.kernel.scratch_bytes
        parts = [(self.scratch_offset, scratch_bytes)] if scratch_bytes else []
        if self.input_offset is not None:
            parts.append((self.input_offset, step.input_bytes))
        if self.offset is not None and not (step.in_place and self.offset == self.input_offset):
            parts.append((self.offset, step.output_bytes))
        return parts


@dataclass(frozen=True, eq=False)
class Plan:
    """What `export` writes and `facts` tells: the steps in order, and how they requantise.

    Attributes:
        model: what the steps compute.
        family: the name of the kernels that were preferred.
        steps: in order.
        workspace_bytes: of the workspace that they share.
        divisible: by a division, which takes the tie-free grid; otherwise by TFLM's double rounding.
    """

    model: QuantizedModel
    family: str
    steps: tuple[PlacedStep, ...]
    workspace_bytes: int
    divisible: bool


def make_plan(model: QuantizedModel, family: str = PLAIN) -> Plan:
    """Fuse, choose each step's kernel, and place.

    Args:
        model: the model.
        family: the kernels to prefer, of `families.FAMILIES`; where it has none for a step, the plain one is taken.

    Raises:
        BadInputError: the model computes nothing, or a size is beyond the C structures.
    """
    steps = fuse(model)
    if not steps:
        raise BadInputError("the model has no layer that computes anything; there is nothing to export")
    if len(steps) > _MOST_STEPS:
        raise BadInputError(f"the model has {len(steps)} steps; the generated C counts up to {_MOST_STEPS}")
    divisible = is_divisible(model)
    kernels = [
        choose(family, step, name, divisible=divisible) for name, step in zip(_identifiers(steps), steps, strict=True)
    ]
    placed, workspace_bytes = _place(steps, kernels)
    plan = Plan(model, family, tuple(placed), workspace_bytes, divisible)
    _assert_disjoint(plan)
    return plan


def _identifiers(steps: Sequence[Step]) -> list[str]:
    """A C identifier for each step; with its number first, no suffix can make it that of another."""
    stems = [re.sub(r"\W", "_", step.layer.name.lower(), flags=re.ASCII) for step in steps]
    return [f"layer_{index}_{stem[:40]}" for index, stem in enumerate(stems)]


def _place(steps: Sequence[Step], kernels: Sequence[Kernel]) -> tuple[list[PlacedStep], int]:
    """Each tensor at the other end of the workspace than the one before it; the kernel's scratch between the two.

    An optimum for a chain: the workspace is as large as the largest step's input, scratch and output together.
    """
    workspace = 0
    for step, kernel in zip(steps, kernels, strict=True):
        source = 0 if step is steps[0] else aligned(step.input_bytes)
        target = 0 if step is steps[-1] or (step.in_place and source) else aligned(step.output_bytes)
        workspace = max(workspace, source + target + aligned(kernel.scratch_bytes))

    placed: list[PlacedStep] = []
    taken: range | None = None  # what the step's input occupies; None for the caller's image
    for step, kernel in zip(steps, kernels, strict=True):
        source_range = taken
        if step is steps[-1]:
            taken = None
        elif not (step.in_place and taken is not None):
            size = aligned(step.output_bytes)
            taken = range(workspace - size, workspace) if taken is not None and taken.start == 0 else range(size)
        lower_end = max(
            (part.stop for part in (source_range, taken) if part is not None and part.start == 0), default=0
        )
        placed.append(
            PlacedStep(
                step,
                kernel,
                offset=None if taken is None else taken.start,
                input_offset=None if source_range is None else source_range.start,
                scratch_offset=lower_end,
            )
        )
    return placed, workspace


def _assert_disjoint(plan: Plan) -> None:
    for placed in plan.steps:
        end = 0
        for offset, size in sorted(placed.occupied):
            assert offset >= end, f"step {placed.step.names}: two of its tensors overlap"
            end = offset + size
        assert end <= plan.workspace_bytes
