"""An inference in one memory with its image: where a step's output may overlap the input that it is computed from.

A kernel that writes its output row by row, from the top, no longer needs the upper rows of its input when it comes to
the lower ones: the output may grow over them. How far it has to begin in front of its input is decided here, and shown
again, byte by byte, for the places that were chosen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from lenet_edge.formats.c_source.buffers import Buffer, buffers_of, distinct
from lenet_edge.formats.c_source.families.shared import aligned
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.placement import Lifetime, place
from lenet_edge.formats.c_source.places import Place, PlacedStep
from lenet_edge.formats.c_source.steps import Source, Step
from lenet_edge.quantized.model import QuantizedModel

__all__ = ["InPlace", "Rows", "distance", "make_in_place", "overlap_problem", "rows_of"]


@dataclass(frozen=True, eq=False)
class InPlace:
    """The steps of an inference whose outputs may overlap their inputs.

    Attributes:
        steps: in order.
        bytes: of the memory.
        image: where the image lies in it: a multiple of 4; 0 where it lies elsewhere.
    """

    steps: tuple[PlacedStep, ...]
    bytes: int
    image: int


@dataclass(frozen=True)
class Rows:
    """Rows of an output that a kernel writes at once.

    Attributes:
        written: bytes of the output up to their end.
        dead: bytes of the input in front of what they and all later rows see.
    """

    written: int
    dead: int


def rows_of(step: Step, rows_at_once: int) -> list[Rows]:
    """The rows of a step with windows, so many at once, from the top."""
    windows, height = step.windows, step.output.shape[0]
    written, seen = (math.prod(tensor.shape[1:]) for tensor in (step.output, step.input))
    found = []
    for first in range(0, height, rows_at_once):
        above = min(max(first * windows.step[0] - windows.padding[0], 0), step.input.shape[0])
        found.append(Rows(min(first + rows_at_once, height) * written, above * seen))
    return found


def distance(step: Step, kernel: Kernel) -> int | None:
    """How far the output has to begin in front of its input, in bytes, to overlap it; None: it must lie apart."""
    if not kernel.rows_at_once:
        return None
    ahead = aligned(max(rows.written - rows.dead for rows in rows_of(step, kernel.rows_at_once)))
    return ahead if ahead < aligned(step.output_bytes) else None


def overlap_problem(step: Step, rows_at_once: int, source: int, target: int) -> str:
    """What goes wrong if the input lies at `source` and the output at `target`, as one sentence; empty: nothing.

    Each byte of the input is followed for itself: none may be written before the last row that sees it is done.
    """
    windows = step.windows
    line, width = math.prod(step.input.shape[1:]), math.prod(step.output.shape[1:])
    read = set(range(source, source + step.input_bytes))
    for row in range(step.output.shape[0]):
        first = row - row % rows_at_once  # of those that are computed together
        top = first * windows.step[0] - windows.padding[0]
        read.difference_update(range(source, source + max(top, 0) * line))
        if not read.isdisjoint(range(target + row * width, target + (row + 1) * width)):
            return f"row {row} of {' and '.join(step.names)} is written over input that is still read"
    return ""


def make_in_place(model: QuantizedModel, placed: Sequence[PlacedStep], *, image_apart: bool = False) -> InPlace:
    """Places for the steps of a plan, and for the image that they read.

    Args:
        placed: the steps with their kernels; of their places only those of the constants stay.
        image_apart: the image stays where it is, too, outside the memory.
    """
    last = max((index for index, each in enumerate(placed) for read in each.step.reads if _is_image(read)), default=0)
    image = Buffer(0 if image_apart else sum(math.prod(tensor.shape) for tensor in model.inputs), 0, last)
    buffers = buffers_of([each.step for each in placed])
    scratch = [Buffer(each.kernel.scratch_bytes, index, index) for index, each in enumerate(placed)]
    memory = _Memory(image, buffers, scratch)
    parts = list(distinct(image, *buffers, *scratch))
    number = {part: index for index, part in enumerate(parts)}
    pairs = dict(memory.pairs(placed))
    ahead = {(number[source], number[target]): far for (source, target), far in pairs.items()}
    offsets = place([Lifetime(part.size, part.first, part.last) for part in parts], ahead)
    for part, offset in zip(parts, offsets, strict=True):
        part.at = offset
    starts = [sum(math.prod(tensor.shape) for tensor in model.inputs[:index]) for index in range(len(model.inputs))]
    moved = tuple(memory.moved(index, each, starts, parts) for index, each in enumerate(placed))
    found = InPlace(moved, max((part.offset + part.size for part in parts), default=0), image.offset)
    _assert_sound(found)
    return found


def _is_image(read: object) -> bool:
    return isinstance(read, int) and read < 0


@dataclass(frozen=True, eq=False)
class _Memory:
    """The parts of the memory: the image, the outputs of steps (None: the model's), what kernels need for themselves.

    An image of no bytes lies elsewhere.
    """

    image: Buffer
    buffers: Sequence[Buffer | None]
    scratch: Sequence[Buffer]

    def source(self, read: Source) -> Buffer | None:
        """What a step reads; None: a constant, or what lies elsewhere."""
        if not isinstance(read, int):
            return None
        return self.buffers[read] if read >= 0 else self.image if self.image.bytes else None

    def pairs(self, placed: Sequence[PlacedStep]) -> Iterator[tuple[tuple[Buffer, Buffer], int]]:
        """(input, output) that may overlap, and how far the output then has to begin in front of the input."""
        for index, (each, target) in enumerate(zip(placed, self.buffers, strict=True)):
            far, source = distance(each.step, each.kernel), self.source(each.step.reads[0])
            if far is None or source is None or target is None:
                continue
            is_free = source.within is None and source.last == index and source.bytes == each.step.input_bytes
            if is_free and target.within is None and target.first == index:
                yield (source, target), far

    def moved(self, index: int, placed: PlacedStep, starts: Sequence[int], parts: Sequence[Buffer]) -> PlacedStep:
        """A step at its places; `starts` are those of the inputs in the image."""
        step, target, sources = placed.step, self.buffers[index], []
        for read, before in zip(step.reads, placed.sources, strict=True):
            buffer, start = self.source(read), starts[-1 - read] if isinstance(read, int) and read < 0 else 0
            sources.append(before if buffer is None else Place("memory", buffer.offset + start))
        occupied = {part: (part.offset, part.bytes) for part in parts if part.lives_at(index)}
        source, grows = self.source(step.reads[0]), False
        if source is not None and target is not None and source.within is None and target.within is None:
            grows = target.offset < source.offset < target.offset + target.bytes
        if grows:
            assert source is not None
            assert target is not None
            _, size = occupied.pop(source)
            end = max(source.offset + size, target.offset + target.bytes)
            occupied[target] = (target.offset, end - target.offset)
        return replace(
            placed,
            sources=tuple(sources),
            target=placed.target if target is None else Place("memory", target.offset),
            scratch_offset=self.scratch[index].offset,
            occupied=tuple(occupied.values()),
            grows_over_input=grows,
        )


def _assert_sound(found: InPlace) -> None:
    for placed in found.steps:
        end = 0
        for offset, size in sorted(placed.occupied):
            assert offset >= end, f"step {placed.step.names}: two of its tensors overlap"
            end = offset + size
        assert end <= found.bytes
        if placed.grows_over_input:
            source, target = placed.sources[0].offset, placed.target.offset
            problem = overlap_problem(placed.step, placed.kernel.rows_at_once, source, target)
            assert not problem, problem
