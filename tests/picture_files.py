"""Folders of pictures by class, written with Pillow alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw


def picture(path: Path, *, seed: int, size: int = 28, kind: int = 0) -> None:
    """A dark bar on a bright noisy ground, whose height tells the class `kind`."""
    random = np.random.default_rng(seed)
    image = Image.fromarray(random.integers(190, 256, (size, size), dtype=np.uint8))
    top = 2 + kind * (size - 8) // 4
    ImageDraw.Draw(image).rectangle([3, top, size - 4, top + 3], fill=int(random.integers(0, 80)))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def write(folder: Path, *, classes: int, each: int, names: tuple[str, ...] = (), size: int = 28) -> Path:
    """A folder with `each` pictures of each class."""
    for kind in range(classes):
        name = names[kind] if names else f"class {kind}"
        for number in range(each):
            picture(folder / name / f"{number}.png", seed=1000 * kind + number, size=size, kind=kind)
    return folder
