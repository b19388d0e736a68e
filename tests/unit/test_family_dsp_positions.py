"""The tables of le_positions_dsp.h, read as the assembly reads them, give the layer's outputs with either rounding."""

from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from random_chains import Chain

from lenet_edge.formats import c_source
from lenet_edge.formats.c_source.families import dsp_positions as dsp
from lenet_edge.formats.c_source.fusing import fuse
from lenet_edge.quantized import reference
from lenet_edge.quantized.model import QuantizedModel

FULL = (-128, 127)


def int32(values):
    """The values, none of which overflows."""
    assert (np.abs(np.asarray(values, object)) < 2**31).all()
    return values


def signed(words):
    return np.asarray(words, np.uint32).view(np.int32).astype(np.int64)


def smmla(by, sums, added, half=0):
    return int32(added + ((int32(sums) * int(by) + half) >> 32))


def saturated(values):
    return np.clip(values, -128, 127)


def a_and_b(ending, kind, a, b256):
    """What `a_of` and `b_of` make of the sums A and 256 B, int64 each."""
    if kind == "tie_free":
        return saturated(smmla(ending[0], a, 0)), saturated(smmla(ending[1], b256, 0) >> 8)
    (by_a, added_a, shift_a), (by_b, added_b, shift_b) = ending.reshape(2, 3).tolist()
    if kind == "above":
        return (
            saturated(smmla(by_a, a << shift_a, added_a) >> 16),
            saturated(smmla(by_b, b256, added_b) >> shift_b),
        )
    doubles = ((2 * a, shift_a, by_a, added_a), (b256 >> 7, shift_b, by_b, added_b))
    return tuple(saturated(smmla(by, n, added, 2**31) + (n >> 31) >> shift) for n, shift, by, added in doubles)


