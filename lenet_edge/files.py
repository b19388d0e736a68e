"""Files: reading with a limit, and writing so that nothing that existed is lost when the writing fails.

Only regular files are read, and none that is larger than its kind can be: a
device, a pipe or a file of gigabytes is refused before a byte of it is read.

What is written goes to a temporary name in the destination folder, is flushed
to the disk and only then renamed over the old file. A full disk, an unwritable
folder or Ctrl-C therefore leaves the old files as they were. A symbolic link
stays, and its target is replaced; what is not a regular file, such as
/dev/stdout or a pipe, stays too and is written to.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import json
import os
import re
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lenet_edge.errors import BadInputError

__all__ = [
    "MODEL_BYTES",
    "RECORD_BYTES",
    "TEXT_BYTES",
    "folder_until_the_end",
    "read_bytes",
    "remove_temporaries",
    "require_regular",
    "status_of",
    "temporary_folder",
    "to_json",
    "write_file",
    "write_files",
]

# How large a file of a kind may be; more is not one of its kind, or not one for a microcontroller.
TEXT_BYTES = 4 << 20  # TOML, C sources
RECORD_BYTES = 64 << 20  # JSON
MODEL_BYTES = 256 << 20  # models, weights, firmware, pictures: the default

_NAME_CHARACTERS = 40  # of the file's name in the temporary one: a name may have 255 bytes, a character four
_LISTS_OF_NUMBERS = re.compile(r"\[\n((?: *-?\d[-+.\deE]*,?\n)+) *\]")  # a text has no line break
_SURROGATES_AND_CONTROLS = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_KINDS = {
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a block device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}
_temporary: set[str] = set()


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that is gone afterwards, also where Ctrl-C comes while it is made or removed.

    It is noted before it exists, so that `remove_temporaries` knows of it at any moment:
    `tempfile.TemporaryDirectory` has instants in which nobody does.
    """
    name = os.path.join(tempfile.gettempdir(), f"lenet-edge-{secrets.token_hex(8)}")
    _temporary.add(name)
    try:
        os.mkdir(name, 0o700)
        yield Path(name)
    finally:
        shutil.rmtree(name, ignore_errors=True)
        _temporary.discard(name)


def folder_until_the_end() -> Path:
    """A name for a temporary folder, which is removed at the end of the process if somebody made it."""
    name = os.path.join(tempfile.gettempdir(), f"lenet-edge-{secrets.token_hex(8)}")
    _temporary.add(name)
    atexit.register(shutil.rmtree, name, ignore_errors=True)
    return Path(name)


