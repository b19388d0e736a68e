"""The gate's verdict: whether a firmware may be flashed, and what `--force` may override."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lenet_edge.hardware.flashing.gate import Candidate, Condition, examine
from lenet_edge.hardware.flashing.policies import Asked
from lenet_edge.records import CheckRecord

__all__ = ["Verdict", "judge", "refusal"]

_TYPED = 16  # hexadecimal digits of a fingerprint that --force takes for all 64: as many as are shown
_RECORD_CONDITIONS = ("check", "data", "engines", "accuracy drop", "this firmware")


@dataclass(frozen=True)
class Verdict:
    """What the gate says.

    Attributes:
        conditions: all of them, met or not.
        problem: why nothing is flashed; "" where it may be.
    """

    conditions: tuple[Condition, ...]
    problem: str

    @property
    def forced(self) -> bool:
        """Whether it may be flashed although a condition is not met."""
        return not self.problem and bool(self.unmet)

    @property
    def unmet(self) -> tuple[str, ...]:
        """The problems of the conditions that are not met."""
        return tuple(condition.problem for condition in self.conditions if not condition.met)

    @property
    def not_shown(self) -> tuple[str, ...]:
        """What the gate lets pass although nothing showed it: to be said with every verdict."""
        return tuple(condition.caveat for condition in self.conditions if condition.met and condition.caveat)


def judge(candidate: Candidate, records: Sequence[CheckRecord], asked: Asked, force: str | None) -> Verdict:
    """Ask the gate.

    Args:
        records: of `check`.
        force: the fingerprint that a user typed to override the records; None where nobody did.
    """
    conditions = tuple(examine(candidate, records, asked.policy, asked.data))
    return Verdict(conditions, refusal(conditions, force, candidate.model.fingerprint))


def refusal(conditions: Sequence[Condition], force: str | None, fingerprint: str) -> str:
    """Why nothing is flashed; "" where all conditions are met, or `force` overrides those that are not."""
    refused = [condition for condition in conditions if not condition.met]
    words = [f"{condition.name}: {condition.problem}. Fix it with: {condition.remedy}" for condition in refused]
    words += [f"Not shown: {condition.caveat}" for condition in conditions if condition.met and condition.caveat]
    listed = "; ".join(words)
    if force is not None and (len(force) < _TYPED or not fingerprint.startswith(force.lower())):
        return (
            f"refused to flash: --force {force} is not the model's fingerprint; type the {_TYPED} digits that "
            f"`lenet-edge build` shows for it, or all of them. {listed}"
        ).rstrip()
    if not refused:
        return ""
    if force is None:
        return f"refused to flash. {listed}"
    if any(condition.name not in _RECORD_CONDITIONS for condition in refused):
        return f"refused to flash; --force overrides the check's record only. {listed}"
    return ""
