"""The conformance kit: tie-free models on which every correct rounding gives the same integers, and what runs them."""

from lenet_edge.conformance.case import IMAGES, Case
from lenet_edge.conformance.cases import cases

__all__ = ["IMAGES", "Case", "cases"]
