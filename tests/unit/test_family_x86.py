"""The tables of the kernels for x86-64, read as the C reads them, give the layer's sums."""

from __future__ import annotations

import kernel_models
import numpy as np
import pytest
import sample_models
from random_chains import Chain

from lenet_edge.formats import c_source
from lenet_edge.formats.c_source.families import x86
from lenet_edge.formats.c_source.families.shared import bias_of
from lenet_edge.formats.c_source.tables import double_rounding_of

pytestmark = pytest.mark.usefixtures("families_order")


@pytest.mark.parametrize("shape", [(1, 1, 1), (8, 1, 4), (9, 5, 30), (16, 3, 7), (10, 1, 84)])
def test_quads_give_the_sums(shape):
    random = np.random.default_rng(1)
    weights = 2 * random.integers(-63, 64, shape)
    x = random.integers(-128, 128, shape[1:])
    found = x86.quads(weights)
    groups, rows, count, _, _ = found.shape
    inputs = np.zeros((rows, count * 4), np.int64)
    inputs[:, : shape[2]] = x + 128
    sums = np.einsum("grqci,rqi->gc", found, inputs.reshape(rows, count, 4)).reshape(groups * 8)
    expected = np.einsum("cri,ri->c", weights, x)
    np.testing.assert_array_equal(2 * sums[: shape[0]] - 128 * weights.sum(axis=(1, 2)), expected)
    assert not sums[shape[0] :].any()


@pytest.mark.parametrize("shape", [(3, 3, 16), (1, 5, 17), (2, 2, 40), (1, 1, 1)])
@pytest.mark.parametrize("halved", [True, False])
def test_quads_of_taps_give_the_sums(shape, halved):
    random = np.random.default_rng(1)
    weights = 2 * random.integers(-63, 64, shape) if halved else random.integers(-128, 128, shape)
    x = random.integers(0, 256, shape)
    found = x86.tap_quads(weights, halved=halved)
    groups, count, _, _ = found.shape
    inputs = np.zeros((4 * count, 16 * groups), np.int64)
    inputs[: shape[0] * shape[1], : shape[2]] = x.reshape(-1, shape[2])
    sums = np.einsum("gqct,qtgc->gc", found, inputs.reshape(count, 4, groups, 16)).ravel()
    np.testing.assert_array_equal((1 + halved) * sums[: shape[2]], (weights * x).sum(axis=(0, 1)))
    assert not found.reshape(groups, count, 16, 4).transpose(0, 2, 1, 3).reshape(-1, count, 4)[shape[2] :].any()


def test_no_pair_of_products_saturates():
    """PMADDUBSW adds two products of a uint8 and an int8 to an int16."""
    for sign in (-126, 126):
        halves = x86.quads(np.full((8, 1, 4), sign))
        assert abs(2 * 255 * int(halves[0, 0, 0, 0, 0])) < 2**15


def test_the_bias_has_what_the_sums_of_unsigned_inputs_have_too_much():
    layer = sample_models.lenet5(51).layers[-1]
    by = x86._requantization_of(layer, divisible=True)
    bias, _ = x86._unsigned_tables(layer, "x", by)
    sums = layer.weights.astype(np.int64).sum(axis=1)
    np.testing.assert_array_equal(bias.values[: len(sums)], bias_of(layer) - 128 * sums)
    assert not bias.values[len(sums) :].any()
    assert len(bias.values) % 8 == 0


def fast(weights, x):
    """Even and odd positions along the last axis of x, one more than the taps, by the fast FIR algorithm."""
    both, even, odd = x86.fast_fir(weights, 0)
    x0, x1 = x[..., ::2], x[..., 1::2]
    p2 = (both * x1[..., : len(both)]).sum(axis=-1)
    p1 = (even * (x0 - x1)[..., : len(even)]).sum(axis=-1)
    p3 = (odd * (x0[..., 1:] - x1[..., : x0.shape[-1] - 1])[..., : len(odd)]).sum(axis=-1)
    return p1 + p2, p2 + p3


@pytest.mark.parametrize("taps", [3, 5])
def test_fast_fir(taps):
    random = np.random.default_rng(taps)
    weights, x = random.integers(-126, 127, taps), random.integers(-128, 128, (4, taps + 1))
    found = fast(weights, x)
    np.testing.assert_array_equal(found[0], x[:, :taps] @ weights)
    np.testing.assert_array_equal(found[1], x[:, 1:] @ weights)


