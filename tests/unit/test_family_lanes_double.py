"""TFLM's requantisation in the kernels for scalar instruction sets, as le_lanes.h describes it, and as they do it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_chains import Chain

from lenet_edge.formats.c_source.families.lanes import double_matrix_words
from lenet_edge.formats.c_source.families.lanes_double import double_problem, double_words
from lenet_edge.quantized import reference
from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.quantized.requantize import Multiplier
from lenet_edge.quantized.verify import verify

LARGEST = 2**29 - 1
EXAMPLES = settings(max_examples=100, deadline=None)


def high_product(a, m):
    """(a m + 2^30) >> 31 as the processors without a long multiplication compute it; nothing leaves an int32."""
    al = (a + 2**15) % 2**16 - 2**15
    ah, ml, mh = a - al >> 16, m % 2**16, m >> 16
    middle = al * mh + (al * ml >> 16) + ah * ml + 2**14
    for part in (al * mh, al * ml, ah * ml, middle, ah * mh * 2):
        assert np.abs(part).max() < 2**31
    return 2 * (ah * mh) + (middle >> 15)


def requantized(accumulator, multiplier, by):
    """The outputs of a channel for its accumulators, from its two words."""
    shift, zero_point, low, high = int(by).to_bytes(4, "little")
    x = high_product(accumulator, multiplier)
    return np.clip((x + (1 << shift >> 1) + (x >> 31) >> shift) + zero_point, low, high) - 128


@EXAMPLES
@given(st.integers(2**30, 2**31 - 1), st.integers(1, 31), st.data())
def test_it_is_tflm_s_rounding(multiplier, shift, data):
    """At any accumulators, and around all the halves that an output may be rounded from."""
    halves = (2 * np.arange(-300, 300) + 1) * 2 ** (30 + shift) // multiplier
    near = (halves[:, None] + np.arange(-3, 4)).ravel()
    drawn = data.draw(st.lists(st.integers(-LARGEST, LARGEST), min_size=1, max_size=50))
    ends = [-LARGEST, -1, 0, 1, LARGEST]
    accumulators = np.array([*near[np.abs(near) <= LARGEST], *drawn, *ends])
    wanted = np.clip(Multiplier(multiplier, -shift).times(accumulators), -128, 127)
    np.testing.assert_array_equal(requantized(accumulators, multiplier, shift | 128 << 8 | 255 << 24), wanted)


@pytest.mark.parametrize("seed", range(20))
def test_the_matrix_gives_the_reference_s_integers(seed):
    """Odd weights and -128, clamps, zero points."""
    random = np.random.default_rng(seed)
    inputs, outputs = (int(value) for value in random.integers(1, 40, 2))
    chain = Chain(seed, (1, 1, inputs), zero_point=int(random.integers(-128, 128))).flatten()
    layer = changed(chain.fully_connected(outputs).layers[-1], "weights", -128, (0, 0))
    model = verify(QuantizedModel((chain.layers[0], layer)))
    table = double_matrix_words(layer, (layer.clamp_min, layer.clamp_max)).astype("<u4")
    x = random.integers(-128, 128, (30, 1, 1, inputs)).astype(np.int8)
    u = np.pad(x.reshape(30, inputs).astype(np.int64) + 128, ((0, 0), (0, -inputs % 4)))
    found = []
    for group in table.reshape(-1, 2 * u.shape[1] + 24):
        weights = group[: 2 * u.shape[1]].view(np.uint8).reshape(-1, 8).astype(np.int64)
        sums = u @ weights - 128 * u.sum(axis=1, keepdims=True)
        for total, (bias, multiplier, by) in zip(sums.T, group[2 * u.shape[1] :].reshape(8, 3), strict=True):
            accumulator = total + int(bias.view("<i4"))
            found.append(requantized(accumulator, int(multiplier), by) if by else None)
    assert all(outputs_of is None for outputs_of in found[outputs:])
    np.testing.assert_array_equal(np.stack(found[:outputs], axis=1), reference.run(model, x).reshape(30, outputs))


def changed(layer, name, value, at):
    """The layer with another value there in its weights, biases or scales."""
    values = getattr(layer, name).copy()
    values[at] = value
    return replace(layer, **{name: values})


def connection(name, value):
    """A layer of three outputs, of which the second one has another bias or scale."""
    return changed(Chain(1, (2, 3, 4)).flatten().fully_connected(3, multiplier=0.001).layers[1], name, value, 1)


def test_scales_of_a_half_and_more_are_refused():
    by = connection("bias", 0)
    half = 0.5 * by.output.scale / by.input.scale
    assert double_problem(connection("weight_scales", 1.001 * half)) == "a channel's scale is a half or more"
    assert double_problem(connection("weight_scales", 0.999 * half)) == ""


def test_accumulators_beyond_29_bits_are_refused():
    assert "and the kernels take those below 536870912" in double_problem(connection("bias", 2**29))
    assert double_problem(connection("bias", 2**28)) == ""


def test_a_channel_whose_multiplier_is_nothing_gives_the_zero_point():
    layer = connection("weight_scales", 1e-38)
    _, multiplier, by = double_words(layer, (-128, 127))[1]
    assert multiplier == 0
    accumulators = np.array([-LARGEST, -1, 0, 1, LARGEST])
    assert set(requantized(accumulators, multiplier, by)) == {layer.output.zero_point}
