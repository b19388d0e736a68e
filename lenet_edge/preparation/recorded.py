"""The preparation that a model carries with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lenet_edge.errors import BadInputError
from lenet_edge.preparation.settings import MNIST, Preparation, from_json

__all__ = ["recorded"]

_MNIST_NETWORKS = ("lenet5", "lenet5-sigmoid")


def recorded(metadata: Mapping[str, Any], shape: tuple[int, ...]) -> Preparation:
    """What the metadata say; of a model of before they had it MNIST's, and of others a resize by area.

    Args:
        metadata: of the model.
        shape: of its input, ``[h, w, c]``.

    Raises:
        BadInputError: the input is no image, or the record is none of a preparation or is for images of another size.
    """
    if len(shape) != 3 or shape[2] not in (1, 3):
        raise BadInputError(f"the model takes {' x '.join(map(str, shape))} values, which no frame is made into")
    height, width, channels = shape
    found = metadata.get("preparation")
    if found is None:
        old = metadata.get("arch") in _MNIST_NETWORKS and shape == (28, 28, 1)
        return MNIST if old else Preparation(height, width, channels)
    preparation = from_json(found)
    if (preparation.height, preparation.width, preparation.channels) != shape:
        raise BadInputError("the preparation that the model records is for images of another size than it takes")
    return preparation
