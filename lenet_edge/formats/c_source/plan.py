"""Which kernel computes each step of the generated C, and where each tensor lies in the workspace.

At any time only two tensors of a chain are alive, so they take turns at the
two ends of one workspace; what a kernel needs for itself lies in between. The
tensors of other graphs are placed by their lifetimes, and the inputs of a
concatenation within its output, unless that would take more.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lenet_edge.errors import BadInputError
from lenet_edge.formats.c_source.bands import Banded, banded, height_of, least_bytes, pairs_of, with_pairs
from lenet_edge.formats.c_source.buffers import (
    Buffer,
    buffers_of,
    distinct,
    last_reads,
    parts_in_place,
    place_buffers,
)
from lenet_edge.formats.c_source.choice import choose, is_small, need_of
from lenet_edge.formats.c_source.equal_layers import with_equal_layers
from lenet_edge.formats.c_source.families import PLAIN, plain, two_parts
from lenet_edge.formats.c_source.families.shared import aligned
from lenet_edge.formats.c_source.fusing import fuse
from lenet_edge.formats.c_source.in_place import InPlace, make_in_place
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.packing import BYTES, without_bytes
from lenet_edge.formats.c_source.places import Place, PlacedStep
from lenet_edge.formats.c_source.small_sums import with_small_sums
from lenet_edge.formats.c_source.steps import Source, Step
from lenet_edge.formats.c_source.tables import Table, is_divisible
from lenet_edge.quantized.like import USUAL
from lenet_edge.quantized.model import Constant, QuantizedModel

__all__ = ["Place", "PlacedStep", "Plan", "make_plan"]

_MOST_STEPS = 0xFF
_WORTH_ITS_CODE = 0.05  # of the workspace: what bands of rows have to save
_IN_PLACE_MORE = 0.05  # of what they save: how much larger the memory in place may be
_MOST_MORE = 0.02  # of the model's instructions: what they may cost
_MOST_PAIRS = 8  # by bands


@dataclass(frozen=True, eq=False)
class Plan:
    """What `export` writes and `facts` tells: the steps in order, and how they requantise.

    Attributes:
        model: what the steps compute.
        family: the name of the kernels that were preferred.
        steps: in order.
        constants: the tables of the operands that are constants.
        workspace_bytes: of the workspace that they share.
        in_place: the same steps in a memory that the image lies in, too.
        divisible: by a division, which takes the tie-free grid; otherwise by TFLM's double rounding.
    """

    model: QuantizedModel
    family: str
    steps: tuple[PlacedStep, ...]
    constants: tuple[Table, ...]
    workspace_bytes: int
    in_place: InPlace
    divisible: bool

    @property
    def packings(self) -> dict[str, str]:
        """Layer -> how its weights lie, where that is not a byte each: what `make_plan` takes."""
        packed = (placed for placed in self.steps if placed.kernel.packing != BYTES)
        return {placed.step.layer.name: placed.kernel.packing for placed in packed}

    @property
    def packed_anyway(self) -> frozenset[str]:
        """The layers whose kernels pack them as densely as they can, whatever packing is asked for."""
        parts = (part for placed in self.steps for part in placed.parts)
        return frozenset(step.layer.name for step, kernel, _ in parts if kernel.packs_itself)

    @property
    def tables(self) -> list[Table]:
        """All constant tables, in the order of the checksum."""
        return [*self.constants, *(table for placed in self.steps for table in placed.kernel.tables)]


def make_plan(model: QuantizedModel, family: str = PLAIN, packings: Mapping[str, str] | None = None) -> Plan:
    """Fuse, choose each step's kernel, and place.

    Args:
        model: the model.
        family: the kernels to prefer, of `families.FAMILIES`; where it has none for a step, the plain one is taken.
        packings: layer -> how its weights lie, of `packing.PACKINGS`; a layer that is not there keeps a byte for each.

    Raises:
        BadInputError: the model computes nothing, a size is beyond the C structures, or a layer does not admit its
            packing.
    """
    steps = fuse(model)
    if not steps:
        raise BadInputError("the model has no layer that computes anything; there is nothing to export")
    if len(steps) > _MOST_STEPS:
        raise BadInputError(f"the model has {len(steps)} steps; the generated C counts up to {_MOST_STEPS}")
    divisible, packings = is_divisible(model), without_bytes(model, packings or {})
    steps = with_equal_layers(steps, family)
    if not divisible:
        steps = [with_small_sums(step) if step.rule == USUAL else step for step in steps]
    names = _identifiers(steps)
    kernels = choose(family, steps, names, packings, divisible=divisible)
    constants = {source: _table(index, source) for index, source in enumerate(_constants(steps))}
    placed, workspace_bytes = _place(model, steps, names, kernels, constants, divisible=divisible)
    for index in range(len(steps)):  # each concatenation whose inputs may be computed where they belong in it
        if parts := parts_in_place(steps, index):
            step = replace(steps[index], placed=parts)
            others = [*steps[:index], step, *steps[index + 1 :]]
            moving = plain.kernel(step, names[index], divisible=divisible, small=is_small(family))
            of_others = [*kernels[:index], moving, *kernels[index + 1 :]]
            found, size = _place(model, others, names, of_others, constants, divisible=divisible)
            if size <= workspace_bytes:
                steps, kernels, placed, workspace_bytes = others, of_others, found, size
    by_bands = _by_bands(model, family, steps, names, kernels, constants, divisible=divisible)
    in_place = make_in_place(model, placed)
    saved = 0 if by_bands is None else workspace_bytes - by_bands.bytes
    if by_bands is not None and saved >= _WORTH_ITS_CODE * workspace_bytes:
        other = make_in_place(model, by_bands.steps)
        if other.bytes - in_place.bytes <= _IN_PLACE_MORE * saved:
            placed, workspace_bytes, in_place = list(by_bands.steps), by_bands.bytes, other
    plan = Plan(model, family, tuple(placed), tuple(constants.values()), workspace_bytes, in_place, divisible)
    _assert_disjoint(plan)
    return plan


def _by_bands(
    model: QuantizedModel,
    family: str,
    steps: Sequence[Step],
    names: Sequence[str],
    kernels: Sequence[Kernel],
    constants: Mapping[Constant, Table],
    *,
    divisible: bool,
) -> InPlace | None:
    """The places with pairs by bands of rows (`bands`), where that makes the workspace smaller.

    The pairs at which most memory lives come first, and more of them while they are what the workspace is so large for.
    """
    living = _living(steps, kernels)
    pairs = sorted(pairs_of(steps), key=lambda index: -max(living[index : index + 2]))[:_MOST_PAIRS]
    most_more = _MOST_MORE * sum(
        need_of(family, step, kernel, divisible=divisible) or 0 for step, kernel in zip(steps, kernels, strict=True)
    )
    most_bytes = (1 - _WORTH_ITS_CODE) * max(living)
    best: InPlace | None = None
    made: dict[tuple[int, int], Banded | None] = {}
    for count in range(1, len(pairs) + 1):
        if best is not None and max(living[pairs[count - 1] :][:2]) < best.bytes:
            break
        some: dict[int, Banded] = {}
        for index in pairs[:count]:
            pair, by = (steps[index], steps[index + 1]), (kernels[index], kernels[index + 1])
            rows = height_of(family, pair, by, most_more / count, divisible=divisible)
            if rows is None or least_bytes(pair, rows) > most_bytes:
                return best
            if (index, rows) not in made:
                of_pair = (names[index], names[index + 1])
                made[index, rows] = banded(family, pair, of_pair, by, rows, divisible=divisible)
            found = made[index, rows]
            if found is None:
                return best
            some[index] = found
        placed, _ = _place(model, *with_pairs(steps, names, kernels, some), constants, divisible=divisible)
        smaller = make_in_place(model, placed, image_apart=True)
        if best is None or smaller.bytes < best.bytes:
            best = smaller
    return best


def _living(steps: Sequence[Step], kernels: Sequence[Kernel]) -> list[int]:
    """The bytes of the workspace that are in use at each step."""
    parts = list(distinct(*buffers_of(steps)))
    return [
        aligned(kernel.scratch_bytes) + sum(part.size for part in parts if part.lives_at(index))
        for index, kernel in enumerate(kernels)
    ]


def _without_costly_scratch(
    steps: Sequence[Step], names: Sequence[str], kernels: Sequence[Kernel], *, divisible: bool
) -> list[Kernel]:
    """The kernels, and in two parts those plain ones whose scratch memory alone would enlarge the workspace."""
    buffers, last_read = buffers_of(steps), last_reads(steps)
    living = [sum(part.size for part in distinct(*buffers) if part.lives_at(index)) for index in range(len(steps))]
    fast = [0 if kernel.name == PLAIN else aligned(kernel.scratch_bytes) for kernel in kernels]
    enough = max(map(sum, zip(living, fast, strict=True)), default=0)
    chosen = list(kernels)
    for index, (step, name, kernel) in enumerate(zip(steps, names, kernels, strict=True)):
        (source, *_) = step.reads
        buffer = buffers[source] if isinstance(source, int) and source >= 0 else None
        is_ours = buffer is not None and buffer.outermost.last == index and index in last_read
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


def _place(
    model: QuantizedModel,
    steps: Sequence[Step],
    names: Sequence[str],
    kernels: Sequence[Kernel],
    constants: Mapping[Constant, Table],
    *,
    divisible: bool,
) -> tuple[list[PlacedStep], int]:
    """Each step with its places, and the bytes of the workspace."""
    kernels = _without_costly_scratch(steps, names, kernels, divisible=divisible)
    buffers = buffers_of(steps)
    scratch = [Buffer(kernel.scratch_bytes, index, index) for index, kernel in enumerate(kernels)]
    place_buffers(steps, buffers, scratch)
    parts = list(distinct(*buffers, *scratch))
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


def _targets(steps: Sequence[Step], buffers: Sequence[Buffer | None]) -> list[Place]:
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


def _assert_disjoint(plan: Plan) -> None:
    for placed in plan.steps:
        end = 0
        for offset, size in sorted(placed.occupied):
            assert offset >= end, f"step {placed.step.names}: two of its tensors overlap"
            end = offset + size
        assert end <= plan.workspace_bytes
