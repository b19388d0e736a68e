"""A float .onnx: calibrated and quantised by ONNX Runtime's own quantiser, whose QDQ file is then read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lenet_edge.engines import float_onnxruntime
from lenet_edge.errors import BadInputError
from lenet_edge.formats.onnx import reader
from lenet_edge.formats.tflite.floating.int8 import scaling_of
from lenet_edge.post_training.float_model import FloatModel, PixelRange
from lenet_edge.quantized.model import QuantizedModel

__all__ = ["load_onnx", "onnx_picture_shape"]

Float32Array = npt.NDArray[np.float32]

_COLOURS = (1, 3)
_AT_ONCE = 32  # pictures of which all tensors are kept


def onnx_picture_shape(data: bytes) -> tuple[int, int, int] | None:
    """Height, width and channels of the pictures that a float .onnx takes; None where its input does not say it.

    Raises:
        BadInputError: ONNX Runtime refuses the file, or it has several inputs or outputs, or an open size.
    """
    _, *shape = float_onnxruntime.look(data).shape
    if len(shape) != 3 or not {shape[0], shape[2]} & set(_COLOURS):
        return None
    return (shape[1], shape[2], shape[0]) if shape[0] in _COLOURS else (shape[0], shape[1], shape[2])


def load_onnx(data: bytes, image_shape: tuple[int, int, int]) -> FloatModel:
    """The float model in the bytes of an .onnx.

    Args:
        image_shape: height, width and channels of the pictures that it is given.

    Raises:
        BadInputError: it cannot be quantised, or takes no such pictures; the message says what and where.
    """
    shape = float_onnxruntime.look(data).shape[1:]
    height, width, channels = image_shape
    if shape not in ((channels, height, width), (height, width, channels)):
        taken, given = (" x ".join(map(str, sizes)) for sizes in (shape, image_shape))
        raise BadInputError(f"the model takes {taken} values, and the pictures have {given}")
    file = _File(data, channels_first=shape == (channels, height, width))
    return FloatModel(file.logits, file.layers, file.int8, lambda pixels: pixels)


@dataclass(frozen=True)
class _File:
    data: bytes
    channels_first: bool

    def _fed(self, pictures: Float32Array) -> Float32Array:
        return np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)) if self.channels_first else pictures

    def logits(self, pictures: Float32Array) -> Float32Array:
        return float_onnxruntime.run(self.data, self._fed(pictures))[0]

    def layers(self, pictures: Float32Array) -> Mapping[str, Float32Array]:
        parts = []
        for start in range(0, len(pictures), _AT_ONCE):
            inputs = self._fed(pictures[start : start + _AT_ONCE])
            parts.append(float_onnxruntime.run(self.data, inputs, with_layers=True)[1])
        return {name: _rows_first(np.concatenate([part[name] for part in parts])) for name in parts[0]}

    def int8(self, pictures: Float32Array, pixels: PixelRange) -> QuantizedModel:
        scale, zero_point = scaling_of(*pixels)
        content = float_onnxruntime.quantized(self.data, self._fed(pictures), scale, zero_point)
        return reader.read(content, "the model that ONNX Runtime's quantiser made")


def _rows_first(values: Float32Array) -> Float32Array:
    """Maps in the order of layers: ``[n, h, w, c]``."""
    return values.transpose(0, 2, 3, 1) if values.ndim == 4 else values
