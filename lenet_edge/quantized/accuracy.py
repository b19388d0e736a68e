"""The share of pictures that the integers of a model get right."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lenet_edge.quantized.meaning import meaning_of
from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.quantized.reference import quantize_images, run

__all__ = ["accuracy_of"]


def accuracy_of(model: QuantizedModel, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.integer]) -> float:
    """That share, 0..1.

    Args:
        images: uint8 ``[n, h, w]`` or ``[n, h, w, 3]``.
        labels: ``[n]``.
    """
    said = meaning_of(model).predictions(run(model, quantize_images(images)))
    return float((said == labels).mean())
