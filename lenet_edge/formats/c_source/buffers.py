"""The workspace of the generated C: which outputs share a part of it, and how long each part is needed.

A step that can work in place takes over the part of an input. The inputs of a concatenation are computed within its own
part, where they lie in it one behind the other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lenet_edge.formats.c_source.families.shared import aligned
from lenet_edge.formats.c_source.placement import Lifetime, place
from lenet_edge.formats.c_source.steps import Step
from lenet_edge.quantized.model import Concatenate

__all__ = ["Buffer", "buffers_of", "distinct", "last_reads", "parts_in_place", "place_buffers"]


@dataclass(eq=False)
class Buffer:
    """A part of the workspace: the output of a step, or several that follow each other in place.

    It has `bytes` and lives from step `first` to step `last`, both included.

    Attributes:
        at: where it begins, in the workspace or within another buffer.
        within: that buffer, which lives as long as any that lies in it.
    """

    bytes: int
    first: int
    last: int
    at: int = 0
    within: Buffer | None = None

    @property
    def size(self) -> int:
        """What it takes: the next one begins at a word."""
        return aligned(self.bytes)

    @property
    def outermost(self) -> Buffer:
        return self if self.within is None else self.within.outermost

    @property
    def offset(self) -> int:
        """Where it begins in the workspace."""
        return self.at if self.within is None else self.within.offset + self.at

    def lives_at(self, step: int) -> bool:
        return self.first <= step <= self.last

    def keep_until(self, step: int) -> None:
        """It is needed up to that step, at least."""
        self.last = max(self.last, step)
        if self.within is not None:
            self.within.keep_until(step)

    def put_into(self, whole: Buffer, at: int) -> None:
        """It is a part of another buffer from now on."""
        self.within, self.at = whole, at
        whole.first = min(whole.first, self.first)
        whole.keep_until(self.last)


def last_reads(steps: Sequence[Step]) -> dict[int, int]:
    """For each step that another reads, and each input of the model, the last step that does."""
    return {source: index for index, step in enumerate(steps) for source in step.reads if isinstance(source, int)}


def buffers_of(steps: Sequence[Step]) -> list[Buffer | None]:
    """The part of the workspace in which each step's output lies; None of those that the model gives."""
    last_read = last_reads(steps)
    buffers: list[Buffer | None] = []
    for index, step in enumerate(steps):
        if index not in last_read:
            buffers.append(None)
            continue
        buffer = _taken_over(step, index, buffers) or Buffer(step.output_bytes, index, index)
        buffer.keep_until(last_read[index])
        for number in step.placed:
            part = buffers[_source_of(step, number)]
            assert part is not None
            part.put_into(buffer, _first(step, number))
        buffers.append(buffer)
    return buffers


def _taken_over(step: Step, index: int, buffers: Sequence[Buffer | None]) -> Buffer | None:
    """The buffer of an input that nobody needs any more, of a step that works in place."""
    for source in step.reads if step.in_place else ():
        buffer = buffers[source] if isinstance(source, int) and source >= 0 else None
        if buffer is not None and buffer.outermost.last == index:
            return buffer
    return None


# --- concatenations -------------------------------------------------------------------------------


def parts_in_place(steps: Sequence[Step], index: int) -> frozenset[int]:
    """Which inputs of the step at `index` can be computed where they belong in its output.

    The step has to be a concatenation whose inputs stay in one piece. An input has to be the output of a step, to begin
    at a word, and to lie within no other output yet.
    """
    step = steps[index]
    layer, buffers = step.layer, buffers_of(steps)
    if not isinstance(layer, Concatenate) or buffers[index] is None or math.prod(step.output.shape[: layer.axis]) > 1:
        return frozenset()
    found: dict[int, Buffer] = {}
    for number, source in enumerate(step.reads):
        buffer = buffers[source] if isinstance(source, int) and source >= 0 else None
        if buffer is None or buffer.within is not None or buffer in found.values() or _first(step, number) % 4:
            continue
        found[number] = buffer
    return frozenset(found)


def _first(step: Step, number: int) -> int:
    """Where an input of a concatenation begins in its output, in bytes."""
    return sum(math.prod(tensor.shape) for tensor in step.inputs[:number])


def _source_of(step: Step, number: int) -> int:
    source = step.reads[number]
    assert isinstance(source, int)
    return source


# --- placing --------------------------------------------------------------------------------------


def distinct(*buffers: Buffer | None) -> Iterator[Buffer]:
    """The buffers that take memory, each once, without those that lie within one."""
    outermost = (buffer.outermost for buffer in buffers if buffer is not None)
    yield from {id(buffer): buffer for buffer in outermost if buffer.bytes}.values()


def place_buffers(steps: Sequence[Step], buffers: Sequence[Buffer | None], scratch: Sequence[Buffer]) -> None:
    """Offsets for the outputs and for what the kernels need for themselves."""
    if _is_chain(steps):
        _place_chain(buffers, scratch)
        return
    parts = list(distinct(*buffers, *scratch))
    offsets = place([Lifetime(part.size, part.first, part.last) for part in parts])
    for part, offset in zip(parts, offsets, strict=True):
        part.at = offset


def _is_chain(steps: Sequence[Step]) -> bool:
    return all(step.reads == (index - 1,) for index, step in enumerate(steps))


def _place_chain(buffers: Sequence[Buffer | None], scratch: Sequence[Buffer]) -> None:
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
            upwards = source is None or source.at != 0
            target.at = 0 if upwards else workspace - target.size
        extra.at = max((part.size for part in (source, target) if part is not None and part.at == 0), default=0)
