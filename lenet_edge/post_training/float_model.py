"""A float file, whatever its format: what it says of pictures, and how it becomes int8."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lenet_edge.quantized.model import QuantizedModel

__all__ = ["FloatModel", "real_pictures"]

Float32Array: TypeAlias = npt.NDArray[np.float32]
UInt8Array: TypeAlias = npt.NDArray[np.uint8]
PixelRange: TypeAlias = tuple[float, float]


@dataclass(frozen=True, eq=False)
class FloatModel:
    """A float model that takes pictures.

    Attributes:
        logits: real pictures ``[n, h, w, c]`` to the outputs of the file, float32 ``[n, outputs]``.
        layers: the same to what each layer of the int8 model is in the float one: name -> float32 ``[n, ...]``.
        int8: pictures to calibrate with, and what black and white are in them, to the ordinary int8 model.
        entered: what black and white are to the int8 model, where they are these to the file: a constant factor at the
            model's beginning is part of the range there.
    """

    logits: Callable[[Float32Array], Float32Array]
    layers: Callable[[Float32Array], Mapping[str, Float32Array]]
    int8: Callable[[Float32Array, PixelRange], QuantizedModel]
    entered: Callable[[PixelRange], PixelRange]


def real_pictures(images: UInt8Array, pixels: PixelRange) -> Float32Array:
    """The numbers that pixels stand for.

    Args:
        images: uint8 ``[n, h, w]`` or ``[n, h, w, c]``.
        pixels: what black and white are.

    Returns:
        float32 ``[n, h, w, c]``.
    """
    low, high = pixels
    real = (low + (high - low) * (np.arange(256) / 255)).astype(np.float32)[images]
    return real[..., None] if images.ndim == 3 else real
