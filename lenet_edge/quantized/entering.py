"""Real values and bytes on their way into a model: the int8 that stand for them in the scales of its inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lenet_edge.quantized.layers import split
from lenet_edge.quantized.model import INT8_MAX, INT8_MIN, Int8Array, QTensor, QuantizedModel

__all__ = ["as_int8"]


def as_int8(model: QuantizedModel, values: npt.NDArray[Any]) -> tuple[Int8Array, int]:
    """Inputs as the model takes them.

    Args:
        model: the model.
        values: ``[n, values]``, several inputs one behind the other: int8 as they are; uint8, which stand for the int8
            of 128 less; or real values.

    Returns:
        int8 ``[n, *model.input.shape]``, and how many real values lay beyond the int8 and became the nearest one.
    """
    if values.dtype.kind != "f":
        integers = (values ^ 0x80).view(np.int8) if values.dtype == np.uint8 else values
        return integers.reshape(len(values), *model.input.shape), 0
    parts = zip(split(values, model.inputs), model.inputs, strict=True)
    found = [_quantized(part, tensor) for part, tensor in parts]
    whole = np.concatenate(found, axis=1)
    clipped = np.clip(whole, INT8_MIN, INT8_MAX)
    return clipped.astype(np.int8).reshape(len(values), *model.input.shape), int((clipped != whole).sum())


def _quantized(values: npt.NDArray[np.float64], tensor: QTensor) -> npt.NDArray[np.float64]:
    """TFLite's QUANTIZE before its clamp: divided in float32, rounded half away from zero.

    Source: ``AffineQuantize``, tensorflow/lite/kernels/internal/reference/quantize.h.
    """
    with np.errstate(over="ignore"):
        ratio = (values.astype(np.float32) / np.float32(tensor.scale)).astype(np.float64)
    return np.sign(ratio) * np.floor(np.abs(ratio) + 0.5) + tensor.zero_point
