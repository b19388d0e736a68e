"""ONNX files: the int8 model as QDQ or with quantised operators, the float network, and QDQ from elsewhere read."""

from lenet_edge.formats.onnx.floating import float_to_bytes
from lenet_edge.formats.onnx.int8 import to_bytes
from lenet_edge.formats.onnx.reader import read

__all__ = ["float_to_bytes", "read", "to_bytes"]
