"""`QuantizedModel` to C without an interpreter: tables, one call sequence, and the kernels it calls."""

from lenet_edge.formats.c_source.families import FAMILIES, PLAIN
from lenet_edge.formats.c_source.plan import Plan, make_plan
from lenet_edge.formats.c_source.wording import words
from lenet_edge.formats.c_source.writer import export, facts, weight_bytes

__all__ = ["FAMILIES", "PLAIN", "Plan", "export", "facts", "make_plan", "weight_bytes", "words"]
