"""The proof by enumeration; of a model that has none, where the rounding rules part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lenet_edge.errors import BadInputError
from lenet_edge.quantized.proof import compare_rules
from lenet_edge.quantized.tie_free import tie_free_problem
from lenet_edge.report.html import Figure

if TYPE_CHECKING:
    from lenet_edge.report.document.reading import Build, Found

__all__ = ["Parting", "Proof", "parting_of", "proof_of"]

_LIMIT = 300_000_000  # accumulators that a report enumerates itself: half a minute


@dataclass(frozen=True)
class Row:
    """A layer of the proof."""

    name: Figure
    channels: Figure
    q_min: Figure | None
    q_max: Figure | None
    cases: Figure
    disagreements: list[Figure | None]


@dataclass(frozen=True)
class Proof:
    """The proof that `quantize` recorded."""

    cases: Figure
    disagreements: Figure
    passed: bool
    rules: list[str]
    rows: list[Row]


def proof_of(build: Build) -> Proof | None:
    """From the report of `quantize`."""
    if build.quantize is None or build.quantize.record.proof is None:
        return None
    content, record = build.quantize.content, build.quantize.record.proof
    rules = list(dict.fromkeys(rule for layer in record.layers for rule in layer.disagreements))
    return Proof(
        content.count("proof", "cases"),
        content.count("proof", "disagreements"),
        record.passed,
        rules,
        [_row(build.quantize, index, rules) for index in range(len(record.layers))],
    )


def _row(found: Found, index: int, rules: list[str]) -> Row:
    layer = found.record.proof.layers[index]

    def count(*path: str) -> Figure:
        return found.content.count("proof", "layers", index, *path)

    return Row(
        found.content.name("proof", "layers", index, "name"),
        count("channels"),
        None if layer.q_min is None else count("q_min"),
        None if layer.q_max is None else count("q_max"),
        count("cases"),
        [count("disagreements", rule) if rule in layer.disagreements else None for rule in rules],
    )


@dataclass(frozen=True)
class Parting:
    """In how many cases pairs of rules differ, layer by layer; counted now, since no record has it.

    Attributes:
        why: the model is not on the tie-free grid.
        layers: (layer, cases, what each pair of rules decides differently), of the layers where one does.
        differ: in all.
    """

    why: str
    layers: list[tuple[str, str, dict[str, str]]]
    differ: int


def parting_of(build: Build) -> Parting | None:
    """Of a model without a proof; None where it has one, is tie-free, or has too many cases."""
    if build.grid:
        return None
    why = tie_free_problem(build.model)
    if why is None:
        return None
    try:
        found = compare_rules(build.model, limit=_LIMIT)
    except BadInputError:
        return None
    layers = [
        (
            each.name,
            f"{each.accumulators:,}",
            {f"{a} / {b}": f"{count:,}" for (a, b), count in each.differ.items() if count},
        )
        for each in found
        if any(each.differ.values())
    ]
    return Parting(why, layers, sum(sum(each.differ.values()) for each in found))
