"""The tables for AVRs, read as the assembly reads them, give the layer's sums; and what has no fast path."""

from __future__ import annotations

import dataclasses

import extreme_layers
import kernel_models
import numpy as np
import pytest
import sample_models
from hypothesis import given, settings
from random_chains import Chain

from lenet_edge.formats import c_source
from lenet_edge.formats.c_source.families import avr
from lenet_edge.formats.c_source.families.shared import bias_of
from lenet_edge.formats.c_source.plan import make_plan
from lenet_edge.formats.c_source.tables import LARGEST_TABLE, bytes_of
from lenet_edge.quantized import reference
from lenet_edge.quantized.model import QuantizedModel, accumulator_bounds
from lenet_edge.quantized.tie_free import channel_q

pytestmark = pytest.mark.usefixtures("families_order")

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
    calls = kernel.calls(("in",), "out", "scratch")
    assert ", out);" in calls[0]
    assert f", out + {sizes[0] // 407});" in calls[1]


def test_every_size_is_what_the_geometry_needs():
    plan = make_plan(sample_models.lenet5(51), "avr")
    assert [placed.kernel.name for placed in plan.steps[:3]] == ["avr tiles, 5 x 5"] * 2 + ["avr matrix"]
    assert plan.steps[0].kernel.scratch_bytes == 6 * 32  # a strip of six rows
    assert plan.steps[1].kernel.scratch_bytes == 6 * 6 * 6  # a patch


def steps(model):
    return c_source.facts(c_source.make_plan(model, "avr"))["steps"]


def test_every_kernel_is_taken_by_some_model():
    names = {step["kernel"] for make in kernel_models.MODELS.values() for step in steps(make())}
    assert names >= {"avr matrix", "avr matrix, by patches", *(f"avr tiles, {taps} x {taps}" for taps in (1, 3, 5))}


@pytest.mark.parametrize(
    ("kernel", "layer"),
    [
        ("", lambda chain: chain.depthwise(1, (3, 3), clamp=FULL)),
        ("", lambda chain: chain.depthwise(2, (3, 3), clamp=FULL)),
        ("", lambda chain: chain.depthwise(1, (9, 9), padding="same")),
        (", 3 x 3, pooled 2 x 2", lambda chain: chain.depthwise(1, (3, 3), clamp=FULL).pool((2, 2))),
        (", 3 x 3, pooled 2 x 2", lambda chain: chain.depthwise(2, (3, 3), clamp=FULL).pool((2, 2))),
        (", pooled", lambda chain: chain.depthwise(1, (3, 3), (2, 2), clamp=FULL).pool((2, 2))),
        (", pooled", lambda chain: chain.depthwise(1, (3, 3), clamp=FULL).pool((2, 1))),
        (", pooled", lambda chain: chain.depthwise(1, (2, 3), clamp=FULL).pool((2, 2))),
    ],
)
@pytest.mark.parametrize("tie_free", [True, False])
def test_a_depthwise_layer_is_fast(kernel, layer, tie_free):
    model = layer(Chain(1, (9, 9, 13), tie_free=tie_free)).build()
    assert [(step["kernel"], step["why_plain"]) for step in steps(model)] == [(f"avr depthwise{kernel}", "")]


@pytest.mark.parametrize("pool", [None, (2, 2)])
@pytest.mark.parametrize("taps", [(26, 20), (29, 18)])
def test_depthwise_sums_whose_maximum_24_bits_do_not_hold(taps, pool):
    """It is taken before the bias, which takes 522 times 126 x -128 back above -2^23."""
    chain = Chain(1, (30, 21, 2), tie_free=True, zero_point=0).depthwise(1, taps, clamp=FULL)
    weights, bias = np.full((*taps, 2), 126, np.int8), np.full(2, 32000, np.int32)
    output = dataclasses.replace(chain.current, zero_point=0)
    chain.layers[0] = dataclasses.replace(chain.layers[0], weights=weights, bias=bias, output=output)
    chain.current = output
    (found,) = steps((chain.pool(pool) if pool else chain).build())
    too_large = pool is not None and taps == (29, 18)
    assert found["kernel"] == ("plain" if too_large else "avr depthwise, pooled" if pool else "avr depthwise")
    assert found["why_plain"] == ("its accumulators do not fit an int24" if too_large else "")


@pytest.mark.parametrize(("height", "kernel"), [(54, "avr depthwise"), (55, "plain")])
def test_depthwise_weights_that_one_table_does_not_hold(height, kernel):
    """10 channels of 54 x 60 weights and 7 bytes are 32,470 bytes."""
    chain = Chain(1, (height, 60, 10), tie_free=True, zero_point=0).depthwise(1, (height, 60), clamp=FULL)
    (found,) = steps(filled(chain, 2))
    assert found["kernel"] == kernel
    assert found["why_plain"] == ("" if kernel != "plain" else "its weights do not fit one table")


