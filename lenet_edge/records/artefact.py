"""Artefact folders: the files that `export` or `build` leaves, and the manifest that names them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lenet_edge.errors import BadInputError
from lenet_edge.files import RECORD_BYTES, read_bytes, to_json, write_files
from lenet_edge.records.fields import SHA256, Fields, WrongRecordError, load_object, require_format, shown
from lenet_edge.version import __version__

__all__ = [
    "MANIFEST",
    "MANIFEST_FORMAT",
    "Manifest",
    "parse_manifest",
    "read_manifest",
    "require_manifest",
    "write_artefact",
]

MANIFEST = "manifest.json"
MANIFEST_FORMAT = 1
"""Older ones have the same fields and no number."""

_OWN = ("format", "files", "fingerprint", "lenet_edge")


@dataclass(frozen=True)
class Manifest:
    """What is in an artefact folder.

    Attributes:
        files: name of a file in the folder, or below it -> SHA-256.
        fingerprint: of the `QuantizedModel` that they were made from.
        lenet_edge: the version that made them.
        facts: what else its maker says: see `BuildRecord` and `ExportedC`.
    """

    files: Mapping[str, str]
    fingerprint: str
    lenet_edge: str
    facts: Mapping[str, Any]

    def is_of(self, fingerprint: str, **facts: Any) -> bool:
        """Whether it is of that model, and has these facts."""
        return self.fingerprint == fingerprint and facts.items() <= self.facts.items()

    def content(self) -> dict[str, Any]:
        """The manifest's JSON object."""
        own = (MANIFEST_FORMAT, dict(self.files), self.fingerprint, self.lenet_edge)
        return {**self.facts, **dict(zip(_OWN, own, strict=True))}

    def to_bytes(self) -> bytes:
        """The manifest as its file has it."""
        return to_json(self.content()).encode()


def write_artefact(folder: Path, contents: Mapping[str, bytes], fingerprint: str, **facts: Any) -> Manifest:
    """Write an artefact folder: its files and a ``manifest.json`` that names them.

    Files that an earlier manifest of the folder lists and that are no longer
    part of the artefact are removed; anything else in the folder is left alone, and nothing is written where such
    a file has the name of one of these.

    Args:
        folder: where to write.
        contents: file name -> bytes.
        fingerprint: of the `QuantizedModel` that the artefact was made from.
        facts: further entries of the manifest; JSON values that do not depend
            on the folder, the machine or the time.

    Raises:
        BadInputError: it cannot be written, or a file that no earlier manifest lists would be overwritten.
    """
    files = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(contents.items())}
    manifest, earlier = Manifest(files, fingerprint, __version__, facts), read_manifest(folder)
    _require_not_foreign(folder, files, earlier)
    write_files(folder, {**contents, MANIFEST: manifest.to_bytes()})
    for name in set() if earlier is None else set(earlier.files) - set(contents):
        _remove(folder, name)
    return manifest


def _require_not_foreign(folder: Path, files: Mapping[str, str], earlier: Manifest | None) -> None:
    """Leave alone what somebody else wrote, such as the CMakeLists.txt of a project into which C is exported."""
    if earlier is None and os.path.lexists(folder / MANIFEST):  # a damaged one is ours, unless it is something else
        foreign = [MANIFEST] if _is_something_else(folder / MANIFEST) else []
    else:
        names = set(files) - set(() if earlier is None else earlier.files)
        foreign = [name for name in sorted(names) if _differs(folder / name, files[name])]
    if foreign:
        raise BadInputError(
            f"{folder} has its own {foreign[0]}, which lenet-edge did not write there: choose another folder with "
            f"--out, such as {folder / 'model'}, or move the file away"
        )


def _is_something_else(path: Path) -> bool:
    """Whether a manifest.json is that of a web page, say: an object with none of our entries."""
    try:
        content = json.loads(read_bytes(path, "the manifest", limit=RECORD_BYTES))
    except (BadInputError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and bool(content) and not content.keys() & set(_OWN)


def _differs(path: Path, digest: str) -> bool:
    """Whether a file is there with other content; where only the manifest was deleted, the rest is the same."""
    if not os.path.lexists(path):
        return False
    try:
        return digest != hashlib.sha256(read_bytes(path, "the file")).hexdigest()
    except BadInputError:
        return True


def _remove(folder: Path, name: str) -> None:
    """Delete what an earlier manifest listed; one that was tampered with cannot make us delete outside its folder."""
    with contextlib.suppress(OSError, ValueError):  # gone already, or a folder now, or not a name at all
        if (folder / name).parent.resolve().is_relative_to(folder.resolve()):
            (folder / name).unlink()


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of an artefact folder, or None where there is none that can be used."""
    try:
        return require_manifest(folder)
    except BadInputError:
        return None


def require_manifest(folder: Path) -> Manifest:
    """The manifest of an artefact folder.

    Raises:
        BadInputError: it is missing, not a manifest, or another version's.
    """
    path = folder / MANIFEST
    data = read_bytes(path, "the manifest", limit=RECORD_BYTES)
    try:
        return parse_manifest(load_object(data))
    except WrongRecordError as error:
        raise BadInputError(f"{path} is not a manifest that lenet-edge wrote: {error}.") from None


def parse_manifest(content: Mapping[str, Any]) -> Manifest:
    """A manifest, from its JSON object; errors as of `parse_check`."""
    fields = Fields(content)
    require_format(fields, MANIFEST_FORMAT, numbered=False)
    files = fields.table("files")
    for name in files.items():
        if not _is_below(name):
            raise WrongRecordError(f"it names {shown(name)}, which is not a file in its folder")
    return Manifest(
        files={name: files.text(name, SHA256) for name in files.items()},
        fingerprint=fields.text("fingerprint", SHA256),
        lenet_edge=fields.text("lenet_edge"),
        facts={name: fact for name, fact in content.items() if name not in _OWN},
    )


def _is_below(name: str) -> bool:
    """Whether it is the plain name of a file in a folder, or below it."""
    parts = name.split("/")
    return name.isprintable() and not re.search(r"[\\:]", name) and not {"", ".", ".."} & set(parts)
