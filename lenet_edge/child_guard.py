"""What makes children end with us: a script that needs nothing but Python's standard library.

    child_guard.py exec PARENT PROGRAM ARGUMENT...   becomes the program, which ends when the process PARENT does
    child_guard.py watch                             ends process groups when its standard input ends

Both are for an end in which we no longer run any code: SIGKILL, for lack of memory or at a CI job's time limit. Linux
sends a child the signal of PR_SET_PDEATHSIG when the thread that started it is gone (prctl(2)); the setting survives
exec. A program that starts others, such as a compiler, is a process group, and a watcher ends all of it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import NoReturn

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_CANNOT_START = 126  # as a shell has it


def become(parent: int, argv: list[str]) -> NoReturn:
    """Become the program, set to end with the process `parent`; Linux only."""
    try:
        import ctypes

        prctl = ctypes.CDLL(None).prctl
        prctl.argtypes, prctl.restype = [ctypes.c_int, ctypes.c_ulong], ctypes.c_int
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    except (ImportError, OSError, AttributeError):  # a Python without ctypes: the program runs all the same
        pass
    if os.getppid() != parent:  # it ended before the call
        sys.exit(1)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and exec would hand that down
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execv(argv[0], argv)  # noqa: S606 - a list, no shell
    except OSError as error:
        print(f"{argv[0]} cannot be started: {error.strerror}", file=sys.stderr)
        sys.exit(_CANNOT_START)


def watch() -> None:
    """Read lines "+ID" and "-ID", groups that run and that ended; at the end of the input, end those that run."""
    running: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        (running.add if line[0] == "+" else running.discard)(group)
    for group in running:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # it has ended meanwhile
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    if sys.argv[1] == "exec":
        become(int(sys.argv[2]), sys.argv[3:])
    watch()
