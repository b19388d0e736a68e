"""A picture file as a frame of 8 bits, and as the image that a network takes."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from lenet_edge.errors import BadInputError
from lenet_edge.files import read_bytes
from lenet_edge.preparation import MNIST, BlankFrameError, Invert, Preparation, prepare_and_tell
from lenet_edge.preparation.settings import MOST_SIDE

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["read_frame", "read_picture"]

UInt8Array: TypeAlias = npt.NDArray[np.uint8]

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")  # none that starts another program
MAX_SIDE = MOST_SIDE  # pixels: read from the header, before a few kilobytes become gigabytes
MAX_TEXT_BYTES = 2**22  # of a PPM in decimal digits, which Pillow takes a minute for where it is large

_PLAIN_PPM = (b"P1", b"P2", b"P3")
_GREY = ("1", "L", "LA", "La")
_WHITENED = ("its transparent parts made white",)


@dataclass(frozen=True, eq=False)
class _Picture:
    """A picture before it is prepared.

    Attributes:
        frame: uint8 ``[height, width]`` or ``[height, width, 3]``, 0 (black) to 255 (white).
        notes: what was done to get there.
        found: the values that the file holds, where they may not be what one thinks; for the message of a blank one.
    """

    frame: UInt8Array
    notes: tuple[str, ...] = ()
    found: str = ""


def read_frame(path: Path) -> UInt8Array:
    """The picture in a file, with 8 bits: turned as its EXIF says, transparency on white, 16 bits scaled.

    Args:
        path: a PNG, JPEG, BMP, GIF (first frame), TIFF, WebP or PPM file.

    Returns:
        uint8 ``[height, width]`` of a grey picture, ``[height, width, 3]`` in RGB of any other.

    Raises:
        BadInputError: the file is missing, no such picture, damaged, or over 4,096 pixels a side.
    """
    return _read(path).frame


def read_picture(
    path: Path, preparation: Preparation = MNIST, *, invert: Invert | None = None
) -> tuple[UInt8Array, str]:
    """The picture in a file, prepared for a network.

    Args:
        path: as of `read_frame`.
        preparation: how; `preparation.prepare`.
        invert: overrides that of `Preparation`; None keeps it.

    Returns:
        uint8 ``[height, width]`` or ``[height, width, 3]``, and a sentence that says what was done.

    Raises:
        BadInputError: as of `read_frame`; or the picture does not hold the crop, or is to be centred and shows nothing.
    """
    if invert is not None:
        preparation = replace(preparation, invert=invert)
    picture = _read(path)
    try:
        image, done = prepare_and_tell(picture.frame, preparation)
    except BlankFrameError as error:
        raise BadInputError(f"picture {path} {error}{picture.found}") from error
    except BadInputError as error:
        raise BadInputError(f"picture {path}: {error}") from error
    size, *steps = done.split(", ")
    return image, ", ".join([size, *picture.notes, *steps])


def _read(path: Path) -> _Picture:
    from PIL import UnidentifiedImageError  # not at start: only pictures need it

    content = read_bytes(path, "picture")
    if content.startswith(_PLAIN_PPM) and len(content) > MAX_TEXT_BYTES:
        raise BadInputError(f"picture {path} is too large for a PPM in digits (P1, P2, P3); save it as P5, P6 or PNG.")
    try:
        return _decode(content, path)
    except BadInputError:
        raise
    except MemoryError as error:
        raise BadInputError(f"picture {path} is too large for the memory of this machine. Scale it down.") from error
    except UnidentifiedImageError as error:
        raise BadInputError(f"{path} is not a picture that can be read ({', '.join(FORMATS)}).") from error
    except Exception as error:  # Pillow lets its decoders' own errors through for damaged files, of many types
        reason = str(error).removesuffix(".") or type(error).__name__
        raise BadInputError(f"picture {path} cannot be read: {reason}. If it is damaged, save it again.") from error


def _decode(content: bytes, path: Path) -> _Picture:
    from PIL import Image, ImageOps

    with warnings.catch_warnings(), _silence(), _sizes_are_judged_here():
        warnings.simplefilter("ignore")  # of damaged metadata, which is not used
        with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
            width, height = opened.size
            if max(width, height) > MAX_SIDE:
                raise BadInputError(
                    f"picture {path} is too large: {width:,}×{height:,} pixels, where {MAX_SIDE:,} a side are taken. "
                    "Scale it down first."
                )
            picture = ImageOps.exif_transpose(opened)
            picture.load()
            return _to_frame(picture, opened.format)


@contextlib.contextmanager
def _sizes_are_judged_here() -> Iterator[None]:
    """Lift Pillow's own limit on sizes: it applies before the size can be read, and its message is not ours."""
    from PIL import Image

    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


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


def _to_frame(picture: Image, form: str | None) -> _Picture:
    if picture.mode == "F" or (picture.mode.startswith("I") and not picture.mode.startswith("I;16") and form == "TIFF"):
        raise ValueError("its pixels are numbers of 32 bits, whose range is not known; save it with 8 bits")
    if picture.mode.startswith("I"):  # 16 bits of a grey PNG, TIFF or PPM; Pillow would clip instead of scaling
        return _from_16_bits(np.array(picture, np.int64).clip(0, 65_535), picture.info.get("transparency"))
    is_grey = picture.mode in _GREY
    if not picture.has_transparency_data:
        return _Picture(np.array(picture.convert("L" if is_grey else "RGB")))
    from PIL import Image

    picture = picture.convert("RGBA")
    if picture.getchannel("A").getextrema()[0] == 255:  # has the channel, and does not use it
        return _Picture(_rgb_or_grey(picture, is_grey))
    white = Image.new("RGBA", picture.size, "white")
    found = " Its transparent parts count as white: give a white drawing a dark background."
    return _Picture(_rgb_or_grey(Image.alpha_composite(white, picture), is_grey), _WHITENED, found)


def _rgb_or_grey(picture: Image, is_grey: bool) -> UInt8Array:
    """An RGBA picture without its last channel; of a grey one the first."""
    pixels = np.array(picture)
    return np.ascontiguousarray(pixels[..., 0] if is_grey else pixels[..., :3])


def _from_16_bits(deep: npt.NDArray[np.int64], clear: object) -> _Picture:
    """To 8 bits, 65,535 being 255, rounded half up; `clear` is the level that is transparent, if any."""
    found = (
        f" It has 16 bits, and its pixels go from {deep.min():,} to {deep.max():,} of 65,535: "
        "if they are meant to be fewer bits, save it with 8."
    )
    if isinstance(clear, int):
        deep[deep == clear] = 65_535
    return _Picture(((2 * deep + 257) // 514).astype(np.uint8), _WHITENED if isinstance(clear, int) else (), found)