@pytest.mark.parametrize(("taps", "pairs"), [(3, 13), (5, 34)])
@pytest.mark.parametrize("channels", [1, 6, 7])
def test_one_channel_has_every_sum_of_weights_once(channels, taps, pairs):
    weights = 2 * np.random.default_rng(taps).integers(-63, 64, (channels, taps, taps))
    found = x86.one_pairs(weights)
    assert found.shape[2:] == (6, 2)
    assert found.shape[0] == -(-channels // 6)
    expected = [part for columns in x86.fast_fir(weights, 2) for part in x86.fast_fir(columns, 1)]
    totals = sum(part.sum(axis=(1, 2)) for part in expected)
    by_channel = found.sum(axis=(1, 3)).ravel()
    np.testing.assert_array_equal(by_channel[:channels], totals)
    assert not by_channel[channels:].any()
    assert found.shape[1] == pairs
    assert np.abs(found).max() <= 4 * 126


@pytest.mark.parametrize("channels", [1, 6, 7])
@pytest.mark.parametrize("taps", [3, 5])
def test_quads_of_one_channel_give_the_sums(channels, taps):
    random = np.random.default_rng(taps)
    weights, x = random.integers(-128, 128, (channels, taps, taps)), random.integers(0, 256, (taps, taps))
    wide = np.concatenate([x, random.integers(0, 256, (taps, 1))], axis=1)  # a column that no weight may see
    inputs = [wide[row, :4] for row in range(taps)]
    if taps == 5:
        inputs += [x[:4, 4], x[1:, 4]]
    found = x86.one_quads(weights)
    assert found.shape == (-(-channels // 6), len(inputs), 6, 4)
    sums = np.einsum("gqct,qt->gc", found, np.stack(inputs)).ravel()
    np.testing.assert_array_equal(sums[:channels], np.einsum("crt,rt->c", weights, x))
    assert not sums[channels:].any()


def test_quads_for_avx512_have_groups_of_sixteen_and_whole_weights():
    random = np.random.default_rng(16)
    weights, x = random.integers(-128, 128, (17, 5, 30)), random.integers(0, 256, (5, 32))
    found = x86.quads(weights, halved=False, group=16)
    assert found.shape == (2, 5, 8, 16, 4)
    sums = np.einsum("grqci,rqi->gc", found, x.reshape(5, 8, 4)).ravel()
    np.testing.assert_array_equal(sums[:17], np.einsum("cri,ri->c", weights, x[:, :30]))
    assert not sums[17:].any()


@pytest.mark.parametrize(("channels", "taps", "inputs"), [(16, 5, 6), (9, 3, 3), (8, 5, 1)])
def test_tiles_give_the_sums_of_each_part(channels, taps, inputs):
    random = np.random.default_rng(channels)
    weights = 2 * random.integers(-63, 64, (channels, taps, taps, inputs))
    found = x86.tile_pairs(weights)
    at = 0
    for columns in x86.fast_fir(weights, 2):
        for part in x86.fast_fir(columns, 1):
            x = random.integers(-510, 511, part.shape[1:])
            pairs = np.concatenate([x, np.zeros((*x.shape[:2], inputs % 2), np.int64)], axis=2).reshape(-1, 2)
            sums = (found[:, at : at + len(pairs)] * pairs[:, None]).sum(axis=(1, 3)).ravel()
            np.testing.assert_array_equal(sums[:channels], np.einsum("orci,rci->o", part, x))
            at += len(pairs)
    assert at == found.shape[1]


def kernels(model):
    return [
        (step["kernel"], step["why_plain"])
        for step in c_source.facts(c_source.make_plan(model, "x86"))["steps"]
        if step["macs"]
    ]


def test_every_kernel_is_taken_by_some_model():
    names = {name for make in kernel_models.MODELS.values() for name, _ in kernels(make())}
    assert names >= {"x86 rows", "x86 one channel", "x86 tiles", "x86 matrix"}


def test_lenet5_has_the_fastest():
    assert [name for name, _ in kernels(sample_models.lenet5(51))] == [
        "x86 one channel",
        "x86 tiles",
        *["x86 matrix"] * 3,
    ]


def test_ordinary_models_and_depthwise_layers_have_kernels_too():
    assert {name for name, _ in kernels(sample_models.lenet5(51, "ordinary"))} == {
        "x86 one channel",
        "x86 tiles",
        "x86 matrix",
    }
    for tie_free in (True, False):
        depthwise = Chain(1, (9, 9, 3), tie_free=tie_free).depthwise(1, (3, 3), clamp=(-128, 127)).build()
        assert kernels(depthwise) == [("x86 depthwise", "")]


def test_what_has_no_fast_path_says_why():
    large = Chain(1, (9, 9, 3)).conv(4, (3, 3), multiplier=1.5).build()
    assert kernels(large) == [("plain", "a channel's scale is 1 or more")]


def test_the_shift_is_to_the_right_and_the_zero_point_and_clamp_are_the_kernel_s():
    model = Chain(3, (9, 9, 3)).depthwise(1, (3, 3), clamp=(-100, 90)).build()
    (placed,) = c_source.make_plan(model, "x86").steps
    tables = {table.name.rpartition("_")[2]: table.values for table in placed.kernel.tables}
    by = double_rounding_of(model.layers[0])
    np.testing.assert_array_equal(tables["shift"][:3], -by.shift)
    np.testing.assert_array_equal(tables["multiplier"][:3], by.multiplier)
    assert f"_shift, {model.output.zero_point}, -100, 90}}" in placed.kernel.definitions
    assert "shared/le_clamp.c" not in placed.kernel.sources