def test_the_table_of_a_depthwise_layer():
    """A channel's weights, then a bias that needs no correction: sum + bias is the n that is divided by 2q."""
    (layer,) = Chain(4, (9, 9, 5), tie_free=True).depthwise(1, (2, 3), clamp=FULL).layers
    (table,) = make_plan(QuantizedModel((layer,)), "avr").steps[0].kernel.tables
    weights, behind = np.split(table.values.reshape(5, -1), [6], axis=1)
    by_channel = layer.weights.reshape(6, 5).T
    np.testing.assert_array_equal(weights.astype(np.uint8).astype(np.int8), by_channel)
    np.testing.assert_array_equal(int24(little_endian(behind[:, :3])), bias_of(layer))
    assert [tuple(row) for row in np.stack(avr.scales(channel_q(layer)), axis=1)] == [
        (int(little_endian(row[3:6])), row[6]) for row in behind
    ]


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


# --- whole layers, as the assembly computes them --------------------------------------------------


def requantized(n, multiplier, scale):
    """LE_REQUANTIZE for n modulo 2^24: the int8 output."""
    product = n * multiplier >> 24  # what r23 to r25 hold, n being unsigned still
    upper = (product - np.where(n >> 23, multiplier, 0)) % 2**24
    extended = upper >> 8 | np.where(upper >> 23, 0xFF0000, 0)
    upper = np.where(scale, extended, upper)
    fits = upper >> 8 == np.where(upper & 0x80, 0xFFFF, 0)
    byte = (upper + 128) % 256 - 128
    return np.where(fits, byte, np.where(upper >> 23, -128, 127))


def tail_of(output):
    """Of the 7 bytes behind an output's weights (bias, multiplier, scale)."""
    return little_endian(output[..., :3]), little_endian(output[..., 3:6]), output[..., 6]


def accumulators(weights, u):
    """Bytes ``[outputs, inputs]`` and u ``[..., inputs]`` -> modulo 2^24 ``[..., outputs]``, as the loops have them."""
    assert u.min() >= 0
    assert u.max() <= 255
    start = -128 * u.sum(axis=-1, keepdims=True)
    return (start + u @ weights.T) % 2**24


