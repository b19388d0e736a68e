"""The allocations of bits that none beats: no other takes fewer bytes at no more loss, or loses less in no more bytes.

Bytes and losses of the layers add up. So what is best for some layers remains best when one more is added, and the
front grows layer by layer (Nemhauser, Ullmann 1969, "Discrete dynamic programming and capital allocation"): the same
as all combinations give, which for LeNet-5 are 243, without listing them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Allocation", "Choice", "front"]

_MOST = 20_000
"""More points than this are thinned: all combinations of nine layers are fewer."""


@dataclass(frozen=True)
class Choice:
    """Bits that a layer may have, with the bytes that its weights then take and the loss that this adds."""

    bits: int
    bytes: int
    loss: float


@dataclass(frozen=True)
class Allocation:
    """Bits for every layer, in the order of the layers, with their bytes and expected loss."""

    bits: tuple[int, ...]
    bytes: int
    loss: float


def front(layers: Sequence[Sequence[Choice]], once: Mapping[int, int] | None = None) -> list[Allocation]:
    """The allocations that none beats, by ascending bytes and so by descending loss.

    With more than `_MOST` of them it keeps the one that loses least among those of nearly the same bytes.

    Args:
        layers: the choices of each.
        once: bits -> the bytes, such as a kernel's, that come on top as soon as any layer has them.
    """
    once = once or {}
    costly = sorted({each.bits for layer in layers for each in layer} & once.keys())
    found: list[Allocation] = []
    for count in range(len(costly) + 1):
        for used in itertools.combinations(costly, count):
            allowed = [[each for each in layer if each.bits not in once or each.bits in used] for layer in layers]
            found += (_with(each, once) for each in _of_layers(allowed))
    return _unbeaten(found)


def _of_layers(layers: Sequence[Sequence[Choice]]) -> list[Allocation]:
    """The front where bytes only add up; empty where a layer has no choice."""
    found = [Allocation((), 0, 0.0)]
    for layer in layers:
        found = _unbeaten(
            Allocation((*each.bits, choice.bits), each.bytes + choice.bytes, each.loss + choice.loss)
            for each in found
            for choice in layer
        )
    return found


def _with(each: Allocation, once: Mapping[int, int]) -> Allocation:
    extra = sum(once.get(bits, 0) for bits in set(each.bits))
    return Allocation(each.bits, each.bytes + extra, each.loss)


def _unbeaten(found: Iterable[Allocation]) -> list[Allocation]:
    best: list[Allocation] = []
    for each in sorted(found, key=lambda one: (one.bytes, one.loss, [-bits for bits in one.bits])):
        if not best or each.loss < best[-1].loss:
            best.append(each)
    return best if len(best) <= _MOST else _thinned(best)


def _thinned(found: Sequence[Allocation]) -> list[Allocation]:
    """The first, which takes least, and the last, which loses least, of each of `_MOST` equal ranges of bytes."""
    least, most = found[0].bytes, found[-1].bytes
    by_range = {(each.bytes - least) * _MOST // (most - least + 1): each for each in found}
    kept = list(by_range.values())
    return kept if kept[0] == found[0] else [found[0], *kept]
