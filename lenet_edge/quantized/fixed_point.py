"""gemmlowp's fixed point, in which TFLM computes sigmoid, tanh and softmax: int32 raw values held in int64.

Source: gemmlowp/fixedpoint/fixedpoint.h. ``Qm.n`` has m integer and n fractional bits.
"""

from __future__ import annotations

import numpy as np

from lenet_edge.quantized.model import Int64Array

__all__ = ["exp_on_negative_values", "logistic", "newton_reciprocal", "round_shift", "tanh"]

_ONE = 2**31 - 1  # Q0.31 has no 1; gemmlowp takes the largest value


def _multiply(a: Int64Array, b: Int64Array | int) -> Int64Array:
    """``SaturatingRoundingDoublingHighMul``."""
    product = a * b
    nudged = product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    result: Int64Array = (nudged + ((nudged >> 63) & ((1 << 31) - 1))) >> 31
    return result


def round_shift(a: Int64Array, bits: int) -> Int64Array:
    """``RoundingDivideByPOT``: half away from zero."""
    mask = (1 << bits) - 1
    result: Int64Array = (a >> bits) + ((a & mask) > (mask >> 1) + (a < 0))
    return result


def _shift_left(a: Int64Array, bits: int) -> Int64Array:
    """``SaturatingRoundingMultiplyByPOT`` with a positive exponent: saturates at int32."""
    return np.clip(a << bits, -(2**31), 2**31 - 1)


def _exp_quarter(a: Int64Array) -> Int64Array:
    """``exp_on_interval_between_negative_one_quarter_and_0_excl``, Q0.31 to Q0.31."""
    x = a + (1 << 28)
    x2 = _multiply(x, x)
    x3, x4 = _multiply(x2, x), _multiply(x2, x2)
    inner = _multiply(round_shift(x4, 2) + x3, 715827883) + x2
    return 1895147668 + _multiply(x + round_shift(inner, 1), 1895147668)


def exp_on_negative_values(a: Int64Array, integer_bits: int) -> Int64Array:
    """``exp_on_negative_values`` for raw values <= 0 with that many integer bits; Q0.31."""
    fractional = 31 - integer_bits
    quarter = 1 << (fractional - 2)
    a_mod = (a & (quarter - 1)) - quarter
    result = _exp_quarter(_shift_left(a_mod, integer_bits))
    remainder = a_mod - a
    factors = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
    for exponent, factor in zip(range(-2, 5), factors, strict=True):
        if integer_bits > exponent:
            chosen = remainder & (1 << (fractional + exponent))
            result = np.where(chosen != 0, _multiply(result, factor), result)
    return np.where(a == 0, _ONE, result)


def newton_reciprocal(a: Int64Array) -> Int64Array:
    """``1 / ((1 + a) / 2)`` in Q2.29 by three Newton-Raphson steps, as gemmlowp's two functions below begin."""
    half_denominator = (a + _ONE + 1) >> 1  # RoundingHalfSum of two values that are not negative
    x = 1515870810 + _multiply(half_denominator, -1010580540)
    for _ in range(3):
        error = (1 << 29) - _multiply(half_denominator, x)
        x = x + _shift_left(_multiply(x, error), 2)
    return x


def logistic(q4: Int64Array) -> Int64Array:
    """``gemmlowp::logistic`` of Q4.27; Q0.31."""
    exp = exp_on_negative_values(-np.abs(q4), 4)
    positive = _shift_left(newton_reciprocal(exp), 1)  # Rescale<0>(ExactMulByPot<-1>(x))
    return np.where(q4 == 0, 1 << 30, np.where(q4 > 0, positive, _ONE - positive))


def tanh(q4: Int64Array) -> Int64Array:
    """``gemmlowp::tanh`` of Q4.27; Q0.31: ``(1 - e) / (1 + e)`` with ``e = exp(-2 |x|)``."""
    exp = exp_on_negative_values(-np.abs(q4), 5)  # twice x is the same raw value read as Q5.26
    positive = _shift_left(newton_reciprocal(exp) - (1 << 29), 2)  # Rescale<0>(x - 1)
    return np.where(q4 == 0, 0, np.where(q4 > 0, positive, -positive))
