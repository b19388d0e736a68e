"""The preparation that a model carries with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lenet_edge.errors import BadInputError
from lenet_edge.preparation.ranges import IDENTITY, int8_values
from lenet_edge.preparation.settings import MNIST, Preparation, from_json

__all__ = ["recorded"]

_MNIST_NETWORKS = ("lenet5", "lenet5-sigmoid")


def recorded(metadata: Mapping[str, Any], shape: tuple[int, ...], scale: float, zero_point: int) -> Preparation:
    """What the metadata say; of a model of before they had it MNIST's, and of others a resize by area.

    Where nothing is recorded, black and white are what int8 -128 and 127 stand for: a converter has seen the
    range of the pixels.

    Args:
        metadata: of the model.
        shape: of its input, ``[h, w, c]``.
        scale, zero_point: of its input.

    Raises:
        BadInputError: the input is no image, or the record is none of a preparation or is for images of another size.
    """
    if len(shape) != 3 or shape[2] not in (1, 3):
        raise BadInputError(
            f"the model takes {' x '.join(map(str, shape))} values; pictures and frames are made into "
            "[height, width, 1], which is grey, or [height, width, 3], RGB"
        )
    height, width, channels = shape
    found = metadata.get("preparation")
    if found is None:
        old = metadata.get("arch") in _MNIST_NETWORKS and shape == (28, 28, 1)
        if old:
            return MNIST
        plain = Preparation(height, width, channels)
        if (int8_values(plain, scale, zero_point) == IDENTITY).all():
            return plain
        return replace(plain, low=(-128 - zero_point) * float(scale), high=(127 - zero_point) * float(scale))
    preparation = from_json(found)
    if (preparation.height, preparation.width, preparation.channels) != shape:
        raise BadInputError("the preparation that the model records is for images of another size than it takes")
    return preparation
