"""The settings of the preparation, which a model carries with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["MNIST", "Crop", "Invert", "Preparation"]

Crop: TypeAlias = Literal["none", "square"] | tuple[int, int, int, int]
Invert: TypeAlias = Literal["never", "always", "bright border"]


@dataclass(frozen=True)
class Preparation:
    """How a frame of any size becomes an image.

    The steps, in this order: crop, grey or RGB, inversion, then either resize by area, or MNIST's centring.

    Attributes:
        height, width: of the image, in pixels.
        channels: 1 is grey, 3 is RGB.
        crop: "square" is the largest one in the middle; numbers are left, top, width, height in the frame.
        invert: 255 minus the value; "bright border" where the median of the frame's border is above 127.
        centred: MNIST's centring: the background is taken away, what is drawn is cut out, scaled to fit a box of 20 of
            28 parts of the image, and placed with its centre of mass in the middle. Grey only.
        low, high: the real numbers that pixels 0 and 255 stand for; what int8 value that is follows from the scale and
            zero point of the model's input. 0 and 1 in every model of ours.
    """

    height: int
    width: int
    channels: int = 1
    crop: Crop = "none"
    invert: Invert = "never"
    centred: bool = False
    low: float = 0.0
    high: float = 1.0


MNIST = Preparation(28, 28, 1, invert="bright border", centred=True)
"""LeCun et al. 1998, section III.A."""
