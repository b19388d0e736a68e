"""The scales around a sum: in proportion, with an odd numerator, at least as wide as asked for, and never far wider."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lenet_edge.quantized.model import Add, QTensor, QuantizedModel
from lenet_edge.quantized.sums import are_related, related_scale, sum_scale
from lenet_edge.quantized.tie_free import tie_free_problem

SCALES = st.floats(1e-4, 1.0).map(lambda scale: float(np.float32(scale)))


def exact(ratio: float) -> Fraction:
    """The fraction of small integers that two float32 scales are rounded from."""
    found = Fraction(ratio).limit_denominator(4096)
    assert abs(float(found) / ratio - 1) < 1e-6
    return found


def add(first: QTensor, second: QTensor, scale: float, zero_point: int = 0) -> Add:
    return Add("A", (first, second), QTensor((2,), scale, zero_point), max(-128, zero_point) if zero_point else -128)


@given(partner=SCALES, ratio=st.floats(1 / 48, 48))
def test_an_operand_loses_at_most_a_sixth_of_a_bit_beside_another(partner: float, ratio: float) -> None:
    wanted = partner * ratio
    found = related_scale(wanted, [partner])
    proportion = exact(found / partner)
    assert min(proportion.numerator, proportion.denominator) <= 8
    assert max(proportion.numerator, proportion.denominator) <= 48
    assert wanted * (1 - 2e-6) <= found <= wanted * 9 / 8 * (1 + 2e-6)
    assert are_related(found, [partner])


def test_an_operand_may_be_much_narrower_and_somewhat_wider() -> None:
    assert related_scale(1e-9, [0.5]) == float(np.float32(0.5 / 48))
    assert related_scale(20.6, [1.0]) == 21
    assert related_scale(48.5, [1.0]) == 0
    assert related_scale(0.3, []) == float(np.float32(0.3))
    assert not are_related(0.7001, [1.0])


@settings(max_examples=25, deadline=None)
@given(
    partner=SCALES,
    ratio=st.floats(1 / 48, 48),
    growth=st.floats(0.3, 4.5),
    zeros=st.tuples(*[st.sampled_from([-128, 0, 5])] * 2),
    rectified=st.booleans(),
)
def test_no_sum_is_a_tie(
    partner: float, ratio: float, growth: float, zeros: tuple[int, int], *, rectified: bool
) -> None:
    second = related_scale(partner * ratio, [partner])
    inputs = QTensor((2,), partner, zeros[0]), QTensor((2,), second, zeros[1])
    wanted = growth * max(partner, second)
    scale = sum_scale(add(*inputs, wanted, -128 if rectified else 0))
    assert wanted * (1 - 2e-6) <= scale <= wanted * 1.2
    by_first, by_second = (exact(tensor.scale / scale) for tensor in inputs)
    # In exact arithmetic: a sum is at a tie where twice its numerator is an odd multiple of its denominator.
    common = by_first.denominator * by_second.denominator // np.gcd(by_first.denominator, by_second.denominator)
    assert common % 2 == 1
    layer = add(*inputs, scale, -128 if rectified else 0)
    assert tie_free_problem(QuantizedModel((layer,), reads=((-1, -2),))) is None


@pytest.mark.parametrize("beside", [0.02, 0.11])
def test_the_output_of_a_sum_is_in_proportion_to_what_it_is_added_to(beside: float) -> None:
    first = related_scale(0.013, [beside])
    second = related_scale(0.009, [first])
    scale = sum_scale(add(QTensor((2,), first, 0), QTensor((2,), second, -128), 0.02), [beside])
    assert scale >= 0.02 * (1 - 2e-6)
    assert are_related(scale, [beside])


def test_scales_that_are_not_in_proportion_have_no_sum() -> None:
    assert sum_scale(add(QTensor((2,), 1 / 255, -128), QTensor((2,), 1 / 256, -128), 0.01)) == 0
