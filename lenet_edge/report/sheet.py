"""Images with their captions on one sheet, as a PNG (numpy and Pillow)."""

from __future__ import annotations

import importlib.util
import io
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from lenet_edge.errors import BadInputError, MissingToolError, one_line

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

__all__ = ["Tile", "draw_sheet"]

UInt8Array: TypeAlias = npt.NDArray[np.uint8]

SIDE = 112  # pixels of the square that an image is fitted into
GAP = 10
TEXT, TITLE = 12, 16  # pixels
LINE = TEXT + 4
MOST_TILES = 2_000  # some 30 million pixels
LONGEST = 400  # characters of a caption that are looked at
PAPER, INK, FAINT, MARK = (255, 255, 255), (24, 24, 27), (212, 212, 216), (200, 30, 30)
_FONT = ("font_source_sans_pro", "files", "SourceSansPro-Regular.ttf")
_MISSING = "\uffff"  # never a character: what a font draws for one that it lacks


@dataclass(frozen=True, eq=False)
class Tile:
    """An image on a sheet.

    Attributes:
        image: uint8 ``[h, w]`` or ``[h, w, 3]``, as the network takes it.
        caption: lines of text below it; what is too long is cut, what the font lacks is escaped.
        marked: framed in red.
    """

    image: UInt8Array
    caption: tuple[str, ...] = ()
    marked: bool = False


def draw_sheet(tiles: Sequence[Tile], title: str, *, columns: int = 8) -> bytes:
    """Draw images side by side, each above its caption.

    Small images are enlarged by a whole number, so that each of their pixels is a square; large ones are reduced.

    Args:
        tiles: at least one, in reading order.
        title: a line at the top.
        columns: how many stand side by side, at most.

    Returns:
        A PNG file.

    Raises:
        BadInputError: there is no image, or there are more than 2,000.
        MissingToolError: Pillow lacks FreeType, which draws the text.
    """
    from PIL import Image, ImageDraw

    if not 1 <= len(tiles) <= MOST_TILES:
        raise BadInputError(f"a sheet takes 1 to {MOST_TILES:,} images, and there are {len(tiles):,}")
    columns = min(columns, len(tiles))
    captions = max(len(tile.caption) for tile in tiles)
    width = max(columns * (SIDE + GAP) + GAP, _width(_drawable(title, _font(TITLE)), TITLE) + 2 * GAP)
    top, row_height = TITLE + 2 * GAP, SIDE + 4 + captions * LINE + GAP
    height = top + -(-len(tiles) // columns) * row_height
    canvas = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(canvas)
    draw.text((GAP, GAP), _drawable(title, _font(TITLE)), INK, _font(TITLE))
    for index, tile in enumerate(tiles):
        row, column = divmod(index, columns)
        _draw_tile(canvas, draw, tile, (GAP + column * (SIDE + GAP), top + row * row_height))
    return _png(canvas)


def _draw_tile(canvas: Image, draw: ImageDraw, tile: Tile, place: tuple[int, int]) -> None:
    left, top = place
    picture = _fitted(tile.image)
    x, y = left + (SIDE - picture.width) // 2, top + (SIDE - picture.height) // 2
    canvas.paste(picture, (x, y))
    draw.rectangle(
        (x - 2, y - 2, x + picture.width + 1, y + picture.height + 1),
        outline=MARK if tile.marked else FAINT,
        width=2 if tile.marked else 1,
    )
    for number, line in enumerate(tile.caption):
        color = MARK if tile.marked and number == 0 else INK
        draw.text((left, top + SIDE + 4 + number * LINE), _cut(line), color, _font(TEXT))


def _fitted(image: UInt8Array) -> Image:
    """The image in RGB, as large as goes into the square."""
    from PIL import Image

    height, width = image.shape[:2]
    grey = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
    picture = Image.fromarray(np.ascontiguousarray(grey))
    factor = SIDE // max(height, width)
    if factor:
        return picture.resize((width * factor, height * factor), Image.Resampling.NEAREST)
    share = SIDE / max(height, width)
    return picture.resize((max(1, round(width * share)), max(1, round(height * share))), Image.Resampling.BOX)


def _cut(line: str) -> str:
    """A line of a caption, no wider than the square."""
    text = _drawable(line, _font(TEXT))
    if _width(text, TEXT) <= SIDE:
        return text
    while text and _width(text + "...", TEXT) > SIDE:
        text = text[:-1]
    return text + "..."


def _drawable(line: str, font: FreeTypeFont) -> str:
    """One line of text, with what the font lacks as an escape such as ``\\u6c34``."""
    escaped = (
        letter if _has(font, letter) else letter.encode("unicode_escape", "surrogatepass").decode("ascii")
        for letter in one_line(unicodedata.normalize("NFC", line[:LONGEST]))
    )
    return "".join(escaped)


@cache
def _has(font: FreeTypeFont, letter: str) -> bool:
    if letter == " ":
        return True
    return letter.isprintable() and bytes(font.getmask(letter)) != bytes(font.getmask(_MISSING))


def _width(text: str, size: int) -> int:
    return round(_font(size).getlength(text))


@cache
def _font(size: int) -> FreeTypeFont:
    """Source Sans Pro, which has Latin, Greek and Cyrillic; without it Pillow's font, which has ASCII."""
    from PIL import ImageFont, features

    if not features.check("freetype2"):
        raise MissingToolError(
            "Pillow was built without FreeType, which draws text. Install its wheel with: pip install --only-binary "
            "pillow --force-reinstall pillow"
        )
    found = importlib.util.find_spec(_FONT[0])
    for folder in (found.submodule_search_locations or ()) if found else ():
        if (file := Path(folder, *_FONT[1:])).is_file():
            return ImageFont.truetype(file, size)
    return ImageFont.load_default(size)  # type: ignore[return-value]


def _png(canvas: Image) -> bytes:
    file = io.BytesIO()
    canvas.save(file, "PNG", optimize=True)
    return file.getvalue()
