"""Writing files so that nothing that existed is lost when the writing fails.

Everything is first written to a temporary name in the destination folder,
flushed to the disk and only then renamed over the old file. A full disk, an
unwritable folder or Ctrl-C therefore leaves the old files as they were.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lenet_edge import __version__
from lenet_edge.errors import BadInputError

__all__ = [
    "MANIFEST",
    "read_bytes",
    "read_manifest",
    "remove_temporary_folders",
    "temporary_folder",
    "to_json",
    "write_artefact",
    "write_file",
    "write_files",
]

MANIFEST = "manifest.json"
_temporary: set[str] = set()


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that is gone afterwards, also where Ctrl-C comes while it is made or removed.

    It is noted before it exists, so that `remove_temporary_folders` knows of it at any moment:
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


def remove_temporary_folders() -> None:
    """Remove what is left of `temporary_folder`: before an end that runs no `finally` any more."""
    for name in list(_temporary):
        shutil.rmtree(name, ignore_errors=True)


def read_bytes(path: Path, what: str, hint: str = "") -> bytes:
    """The content of the file `path`.

    Raises:
        BadInputError: it is missing or unreadable; `what` names what was
            looked for and `hint` says what to do.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise BadInputError(f"{what} {path} does not exist. {hint}".rstrip()) from None
    except OSError as error:
        raise BadInputError(f"{what} {path} cannot be read: {error.strerror}. {hint}".rstrip()) from error


def to_json(value: Any) -> str:
    """`value` as the JSON text that the toolkit writes: sorted, indented, a newline at the end."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


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
    staged: list[tuple[str, Path]] = []
    try:
        for name, content in contents.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_dir():
                raise IsADirectoryError(21, "it is a folder")
            descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
            staged.append((temporary, target))
            with os.fdopen(descriptor, "wb") as stream:
                os.fchmod(descriptor, 0o666 & ~_umask())
                stream.write(content)
                stream.flush()
                os.fsync(descriptor)
        for temporary, target in staged:
            os.replace(temporary, target)
    except OSError as error:
        reason = error.strerror or str(error)
        raise BadInputError(
            f"cannot write {folder / next(iter(contents), '')}: {reason}. "
            "What was there is unchanged; free some space or choose another place with --out."
        ) from error
    finally:
        for temporary, _ in staged:
            Path(temporary).unlink(missing_ok=True)


def write_artefact(folder: Path, contents: Mapping[str, bytes], fingerprint: str, **facts: Any) -> dict[str, Any]:
    """Write an artefact folder: its files and a ``manifest.json`` that names them.

    Files that an earlier manifest of the folder lists and that are no longer
    part of the artefact are removed; anything else in the folder is left alone.

    Args:
        folder: where to write.
        contents: file name -> bytes.
        fingerprint: of the `QuantizedModel` that the artefact was made from.
        facts: further entries of the manifest; JSON values that do not depend
            on the folder, the machine or the time.

    Returns:
        The manifest.
    """
    manifest = {
        **facts,
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(contents.items())},
        "fingerprint": fingerprint,
        "lenet_edge": __version__,
    }
    stale = set((read_manifest(folder) or {}).get("files", {})) - set(contents)
    write_files(folder, {**contents, MANIFEST: to_json(manifest).encode()})
    for name in stale:
        _remove(folder, name)
    return manifest


def _remove(folder: Path, name: str) -> None:
    """Delete what an earlier manifest listed; one that was tampered with cannot make us delete outside its folder."""
    with contextlib.suppress(OSError, ValueError):  # gone already, or a folder now, or no name at all
        if (folder / name).parent.resolve().is_relative_to(folder.resolve()):
            (folder / name).unlink()


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of an artefact folder, or None where there is none that can be read."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        return None
    return manifest


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
