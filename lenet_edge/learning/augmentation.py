"""Random distortions of images, driven by an explicit generator so that a seed gives the same images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from lenet_edge.networks.recipe import Recipe

__all__ = ["Distortion", "augment", "distorted", "draw", "has_dark_background"]

_DARK = 16  # of 255: MNIST's border has a median of 0

_ROTATION = 0.175  # radians either way: 10 degrees
_SCALE = 0.125
_SHEAR = 0.15
_SHIFT = 0.11  # of half the width: 1.5 pixels of 28


@dataclass(frozen=True)
class Distortion:
    """How images are distorted.

    Attributes:
        amount: how far, in parts of what digits bear; 0 is not at all.
        mirror: whether half of them are mirrored, left to right.
        dark: whether what lies outside an image is 0; else it is as its border.
    """

    amount: float = 1.0
    mirror: bool = False
    dark: bool = True

    @classmethod
    def of(cls, recipe: Recipe, images: npt.NDArray[np.uint8]) -> Distortion:
        """That of a recipe, for the images uint8 ``[n, h, w, ...]``."""
        if not recipe.augmentation:
            return cls(0, mirror=False)
        return cls(recipe.distortion, recipe.mirror, has_dark_background(images))

    @property
    def does_nothing(self) -> bool:
        return not self.amount and not self.mirror


def has_dark_background(images: npt.NDArray[np.uint8]) -> bool:
    """Whether most pixels on the border of the images uint8 ``[n, h, w, ...]`` are dark, as in MNIST.

    What lies outside of such an image is black. Outside of others, such as photos, is what is on their border.
    """
    sides = (images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1])
    return float(np.median(np.concatenate([side.ravel() for side in sides]))) < _DARK


def augment(images: Tensor, generator: torch.Generator, distortion: Distortion) -> Tensor:
    """Rotate, scale, shear, shift and mirror each image by its own random amount.

    Args:
        images: float ``[n, c, h, w]``.
        generator: on the CPU, whatever the device of the images.
    """
    if distortion.does_nothing:
        return images
    return distorted(images, draw(len(images), generator, distortion), distortion)


def draw(count: int, generator: torch.Generator, distortion: Distortion) -> Tensor:
    """The random numbers of so many images, -1..1: ``[count, 5]``, or 6 where images are mirrored."""
    columns = 6 if distortion.mirror else 5
    return torch.stack([torch.rand(count, generator=generator) * 2 - 1 for _ in range(columns)], 1)


def distorted(images: Tensor, drawn: Tensor, distortion: Distortion) -> Tensor:
    """The images ``[n, c, h, w]``, distorted as the numbers drawn for them have it."""
    if distortion.does_nothing:
        return images
    reaches = [distortion.amount * reach for reach in (_ROTATION, _SCALE, _SHEAR, _SHIFT, _SHIFT)]
    angle, scale, shear, shift_x, shift_y = (column * reach for column, reach in zip(drawn.T[:5], reaches, strict=True))
    scale = 1 + scale
    cosine, sine = torch.cos(angle) / scale, torch.sin(angle) / scale
    side = torch.where(drawn[:, 5] < 0, -1.0, 1.0) if distortion.mirror else torch.ones(len(drawn))
    rows = [
        torch.stack([side * cosine, shear - sine, shift_x], 1),
        torch.stack([side * sine, cosine, shift_y], 1),
    ]
    grid = F.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    outside = "zeros" if distortion.dark else "border"
    return F.grid_sample(images, grid.to(images.device), padding_mode=outside, align_corners=False)
