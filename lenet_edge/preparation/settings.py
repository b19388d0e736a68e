"""The settings of the preparation, which a model carries with it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, TypeAlias, get_args

from lenet_edge.errors import BadInputError

__all__ = ["MNIST", "MOST_CENTRED", "MOST_SIDE", "Crop", "Invert", "Preparation", "from_json", "to_json"]

Crop: TypeAlias = Literal["none", "square"] | tuple[int, int, int, int]
Invert: TypeAlias = Literal["never", "always", "bright border"]

MOST_SIDE = 4096
"""Pixels, of frames and of images: the sum of the weights of a resize by area times 255 then fits 32 bits."""
MOST_CENTRED = 255
"""Pixels a side of an image that is centred: the centre of mass is then found in 32 bits."""
_LARGEST = 1e9  # of `low` and `high`: far beyond any range of pixels
_COLOURS = (1, 3)


@dataclass(frozen=True)
class Preparation:
    """How a frame of any size becomes an image.

    The steps, in this order: crop, grey or RGB, then either resize by area and inversion, or inversion and MNIST's
    centring. docs/explanation/preparation.md defines them all.

    Attributes:
        height, width: of the image, in pixels.
        channels: 1 is grey, 3 is RGB.
        crop: "square" is the largest one in the middle; numbers are left, top, width, height in the frame.
        invert: 255 minus the value; "bright border" where the median of what was cropped is above 127 on its border.
        centred: MNIST's centring: the background is taken away, what is drawn is cut out, scaled to fit a box of 20 of
            28 parts of the image, and placed with its centre of mass in the middle. Grey only.
        low, high: the real numbers that pixels 0 and 255 stand for; what int8 value that is follows from the scale and
            zero point of the model's input. 0 and 1 in every model of ours.

    Raises:
        BadInputError: a setting is none, or two of them exclude each other.
    """

    height: int
    width: int
    channels: int = 1
    crop: Crop = "none"
    invert: Invert = "never"
    centred: bool = False
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if problem := _problem(self):
            raise BadInputError(f"the preparation of pictures: {problem}")


def _problem(settings: Preparation) -> str:
    """What is wrong with the settings; empty where nothing is."""
    height, width, most = settings.height, settings.width, MOST_CENTRED if settings.centred else MOST_SIDE
    if not all(_is_whole(side, 1, most) for side in (height, width)):
        which = "an image that is centred" if settings.centred else "an image"
        return f"{which} has 1 to {most:,} pixels a side, not {width}×{height}"
    if settings.channels not in _COLOURS or isinstance(settings.channels, bool):
        return f"an image has 1 channel (grey) or 3 (RGB), not {settings.channels}"
    if settings.centred is not True and settings.centred is not False:
        return f"`centred` is true or false, not {settings.centred!r}"
    if settings.centred and settings.channels != 1:
        return "only grey images are centred"
    if settings.invert not in get_args(Invert):
        return f"`invert` is {', '.join(map(repr, get_args(Invert)))}, not {settings.invert!r}"
    return _problem_of_crop(settings.crop) or _problem_of_range(settings.low, settings.high)


def _problem_of_crop(crop: Any) -> str:
    if crop in ("none", "square"):
        return ""
    if not isinstance(crop, tuple) or len(crop) != 4:
        return f"`crop` is 'none', 'square' or (left, top, width, height), not {crop!r}"
    left, top, width, height = crop
    inside = all(_is_whole(start, 0, MOST_SIDE - 1) for start in (left, top))
    if not (inside and all(_is_whole(size, 1, MOST_SIDE) for size in (width, height))):
        return f"`crop` is left, top, width, height in frames of up to {MOST_SIDE:,} a side, not {crop}"
    return ""


def _problem_of_range(low: Any, high: Any) -> str:
    if not all(_is_number(value) for value in (low, high)) or low == high:
        return f"`low` and `high` are two different finite numbers, not {low!r} and {high!r}"
    return ""


def _is_whole(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST  # NaN is not


def to_json(preparation: Preparation) -> dict[str, Any]:
    """The settings as a JSON object, all of them."""
    found = asdict(preparation)
    return found | {"crop": list(found["crop"]) if isinstance(found["crop"], tuple) else found["crop"]}


def from_json(value: Any) -> Preparation:
    """The settings that `to_json` wrote.

    Raises:
        BadInputError: it is not an object with exactly these keys, or a setting is none.
    """
    names = {field.name for field in fields(Preparation)}
    if not isinstance(value, dict) or value.keys() != names:
        given = sorted(map(str, value)) if isinstance(value, dict) else type(value).__name__
        raise BadInputError(f"the preparation of pictures is an object with {', '.join(sorted(names))}, not {given}")
    crop = value["crop"]
    return Preparation(**value | {"crop": tuple(crop) if isinstance(crop, list) else crop})


MNIST = Preparation(28, 28, 1, invert="bright border", centred=True)
"""LeCun et al. 1998, section III.A."""
