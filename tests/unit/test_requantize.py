"""The rounding rules and multipliers against exact arithmetic that is written down independently."""

from fractions import Fraction

import numpy as np
import pytest
from exact_operators import truncated
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lenet_edge.quantized.model import FullyConnected, QTensor
from lenet_edge.quantized.requantize import (
    RULES,
    RUY_BLOCKS,
    Multipliers,
    multipliers,
    quantize_multiplier,
    requantize,
)

ACCUMULATORS = st.integers(-(2**28), 2**28) | st.integers(-2000, 2000)
MANTISSAS = st.integers(2**30, 2**31 - 1) | st.sampled_from([2**30, 2**30 + 1, 3 * 2**29, 2**31 - 1])
SHIFTS = st.integers(-31, 2)


# --- the C sources, transcribed: division truncates, >> is arithmetic -------------------------------


def saturating_rounding_doubling_high_mul(a, b):
    """gemmlowp/fixedpoint/fixedpoint.h"""
    nudge = 1 << 30 if a * b >= 0 else 1 - (1 << 30)
    return truncated(a * b + nudge, 1 << 31)


def rounding_divide_by_pot(x, exponent):
    """gemmlowp/fixedpoint/fixedpoint.h"""
    mask = (1 << exponent) - 1
    threshold = (mask >> 1) + (1 if x < 0 else 0)
    return (x >> exponent) + (1 if x & mask > threshold else 0)


def half_up(value):
    return (value + Fraction(1, 2)).__floor__()


def half_even_float32(value):
    """The float32 nearest to a rational, ties to even; no over- or underflow."""
    if value == 0:
        return Fraction(0)
    exponent = 0
    while abs(value) * Fraction(2) ** -exponent >= 2**24:
        exponent += 1
    while abs(value) * Fraction(2) ** -exponent < 2**23:
        exponent -= 1
    return round(value * Fraction(2) ** -exponent) * Fraction(2) ** exponent  # round() is half to even


def expected(rule, accumulator, mantissa, shift):
    left, right = max(shift, 0), max(-shift, 0)
    high = saturating_rounding_doubling_high_mul(accumulator * (1 << left), mantissa)
    if rule == "tflm":
        return rounding_divide_by_pot(high, right)
    if rule == "ruy":
        return half_up(Fraction(high, 1 << right))
    if rule == "single":
        return half_up(Fraction(accumulator * mantissa) * Fraction(2) ** (shift - 31))
    multiplier = half_even_float32(Fraction(mantissa) * Fraction(2) ** (shift - 31))
    return round(half_even_float32(half_even_float32(Fraction(accumulator)) * multiplier))


@pytest.mark.parametrize("rule", sorted(RULES))
@settings(max_examples=120, deadline=None)
@given(accumulator=ACCUMULATORS, mantissa=MANTISSAS, shift=SHIFTS)
@example(accumulator=-1, mantissa=2**30, shift=0)
@example(accumulator=-3, mantissa=2**30, shift=-1)
@example(accumulator=-6, mantissa=2**30, shift=-1)
@example(accumulator=-5, mantissa=2**30, shift=-3)
def test_rule_is_its_source(rule, accumulator, mantissa, shift):
    by = Multipliers(
        np.array([mantissa]), np.array([shift]), np.array([np.float32(mantissa * 2.0 ** (shift - 31))], np.float32)
    )
    result = RULES[rule](np.array([accumulator]), by)
    assert result.dtype == np.int64
    assert result.tolist() == [expected(rule, accumulator, mantissa, shift)]


@pytest.mark.parametrize(
    ("rule", "results"),
    [("tflm", [-2, -1, 1, 2]), ("ruy", [-1, 0, 1, 2]), ("single", [-1, 0, 1, 2]), ("float32", [-2, 0, 0, 2])],
)
def test_ties_go_where_the_rule_says(rule, results):
    """-1.5, -0.5, 0.5, 1.5: away from zero, up, up, to even."""
    by = Multipliers(np.array([2**30]), np.array([-1]), np.array([0.25], np.float32))
    assert RULES[rule](np.array([-6, -2, 2, 6]), by).tolist() == results


@pytest.mark.parametrize("rule", sorted(RULES))
@settings(max_examples=50, deadline=None)
@given(start=ACCUMULATORS, mantissa=MANTISSAS, shift=SHIFTS)
def test_rules_are_monotone(rule, start, mantissa, shift):
    """What the proof relies on where it leaves out saturated accumulators."""
    by = Multipliers(
        np.array([mantissa]), np.array([shift]), np.array([np.float32(mantissa * 2.0 ** (shift - 31))], np.float32)
    )
    assert (np.diff(RULES[rule](np.arange(start, start + 2000), by)) >= 0).all()


