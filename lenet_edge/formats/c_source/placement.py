"""Where tensors lie in one memory: each for as long as it lives, in as few bytes as possible.

A tensor that is given the lowest place which is free for its whole life is "placed by first fit". Whatever the
smallest memory is, first fit finds it in some order (that of the offsets in a smallest plan: no tensor then comes to
lie higher than there). So few tensors are tried in every order. For more, orders that are known to do well come first,
among them that of TFLM's planner (``GreedyMemoryPlanner``: the largest first), and then changes to the best of them
by a fixed sequence of random numbers, until a bound is reached below which no plan can be.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from types import MappingProxyType

__all__ = ["Lifetime", "lower_bound", "place"]

_MOST_PERMUTED = 7
_LARGEST = 4  # tensors, each of which comes first in an order
_TRIES = 400_000  # pairs of tensors that are looked at in all
_APART: Mapping[tuple[int, int], int] = MappingProxyType({})


@dataclass(frozen=True)
class Lifetime:
    """A tensor that takes `size` bytes from step `first` to step `last`, both included."""

    size: int
    first: int
    last: int

    def meets(self, other: Lifetime) -> bool:
        """Whether both live at some step."""
        return self.first <= other.last and other.first <= self.last


def lower_bound(tensors: Sequence[Lifetime], ahead: Mapping[tuple[int, int], int] = _APART) -> int:
    """The most bytes that live at one step: no memory is smaller. `ahead` as in `place`."""

    def living(at: int) -> int:
        shared = sum(
            tensors[output].size - distance
            for (source, output), distance in ahead.items()
            if tensors[source].first <= at <= tensors[source].last and tensors[output].first <= at
        )
        return sum(each.size for each in tensors if each.first <= at <= each.last) - shared

    return max(map(living, {tensor.first for tensor in tensors}), default=0)


def place(tensors: Sequence[Lifetime], ahead: Mapping[tuple[int, int], int] = _APART) -> list[int]:
    """An offset for each tensor, such that those that live at the same step do not overlap.

    The same tensors always get the same offsets; sizes are multiples of the alignment, and so are the offsets.

    Args:
        ahead: (input, output), two of the tensors by their numbers, where the step that reads the one and writes the
            other allows them to overlap -> how far the output then has to begin in front of the input: fewer bytes
            than it takes itself, a multiple of the alignment. The input ends with that step, the output begins.
    """
    bound, best, smallest = lower_bound(tensors, ahead), [0] * len(tensors), -1
    for order in _orders(tensors, best, ahead):
        offsets = _first_fit(tensors, order, ahead)
        size = max((offset + tensor.size for offset, tensor in zip(offsets, tensors, strict=True)), default=0)
        if smallest < 0 or size < smallest:
            smallest, best[:] = size, offsets
        if smallest == bound:
            break
    return best


def _orders(
    tensors: Sequence[Lifetime], best: Sequence[int], ahead: Mapping[tuple[int, int], int]
) -> Iterator[Sequence[int]]:
    """The orders to try; `best` holds the offsets of the best plan so far, `ahead` is as in `place`."""
    indices = range(len(tensors))
    yield sorted(indices, key=lambda index: (-tensors[index].size, tensors[index].first))
    yield sorted(indices, key=lambda index: (tensors[index].first - tensors[index].last, -tensors[index].size))
    yield sorted(indices, key=lambda index: (tensors[index].first, -tensors[index].size))
    yield sorted(indices, key=lambda index: (-tensors[index].last, -tensors[index].size))
    if ahead:  # outputs that grow over inputs lie in front of these: from the end, but around what is large
        backwards = sorted(indices, key=lambda index: (-tensors[index].last, -tensors[index].size))
        for index in sorted(indices, key=lambda index: -tensors[index].size)[:_LARGEST]:
            yield [index, *(each for each in backwards if each != index)]
    if len(tensors) <= _MOST_PERMUTED:
        yield from permutations(indices)
        return
    chance = random.Random(0)  # noqa: S311 - always the same orders, nothing secret
    for _ in range(_TRIES // len(tensors) ** 2):
        order = sorted(indices, key=lambda index: (best[index], -tensors[index].size))
        for _ in range(chance.randint(1, 3)):
            order.insert(chance.randrange(len(order)), order.pop(chance.randrange(len(order))))
        yield order


def _first_fit(tensors: Sequence[Lifetime], order: Sequence[int], ahead: Mapping[tuple[int, int], int]) -> list[int]:
    """Each tensor in turn at the lowest place that is free for its whole life."""
    offsets = [0] * len(tensors)
    placed: list[int] = []
    for index in order:
        tensor, offset = tensors[index], 0
        taken = []  # (first, end): an offset between the two, both excluded, would be too near to another tensor
        for other in placed:
            if tensor.meets(tensors[other]):
                below = ahead.get((other, index), tensor.size)  # how far in front of the other one it may begin
                above = ahead.get((index, other), tensors[other].size)
                taken.append((offsets[other] - below, offsets[other] + above))
        for first, end in sorted(taken):
            if first >= offset:
                break
            offset = max(offset, end)
        offsets[index] = offset
        placed.append(index)
    return offsets
