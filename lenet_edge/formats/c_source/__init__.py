"""`QuantizedModel` to C without an interpreter: tables, one call sequence, and the kernels it calls."""

from lenet_edge.formats.c_source.class_names import classes_line, string_literal
from lenet_edge.formats.c_source.families import FAMILIES, PLAIN, Family
from lenet_edge.formats.c_source.fitting import packings_that_fit
from lenet_edge.formats.c_source.naming import DEFAULT_PREFIX, prefix_problem, with_prefix
from lenet_edge.formats.c_source.packing import AUTO, BYTES, PACKINGS, parse_weight_packing
from lenet_edge.formats.c_source.plan import Plan, make_plan
from lenet_edge.formats.c_source.preparation import preparation_sources
from lenet_edge.formats.c_source.wording import frame_words, words
from lenet_edge.formats.c_source.writer import export, facts, weight_bytes

__all__ = [
    "AUTO",
    "BYTES",
    "DEFAULT_PREFIX",
    "FAMILIES",
    "PACKINGS",
    "PLAIN",
    "Family",
    "Plan",
    "classes_line",
    "export",
    "facts",
    "frame_words",
    "make_plan",
    "packings_that_fit",
    "parse_weight_packing",
    "prefix_problem",
    "preparation_sources",
    "string_literal",
    "weight_bytes",
    "with_prefix",
    "words",
]
