"""Post-training quantisation: a float file and pictures to calibrate with become an int8 model on the tie-free grid."""

from lenet_edge.post_training.float_model import FloatModel, real_pictures
from lenet_edge.post_training.onnx import load_onnx, onnx_picture_shape
from lenet_edge.post_training.pixels import PIXEL_RANGES, PixelTrial, choose_range, float_classes
from lenet_edge.post_training.quantizing import Quantized, quantize
from lenet_edge.post_training.tflite import load_tflite, picture_shape

__all__ = [
    "PIXEL_RANGES",
    "FloatModel",
    "PixelTrial",
    "Quantized",
    "choose_range",
    "float_classes",
    "load_onnx",
    "load_tflite",
    "onnx_picture_shape",
    "picture_shape",
    "quantize",
    "real_pictures",
]
