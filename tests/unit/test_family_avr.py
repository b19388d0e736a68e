"""The tables for AVRs, read as the assembly reads them, give the layer's sums; and what has no fast path."""

from __future__ import annotations

import dataclasses

import kernel_models
import numpy as np
import pytest
import sample_models
from random_chains import Chain

from lenet_edge.formats import c_source
from lenet_edge.formats.c_source.families import avr
from lenet_edge.formats.c_source.plan import make_plan
from lenet_edge.formats.c_source.tables import LARGEST_TABLE
from lenet_edge.quantized.model import QuantizedModel

FULL = (-128, 127)


def int24(values):
    """What 24 bits hold, as a signed number."""
    return (np.asarray(values) + 2**23) % 2**24 - 2**23


def little_endian(columns):
    return (columns.astype(np.int64) << 8 * np.arange(columns.shape[-1])).sum(axis=-1)


def accumulated(weights, x, behind):
    """Sum + bias for weights [outputs, inputs] and x [inputs], both uint8, as LE_PRODUCT and LE_REQUANTIZE have it."""
    return int24(weights @ x - 128 * x.sum() + little_endian(behind[:, :3]))


@pytest.mark.parametrize("q", [1, 3, 5, 63, 127, 129, 255, 511, 1023])
def test_scales_divide_exactly(q):
    """floor(n / 2q) for odd n, next to every multiple of 2q; beyond int8, the same saturated value."""
    (multiplier,), (is_32,) = avr.scales(np.array([q]))
    assert 0 < multiplier < 2**24
    near = 2 * q * np.arange(-300, 301)[:, None] + np.array([-1, 1, q if q % 2 else q + 1])
    n = np.concatenate([near.ravel(), [-(2**23) + 1, 2**23 - 1]])
    found = n * multiplier >> (32 if is_32 else 24)
    np.testing.assert_array_equal(np.clip(found, -128, 127), np.clip(n // (2 * q), -128, 127))


def test_scales_of_every_q_at_its_limit():
    """Just outside int8, and where the error of the multiplier is largest."""
    q = np.arange(1, 2048, 2)
    multiplier, is_32 = avr.scales(q)
    assert multiplier.max() < 2**24
    assert set(is_32) == {0, 1}
    for multiple in (-256, -255, -129, -128, -1, 0, 1, 127, 128, 255):
        for offset in (-1, 1):
            n = 2 * q * multiple + offset
            found = n * multiplier >> np.where(is_32 == 1, 32, 24)
            np.testing.assert_array_equal(np.clip(found, -128, 127), np.clip(n // (2 * q), -128, 127))


@pytest.mark.parametrize(("outputs", "inputs"), [(1, 1), (6, 4), (7, 9), (12, 30), (10, 84)])
def test_matrix(outputs, inputs):
    random = np.random.default_rng(outputs)
    weights = random.integers(-128, 128, (outputs, inputs))
    bias, q = random.integers(-(2**20), 2**20, outputs), random.integers(0, 512, outputs) * 2 + 1
    x = random.integers(-128, 128, inputs)
    behind = avr.output_bytes(bias, weights, q)
    table = avr.matrix_bytes(weights, behind)
    assert table.min() >= 0
    assert table.max() <= 255
    padded = np.zeros(-(-inputs // 4) * 4, np.int64)
    padded[:inputs] = x + 128
    groups = table.reshape(-1, 6 * (len(padded) + 7))
    columns = groups[:, : 6 * len(padded)].reshape(len(groups), len(padded), 6).transpose(0, 2, 1)
    read = columns.reshape(-1, len(padded))
    ends = groups[:, 6 * len(padded) :].reshape(-1, 7)
    np.testing.assert_array_equal(accumulated(read, padded, ends)[:outputs], weights @ x + bias)
    multiplier, scale = avr.scales(q)
    np.testing.assert_array_equal(little_endian(ends[:outputs, 3:6]), multiplier)
    np.testing.assert_array_equal(ends[:outputs, 6], scale)


@pytest.mark.parametrize(("taps", "inputs"), [(1, 3), (3, 1), (5, 2)])
def test_tiles(taps, inputs):
    """Channel by channel the weights go by input channel, then column, then row, as the patch does."""
    random = np.random.default_rng(taps)
    weights = random.integers(-127, 128, (4, taps, taps, inputs))
    bias = random.integers(-1000, 1000, 4)
    x = random.integers(-128, 128, (taps, taps, inputs))
    behind = avr.output_bytes(bias, weights.reshape(4, -1), np.full(4, 99))
    read = avr.tile_bytes(weights, behind).reshape(4, -1)
    patch = (x + 128).transpose(2, 1, 0).ravel()  # [channel][column][row]
    found = accumulated(read[:, : patch.size], patch, read[:, patch.size :])
    np.testing.assert_array_equal(found, (weights * x).sum(axis=(1, 2, 3)) + bias)


def test_large_tables_are_split_into_whole_groups():
    """LeNet-5's C5 has 48,000 weights; each run's outputs begin where its call says."""
    kernel = make_plan(sample_models.lenet5(51), "avr").steps[2].kernel
    sizes = [table.values.size for table in kernel.tables]
    assert len(sizes) == 2
    assert max(sizes) <= LARGEST_TABLE
    assert all(size % (6 * (400 + 7)) == 0 for size in sizes)
    calls = kernel.calls("in", "out", "scratch")
    assert ", out);" in calls[0]
    assert f", out + {sizes[0] // 407});" in calls[1]


def test_every_size_is_what_the_geometry_needs():
    plan = make_plan(sample_models.lenet5(51), "avr")
    assert [placed.kernel.name for placed in plan.steps[:3]] == ["avr tiles, 5 x 5"] * 2 + ["avr matrix"]
    assert plan.steps[0].kernel.scratch_bytes == 6 * 32  # a strip of six rows
    assert plan.steps[1].kernel.scratch_bytes == 6 * 6 * 6  # a patch


def steps(model):
    return c_source.facts(model, "avr")["steps"]


def test_every_kernel_is_taken_by_some_model():
    names = {step["kernel"] for make in kernel_models.MODELS.values() for step in steps(make())}
    assert names >= {"avr matrix", "avr matrix, by patches", *(f"avr tiles, {taps} x {taps}" for taps in (1, 3, 5))}


def test_a_depthwise_layer_is_plain_and_says_why():
    model = Chain(1, (9, 9, 3), tie_free=True).depthwise(1, (3, 3), clamp=FULL).build()
    assert [(step["kernel"], step["why_plain"]) for step in steps(model)] == [("plain", "it is depthwise")]


def filled(chain, value):
    """The chain's last layer with every weight so, as a model by itself."""
    *before, layer = chain.layers
    layer = dataclasses.replace(layer, weights=np.full(layer.weights.shape, value, np.int8))
    return QuantizedModel((*before, layer))


@pytest.mark.parametrize(("inputs", "kernel"), [(500, "avr matrix"), (521, "plain")])
def test_sums_that_24_bits_do_not_hold(inputs, kernel):
    """128 x 126 x 520 is just below 2^23; the bias comes on top."""
    chain = Chain(1, (1, 1, inputs), tie_free=True, zero_point=0).flatten().fully_connected(2, FULL)
    (found,) = steps(filled(chain, 126))
    assert found["kernel"] == kernel
    assert found["why_plain"] == ("" if kernel != "plain" else "its accumulators do not fit an int24")


@pytest.mark.parametrize(("channels", "kernel"), [(10, "avr tiles, 5 x 5"), (12, "avr matrix, by patches")])
def test_accumulators_whose_maximum_24_bits_do_not_hold(channels, kernel):
    """That of a tile is taken before the bias, of inputs up to 255: 255 x 126 x 25 x 11 is above 2^23."""
    chain = Chain(1, (8, 8, channels), tie_free=True, zero_point=0).conv(2, (5, 5), clamp=FULL)
    (found,) = steps(filled(chain, 126))
    assert found["kernel"] == kernel