def remove_temporaries() -> None:
    """Remove what is left of `temporary_folder` and `write_files`: before an end that runs no `finally` any more."""
    for name in list(_temporary):
        shutil.rmtree(name, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.unlink(name)


# --- reading --------------------------------------------------------------------------------------


def read_bytes(path: Path, what: str, hint: str = "", *, limit: int = MODEL_BYTES) -> bytes:
    """The content of the regular file `path`, or of the one that it links to.

    Args:
        what: names what was looked for, in messages.
        hint: says what to do, in messages.
        limit: the most bytes that such a file may have.

    Raises:
        BadInputError: it is missing or unreadable, is not a regular file, or is larger.
    """
    try:
        require_regular(path)
        # Should another program have put a pipe there meanwhile, opening it does not wait.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        with open(descriptor, "rb") as stream:
            size = _regular_size(os.fstat(descriptor))
            content = stream.read(size + 1) if size <= limit else b""
            if len(content) > size:  # it grows, or its size is not known, as in /proc
                content += stream.read(limit + 1 - len(content))
    except FileNotFoundError:
        raise BadInputError(f"{what} {path} does not exist. {hint}".rstrip()) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise BadInputError(f"{what} {path} cannot be read: {reason}. {hint}".rstrip()) from error
    except ValueError as error:  # a zero byte, or half a surrogate pair
        raise BadInputError(f"{what} {str(path)!r} cannot be read: it is not a path ({error}).") from None
    if (size := max(size, len(content))) > limit:
        message = f"{what} {path} is too large: {size:,} bytes, and {limit:,} at most are read. {hint}"
        raise BadInputError(message.rstrip())
    return content


def require_regular(path: Path) -> None:
    """Hold that `path` is a regular file, without opening it: opening a device can do something.

    Raises:
        OSError: it is missing, or something else; `strerror` says what.
    """
    _regular_size(os.stat(path))


def _regular_size(status: os.stat_result) -> int:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(21, "Is a directory")
    if not stat.S_ISREG(status.st_mode):
        raise OSError(22, f"it is {_kind(status)}, not a regular file")
    return status.st_size


def _kind(status: os.stat_result) -> str:
    return _KINDS.get(stat.S_IFMT(status.st_mode), "something else")


def to_json(value: Any) -> str:
    """`value` as the JSON text that the toolkit writes: sorted, indented, a list of numbers in a line.

    It can always be encoded as UTF-8, and holds no control character: those, and the halves of surrogate
    pairs by which Python names bytes of file names that are not UTF-8, are escaped.
    """
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    text = _LISTS_OF_NUMBERS.sub(lambda found: f"[{' '.join(found[1].split())}]", text)
    return _SURROGATES_AND_CONTROLS.sub(lambda found: f"\\u{ord(found.group()):04x}", text) + "\n"


# --- writing --------------------------------------------------------------------------------------


def write_file(path: Path, content: bytes) -> None:
    """Write one file, or leave what was there.

    Raises:
        BadInputError: the folder is not writable or the disk is full.
    """
    write_files(path.parent, {path.name: content})


def write_files(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write several files into `folder` (created when missing), or leave what was there.

    All are written under temporary names before the first is renamed, so that
    a full disk is met before anything changes.

    Raises:
        BadInputError: the folder is not writable or the disk is full.
    """
    staged: list[_Staged] = []
    target = folder
    try:
        for name, content in contents.items():
            target = folder / name
            staged.append(_stage(target, content))
        for each in staged:
            target = each.target
            if each.part is None:
                _write_through(each)
        for each in staged:
            target = each.target
            if each.part is not None:
                os.replace(each.part, each.real)
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        what_to_do = "free some space or choose another place" if full else "choose another place"
        message = f"cannot write {target}: {_reason(error)}. What was there is unchanged; {what_to_do}."
        raise BadInputError(message) from error
    finally:
        for each in staged:
            _forget(each.part)


def _reason(error: Exception) -> str:
    if isinstance(error, FileExistsError):  # from `makedirs`
        return "a file is where its folder should be"
    return getattr(error, "strerror", None) or str(error)


@dataclass(frozen=True)
class _Staged:
    """A file about to be written.

    Attributes:
        real: where `target` leads when its symbolic links are followed.
        part: the temporary file with its content; None where `target` is not a regular file and is written to.
    """

    target: Path
    real: str
    content: bytes
    part: str | None


def _stage(target: Path, content: bytes) -> _Staged:
    status = status_of(target)
    if status is not None and (not stat.S_ISREG(status.st_mode) or _own_stream(status) is not None):
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(21, "it is a folder")
        if stat.S_ISBLK(status.st_mode) or stat.S_ISSOCK(status.st_mode):
            raise OSError(22, f"it is {_kind(status)}")
        return _Staged(target, str(target), content, None)
    real = os.path.realpath(target)
    if status is not None and not os.access(real, os.W_OK):
        raise PermissionError(13, "Permission denied")
    os.makedirs(os.path.dirname(real), exist_ok=True)
    name = f".{os.path.basename(real)[:_NAME_CHARACTERS]}.{secrets.token_hex(4)}.part"
    part = os.path.join(os.path.dirname(real), name)
    _temporary.add(part)
    try:
        _write_part(part, content, status)
    except BaseException:
        _forget(part)
        raise
    return _Staged(target, real, content, part)


def _write_part(part: str, content: bytes, old: os.stat_result | None) -> None:
    """Write a new file, with owner and permissions of the one that it will replace."""
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    with open(descriptor, "wb") as stream:
        if old is not None:
            with contextlib.suppress(OSError):  # only root gives files away
                os.fchown(descriptor, old.st_uid, old.st_gid)
            with contextlib.suppress(OSError):  # not every file system has permissions
                os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
        stream.write(content)
        stream.flush()
        os.fsync(descriptor)


def _write_through(staged: _Staged) -> None:
    """Write to a device or pipe, or to where our own stdout or stderr goes."""
    status = os.stat(staged.target)
    own = _own_stream(status)
    if own is None:
        descriptor = os.open(staged.target, os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC)
    else:  # not opened again: that would start at the beginning of a file, and a socket cannot be
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
        descriptor = os.dup(own)
    with open(descriptor, "wb") as opened:
        opened.write(staged.content)


def _own_stream(status: os.stat_result) -> int | None:
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):  # closed
            if os.path.samestat(status, os.fstat(descriptor)):
                return descriptor
    return None


def status_of(target: Path) -> os.stat_result | None:
    """What is there, symbolic links followed; None where there is nothing."""
    try:
        return os.stat(target)
    except (FileNotFoundError, NotADirectoryError):  # making the folder says what is wrong
        return None


def _forget(part: str | None) -> None:
    if part is not None:
        with contextlib.suppress(OSError):
            os.unlink(part)
        _temporary.discard(part)
