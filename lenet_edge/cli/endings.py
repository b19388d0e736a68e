"""How the command line ends when it does not end by itself: interrupted, terminated, or through a bug of ours."""

from __future__ import annotations

import contextlib
import os
import platform
import shlex
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from lenet_edge import children
from lenet_edge.cli.terminal import say
from lenet_edge.errors import OUR_FAULT, without_passwords
from lenet_edge.files import remove_temporaries
from lenet_edge.version import __version__

__all__ = ["Interrupts", "command_line", "report_our_fault"]

_ASK_AGAIN_S = 0.001
_PATIENCE_S = 8.0  # from the exception to an end without further ado, where somebody swallowed it
_UNICORN = f"{os.sep}unicorn{os.sep}"  # its package
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PACKAGES = ("ai-edge-litert", "click", "numpy", "onnx", "onnxruntime", "rich", "tflite-micro", "torch", "unicorn")


class Interrupts:
    """Ctrl-C, SIGTERM and SIGHUP from here on: the first raises KeyboardInterrupt, a second one ends at once.

    Not within an import: a C extension that is interrupted while it is set up makes another error of it, or ends in a
    segmentation fault (onnx does). Not while a child is started, which nobody would know of. And not in a hook of
    Unicorn, which C calls, so that the exception is printed and lost. A timer then asks again until that is over.
    """

    def __init__(self) -> None:
        self.seen: list[int] = []
        self._raised = False
        self._until = 0.0  # when what must not be cut is cut all the same
        # Where a signal is ignored (`nohup`, a script's background job), it stays so.
        usual = (signal.default_int_handler, signal.SIG_DFL)
        self._numbers = [number for number in _SIGNALS if signal.getsignal(number) in usual]
        for number in self._numbers:
            signal.signal(number, self._note)
        if self._numbers:
            signal.signal(signal.SIGALRM, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number != signal.SIGALRM:
            self.seen.append(number)
            self._until = time.monotonic() + _PATIENCE_S
        if self._raised:  # impatience, or the exception was swallowed
            self.end()
        if len(self.seen) == 1 and time.monotonic() < self._until and _must_not_be_cut(frame):
            signal.setitimer(signal.ITIMER_REAL, _ASK_AGAIN_S)
            return
        self._raised = True
        signal.setitimer(signal.ITIMER_REAL, _PATIENCE_S)
        signal.default_int_handler(number, frame)

    def forget(self) -> None:
        """The command has ended: nothing is left to interrupt."""
        if self._numbers:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def end(self) -> NoReturn:
        """End with the code for what came; what had to be cleaned up was when the exception passed, or is now."""
        for number in (*self._numbers, signal.SIGALRM):  # impatience must not bring a traceback
            signal.signal(number, signal.SIG_IGN)
        children.end_all()
        remove_temporaries()
        first = self.seen[0] if self.seen else int(signal.SIGINT)
        how = "interrupted" if first == signal.SIGINT else f"ended by {signal.Signals(first).name}"
        say(f"{how}; what existed before is unchanged")
        # Not sys.exit: where Ctrl-C came within an exec(), as imports use, CPython would end by the signal, without a
        # code; and other threads need not be waited for.
        os._exit(128 + first)


def _must_not_be_cut(frame: FrameType | None) -> bool:
    """Whether something is under way in which an exception is lost or does harm."""
    while frame is not None:
        code = frame.f_code
        if code is children.start.__code__ or code.co_filename.startswith("<frozen importlib"):
            return True
        if _UNICORN in code.co_filename and code.co_name != "emu_start":  # a hook
            return True
        frame = frame.f_back
    return False


# --- what nobody foresaw --------------------------------------------------------------------------


def report_our_fault(error: BaseException, arguments: Sequence[str]) -> int:
    """Say on stderr that it is our fault and where the traceback is; the exit code."""
    report = without_passwords("".join([_circumstances(arguments), "\n", *traceback.format_exception(error)]))
    problem = without_passwords(f"{type(error).__name__}: {error}")
    summary = f"error: this is a bug in lenet-edge, not your mistake: {problem}"
    try:
        descriptor, name = tempfile.mkstemp(prefix="lenet-edge-fault-", suffix=".txt")
        with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(report)
    except OSError:  # a full disk: then here
        say(f"{report}\n{summary}\nPlease report it with the lines above.")
    else:
        say(f"{summary}\nPlease report it with the file {name}, which has the traceback, versions and command line.")
    return OUR_FAULT


def _circumstances(arguments: Sequence[str]) -> str:
    from importlib.metadata import PackageNotFoundError, version

    lines = [f"lenet-edge {__version__}", f"Python {platform.python_version()} on {platform.platform()}"]
    for package in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            lines.append(f"{package} {version(package)}")
    return "\n".join([*lines, f"in {_folder()}", shlex.join(["lenet-edge", *arguments]), ""])


def _folder() -> str:
    try:
        return os.getcwd()
    except OSError as error:
        return f"a folder that is gone ({error.strerror})"


def command_line(arguments: Sequence[str] | None) -> list[str]:
    """The arguments that the command line was started with."""
    return sys.argv[1:] if arguments is None else list(arguments)
