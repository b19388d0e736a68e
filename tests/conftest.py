"""Puts this folder on the import path, so that tests share `sample_models`; makes a skipped test a failure in CI."""

import os
import signal
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is slow now and then: pytest-timeout stops what hangs, and 200 ms for an example say nothing.
settings.register_profile("without a deadline", deadline=None)
settings.load_profile("without a deadline")

sys.path.insert(0, str(Path(__file__).parent))

# The workers of pytest-xdist have a core each: threads of theirs would only wait for one another.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell's background job ignores Ctrl-C, and `nohup` a hang-up; both hand that down to programs that tests end.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

NO_SHARED = "LENET_EDGE_SHARED names no folder with cases/ and models/"
NO_VNNI = "vnni is missing"  # how the reason ends: not every processor has these instructions
ALLOWED = {NO_SHARED: "shared inputs", NO_VNNI: "a processor"}
"""What may be missing in CI, by what the reason says: it is nothing that one installs."""


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared inputs: `cases/`, small files that went wrong once, and `models/`, third-party models."""
    folder = Path(os.environ.get("LENET_EDGE_SHARED") or "/nowhere")
    if not ((folder / "cases").is_dir() and (folder / "models").is_dir()):
        pytest.skip(NO_SHARED)
    return folder


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session, exitstatus):
    """CI installs every tool, so that there a skipped test is a hole in the proof, but for what cannot be installed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not (os.environ.get("CI") and reporter):
        return
    holes = 0
    for report in reporter.stats.get("skipped", []):
        wanted = next((what for reason, what in ALLOWED.items() if reason in str(report.longrepr)), None)
        if wanted is None:
            holes += 1
        else:
            reporter.write_line(f"not run, for want of {wanted}: {report.nodeid}")
    if holes and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter.write_line(f"skipped, which in CI is a failure: {holes}", red=True)
