"""What TFLM computes for operators without weights, once more: value by value in Python's integers, as its C++ reads.

Multipliers come from exact fractions here, not from frexp.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

_MOST, _LEAST = 2**31 - 1, -(2**31)


def quantized_multiplier(real: Fraction) -> tuple[int, int]:
    """``QuantizeMultiplier``: real = mantissa / 2^31 * 2^shift, the mantissa in 2^30..2^31 - 1 or 0."""
    if real == 0:
        return 0, 0
    size, shift = real, 0
    while size >= 1:
        size, shift = size / 2, shift + 1
    while size < Fraction(1, 2):
        size, shift = size * 2, shift - 1
    mantissa = int(size * 2**31 + Fraction(1, 2))
    if mantissa == 2**31:
        mantissa, shift = 2**30, shift + 1
    if shift < -31:
        return 0, 0
    return mantissa, shift


def truncated(numerator: int, denominator: int) -> int:
    """C's division of integers, towards zero; the denominator is positive."""
    quotient = abs(numerator) // denominator
    return quotient if numerator >= 0 else -quotient


def times(value: int, multiplier: tuple[int, int]) -> int:
    """``MultiplyByQuantizedMultiplier``, rounding twice: a doubling high product and a rounding division."""
    mantissa, shift = multiplier
    shifted = value << max(shift, 0)
    assert _LEAST <= shifted <= _MOST
    product = shifted * mantissa
    high = truncated(product + (2**30 if product >= 0 else 1 - 2**30), 2**31)
    right = max(-shift, 0)
    remainder, threshold = high % 2**right, (2**right - 1) // 2 + (high < 0)
    return (high >> right) + (remainder > threshold)


def clamped(value: int, low: int = -128, high: int = 127) -> int:
    return min(max(value, low), high)


def float32(value: float) -> Fraction:
    return Fraction(float(np.float32(value)))


def steps_of_sum(a, b, first, second, output, *, minus=False) -> tuple[int, int, int, int]:
    """Both operands rescaled, their sum, or with `minus` their difference, and the result less its zero point."""
    scales = [Fraction(tensor[0]) for tensor in (first, second, output)]
    widest = 2 * max(scales[:2])
    real = [scales[0] / widest, scales[1] / widest, widest / (2**20 * scales[2])]
    by = [quantized_multiplier(Fraction(float(value))) for value in real]
    x, y = times((a - first[1]) << 20, by[0]), times((b - second[1]) << 20, by[1])
    total = x - y if minus else x + y
    return x, y, total, times(total, by[2])


def of_sum(a, b, first, second, output, clamp, *, minus=False) -> int:
    """ADD, or with `minus` SUB, of the integers a and b; `first`, `second`, `output` are (scale, zero point)."""
    return clamped(steps_of_sum(a, b, first, second, output, minus=minus)[-1] + output[1], *clamp)


def steps_of_product(a, b, first, second, output) -> tuple[int, int]:
    """The product, and the result less its zero point."""
    real = Fraction(float(first[0] * second[0])) / Fraction(output[0])  # a product of two float32 fits in a double
    product = (a - first[1]) * (b - second[1])
    return product, times(product, quantized_multiplier(Fraction(float(real))))


def of_product(a, b, first, second, output, clamp) -> int:
    """MUL, as `of_sum`."""
    return clamped(steps_of_product(a, b, first, second, output)[-1] + output[1], *clamp)


def of_mean(values, source, output) -> int:
    """MEAN of the integers `values`."""
    mantissa, shift = quantized_multiplier(Fraction(float(Fraction(source[0]) / Fraction(output[0]))))
    bits = min(len(values).bit_length() - 1, 32, 31 + shift)
    by = (truncated(mantissa * 2**bits, len(values)), shift - bits)
    return clamped(times(sum(values) - source[1] * len(values), by) + output[1])


def of_rescale(value, operator, source, output, slope=1.0) -> int:
    """QUANTIZE between int8 tensors, RELU, RELU6, LEAKY_RELU of one integer."""
    factor = Fraction(slope) if operator == "LEAKY_RELU" and value < source[1] else 1
    real = Fraction(source[0]) * factor / Fraction(output[0])  # a product of two float32 fits in a double
    # Of a negative slope TFLM takes the product with the positive one, and negates what is rounded (tried).
    steps = times(value - source[1], quantized_multiplier(Fraction(float(abs(real)))))
    low = output[1] if operator.startswith("RELU") else -128
    high = 127
    if operator == "RELU6":
        high = output[1] + int(float32(float(6 / Fraction(output[0]))) + Fraction(1, 2))
    return clamped((steps if real >= 0 else -steps) + output[1], max(low, -128), min(high, 127))
