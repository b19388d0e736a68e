"""The canonical file: the int8 .tflite that Netron opens, TFLM runs and `read` turns back into an equal model."""

from lenet_edge.formats.tflite.reader import from_bytes, load, operators_of, read
from lenet_edge.formats.tflite.writer import to_bytes

__all__ = ["from_bytes", "load", "operators_of", "read", "to_bytes"]
