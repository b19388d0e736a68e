"""Statistics of two classifiers on the same images, against exact fractions and published values."""

from __future__ import annotations

from fractions import Fraction
from math import factorial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenet_edge.significance import mcnemar_exact, paired_interval

COUNTS = st.integers(0, 400)


def binomial_two_sided(first: int, second: int) -> Fraction:
    """Twice the tail of Binomial(n, 1/2) beyond the observed split, from factorials alone."""
    n = first + second
    tail = sum(Fraction(factorial(n), factorial(k) * factorial(n - k)) for k in range(max(first, second), n + 1))
    return min(Fraction(1), 2 * tail / 2**n)


@st.composite
def tables(draw: st.DrawFn) -> tuple[int, int, int]:
    """(only the first right, only the second right, images)."""
    first, second = draw(COUNTS), draw(COUNTS)
    return first, second, draw(st.integers(max(1, first + second), 20_000))


@pytest.mark.parametrize(
    ("first", "second", "p"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),
        (0, 5, 0.0625),  # 2/32
        (5, 1, 0.21875),  # 2 (1 + 6) / 64
        (10, 2, 0.03857421875),  # 2 (1 + 12 + 66) / 4096
        (121, 59, 4.434449e-06),  # the example in the documentation of statsmodels
    ],
)
def test_mcnemar_gives_known_values(first: int, second: int, p: float) -> None:
    assert mcnemar_exact(first, second) == pytest.approx(p, rel=1e-6)


@given(COUNTS, COUNTS)
def test_mcnemar_is_the_binomial_tail(first: int, second: int) -> None:
    p = mcnemar_exact(first, second)
    assert p == pytest.approx(float(binomial_two_sided(first, second)), rel=1e-12)
    assert 0 < p <= 1
    assert p == mcnemar_exact(second, first)


@given(COUNTS)
def test_equal_counts_are_no_evidence(count: int) -> None:
    assert mcnemar_exact(count, count) == 1


@given(st.integers(0, 100), st.integers(0, 99))
def test_a_more_uneven_split_is_more_evidence(smaller: int, larger: int) -> None:
    discordant = smaller + larger + 1
    uneven = min(smaller, discordant - smaller)
    if uneven > 0:
        assert mcnemar_exact(uneven - 1, discordant - uneven + 1) < mcnemar_exact(uneven, discordant - uneven) + 1e-15


def test_mcnemar_holds_for_many_images() -> None:
    assert mcnemar_exact(3000, 3000) == 1
    assert 0 < mcnemar_exact(2850, 3150) < 0.001 < mcnemar_exact(2950, 3050)


def test_the_interval_of_a_published_table() -> None:
    # Agresti, "Categorical Data Analysis", section 11.1 (approval of the prime minister, 1,600 people asked twice):
    # -0.059 to -0.021; the 1/2 that is added to each cell does not show in three digits.
    low, high = paired_interval(86, 150, 1600)
    assert (round(low, 3), round(high, 3)) == (-0.059, -0.021)


def test_the_interval_by_hand() -> None:
    # 4.5 and 1.5 of 102: difference 3/102, variance (6 - 9/102) / 102^2.
    half = 1.959964 * (6 - 9 / 102) ** 0.5 / 102
    assert paired_interval(4, 1, 100) == pytest.approx((3 / 102 - half, 3 / 102 + half), abs=1e-8)


@given(tables())
def test_the_interval_contains_the_difference(table: tuple[int, int, int]) -> None:
    first, second, images = table
    low, high = paired_interval(first, second, images)
    assert -1 <= low <= (first - second) / images <= high <= 1
    assert low < high


@given(tables())
def test_the_interval_is_symmetric_in_the_two_classifiers(table: tuple[int, int, int]) -> None:
    first, second, images = table
    low, high = paired_interval(first, second, images)
    assert paired_interval(second, first, images) == pytest.approx((-high, -low), abs=1e-12)


@given(tables())
def test_more_images_give_a_narrower_interval(table: tuple[int, int, int]) -> None:
    first, second, images = table

    def width(times: int) -> float:
        low, high = paired_interval(times * first, times * second, times * images)
        return high - low

    assert width(8) < width(1)
