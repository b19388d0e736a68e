"""`fits` took an ADD of 32,768 values for one of 24: each operator had been measured on a few outputs only.

The sum of a residual network then cost nothing, and convolutions with gaps a third of what they do.
"""

import estimated_networks
import pytest

from lenet_edge.estimate.features import features, kernel_of
from lenet_edge.estimate.measured import measured
from lenet_edge.formats import c_source


def costs(core, shape):
    """Of every operator that only graphs have, by its name; how many values the image has."""
    plan = c_source.make_plan(estimated_networks.in_a_row(1, shape, 2, 2), c_source.PLAIN)
    found = {}
    for placed in plan.steps:
        kernel = kernel_of(placed, divisible=plan.divisible)
        counts = features(placed)
        found.setdefault(kernel, 0)
        found[kernel] += sum(each * counts[name] for name, each in core.counts[kernel].each.items())
    return found


@pytest.mark.parametrize("core", measured().cores, ids=lambda core: core.board)
def test_more_values_take_more(core):
    small, large = costs(core, (8, 8, 6)), costs(core, (32, 32, 6))
    assert len(small) == 11
    for kernel, count in small.items():
        assert 4 < large[kernel] / count < 24, kernel  # 16 times as many values, and what each call has
