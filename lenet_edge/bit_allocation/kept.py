"""What a search has measured and trained, in a folder, so that one that was interrupted goes on.

The folder is named after the digest of all that its results depend on, so nothing in it is ever out of date. What is
damaged there, or another's, is made again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lenet_edge.errors import BadInputError
from lenet_edge.files import to_json, write_file
from lenet_edge.records.fields import Fields, WrongRecordError, read_record, record_fields

__all__ = ["FOLDER", "Kept"]

FOLDER = Path("build/fit")
"""Where searches keep what they found, unless the caller says otherwise."""

_FORMAT = 1
_LARGEST = 1e6  # of a divergence, in nats


class Kept:
    """What is in the folder of a search.

    Attributes:
        folder: ``FOLDER/NAME-DIGEST``; made when the first result is kept.
        digest: SHA-256 (hex) of what the results depend on.
        divergences: what was measured, by name, 0 or a little below at least.
    """

    def __init__(self, name: str, depends_on: Mapping[str, Any], say: Callable[[str], None], place: Path = FOLDER):
        """Args:
        name: for the reader of the folder's name: the network's.
        depends_on: all that the results depend on, as JSON values: model, data, settings, code.
        say: called with what is wrong with a file that is made again.
        """
        self.digest = _digest(dict(depends_on))
        self.folder = place / f"{name}-{self.digest[:12]}"
        self._say, self._file = say, self.folder / "measured.json"
        self.divergences = self._read()

    def divergence(self, name: str, measure: Callable[[], float]) -> float:
        """What was measured under that name, or is now, and then kept.

        Raises:
            BadInputError: it cannot be written.
        """
        if name not in self.divergences:
            self.divergences[name] = measure()
            content = {"divergences": self.divergences, "search": self.digest}
            write_file(self._file, to_json({"format": _FORMAT, **content, "sha256": _digest(content)}).encode())
        return self.divergences[name]

    def weights_file(self, bits: str) -> Path:
        """Where the weights that were trained with these bits are, or will be; `bits` as ``--weight-bits`` has them."""
        return self.folder / f"{_digest(bits)[:12]}.qat.safetensors"

    def _read(self) -> dict[str, float]:
        if not self._file.exists():
            return {}
        try:
            return dict(read_record(self._file, self._parsed, "lenet-edge quantize --fit-board NAME"))
        except BadInputError as error:
            self._say(f"measuring again: {error}")
            return {}

    def _parsed(self, content: Mapping[str, Any]) -> Mapping[str, float]:
        with record_fields(content, _FORMAT) as fields:
            search, stated = fields.text("search"), fields.text("sha256")
            found = _divergences(fields.table("divergences"))
        if search != self.digest:
            raise WrongRecordError("it is of another search")
        if stated != _digest({"divergences": found, "search": search}):
            raise WrongRecordError("its content does not match the SHA-256 in it")
        return found


def _divergences(table: Fields) -> dict[str, float]:
    return {name: table.number(name, -_LARGEST, _LARGEST) for name in table.items()}


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
