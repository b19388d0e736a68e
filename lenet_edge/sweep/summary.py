"""What a study has found, for whoever asks: the same from every worker."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lenet_edge.records import SweepRecord, SweepRow
from lenet_edge.sweep.space import Value
from lenet_edge.sweep.study import Standing, SweepStudy

__all__ = ["Group", "groups_of", "record_of"]


@dataclass(frozen=True)
class Group:
    """The complete configurations that differ in their seed only.

    Attributes:
        values: what they share.
    """

    values: Mapping[str, Value]
    rows: tuple[SweepRow, ...]

    def mean(self, figure: str) -> float | None:
        """Of a figure of theirs; None where one has none."""
        values = [getattr(row, figure) for row in self.rows]
        return None if None in values else sum(values) / len(values)

    def deviation(self, figure: str) -> float | None:
        """The standard deviation of a sample; None of fewer than two."""
        mean = self.mean(figure)
        if mean is None or len(self.rows) < 2:
            return None
        squares = sum((getattr(row, figure) - mean) ** 2 for row in self.rows)
        return math.sqrt(squares / (len(self.rows) - 1))


def record_of(study: SweepStudy, name: str) -> SweepRecord:
    """Where the study stands now."""
    plan = study.plan
    rows = tuple(map(_row, study.standings()))
    return SweepRecord(name, study.storage.text, plan.data, plan.data_sha256, plan.board, rows)


def groups_of(rows: Sequence[SweepRow]) -> list[Group]:
    """The complete ones by what they share, in their order."""
    groups: dict[str, list[SweepRow]] = {}
    for row in rows:
        if row.state == "complete":
            shared = {name: value for name, value in row.values.items() if name != "seed"}
            groups.setdefault(repr(shared), []).append(row)
    return [
        Group({name: value for name, value in members[0].values.items() if name != "seed"}, tuple(members))
        for members in groups.values()
    ]


def _row(standing: Standing) -> SweepRow:
    attempt, tested = standing.attempt, standing.tested or {}
    result = (attempt.result if attempt is not None else None) or {}
    return SweepRow(
        number=standing.configuration.number,
        values=dict(standing.configuration.values),
        state=standing.state,
        lost=standing.lost,
        trial=None if attempt is None else attempt.trial,
        worker="" if attempt is None else attempt.worker,
        problem="" if attempt is None else attempt.problem,
        **{name: result.get(name) for name in ("validation_accuracy", "float_validation_accuracy", "flash_bytes")},
        **{name: result.get(name) for name in ("seconds", "fingerprint", "file")},
        test_accuracy=tested.get("int8_accuracy"),
        float_test_accuracy=tested.get("float_accuracy"),
    )
