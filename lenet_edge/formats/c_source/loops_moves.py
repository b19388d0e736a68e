"""How often the loops of le_move.c and le_move_words.c run."""

from __future__ import annotations

import math

from lenet_edge.formats.c_source.families.tensors import regions_of
from lenet_edge.formats.c_source.loops_base import Counts
from lenet_edge.formats.c_source.steps import Step
from lenet_edge.quantized.model import Pad

__all__ = ["moves", "moves_in_words"]

_WORD = 4
_FEW = 2 * _WORD  # bytes that are copied one by one


def moves(step: Step) -> Counts:
    """le_move.c: runs of values, in one piece or one by one; in front of a pad's everything is filled."""
    rows, runs, copied, single = 0, 0, 0, 0
    for counts, source, target in regions_of(step):
        rows, runs, size = rows + math.prod(counts[:2]), runs + math.prod(counts[:3]), math.prod(counts)
        if (source[3], target[3]) == (1, 1):
            copied += size
        else:
            single += size
    filled = step.output_bytes if isinstance(step.layer, Pad) else 0
    return {"rows": rows, "runs": runs, "copied": copied, "one by one": single, "filled": filled}


def moves_in_words(step: Step) -> Counts:
    """Runs that are long enough for words; some processors copy them byte by byte where no words meet."""
    counted = {"rows": 0, "runs": 0, "long runs": 0, "long": 0, "long at any address": 0, "short": 0, "one by one": 0}
    for counts, source, target in regions_of(step):
        runs, size = math.prod(counts[:3]), math.prod(counts)
        counted["rows"] += math.prod(counts[:2])
        counted["runs"] += runs
        if (source[3], target[3]) != (1, 1):
            counted["one by one"] += size
        elif counts[3] <= _FEW:
            counted["short"] += size
        else:
            meet = all(stride % _WORD == 0 for stride in (*source[:3], *target[:3]))
            counted["long runs"] += runs
            counted["long"] += size
            counted["long at any address"] += 0 if meet else size
    return {**counted, "filled": step.output_bytes if isinstance(step.layer, Pad) else 0}
