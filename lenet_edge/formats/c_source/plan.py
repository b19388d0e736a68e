"""Which kernel computes each step of the generated C, and where each tensor lies in the workspace.

At any time only two tensors of a chain are alive, so they take turns at the
two ends of one workspace; what a kernel needs for itself lies in between. The
tensors of other graphs are placed by their lifetimes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lenet_edge.errors import BadInputError
from lenet_edge.formats.c_source.choice import choose
from lenet_edge.formats.c_source.families import PLAIN, two_parts
from lenet_edge.formats.c_source.families.shared import aligned
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.placement import Lifetime, place
from lenet_edge.formats.c_source.steps import Source, Step, fuse
from lenet_edge.formats.c_source.tables import Table, is_divisible
from lenet_edge.quantized.model import Constant, QuantizedModel

__all__ = ["Place", "PlacedStep", "Plan", "make_plan"]

_MOST_STEPS = 0xFF


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
    """

    step: Step
    kernel: Kernel
    sources: tuple[Place, ...]
    target: Place
    scratch_offset: int
    occupied: tuple[tuple[int, int], ...]

    @property
    def is_last(self) -> bool:
        """Whether its output is one of the model's, in the caller's logits."""
        return self.target.where == "logits"

    @property
    def offset(self) -> int | None:
        """Where the output lies in the workspace; None: in the caller's logits."""
        return self.target.offset if self.target.where == "memory" else None


@dataclass(frozen=True, eq=False)
class Plan:
    """What `export` writes and `facts` tells: the steps in order, and how they requantise.

    Attributes:
        model: what the steps compute.
        family: the name of the kernels that were preferred.
        steps: in order.
        constants: the tables of the operands that are constants.
        workspace_bytes: of the workspace that they share.
        divisible: by a division, which takes the tie-free grid; otherwise by TFLM's double rounding.
    """

    model: QuantizedModel
    family: str
    steps: tuple[PlacedStep, ...]
    constants: tuple[Table, ...]
    workspace_bytes: int
    divisible: bool

    @property
    def tables(self) -> list[Table]:
        """All constant tables, in the order of the checksum."""
        return [*self.constants, *(table for placed in self.steps for table in placed.kernel.tables)]


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
    names = _identifiers(steps)
    kernels = choose(family, steps, names, divisible=divisible)
    kernels = _without_costly_scratch(steps, names, kernels, divisible=divisible)
    constants = {source: _table(index, source) for index, source in enumerate(_constants(steps))}
    placed, workspace_bytes = _place(model, steps, kernels, constants)
    plan = Plan(model, family, tuple(placed), tuple(constants.values()), workspace_bytes, divisible)
    _assert_disjoint(plan)
    return plan


def _without_costly_scratch(
    steps: Sequence[Step], names: Sequence[str], kernels: Sequence[Kernel], *, divisible: bool
) -> list[Kernel]:
    """The kernels, and in two parts those plain ones whose scratch memory alone would enlarge the workspace."""
    buffers = list({id(buffer): buffer for buffer in _buffers(steps) if buffer is not None}.values())
    last_read = _last_reads(steps)
    living = [sum(part.size for part in buffers if part.lives_at(index)) for index in range(len(steps))]
    fast = [0 if kernel.name == PLAIN else aligned(kernel.scratch_bytes) for kernel in kernels]
    enough = max(map(sum, zip(living, fast, strict=True)), default=0)
    chosen = list(kernels)
    for index, (step, name, kernel) in enumerate(zip(steps, names, kernels, strict=True)):
        (source, *_) = step.reads
        is_ours = isinstance(source, int) and source >= 0 and last_read[source] == index and index in last_read
        if kernel.name == PLAIN and is_ours and living[index] + aligned(kernel.scratch_bytes) > enough:
            chosen[index] = two_parts.kernel(step, name, kernel, divisible=divisible) or kernel
    return chosen


def _constants(steps: Sequence[Step]) -> list[Constant]:
    return list(dict.fromkeys(source for step in steps for source in step.reads if isinstance(source, Constant)))


def _table(index: int, constant: Constant) -> Table:
    """The table of a constant operand."""
    return Table(f"{_identifier(f'constant_{index}', constant.name)}_values", "int8_t", constant.values, "an operand")


def _identifiers(steps: Sequence[Step]) -> list[str]:
    """A C identifier for each step; with its number first, no suffix can make it that of another."""
    return [_identifier(f"layer_{index}", step.layer.name) for index, step in enumerate(steps)]


def _identifier(head: str, name: str) -> str:
    stem = re.sub(r"\W", "_", name.lower(), flags=re.ASCII)
    return f"{head}_{stem[:40]}"


# --- placing ----------------------------------------------------------------------------------------


