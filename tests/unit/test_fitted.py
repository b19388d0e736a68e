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


def rows(*, last):
    """Steps of 60 an output and 3 a tap, and 20 for each output that is searched for the largest."""
    for outputs, taps in ((3, 30), (10, 40), (7, 90), (12, 12), (5, 200)):
        loops = {"calls": 1, "compared": outputs if last else 0, "outputs": outputs, "taps": taps}
        yield loops, 60 * outputs + 3 * taps + 20 * loops["compared"]


def test_outputs_and_the_search_for_the_largest_are_told_apart():
    found = fitted.fitted_cost("", [*rows(last=True), *rows(last=False)])
    assert found.each == {"compared": pytest.approx(20), "outputs": pytest.approx(60), "taps": pytest.approx(3)}


def test_of_last_steps_alone_outputs_take_it_all():
    """Else a step that is not the last would have its outputs for nothing."""
    found = fitted.fitted_cost("", list(rows(last=True)))
    assert found.each == {"outputs": pytest.approx(80), "taps": pytest.approx(3)}
