"""What a study sweeps, and on what: its workers must agree on it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from lenet_edge import datasets
from lenet_edge.datasets import Dataset
from lenet_edge.errors import BadInputError
from lenet_edge.preparation.request import PreparationRequest
from lenet_edge.strict_toml import nearest
from lenet_edge.sweep.order import SAMPLERS
from lenet_edge.sweep.space import Space
from lenet_edge.version import __version__

__all__ = ["HEARTBEAT_S", "Plan", "data_digest", "joined", "no_study", "require_same_data"]

HEARTBEAT_S = 30
"""The usual seconds between two heartbeats."""

_FORMAT = 1


@dataclass(frozen=True)
class Plan:
    """What a study sweeps.

    Attributes:
        space: its configurations.
        data: the data set, as it is named where the study was made.
        data_sha256: of its images and labels, as they are trained with.
        request: what was asked of the images.
        transpose: whether rows and columns of stored images are swapped.
        board: whose flash is counted; None counts weights and biases.
        heartbeat_s: how often workers say that they live.
        sampler: which configurations come first, of `order.SAMPLERS`.
        version: the lenet-edge that made the study.
    """

    space: Space
    data: str
    data_sha256: str
    request: PreparationRequest
    transpose: bool = False
    board: str | None = None
    heartbeat_s: int = HEARTBEAT_S
    sampler: str = "grid"
    version: str = __version__

    def to_json(self) -> dict[str, Any]:
        """As JSON values, for `from_json`."""
        others = {
            name: getattr(self, name)
            for name in ("data", "data_sha256", "transpose", "board", "heartbeat_s", "sampler", "version")
        }
        request = {name: value for name, value in asdict(self.request).items() if value is not None}
        return {"format": _FORMAT, "space": self.space.to_json(), "request": request, **others}

    @classmethod
    def from_json(cls, content: Any, where: str) -> Plan:
        """What `to_json` made the content of.

        Raises:
            BadInputError: it is not that, or another version's.
        """
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            raise BadInputError(f"{where} was not made by this version of lenet-edge sweep; take another --study")
        try:
            request = dict(content["request"])
            if isinstance(request.get("crop"), list):
                request["crop"] = tuple(request["crop"])
            return cls(
                Space.from_json(content["space"], where),
                str(content["data"]),
                str(content["data_sha256"]),
                PreparationRequest(**request),
                bool(content["transpose"]),
                None if content["board"] is None else str(content["board"]),
                int(content["heartbeat_s"]),
                _sampler(content.get("sampler", "grid")),  # studies that were made before there was a choice
                str(content["version"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BadInputError(f"{where} has a damaged plan ({error}); take another --study") from None


def _sampler(name: Any) -> str:
    if name not in SAMPLERS:
        raise ValueError(f"its sampler {str(name)[:40]!r} is not known")
    return str(name)


def data_digest(dataset: Dataset) -> str:
    """SHA-256 of all images and labels, and of which validate."""
    parts = ((dataset.fit_images, dataset.fit_labels), (dataset.validation_images, dataset.validation_labels))
    train, validation = (datasets.data_sha256(images, labels) for images, labels in parts)
    test = datasets.data_sha256(dataset.test_images, dataset.test_labels)
    return hashlib.sha256(f"{train} {validation} {test}".encode()).hexdigest()


def joined(found: Any, plan: Plan | None, told: tuple[int | None, str | None], where: str, *, used: bool) -> Plan:
    """The plan of a study.

    Args:
        found: what the study has; None if it is new.
        plan: what this worker was told; None takes what is found.
        told: a heartbeat and a sampler; None takes what is found, or what the plan has.
        where: the study, for messages.
        used: whether it has trials.

    Raises:
        BadInputError: they are not the same, or the study is somebody else's.
    """
    heartbeat_s, sampler = told
    if found is None:
        if plan is None or used:
            raise BadInputError(f"{where} is not one of lenet-edge sweep; take another --study")
        return replace(plan, heartbeat_s=heartbeat_s or plan.heartbeat_s, sampler=sampler or plan.sampler)
    kept = Plan.from_json(found, where)
    if heartbeat_s not in (None, kept.heartbeat_s):
        raise BadInputError(
            f"{where} has a heartbeat of {kept.heartbeat_s} s, not {heartbeat_s}; leave --heartbeat out"
        )
    if sampler not in (None, kept.sampler):
        raise BadInputError(f"{where} has the sampler {kept.sampler}, not {sampler}; leave --sampler out")
    if plan is not None and (difference := _difference(kept, plan)):
        raise BadInputError(
            f"{where} sweeps something else: {difference}. Take another --study, or give nothing but --study and "
            "--storage to go on with that one"
        )
    return kept


def no_study(name: str, where: str, names: Sequence[str]) -> BadInputError:
    """The error of a study that is not there."""
    return BadInputError(
        f"there is no study {name!r} in {where}.{nearest(name, names)} To make it, say what to sweep: --seeds, "
        "--network, --vary or --space"
    )


def _difference(kept: Plan, plan: Plan) -> str:
    """The first thing in which two plans differ; the data set may have another name on another machine."""
    for name in dict.fromkeys((*kept.space.axes, *plan.space.axes)):
        there, here = (_listed(each.space.axes.get(name)) for each in (kept, plan))
        if there != here:
            return f"{name} is {there} there and {here} here"
    described: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
        "the recipe": (kept.space.recipes, plan.space.recipes),
        "the network": (kept.space.networks, plan.space.networks),
    }
    for what, (one, other) in described.items():
        if changed := [name for name in (*one, *other) if one.get(name) != other.get(name)]:
            return f"{what} {changed[0]!r} is not the same"
    for name, what in (("board", "the board"), ("data_sha256", "the SHA-256 of the images")):
        if getattr(kept, name) != getattr(plan, name):
            return f"{what} is {getattr(kept, name) or 'none'} there and {getattr(plan, name) or 'none'} here"
    return ""


def _listed(values: Any) -> str:
    return "not varied" if values is None else ", ".join(map(str, values))


def require_same_data(plan: Plan, sha256: str, data: str) -> None:
    """Hold that the images here are those of the study.

    Raises:
        BadInputError: they are not.
    """
    if plan.data_sha256 != sha256:
        raise BadInputError(
            f"the images of {data} are not those of the study, which was made with {plan.data} of SHA-256 "
            f"{plan.data_sha256}; here it is {sha256}. Name the same data set with --data"
        )
