"""MNIST's centring in integers (LeCun et al. 1998, section III.A: size-normalised to a box, centred by its mass).

It is made for two passes over the rows of a frame, of which neither keeps the frame. The first gathers what is needed
to find the background and the box of what is drawn: how often each grey level is on the border, the least and the
greatest level, and for each of 32 bands of 8 grey levels the box in which it occurs. The second cuts out and resizes.

Bounds, for images of at most 255 a side: the mass is at most 182 * 182 * 255 and its moment 181 times that, so that
256 times the mass and twice the moment stay below 2^32, as C has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lenet_edge.errors import BadInputError
from lenet_edge.preparation.resize import resize

__all__ = ["BlankFrameError", "border_median", "centre"]

UInt8Array: TypeAlias = npt.NDArray[np.uint8]
Int64Array: TypeAlias = npt.NDArray[np.int64]

BOX, OF = 20, 28  # parts of the image that a drawing is scaled to fit
NOTHING = 8  # of 255: what differs by less is the noise of a scanner or JPEG, not a drawing
DIM = 64  # of 255: a frame of the image's size whose drawing is weaker is spread, as larger ones are
BAND = 8  # grey levels


class BlankFrameError(BadInputError):
    """A frame shows nothing that could be centred; the message goes on after the frame's name."""


@dataclass(frozen=True, eq=False)
class Centred:
    """An image, and what was done.

    Attributes:
        image: uint8 ``[height, width]``.
        strongest: where a frame of the image's size was spread: its greatest level; else None.
        box: width and height of what was cut out; None where the frame was taken as it is.
        placed: width and height of it in the image.
    """

    image: UInt8Array
    strongest: int | None = None
    box: tuple[int, int] | None = None
    placed: tuple[int, int] | None = None


def border_median(grey: UInt8Array) -> int:
    """The lower median of the pixels in the first and last row and column, each counted once; grey ``[h, w]``."""
    edge = np.ones(grey.shape, bool)
    edge[1:-1, 1:-1] = False
    values = np.sort(grey[edge])
    return int(values[(len(values) - 1) // 2])


def centre(grey: UInt8Array, height: int, width: int) -> Centred:
    """What is drawn bright on dark, as MNIST has it.

    A frame of the image's size is taken as it is, and spread to the full range where it is dim.

    Args:
        grey: uint8 ``[h, w]``, after inversion.

    Raises:
        BlankFrameError: it has nearly one shade, or nothing is brighter than its border.
    """
    brightest = int(grey.max())
    if brightest - int(grey.min()) < NOTHING:
        raise BlankFrameError("shows nothing: all of it has nearly one shade.")
    same = grey.shape == (height, width)
    if same and brightest >= DIM:
        return Centred(grey)
    background = border_median(grey)
    ink = _ink(background, brightest)[grey]
    if same:
        return Centred(ink, strongest=brightest)
    left, top, right, bottom = _box_of_the_drawing(grey, background, brightest)
    drawn = ink[top : bottom + 1, left : right + 1]
    rows, columns = _fitted(drawn.shape[0], drawn.shape[1], height, width)
    image = _placed(resize(drawn, rows, columns), height, width)
    return Centred(image, box=(drawn.shape[1], drawn.shape[0]), placed=(columns, rows))


def _ink(background: int, brightest: int) -> UInt8Array:
    """What each grey level is without the background, 0 to 255: uint8 ``[256]``."""
    strongest = brightest - background
    if strongest < NOTHING:
        raise BlankFrameError(
            "shows nothing that is brighter than its border (after inversion, if any). "
            "Is it empty, or must it be inverted the other way?"
        )
    levels = np.arange(256).clip(background, brightest) - background
    return ((levels * 255 + strongest // 2) // strongest).astype(np.uint8)


def _box_of_the_drawing(grey: UInt8Array, background: int, brightest: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what is drawn, of the last inside.

    What is drawn begins above a quarter of the strongest ink (below lie paper grain and the noise of JPEG), at the next
    band of 8 grey levels; the band of the brightest always is.
    """
    least = min(brightest // BAND, (4 * background + (brightest - background)) // (4 * BAND) + 1)
    drawn = grey >= least * BAND
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])


def _fitted(rows: int, columns: int, height: int, width: int) -> tuple[int, int]:
    """The rows and columns of a drawing scaled to fit 20 of 28 parts of the image, its aspect ratio kept."""
    box_height, box_width = (max(1, (BOX * side + OF // 2) // OF) for side in (height, width))
    if rows * box_width >= columns * box_height:  # the height decides
        return box_height, max(1, (2 * columns * box_height + rows) // (2 * rows))
    return max(1, (2 * rows * box_width + columns) // (2 * columns)), box_width


def _placed(drawing: UInt8Array, height: int, width: int) -> UInt8Array:
    rows, columns = drawing.shape
    mass = drawing.astype(np.int64)
    if not mass.any():  # single pixels far apart
        raise BlankFrameError("shows nothing that is left when it is scaled to the image's size.")
    top, left = _offset(mass.sum(axis=1), height), _offset(mass.sum(axis=0), width)
    image = np.zeros((height, width), np.uint8)
    image[top : top + rows, left : left + columns] = drawing
    return image


def _offset(mass: Int64Array, side: int) -> int:
    """Where the drawing starts on one axis, so that its centre of mass comes close to the middle of the image.

    That is side / 2 - moment / mass, rounded half up, and inside.
    """
    total, moment = int(mass.sum()), int(np.arange(len(mass)) @ mass)
    return min(max(0, (side * total - 2 * moment + total) // (2 * total)), side - len(mass))
