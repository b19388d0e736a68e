"""What numbers black and white are to a float model that does not say so: of the usual ranges the best one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lenet_edge.post_training.float_model import FloatModel, PixelRange, real_pictures

__all__ = ["PIXEL_RANGES", "PixelTrial", "choose_range", "float_classes"]

PIXEL_RANGES: Sequence[PixelRange] = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))
"""The usual ones; of several equally good the first is taken."""


@dataclass(frozen=True)
class PixelTrial:
    """A range, and the share of labelled pictures that the model gets right in it."""

    pixels: PixelRange
    accuracy: float


def float_classes(model: FloatModel, images: npt.NDArray[np.uint8], pixels: PixelRange) -> npt.NDArray[np.int64]:
    """What the float model says of images ``[n, h, w]`` or ``[n, h, w, c]``: int64 ``[n]``."""
    logits = model.logits(real_pictures(images, pixels))
    if logits.shape[1] == 1:  # one probability, of the second of two classes
        return np.asarray(logits[:, 0] > 0.5, np.int64)
    return np.asarray(logits.argmax(axis=1), np.int64)


def choose_range(
    model: FloatModel, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8 | np.int32]
) -> tuple[PixelRange, list[PixelTrial]]:
    """The range in which the model recognises most of these training images, and what was tried."""
    trials = [
        PixelTrial(pixels, float((float_classes(model, images, pixels) == labels).mean())) for pixels in PIXEL_RANGES
    ]
    best = max(trials, key=lambda trial: trial.accuracy)
    return best.pixels, trials
