"""A float .tflite, and the int8 model that it becomes when the range of every tensor is known.

Both files have the same structure: what is float in one has a scale and a zero point in the other. So the tables of the
file are changed in memory (`rewrites` what int8 has no exact operator for, `scales` which tensors share a scale, `int8`
the numbers themselves), and the reader of int8 files reads the result.
"""

from lenet_edge.formats.tflite.floating.graph import FloatGraph, is_float, read_graph
from lenet_edge.formats.tflite.floating.int8 import Range, to_int8
from lenet_edge.formats.tflite.floating.rewrites import Entering, picture_shape, rewrite

__all__ = ["Entering", "FloatGraph", "Range", "is_float", "picture_shape", "read_graph", "rewrite", "to_int8"]
