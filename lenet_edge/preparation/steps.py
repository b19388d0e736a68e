"""From a frame to an image, step by step: crop, grey or RGB, resize by area, inversion, MNIST's centring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from lenet_edge.errors import BadInputError
from lenet_edge.preparation.centring import border_median, centre
from lenet_edge.preparation.colour import grey_of, in_channels
from lenet_edge.preparation.resize import resize
from lenet_edge.preparation.settings import MOST_SIDE, Preparation

__all__ = ["crop_box", "prepare", "prepare_and_tell"]

UInt8Array: TypeAlias = npt.NDArray[np.uint8]

_BRIGHT = 127  # the border's median above this is bright


@dataclass(frozen=True, eq=False)
class _Done:
    """Pixels between two steps, and what was done to them in words."""

    pixels: UInt8Array
    notes: tuple[str, ...] = ()

    def then(self, pixels: UInt8Array, *notes: str) -> _Done:
        return _Done(pixels, (*self.notes, *notes))


def prepare(frame: UInt8Array, preparation: Preparation) -> UInt8Array:
    """The image that a network takes, from a frame of any size.

    Args:
        frame: uint8 ``[h, w]`` (grey) or ``[h, w, 3]`` (RGB), at most 4,096 a side.
        preparation: the settings.

    Returns:
        uint8 ``[height, width]`` or ``[height, width, 3]``.

    Raises:
        BadInputError: the frame is none, or the crop does not lie inside it.
        BlankFrameError: it is to be centred, and shows nothing; one of the above, too.
    """
    return prepare_and_tell(frame, preparation)[0]


def prepare_and_tell(frame: UInt8Array, preparation: Preparation) -> tuple[UInt8Array, str]:
    """What `prepare` returns, and a sentence that says what was done."""
    _require_frame(frame)
    height, width = frame.shape[:2]
    done = _cropped(_Done(frame, (f"{width}×{height}",)), preparation)
    done = done.then(in_channels(done.pixels, preparation.channels))
    done = _centred(done, preparation) if preparation.centred else _plain(done, frame.ndim, preparation)
    return done.pixels, ", ".join(done.notes)


def crop_box(preparation: Preparation, width: int, height: int) -> tuple[int, int, int, int]:
    """What is cropped of a frame: left, top, width, height.

    Raises:
        BadInputError: it does not lie inside the frame.
    """
    if preparation.crop == "none":
        return 0, 0, width, height
    if preparation.crop == "square":
        side = min(width, height)
        return (width - side) // 2, (height - side) // 2, side, side
    left, top, box_width, box_height = preparation.crop
    if left + box_width > width or top + box_height > height:
        raise BadInputError(
            f"a frame of {width}×{height} pixels does not hold the crop of {box_width}×{box_height} at {left}, {top}"
        )
    return left, top, box_width, box_height


def _require_frame(frame: Any) -> None:
    shape: tuple[int, ...] = getattr(frame, "shape", ())
    if getattr(frame, "dtype", None) != np.uint8 or len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] != 3):
        raise BadInputError(f"a frame is uint8 [h, w] or [h, w, 3], not {getattr(frame, 'dtype', '')} {list(shape)}")
    if min(shape[:2]) < 1 or max(shape[:2]) > MOST_SIDE:
        raise BadInputError(f"a frame has 1 to {MOST_SIDE:,} pixels a side, not {shape[1]}×{shape[0]}")


def _cropped(done: _Done, preparation: Preparation) -> _Done:
    height, width = done.pixels.shape[:2]
    left, top, box_width, box_height = crop_box(preparation, width, height)
    if (box_width, box_height) == (width, height):
        return done
    pixels = done.pixels[top : top + box_height, left : left + box_width]
    return done.then(pixels, f"cut to {box_width}×{box_height}")


def _is_inverted(pixels: UInt8Array, preparation: Preparation) -> tuple[bool, tuple[str, ...]]:
    """Whether pixels in the image's channels are inverted, and the word of it."""
    if preparation.invert == "bright border":
        inverted = border_median(grey_of(pixels)) > _BRIGHT
        return inverted, ("inverted, since its border is bright",) if inverted else ()
    return preparation.invert == "always", ("inverted",) if preparation.invert == "always" else ()


def _plain(done: _Done, dimensions: int, preparation: Preparation) -> _Done:
    height, width = done.pixels.shape[:2]
    inverted, words = _is_inverted(done.pixels, preparation)
    if dimensions == 3 and preparation.channels == 1:
        done = done.then(done.pixels, "made grey")
    if (height, width) == (preparation.height, preparation.width):
        words += ("otherwise taken as it is" if done.notes[1:] or words else "taken as it is",)
    else:
        grows = preparation.height > height, preparation.width > width
        how = "to the nearest pixel" if all(grows) else "by area where it shrinks" if any(grows) else "by area"
        words = (f"resized {how} to {preparation.width}×{preparation.height}", *words)
    small = resize(done.pixels, preparation.height, preparation.width)
    return done.then(255 - small if inverted else small, *words)


def _centred(done: _Done, preparation: Preparation) -> _Done:
    inverted, words = _is_inverted(done.pixels, preparation)
    found = centre(255 - done.pixels if inverted else done.pixels, preparation.height, preparation.width)
    if found.placed is not None and found.box is not None:
        box, placed = ("×".join(map(str, size)) for size in (found.box, found.placed))
        return done.then(found.image, *words, f"what is drawn ({box}) scaled to {placed}", "centred by its mass")
    if found.strongest is not None:
        words = (*words, f"spread from {found.strongest} to 255")
    return done.then(found.image, *words, "otherwise taken as it is" if words else "taken as it is")
