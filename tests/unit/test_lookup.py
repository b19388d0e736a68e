"""Tables of sigmoid and tanh: ideally rounded, as the runtimes compute them, and scales that suit all."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lenet_edge.errors import BadInputError
from lenet_edge.quantized import fixed_point, lookup
from lenet_edge.quantized.fixed_point import exp_on_negative_values, newton_reciprocal
from lenet_edge.quantized.lookup import (
    OUTPUT_SCALING,
    SMALLEST_DISTANCE,
    TABLE_RULES,
    distance_to_tie,
    ideal_table,
    universal_scale,
)
from lenet_edge.quantized.model import QTensor

FUNCTIONS = sorted(OUTPUT_SCALING)


def tensor(scale, zero_point=0):
    return QTensor((1,), float(np.float32(scale)), zero_point)


def real_output(function, x):
    """In units of the output scale, by Python's math."""
    if function == "tanh":
        return 128 * math.tanh(x)
    return 256 / (1 + math.exp(-x)) - 128


@pytest.mark.parametrize("function", FUNCTIONS)
@settings(max_examples=40, deadline=None)
@given(scale=st.floats(2.0**-10, 0.5, width=32), zero_point=st.integers(-128, 127))
def test_ideal_table_is_the_nearest_integer(function, scale, zero_point):
    source = tensor(scale, zero_point)
    table = ideal_table(function, source)
    reals = [real_output(function, scale * (value - zero_point)) for value in range(-128, 128)]
    assert all(
        abs(int(entry) - real) <= 0.5 + 1e-9 or (entry == 127 and real > 127)
        for entry, real in zip(table, reals, strict=True)
    )
    distance = min(abs(real - math.floor(real) - 0.5) for real in reals if real < 127.499)
    assert distance_to_tie(function, source) == pytest.approx(distance, abs=1e-9)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_known_entries(function):
    table = ideal_table(function, tensor(1 / 16))
    zero = {"sigmoid": 0, "tanh": 0}[function]
    assert table[128] == zero
    assert (
        table[128 + 16]
        == {"sigmoid": round(256 / (1 + math.exp(-1)) - 128), "tanh": round(128 * math.tanh(1))}[function]
    )
    assert (np.diff(table.astype(int)) >= 0).all()
    assert (table[0], table[255]) == (-128, 127)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("rule", sorted(TABLE_RULES))
@settings(max_examples=25, deadline=None)
@given(scale=st.floats(2.0**-10, 0.5, width=32), zero_point=st.integers(-128, 127))
def test_runtimes_are_within_one_of_the_ideal(function, rule, scale, zero_point):
    source = tensor(scale, zero_point)
    difference = TABLE_RULES[rule](function, source).astype(int) - ideal_table(function, source)
    assert np.abs(difference).max() <= 1
    if distance_to_tie(function, source) >= 1e-3:
        assert not difference.any()


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("zero_point", [-128, 0, 5])
@pytest.mark.parametrize("scale", [0.01, 0.0471, 0.13])
def test_universal_scale(function, zero_point, scale):
    found = universal_scale(function, scale, zero_point)
    assert float(np.float32(found)) == found
    assert scale * (1 - 1e-6) <= found <= 1.01 * scale
    source = tensor(found, zero_point)
    assert distance_to_tie(function, source) > SMALLEST_DISTANCE
    for table in TABLE_RULES.values():
        assert (table(function, source) == ideal_table(function, source)).all()


def test_universal_scale_gives_up(monkeypatch):
    monkeypatch.setattr(lookup, "SAFE_DISTANCE", 0.51)
    with pytest.raises(BadInputError, match=r"near 0.05"):
        universal_scale("tanh", 0.05)


# --- gemmlowp's fixed point ----------------------------------------------------------------------


@pytest.mark.parametrize("integer_bits", [4, 5])
def test_exp_on_negative_values(integer_bits):
    raw = -np.concatenate([[0, 1, 2], np.random.default_rng(0).integers(1, 2**31, 500), [2**31 - 1]])
    result = exp_on_negative_values(raw, integer_bits)
    expected = np.exp(raw / 2.0 ** (31 - integer_bits))
    assert np.abs(result / 2.0**31 - expected).max() < 1e-6
    assert result[0] == 2**31 - 1


def test_newton_reciprocal():
    raw = np.random.default_rng(0).integers(0, 2**31, 500)
    expected = 2 / (1 + raw / 2.0**31)
    assert np.abs(newton_reciprocal(raw) / 2.0**29 - expected).max() < 1e-6


def multiply_in_c(a, b):
    """``SaturatingRoundingDoublingHighMul`` with C's truncating division."""
    nudge = 1 << 30 if a * b >= 0 else 1 - (1 << 30)
    quotient = Fraction(a * b + nudge, 1 << 31)
    return math.trunc(quotient)


def round_shift_in_c(x, exponent):
    """``RoundingDivideByPOT``: half away from zero."""
    quotient = Fraction(abs(x), 1 << exponent)
    return int(math.copysign(math.floor(quotient + Fraction(1, 2)), x)) if x else 0


@settings(max_examples=200, deadline=None)
@given(a=st.integers(-(2**31) + 1, 2**31 - 1), b=st.integers(-(2**31) + 1, 2**31 - 1), bits=st.integers(1, 30))
def test_fixed_point_helpers_are_their_source(a, b, bits):
    assert int(fixed_point._multiply(np.array([a]), b)[0]) == multiply_in_c(a, b)
    assert int(fixed_point.round_shift(np.array([a]), bits)[0]) == round_shift_in_c(a, bits)
    halfway = (a >> bits << bits) + (1 << (bits - 1))
    assert int(fixed_point.round_shift(np.array([halfway]), bits)[0]) == round_shift_in_c(halfway, bits)
