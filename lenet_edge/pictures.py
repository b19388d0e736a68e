"""A picture file as the 28x28 image that the network takes."""

from __future__ import annotations

import io
import struct
import warnings
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
INK = 0.25  # of the brightest: what counts when the drawing is cut out; below lie paper grain and JPEG noise
# Pillow lets its decoders' own errors through for damaged files.
DAMAGE = (OSError, ValueError, SyntaxError, EOFError, struct.error, IndexError, KeyError, TypeError, OverflowError)


def read_picture(path: Path, *, invert: bool | None = None) -> tuple[UInt8Array, str]:
    """The picture in a file, prepared as the images of MNIST were.

    A picture of 28x28 pixels is taken as it is, apart from inversion. Any other is made grey, its background is
    taken away, what is drawn is cut out, scaled to fit 20x20 and placed with its centre of mass in the middle
    (LeCun et al. 1998, section III.A).

    Args:
        path: a PNG, JPEG, BMP, GIF (first frame), TIFF, WebP or PPM file.
        invert: MNIST is bright on dark. True inverts, False does not, None inverts where the border is bright.

    Returns:
        uint8 ``[28, 28]``, and a sentence that says what was done.

    Raises:
        BadInputError: the file is missing, no such picture, damaged, too large, or shows nothing.
    """
    grey = _read_grey(path)
    height, width = grey.shape
    border = _border(grey)
    inverted = border > 127 if invert is None else invert
    done = [f"{width}×{height}"]
    if inverted:
        grey, border = 255 - grey, 255 - border
        done.append("inverted" if invert else "inverted, since its border is bright")
    if grey.shape == (SIDE, SIDE):
        return np.rint(grey).astype(np.uint8), ", ".join(
            [*done, "otherwise taken as it is" if inverted else "taken as it is"]
        )
    ink = _ink(grey, border, path)
    drawing = _cut_out(ink)
    image, (rows, columns) = _place(drawing)
    done.append(f"what is drawn ({drawing.shape[1]}×{drawing.shape[0]}) scaled to {columns}×{rows}")
    done.append("centred by its mass")
    return image, ", ".join(done)


def _read_grey(path: Path) -> GreyArray:
    """The picture as float32 ``[height, width]``, 0 (black) to 255 (white), transparency on white."""
    from PIL import Image, ImageOps, UnidentifiedImageError  # not at start: only predict needs it

    content = read_bytes(path, "picture")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged metadata, which is not used
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
                picture = ImageOps.exif_transpose(opened)
                picture.load()
                return _to_grey(picture)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as error:
        raise BadInputError(f"picture {path} is too large: {error} Scale it down first.") from error
    except UnidentifiedImageError as error:
        raise BadInputError(f"{path} is no picture that can be read ({', '.join(FORMATS)}).") from error
    except DAMAGE as error:
        reason = getattr(error, "strerror", None) or error
        raise BadInputError(f"picture {path} cannot be read: {reason}.") from error


def _to_grey(picture: Image) -> GreyArray:
    if picture.mode.startswith("I"):  # 16 bits of a grey PNG or TIFF; Pillow would clip instead of scaling
        deep: GreyArray = np.clip(np.asarray(picture, np.float32) / np.float32(257), 0, 255)
        return deep
    if picture.mode == "F":
        raise ValueError("pixels are floating-point numbers; save it with 8 bits")
    if picture.has_transparency_data:
        from PIL import Image

        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    grey: GreyArray = np.asarray(picture.convert("L"), np.float32)
    return grey


def _border(grey: GreyArray) -> float:
    edges = (grey[0], grey[-1], grey[:, 0], grey[:, -1])
    return float(np.median(np.concatenate(edges)))


def _ink(grey: GreyArray, background: float, path: Path) -> GreyArray:
    """The drawing without its background, 0 to 255."""
    ink: GreyArray = np.maximum(grey - np.float32(background), 0)
    strongest = float(ink.max())
    if strongest < 1:
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
    """Where the drawing starts on one axis, so that its centre of mass comes next to the middle of the image."""
    centre = float(np.average(np.arange(len(mass)), weights=mass))
    return int(np.clip(round(SIDE / 2 - centre), 0, SIDE - len(mass)))
