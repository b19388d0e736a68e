"""Outputs that grow over the input that they are computed from: how near they come, and that no nearer is taken."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sample_models
from hypothesis import given
from hypothesis import strategies as st
from random_chains import Chain, random_chain

from lenet_edge.formats.c_source import in_place, make_plan
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.steps import Step

LENET5 = make_plan(sample_models.lenet5(7))


def test_lenet5_by_hand():
    """S2 has 14 rows of 84 bytes. While the last is written, the image's rows from 24 on, of 28 bytes, are seen.

    S4 has 5 rows of 80 bytes, two rows of S2 apart, 168 bytes: the first one needs the most in front of S2.
    """
    in_front = 14 * 84 - 24 * 28
    assert in_place.distance(LENET5.steps[0].step, LENET5.steps[0].kernel) == in_front == 504
    assert in_place.distance(LENET5.steps[1].step, LENET5.steps[1].kernel) == 5 * 16
    assert LENET5.in_place.bytes == 28 * 28 + in_front + 5 * 16 == 1368
    assert LENET5.in_place.image == 504 + 80
    alone = Chain(1, (28, 28, 1)).conv(6, (5, 5), padding="same").pool((2, 2)).flatten().fully_connected(10).build()
    patch = 6 * 6
    assert make_plan(alone).in_place.bytes == 28 * 28 + in_front + patch == 1288 + patch


def touched(step: Step, rows_at_once: int, source: int, target: int) -> bool:
    """Whether a run of the step, rows first written and then read for, reads what it has overwritten."""
    written = set[int]()
    height, width = step.output.shape[0], step.output.shape[1] * step.output.shape[2]
    for first in range(0, height, rows_at_once):
        together = range(first, min(first + rows_at_once, height))
        written |= {target + index for row in together for index in range(row * width, (row + 1) * width)}
        if any(source + index in written for row in together for index in seen(step, row)):
            return True
    return False


def seen(step: Step, row: int) -> Iterator[int]:
    """The bytes of the input in the rows that a row of the output is computed from; TensorFlow's padding."""
    height, line = step.input.shape[0], step.input.shape[1] * step.input.shape[2]
    taps, stride = step.layer.weights.shape[1], step.layer.stride[0]
    missing = max((-(-height // stride) - 1) * stride + taps - height, 0) if step.layer.padding == "same" else 0
    rows = [row]
    if step.pool is not None:
        rows = [row * step.pool.stride[0] + index for index in range(step.pool.window[0])]
    for each in rows:
        for y in range(each * stride - missing // 2, each * stride - missing // 2 + taps):
            if 0 <= y < height:
                yield from range(y * line, (y + 1) * line)


@st.composite
def layers(draw: st.DrawFn) -> Step:
    """A convolution of any window, stride and padding, with or without pooling."""
    size, window = draw(st.tuples(*[st.integers(5, 12)] * 2)), draw(st.tuples(*[st.integers(1, 5)] * 2))
    chain = Chain(draw(st.integers(0, 9)), (*size, draw(st.integers(1, 3))))
    stride, padding = draw(st.tuples(*[st.integers(1, 3)] * 2)), draw(st.sampled_from(["same", "valid"]))
    chain.conv(draw(st.integers(1, 9)), window, stride, padding)
    if min(chain.current.shape[:2]) > 1 and draw(st.booleans()):
        chain.pool((2, 2), draw(st.sampled_from([(2, 2), (1, 1), (3, 1)])))
    return make_plan(chain.build()).steps[0].step


@given(layers(), st.integers(1, 3))
def test_the_proof_holds_exactly(step, rows_at_once):
    """At each distance it says what a run of the step shows; the distance that is taken is the next multiple of 4."""
    least = max(rows.written - rows.dead for rows in in_place.rows_of(step, rows_at_once))
    for far in (least - 1, least):
        problem = in_place.overlap_problem(step, rows_at_once, 1000, 1000 - far)
        assert bool(problem) == touched(step, rows_at_once, 1000, 1000 - far) == (far < least)
    found = in_place.distance(step, Kernel("", (), lambda *_: (), rows_at_once=rows_at_once))
    assert found == (None if -(-least // 4) >= -(-step.output_bytes // 4) else -(-least // 4) * 4)
    assert in_place.distance(step, Kernel("", (), lambda *_: ())) is None


def test_a_row_too_early_is_refused(monkeypatch):
    taken = in_place.distance

    def too_early(step, kernel):
        found = taken(step, kernel)
        return found if found is None else found - 84

    monkeypatch.setattr(in_place, "distance", too_early)
    with pytest.raises(AssertionError, match="is written over input that is still read"):
        make_plan(sample_models.lenet5(7))


def test_many_random_chains_grow():
    """The programs of tests/kernels run them: were none in place, these would show nothing."""
    plans = [make_plan(random_chain(seed, tie_free=False)).in_place for seed in range(30)]
    grown = [plan for plan in plans if any(placed.grows_over_input for placed in plan.steps)]
    assert len(grown) >= 10
    assert all(plan.image % 4 == plan.bytes % 4 == 0 for plan in plans)
