"""Running a flash tool, and copying to the volume of a boot loader: with time-outs, and with what went wrong."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from lenet_edge import children
from lenet_edge.errors import LinkError, MissingToolError
from lenet_edge.hardware import tools
from lenet_edge.hardware.boards import Board

__all__ = ["copy_to_volume", "identify_volume", "run_program"]

_SAID_CHARACTERS = 600  # the end of what a tool said, for messages
_CHUNK_BYTES = 1 << 16
_REMOUNT_S = 5.0  # DAPLink does so 1 to 2 s after it has all of the file; not every system mounts it again
_REPORT = "FAIL.TXT"
# A volume of a boot loader -> the file that tells it from a memory stick (Microsoft, UF2; Arm, DAPLink), and the
# line in it that names the board: the whole, or what DAPLink's begins with.
_MARKS = {".uf2": "INFO_UF2.TXT", ".hex": "DETAILS.TXT"}
_ID_LINES = {".uf2": "Board-ID", ".hex": "Unique ID"}
_MARK_BYTES = 4096


def run_program(argv: Sequence[str], folder: Path, timeout_s: float) -> str:
    """Run a tool in a folder and wait for its end; what it printed.

    Raises:
        MissingToolError: it is not installed.
        LinkError: it failed, or did not end in time and was ended with all that it had started.
    """
    tool = tools.find(argv[0])
    program = tools.which(argv[0])
    if program is None:
        raise MissingToolError(f"{argv[0]} is missing; {tool.install}")
    with (folder / "said").open("w+b") as said:
        try:
            process = children.start(
                [program, *argv[1:]],
                lasting=False,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
            )
        except OSError as error:
            raise MissingToolError(f"{argv[0]} cannot be started: {error.strerror}; {tool.install}") from error
        try:
            status = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise LinkError(f"{argv[0]} did not end within {timeout_s:g} s{_ended_with(said.name)}") from None
        finally:
            _end_all(process)
    if status != 0:
        how = f"was ended by signal {-status}" if status < 0 else f"ended with exit status {status}"
        raise LinkError(f"{argv[0]} {how}{_ended_with(str(folder / 'said'))}")
    return (folder / "said").read_text(errors="replace")


def _ended_with(path: str) -> str:
    said = Path(path).read_text(errors="replace").strip()
    lines = " / ".join(line.strip() for line in said[-_SAID_CHARACTERS:].splitlines() if line.strip())
    return f", having said: {lines}" if lines else ", and said nothing"


def _end_all(process: subprocess.Popen[bytes]) -> None:
    """End the tool and what it started: it leads its own process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    children.ended(process)


def identify_volume(suffix: str, volume: Path, board: Board) -> str:
    """The board whose boot loader a volume is, by the file that it carries.

    A UF2 boot loader takes any file of its family, and DAPLink any file at all: the wrong board would get it.

    Args:
        suffix: of the firmware's file, ".uf2" or ".hex".

    Raises:
        LinkError: it is not such a volume, or another board's, or cannot be compared.
    """
    mark, key = volume / _MARKS[suffix], _ID_LINES[suffix]
    if not mark.is_file():
        raise LinkError(f"{volume} is not the volume of a boot loader: {mark.name} is not there. Name it with --volume")
    wanted = board.flash_tool.board_ids if board.flash_tool is not None else ()
    found = _value(mark, key)
    if found is None and suffix == ".hex":  # early versions of DAPLink do not say it
        return "a volume that does not say its board"
    if found is None:
        raise LinkError(f"{mark} has no {key}: whether it is of {board.name} cannot be told. Nothing was written")
    if not wanted:
        raise LinkError(
            f"{volume} is of the board {found!r}, and the TOML of {board.name} does not say what its boot loader is "
            f'called. If this is the board, add to its [flash_tool]: board_ids = ["{found}"]. Nothing was written'
        )
    if not any(found == each or (suffix == ".hex" and found.startswith(each)) for each in wanted):
        raise LinkError(
            f"{volume} is of the board {found!r}, and {board.name} is {' or '.join(map(repr, wanted))}: is this the "
            "right board? Nothing was written"
        )
    return f"{key} {found}"


def _value(mark: Path, key: str) -> str | None:
    """What a line "KEY: VALUE" of a volume's file says; None where there is none, or nothing that can be shown."""
    try:
        with mark.open("rb") as stream:
            lines = stream.read(_MARK_BYTES).decode("ascii", errors="replace").splitlines()
    except OSError:
        return None
    values = [line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key]
    return values[0] if values and values[0] and values[0].isprintable() else None


def copy_to_volume(source: Path, volume: Path) -> str:
    """Copy a firmware file to the volume of a boot loader, which takes it as it comes.

    Raises:
        LinkError: it is not such a volume, it has no room, it went away before all was written, or its boot loader
            reports a failure.
    """
    mark = _MARKS[source.suffix]
    if not (volume / mark).is_file():
        raise LinkError(f"{volume} is not the volume of a boot loader: {mark} is not there. Name it with --volume")
    content, done = source.read_bytes(), 0
    old_report = _text(volume / _REPORT)
    if shutil.disk_usage(volume).free < len(content):
        raise LinkError(f"{volume} has less room than the {len(content):,} bytes of {source.name}")
    try:
        descriptor = os.open(volume / source.name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            while done < len(content):
                done += os.write(descriptor, content[done : done + _CHUNK_BYTES])
            with contextlib.suppress(OSError):  # the board may restart as soon as it has the last block
                os.fsync(descriptor)
        finally:
            with contextlib.suppress(OSError):
                os.close(descriptor)
    except OSError as error:
        raise LinkError(
            f"the writing was interrupted after {done:,} of {len(content):,} bytes: {error.strerror}. "
            "The board may hold a part of the firmware; start its boot loader and run `lenet-edge flash` again"
        ) from error
    if source.suffix == ".hex":
        _await_report(volume, old_report)
    return f"{len(content):,} bytes of {source.name} copied to {volume}"


def _await_report(volume: Path, old_report: str | None) -> None:
    """DAPLink's verdict: the volume goes away and comes back, with FAIL.TXT if it did not take the file.

    A FAIL.TXT of an earlier copy is there until then. Source: DAPLink, USERS-GUIDE.md, "Drag-and-drop programming".

    Raises:
        LinkError: it did not take the file.
    """
    deadline, was_away = time.monotonic() + _REMOUNT_S, False
    while time.monotonic() < deadline:
        is_there = os.path.isfile(volume / _MARKS[".hex"])
        report = _text(volume / _REPORT)
        if report is not None and (was_away or report != old_report):
            raise LinkError(f"the board's interface chip refused it: {report}")
        if is_there and was_away:
            return
        was_away = was_away or not is_there
        time.sleep(0.02)


def _text(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return None
