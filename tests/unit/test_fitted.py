"""benchmarks/fitted.py: what kernels take, by how often their loops run."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("fitted", Path(__file__).parents[2] / "benchmarks" / "fitted.py")
assert _spec is not None
assert _spec.loader is not None
fitted = sys.modules["fitted"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fitted)


def runs(loops_of_each, cost, estimated=None):
    """Steps whose loops run so often, at the cost of each pass."""
    for loops in loops_of_each:
        count = sum(cost.get(loop, 0) * times for loop, times in loops.items())
        yield fitted.Run(loops, loops | (estimated or {}), count)


def dense(*, last):
    """Of 60 an output and 3 a tap, and 20 for each output that is searched for the largest."""
    loops = [
        {"calls": 1, "compared": outputs if last else 0, "outputs": outputs, "taps": taps}
        for outputs, taps in ((3, 30), (10, 40), (7, 90), (12, 12), (5, 200))
    ]
    return runs(loops, {"outputs": 60, "taps": 3, "compared": 20})


def fit(**kinds):
    return fitted.fitted_costs({kind: list(steps) for kind, steps in kinds.items()})


def test_outputs_and_the_search_for_the_largest_are_told_apart():
    (found,) = fit(kernel=[*dense(last=True), *dense(last=False)]).values()
    assert found.each == {"compared": pytest.approx(20), "outputs": pytest.approx(60), "taps": pytest.approx(3)}


def test_of_last_steps_alone_outputs_take_it_all():
    """Else a step that is not the last would have its outputs for nothing."""
    (found,) = fit(kernel=dense(last=True)).values()
    assert found.each == {"outputs": pytest.approx(80), "taps": pytest.approx(3)}


WINDOWS = {"calls": 40, "positions": 90, "outputs": 60, "taps": 11, "added": 4}


def windows(sizes, cost, outputs=None):
    loops = [
        {"calls": 1, "compared": 0, "positions": at, "outputs": outs, "taps": taps, "added": taps * 2 // 3}
        for at, outs, taps in sizes
    ]
    return runs(loops, cost | ({} if outputs is None else {"outputs": outputs}))


MANY = ((9, 36, 900), (25, 50, 2000), (4, 40, 300), (64, 64, 600), (16, 200, 5000), (1, 8, 72))


def test_packed_windows_share_what_is_the_same_code():
    """Of one kind there are but two steps, nearly alike: by itself, such a kind had a call of 68,000 cycles."""
    two_bits = WINDOWS | {"taps": 9}
    found = fitted.fitted_costs(
        {
            "packed, 4 bits: conv2d": list(windows(MANY, WINDOWS)),
            "packed, 2 bits: conv2d": list(windows(MANY[1:], two_bits)),
            "packed, 2 bits: conv2d, double rounding": list(windows(((16, 64, 600), (16, 64, 601)), two_bits, 99)),
        }
    )
    rounded_twice = found["packed, 2 bits: conv2d, double rounding"]
    assert rounded_twice.each == pytest.approx(two_bits | {"outputs": 99}, rel=1e-3)


def test_other_kernels_share_nothing():
    twice = {loop: 2 * cost for loop, cost in WINDOWS.items()}
    kinds = {"avr tiles: conv2d": WINDOWS, "avr tiles: conv2d, double rounding": twice}
    found = fitted.fitted_costs({kind: list(windows(MANY, cost)) for kind, cost in kinds.items()})
    for kind, cost in kinds.items():
        assert found[kind].each == pytest.approx(cost, rel=1e-3)


def test_where_the_inputs_decide_the_range_is_that_of_fewer_and_of_more():
    """Each step had 40 of 100 outputs multiplied, as estimated: it is off by nothing, but 20 to 70 may be."""
    loops = [
        {"compared": 0, "outputs": 100, "taps": taps, "multiplied": share}
        for taps, share in ((1000, 40), (2000, 30), (4000, 60), (700, 20), (300, 55), (900, 44))
    ]
    cost = {"outputs": 50, "taps": 3, "multiplied": 40}
    (found,) = fit(kernel=runs(loops, cost, {"multiplied": 40})).values()
    assert found.each == pytest.approx(cost, rel=1e-3)
    fewer, about, more = (50 * 100 + 3 * 300 + 40 * share for share in (20, 40, 70))
    assert found.low == pytest.approx(about / more - 1, abs=2e-3)
    assert found.high == pytest.approx(about / fewer - 1, abs=2e-3)


def test_the_range_is_what_others_say_of_a_step():
    """One of six takes a tenth more than its loops say: by the others it is estimated a tenth too low."""
    steps = list(dense(last=False))
    odd = fitted.Run(steps[2].loops, steps[2].estimated, steps[2].count * 1.1)
    (found,) = fit(kernel=[*steps[:2], odd, *steps[3:]]).values()
    assert found.low == pytest.approx(1 / 1.1 - 1, abs=0.01)
