"""The record of `pipeline`: the inputs and the results of each step, so that no step is done twice."""

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

__all__ = ["PIPELINE_FORMAT", "PipelineRecord", "StepRecord", "parse_pipeline", "read_pipeline", "write_pipeline"]

PIPELINE_FORMAT = 1


@dataclass(frozen=True)
class StepRecord:
    """A step that was done.

    Attributes:
        name: such as "train".
        inputs: what it was done from, by name: SHA-256 of files, versions, the values of options.
        outputs: what it left: file, or part of a record -> SHA-256.
    """

    name: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]


@dataclass(frozen=True)
class PipelineRecord:
    """The steps that were done in a folder."""

    steps: tuple[StepRecord, ...]

    def content(self) -> dict[str, Any]:
        """The record's JSON object."""
        return content_of(self, PIPELINE_FORMAT)


def read_pipeline(path: Path) -> PipelineRecord:
    """The record of `pipeline` in a file.

    Raises:
        BadInputError: it is missing, not such a record, or another version's.
    """
    return read_record(path, parse_pipeline, "lenet-edge pipeline")


def write_pipeline(path: Path, record: PipelineRecord) -> None:
    """Write a record of `pipeline`; errors as of `write_record`."""
    write_record(path, record.content(), parse_pipeline)


def parse_pipeline(content: Mapping[str, Any]) -> PipelineRecord:
    """A record of `pipeline`, from its JSON object; errors as of `parse_check`."""
    with record_fields(content, PIPELINE_FORMAT) as fields:
        steps = tuple(map(_step, fields.objects("steps")))
    names = [step.name for step in steps]
    if twice := [name for name in names if names.count(name) > 1]:
        raise WrongRecordError(f"it has the step {shown(twice[0])} twice")
    return PipelineRecord(steps)


def _step(content: Fields) -> StepRecord:
    with record_fields(content) as fields:
        inputs, outputs = fields.table("inputs"), fields.table("outputs")
        return StepRecord(
            fields.text("name"),
            {name: inputs.text(name) for name in inputs.items()},
            {name: outputs.text(name, SHA256) for name in outputs.items()},
        )
