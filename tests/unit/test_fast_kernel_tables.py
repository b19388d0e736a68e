"""The tables of fast kernels, read as the assembly reads them, give the layer's sums; and what has no fast path."""

from __future__ import annotations

import dataclasses

import kernel_models
import numpy as np
import pytest
import sample_models
from random_chains import Chain

from lenet_edge.formats import c_source
from lenet_edge.formats.c_source.families import cortex_m_dsp as dsp
from lenet_edge.formats.c_source.families import dsp_depthwise, dsp_nested
from lenet_edge.formats.c_source.families.dsp_requantization import Requantization, requantization_of
from lenet_edge.formats.c_source.families.shared import largest_sum
from lenet_edge.quantized.model import QuantizedModel

FULL = (-128, 127)


def halves(words):
    """[..., 2]: the low and high int16 of words."""
    return (
        np.ascontiguousarray(np.asarray(words, np.uint32)).view(np.int16).reshape(*np.shape(words), 2).astype(np.int64)
    )


def signed(words):
    return np.asarray(words, np.uint32).view(np.int32).astype(np.int64)


def in_pairs(x, order):
    """[..., inputs] -> [..., words, 2], as le_pairs_dsp.c lays them out."""
    return np.where(order < 0, 0, x[..., order])


@pytest.mark.parametrize("inputs", [1, 2, 3, 4, 5, 6, 7, 8, 30])
def test_pairs_order_is_sxtb16_s(inputs):
    """Of four bytes SXTB16 widens 0 and 2, with a rotation 1 and 3."""
    order = dsp.pairs_order(inputs)
    for group in range(inputs // 4):
        assert order[2 * group : 2 * group + 2].tolist() == [
            [4 * group, 4 * group + 2],
            [4 * group + 1, 4 * group + 3],
        ]
    assert sorted(order[order >= 0].tolist()) == list(range(inputs))
    assert len(order) == (inputs + 1) // 2


@pytest.mark.parametrize("factors", [1, 3])
@pytest.mark.parametrize(("outputs", "inputs"), [(1, 1), (6, 4), (7, 9), (12, 30), (10, 84)])
def test_matrix(outputs, inputs, factors):
    random = np.random.default_rng(outputs)
    weights = random.choice([-127, -1, 0, 1, 127, *range(-126, 127)], (outputs, inputs)).astype(np.int64)
    weights[::2, 0] = -128  # the lower byte holds it
    bias, more = random.integers(-(2**31), 2**31, outputs), random.integers(0, 2**31, (outputs, factors))
    x = random.integers(-128, 128, inputs)
    words = dsp.matrix_words(weights, Requantization(1, bias, more))
    order = dsp.pairs_order(inputs)
    pairs = np.zeros((-(-inputs // 4) * 2, 2), np.int64)
    pairs[: len(order)] = in_pairs(x, order)
    tail_words = 6 * (1 + factors)
    group_words = 3 * len(pairs) + tail_words
    found = []
    for group in words.reshape(-1, group_words):
        taps = halves(group[:-tail_words].reshape(-1, 3))  # [pair, word, half]
        both = (taps * pairs[:, None]).sum(axis=(0, 2))
        low = ((taps.astype(np.int8)) * pairs[:, None]).sum(axis=(0, 2))
        found += np.stack([low, (both - low) >> 8], axis=1).ravel().tolist()
        assert ((both - low) % 256 == 0).all()
    assert found[:outputs] == (weights @ x).tolist()
    assert not any(found[outputs:])
    tail = signed(words.reshape(-1, group_words)[:, -tail_words:]).reshape(-1, 1 + factors)
    np.testing.assert_array_equal(tail[:outputs], np.column_stack([bias, more]))


def conv(channels, taps, inputs, divisible):
    chain = Chain(taps * 100 + channels, (9, 8, inputs), tie_free=divisible).conv(channels, (taps, taps), clamp=FULL)
    return chain.layers[0]


def sums(layer, patch):
    """[row, column, channel] of the 2 x 2 positions of a tile."""
    taps = layer.weights.shape[1]
    weights = layer.weights.astype(np.int64)
    places = [(row, column) for row in range(2) for column in range(2)]
    found = [np.einsum("okli,kli->o", weights, patch[r : r + taps, c : c + taps]) for r, c in places]
    return np.array(found).reshape(2, 2, -1)


@pytest.mark.parametrize("divisible", [True, False])
def test_one_channel(divisible):
    layer = conv(5, 5, 1, divisible)
    by = requantization_of(layer, divisible=divisible)
    patch = np.random.default_rng(1).integers(-128, 128, (6, 6, 1))
    expected = by.times * sums(layer, patch)
    column = patch[..., 0].T.reshape(6, 3, 2)  # [column][word] as pairs of rows
    for channel, words in enumerate(dsp.one_words(layer, by).reshape(5, -1)):
        taps = halves(words[4:24].reshape(5, 4))
        a, b, d, e = taps.transpose(1, 0, 2)
        for side in range(2):
            x = column[side : side + 5]
            upper = (a * x[:, 0]).sum() + (b * x[:, 1]).sum() + (e[:, 1] * x[:, 2, 0]).sum()
            lower = (a[:, 0] * x[:, 0, 1]).sum() + (d * x[:, 1]).sum() + (e * x[:, 2]).sum()
            assert [upper, lower] == expected[:, side, channel].tolist()
        assert signed(words[:4]).tolist() == [by.bias[channel]] * 4
        assert words[25] == (channel != 4)
        np.testing.assert_array_equal(np.delete(signed(words[24:]), 1), by.factors[channel])


@pytest.mark.parametrize("divisible", [True, False])
@pytest.mark.parametrize(("channels", "taps", "inputs"), [(4, 5, 6), (3, 3, 2), (9, 3, 5), (8, 1, 7), (1, 5, 4)])
def test_pairs(channels, taps, inputs, divisible):
    layer = conv(channels, taps, inputs, divisible)
    by = requantization_of(layer, divisible=divisible)
    patch = np.random.default_rng(channels).integers(-128, 128, (taps + 1, taps + 1, inputs))
    expected = by.times * sums(layer, patch)
    x = in_pairs(patch, dsp.pairs_order(inputs)).transpose(1, 2, 0, 3)  # [column][pair][row][2]
    odd, even, following = x[1::2], x[::2] - x[1::2], x[2::2] - x[1:-1:2]
    assert np.abs(even).max() < 2**15
    table = dsp.pairs_words(layer, by).reshape(-(-channels // 4), -1)
    for group, words in enumerate(table):
        at, found = 8, []
        for cells in (odd, even, following):
            size = cells.shape[0] * cells.shape[1] * taps * 4
            weights = halves(words[at : at + size].reshape(*cells.shape[:2], taps, 4))
            at += size
            found.append([np.einsum("cprix,cprx->i", weights, cells[:, :, row : row + taps]) for row in range(2)])
        m2, m1, m3 = np.array(found).reshape(3, 2, 4)
        count = min(4, channels - 4 * group)
        tile = expected[..., 4 * group : 4 * group + count]
        np.testing.assert_array_equal((m1 + m2)[:, :count], tile[:, 0])
        np.testing.assert_array_equal((m2 + m3)[:, :count], tile[:, 1])
        channels_of = slice(4 * group, 4 * group + count)
        np.testing.assert_array_equal(signed(words[:8])[: 2 * count], np.repeat(by.bias[channels_of], 2))
        factors = signed(words[at:]).reshape(4, -1)
        np.testing.assert_array_equal(factors[:count], by.factors[channels_of])


@pytest.mark.parametrize("divisible", [True, False])
@pytest.mark.parametrize(("channels", "inputs"), [(4, 6), (9, 5), (1, 2)])
def test_nested(channels, inputs, divisible):
    layer = conv(channels, 5, inputs, divisible)
    by = requantization_of(layer, divisible=divisible)
    patch = np.random.default_rng(channels).integers(-128, 128, (6, 6, inputs))
    expected = by.times * sums(layer, patch)
    for group, words in enumerate(dsp_nested.words(layer, by).reshape(-(-channels // 4), -1)):
        at, found = 4, {}
        for rows in "oen":
            for columns in "oen":
                x = by_fir(by_fir(patch, rows).transpose(1, 0, 2), columns)  # [column, row, input]
                x = in_pairs(x, dsp.pairs_order(inputs)).transpose(0, 2, 1, 3)  # [column, pair, row, 2]
                size = x[..., 0].size * 4
                weights = halves(words[at : at + size].reshape(*x.shape[:3], 4))
                found[rows + columns] = np.einsum("cprix,cprx->i", weights, x)
                at += size
        count = min(4, channels - 4 * group)
        for row, rows in enumerate("en"):
            for column, columns in enumerate("en"):
                tile = sum(found[a + b] for a in ("o", rows) for b in ("o", columns))
                np.testing.assert_array_equal(tile[:count], expected[row, column, 4 * group : 4 * group + count])
        channels_of = slice(4 * group, 4 * group + count)
        np.testing.assert_array_equal(signed(words[:4])[:count], by.bias[channels_of])
        np.testing.assert_array_equal(signed(words[at:]).reshape(4, -1)[:count], by.factors[channels_of])


def by_fir(x, which):
    """Rows 0 to 5 as le_conv2d_nested_dsp.S takes them apart."""
    return {"o": x[1::2], "e": x[::2] - x[1::2], "n": x[2::2] - x[1:-1:2]}[which]


def steps(model, family="cortex_m_dsp"):
    return c_source.facts(c_source.make_plan(model, family))["steps"]


def test_every_kernel_is_taken_by_some_model():
    names = {step["kernel"] for make in kernel_models.MODELS.values() for step in steps(make())}
    assert names >= {
        "dsp depthwise",
        "dsp matrix",
        "dsp positions",
        "dsp tiles, one channel",
        "dsp tiles, nested",
        "dsp tiles, pairs of channels",
    }


def test_lenet5_is_fast_throughout():
    assert [step["kernel"] for step in steps(sample_models.lenet5(51))] == [
        *("dsp tiles, one channel", "dsp tiles, nested", "dsp matrix", "dsp matrix", "dsp matrix")
    ]


def test_a_model_off_the_grid_has_the_same_kernels():
    found = [step["kernel"] for step in steps(sample_models.lenet5(51, "ordinary")) if step["macs"]]
    assert found == [*("dsp tiles, one channel", "dsp tiles, nested", "dsp matrix", "dsp matrix", "dsp matrix")]


@pytest.mark.parametrize("divisible", [True, False])
@pytest.mark.parametrize("window", [(1, 1), (3, 3), (2, 4), (5, 3), (4, 1), (7, 5)])
def test_depthwise(window, divisible):
    """A word of the table is two of taps, as SXTB16 takes them apart, and those are pairs of rows, column by column."""
    chain = Chain(sum(window), (9, 8, 5), tie_free=divisible).depthwise(1, window, clamp=FULL)
    layer = chain.layers[0]
    by = requantization_of(layer, divisible=divisible)
    table = dsp_depthwise.depthwise_words(layer, by)
    head = 1 + by.factors.shape[1]
    np.testing.assert_array_equal(signed(table[:, :head]), np.column_stack([by.bias, by.factors]))
    (tall, wide), pairs = window, -(-window[0] // 2)
    taps = table[:, head:].astype(np.uint32).view(np.int8).reshape(5, -1, 4)[..., [0, 2, 1, 3]].reshape(5, -1)
    assert not taps[:, 2 * pairs * wide :].any()
    columns = taps[:, : 2 * pairs * wide].reshape(5, wide, 2 * pairs)
    np.testing.assert_array_equal(columns[..., :tall].transpose(2, 1, 0), layer.weights)
    assert not columns[..., tall:].any()


@pytest.mark.parametrize(("inputs", "is_wide"), [(520, False), (521, True)])
def test_sums_that_the_packing_does_not_hold_at_once(inputs, is_wide):
    """256 times 128 x 126 x 520 is just below 2^31."""
    chain = Chain(1, (1, 1, inputs), tie_free=True).flatten().fully_connected(2, FULL)
    layer = dataclasses.replace(chain.layers[1], weights=np.full((2, inputs), 126, np.int8))
    assert largest_sum(layer).tolist() == [128 * 126 * inputs] * 2
    (placed,) = c_source.make_plan(QuantizedModel((chain.layers[0], layer)), "cortex_m_dsp").steps
    (call,) = placed.kernel.calls(("in",), "out", "scratch")
    assert call.startswith("le_fully_connected_wide_dsp" if is_wide else "le_fully_connected_dsp")


def test_weights_that_the_packing_does_not_hold():
    """256 x -128 + a is not an int16 where a is negative; the weight on its own, or as `a`, does no harm."""
    chain = Chain(1, (1, 1, 7)).flatten().fully_connected(3, FULL)
    for below, above, why in ((-1, -128, True), (0, -128, False), (-128, -127, False), (-128, -128, True)):
        weights = np.full((3, 7), 5, np.int8)
        weights[:2, 3] = below, above
        weights[2] = -128
        layer = dataclasses.replace(chain.layers[1], weights=weights)
        (found,) = steps(QuantizedModel((chain.layers[0], layer)))
        assert found["why_plain"] == ("a weight is -128 next to a negative one" if why else "")


def test_the_assembly_is_in_the_folder_and_in_cmake():
    from lenet_edge.resources import firmware_folder

    files = c_source.export(c_source.make_plan(sample_models.lenet5(51), "cortex_m_dsp"), firmware_folder())
    assert b"project(le_model C ASM)" in files["CMakeLists.txt"]
    for name in ("le_conv2d_one_dsp.S", "le_conv2d_nested_dsp.S", "le_matrix_dsp.S"):
        assert f"    {name}\n".encode() in files["CMakeLists.txt"]
        assert files[name]
    assert b'#include "le_dsp.h"' in files["le_model.c"]
    assert "le_conv2d.c" not in files
    plain = c_source.export(c_source.make_plan(sample_models.lenet5(51)), firmware_folder())
    assert b"project(le_model C)" in plain["CMakeLists.txt"]
    assert not any(name.endswith(".S") for name in plain)
