"""C++ sources that build a model into TensorFlow Lite for Microcontrollers."""

from lenet_edge.formats.tflm.writer import ARRAY_STYLES, ArrayStyle, HostArena, cmsis_nn_scratch, export

__all__ = ["ARRAY_STYLES", "ArrayStyle", "HostArena", "cmsis_nn_scratch", "export"]
