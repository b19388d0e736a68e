"""The options that say how the pictures of a data set become images."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

import click

from lenet_edge.cli.common import Command
from lenet_edge.cli.options import refuse_given

if TYPE_CHECKING:
    from lenet_edge.preparation import Crop
    from lenet_edge.preparation.request import PreparationRequest

__all__ = [
    "CROP",
    "SIZE",
    "invert_options",
    "picture_options",
    "request_of",
    "requested",
    "transpose_option",
    "transposes",
]

_MOST_SIDE = 4096
_CROP = re.compile(r"(\d{1,4}),(\d{1,4}),(\d{1,4}),(\d{1,4})", re.ASCII)
_SIZE = re.compile(r"([1-9]\d{0,3})(?:[x×]([1-9]\d{0,3}))?")


class _Size(click.ParamType):  # type: ignore[type-arg]  # older releases have no argument
    """A side in pixels, or width x height: (width, height)."""

    name = "size"

    def convert(
        self, value: str | tuple[int, int], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        if not isinstance(value, str):
            return value
        found = _SIZE.fullmatch(value)
        size = (0, 0) if found is None else (int(found[1]), int(found[2] or found[1]))
        if not 1 <= min(size) <= max(size) <= _MOST_SIDE:
            self.fail(
                f"{value!r} is not a size such as 32 or 320x240 (width x height), 1 to {_MOST_SIDE:,} pixels a side",
                param,
                ctx,
            )
        return size


class _CropType(click.ParamType):  # type: ignore[type-arg]  # older releases have no argument
    """``none``, ``square``, or left, top, width and height in pixels, as `Preparation` has them."""

    name = "crop"

    def convert(self, value: str | Crop, param: click.Parameter | None, ctx: click.Context | None) -> Crop:
        if not isinstance(value, str) or value in ("none", "square"):
            return value  # type: ignore[return-value]  # one of the words
        found = _CROP.fullmatch(value)
        left, top, width, height = map(int, found.groups()) if found else (0, 0, 0, 0)
        if not (1 <= min(width, height) <= max(left + width, top + height) <= _MOST_SIDE):
            self.fail(
                f"{value!r} is not none, square, or four numbers such as 40,0,200,240: left, top, width, height in "
                f"pixels, in pictures of up to {_MOST_SIDE:,} a side",
                param,
                ctx,
            )
        return left, top, width, height


SIZE, CROP = _Size(), _CropType()


def picture_options(command: Command) -> Command:
    """``--size``, ``--grey/--colour`` and ``--crop``, for `request_of`."""
    size = click.option(
        "--size", type=SIZE, metavar="N|WxH", help="Pixels of the images.  [default: from the pictures]"
    )
    colour = click.option("--colour/--grey", default=None, help="RGB or grey.  [default: from the pictures]")
    crop = click.option(
        "--crop",
        type=CROP,
        metavar="square|X,Y,W,H",
        help="Cut the middle square or a box out of each picture first; none takes all of it.  [default: none]",
    )
    return size(colour(crop(command)))


def transpose_option(command: Command) -> Command:
    """``--transpose/--no-transpose``, for `transposes`."""
    return click.option(
        "--transpose/--no-transpose",
        default=None,
        help="Swap rows and columns of the images of IDX files or a .npz, as EMNIST's need it.  [default: as the model "
        "was trained, else no]",
    )(command)


def invert_options(command: Command) -> Command:
    """``--invert``, ``--no-invert`` and ``--auto-invert``, as one of `Preparation`'s or None."""
    words = (
        ("--auto-invert", "bright border", "Invert it if its border is bright, as MNIST's networks do."),
        ("--no-invert", "never", "Do not invert it."),
        ("--invert", "always", "Invert the picture: 255 minus each pixel.  [default: as the model says]"),
    )
    for name, value, help_text in words:
        command = click.option(name, "invert", flag_value=value, default=None, help=help_text)(command)
    return command


def transposes(data: str, given: bool | None, recorded: object = False) -> bool:
    """Whether the images of a data set are to be transposed.

    Args:
        data: as it was named.
        given: the option.
        recorded: what the model says about its own data set.

    Raises:
        click.UsageError: the option was given, and the data set has no such images.
    """
    from lenet_edge import datasets

    if datasets.stores_arrays(data):
        return recorded is True if given is None else given
    if given is not None:
        refuse_given(f"with --data {data}: only IDX files and a .npz may have swapped images", "transpose")
    return False


def requested(command: Command) -> Command:
    """Give the command `request` for the three options."""

    @functools.wraps(command)
    def called(size: tuple[int, int] | None, colour: bool | None, crop: Crop | None, **options: object) -> object:
        return command(request=request_of(size, colour, crop), **options)

    return picture_options(called)  # type: ignore[return-value]


def request_of(size: tuple[int, int] | None, colour: bool | None, crop: Crop | None) -> PreparationRequest:
    """What the options ask for."""
    from lenet_edge.preparation.request import PreparationRequest

    width, height = size or (None, None)
    channels = None if colour is None else 3 if colour else 1
    return PreparationRequest(height, width, channels, crop)
