"""Ctrl-C while a command starts: exit code 130, and no import is left half done."""

from __future__ import annotations

import pytest
from command_line import without


@pytest.mark.parametrize(
    "error", ["ImportError('numpy._core failed to import')", "KeyboardInterrupt", "OSError(4, 'x')"]
)
def test_an_interrupt_that_an_import_made_another_error_of(run, error):
    interrupted = (
        "import os, signal, time, lenet_edge.cli as cli\n"
        "def broken(*arguments, **options):\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGINT); time.sleep(9)\n"
        f"    except KeyboardInterrupt: raise {error}\n"
        "cli.cli.main = broken\n"
    )
    done = run(code=without(then=interrupted))
    assert done.returncode == 130
    assert "interrupted" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_import_is_not_interrupted_half_way(run, tmp_path):
    """C extensions do not survive that; the import ends first, and the command then."""
    (tmp_path / "slow.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(0.3)\nprint('imported', flush=True)"
    )
    interrupted = (
        "import time, lenet_edge.cli as cli\n"
        "def importing(*arguments, **options):\n"
        "    import slow\n"
        "    time.sleep(9)\n"
        "cli.cli.main = importing\n"
    )
    done = run(code=without(then=interrupted))
    assert (done.returncode, done.stdout) == (130, "imported\n")
    assert "Traceback" not in done.stderr


def test_a_second_ctrl_c_interrupts_an_import(run, tmp_path):
    (tmp_path / "slow.py").write_text(
        "import os, signal\nfor _ in range(2): os.kill(os.getpid(), signal.SIGINT)\nprint()"
    )
    interrupted = (
        "import lenet_edge.cli as cli\ndef importing(*arguments, **options): import slow\ncli.cli.main = importing"
    )
    done = run(code=without(then=interrupted))
    assert (done.returncode, done.stdout) == (130, "")


def test_where_ctrl_c_is_ignored_it_stays_so(run):
    quiet = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
    after = "import atexit; atexit.register(lambda: print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN))"
    assert run("--version", code=without(then=f"{quiet}; {after}")).stdout.splitlines()[-1] == "True"
