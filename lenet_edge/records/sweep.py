"""The record of `sweep`: every configuration of a study, and what it gave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lenet_edge.records.fields import (
    SHA256,
    Fields,
    WrongRecordError,
    content_of,
    read_record,
    record_fields,
    shown,
    write_record,
)

__all__ = ["SWEEP_FORMAT", "SweepRecord", "SweepRow", "parse_sweep", "read_sweep", "write_sweep"]

SWEEP_FORMAT = 1
_STATES = ("waiting", "running", "complete", "failed", "lost")
_LARGEST_NUMBER = 1e12


@dataclass(frozen=True)
class SweepRow:
    """A configuration.

    Attributes:
        number: its place in the space.
        values: what is varied, key -> value.
        state: waiting, running, complete, failed (by itself) or lost (its workers died).
        lost: how many workers it cost.
        trial: the number of the trial that decides that; None if there is none yet.
        worker: host and process of that trial.
        problem: why it failed.
        validation_accuracy, float_validation_accuracy: of the int8 model and of the float network, 0..1; they and what
            follows are None unless it is complete.
        flash_bytes: of weights and biases, or of the firmware on the record's board, estimated.
        seconds: that it took.
        fingerprint: of the int8 model.
        file: the int8 model, in the study's folder on the machine of its worker.
        test_accuracy, float_test_accuracy: on the test set, 0..1; None unless somebody asked.
    """

    number: int
    values: Mapping[str, str | int | float | bool]
    state: str
    lost: int = 0
    trial: int | None = None
    worker: str = ""
    problem: str = ""
    validation_accuracy: float | None = None
    float_validation_accuracy: float | None = None
    flash_bytes: int | None = None
    seconds: float | None = None
    fingerprint: str | None = None
    file: str | None = None
    test_accuracy: float | None = None
    float_test_accuracy: float | None = None


@dataclass(frozen=True)
class SweepRecord:
    """A study.

    Attributes:
        study: its name.
        storage: its URL, without the password.
        data: the data set as it was named.
        data_sha256: of all its images and labels.
        board: whose flash is counted; None counts weights and biases.
        configurations: in their order.
    """

    study: str
    storage: str
    data: str
    data_sha256: str
    board: str | None
    configurations: tuple[SweepRow, ...]

    def content(self) -> dict[str, Any]:
        """The record's JSON object."""
        return content_of(self, SWEEP_FORMAT)


def read_sweep(path: Path) -> SweepRecord:
    """The record of `sweep` in a file.

    Raises:
        BadInputError: it is missing, not such a record, or another version's.
    """
    return read_record(path, parse_sweep, "lenet-edge sweep")


def write_sweep(path: Path, record: SweepRecord) -> None:
    """Write a record of `sweep`; errors as of `write_record`."""
    write_record(path, record.content(), parse_sweep)


def parse_sweep(content: Mapping[str, Any]) -> SweepRecord:
    """A record of `sweep`, from its JSON object; errors as of `parse_check`."""
    with record_fields(content, SWEEP_FORMAT) as fields:
        record = SweepRecord(
            study=fields.text("study"),
            storage=fields.text("storage"),
            data=fields.text("data"),
            data_sha256=fields.text("data_sha256", SHA256),
            board=fields.optional("board", fields.text),
            configurations=tuple(map(_row, fields.objects("configurations"))),
        )
    if [row.number for row in record.configurations] != list(range(len(record.configurations))):
        raise WrongRecordError("its configurations are not numbered from 0 on")
    return record


def _row(content: Fields) -> SweepRow:
    with record_fields(content) as fields:
        row = SweepRow(
            number=fields.count("number"),
            values=_values(fields.table("values")),
            state=fields.text("state", "|".join(_STATES)),
            lost=fields.count("lost"),
            trial=fields.optional("trial", fields.count),
            worker=fields.text("worker"),
            problem=fields.text("problem"),
            validation_accuracy=fields.optional("validation_accuracy", fields.number, 0, 1),
            float_validation_accuracy=fields.optional("float_validation_accuracy", fields.number, 0, 1),
            flash_bytes=fields.optional("flash_bytes", fields.count),
            seconds=fields.optional("seconds", fields.number, 0, _LARGEST_NUMBER),
            fingerprint=fields.optional("fingerprint", fields.text, SHA256),
            file=fields.optional("file", fields.text),
            test_accuracy=fields.optional("test_accuracy", fields.number, 0, 1),
            float_test_accuracy=fields.optional("float_test_accuracy", fields.number, 0, 1),
        )
    figures = (row.validation_accuracy, row.float_validation_accuracy, row.flash_bytes, row.fingerprint)
    if (row.state == "complete") != all(figure is not None for figure in figures):
        raise WrongRecordError(f"configuration {row.number} is {row.state}, and its figures say another thing")
    return row


def _values(table: Fields) -> dict[str, str | int | float | bool]:
    values = {name: table.get(name) for name in table.items()}
    if wrong := [name for name, value in values.items() if type(value) not in (str, int, float, bool)]:
        raise WrongRecordError(f"its value of {shown(wrong[0])} is neither a text nor a number nor true or false")
    return values
