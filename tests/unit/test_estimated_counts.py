"""What `fits` estimates, against counts of real firmware that benchmarks/estimated_counts.py built and ran."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest
from estimated_cases import BOARDS, COUNTS, Case, cases

from lenet_edge.estimate import Count
from lenet_edge.estimate.board import count_of
from lenet_edge.estimate.measured import costs_of
from lenet_edge.formats import c_source
from lenet_edge.formats.c_source.plan import Plan
from lenet_edge.hardware import boards

COUNTED = json.loads(COUNTS.read_text(encoding="utf-8"))
OFF = {"ch32v003": 0.15}  # a product takes as long as the number of its ones
"""Board -> share; of other boards `USUALLY_OFF`."""
USUALLY_OFF = 0.11


@cache
def every_case() -> dict[str, Case]:
    return cases()


@cache
def plan_of(name: str, kernels: str) -> Plan:
    case = every_case()[name]
    return c_source.make_plan(case.model, c_source.PLAIN if case.optimize == "size" else kernels, case.packings)


def estimated(board: str, name: str) -> Count:
    described = boards.load(board)
    plan = plan_of(name, described.cpu.kernels)
    assert len(plan.steps) == len(COUNTED[board][name]), f"{name}: count it again on {board}"
    found = count_of(plan, costs_of(described))
    assert found is not None, f"{name}: a kernel was not measured for {board}"
    return found


@pytest.mark.parametrize("board", BOARDS)
def test_estimates_are_near_the_counts_and_nine_in_ten_within_their_range(board):
    found = {name: (sum(counts), estimated(board, name)) for name, counts in COUNTED[board].items()}
    off = {name: round(each.about / count - 1, 3) for name, (count, each) in found.items()}
    outside = [name for name, (count, each) in found.items() if not each.least <= count <= each.most]
    print(board, off, outside)
    assert max(map(abs, off.values())) <= OFF.get(board, USUALLY_OFF), off
    assert np.median(np.abs(list(off.values()))) <= (0.03 if board in OFF else 0.02), off
    assert len(outside) <= len(found) / 10, [(name, found[name]) for name in outside]


@pytest.mark.parametrize("board", [board for board in BOARDS if board not in OFF])
def test_estimates_of_small_layers_of_few_bits(board):
    """8 x 8 pixels by 3 x 3 x 4 in 4 bits were 62 % too many cycles on an Uno, 18 and 22 % on RV32 and Cortex-M0+."""
    small = [name for name in COUNTED[board] if name.startswith("small, ")]
    assert len(small) == 5
    for name in small:
        assert estimated(board, name).about == pytest.approx(sum(COUNTED[board][name]), rel=0.03), name
