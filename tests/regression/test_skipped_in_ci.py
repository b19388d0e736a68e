"""In CI a skipped test is a failure, but for what cannot be installed; a hang names itself.

A processor without AVX-VNNI failed the whole of CI.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
TESTS = """
import time
import pytest

def test_of_shared_inputs(shared):
    assert sorted(path.name for path in shared.iterdir()) == ["cases", "models"]

def test_of_a_tool():
    pytest.skip("tool is missing")

def test_of_new_instructions():
    pytest.skip("a processor with avx_vnni is missing")

def test_that_hangs():
    time.sleep(60)
"""


@pytest.fixture
def session(tmp_path):
    """``session(tests, *arguments, **environment)``: pytest with the repository's conftest, its code and output."""
    (tmp_path / "conftest.py").write_text(CONFTEST.read_text())
    (tmp_path / "test_some.py").write_text(TESTS)

    def run(tests: str, *arguments: str, **environment: str) -> tuple[int, str]:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("CI", "LENET_", "PYTEST"))}
        argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-k", tests, *arguments, str(tmp_path)]
        settings = inherited | environment
        done = subprocess.run(argv, cwd=tmp_path, env=settings, capture_output=True, text=True, timeout=50)
        return done.returncode, done.stdout

    return run


@pytest.mark.parametrize("workers", [(), ("-n", "1")])
def test_what_is_missing_fails_ci_only(session, workers):
    assert session("of_a_tool", *workers)[0] == 0
    code, said = session("of_a_tool", *workers, CI="true")
    assert code == 1
    assert "skipped, which in CI is a failure: 1" in said


@pytest.mark.parametrize("workers", [(), ("-n", "1")])
def test_without_shared_inputs_ci_passes_and_names_the_test(session, workers):
    code, said = session("of_shared_inputs", *workers, CI="true")
    assert code == 0
    assert "not run, for want of shared inputs: test_some.py::test_of_shared_inputs" in said


@pytest.mark.parametrize("workers", [(), ("-n", "1")])
def test_without_new_instructions_ci_passes_and_names_the_test(session, workers):
    code, said = session("of_new_instructions", *workers, CI="true")
    assert code == 0
    assert "not run, for want of a processor: test_some.py::test_of_new_instructions" in said


def test_shared_inputs_are_found(session, tmp_path):
    for name in ("cases", "models"):
        (tmp_path / "inputs" / name).mkdir(parents=True)
    code, said = session("of_shared_inputs", CI="true", LENET_EDGE_SHARED=str(tmp_path / "inputs"))
    assert code == 0
    assert "1 passed" in said


@pytest.mark.parametrize("workers", [(), ("-n", "1")])
def test_a_hang_names_itself(session, workers):
    code, said = session("hangs", *workers, "-o", "timeout=1")
    assert code == 1
    assert "FAILED test_some.py::test_that_hangs - Failed: Timeout" in said
