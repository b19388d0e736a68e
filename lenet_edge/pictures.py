"""A picture file as the 28x28 image that the network takes."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from lenet_edge.errors import BadInputError
from lenet_edge.files import read_bytes

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["read_picture"]

UInt8Array: TypeAlias = npt.NDArray[np.uint8]
GreyArray: TypeAlias = npt.NDArray[np.float32]

SIDE = 28
BOX = 20  # LeCun et al. 1998, section III.A: size-normalised to fit 20x20, aspect ratio kept
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")  # none that starts another program
MAX_SIDE = 4096  # pixels: read from the header, before a few kilobytes become gigabytes
INK = 0.25  # of the brightest: what counts when the drawing is cut out; below lie paper grain and JPEG noise
MAX_TEXT_BYTES = 2**22  # of a PPM in decimal digits, which Pillow takes a minute for where it is large
NOTHING = 8  # of 255: what differs by less is the noise of a scanner or JPEG, not a drawing
DIM = 64  # of 255: a picture of 28x28 whose drawing is weaker is spread, as larger ones are


_PLAIN_PPM = (b"P1", b"P2", b"P3")
_WHITENED = ("its transparent parts made white",)


@dataclass(frozen=True, eq=False)
class _Grey:
    """A picture before it is prepared.

    Attributes:
        pixels: float32 ``[height, width]``, 0 (black) to 255 (white).
        notes: what was done to get there.
        found: the values that the file holds, where they may not be what one thinks; for the message of a blank one.
    """

    pixels: GreyArray
    notes: tuple[str, ...] = ()
    found: str = ""


def read_picture(path: Path, *, invert: bool | None = None) -> tuple[UInt8Array, str]:
    """The picture in a file, prepared as the images of MNIST were.

    A picture of 28x28 pixels is taken as it is, apart from inversion, and spread to the full range where it is
    dim. Any other is made grey, its background is taken away, what is drawn is cut out, scaled to fit 20x20 and
    placed with its centre of mass in the middle (LeCun et al. 1998, section III.A).

    Args:
        path: a PNG, JPEG, BMP, GIF (first frame), TIFF, WebP or PPM file.
        invert: MNIST is bright on dark. True inverts, False does not, None inverts where the border is bright.

    Returns:
        uint8 ``[28, 28]``, and a sentence that says what was done.

    Raises:
        BadInputError: the file is missing, no such picture, damaged, over 4,096 pixels a side, or shows nothing.
    """
    read = _read_grey(path)
    grey = read.pixels
    height, width = grey.shape
    done = [f"{width}×{height}", *read.notes]
    if grey.max() - grey.min() < NOTHING:
        raise BadInputError(f"picture {path} shows nothing: all of it has nearly one shade.{read.found}")
    border = _border(grey)
    inverted = border > 127 if invert is None else invert
    if inverted:
        grey, border = 255 - grey, 255 - border
        done.append("inverted" if invert else "inverted, since its border is bright")
    if grey.shape == (SIDE, SIDE):
        return _take(grey, border, path, done, inverted=inverted)
    ink = _ink(grey, border, path)
    drawing = _cut_out(ink)
    image, (rows, columns) = _place(drawing)
    done.append(f"what is drawn ({drawing.shape[1]}×{drawing.shape[0]}) scaled to {columns}×{rows}")
    done.append("centred by its mass")
    return image, ", ".join(done)


def _take(grey: GreyArray, border: float, path: Path, done: list[str], *, inverted: bool) -> tuple[UInt8Array, str]:
    """A picture that has the size of the network's images already."""
    if (strongest := float(grey.max())) < DIM:
        grey = _ink(grey, border, path)
        done.append(f"spread from {strongest:.0f} to 255")
    otherwise = inverted or strongest < DIM
    done.append("otherwise taken as it is" if otherwise else "taken as it is")
    return np.rint(grey).astype(np.uint8), ", ".join(done)


def _read_grey(path: Path) -> _Grey:
    """The picture in grey, transparency on white."""
    from PIL import Image, UnidentifiedImageError  # not at start: only predict needs it

    content = read_bytes(path, "picture")
    if content.startswith(_PLAIN_PPM) and len(content) > MAX_TEXT_BYTES:
        raise BadInputError(f"picture {path} is too large for a PPM in digits (P1, P2, P3); save it as P5, P6 or PNG.")
    try:
        return _decode(content, path)
    except BadInputError:
        raise
    except (Image.DecompressionBombError, MemoryError) as error:
        raise BadInputError(f"picture {path} is too large: {error} Scale it down first.") from error
    except UnidentifiedImageError as error:
        raise BadInputError(f"{path} is not a picture that can be read ({', '.join(FORMATS)}).") from error
    except Exception as error:  # Pillow lets its decoders' own errors through for damaged files, of many types
        reason = str(error).removesuffix(".") or type(error).__name__
        raise BadInputError(f"picture {path} cannot be read: {reason}. If it is damaged, save it again.") from error


