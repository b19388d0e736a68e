"""Random distortions: how far they move an image, and that a seed gives the same."""

from __future__ import annotations

import torch

from lenet_edge.learning.augmentation import Distortion, augment, distorted, draw


def test_augmentation_is_the_generators() -> None:
    images = torch.rand(8, 1, 28, 28)
    first, again, other = (augment(images, torch.Generator().manual_seed(seed), Distortion()) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_augmentation_moves_each_image_a_little() -> None:
    dot = torch.zeros(300, 1, 28, 28)
    dot[:, :, 12:16, 12:16] = 1
    moved = augment(dot, torch.Generator().manual_seed(0), Distortion())[:, 0]
    position = torch.arange(28.0) - 13.5
    mass = moved.sum((1, 2))
    right = (moved.sum(1) * position).sum(1) / mass
    assert right.abs().max() < 2.5  # pixels; the shift alone is up to 1.54, the scale an eighth of that more
    assert right.std() > 0.5
    assert mass.min() > 16 * 0.7
    assert mass.max() < 16 * 1.4


def test_half_of_the_images_are_mirrored() -> None:
    images, mirror = torch.rand(400, 1, 28, 28), Distortion(0, mirror=True)
    drawn = draw(400, torch.Generator().manual_seed(0), mirror)
    made = distorted(images, drawn, mirror)
    is_mirrored = torch.tensor(
        [torch.allclose(each, old.flip(2), atol=1e-5) for each, old in zip(made, images, strict=True)]
    )
    is_kept = torch.tensor([torch.allclose(each, old, atol=1e-5) for each, old in zip(made, images, strict=True)])
    assert (is_mirrored ^ is_kept).all()
    assert 160 < is_mirrored.sum() < 240


def test_a_distorted_image_is_mirrored_as_a_whole() -> None:
    images, drawn = torch.rand(50, 1, 28, 28), draw(50, torch.Generator().manual_seed(0), Distortion(mirror=True))
    drawn[:, 5] = -1
    upright = distorted(images, drawn[:, :5], Distortion(0.7))
    assert torch.allclose(distorted(images, drawn, Distortion(0.7, mirror=True)), upright.flip(3), atol=1e-4)


def test_less_distortion_moves_less() -> None:
    images = torch.rand(20, 1, 28, 28)
    drawn = draw(20, torch.Generator().manual_seed(0), Distortion())
    far, near = (float((distorted(images, drawn, Distortion(amount)) - images).abs().mean()) for amount in (1, 0.1))
    assert near < 0.6 * far
    assert torch.equal(distorted(images, drawn, Distortion(0)), images)
