"""`fits` took an ADD of 32,768 values for one of 24: each operator had been measured on a few outputs only.

The sum of a residual network then cost nothing, and convolutions with gaps a third of what they do.
"""

import estimated_networks
import pytest

from lenet_edge.formats import c_source
from lenet_edge.formats.c_source.costs import costs
from lenet_edge.formats.c_source.loops import kind_of_kernel, loops_of

# The small chip was counted with the kernels of a LeNet only: of other networks `fits` gives the bytes alone.
CORES = [core for core in costs().cores if core.board != "ch32v003"]


def costs_of(core, shape):
    """Of every operator that only graphs have, by its name; how many values the image has."""
    plan = c_source.make_plan(estimated_networks.in_a_row(1, shape, 2, 2), c_source.PLAIN)
    found = {}
    for placed in plan.steps:
        kind = kind_of_kernel(placed.step, placed.kernel, divisible=plan.divisible)
        found.setdefault(kind, 0)
        found[kind] += core.counts[kind].of(loops_of(placed.step, placed.kernel, is_last=placed.is_last))
    return found


@pytest.mark.parametrize("core", CORES, ids=lambda core: core.board)
def test_more_values_take_more(core):
    small, large = costs_of(core, (8, 8, 6)), costs_of(core, (32, 32, 6))
    assert len(small) == 11
    for kernel, count in small.items():
        assert 4 < large[kernel] / count < 24, kernel  # 16 times as many values, and what each call has
