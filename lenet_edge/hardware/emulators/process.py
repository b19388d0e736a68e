"""A program of this machine as a byte stream: its stdin and stdout are the far end of a board's UART.

What the emulators that are programs share: starting, talking and ending
(`ProcessStream`), the instruction counts that they leave (`Count`,
`read_counts`), and compiling the small C helpers that this takes (`compiled`).
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import selectors
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from lenet_edge import children
from lenet_edge.errors import BadInputError, LinkError, MissingToolError, ToolFailedError

__all__ = ["CallCount", "Count", "ProcessStream", "compiled", "read_counts"]

_CHUNK_BYTES = 65536
_STDERR_BYTES = 4096  # the end of what it said, for messages
_STALL_S = 20.0  # a write that moves nothing for so long has failed
_COMPILE_S = 300.0
_LINE_BYTES = 32_768  # more than the longest line of counts has (MAX_PARTS of the C files here)
_END_S = 2.0  # from a polite end to a kill, and from a closed pipe to the exit status


class ProcessStream:
    """A running program whose stdin and stdout are a byte stream.

    Pipes only: there is no port and no file that a second run could meet. The
    program has its own session, so that Ctrl-C reaches us and not it, and
    it ends with us however we end (see `children`). For one thread at a
    time, and for no longer than the thread lives that started it.
    """

    def __init__(self, argv: Sequence[str], *, install: str, what: str = "") -> None:
        """Start the program.

        Args:
            argv: program and arguments; no shell sees them.
            install: the command that installs the program.
            what: what messages call it; else the program's name.

        Raises:
            MissingToolError: the program is not there or cannot be started.
        """
        self.what = what or Path(argv[0]).name
        self._received = bytearray()
        self._said = bytearray()
        self._closed = False
        self._process = _popen(argv, install)
        self._stdin, self._stdout, self._stderr = _pipes(self._process)
        self._selector = selectors.DefaultSelector()
        for pipe in (self._stdin, self._stdout, self._stderr):
            os.set_blocking(pipe.fileno(), False)
        self._selector.register(self._stdout, selectors.EVENT_READ)
        self._selector.register(self._stderr, selectors.EVENT_READ)
        atexit.register(self.close)

    def __enter__(self) -> ProcessStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, data: bytes) -> None:
        """Hand over all of `data`; what the program sends in the meantime is kept for `read`.

        Reading while writing is what keeps two full pipes from blocking both ends.

        Raises:
            LinkError: the program is gone, or takes nothing any more.
        """
        self._check_open()
        rest = memoryview(data)
        stalled_at = time.monotonic() + _STALL_S
        self._selector.register(self._stdin, selectors.EVENT_WRITE)
        try:
            while rest:
                moved = self._turn(0.1, rest)
                if moved:
                    rest, stalled_at = rest[moved:], time.monotonic() + _STALL_S
                elif time.monotonic() > stalled_at:
                    raise LinkError(f"{self.what} took no byte for {_STALL_S:.0f} s; {len(rest)} bytes were left")
        except BrokenPipeError:
            raise self._gone() from None
        finally:
            self._selector.unregister(self._stdin)

    def read(self, timeout_s: float) -> bytes:
        """What has come; waits up to `timeout_s` for the first byte, and is b"" where none came.

        Raises:
            LinkError: the program is gone, and all that it sent has been read.
        """
        self._check_open()
        deadline = time.monotonic() + timeout_s
        while not self._received:
            if not self._is_read(self._stdout):
                raise self._gone()
            left = deadline - time.monotonic()
            self._turn(max(left, 0.0))
            if left <= 0:
                break
        data = bytes(self._received)
        self._received.clear()
        return data

    def wait(self, timeout_s: float) -> int:
        """The exit status, negative for a signal, when the program ends by itself; `read` still has what it sent.

        Raises:
            LinkError: it still runs after `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        while (status := self._process.poll()) is None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise LinkError(f"{self.what} did not end within {timeout_s:g} s. {self.last_words()}".rstrip())
            self._check_open()
            self._turn(min(left, 0.02))
        if not self._closed:
            self._drain()
        return status

    def last_words(self, lines: int = 4) -> str:
        """The last lines that the program said on stderr, as one line."""
        said = self._said.decode(errors="replace").splitlines()
        return " / ".join([line.strip() for line in said if line.strip()][-lines:])

    def close(self) -> None:
        """End the program: ask, then kill, then wait, and return when it is gone. May be called again."""
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        self._process.terminate()
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_S)
        finally:  # also where Ctrl-C cuts the waiting short
            self._process.kill()
            self._process.wait()
            children.ended(self._process)
        self._selector.close()
        for pipe in (self._stdin, self._stdout, self._stderr):
            pipe.close()

    def _turn(self, timeout_s: float, outgoing: memoryview | None = None) -> int:
        """Wait for a pipe, keep what came and hand over what fits: the number of bytes handed over."""
        moved = 0
        for key, _ in self._selector.select(timeout_s):
            if key.fileobj is self._stdin:
                moved = _write_some(self._stdin, outgoing) if outgoing is not None else 0
            else:
                self._take(self._stdout if key.fileobj is self._stdout else self._stderr)
        return moved

    def _drain(self) -> None:
        """Take what an ended program left in its pipes."""
        for pipe in (self._stdout, self._stderr):
            while self._is_read(pipe) and self._take(pipe):
                pass

    def _take(self, pipe: IO[bytes]) -> bool:
        """Keep what a pipe has, and at its end stop looking at it; False where it had nothing."""
        try:
            data = os.read(pipe.fileno(), _CHUNK_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self._selector.unregister(pipe)
        elif pipe is self._stdout:
            self._received += data
        else:
            self._said += data
            del self._said[:-_STDERR_BYTES]
        return bool(data)

    def _is_read(self, pipe: IO[bytes]) -> bool:
        return pipe in self._selector.get_map()

    def _gone(self) -> LinkError:
        """The error for a program that reads or writes no more."""
        try:
            status = self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            return LinkError(f"{self.what} closed its end but still runs. {self.last_words()}".rstrip())
        self._drain()
        how = f"was ended by signal {-status}" if status < 0 else f"ended with exit status {status}"
        return LinkError(f"{self.what} {how}. {self.last_words()}".rstrip())

    def _check_open(self) -> None:
        if self._closed:
            raise LinkError(f"{self.what} has been closed")


def _popen(argv: Sequence[str], install: str) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    try:
        return children.start(argv, lasting=True, bufsize=0, stdin=pipe, stdout=pipe, stderr=pipe)
    except (OSError, subprocess.SubprocessError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise MissingToolError(f"{argv[0]} cannot be started: {reason}. Install with: {install}") from error


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    return process.stdin, process.stdout, process.stderr


def _write_some(pipe: IO[bytes], data: memoryview) -> int:
    try:
        return os.write(pipe.fileno(), data[:_CHUNK_BYTES])
    except BlockingIOError:  # room for less than the pipe's atomic unit
        return 0


@dataclass(frozen=True)
class Count:
    """What to count: the instructions of each call of a function, in parts.

    A call is counted from its first instruction until control is back in the
    function that called it. A part begins wherever `step` is entered; so `begin`
    and `step` are real functions (not inlined), and no loop may jump
    back to the first instruction of `step`.

    Attributes:
        begin: byte address of the function (without the Thumb bit).
        step: byte address of the function that it calls for each of its parts.
        caller: byte addresses [low, high) of the function that calls it.
        out: the file that gets one line a call; what is in it stays.
    """

    begin: int
    step: int
    caller: tuple[int, int]
    out: Path


@dataclass(frozen=True)
class CallCount:
    """One call: what ran before the first step, then in each step.

    Attributes:
        instructions: by part.
        cycles: by part; empty where the emulator has no true cycles.
    """

    instructions: tuple[int, ...]
    cycles: tuple[int, ...] = ()


def read_counts(path: Path, last: int | None = None) -> list[CallCount]:
    """The calls that an emulator has written to `Count.out` so far; none where there is no file.

    Args:
        last: only so many, without reading the file from its beginning: it grows for as long as the emulator runs.

    Raises:
        LinkError: a line is not what an emulator writes.
    """
    if not path.exists():
        return []
    with path.open("rb") as stream:
        start = 0 if last is None else max(0, stream.seek(0, os.SEEK_END) - (last + 1) * _LINE_BYTES)
        stream.seek(start)
        lines = stream.read().decode("ascii", errors="replace").splitlines(keepends=True)
    whole = [line for line in lines[1 if start else 0 :] if line.endswith("\n")]  # not one that is being written
    return [_call_count(line, path) for line in (whole if last is None else whole[-last:])]


def _call_count(line: str, path: Path) -> CallCount:
    instructions, _, cycles = line.partition("| cycles")
    try:
        return CallCount(_parts(instructions), _parts(cycles) if cycles else ())
    except ValueError:
        raise LinkError(f"{path} has a line that no emulator writes: {line[:80]!r}") from None


def _parts(text: str) -> tuple[int, ...]:
    total, *parts = (int(word) for word in text.split())
    if total != sum(parts):
        raise ValueError(text)
    return tuple(parts)


def compiled(source: Path, flags: Sequence[str], *, libraries: Sequence[str] = (), packages: str = "") -> Path:
    """The program or library that the C file `source` gives, compiled when it is first needed.

    It is kept in the user's cache under a name that has the source's and the
    compiler's hash, and renamed into place: two runs may do this at once.

    Args:
        source: one C file of this package.
        flags: for the compiler.
        libraries: flags of the linker, after the source.
        packages: Debian packages that it needs besides a compiler.

    Raises:
        MissingToolError: there is no C compiler, or it does not find what the file needs.
        BadInputError: the cache cannot be written.
    """
    install = f"apt-get install gcc libc6-dev {packages}".rstrip()
    compiler = _compiler(install)
    command = [*compiler, "-std=gnu11", "-O2", "-Wall", *flags]
    key = hashlib.sha256(source.read_bytes() + "\0".join([*command, *libraries, _version(compiler)]).encode())
    target = _cache() / f"{source.stem}-{key.hexdigest()[:16]}"
    if not target.exists():
        _compile([*command, str(source)], libraries, target, install)
    return target


def _compiler(install: str) -> list[str]:
    """The system's C compiler: $CC, else the first of the usual names."""
    named = shlex.split(os.environ.get("CC", ""))
    for argv in [named] if named else [["cc"], ["gcc"], ["clang"]]:
        if path := shutil.which(argv[0]):
            return [path, *argv[1:]]
    missing = f"the C compiler {named[0]} of $CC is" if named else "no C compiler (cc, gcc, clang) is"
    raise MissingToolError(f"{missing} installed. Install with: {install}")


def _version(compiler: list[str]) -> str:
    return _run([*compiler, "--version"])[1].partition("\n")[0]


def _cache() -> Path:
    """The user's cache, as the XDG base directory specification has it."""
    root = os.environ.get("XDG_CACHE_HOME", "")
    try:
        base = Path(root) if os.path.isabs(root) else Path.home() / ".cache"
    except RuntimeError:
        raise BadInputError("there is no home folder for the cache; set XDG_CACHE_HOME to a folder") from None
    return base / "lenet-edge" / "tools"


def _compile(command: list[str], libraries: Sequence[str], target: Path, install: str) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".part-", dir=target.parent) as name:
            part = Path(name) / target.name
            status, said = _run([*command, "-o", str(part), *libraries])
            if status != 0:
                last = " / ".join([line for line in said.splitlines() if "error" in line or "cannot" in line][:2])
                raise MissingToolError(
                    f"{Path(command[0]).name} cannot make {target.name}: {last}. Install with: {install}"
                )
            os.replace(part, target)
    except OSError as error:
        raise BadInputError(
            f"cannot write {target}: {error.strerror or error}. "
            "Free some space or choose another place with $XDG_CACHE_HOME."
        ) from error


def _run(argv: list[str]) -> tuple[int, str]:
    try:
        done = children.run(argv, timeout_s=_COMPILE_S)
    except subprocess.TimeoutExpired:
        raise ToolFailedError(f"{argv[0]} did not end within {_COMPILE_S:g} s") from None
    return done.code, done.stdout + done.stderr
