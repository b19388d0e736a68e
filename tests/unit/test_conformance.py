"""The conformance kit: its cases are tie-free, what it expects is right, and every wrong kernel is caught."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import plain_kernels
import pytest
import wrong_kernels

from lenet_edge.conformance import IMAGES, cases
from lenet_edge.conformance.kit import expected, kit_files
from lenet_edge.conformance.ties import tie_cases
from lenet_edge.quantized.tie_free import tie_free_problem
from lenet_edge.quantized.verify import verify

CASES = cases()
NAMES = [case.name for case in CASES]


@cache
def ideal(name):
    """From the definition, not from the package's reference."""
    return plain_kernels.run(CASES[NAMES.index(name)])


def test_names_are_unique_and_purposes_given():
    assert max(Counter(NAMES).values()) == 1
    assert all(case.purpose and case.inputs.shape[0] == IMAGES and case.inputs.dtype == np.int8 for case in CASES)


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_expected_integers_are_the_ideal_ones(case):
    verify(case.model)
    assert tie_free_problem(case.model) is None
    np.testing.assert_array_equal(expected(case), ideal(case.name))


@pytest.mark.parametrize("kind", wrong_kernels.FAULTS, ids=lambda kind: kind.__name__)
def test_every_wrong_kernel_is_caught_by_cases_of_one_layer(kind):
    own = [case for case in CASES if isinstance(case.model.layers[-1], kind) and not case.name.startswith("network")]
    missed = []
    for fault, kernel in wrong_kernels.FAULTS[kind].items():
        if not any(is_wrong(case, replace(kernel, only=(kind,))) for case in own):
            missed.append(fault)
    assert not missed


def is_wrong(case, kernel):
    return (plain_kernels.run(case, kernel) != ideal(case.name)).any()


@pytest.mark.parametrize("rounding", [wrong_kernels.rounded_once, wrong_kernels.rounded_twice])
def test_kernels_that_round_rightly_pass(rounding):
    """What the faults are made of is right: only the faults make the difference."""
    kernel = plain_kernels.Kernel(result=rounding)
    for case in CASES:
        assert not is_wrong(case, kernel), case.name


def test_results_lie_beside_every_tie():
    """Of each q every n is seen from both sides, as near as the grid has it."""
    for case in tie_cases():
        (layer,) = case.model.layers
        sums = plain_kernels._accumulated(layer, case.images.astype(np.int64), plain_kernels.Kernel()) + layer.bias
        q = np.broadcast_to(plain_kernels.q_of(layer), sums.shape)
        for each in np.unique(q):
            of_q = sums[q == each]
            n = np.arange(-128, 127) - layer.output.zero_point
            for side in (-1, 1):
                assert np.isin((2 * n + 1) * each + side, of_q).all(), (case.name, each, side)


def test_the_kit_is_the_same_bytes_again():
    few = [CASES[0], CASES[-1]]
    again = [case for case in cases() if case.name in (few[0].name, few[1].name)]
    assert kit_files(few) == kit_files(again)