def _decode(content: bytes, path: Path) -> _Grey:
    from PIL import Image, ImageOps

    with warnings.catch_warnings(), _silence():
        warnings.simplefilter("ignore")  # of damaged metadata, which is not used, and of sizes, which are ours to judge
        with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
            width, height = opened.size
            if max(width, height) > MAX_SIDE:
                raise BadInputError(
                    f"picture {path} is too large: {width:,}×{height:,} pixels, where {MAX_SIDE:,} a side are taken. "
                    "Scale it down first."
                )
            picture = ImageOps.exif_transpose(opened)
            picture.load()
            return _to_grey(picture, opened.format)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Drop what is written to the process's standard error: libtiff comments on a damaged file there, past Python."""
    try:
        sys.stderr.flush()
        kept = os.dup(2)
    except (OSError, ValueError, AttributeError):  # it is closed: nothing can be written
        yield
        return
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _to_grey(picture: Image, form: str | None) -> _Grey:
    if picture.mode == "F" or (picture.mode.startswith("I") and not picture.mode.startswith("I;16") and form == "TIFF"):
        raise ValueError("its pixels are numbers of 32 bits, whose range is not known; save it with 8 bits")
    if picture.mode.startswith("I"):  # 16 bits of a grey PNG, TIFF or PPM; Pillow would clip instead of scaling
        deep, clear = np.array(picture, np.float32), picture.info.get("transparency")
        found = (
            f" It has 16 bits, and its pixels go from {deep.min():,.0f} to {deep.max():,.0f} of 65,535: "
            "if they are meant to be fewer bits, save it with 8."
        )
        if isinstance(clear, int):
            deep[deep == clear] = 65_535
        return _Grey(np.clip(deep / np.float32(257), 0, 255), _WHITENED if isinstance(clear, int) else (), found)
    if not picture.has_transparency_data:
        return _Grey(np.asarray(picture.convert("L"), np.float32))
    from PIL import Image

    picture = picture.convert("RGBA")
    if picture.getchannel("A").getextrema()[0] == 255:  # has the channel, and does not use it
        return _Grey(np.asarray(picture.convert("L"), np.float32))
    white = Image.new("RGBA", picture.size, "white")
    grey = np.asarray(Image.alpha_composite(white, picture).convert("L"), np.float32)
    found = " Its transparent parts count as white: give a white drawing a dark background."
    return _Grey(grey, _WHITENED, found)


def _border(grey: GreyArray) -> float:
    edges = (grey[0], grey[-1], grey[:, 0], grey[:, -1])
    return float(np.median(np.concatenate(edges)))


def _ink(grey: GreyArray, background: float, path: Path) -> GreyArray:
    """The drawing without its background, 0 to 255."""
    ink: GreyArray = np.maximum(grey - np.float32(background), 0)
    strongest = float(ink.max())
    if strongest < NOTHING:
        raise BadInputError(
            f"picture {path} shows nothing that is brighter than its border (after inversion, if any). "
            "Is it empty, or must it be inverted the other way?"
        )
    return ink * np.float32(255 / strongest)


def _cut_out(ink: GreyArray) -> GreyArray:
    drawn = ink > INK * 255
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _place(drawing: GreyArray) -> tuple[UInt8Array, tuple[int, int]]:
    """The drawing in a 28x28 image, and the (rows, columns) that it takes there."""
    from PIL import Image

    scale = BOX / max(drawing.shape)
    rows, columns = (max(1, round(size * scale)) for size in drawing.shape)
    # Pillow's bilinear filter widens with the reduction, so thin strokes stay.
    resized = Image.fromarray(drawing).resize((columns, rows), Image.Resampling.BILINEAR)
    small = np.asarray(resized, np.float32)
    top, left = _offset(small.sum(axis=1)), _offset(small.sum(axis=0))
    image = np.zeros((SIDE, SIDE), np.uint8)
    image[top : top + rows, left : left + columns] = np.rint(np.clip(small, 0, 255))
    return image, (rows, columns)


def _offset(mass: GreyArray) -> int:
    """Where the drawing starts on one axis, so that its centre of mass comes close to the middle of the image."""
    centre = float(np.average(np.arange(len(mass)), weights=mass))
    return int(np.clip(round(SIDE / 2 - centre), 0, SIDE - len(mass)))
