"""le_prepare against numpy: every byte of 10,000 random frames on the host, some of them under sanitizers."""

import numpy as np
import prepare_cases

from lenet_edge.preparation.frames import FORMATS


def test_10_000_random_frames_on_the_host(tmp_path):
    cases, expected = prepare_cases.random_cases(10_000)
    found = prepare_cases.results(prepare_cases.host_program(tmp_path, "-O2"), cases, expected)
    assert prepare_cases.first_difference(cases, expected, found) == ""


def test_the_random_frames_are_of_all_kinds():
    cases, expected = prepare_cases.random_cases(10_000)
    assert {case.form for case in cases} == set(FORMATS)
    statuses = np.array([np.int8(result[0:1][0] - 256 if result[0] > 127 else result[0]) for result in expected])
    centred = np.array([case.preparation.centred for case in cases])
    assert (statuses[centred] == prepare_cases.OK).sum() > 1500
    assert (statuses == prepare_cases.BLANK).sum() > 300
    assert (statuses == prepare_cases.CROP).sum() > 50
    for invert in prepare_cases.INVERSIONS:
        assert sum(case.preparation.invert == invert for case in cases) > 2000


def test_no_sanitizer_has_anything_to_say(tmp_path):
    cases, expected = (found[:3000] for found in prepare_cases.random_cases(10_000))
    program = prepare_cases.host_program(tmp_path, "-O1", *prepare_cases.SANITIZED)
    assert prepare_cases.first_difference(cases, expected, prepare_cases.results(program, cases, expected)) == ""
