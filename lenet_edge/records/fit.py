"""The record of `quantize --fit-board`: which bits the layers may have, what that costs, and what was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lenet_edge.records.fields import (
    BOARD,
    SHA256,
    Fields,
    WrongRecordError,
    content_of,
    read_record,
    record_fields,
)

__all__ = ["FIT_FORMAT", "FitChoice", "FitRecord", "FitRow", "parse_fit", "read_fit"]

FIT_FORMAT = 1
_LARGEST_LOSS = 1e6


@dataclass(frozen=True)
class FitChoice:
    """Bits that a layer may have.

    Attributes:
        bytes: of the layer's tables.
        loss: that this adds if no other layer has them, as a short training found; see `learning.sensitivity`.
    """

    layer: str
    bits: int
    bytes: int
    loss: float


@dataclass(frozen=True)
class FitRow:
    """An allocation that no other beats in both flash and expected loss; see `bit_allocation.Candidate`."""

    bits: Mapping[str, int]
    flash_bytes: int
    over_bytes: int
    expected_loss: float
    validation_accuracy: float | None
    ram_over_bytes: int = 0


@dataclass(frozen=True)
class FitRecord:
    """What the search found.

    Attributes:
        board: its name.
        flash_budget_bytes: of the board.
        data: the data set as it was named.
        fingerprint: of the int8 model that was chosen.
        chosen: its place in `front`.
        choices: of each layer and bits.
        front: by ascending expected bytes.
        optimize: "speed" or "size", as `build --optimize` has it: whose firmware takes these bytes.
    """

    board: str
    flash_budget_bytes: int
    data: str
    fingerprint: str
    chosen: int
    choices: tuple[FitChoice, ...]
    front: tuple[FitRow, ...]
    optimize: str = "speed"

    def content(self) -> dict[str, Any]:
        """The record's JSON object."""
        return content_of(self, FIT_FORMAT)


def read_fit(path: Path) -> FitRecord:
    """The record of `quantize --fit-board` in a file.

    Raises:
        BadInputError: it is missing, not such a record, or another version's.
    """
    return read_record(path, parse_fit, "lenet-edge quantize --fit-board NAME")


def parse_fit(content: Mapping[str, Any]) -> FitRecord:
    """A record of `quantize --fit-board`, from its JSON object; errors as of `parse_check`."""
    with record_fields(content, FIT_FORMAT) as fields:
        record = FitRecord(
            board=fields.text("board", BOARD),
            flash_budget_bytes=fields.count("flash_budget_bytes"),
            data=fields.text("data"),
            fingerprint=fields.text("fingerprint", SHA256),
            chosen=fields.count("chosen"),
            choices=tuple(map(_choice, fields.objects("choices"))),
            front=tuple(map(_row, fields.objects("front"))),
            optimize=fields.given("optimize", fields.text, "speed|size") or "speed",
        )
    _require_sense(record)
    return record


def _require_sense(record: FitRecord) -> None:
    known = {(choice.layer, choice.bits) for choice in record.choices}
    for row in record.front:
        if not set(row.bits.items()) <= known:
            raise WrongRecordError("an allocation has bits that its layer may not have")
        if row.over_bytes != max(0, row.flash_bytes - record.flash_budget_bytes):
            raise WrongRecordError(f"{row.flash_bytes:,} bytes of flash are not {row.over_bytes:,} over the budget")
    if record.chosen >= len(record.front):
        raise WrongRecordError(f"there is no allocation {record.chosen}, which was chosen")
    chosen = record.front[record.chosen]
    if chosen.over_bytes or chosen.ram_over_bytes or chosen.validation_accuracy is None:
        raise WrongRecordError("what was chosen does not fit, or was not trained")


def _choice(content: Fields) -> FitChoice:
    with record_fields(content) as fields:
        return FitChoice(
            layer=fields.text("layer"),
            bits=fields.count("bits", 8, 1),
            bytes=fields.count("bytes"),
            loss=fields.number("loss", -_LARGEST_LOSS, _LARGEST_LOSS),
        )


def _row(content: Fields) -> FitRow:
    with record_fields(content) as fields:
        bits = fields.table("bits")
        return FitRow(
            bits={name: bits.count(name, 8, 1) for name in bits.items()},
            flash_bytes=fields.count("flash_bytes"),
            over_bytes=fields.count("over_bytes"),
            expected_loss=fields.number("expected_loss", 0, _LARGEST_LOSS),
            validation_accuracy=fields.optional("validation_accuracy", fields.number, 0, 1),
            ram_over_bytes=fields.count("ram_over_bytes"),
        )
