"""What a model makes of pixels: how a picture becomes its input, and whether that is ``pixel - 128``."""

from __future__ import annotations

from lenet_edge.preparation import Preparation, int8_values
from lenet_edge.preparation.ranges import IDENTITY
from lenet_edge.preparation.recorded import recorded
from lenet_edge.quantized.meaning import is_image
from lenet_edge.quantized.model import QuantizedModel

__all__ = ["black_and_white", "preparation_of", "takes_images"]


def preparation_of(model: QuantizedModel) -> Preparation:
    """The preparation that the model records, or what is usual for one like it.

    Raises:
        BadInputError: the model takes no picture, or its record is damaged.
    """
    return recorded(model.metadata, model.input.shape, model.input.scale, model.input.zero_point)


def takes_images(model: QuantizedModel) -> bool:
    """Whether a pixel's int8 is ``pixel - 128``, by the input's scale and by the range that the model records.

    Raises:
        BadInputError: the record is damaged.
    """
    return is_image(model.input) and _other_ends(model) is None


def black_and_white(model: QuantizedModel) -> str:
    """What pixels are to a model that records another range; else empty.

    Raises:
        BadInputError: the record is damaged.
    """
    values = _other_ends(model)
    return "" if values is None else f"Pixel 0 is int8 {values[0]}, and pixel 255 is int8 {values[1]}."


def _other_ends(model: QuantizedModel) -> tuple[int, int] | None:
    """The int8 of black and of white where the model records a range in which they are not those of an image."""
    shape = model.input.shape
    if "preparation" not in model.metadata or len(shape) != 3 or shape[2] not in (1, 3):
        return None
    values = int8_values(preparation_of(model), model.input.scale, model.input.zero_point)
    return None if (values == IDENTITY).all() else (int(values[0]), int(values[255]))