@settings(max_examples=150, deadline=None)
@given(st.floats(2.0**-34, 2.0**20, exclude_min=True))
@example(1.0)
@example(0.5)
@example(1 - 2.0**-53)
@example(2.0**-32)
@example(2.0**-32 * (1 - 2.0**-40))
def test_quantize_multiplier_is_the_nearest_q31(real):
    mantissa, shift = (int(value) for value in quantize_multiplier(real))
    exact = Fraction(real)
    if mantissa == 0:
        assert exact < Fraction(1, 2**32)
        return
    assert 2**30 <= mantissa < 2**31
    step = Fraction(2) ** (shift - 31)
    assert abs(mantissa * step - exact) <= step / 2


def test_quantize_multiplier_rounds_half_away_and_keeps_shape():
    half = (2**30 + 0.5) / 2**31
    mantissa, shift = quantize_multiplier([[half, 0.25], [1 - 2.0**-40, 0.0]])
    assert mantissa.tolist() == [[2**30 + 1, 2**30], [2**30, 0]]
    assert shift.tolist() == [[0, -1], [1, 0]]


def fully_connected(scales, input_scale, output_scale, *, per_channel=True):
    scales = np.asarray(scales, np.float32)
    count = len(scales)
    source = QTensor((1,), float(np.float32(input_scale)), 0)
    target = QTensor((count,), float(np.float32(output_scale)), 0)
    weights, bias = np.ones((count, 1), np.int8), np.zeros(count, np.int32)
    return FullyConnected("fc", source, target, weights, bias, scales, per_channel=per_channel)


SCALES = st.floats(2.0**-13, 1, width=32)


@settings(max_examples=80, deadline=None)
@given(SCALES, SCALES, SCALES)
def test_multipliers_come_from_the_files_float32_scales(input_scale, weight_scale, output_scale):
    layer = fully_connected([weight_scale, weight_scale], input_scale, output_scale)
    by = multipliers(layer)
    exact = Fraction(input_scale) * Fraction(weight_scale) / Fraction(output_scale)
    stored = Fraction(int(by.mantissa[0])) * Fraction(2) ** (int(by.shift[0]) - 31)
    assert abs(stored - exact) <= exact * Fraction(1, 2**31) * Fraction(1001, 1000)
    product = half_even_float32(Fraction(input_scale) * Fraction(weight_scale))
    assert Fraction(float(by.float32[0])) == half_even_float32(product / Fraction(output_scale))


@pytest.mark.parametrize(("count", "per_channel"), [(2, False), (1, True)])
def test_one_scale_has_a_float32_product_in_litert_builtin_kernels_only(count, per_channel):
    """Found by probing: TFLM and LiteRT's reference kernels take the product in double."""
    input_scale, weight_scale, output_scale = np.float32(0.0123), np.float32(0.0456), np.float32(0.789)
    layer = fully_connected([weight_scale] * count, input_scale, output_scale, per_channel=per_channel)
    in_double = quantize_multiplier(float(input_scale) * float(weight_scale) / float(output_scale))
    in_float = quantize_multiplier(float(input_scale * weight_scale) / float(output_scale))
    assert in_double != in_float
    for rule in ("tflm", "single"):
        assert multipliers(layer, rule).mantissa.tolist() == [in_double[0]] * count
    assert multipliers(layer, "ruy").mantissa.tolist() == [in_float[0]] * count


def test_requantize_adds_the_zero_point_and_clamps():
    layer = fully_connected([0.5], 1, 1)
    layer = FullyConnected(**{**vars(layer), "output": QTensor((1,), 1.0, 7), "clamp_min": 5, "clamp_max": 9})
    accumulator = np.array([[-100], [-4], [0], [2], [4], [100]])
    assert requantize(accumulator, layer, "tflm").ravel().tolist() == [5, 5, 7, 8, 9, 9]


def test_ruy_blocks_are_whole_blocks_of_eight():
    layer = fully_connected([0.25] * 11, 1, 1)
    result = requantize(np.full((1, 11), -6), layer, RUY_BLOCKS)  # -1.5: up for ruy, away for TFLM
    assert result.tolist() == [[-1] * 8 + [-2] * 3]
