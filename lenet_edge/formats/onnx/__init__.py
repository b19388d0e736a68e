"""ONNX files: the int8 model as QDQ or with quantised operators, and the float network."""

from lenet_edge.formats.onnx.floating import float_to_bytes
from lenet_edge.formats.onnx.int8 import to_bytes

__all__ = ["float_to_bytes", "to_bytes"]