@dataclass
class _Buffer:
    """A part of the workspace: the output of a step, or several that follow each other in place.

    It has `bytes`, lives from step `first` to step `last`, both included, and begins at `offset`.
    """

    bytes: int
    first: int
    last: int
    offset: int = 0

    @property
    def size(self) -> int:
        """What it takes: the next one begins at a word."""
        return aligned(self.bytes)

    def lives_at(self, step: int) -> bool:
        return self.first <= step <= self.last


def _place(
    model: QuantizedModel, steps: Sequence[Step], kernels: Sequence[Kernel], constants: Mapping[Constant, Table]
) -> tuple[list[PlacedStep], int]:
    """Each step with its places, and the bytes of the workspace."""
    buffers = _buffers(steps)
    scratch = [_Buffer(kernel.scratch_bytes, index, index) for index, kernel in enumerate(kernels)]
    parts = list({id(part): part for part in (*buffers, *scratch) if part is not None and part.size}.values())
    if _is_chain(steps):
        _place_chain(buffers, scratch)
    else:
        offsets = place([Lifetime(part.size, part.first, part.last) for part in parts])
        for part, offset in zip(parts, offsets, strict=True):
            part.offset = offset
    targets = _targets(steps, buffers)
    inputs = _input_places(model)

    def at(source: Source) -> Place:
        if isinstance(source, Constant):
            return Place(constants[source].name)
        return inputs[-1 - source] if source < 0 else targets[source]

    placed = []
    for index, (step, kernel) in enumerate(zip(steps, kernels, strict=True)):
        occupied = tuple((part.offset, part.bytes) for part in parts if part.lives_at(index))
        sources = tuple(map(at, step.reads))
        placed.append(PlacedStep(step, kernel, sources, targets[index], scratch[index].offset, occupied))
    return placed, max((part.offset + part.size for part in parts), default=0)


def _targets(steps: Sequence[Step], buffers: Sequence[_Buffer | None]) -> list[Place]:
    """Where each step's output lies; those without a buffer follow each other in the caller's logits."""
    targets, given = [], 0
    for step, buffer in zip(steps, buffers, strict=True):
        targets.append(Place("logits", given) if buffer is None else Place("memory", buffer.offset))
        given += step.output_bytes if buffer is None else 0
    return targets


def _input_places(model: QuantizedModel) -> list[Place]:
    """Several inputs lie one behind the other in the caller's image."""
    places, offset = [], 0
    for tensor in model.inputs:
        places.append(Place("image", offset))
        offset += math.prod(tensor.shape)
    return places


def _buffers(steps: Sequence[Step]) -> list[_Buffer | None]:
    """The part of the workspace in which each step's output lies; None of those that the model gives.

    A step that can work in place takes over the buffer of an input that nobody needs any more.
    """
    last_read = _last_reads(steps)
    buffers: list[_Buffer | None] = []
    for index, step in enumerate(steps):
        if index not in last_read:
            buffers.append(None)
            continue
        source = step.reads[0]
        taken = buffers[source] if step.in_place and isinstance(source, int) and source >= 0 else None
        if taken is None or taken.last != index:
            taken = _Buffer(step.output_bytes, index, index)
        taken.last = last_read[index]
        buffers.append(taken)
    return buffers


def _last_reads(steps: Sequence[Step]) -> dict[int, int]:
    """For each step that another reads, and each input of the model, the last step that does."""
    return {source: index for index, step in enumerate(steps) for source in step.reads if isinstance(source, int)}


def _is_chain(steps: Sequence[Step]) -> bool:
    return all(step.reads == (index - 1,) for index, step in enumerate(steps))


def _place_chain(buffers: Sequence[_Buffer | None], scratch: Sequence[_Buffer]) -> None:
    """Each tensor at the other end of the workspace than the one before it; the kernel's scratch between the two.

    An optimum for a chain: the workspace is as large as the largest step's input, scratch and output together.
    """
    sources = [None, *buffers[:-1]]
    needs = []
    for source, target, extra in zip(sources, buffers, scratch, strict=True):
        parts = {id(part): part.size for part in (source, target) if part is not None}
        needs.append(sum(parts.values()) + extra.size)
    workspace = max(needs, default=0)
    for source, target, extra in zip(sources, buffers, scratch, strict=True):
        if target is not None and target is not source:
            upwards = source is None or source.offset != 0
            target.offset = 0 if upwards else workspace - target.size
        extra.offset = max((part.size for part in (source, target) if part is not None and part.offset == 0), default=0)


def _assert_disjoint(plan: Plan) -> None:
    for placed in plan.steps:
        end = 0
        for offset, size in sorted(placed.occupied):
            assert offset >= end, f"step {placed.step.names}: two of its tensors overlap"
            end = offset + size
        assert end <= plan.workspace_bytes
