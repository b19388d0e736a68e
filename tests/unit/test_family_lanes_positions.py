"""The kernel of two positions with two output channels in the lanes of a word: its table, read as le_lanes.h describes
it and as the assembly computes with it, gives the reference's integers."""

from __future__ import annotations

import dataclasses

import extreme_layers
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_chains import Chain

from lenet_edge.formats.c_source.families import lanes, lanes_positions
from lenet_edge.formats.c_source.fusing import fuse
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.quantized import reference
from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.quantized.tie_free import ADMISSIBLE_Q

ASSEMBLIES = ("cortex_m", "rv32")
FULL = (-128, 127)
HALF, WORD = 1 << 15, 1 << 32


def int32(values):
    """What a register of 32 bits holds, as a signed number."""
    return (np.asarray(values) + WORD // 2) % WORD - WORD // 2


def divided(k, words, assembly):
    """`requantize` of le_positions_*.S; words: limit and reciprocal, for Cortex-M in two parts."""
    inside = np.clip(k, 0, words[0] - 1)
    if assembly == "rv32":
        t = inside * words[1] >> 32
    else:
        upper, lower = inside * words[1], inside * words[2]
        assert max(upper.max(initial=0), lower.max(initial=0)) < WORD
        t = upper + (lower >> 14) >> 14
    return np.where(k < 0, 0, np.where(k >= words[0], 255, t)) - 128


@pytest.mark.parametrize("assembly", ASSEMBLIES)
def test_the_division_is_exact_for_every_q(assembly):
    """Both sides grow with K, so that the two ends of each quotient's range show all in between."""
    for q in ADMISSIBLE_Q:
        words = [256 * q, (1 << 32) // q + 1] if assembly == "rv32" else [256 * q, *divmod((1 << 28) // q + 1, 1 << 14)]
        ends = np.arange(256)[:, None] * q + np.array([0, q - 1])
        k = np.concatenate([ends.ravel(), [-(2**24), -1, 256 * q, 2**24]])
        np.testing.assert_array_equal(divided(k, words, assembly), np.clip(k // q - 128, -128, 127))


def sums_of(pair, taps, x):
    """The sums of both channels with what the halves of lanes add: int32 ``[n]`` of x ``[n, taps]``."""
    chunk, words = int(pair[0]), int32(pair[1 : 1 + taps])
    assert chunk in (2, 4, 8)
    parts = (x * words).reshape(len(x), -1, chunk).sum(axis=2)
    signed = parts + HALF
    assert (signed == int32(signed)).all()  # neither lane leaves 16 bits
    upper = signed >> 16
    return int32(signed.sum(axis=1) - (upper.sum(axis=1) << 16)), upper.sum(axis=1)


def double_rounded(accumulator, words, by, assembly):
    """The other `requantize` of le_positions_*.S; words: multiplier and shift, or both halves of it and shift."""
    if assembly == "rv32":
        twice, multiplier, less = 2 * accumulator, *words
        assert (twice == int32(twice)).all()
        x = (twice * multiplier >> 32) + (twice * multiplier % WORD >> 31)
        found = (x + (x >> 31) >> less) + 1 >> 1
    else:
        upper, lower, shift = words
        low, high = (accumulator + HALF) % 2**16 - HALF, accumulator + HALF >> 16
        parts = (low * lower, low * upper, high * lower, high * upper * 2)
        middle = (parts[0] >> 16) + parts[1] + parts[2]
        assert all((part == int32(part)).all() for part in (*parts, middle))
        x = (middle >> 15) + (middle >> 14 & 1) + parts[3]
        x = x + (x >> 31)
        found = (x >> shift) + (x >> shift - 1 & 1)
    return np.clip(found + by["zero_point"], by["clamp_min"], by["clamp_max"])


def run(kernel, assembly, batch, *, divisible=True):
    """le_conv2d_positions_lanes_s8: int8 images -> int ``[images, rows, columns, outputs]``."""
    by = extreme_layers.fields(kernel, "taps", "zero_point", "clamp_min", "clamp_max", windows=True)
    patches = extreme_layers.patches(by, batch)
    shape, taps = patches.shape[:4], by["taps"]
    flat = patches.reshape(*shape, -1)
    pooled = by["pool_h"] * by["pool_w"] > 1
    assert kernel.scratch_bytes >= 8 * taps + (2 * by["outputs"] if pooled else 0)
    x = np.full((*shape, taps), 99)  # what is beyond the patch is anything
    x[..., : flat.shape[-1]] = flat
    size = 3 if assembly == "rv32" else 4
    pairs = extreme_layers.words(kernel).reshape(-1, 1 + taps + 2 * size)
    assert len(pairs) == (by["outputs"] + 1) // 2
    found = []
    for pair in pairs:
        behind = pair[1 + taps :].reshape(2, size)
        for total, words in zip(sums_of(pair, taps, x.reshape(-1, taps)), behind, strict=True):
            k = total + int32(words[0])
            if len(found) == by["outputs"]:
                break  # a channel that fills up a pair
            assert (k == int32(k)).all()
            outputs = divided(k, words[1:], assembly) if divisible else double_rounded(k, words[1:], by, assembly)
            found.append(outputs.reshape(shape).max(axis=1))
    return extreme_layers.clamped(kernel, np.stack(found, axis=-1))


def kernel_of(model, assembly, *, divisible=True):
    (step,) = fuse(model)
    kernel = lanes_positions.kernel(step, "it", assembly, divisible=divisible)
    assert isinstance(kernel, Kernel)
    return kernel


def check(model, assembly, *, divisible=True):
    batch = extreme_layers.images(model)
    found = run(kernel_of(model, assembly, divisible=divisible), assembly, batch, divisible=divisible)
    np.testing.assert_array_equal(found.reshape(len(batch), -1), reference.run(model, batch))


@settings(max_examples=150, deadline=None)
@given(model=st.booleans().flatmap(lambda tiled: extreme_layers.convolutions(tiled=tiled)), rv32=st.booleans())
def test_any_convolution(model, rv32):
    check(model, ASSEMBLIES[rv32])


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rv32=st.booleans())
def test_any_convolution_off_the_grid(seed, rv32):
    """Odd weights, and the largest ones that two taps of a lane admit; clamps, zero points, scales up to a half."""
    random = np.random.default_rng(seed)
    shape, kernel = random.integers(1, (9, 9, 7)).tolist(), random.integers(1, 5, 2).tolist()
    chain = Chain(seed, shape, zero_point=int(random.integers(-128, 128)))
    scale = float(10 ** random.uniform(-4, -0.31))
    chain.conv(int(random.integers(1, 10)), kernel, (1, 2), "same", multiplier=scale)
    layer = chain.layers[0]
    weights = random.choice([layer.weights, random.integers(-127, 128, layer.weights.shape)])
    few = np.full_like(layer.weight_scales, scale * layer.output.scale / layer.input.scale)
    chain.layers = [dataclasses.replace(layer, weights=weights.astype(np.int8), weight_scales=few)]
    if min(chain.current.shape[:2]) >= 2 and random.random() < 0.4:
        chain.pool((2, 2))
    check(chain.build(), ASSEMBLIES[rv32], divisible=False)


@pytest.mark.parametrize(("first", "second", "fits"), [(-128, -127, True), (-128, -128, False), (127, 127, True)])
def test_what_leaves_a_lane_with_two_taps_is_refused(first, second, fits):
    model = with_weights(np.array([[1, 2, 3, 4], [first, second, 0, 0]]))
    (step,) = fuse(model)
    for assembly in ASSEMBLIES:
        found = lanes_positions.kernel(step, "it", assembly, divisible=False)
        assert isinstance(found, Kernel) == fits
        assert fits or found == "two of its weights do not fit a lane of 16 bits"
        if fits:
            check(model, assembly, divisible=False)


def with_weights(weights):
    """A model of one convolution of 1 x 1 with weights ``[outputs, inputs]``."""
    chain = Chain(1, (2, 3, weights.shape[1]), tie_free=True).conv(len(weights), (1, 1), clamp=FULL)
    layer = dataclasses.replace(
        chain.layers[0], weights=weights[:, None, None].astype(np.int8), bias=np.zeros(len(weights), np.int32)
    )
    return QuantizedModel((layer,))


def test_chunks_are_as_long_as_the_lanes_hold():
    """Sums of halves of 255 fit, whatever their signs; of -256 do not, as inputs of -128 make it 32,768."""
    rows = np.zeros((8, 16), np.int64)
    rows[0, :8] = [63, 63, 63, 63, 3, 0, 0, 0]  # 255: eight taps
    rows[2, :8] = [63, 63, 63, 63, 4, 0, 0, 0]  # 256: eight, and -256: four
    rows[4, 8:] = [-63, 63, 63, -63, 63, 63, 63, 63]
    rows[7, :5] = [63, 63, 63, 63, -3]  # the upper lane
    for signs, second in ((1, 8), (-1, 4)):
        pairs = lanes_positions.layer_pairs(with_weights(2 * signs * rows).layers[0], divisible=True)
        assert lanes_positions.chunks_of(pairs, 1).tolist() == [8, second, 4, 8]
        assert lanes_positions.chunks_of(pairs, 2).tolist() == [second, second, 4, 4]
        for assembly in ASSEMBLIES:
            check(with_weights(2 * signs * rows), assembly)


@pytest.mark.parametrize(("inputs", "taps"), [(1, 4), (4, 4), (5, 8), (9, 12), (12, 12), (13, 16), (64, 64)])
def test_taps_are_chunks_of_eight_where_that_adds_little(inputs, taps):
    assert lanes_positions.taps_of(with_weights(np.zeros((2, inputs), np.int64)).layers[0]) == taps


@pytest.mark.parametrize(("inputs", "fits"), [(8188, True), (8189, False)])
def test_what_takes_too_much_scratch_says_so(inputs, fits):
    (step,) = fuse(with_weights(np.zeros((2, inputs), np.int64)))
    found = lanes_positions.kernel(step, "it", "rv32", divisible=True)
    assert isinstance(found, Kernel) == fits
    assert fits or found == "its patch takes 65536 bytes of scratch, more than 65535"
    assert fits or "positions" not in "".join(
        kernel.name for kernel in lanes.kernels(step, "it", divisible=True, assembly="rv32")
    )
