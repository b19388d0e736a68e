"""The tables of packed weights for AVRs, read as the assembly reads them, give the layer's sums."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from random_chains import Chain

from lenet_edge.formats.c_source import make_plan
from lenet_edge.formats.c_source.families import avr, avr_packed
from lenet_edge.quantized.model import QuantizedModel

SIZES = [(1, 1), (24, 5), (25, 7), (30, 12), (120, 401)]


def int24(values):
    return (np.asarray(values) + 2**23) % 2**24 - 2**23


def bias_of(behind):
    return (behind[:, :3].astype(np.int64) << np.array([0, 8, 16])).sum(axis=1)


def case(outputs: int, inputs: int, largest: int):
    """(k, bias, x, what the sums are)"""
    random = np.random.default_rng(outputs + inputs)
    k, x = random.integers(-largest, largest + 1, (outputs, inputs)), random.integers(-128, 128, inputs)
    k[0], x[0] = largest, -128
    bias = random.integers(-(2**20), 2**20, outputs)
    return k, bias, x, 2 * k @ x + bias


@pytest.mark.parametrize(("outputs", "inputs"), SIZES)
def test_trits(outputs, inputs):
    """le_trits_avr.S: a byte is the number of one of 243 sums of five inputs; the first digit counts most."""
    k, bias, x, wanted = case(outputs, inputs, 1)
    behind = avr.output_bytes(bias, 2 * k, np.full(outputs, 63))
    table = avr_packed.trit_bytes(k, behind)
    padded, fives = -(-outputs // 4) * 4, -(-inputs // 5)
    assert len(table) == padded * fives + 7 * outputs
    shifted = np.zeros(5 * fives, np.int64)
    shifted[:inputs] = x + 128
    sums = np.zeros(padded, np.int64)
    for number, five in enumerate(shifted.reshape(-1, 5)):
        made = [0]
        for value in five:
            made = [each + digit * value for each in made for digit in range(3)]
        assert max(made) < 2**16
        sums += np.array(made)[table[number * padded : (number + 1) * padded]]
    ends = table[padded * fives :].reshape(outputs, 7)
    np.testing.assert_array_equal(int24(2 * (sums[:outputs] - shifted.sum()) + bias_of(ends)), wanted)


@pytest.mark.parametrize(("outputs", "inputs"), SIZES)
def test_four_bits(outputs, inputs):
    """le_matrix_four_avr.S: six outputs for each input, the first of two in the lower half of a byte."""
    k, bias, x, wanted = case(outputs, inputs, 7)
    table = avr_packed.four_bit_bytes(k, avr.output_bytes(bias, 2 * k, np.full(outputs, 63)))
    padded = -(-inputs // 4) * 4
    shifted = np.zeros(padded, np.int64)
    shifted[:inputs] = x + 128
    found = []
    for group in table.reshape(-1, padded * 3 + 6 * 7):
        pairs, ends = group[: padded * 3].reshape(padded, 3), group[padded * 3 :].reshape(6, 7)
        weights = np.stack([pairs & 15, pairs >> 4], axis=-1).reshape(padded, 6)
        found += list(int24(2 * (shifted @ weights - 8 * shifted.sum()) + bias_of(ends)))
    np.testing.assert_array_equal(found[:outputs], wanted)


def digits_of(row, packing):
    """k of the weights in these bytes, as LE_WEIGHT and LE_TERNARY of le_tile_macros_avr.h take them out."""
    found = []
    for byte in row.tolist():
        if packing == "4":
            found += [(byte & 15) - 8, (byte >> 4) - 8]
        elif packing == "2":
            pairs = [byte >> 2 * place & 3 for place in range(4)]
            assert 2 not in pairs
            found += [{0: 0, 1: 1, 3: -1}[pair] for pair in pairs]
        else:
            for _ in range(5):
                byte *= 3
                found.append({0: 0, 1: 1, 2: -1}[byte >> 8])
                byte &= 255
    return found


@pytest.mark.parametrize(
    ("packing", "largest", "size"), [("4", 7, {3: 5, 5: 13}), ("2", 1, {3: 3, 5: 7}), ("trits", 1, {3: 2, 5: 5})]
)
@pytest.mark.parametrize("taps", [3, 5])
def test_tiles(packing, largest, size, taps):
    """Input by input, each from a byte on: column by column."""
    k = np.random.default_rng(taps).integers(-largest, largest + 1, (4, taps, taps, 3))
    behind = np.arange(28).reshape(4, 7)
    table = avr_packed.packed_tile_bytes(k, behind, packing)
    assert table.shape == (4, 3 * size[taps] + 7)
    assert table.min() >= 0
    assert table.max() <= 255
    np.testing.assert_array_equal(table[:, -7:], behind)
    for channel, row in enumerate(table[:, :-7].reshape(4, 3, -1)):
        for source, packed in enumerate(row):
            found = digits_of(packed, packing)[: taps**2]
            np.testing.assert_array_equal(found, k[channel, :, :, source].T.ravel())


@pytest.mark.parametrize(("packing", "at_once"), [("2", 4), ("trits", 5)])
@pytest.mark.parametrize(("outputs", "inputs"), SIZES)
def test_ternary_matrix(packing, at_once, outputs, inputs):
    """le_matrix_macros_avr.h: pass by pass a byte of each of six outputs."""
    k, bias, x, wanted = case(outputs, inputs, 1)
    table = avr_packed.ternary_matrix_bytes(k, avr.output_bytes(bias, 2 * k, np.full(outputs, 63)), packing)
    passes = -(-inputs // at_once)
    shifted = np.full(at_once * passes, 99)  # behind the inputs there may be anything
    shifted[:inputs] = x + 128
    found = []
    for group in table.reshape(-1, 6 * (passes + 7)):
        packed, ends = group[: 6 * passes].reshape(passes, 6).T, group[6 * passes :].reshape(6, 7)
        weights = np.array([digits_of(row, packing) for row in packed])
        found += list(int24(2 * weights @ shifted + bias_of(ends)))
    np.testing.assert_array_equal(found[:outputs], wanted)


@pytest.mark.parametrize(("inputs", "name"), [(1275, "avr packed matrix, trits"), (1276, "packed, five trits a byte")])
def test_more_passes_than_a_byte_counts(inputs, name):
    chain = Chain(3, (1, 1, inputs), tie_free=True, zero_point=0).flatten().fully_connected(2, (-128, 127))
    layer = replace(chain.layers[-1], weights=np.zeros((2, inputs), np.int8))
    (placed,) = make_plan(QuantizedModel((chain.layers[0], layer)), "avr", {layer.name: "trits"}).steps
    assert placed.kernel.name == name


def few_bits(outputs: int, largest: int) -> QuantizedModel:
    chain = Chain(3, (6, 6, 1), tie_free=True).flatten().fully_connected(outputs, (-128, 127))
    chain.layers[-1].weights.flags.writeable = True
    chain.layers[-1].weights[:] = 2 * (chain.layers[-1].weights % (2 * largest + 1) - largest)
    return chain.build()


@pytest.mark.parametrize(
    ("outputs", "packing", "kernel"),
    [
        (24, "trits", "avr trits"),
        (23, "trits", "avr packed matrix, trits"),  # too few for which to make the sums
        (23, "4", "avr matrix, 4 bits"),
        (24, "2", "avr packed matrix, 2 bits"),
    ],
)
def test_which_kernel(outputs, packing, kernel):
    model = few_bits(outputs, 7 if packing == "4" else 1)
    (placed,) = make_plan(model, "avr", {model.layers[-1].name: packing}).steps
    assert (placed.kernel.name, placed.kernel.packing) == (kernel, packing)
