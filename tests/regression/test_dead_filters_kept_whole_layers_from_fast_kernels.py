"""A filter that died in training kept its layer on the plain C: its bias of 2^30 is beyond the kernels, for one output.

`resnet_large_int8` of MLPerf Tiny took 351 million instructions on a Cortex-M4 for four such layers.
"""

import dataclasses

import kernel_models
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_chains import Chain

from lenet_edge.formats import c_source
from lenet_edge.formats.c_source.fusing import fuse
from lenet_edge.formats.c_source.small_sums import with_small_sums
from lenet_edge.quantized import reference, requantize
from lenet_edge.quantized.model import QuantizedModel, channel_weights

FAMILIES = ("cortex_m_base", "cortex_m_dsp", "cortex_m_mve", "neon", "rv32", "x86")


def step_of(weights, bias, scales, zero_points, clamp=(-128, 127)):
    """A dense layer with these weights for each channel, which are few enough for all sums to be tried."""
    layer = Chain(1, (1, 1, weights.shape[1])).flatten().fully_connected(len(weights), clamp).layers[1]
    layer = dataclasses.replace(
        layer,
        input=dataclasses.replace(layer.input, scale=1.0, zero_point=zero_points[0]),
        output=dataclasses.replace(layer.output, scale=1.0, zero_point=zero_points[1]),
        weights=weights.astype(np.int8),
        bias=np.array(bias, np.int32),
        weight_scales=np.array(scales, np.float32),
    )
    (step,) = fuse(QuantizedModel((layer,)))
    return step


def outputs(layer, sums, clamp):
    """TFLM's of sums of products with the zero point subtracted."""
    rounded = requantize.RULES["tflm"](sums + layer.bias, requantize.multipliers(layer))
    return np.clip(rounded + layer.output.zero_point, *clamp)


def all_sums(layer):
    """Every sum that an input may reach, and those between."""
    ends = channel_weights(layer)[..., None] * (np.array([-128, 127]) - layer.input.zero_point)
    low, high = ends.min(axis=2).sum(axis=1), ends.max(axis=2).sum(axis=1)
    return np.minimum(np.arange((high - low).max() + 1)[:, None] + low, high)


zero_points = st.tuples(st.integers(-128, 127), st.integers(-128, 127))
clamps = st.sampled_from([(-128, 127), (-3, 127), (-128, 5), (0, 1)])
channels = st.tuples(st.floats(22, 33), st.integers(-(2**30), 2**30), st.integers(0, 127), st.integers(-4, 4))


@settings(deadline=None)
@given(st.lists(channels, min_size=1, max_size=6), zero_points, clamps, st.booleans())
def test_the_outputs_stay_what_they_are(drawn, points, clamp, at_a_tie):
    """Also where a sum is next to a threshold, where the output is one of two."""
    scales = [2.0**-exponent for exponent, *_ in drawn]
    biases = [bias for _, bias, *_ in drawn]
    if at_a_tie:  # the bias is where the output turns, or a few beside it
        biases = [
            int((bias % 64 - 32 + 0.5) / scale) + few for scale, (_, bias, _, few) in zip(scales, drawn, strict=True)
        ]
        biases = np.clip(biases, -(2**30), 2**30).tolist()
    weights = np.array([[largest, -1, few] for _, _, largest, few in drawn])
    step = step_of(weights, biases, scales, points, clamp)
    found = with_small_sums(step).layer
    sums, smaller = all_sums(step.layer), all_sums(found)
    if smaller.shape != sums.shape:  # a channel lost its weights
        smaller = np.where((found.weights == 0).all(axis=1), 0, sums)
    np.testing.assert_array_equal(outputs(found, smaller, clamp), outputs(step.layer, sums, clamp))


def test_what_has_one_output_or_two_is_small_afterwards():
    """A channel that no input changes, one that turns amid its sums, one that is small as it is."""
    weights = np.array([[1, 1], [1, 1], [3, 5]])
    step = step_of(weights, [-(2**30), 3 << 24, 100], [2.0**-26, 2.0**-25, 0.01], (0, 0))
    layer = with_small_sums(step).layer
    assert layer.weights[0].tolist() == [0, 0]
    assert layer.bias[0] == 4 * -16
    assert abs(layer.bias[1]) < 2**12
    np.testing.assert_array_equal(layer.weights[1:], weights[1:])
    np.testing.assert_array_equal(layer.bias[2:], [100])


def test_a_layer_without_such_a_channel_is_the_same_object():
    (step,) = fuse(QuantizedModel(tuple(Chain(2, (6, 6, 3)).conv(4, (3, 3)).layers)))
    assert with_small_sums(step) is step


@pytest.mark.parametrize("family", FAMILIES)
def test_their_layers_have_fast_kernels(family):
    plan = c_source.make_plan(kernel_models.dead_filters(), family)
    assert "plain" not in [placed.kernel.name for placed in plan.steps[:3]]


def test_the_filters_of_that_model_are_dead_and_one_is_not_constant():
    model = kernel_models.dead_filters()
    for layer, values in zip(
        model.layers, reference.layer_outputs(model, kernel_models.images(model, 200)), strict=True
    ):
        if hasattr(layer, "weights"):
            spread = np.ptp(values[..., :4].reshape(-1, 4).astype(int), axis=0)
            assert spread.tolist() == [0, 0, 0, 1], layer.name