def outputs(step, kind, x):
    """Of inputs [..., window_h * window_w * channels] as the assembly computes them: [..., channels]."""
    layer = step.layer
    table = dsp.words(step, layer, divisible=kind == "tie_free")
    rows = layer.weights.shape[1]
    if dsp.filled_rows(layer):  # with what is behind them
        x = x.reshape(*x.shape[:-1], rows, -1)
        x = np.concatenate([x, np.full((*x.shape[:-1], -x.shape[-1] % 4), 99)], axis=-1).reshape(*x.shape[:-2], -1)
    size = -(-x.shape[-1] // 4) * 4
    order = dsp.pairs_order(size)
    pairs = np.concatenate([x, np.full((*x.shape[:-1], size - x.shape[-1]), 77)], axis=-1)[..., order]
    found = []
    for words in table.reshape(-(-len(layer.bias) // 2), -1):
        taps = np.ascontiguousarray(words[2 : 2 + len(order)].astype(np.uint32)).view(np.int16).reshape(-1, 2)
        s, a = (
            int32(start + (pairs * by).sum(axis=(-2, -1)))
            for start, by in zip(signed(words[:2]), (taps.astype(np.int64), taps.astype(np.int8)), strict=True)
        )
        found += a_and_b(signed(words[2 + len(order) :]), kind, a, int32(s - a))
    return np.stack(found[: len(layer.bias)], axis=-1)


def one_layer(seed, *, tie_free, window=(2, 3), inputs=5, channels=7, clamp=FULL):
    """A convolution that has one position."""
    chain = Chain(seed, (*window, inputs), tie_free=tie_free, zero_point=seed % 256 - 128)
    return chain.conv(channels, window, clamp=clamp).build()


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    window=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    inputs=st.integers(1, 9),
    channels=st.integers(1, 5),
    kind=st.sampled_from(["tie_free", "above", "double"]),
)
def test_the_table_gives_the_layer_s_outputs(seed, window, inputs, channels, kind):
    model = one_layer(seed, tie_free=kind == "tie_free", window=window, inputs=inputs, channels=channels)
    zero_point = model.layers[0].output.zero_point
    if kind != "tie_free":
        clamp = (zero_point, 127) if kind == "above" else (-128, 127)
        model = QuantizedModel((dataclasses.replace(model.layers[0], clamp_min=clamp[0]),))
        kind = "above" if clamp[0] == zero_point else "double"
    (step,) = fuse(model)
    assert dsp.problem(step, step.layer, divisible=kind == "tie_free") == ""
    random = np.random.default_rng(seed)
    images = random.integers(-128, 128, (40, *model.input.shape))
    images[::3] = random.choice([-128, 127], images[::3].shape)
    images[0], images[1] = -128, 127
    expected = reference.run(model, images.astype(np.int8)).reshape(40, -1)
    found = np.clip(outputs(step, kind, images.reshape(40, -1)), *step.clamp)
    np.testing.assert_array_equal(found, expected)


def tflm(n, multiplier, shift, zero_point):
    """MultiplyByQuantizedMultiplier and the zero point, as le_requantize_double.c has it; shift is to the right."""
    high = (n * multiplier + 2**30) >> 31
    mask = 2**shift - 1
    return (high >> shift) + ((high & mask) > (mask >> 1) + (high < 0)) + zero_point


@settings(max_examples=300, deadline=None)
@given(
    shift=st.integers(1, 15),
    multiplier=st.sampled_from([2**30, 2**30 + 1, 2**31 - 1]) | st.integers(2**30, 2**31 - 1),
    zero_point=st.integers(-128, 127),
    kind=st.sampled_from(["above", "double"]),
    seed=st.integers(0, 1000),
)
def test_both_endings_round_as_tflm_does(shift, multiplier, zero_point, kind, seed):
    """Around every threshold, around zero, and far out."""
    by = (multiplier, shift, zero_point)
    half_steps = np.arange(2 * (-129 - zero_point), 2 * (129 - zero_point))
    near = (half_steps * 2 ** (shift + 30) // multiplier).astype(np.int64)
    largest = min(2**23, 2 ** (14 + shift)) - 1
    far = np.random.default_rng(seed).integers(-largest, largest, 200)
    n = np.clip(np.concatenate([near, far, [0]])[:, None] + np.arange(-4, 5), -largest, largest).ravel()
    low = zero_point if kind == "above" else -128
    factors = np.array([[multiplier, (2 * zero_point + 1) << (shift - 1), shift]] * 2)
    ending = dsp.endings(factors, kind)[0]
    expected = np.clip(tflm(n, *by), low, 127)
    for found in a_and_b(signed(ending & 0xFFFFFFFF), kind, n, 256 * n):
        np.testing.assert_array_equal(np.clip(found, low, 127), expected)


def with_weights(model, weights):
    return QuantizedModel((dataclasses.replace(model.layers[0], weights=weights.astype(np.int8)),))


def problem(model, *, divisible=False):
    (step,) = fuse(model)
    return dsp.problem(step, step.layer, divisible=divisible)


def test_a_weight_of_minus_128_next_to_a_negative_one_is_refused():
    model = one_layer(1, tie_free=False, window=(1, 1), inputs=4, channels=3)
    weights = np.ones((3, 1, 1, 4), int)
    weights[1, 0, 0, 2] = -128
    assert problem(with_weights(model, weights)) == ""
    weights[0, 0, 0, 2] = -1
    assert problem(with_weights(model, weights)) == "a weight is -128 next to a negative one"


def test_sums_beyond_an_int32_are_refused():
    """256 times 127 x 128 for each input, and as much again for what is taken away."""
    inputs = 514
    model = one_layer(2, tie_free=False, window=(1, 1), inputs=inputs, channels=2)
    layer = dataclasses.replace(
        model.layers[0], bias=np.zeros(2, np.int32), input=dataclasses.replace(model.input, zero_point=0)
    )
    weights = np.full((2, 1, 1, inputs), 127)
    assert problem(with_weights(QuantizedModel((layer,)), weights)) == ""
    found = problem(with_weights(QuantizedModel((layer,)), np.repeat(weights, 2, axis=3)))
    assert found == "its sums times 256 do not fit an int32"


def test_an_ordinary_model_has_the_kernel():
    model = Chain(4, (9, 8, 3)).conv(6, (3, 3), (2, 2), clamp=FULL).conv(5, (1, 1), clamp=FULL).build()
    steps = c_source.facts(c_source.make_plan(model, "cortex_m_dsp"))["steps"]
    assert [step["kernel"] for step in steps] == ["dsp positions"] * 2
