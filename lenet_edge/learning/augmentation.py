"""Random affine distortions of images, driven by an explicit generator so that a seed gives the same images."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["augment", "has_dark_background"]

_DARK = 16  # of 255: MNIST's border has a median of 0

_ROTATION = 0.175  # radians either way: 10 degrees
_SCALE = 0.125
_SHEAR = 0.15
_SHIFT = 0.11  # of half the width: 1.5 pixels of 28


def has_dark_background(images: npt.NDArray[np.uint8]) -> bool:
    """Whether most pixels on the border of the images uint8 ``[n, h, w, ...]`` are dark, as in MNIST.

    What lies outside of such an image is black. Outside of others, such as photos, is what is on their border.
    """
    sides = (images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1])
    return float(np.median(np.concatenate([side.ravel() for side in sides]))) < _DARK


def augment(images: Tensor, generator: torch.Generator, *, dark: bool = True) -> Tensor:
    """Rotate, scale, shear and shift each image by its own random amount.

    Args:
        images: float ``[n, c, h, w]``.
        generator: on the CPU, whatever the device of the images.
        dark: whether what lies outside an image is 0; else it is as its border.
    """

    def uniform(reach: float) -> Tensor:
        return (torch.rand(len(images), generator=generator) * 2 - 1) * reach

    angle, scale, shear = uniform(_ROTATION), 1 + uniform(_SCALE), uniform(_SHEAR)
    shift_x, shift_y = uniform(_SHIFT), uniform(_SHIFT)
    cosine, sine = torch.cos(angle) / scale, torch.sin(angle) / scale
    rows = [torch.stack([cosine, shear - sine, shift_x], 1), torch.stack([sine, cosine, shift_y], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    outside = "zeros" if dark else "border"
    return F.grid_sample(images, grid.to(images.device), padding_mode=outside, align_corners=False)
