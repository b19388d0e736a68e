"""Depthwise convolutions for scalar instruction sets: tables as le_lanes.h describes them, strips, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_chains import Chain

from lenet_edge.formats.c_source.families.lanes_depthwise import (
    depthwise_problem,
    depthwise_words,
    strip_columns,
    strip_rows,
)
from lenet_edge.formats.c_source.fusing import fuse
from lenet_edge.formats.c_source.plan import make_plan
from lenet_edge.formats.c_source.steps import windows_of
from lenet_edge.quantized.model import QuantizedModel, channel_weights
from lenet_edge.quantized.tie_free import ADMISSIBLE_Q

pytestmark = pytest.mark.usefixtures("families_order")

EXAMPLES = settings(max_examples=60, deadline=None)
SIDES = st.tuples(st.integers(1, 40), st.integers(1, 40))


def step_of(chain):
    (step,) = fuse(QuantizedModel(tuple(chain.layers)))
    return step


@EXAMPLES
@given(SIDES, st.integers(1, 5), st.tuples(st.integers(1, 5), st.integers(1, 5)), st.integers(1, 3), st.booleans())
def test_strips_hold_what_their_outputs_see(size, channels, window, stride, pooled):
    """With the padding on both sides; all strips have the same number of rows, but the last one."""
    chain = Chain(1, (*size, channels)).depthwise(1, window, (stride, stride), "same")
    if pooled and min(chain.current.shape[:2]) >= 2:
        chain.pool((2, 2))
    step = step_of(chain)
    assert depthwise_problem(step) == ""
    by, (rows, columns, _) = windows_of(step.layer, step.pool), step.output.shape
    assert strip_columns(step) == (columns - 1) * by.step[1] + by.patch[1]
    assert strip_columns(step) > by.padding[1]
    least, most = by.patch[0] * strip_columns(step), ((strip_rows(step) - 1) * by.step[0] + by.patch[0])
    assert 1 <= strip_rows(step) <= rows
    assert strip_rows(step) == 1 or most * strip_columns(step) <= 800
    (placed,) = make_plan(QuantizedModel(tuple(chain.layers)), "rv32").steps
    assert placed.kernel.scratch_bytes >= max(least, most * strip_columns(step))


@pytest.mark.parametrize("divisible", [True, False])
@pytest.mark.parametrize("window", [(3, 3), (1, 1), (2, 5), (4, 4)])
def test_the_table_has_the_weights_of_a_channel_and_then_its_words(window, divisible):
    chain = Chain(5, (9, 9, 6), tie_free=divisible).depthwise(1, window)
    step, behind = step_of(chain), np.arange(18).reshape(6, 3) - 4
    words = depthwise_words(step, behind, divisible=divisible)
    taps = window[0] * window[1]
    assert words.shape == (6, -(-taps // 4) + 3)
    weights = words[:, :-3].astype("<u4").view(np.int8)
    np.testing.assert_array_equal(weights[:, :taps] * (2 if divisible else 1), channel_weights(step.layer))
    assert not weights[:, taps:].any()
    np.testing.assert_array_equal(words[:, -3:].astype("<u4").view("<i4"), behind)


def test_the_quotient_is_exact_for_every_q():
    """It grows with K, so that the ends of each quotient's range show all in between; no product leaves a uint32."""
    q = np.array(ADMISSIBLE_Q[1:])[:, None, None]  # q = 1 has no fast path
    k = q * np.arange(256)[:, None] + np.array([0, 1, -1]) * [[[1, 1, 1]]] + np.array([0, 0, 1]) * q
    k = np.clip(k, 0, 256 * q - 1)
    reciprocal = 2**28 // q + 1
    products = k * (reciprocal >> 14), k * (reciprocal & 0x3FFF)
    assert max(part.max() for part in (*products, products[0] + (products[1] >> 14), 16 * reciprocal)) < 2**32
    np.testing.assert_array_equal(products[0] + (products[1] >> 14) >> 14, k // q)
    np.testing.assert_array_equal(k * (16 * reciprocal) >> 32, k // q)


def test_what_is_refused():
    wide = step_of(Chain(1, (3, 21846, 1)).depthwise(1, (3, 3)))
    assert depthwise_problem(wide) == "a row of it takes 65538 bytes of scratch, more than 65535"
    assert depthwise_problem(step_of(Chain(1, (3, 21845, 1)).depthwise(1, (3, 3)))) == ""


@pytest.mark.parametrize("family", ["cortex_m_base", "rv32"])
@pytest.mark.parametrize(
    ("window", "stride", "pooled", "name"),
    [
        ((3, 3), (1, 1), False, "lanes depthwise, 3 x 3"),
        ((3, 3), (1, 2), False, "lanes depthwise, 3 x 3"),
        ((3, 3), (2, 1), False, "lanes depthwise, 3 x 3"),
        ((3, 3), (1, 1), True, "lanes depthwise"),
        ((5, 3), (1, 1), False, "lanes depthwise"),
    ],
)
@pytest.mark.parametrize("tie_free", [True, False])
def test_windows_of_3_x_3_are_in_assembly(family, window, stride, pooled, name, tie_free):
    chain = Chain(3, (9, 9, 3), tie_free=tie_free).depthwise(1, window, stride)
    if pooled:
        chain.pool((2, 2))
    (placed,) = make_plan(chain.build(), family).steps
    assert placed.kernel.name == name
    assert ("double" in "".join(placed.kernel.sources)) == (not tie_free)
