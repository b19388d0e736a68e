"""Random affine distortions of digits, driven by an explicit generator so that a seed gives the same images."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["augment"]

_ROTATION = 0.175  # radians either way: 10 degrees
_SCALE = 0.125
_SHEAR = 0.15
_SHIFT = 0.11  # of half the width: 1.5 pixels of 28


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Rotate, scale, shear and shift each image by its own random amount.

    Args:
        images: float ``[n, 1, h, w]``; the background is 0.
        generator: on the CPU, whatever the device of the images.
    """

    def uniform(reach: float) -> Tensor:
        return (torch.rand(len(images), generator=generator) * 2 - 1) * reach

    angle, scale, shear = uniform(_ROTATION), 1 + uniform(_SCALE), uniform(_SHEAR)
    shift_x, shift_y = uniform(_SHIFT), uniform(_SHIFT)
    cosine, sine = torch.cos(angle) / scale, torch.sin(angle) / scale
    rows = [torch.stack([cosine, shear - sine, shift_x], 1), torch.stack([sine, cosine, shift_y], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid.to(images.device), align_corners=False)
