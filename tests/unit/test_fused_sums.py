"""What stands for a fused multiply-add of float32 is rounded once."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lenet_edge.quantized.elementwise import _fused

finite = st.floats(2.0**-60, 2.0**40, width=32) | st.floats(-(2.0**40), -(2.0**-60), width=32)


def rounded(exact: Fraction) -> Fraction:
    """To 24 bits, half to even: float32 without its limits."""
    if not exact:
        return exact
    exponent = abs(exact.numerator).bit_length() - exact.denominator.bit_length() - 24
    while abs(exact) >= Fraction(2) ** (exponent + 24):
        exponent += 1
    return round(exact / Fraction(2) ** exponent) * Fraction(2) ** exponent


@given(st.integers(-255, 255), finite, finite | st.just(0.0))
@example(3, 1 + 2.0**-23, 2.0**-60)  # 3 + 3/2 ulp, a tie of float32, and far less than a double shows of the rest
@example(3, 1 + 2.0**-23, -(2.0**-60))
@example(-3, 1 + 2.0**-23, 2.0**-60)
@example(1, 1 + 2.0**-23, 2.0**-24 + 2.0**-46)
def test_a_fused_sum_is_rounded_once(value: int, by: float, addend: float) -> None:
    got = _fused(np.asarray([value], np.float32), np.float32(by), np.float32(addend))
    assert Fraction(float(got[0])) == rounded(value * Fraction(by) + Fraction(addend))


@given(st.integers(-255, 255), st.integers(1, 2**24 - 1), st.integers(1, 2**24 - 1), st.integers(20, 70))
def test_near_ties(value: int, by: int, addend: int, apart: int) -> None:
    """The addend lies around the last bits that a double has of the product."""
    one, other = np.float32(by), np.float32(np.ldexp(addend, -apart))
    got = _fused(np.asarray([value], np.float32), one, other)
    assert Fraction(float(got[0])) == rounded(Fraction(value * by) + Fraction(float(other)))


@pytest.mark.parametrize("addend", [np.float32(0.5), np.asarray([0.25, -1], np.float32)])
def test_shapes_of_numpy(addend: np.ndarray) -> None:
    got = _fused(np.asarray([[1], [2]], np.float32), np.float32(2), addend)
    np.testing.assert_array_equal(got, np.asarray([[2], [4]]) + addend)
