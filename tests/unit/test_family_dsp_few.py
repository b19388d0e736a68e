"""The tables of le_few_inputs_dsp.S and le_small_matrix_dsp.S, read as the assembly does, give the layer's outputs."""

from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from random_chains import Chain

from lenet_edge.formats import c_source
from lenet_edge.formats.c_source.choice import candidates
from lenet_edge.formats.c_source.families import dsp_few as dsp
from lenet_edge.formats.c_source.fusing import fuse
from lenet_edge.quantized import reference
from lenet_edge.quantized.model import QuantizedModel

FULL = (-128, 127)
NINE = ((0, 2), (3, 5), (6, 8), (1, 4), (7, None))  # the words of a 3 x 3 window; None is whatever lies behind it
FOURS = ((0, 2), (1, 3))  # and of each four inputs elsewhere


def int32(values):
    """The values, none of which overflows."""
    assert (np.abs(np.asarray(values, object)) < 2**31).all()
    return values


def signed(words):
    return np.asarray(words, np.uint32).view(np.int32).astype(np.int64)


def halves(words):
    return np.ascontiguousarray(np.asarray(words, np.uint32)).view(np.int16).astype(np.int64).reshape(-1, 2)


def requantized(sums, factors):
    """int8 of sums with the bias, as to_int8_point and to_int8_double of le_requantize_dsp.h."""
    multiplier, addend, *shift = map(int, factors)
    half = 2**31 if shift else 0
    high = int32(addend + ((int32(sums) * multiplier + half) >> 32))
    return np.clip((high + (sums >> 31)) >> shift[0] if shift else high >> 11, -128, 127)


def pairs_of(x):
    """Inputs [images, K] as the halves of words, [images, words, 2]."""
    if x.shape[1] == 9:
        x = np.concatenate([x, np.full((len(x), 1), 99)], axis=1)
        return x[:, [[low, 9 if high is None else high] for low, high in NINE]]
    order = np.concatenate([np.array(FOURS) + first for first in range(0, x.shape[1], 4)])
    return x[:, order]


def outputs(step, x, *, divisible):
    """Of inputs [images, K], each channel by itself."""
    by, pairs = dsp.channels_of(step, step.layer, divisible=divisible), pairs_of(x)
    found = []
    for words in dsp.words(step.layer, by).reshape(len(step.layer.bias), -1):
        taps = halves(words[1 : 1 + pairs.shape[1]])
        sums = signed(words[:1])[0] + (pairs * taps).sum(axis=(1, 2))
        found.append(requantized(sums, signed(words[1 + pairs.shape[1] :])))
    return np.stack(found, axis=1)


