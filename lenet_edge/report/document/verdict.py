"""The verdict in one sentence; what was not measured stays silent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lenet_edge.quantized.tie_free import is_tie_free
from lenet_edge.records import shortfall
from lenet_edge.report import html
from lenet_edge.report.document.accuracy import measured
from lenet_edge.report.document.engines import ran
from lenet_edge.report.html import Figure

if TYPE_CHECKING:
    from lenet_edge.report.document.reading import Build

__all__ = ["Verdict", "verdict_of"]


@dataclass(frozen=True)
class Verdict:
    """The sentence in pieces, how it sounds ("good", "warn", "bad" or ""), and the figures that it rests on."""

    words: list[str | Figure]
    tone: str
    tiles: list[tuple[str, Figure | str, str]]


def verdict_of(build: Build) -> Verdict:
    """From all records."""
    clauses: list[list[str | Figure]] = []
    for clause in (_accuracy(build), _agreement(build), _proof(build)):
        if clause:
            clauses.append(clause)
    words: list[str | Figure] = [f"{build.name} " if measured(build) is not None or not clauses else f"{build.name}: "]
    if not clauses:
        words += [_plain(build)]
    for index, clause in enumerate(clauses):
        words += [", and " if index == len(clauses) - 1 and index else ", " if index else "", *clause]
    return Verdict([*words, "."], _tone(build), _tiles(build))


def _plain(build: Build) -> str:
    layers = len(build.model.layers)
    grid = "on the tie-free grid" if is_tie_free(build.model) else "not on the tie-free grid"
    return f"has {layers} {'layer' if layers == 1 else 'layers'} and is {grid}"


def _accuracy(build: Build) -> list[str | Figure]:
    found = measured(build)
    if found is None:
        return []
    content, record = found.content, found.record
    images: str | Figure = content.count("images") if "images" in content.content else f"{record.confusion.images:,}"
    clause: list[str | Figure] = ["recognises ", content.percent("int8_accuracy"), " of ", images, " test images"]
    if record.drop_points is None or record.drop_interval is None:
        return clause
    lost, (low, high) = record.drop_points, record.drop_interval
    if low <= 0 <= high:
        return [*clause, " (in float: ", content.percent("float_accuracy"), ")"]
    return [*clause, f", {abs(lost):.2f} points {'less' if lost > 0 else 'more'} than in float"]


def _agreement(build: Build) -> list[str | Figure]:
    if build.check is None:
        return []
    engines, boards = ran(build)
    if not engines and not boards:
        return []
    record = build.check.record
    every = [each for each in record.engines if each.status == "ran" and each.name != "reference"]
    wrong = [each for each in every if shortfall(each, record.like)]
    other = [each for each in every if each.logits_differ]
    who = " and ".join(part for part in (_some(len(engines), "runtime"), _some(len(boards), "emulated board")) if part)
    if not other:
        return [f"{who} {'compute' if len(every) > 1 else 'computes'} the same integers as the reference"]
    verb = "computes" if len(other) == 1 else "compute"
    if wrong:
        return [f"{len(other)} of {who} {verb} other integers, which fails the check"]
    if record.like is None:
        return [f"{len(other)} of {who} {verb} other integers"]
    agreed = [record.like, "our C", *([_some(len(boards), "emulated board")] if boards else [])]
    others = f"{len(other)} of {_some(len(engines), 'runtime')} {verb} others"
    predicted = f"as {'its' if len(other) == 1 else 'their'} rounding predicts"
    return [f"{', '.join(agreed[:-1])} and {agreed[-1]} compute the same integers, while {others}, {predicted}"]


def _some(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}" if number else ""


def _proof(build: Build) -> list[str | Figure]:
    if build.quantize is None or build.quantize.record.proof is None:
        return []
    content = build.quantize.content
    if not build.quantize.record.proof.passed:
        return ["a proof of it failed in ", content.count("proof", "disagreements"), " cases"]
    return [
        "every rounding rule gives the same result in all ",
        content.count("proof", "cases"),
        " cases that an image can reach",
    ]


def _tone(build: Build) -> str:
    if build.check is not None:
        if not build.check.record.passed:
            return "bad"
        return "warn" if any(each.logits_differ for each in build.check.record.engines) else "good"
    if build.quantize is None:
        return ""
    proof = build.quantize.record.proof
    return "" if proof is None else "good" if proof.passed else "bad"


def _tiles(build: Build) -> list[tuple[str, Figure | str, str]]:
    """The figures that one looks for first: (what, figure, remark)."""
    tiles: list[tuple[str, Figure | str, str]] = []
    if (found := measured(build)) is not None:
        tiles.append(("int8 accuracy", found.content.percent("int8_accuracy"), "of the test images"))
    if build.check is not None and len(build.check.record.engines) > 1:
        differ = max((each.logits_differ or 0 for each in build.check.record.engines), default=0)
        tiles.append(
            ("logits that differ", f"{differ:,}", "in the engine that differs most" if differ else "in any engine")
        )
    if build.firmware:
        least = min(build.firmware.values(), key=lambda found: found.record.sizes.flash)
        tiles.append(("flash", str(html.size(least.record.sizes.flash, "", "")), f"at least, on {least.record.board}"))
        least = min(build.firmware.values(), key=lambda found: found.record.sizes.ram)
        tiles.append(("RAM", str(html.size(least.record.sizes.ram, "", "")), f"at least, on {least.record.board}"))
    if build.bench:
        fastest = min(build.bench.values(), key=lambda found: found.record.total)
        tiles.append((fastest.record.unit, fastest.content.count("total"), f"an inference, on {fastest.record.board}"))
    return tiles
