"""The sections put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lenet_edge.report import html
from lenet_edge.report.document.accuracy import accuracy_of
from lenet_edge.report.document.comparison import compared
from lenet_edge.report.document.engines import engines_of
from lenet_edge.report.document.instructions import instructions_of
from lenet_edge.report.document.layers import layers_of
from lenet_edge.report.document.memory import lifetimes_of, memory_of
from lenet_edge.report.document.mistakes import mistakes_of, worst_of
from lenet_edge.report.document.origin import origin_of
from lenet_edge.report.document.proof import parting_of, proof_of
from lenet_edge.report.document.reading import Build
from lenet_edge.report.document.rounding import rounding_of
from lenet_edge.report.document.verdict import verdict_of
from lenet_edge.report.html import Frame

__all__ = ["write_report"]

_TEMPLATES = Path(__file__).parent / "templates"

# Title, template, and what it needs of a build and of its place on the page: None where there is nothing to show.
_SECTIONS: tuple[tuple[str, str, Callable[[Build, int], Any]], ...] = (
    ("Accuracy", "accuracy", accuracy_of),
    ("What is taken for what", "mistakes", lambda build, _: mistakes_of(build)),
    ("The worst images", "worst", lambda build, _: worst_of(build)),
    ("Engines and boards", "engines", lambda build, _: engines_of(build)),
    ("Rounding", "rounding", rounding_of),
    ("Proof", "proof", lambda build, _: proof_of(build)),
    ("Where rounding rules part", "parting", lambda build, _: parting_of(build)),
    ("Layers", "layers", layers_of),
    ("Flash and RAM", "memory", lambda build, _: memory_of(build)),
    ("Tensors in memory", "lifetimes", lambda build, place: lifetimes_of(build, place) or None),
    ("Instructions", "instructions", lambda build, _: instructions_of(build)),
    ("How it was made", "origin", lambda build, _: origin_of(build)),
)


@dataclass(frozen=True)
class Section:
    """A section: one entry in `views` for each build, None where that build has nothing to show."""

    title: str
    template: str
    views: list[Any]


def write_report(builds: Sequence[Build], names: Sequence[str], drawing: Frame | None = None) -> bytes:
    """The report as an HTML file.

    Args:
        builds: one, or two that stand side by side.
        names: what they are called, different ones.
        drawing: a page on which one draws, to show in the report.
    """
    sections = []
    for title, template, view in _SECTIONS:
        views = [view(build, place) for place, build in enumerate(builds)]
        if any(each is not None for each in views):
            sections.append(Section(title, template, views))
    return html.render(
        html.environment(_TEMPLATES),
        "report.html.j2",
        styles=[(_TEMPLATES / "report.css").read_text(encoding="utf-8")],
        builds=builds,
        names=names,
        verdicts=[verdict_of(build) for build in builds],
        compared=compared(*builds) if len(builds) == 2 else [],
        sections=sections,
        drawing=drawing,
        frame=drawing,
    )