def outputs_by_twos(step, x, *, divisible):
    """Of inputs [images, K], two outputs at a time, eight inputs at a time."""
    by, pairs = dsp.channels_of(step, step.layer, divisible=divisible), pairs_of(x)
    found = []
    for words in dsp.small_words(step.layer, by).reshape(len(step.layer.bias) // 2, -1):
        sums = signed(words[:2])[:, None] + np.zeros((2, len(x)), np.int64)
        eights, factors = words[2 : 2 + 2 * pairs.shape[1]], signed(words[2 + 2 * pairs.shape[1] :])
        for index, four in enumerate(eights.reshape(-1, 4)):
            at = index // 2 * 4
            sums[index % 2] += (pairs[:, at : at + 4] * halves(four)).sum(axis=(1, 2))
        found += [requantized(n, by_one) for n, by_one in zip(sums, factors.reshape(2, -1), strict=True)]
    return np.stack(found, axis=1)


def layer_of(seed, inputs, channels, kind):
    """A model of one layer that has one position: a convolution, with 9 inputs 3 x 3; or a matrix."""
    chain = Chain(
        seed, (3, 3, 1) if inputs == 9 else (1, 1, inputs), tie_free=kind == "tie-free", zero_point=seed % 256 - 128
    )
    if inputs > 16:
        chain.flatten().fully_connected(channels, FULL)
    else:
        chain.conv(channels, (3, 3) if inputs == 9 else (1, 1), clamp=FULL)
    if kind == "above":
        last = chain.layers[-1]
        chain.layers[-1] = dataclasses.replace(last, clamp_min=last.output.zero_point)
    return chain.build()


def images_of(model, seed):
    """Noise, the extremes mixed, and what gives the largest and smallest sums of a channel."""
    random, weights = np.random.default_rng(seed), model.layers[-1].weights
    images = random.integers(-128, 128, (60, *model.input.shape))
    images[::3] = random.choice([-128, 127], images[::3].shape)
    images[0], images[1] = -128, 127
    images[2], images[3] = (np.where(weights[0] * sign < 0, -128, 127).reshape(model.input.shape) for sign in (1, -1))
    return images.astype(np.int8)


@settings(max_examples=120, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    inputs=st.sampled_from([4, 8, 9, 12, 16, 24, 64]),
    channels=st.integers(1, 4),
    kind=st.sampled_from(["tie-free", "above", "double"]),
    extreme=st.booleans(),
)
def test_the_tables_give_the_layer_s_outputs(seed, inputs, channels, kind, extreme):
    model = layer_of(seed, inputs, 2 * channels, kind)
    if extreme:
        largest = (-126, 126) if kind == "tie-free" else (-128, 127)
        layer = model.layers[-1]
        weights = np.random.default_rng(seed).choice(largest, layer.weights.shape).astype(np.int8)
        model = QuantizedModel((*model.layers[:-1], dataclasses.replace(layer, weights=weights)))
    (step,) = fuse(model)
    if dsp.channels_of(step, step.layer, divisible=kind == "tie-free") is None:
        assert kind == "tie-free"
        return
    images = images_of(model, seed)
    x, compute = images.reshape(len(images), -1).astype(np.int64), outputs_by_twos if inputs > 16 else outputs
    found = np.clip(compute(step, x, divisible=kind == "tie-free"), *step.clamp)
    np.testing.assert_array_equal(found, reference.run(model, images).reshape(found.shape))


def tflm(n, multiplier, shift, zero_point):
    """MultiplyByQuantizedMultiplier and the zero point, as le_requantize_double.c has it; shift is to the right."""
    high = (n * multiplier + 2**30) >> 31
    mask = 2**shift - 1
    return (high >> shift) + ((high & mask) > (mask >> 1) + (high < 0)) + zero_point


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 1000),
    scale=st.floats(2.0**-11, 2.0**-5),
    zero_point=st.integers(-128, 127),
)
def test_the_point_rounds_as_tflm_does_around_every_threshold(seed, scale, zero_point):
    """All sums next to those at which the output changes, whatever the shift."""
    random = np.random.default_rng(seed)
    chain = Chain(seed, (1, 1, 4), zero_point=int(random.integers(-128, 128))).conv(
        3, (1, 1), clamp=(zero_point, 127), zero_point=zero_point
    )
    layer = chain.layers[0]
    real = scale * random.uniform(1, 1.999, 3) * layer.output.scale / layer.input.scale
    layer = dataclasses.replace(
        layer,
        weights=np.full((3, 1, 1, 4), 127, np.int8),
        weight_scales=real.astype(np.float32),
        bias=np.zeros(3, np.int32),
    )
    (step,) = fuse(QuantizedModel((layer,)))
    by = dsp.channels_of(step, layer, divisible=False)
    double = dsp.requantization_of(layer, divisible=False)
    for channel in range(3):
        multiplier, _, shift = map(int, double.factors[channel])
        limit = 2**30 // int(by.times[channel])
        near = (np.arange(0, 2 * (130 - zero_point)) * 2 ** (shift + 30) // multiplier).astype(np.int64)
        n = np.clip((near[:, None] + np.arange(-4, 5)).ravel(), -limit, limit)
        expected = np.clip(tflm(n, multiplier, shift, zero_point), zero_point, 127)
        found = np.clip(requantized(n * int(by.times[channel]), by.factors[channel]), zero_point, 127)
        assert by.rounding == "point"
        np.testing.assert_array_equal(found, expected)


def names(chain, *, divisible=False):
    (step,) = fuse(QuantizedModel(tuple(chain.layers)))
    found = candidates("cortex_m_dsp", step, "it", divisible=divisible)
    return [kernel.name for kernel in found]


def test_which_layers_have_the_kernels():
    def conv(shape, *rest, **more):
        return names(Chain(3, shape).conv(*rest, clamp=FULL, **more))

    def dense(inputs, outputs):
        return names(Chain(3, (1, 1, inputs)).flatten().fully_connected(outputs, FULL))

    assert conv((5, 5, 8), 3, (1, 1))[0] == "dsp few inputs"
    assert conv((5, 5, 1), 3, (3, 3), (2, 2), "same")[0] == "dsp 3 x 3 on one channel"
    for inputs, window, stride in ((6, (1, 1), (1, 1)), (20, (1, 1), (1, 1)), (8, (1, 1), (2, 2)), (2, (3, 3), (1, 1))):
        assert not {"dsp few inputs", "dsp 3 x 3 on one channel"} & set(conv((6, 6, inputs), 3, window, stride))
    assert "dsp 3 x 3 on one channel" not in names(Chain(3, (8, 8, 1)).conv(3, (3, 3), clamp=FULL).pool((2, 2)))
    assert dense(12, 5)[0] == "dsp few inputs"
    assert dense(32, 10)[0] == "dsp small matrix"
    assert dense(32, 9) == dense(36, 10) == dense(64, 18) == ["dsp matrix"]


def test_scales_that_no_power_of_two_brings_to_the_point_have_the_double_rounding():
    """Weights of 127 times 2^9 are beyond an int16."""
    chain = Chain(5, (4, 4, 8), zero_point=-128).conv(2, (1, 1), clamp=FULL, zero_point=-128)
    layer = chain.layers[0]
    ratio = layer.output.scale / layer.input.scale
    weights = np.full(layer.weights.shape, 127, np.int8)
    found = []
    for real in (2.0**-4, 2.0**-3, 2.0**-10, 2.0**-11):  # shifts of 3, 2, 9, 10 for multipliers of 2^30
        scales = np.full(2, real * 0.99 * ratio, np.float32)
        each = dataclasses.replace(layer, weights=weights, weight_scales=scales, bias=np.zeros(2, np.int32))
        (step,) = fuse(QuantizedModel((each,)))
        found.append(dsp.channels_of(step, each, divisible=False).rounding)
    assert found == ["point", "double", "point", "double"]


def test_an_ordinary_model_has_the_kernels():
    chain = Chain(4, (18, 18, 1)).conv(12, (3, 3), (2, 2), "same", clamp=FULL, zero_point=-128)
    model = chain.conv(16, (1, 1), clamp=FULL, zero_point=-128).build()
    steps = c_source.facts(c_source.make_plan(model, "cortex_m_dsp"))["steps"]
    assert [step["kernel"] for step in steps] == ["dsp 3 x 3 on one channel", "dsp few inputs"]
