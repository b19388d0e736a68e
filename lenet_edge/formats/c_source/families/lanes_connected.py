"""Convolutions of which channels see only some others, for the tiles of `lanes`: which outputs share a word.

Two outputs are computed at once, so that they take the input channels that either sees. The strip has the channels one
behind the other, the first of them once more behind the last: a pair reads a run, which may go on at the beginning.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lenet_edge.formats.c_source.families.connected import connections_of
from lenet_edge.quantized.model import Conv2d

__all__ = ["Pair", "pairs_of", "repeated"]

BoolArray: TypeAlias = npt.NDArray[np.bool_]

_MOST = 255  # channels: their numbers take a byte each
_MOST_READ = 0.8  # of all channels, by outputs on their own: with more, calls for each pair take what is saved
_MOST_PAIRED = 64  # outputs that are paired by what they see; others lie as they are


@dataclass(frozen=True)
class Pair:
    """Two outputs and the run of input channels that they read.

    Attributes:
        outputs: their numbers; of an odd number of outputs the last one is alone.
        first, count: of the channels; ``(first + i) % channels``.
    """

    outputs: tuple[int, ...]
    first: int
    count: int


def pairs_of(layer: Conv2d) -> list[Pair]:
    """The outputs in pairs that see as little as can be together; none where they see nearly all."""
    seen = connections_of(layer)
    outputs, channels = seen.shape
    if max(outputs, channels) > _MOST or seen.all():
        return []
    if sum(_run_of(each)[1] for each in seen) > _MOST_READ * seen.size:
        return []
    pairs = _narrowest(seen) if outputs <= _MOST_PAIRED else [(a, a + 1) for a in range(0, outputs - 1, 2)]
    paired = set(itertools.chain.from_iterable(pairs))
    groups = [*pairs, *((output,) for output in range(outputs) if output not in paired)]
    return [Pair(group, *_run_of(seen[list(group)].any(axis=0))) for group in groups]


def repeated(layer: Conv2d, pairs: Sequence[Pair]) -> int:
    """How many of the first channels are once more behind the last, so that every run is one piece."""
    return max(0, max(pair.first + pair.count for pair in pairs) - layer.input.shape[2])


def _narrowest(seen: BoolArray) -> list[tuple[int, int]]:
    """Pairs of outputs: the two that read the fewest channels in vain first, then the next of those that are left."""
    sizes, ranks = seen.sum(axis=1), dict[tuple[int, int], tuple[int, int]]()
    for a, b in itertools.combinations(range(len(seen)), 2):
        count = _run_of(seen[[a, b]].any(axis=0))[1]
        ranks[a, b] = int(2 * count - sizes[a] - sizes[b]), count
    left, pairs = set(range(len(seen))), list[tuple[int, int]]()
    for a, b in sorted(ranks, key=lambda pair: (ranks[pair], pair)):
        if a in left and b in left:
            pairs.append((a, b))
            left -= {a, b}
    return pairs


def _run_of(seen: npt.ArrayLike) -> tuple[int, int]:
    """First and number of the shortest run of channels, in a circle, that has all that are seen; one at least."""
    channels = np.asarray(seen)
    places = np.flatnonzero(channels)
    if not len(places):
        return 0, 1
    gaps = np.diff(places, append=places[0] + len(channels))
    widest = int(gaps.argmax())
    return int(places[(widest + 1) % len(places)]), int(len(channels) - gaps[widest] + 1)
