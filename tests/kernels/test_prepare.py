"""le_prepare against numpy: every byte of 10,000 random frames on the host, some of them under sanitizers."""

import shutil
import subprocess

import numpy as np
import prepare_cases
import pytest

from lenet_edge.preparation.frames import FORMATS

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Wno-overlength-strings", "-Werror")
SANITIZED = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g")


def program(folder, *flags):
    if shutil.which("gcc") is None:
        pytest.skip("gcc is missing")
    names = prepare_cases.sources(folder)
    argv = ["gcc", *STRICT, *flags, "-DLE_CASES_ON_HOST", *names, "-o", "cases"]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder / "cases"


def results(path, cases):
    data = b"".join(case.packed() for case in cases)
    done = subprocess.run([path, str(len(cases))], input=data, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    return done.stdout


def test_10_000_random_frames_on_the_host(tmp_path):
    cases, expected = prepare_cases.random_cases(10_000)
    assert prepare_cases.first_difference(cases, expected, results(program(tmp_path, "-O2"), cases)) == ""


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
    cases, expected = prepare_cases.random_cases(10_000)
    found = results(program(tmp_path, "-O1", *SANITIZED), cases[:3000])
    assert prepare_cases.first_difference(cases[:3000], expected[:3000], found) == ""
