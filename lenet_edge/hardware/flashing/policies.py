"""What a policy asks for: which engines there are to ask for, and the test set that it names."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

from lenet_edge.errors import BadInputError
from lenet_edge.hardware.boards import Policy
from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.strict_toml import nearest

__all__ = ["Asked", "TestSet", "asked_of", "test_set"]

_DEFAULT = "mnist"


@dataclass(frozen=True)
class TestSet:
    """The test set that a policy asks for.

    Attributes:
        name: such as "mnist", or the SHA-256 again.
        sha256: as `datasets.data_sha256` has it.
        images: how many it has; None where that is not known.
        source: who names it; `OWN` is the model that is to be flashed.
    """

    OWN: ClassVar[str] = "the model"

    name: str
    sha256: str
    images: int | None
    source: str


@dataclass(frozen=True)
class Asked:
    """What the records of `check` must show.

    Attributes:
        source: the policy's file, or the board's table.
        data: the test set that the policy asks for.
    """

    policy: Policy
    source: str
    data: TestSet

    def content(self) -> dict[str, Any]:
        """The policy as records have it."""
        return {"from": self.source, **asdict(self.policy)}


def asked_of(
    policy: Policy, source: str, model: QuantizedModel, *, engines: Collection[str], published: Sequence[TestSet]
) -> Asked:
    """What a policy asks of this model.

    Args:
        source: where the policy is from, for messages.
        engines: those that `check` knows.
        published: the test sets that are known by name.

    Raises:
        BadInputError: it asks for what `check` never runs, or names what is not a published data set and not a SHA-256.
    """
    if policy.like is not None and policy.like not in engines:
        raise BadInputError(f"{source}: like is {policy.like!r}, not an engine.{nearest(policy.like, engines)}")
    _require_engines(policy.engines, source, engines)
    return Asked(policy, source, test_set(policy.data, source, model, published))


def _require_engines(names: Sequence[str], source: str, known: Collection[str]) -> None:
    for name in names:
        if name not in known and not re.fullmatch(r"board:[a-z0-9_-]+/(unicorn|qemu|simavr)", name):
            raise BadInputError(f"{source}: engines has {name!r}, which is not an engine.{nearest(name, known)}")
        if names.count(name) > 1:
            raise BadInputError(f"{source}: engines has {name!r} twice")


def test_set(named: str | None, source: str, model: QuantizedModel, published: Sequence[TestSet]) -> TestSet:
    """The test set that the policy names, else the model's own, else MNIST; errors as of `asked_of`."""
    names, by, name = [each.name for each in published], source, named
    if name is None:
        by, digest, name = TestSet.OWN, model.metadata.get("test_sha256"), model.metadata.get("dataset")
        if isinstance(digest, str) and re.fullmatch(r"[0-9a-f]{64}", digest):
            name = digest
        elif name not in names:
            by, name = "default", _DEFAULT
    for each in published:
        if name in (each.name, each.sha256):
            return replace(each, source=by)
    if not re.fullmatch(r"[0-9a-f]{64}", str(name)):
        known = ", ".join(names)
        raise BadInputError(f"{by}: data is {name!r}; give one of {known}, or the data_sha256 of check's record")
    return TestSet(str(name), str(name), None, by)


test_set.__test__ = False  # type: ignore[attr-defined]  # its name looks like one of pytest's
