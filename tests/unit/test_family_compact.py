"""The tables of the kernels without a multiplication: digits of weights, and the bias of a plain division."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import floor

import numpy as np
import pytest
import sample_models
from few_bits_models import with_levels
from hypothesis import given, settings
from hypothesis import strategies as st

from lenet_edge.formats import c_source
from lenet_edge.formats.c_source.families import compact
from lenet_edge.quantized.model import WEIGHTED, channel_weights
from lenet_edge.quantized.tie_free import channel_q

LENET5 = sample_models.lenet5(51)


def read(byte: int) -> list[int]:
    """The five digits of a byte as le_compact.h says: a fraction of 256, whose digits come out at the top."""
    part, digits = Fraction(byte, 256), []
    for _ in range(5):
        part *= 3
        digits.append(floor(part))
        part -= digits[-1]
    return [{0: 0, 1: 1, 2: -1}[digit] for digit in digits]


def test_each_of_the_243_bytes_reads_back():
    for digits in product((-1, 0, 1), repeat=5):
        (byte,) = compact.packed_rows(np.array(digits))
        assert 0 <= byte <= 255
        assert read(int(byte)) == list(digits)


def test_a_row_ends_in_zeros():
    packed = compact.packed_rows(np.array([[1, -1, 1, 1, -1, 1, -1]]))
    assert [digit for byte in packed[0] for digit in read(int(byte))] == [1, -1, 1, 1, -1, 1, -1, 0, 0, 0]


@given(st.lists(st.integers(-63, 63), min_size=1, max_size=20), st.integers(5, 7))
def test_digits_are_balanced_ternary(halves, count):
    digits = compact.digits_of(np.array(halves), count)
    assert set(np.unique(digits)) <= {-1, 0, 1}
    assert (digits.T @ 3 ** np.arange(count)[::-1]).tolist() == halves


@pytest.mark.parametrize(("largest", "digits"), [(1, 1), (4, 2), (7, 3), (13, 3), (14, 4), (63, 5)])
def test_as_many_digits_as_the_largest_weight_has(largest, digits):
    layer = next(layer for layer in LENET5.layers if isinstance(layer, WEIGHTED))
    weights = np.zeros_like(layer.weights)
    weights.ravel()[0] = -2 * largest
    assert compact.digit_count(type(layer)(**{**vars(layer), "weights": weights})) == digits


@given(st.data())
@settings(max_examples=20)
def test_the_plain_division_is_the_rounded_one(data):
    """floor((A + q) / 2q) + z is the output, before the clamp, for A = the sum of products with x - its zero point."""
    layers = [layer for layer in LENET5.layers if isinstance(layer, WEIGHTED)]
    layer = data.draw(st.sampled_from(layers))
    weights, q = channel_weights(layer).astype(object), channel_q(layer)
    seed = data.draw(st.integers(0, 2**32 - 1))
    x = np.random.default_rng(seed).integers(-128, 128, weights.shape[1]).astype(object)
    accumulators = (weights * (x - layer.input.zero_point)).sum(axis=1) + layer.bias.astype(object)
    sums, bias = (weights // 2 * x).sum(axis=1), compact.quotient_bias(layer)
    for channel, accumulator in enumerate(accumulators):
        divisor = int(q[channel])
        wanted = (int(accumulator) + divisor) // (2 * divisor) + layer.output.zero_point
        assert (int(sums[channel]) + int(bias[channel])) // divisor - 128 == wanted


def test_lenet_5_in_trits_takes_13_476_bytes():
    """Five to a byte, 61,470 of them with a row's rest, and 5 bytes for q and bias of each of 236 channels."""
    plan = c_source.make_plan(with_levels(LENET5, 1), "rv32e")
    assert c_source.facts(plan)["table_bytes"] == 6 * 5 + 16 * 30 + 120 * 80 + 84 * 24 + 10 * 17 + 236 * 5 == 13_476
    assert {placed.kernel.name for placed in plan.steps} == {"compact windows, 2 x 2", "compact matrix"}
    assert plan.in_place.bytes == 1368


def test_any_packing_is_these_tables():
    ternary = with_levels(LENET5, 1)
    plain = c_source.make_plan(ternary, "rv32e")
    packed = c_source.make_plan(ternary, "rv32e", packings={"C5": "trits", "F6": "2"})
    assert plain.packings == packed.packings == dict.fromkeys(["C1", "C3", "C5", "F6", "OUTPUT"], "trits")
    assert c_source.tables.crc32(packed.tables) == c_source.tables.crc32(plain.tables)


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (sample_models.lenet5(6, "ordinary"), "the model is not on the tie-free grid"),
        (sample_models.every_layer(7), "it is depthwise"),
    ],
)
def test_what_it_does_not_take_stays_plain_and_says_why(model, why):
    steps = c_source.make_plan(model, "rv32e").steps
    assert why in {placed.kernel.why_plain for placed in steps}
