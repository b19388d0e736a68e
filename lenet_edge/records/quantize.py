"""The report that `quantize` leaves next to the model: accuracy, signal-to-noise ratio of each layer, proof."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lenet_edge.records.confusion import Confusion, parse_confusion
from lenet_edge.records.fields import SHA256, Fields, WrongRecordError, read_record

__all__ = ["ProofRecord", "ProvedLayer", "QuantizeRecord", "parse_quantize", "read_quantize"]

_LARGEST_DB = 1e4


@dataclass(frozen=True)
class ProvedLayer:
    """What was enumerated of a layer; see `quantized.proof.LayerProof`."""

    name: str
    channels: int
    q_min: int | None
    q_max: int | None
    cases: int
    disagreements: Mapping[str, int]


@dataclass(frozen=True)
class ProofRecord:
    """What was enumerated of a model, and in how many cases a rounding rule differs from the ideal result."""

    passed: bool
    cases: int
    disagreements: int
    layers: tuple[ProvedLayer, ...]


@dataclass(frozen=True)
class QuantizeRecord:
    """What `quantize` says of its result; its file also has the model's metadata.

    Attributes:
        float_accuracy, int8_accuracy: 0..1, of the test set.
        drop_points, drop_interval: percentage points that int8 loses, and their 95 % interval.
        mcnemar_p: McNemar's exact p.
        confusion: what int8 took for what; None in older records.
        sqnr_db: layer -> signal-to-quantisation-noise ratio of its output.
        proof: None for an ordinary grid.
    """

    fingerprint: str
    float_accuracy: float
    int8_accuracy: float
    drop_points: float
    drop_interval: tuple[float, float]
    mcnemar_p: float
    confusion: Confusion | None
    sqnr_db: Mapping[str, float]
    proof: ProofRecord | None


def read_quantize(path: Path) -> QuantizeRecord:
    """The report of `quantize` in a file.

    Raises:
        BadInputError: it is missing, or not such a report.
    """
    return read_record(path, parse_quantize, "lenet-edge quantize")


def parse_quantize(content: Mapping[str, Any]) -> QuantizeRecord:
    """A report of `quantize`, from its JSON object; what else it has is the model's metadata. Errors as of
    `parse_check`."""
    fields = Fields(content)
    sqnr = fields.table("sqnr_db")
    low, high = _pair(fields.numbers("drop_interval", -100, 100))
    return QuantizeRecord(
        fingerprint=fields.text("fingerprint", SHA256),
        float_accuracy=fields.number("float_accuracy", 0, 1),
        int8_accuracy=fields.number("int8_accuracy", 0, 1),
        drop_points=fields.number("drop_points", -100, 100),
        drop_interval=(low, high),
        mcnemar_p=fields.number("mcnemar_p", 0, 1),
        confusion=parse_confusion(fields, "confusion") if fields.has("confusion") else None,
        sqnr_db={name: sqnr.number(name, -_LARGEST_DB, _LARGEST_DB) for name in sqnr.items()},
        proof=fields.optional("proof", lambda key: _proof(fields.table(key))),
    )


def _pair(numbers: list[float]) -> tuple[float, float]:
    if len(numbers) != 2 or numbers[0] > numbers[1]:
        raise WrongRecordError("drop_interval is not two numbers, the lower one first")
    return numbers[0], numbers[1]


def _proof(fields: Fields) -> ProofRecord:
    proof = ProofRecord(
        passed=fields.flag("passed"),
        cases=fields.count("cases"),
        disagreements=fields.count("disagreements"),
        layers=tuple(map(_layer, fields.objects("layers"))),
    )
    if proof.passed != (proof.disagreements == 0):
        raise WrongRecordError(f"passed is {str(proof.passed).lower()}, with {proof.disagreements:,} disagreements")
    if sum(layer.cases for layer in proof.layers) != proof.cases:
        raise WrongRecordError(f"its layers do not have {proof.cases:,} cases together")
    if sum(sum(layer.disagreements.values()) for layer in proof.layers) != proof.disagreements:
        raise WrongRecordError(f"its layers do not have {proof.disagreements:,} disagreements together")
    return proof


def _layer(fields: Fields) -> ProvedLayer:
    rules = fields.table("disagreements")
    return ProvedLayer(
        name=fields.text("name"),
        channels=fields.count("channels"),
        q_min=fields.optional("q_min", fields.count),
        q_max=fields.optional("q_max", fields.count),
        cases=fields.count("cases"),
        disagreements={rule: rules.count(rule) for rule in rules.items()},
    )
