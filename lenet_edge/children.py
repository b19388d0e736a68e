"""The programs that we start: compilers, emulators, flash tools, and Python workers.

Each has its own session, so that a terminal's Ctrl-C reaches us and not the child, and each ends with us, however we
end: through `end_all` if we are interrupted, and through `child_guard.py` if we are killed. No shell sees an argument.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lenet_edge.files import temporary_folder

__all__ = ["Done", "end", "end_all", "ended", "python_module", "run", "safe_path", "start"]

_GUARD = Path(__file__).with_name("child_guard.py")
_PACKAGES = str(Path(__file__).parents[1])
_RUN_MODULE = (
    "import runpy, sys; sys.path.append(sys.argv.pop(1)); runpy.run_module(sys.argv.pop(1), None, '__main__', True)"
)
_HAS_DEATH_SIGNAL = sys.platform.startswith("linux")

_running: set[subprocess.Popen[bytes]] = set()


@dataclass(frozen=True)
class Done:
    """How a program ended: its exit code, negative for a signal, and what it said."""

    code: int
    stdout: str
    stderr: str


def python_module(module: str, *arguments: str) -> list[str]:
    """The command line that runs a module of ours in another Python process.

    The current folder is not on its import path (-P): a `numpy.py` that lies there is not run. Where the package is
    found only because Python was started in the folder above it, the worker finds it too, after everything else.
    """
    return [sys.executable, "-P", "-c", _RUN_MODULE, _PACKAGES, module, *arguments]


def safe_path(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment in which a Python does not put the folder of its script, or ours, on its import path."""
    return {**environment, "PYTHONSAFEPATH": "1"}


def run(
    argv: Sequence[str],
    *,
    timeout_s: float,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    lasting: bool = False,
) -> Done:
    """Run a program to its end, with no input.

    It has its own folder for temporary files, as one that is killed does not remove them.

    Args:
        timeout_s: after which it is ended, with all that it started.
        folder: where it runs.
        environment: all of its variables; else ours.
        lasting: as `start` has it.

    Raises:
        OSError: it cannot be started.
        subprocess.TimeoutExpired: it did not end in time.
    """
    with temporary_folder() as temporary:
        process = start(
            argv,
            lasting=lasting,
            cwd=folder,
            env={**(os.environ if environment is None else environment), "TMPDIR": str(temporary)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            stdout, stderr = process.communicate(timeout=timeout_s)
        except BaseException:
            end(process)
            raise
        finally:
            ended(process)
    return Done(process.returncode, stdout.decode(errors="replace"), stderr.decode(errors="replace"))


def start(argv: Sequence[str], *, lasting: bool, **options: Any) -> subprocess.Popen[bytes]:
    """Start a program; the caller calls `ended` when it has waited for it.

    An interrupt that comes in here is raised after it: see `cli.endings`.

    Args:
        argv: program and arguments.
        lasting: it would run on without us, as an emulator or a worker does. It is then ended at once when we are
            killed, and must not outlive the thread that starts it. Others are ended a little later.
        options: of `subprocess.Popen`; no `preexec_fn`, which is not safe where there are threads.

    Raises:
        OSError: it cannot be started.
    """
    program = shutil.which(argv[0])
    if program is None:
        if os.path.exists(argv[0]) and os.path.dirname(argv[0]):
            raise PermissionError(13, "Permission denied", argv[0])
        raise FileNotFoundError(2, "No such file or directory", argv[0])
    program = os.path.abspath(program)
    launched = [program, *argv[1:]]
    by_kernel = lasting and _HAS_DEATH_SIGNAL and bool(sys.executable)
    if by_kernel:
        launched = [sys.executable, "-I", "-S", str(_GUARD), "exec", str(os.getpid()), *launched]
    process = subprocess.Popen(launched, start_new_session=True, **options)  # noqa: S603 - a list, no shell
    _running.add(process)
    if not by_kernel:
        _watcher.note("+", process.pid)
    return process


def ended(process: subprocess.Popen[bytes]) -> None:
    """Note that it has been waited for."""
    _running.discard(process)
    _watcher.note("-", process.pid)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a program that `start` gave, with all that it started, and wait for it."""
    _kill(process)
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def end_all() -> None:
    """End every program that runs. Those who wait for one in another thread see it end by a signal."""
    for process in [*_running]:
        _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is None:  # else its number may be another's by now
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


class _Watcher:
    """A process that ends the groups of which it was told, when the pipe to it is closed by our end."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._lock = threading.Lock()

    def note(self, sign: str, group: int) -> None:
        with self._lock, contextlib.suppress(OSError):  # without it programs run all the same
            if self._owner != os.getpid():
                if sign == "-" or not sys.executable:
                    return
                self._process, self._owner = self._start(), os.getpid()
                atexit.register(self._stop, self._process)
            assert self._process is not None
            assert self._process.stdin is not None
            self._process.stdin.write(f"{sign}{group}\n".encode())

    @staticmethod
    def _start() -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-I", "-S", str(_GUARD), "watch"]
        nowhere = subprocess.DEVNULL
        return subprocess.Popen(  # noqa: S603 - a list, our script
            argv, bufsize=0, stdin=subprocess.PIPE, stdout=nowhere, stderr=nowhere, cwd="/", start_new_session=True
        )

    @staticmethod
    def _stop(process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        process.wait()


_watcher = _Watcher()
