"""TFLM's requantisation in the kernels for AVRs: an output's bytes, read as le_requantize_double_avr.S reads them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_chains import Chain

from lenet_edge.formats import c_source
from lenet_edge.formats.c_source.families.avr_double import double_bytes, left_shifts
from lenet_edge.formats.c_source.plan import make_plan
from lenet_edge.formats.c_source.tables import DoubleRounding
from lenet_edge.quantized.model import QTensor, QuantizedModel
from lenet_edge.quantized.verify import verify

pytestmark = pytest.mark.usefixtures("families_order")

LARGEST = 2**23 - 1
FULL = (-128, 127)


def gemmlowp(accumulator: int, multiplier: int, shift: int) -> int:
    """MultiplyByQuantizedMultiplier of tensorflow/lite/kernels/internal/common.h, in exact integers."""
    product = accumulator * 2 ** max(shift, 0) * multiplier
    nudged = product + (2**30 if product >= 0 else 1 - 2**30)
    high = abs(nudged) // 2**31 * (1 if nudged >= 0 else -1)  # C divides towards zero
    exponent = max(-shift, 0)
    mask = 2**exponent - 1
    return (high >> exponent) + ((high & mask) > (mask >> 1) + (high < 0))


def read(row, total: int) -> int:
    """The int8 output for a sum of products, from the 10 bytes behind the output's weights."""
    row = bytes(int(value) for value in row)
    assert len(row) == 10
    a = (total + int.from_bytes(row[:3], "little") + 2**23) % 2**24 - 2**23
    multiplier, factor, whole, zero_point = int.from_bytes(row[3:7], "little"), *row[7:]
    left = whole & 127 if whole >> 7 else 0
    assert -(2**23) < a << left < 2**23
    high = ((a << left) * multiplier + 2**31) >> 32
    assert -(2**23) <= high < 2**23
    if whole < 128:
        assert whole <= 2
        assert factor in (1, 2, 4, 8, 16, 32, 64, 128)
        high = ((high - (high < 0) >> 8 * whole) * factor + 128) >> 8
    return min(max(high + zero_point, 0), 255) - 128


def bytes_of(bias: int, multiplier: int, shift: int, zero_point: int):
    by = DoubleRounding(*(np.array([value]) for value in (bias, multiplier, shift)))
    return double_bytes(by.bias, by, zero_point)[0]


MULTIPLIERS = st.sampled_from([2**30, 2**30 + 1, 2**31 - 1]) | st.integers(2**30, 2**31 - 1)


@settings(max_examples=200, deadline=None)
@given(MULTIPLIERS, st.integers(-31, 7), st.sampled_from([-128, 127, 0]) | st.integers(-128, 127), st.data())
def test_it_is_tflm_s_rounding(multiplier, shift, zero_point, data):
    """At any accumulators, the ends of what an int24 holds, and around the halves that an output is rounded from."""
    most = LARGEST >> max(shift, 0)
    halves = [(2 * k + 1) * 2 ** (30 - shift) // multiplier for k in range(-260, 260, 7)]
    near = [half + off for half in halves for off in (-1, 0, 1)]
    drawn = data.draw(st.lists(st.integers(-most, most), max_size=20))
    for accumulator in {*near, *drawn, -most, -1, 0, 1, most}:
        if abs(accumulator) > most:
            continue
        bias = data.draw(st.integers(-most, most)) if accumulator in drawn else accumulator
        row = bytes_of(bias, multiplier, shift, zero_point)
        wanted = min(max(gemmlowp(accumulator, multiplier, shift) + zero_point, -128), 127)
        assert read(row, accumulator - bias) == wanted, (accumulator, multiplier, shift)


@pytest.mark.parametrize("shift", [-31, 0, 3])
def test_a_multiplier_of_0(shift):
    """A channel whose scale is next to nothing is its zero point, whatever its sum."""
    row = bytes_of(LARGEST, 0, shift, 5)
    assert [read(row, total) for total in (0, -LARGEST, -2 * LARGEST)] == [5, 5, 5]
    by = DoubleRounding(*(np.array([value]) for value in (LARGEST, 0, shift)))
    assert left_shifts(by)[0] == 0


def steps(model):
    return c_source.facts(make_plan(model, "avr"))["steps"]


def dense(inputs: int, bias: int, scale: float = 1 / 4096) -> QuantizedModel:
    """One dense layer of two channels whose weights are 127, and -127 in the second: zero points 0, a given bias."""
    chain = Chain(1, (1, 1, inputs), zero_point=0).flatten().fully_connected(2, FULL)
    flat, layer = chain.layers
    weights = np.full((2, inputs), 127, np.int8)
    weights[1] = -127
    changed = replace(
        layer,
        weights=weights,
        bias=np.array([bias, 1], np.int32),
        weight_scales=np.full(2, np.float32(scale * layer.output.scale / layer.input.scale)),
        output=QTensor((2,), layer.output.scale, 0),
    )
    return verify(QuantizedModel((flat, changed)))


@pytest.mark.parametrize(("beyond", "kernel"), [(0, "avr matrix"), (1, "plain")])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_last_accumulator_that_the_kernels_hold(sign, beyond, kernel):
    """At both ends it is 2^23 - 1 in absolute value; 100 inputs reach 100 x 127 x 127, or one of -128 more."""
    reach = 100 * 127 * (127 if sign > 0 else 128)
    model = dense(100, sign * (LARGEST - reach + beyond))
    (found,) = steps(model)
    assert (found["kernel"], found["why_plain"]) == (
        kernel,
        "" if kernel != "plain" else "its accumulators do not fit an int24",
    )


@pytest.mark.parametrize(
    ("bias", "kernel"), [(2**19 - 1 - 10 * 127 * 127, "avr matrix"), (2**19 - 10 * 127 * 127, "plain")]
)
def test_what_is_shifted_to_the_left_has_fewer_bits(bias, kernel):
    """A scale of 8 to 16 shifts by 4: below 2^19 it is an int24."""
    (found,) = steps(dense(10, bias, scale=9.0))
    assert found["kernel"] == kernel


def test_ordinary_layers_are_fast():
    chain = Chain(4, (9, 9, 3)).conv(6, (3, 3), clamp=FULL).depthwise(1, (3, 3), clamp=FULL).conv(5, (1, 1), clamp=FULL)
    kernels = [step["kernel"] for step in steps(chain.conv(4, (2, 3), (2, 1)).flatten().fully_connected(3).build())]
    assert "plain" not in kernels
