"""How often loops of kernels run, counted by hand: what instructions are estimated from."""

from __future__ import annotations

import pytest
from estimated_networks import made_up

from lenet_edge.formats import c_source
from lenet_edge.formats.c_source.loops import loops_of
from lenet_edge.networks.description import Convolution, FullyConnected, MaxPooling, Network

IMAGE = (8, 6, 2)


def convolution(by, *, pooled=False, family=c_source.PLAIN):
    """The loops of 3 x 3 on 8 x 6 pixels of 2 channels, for 4 channels."""
    features = [Convolution("c", 4, (3, 3), (1, 1), "same", by)]
    features += [MaxPooling("s", (2, 2), (2, 2))] if pooled else []
    network = Network("n", "", tuple(features), (FullyConnected("out", None),))
    placed = c_source.make_plan(made_up(network, IMAGE, 3), family).steps[0]
    return loops_of(placed.step, placed.kernel)


def test_patches_over_the_edge_are_filled():
    """Of 8 x 6 positions the 24 around the others, each of 3 x 3 pixels of 2 channels."""
    found = convolution("relu")
    names = ("edges", "edge rows", "edge pixels", "edge bytes")
    assert [found[name] for name in names] == [24, 24 * 3, 24 * 9, 24 * 18]


def test_of_a_pooling_its_patches_count():
    """Of 4 x 3 positions the 10 around the two in the middle, each of 4 x 4 pixels."""
    found = convolution("relu", pooled=True)
    assert (found["edges"], found["edge pixels"]) == (10, 160)


@pytest.mark.parametrize(
    ("by", "pooled", "multiplied"), [("relu", False, 192 * 4 // 10), ("relu", True, 48 // 2), ("none", False, 192)]
)
def test_outputs_that_are_0_behind_a_relu_are_not_multiplied(by, pooled, multiplied):
    assert convolution(by, pooled=pooled)["multiplied"] == multiplied


def test_fast_kernels_multiply_all():
    assert "multiplied" not in convolution("relu", family="cortex_m_dsp")
