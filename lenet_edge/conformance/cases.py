"""All cases of the kit."""

from __future__ import annotations

from lenet_edge.conformance.case import Case
from lenet_edge.conformance.geometries import geometry_cases
from lenet_edge.conformance.networks import network_cases
from lenet_edge.conformance.ties import tie_cases
from lenet_edge.conformance.unweighted import unweighted_cases

__all__ = ["cases"]


def cases() -> list[Case]:
    """The cases, in the order in which they are listed: layers with weights, ties, the others, networks."""
    return [*geometry_cases(), *tie_cases(), *unweighted_cases(), *network_cases()]
