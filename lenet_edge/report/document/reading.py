"""What a build folder has: the model, and the records that are of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from lenet_edge.errors import BadInputError
from lenet_edge.formats import tflite
from lenet_edge.hardware import boards
from lenet_edge.hardware.boards import Board
from lenet_edge.quantized.meaning import Meaning, meaning_of
from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.records import (
    MANIFEST,
    read_bench,
    read_build,
    read_check,
    read_quantize,
)
from lenet_edge.report.document.recorded import Recorded

__all__ = ["Build", "Samples", "find_model", "read_folder"]

Int8Array: TypeAlias = npt.NDArray[np.int8]
UInt8Array: TypeAlias = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Samples:
    """Test images, for what no record has: the worst ones, and the values that layers give.

    Attributes:
        data: the data set as it was named.
        images: int8 ``[n, *model.input.shape]``.
        pixels: the same as uint8 ``[n, h, w]`` or ``[n, h, w, 3]``.
        labels: ``[n]``, or None.
        files: of the pictures; empty where the images do not come from pictures.
        total: how many the data set has.
    """

    data: str
    images: Int8Array
    pixels: UInt8Array
    labels: npt.NDArray[Any] | None
    files: tuple[str, ...]
    total: int


@dataclass(frozen=True)
class Found:
    """A record, and the same by the addresses of its file."""

    record: Any
    content: Recorded


@dataclass(frozen=True, eq=False)
class Build:
    """A model and the records of it; what is not there was not measured.

    Attributes:
        folder: the records are below it.
        path: of the model.
        check, quantize: the records of these commands.
        firmware, bench: by board, in their order.
        boards: those of the firmware that are known here.
        remarks: what was left out, and why.
        tests: see `Samples`.
    """

    folder: Path
    path: Path
    model: QuantizedModel
    check: Found | None = None
    quantize: Found | None = None
    firmware: Mapping[str, Found] = field(default_factory=dict)
    bench: Mapping[str, Found] = field(default_factory=dict)
    boards: Mapping[str, Board] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    tests: Samples | None = None

    @property
    def name(self) -> str:
        """The model's, as its file has it."""
        return self.path.stem

    @property
    def meaning(self) -> Meaning:
        """What the model's outputs are."""
        return meaning_of(self.model)

    @property
    def grid(self) -> bool:
        """Whether a proof says that the model is on the tie-free grid."""
        return self.quantize is not None and self.quantize.record.proof is not None


def find_model(folder: Path) -> Path:
    """The int8 model of a build folder: the one that `check` was of, or else the only one.

    Raises:
        BadInputError: there is none, or nothing says which of several.
    """
    make = "`lenet-edge quantize` leaves one there; name another with --model"
    if not folder.is_dir():
        raise BadInputError(f"there is no folder {folder}: a report is made from what the other commands leave. {make}")
    found = sorted(path for path in folder.glob("*.tflite") if path.is_file())
    if not found:
        raise BadInputError(f"{folder} has no int8 model (.tflite), so there is nothing to report. {make}")
    if len(found) == 1:
        return found[0]
    try:
        wanted = read_check(folder / "check.json").fingerprint
    except BadInputError:
        wanted = ""
    for path in found if wanted else ():
        if tflite.read(path).fingerprint == wanted:
            return path
    raise BadInputError(f"{folder} has {len(found)} models; name one with --model: {', '.join(map(str, found))}")


def read_folder(folder: Path, path: Path) -> Build:
    """The model and all records of it in a folder. A record that is another model's, or cannot be read, is left out.

    Raises:
        BadInputError: the model cannot be read.
    """
    model = tflite.read(path)
    read = _Reader(folder, model.fingerprint)
    firmware = read.by_board(folder.glob(f"firmware/*/{MANIFEST}"), read_build, lambda file: file.parent.name)
    bench = read.by_board(folder.glob("bench/*.json"), read_bench, lambda file: file.stem)
    return Build(
        folder,
        path,
        model,
        check=read.one(folder / "check.json", read_check),
        quantize=read.one(path.with_suffix(".json"), read_quantize),
        firmware=firmware,
        bench=bench,
        boards={name: boards.load(name) for name in boards.board_names() if name in {*firmware, *bench}},
        remarks=tuple(read.remarks),
    )


class _Reader:
    """Reads the records of a model, and notes why one is left out."""

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self._folder, self._fingerprint = folder, fingerprint
        self.remarks: list[str] = []

    def one(self, path: Path, read: Callable[[Path], Any]) -> Found | None:
        """The record in a file; None where there is none that is of this model."""
        if not path.is_file():
            return None
        try:
            record = read(path)
        except BadInputError as error:
            self.remarks.append(str(error))
            return None
        if record.fingerprint != self._fingerprint:
            self.remarks.append(f"{path} is of another model, {record.fingerprint[:16]}, and was left out")
            return None
        # Below the folder; a model may lie elsewhere, and its record with it.
        name = path.relative_to(self._folder).as_posix() if path.is_relative_to(self._folder) else path.name
        return Found(record, Recorded(name, asdict(record)))

    def by_board(
        self, paths: Iterable[Path], read: Callable[[Path, str], Any], named: Callable[[Path], str]
    ) -> dict[str, Found]:
        """The records of boards, by board."""
        found = (self.one(path, lambda file: read(file, named(file))) for path in sorted(paths))
        return {each.record.board: each for each in found if each is not None}
