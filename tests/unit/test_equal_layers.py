"""What a layer equals computes the same integers, and only layers that equal another become one."""

from __future__ import annotations

import numpy as np
import pytest
from random_chains import Chain

from lenet_edge.formats.c_source import make_plan
from lenet_edge.formats.c_source.equal_layers import with_equal_layers
from lenet_edge.formats.c_source.fusing import fuse
from lenet_edge.quantized import reference
from lenet_edge.quantized.model import Conv2d, DepthwiseConv2d, FullyConnected, QuantizedModel

FULL = (-128, 127)


def steps_of(chain, family="cortex_m_dsp"):
    steps = fuse(QuantizedModel(tuple(chain.layers)))
    return steps, with_equal_layers(steps, family)


def outputs(step, count=40):
    """Of random inputs, by numpy."""
    values = np.random.default_rng(5).integers(-128, 128, (count, step.input_bytes)).astype(np.int8)
    found = reference.layer_output(step.layer, [values.reshape(count, *step.input.shape)])
    return found.reshape(count, -1)


@pytest.mark.parametrize("tie_free", [True, False])
@pytest.mark.parametrize(
    ("window", "stride", "padding"), [((10, 8), (2, 2), "same"), ((3, 3), (1, 1), "valid"), ((1, 5), (1, 3), "same")]
)
def test_depthwise_on_one_channel_is_a_convolution(window, stride, padding, tie_free):
    chain = Chain(3, (13, 11, 1), tie_free=tie_free, zero_point=9).depthwise(5, window, stride, padding, FULL)
    (before,), (after,) = steps_of(chain)
    assert isinstance(after.layer, Conv2d)
    np.testing.assert_array_equal(outputs(after), outputs(before))
    (placed,) = make_plan(QuantizedModel(tuple(chain.layers)), "cortex_m_dsp").steps
    assert placed.kernel.name != "plain"


@pytest.mark.parametrize("size", [(1, 1, 24), (3, 2, 5)])
def test_a_window_over_the_whole_map_is_a_dense_layer(size):
    chain = Chain(4, size, zero_point=-7).conv(6, size[:2], (2, 3), "valid", FULL).flatten().fully_connected(3)
    (before, *_), (after, *_) = steps_of(chain)
    assert isinstance(after.layer, FullyConnected)
    np.testing.assert_array_equal(outputs(after), outputs(before))


def unchanged(chain, family="cortex_m_dsp"):
    before, after = steps_of(chain, family)
    return all(one is other for one, other in zip(before, after, strict=True))


def dense(chain):
    return chain.flatten().fully_connected(3)


def test_what_stays():
    """Several channels, one output, padding, a smaller window, the only dense layer, the plain kernels."""
    assert unchanged(Chain(1, (6, 6, 2)).depthwise(2, (3, 3)))
    assert unchanged(Chain(1, (6, 6, 1)).depthwise(1, (3, 3)))
    assert unchanged(dense(Chain(1, (3, 3, 2)).conv(4, (3, 3), padding="same")))
    assert unchanged(dense(Chain(1, (3, 3, 2)).conv(4, (2, 3))))
    assert unchanged(Chain(1, (3, 3, 2)).conv(4, (3, 3)))
    assert unchanged(dense(Chain(1, (6, 6, 1)).depthwise(4, (3, 3))), family="plain")
    pooled = Chain(1, (6, 6, 1)).depthwise(4, (3, 3), clamp=FULL).pool((2, 2))
    (before,), (after,) = steps_of(pooled)
    assert isinstance(before.layer, DepthwiseConv2d)
    assert (isinstance(after.layer, Conv2d), after.pool) == (True, before.pool)