def matrix_outputs(table, inputs, outputs, x):
    """le_groups_avr_s8: int8 ``[n, inputs]`` -> int ``[n, outputs]``."""
    padded = -(-inputs // 4) * 4
    u = np.zeros((len(x), padded), np.int64)
    u[:, :inputs] = x.astype(np.int64) + 128
    found = []
    for group in table.reshape(-1, 6 * (padded + 7)):
        weights, behind = group[: 6 * padded].reshape(padded, 6).T, group[6 * padded :].reshape(6, 7)
        bias, *rest = tail_of(behind)
        found.append(requantized((accumulators(weights, u) + bias) % 2**24, *rest))
    assert 6 * len(found) - outputs in range(6)
    return np.concatenate(found, axis=1)[:, :outputs]


def by_matrix(kernel, table, batch):
    by = extreme_layers.fields(kernel, "inputs", "outputs")
    return matrix_outputs(table, by["inputs"], by["outputs"], batch)


def by_patches(kernel, table, batch):
    by = extreme_layers.fields(kernel, "inputs", "outputs", windows=True)
    patches = extreme_layers.patches(by, batch)
    found = matrix_outputs(table, by["inputs"], by["outputs"], patches.reshape(-1, by["inputs"]))
    return found.reshape(*patches.shape[:4], -1).max(axis=1)


def by_tiles(kernel, table, batch):
    """The maximum is taken of int24 without their bias."""
    by = extreme_layers.fields(kernel, "run", windows=True)
    u = extreme_layers.patches(by, batch) + 128
    u = u.transpose(0, 1, 2, 3, 6, 5, 4).reshape(*u.shape[:4], -1)  # [input channel][column][row]
    outputs = table.reshape(by["run"], -1)
    assert outputs.shape[1] == u.shape[-1] + 7
    largest = int24(accumulators(outputs[:, :-7], u)).max(axis=1)
    bias, *rest = tail_of(outputs[:, -7:])
    return requantized((largest + bias) % 2**24, *rest)


def n_bounds(layer):
    """The least and the greatest n of le_kernels.h that an int8 input reaches."""
    q = channel_q(layer)
    added = q + 2 * q * layer.output.zero_point
    low, high = accumulator_bounds(layer)
    return (low + added).min(), (high + added).max()


def check(model):
    (placed,) = make_plan(model, "avr").steps
    kernel = placed.kernel
    low, high = n_bounds(placed.step.layer)
    if low < -(2**23) or high >= 2**23:
        assert kernel.why_plain == "its accumulators do not fit an int24"
        return
    by = by_tiles if "tiles" in kernel.name else {"avr matrix": by_matrix}.get(kernel.name, by_patches)
    table = np.frombuffer(bytes_of(kernel.tables[0]), np.uint8).astype(np.int64)
    batch = extreme_layers.images(model)
    found = extreme_layers.clamped(kernel, by(kernel, table, batch))
    np.testing.assert_array_equal(found.reshape(len(batch), -1), reference.run(model, batch))


EXAMPLES = settings(max_examples=100, deadline=None)


@EXAMPLES
@given(model=extreme_layers.matrices(int24=True))
def test_a_whole_matrix(model):
    check(model)


@EXAMPLES
@given(model=extreme_layers.convolutions(tiled=True, int24=True))
def test_a_whole_convolution(model):
    check(model)


@EXAMPLES
@given(model=extreme_layers.convolutions(tiled=False, int24=True))
def test_any_whole_convolution(model):
    check(model)


@pytest.mark.parametrize("q", [3, 127, 129, 1023])
def test_requantisation_in_bytes(q):
    """Every odd n around the int8 results, and samples from one end of an int24 to the other."""
    (multiplier,), (is_32,) = avr.scales(np.array([q]))
    n = np.concatenate([np.arange(-600 * q + 1, 600 * q, 2), np.arange(-(2**23) + 1, 2**23, 34), [2**23 - 1]])
    expected = np.clip(n // (2 * q), -128, 127)
    np.testing.assert_array_equal(requantized(n % 2**24, multiplier, is_32), expected)


# --- bounds, to the integer -----------------------------------------------------------------------


def matrix_model(weights, **changes):
    """A model of one FULLY_CONNECTED with weights ``[outputs, inputs]``, biases 0 unless they are given."""
    outputs, inputs = weights.shape
    chain = Chain(1, (1, 1, inputs), tie_free=True, zero_point=0).flatten().fully_connected(outputs, FULL)
    changes = {"weights": weights.astype(np.int8), "bias": np.zeros(outputs, np.int32), **changes}
    return QuantizedModel((chain.layers[0], dataclasses.replace(chain.layers[1], **changes)))


@pytest.mark.parametrize("end", [0, 1])
@pytest.mark.parametrize(("beyond", "kernel"), [(0, "avr matrix"), (2, "plain")])
def test_the_last_accumulator_that_an_int24_holds(end, beyond, kernel):
    """Biases are even: one of them takes n to -2^23 + 1 or 2^23 - 1, the next one beyond."""
    weights = np.array([[126, -126, 2, 0]])
    layer = matrix_model(weights).layers[1]
    bias = ((-(2**23) + 1 - beyond) if end == 0 else (2**23 - 1 + beyond)) - n_bounds(layer)[end]
    model = matrix_model(weights, bias=np.array([bias], np.int32))
    assert n_bounds(model.layers[1])[end] == (-(2**23) + 1 - beyond, 2**23 - 1 + beyond)[end]
    (found,) = steps(model)
    assert found["kernel"] == kernel


@pytest.mark.parametrize(
    ("inputs", "why_plain"),
    [(5452, ""), (5453, "the weights of its outputs that are computed at once do not fit one table")],
)
def test_a_group_of_outputs_that_one_table_does_not_hold(inputs, why_plain):
    """6 outputs x (5,456 inputs + 7 bytes) are 32,778 bytes."""
    weights = np.zeros((2, inputs))
    weights[:, ::40] = 126
    (found,) = steps(matrix_model(weights))
    assert (found["kernel"], found["why_plain"]) == ("plain" if why_plain else "avr matrix", why_plain)


@pytest.mark.parametrize(("channels", "kernel"), [(255, "avr tiles, 3 x 3"), (256, "avr matrix, by patches")])
def test_the_channels_of_a_tile_are_counted_in_8_bits(channels, kernel):
    chain = Chain(1, (4, 4, channels), tie_free=True, zero_point=0).conv(2, (3, 3), clamp=FULL)
    (found,) = steps(filled(chain, 2))
    assert found["kernel"] == kernel


def test_what_has_q_1_is_plain_and_what_is_off_the_grid_is_not():
    odd = Chain(1, (4, 4, 1)).conv(2, (3, 3), clamp=FULL).build()
    assert [(step["kernel"], step["why_plain"]) for step in steps(odd)] == [("avr tiles, 3 x 3", "")]
    steep = Chain(1, (4, 4, 1), tie_free=True).conv(2, (1, 1), clamp=FULL, multiplier=0.9).build()
    assert [step["why_plain"] for step in steps(steep)] == ["a channel has q = 1, whose multiplier no int32 holds"]
