"""Images, bars and curves drawn with characters.

Images and curves are drawn in a terminal only: a file or a pipe gets none. Where there are colours, a character is two
pixels, one above the other (U+2580); without them (NO_COLOR, a dumb terminal) it is one shade for both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

from rich.cells import set_cell_size
from rich.color import Color
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style

from lenet_edge.cli.terminal import printable

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Int8Array: TypeAlias = npt.NDArray[np.int8]
    UInt8Array: TypeAlias = npt.NDArray[np.uint8]

__all__ = ["Curve", "Curves", "Images", "bar"]

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_UPPER_HALF = "▀"
_SHADES, _ASCII_SHADES = " ░▒▓█", " .:*#"
_GAP = 2  # columns between images
_BESIDE = 5  # images side by side, at least, where there are several
_MOST_COLUMNS, _MOST_ROWS = 64, 64  # pixels of an image as it is drawn
_LEAST_SIDE = 4  # pixels: anything smaller is not taken for an image

Line: TypeAlias = list[Segment]
Pixel: TypeAlias = tuple[int, int, int]


def bar(share: float, width: int = 20) -> str:
    """A bar of `width` characters, filled to the nearest eighth of one; of more than 0 something is seen."""
    eighths = min(max(round(8 * width * share), int(share > 0)), 8 * width)
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()).ljust(width)


# --- images -----------------------------------------------------------------------------------------


class Images:
    """What a network saw, as it saw it: -128 is black and 127 white. Larger images are reduced by area."""

    def __init__(self, images: Int8Array, captions: Sequence[str] = (), *, most: int = 10) -> None:
        """Nothing is drawn of inputs that are not images.

        Args:
            images: int8 ``[n, h, w, c]``; with 1 or 3 channels, and not very small, they are images.
            captions: a line below each, cut to its width.
            most: how many are drawn; a line says how many are not.
        """
        shape = images.shape[1:]
        are_images = len(shape) == 3 and shape[2] in (1, 3) and min(shape[:2]) >= _LEAST_SIDE
        self._images = images if are_images else images[:0]
        self._captions, self._most = captions, most

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Rows of images, as many side by side as there is room for."""
        if not options.is_terminal or not len(self._images):
            return
        shown = self._images[: self._most]
        beside = 1 if len(shown) == 1 else _BESIDE
        columns = max(1, (options.max_width + _GAP) // beside - _GAP)
        paint = _painter(console, options)
        blocks = [paint(_fitted(image, columns)) for image in shown]
        width = len(blocks[0][0])
        captions = [set_cell_size(printable(caption).replace("\n", " "), width) for caption in self._captions]
        per_row = max(1, (options.max_width + _GAP) // (width + _GAP))
        for start in range(0, len(blocks), per_row):
            row = slice(start, start + per_row)
            for line in zip(*blocks[row], strict=True):
                yield from _beside(line)
            if captions:
                yield from _beside([[Segment(caption)] for caption in captions[row]])
        if len(self._images) > len(shown):
            yield Segment(f"{len(shown)} of {len(self._images):,} images are drawn")
            yield Segment.line()


def _beside(parts: Sequence[Line]) -> RenderResult:
    """One line of the terminal, with a gap between what stands side by side."""
    for index, part in enumerate(parts):
        if index:
            yield Segment(" " * _GAP)
        yield from part
    yield Segment.line()


def _fitted(image: Int8Array, columns: int) -> UInt8Array:
    """An image in RGB, uint8 ``[rows, columns, 3]``, no larger than it is and than there is room for."""
    import numpy as np

    from lenet_edge.preparation.resize import resize

    height, width = image.shape[:2]
    share = min(1, min(columns, _MOST_COLUMNS) / width, _MOST_ROWS / height)
    pixels = image.view(np.uint8) ^ np.uint8(0x80)
    small = resize(pixels, max(1, round(share * height)), max(1, round(share * width)))
    return np.broadcast_to(small, (*small.shape[:2], 3))


def _painter(console: Console, options: ConsoleOptions) -> Callable[[UInt8Array], list[Line]]:
    """What makes lines of an image on this terminal."""
    if console.color_system is None or console.no_color or options.ascii_only:
        shades = _ASCII_SHADES if options.ascii_only else _SHADES
        return lambda pixels: _in_shades(pixels, shades)
    return _in_colour


def _in_colour(pixels: UInt8Array) -> list[Line]:
    """A line for two rows of pixels: the upper one is the character, the lower one is behind it."""
    rows: list[list[Pixel | None]] = [[tuple(pixel) for pixel in row] for row in pixels.tolist()]
    rows += [[None] * len(rows[0])] * (len(rows) % 2)
    return [
        [Segment(_UPPER_HALF, _two_pixels(above, below)) for above, below in zip(upper, lower, strict=True)]
        for upper, lower in zip(rows[::2], rows[1::2], strict=True)
    ]


@cache
def _two_pixels(upper: Pixel | None, lower: Pixel | None) -> Style:
    front, back = (None if pixel is None else Color.from_rgb(*pixel) for pixel in (upper, lower))
    return Style(color=front, bgcolor=back)


def _in_shades(pixels: UInt8Array, shades: str) -> list[Line]:
    """A line for two rows of pixels: a character has the shade of both; a full block is white."""
    import numpy as np

    from lenet_edge.preparation.colour import grey_of
    from lenet_edge.preparation.resize import resize

    halved = resize(grey_of(pixels), -(-len(pixels) // 2), pixels.shape[1])
    levels = (halved.astype(np.int64) * len(shades)) >> 8
    return [[Segment(shades[level]) for level in row] for row in levels.tolist()]


# --- curves -----------------------------------------------------------------------------------------

_CURVE_ROWS, _CURVE_COLUMNS = 6, 48
_LEAST_COLUMNS = 8  # with less room no curve is drawn
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # of a Braille character, by row and column
_BRAILLE = 0x2800


@dataclass(frozen=True)
class Curve:
    """A figure over the epochs.

    Attributes:
        values: one per epoch, the first epoch's first.
        form: how a value is written, such as ``{:.2f} %``.
    """

    title: str
    values: Sequence[float]
    form: str


class Curves:
    """Curves over the epochs, side by side where there is room; of fewer than two epochs none is drawn."""

    def __init__(self, *curves: Curve) -> None:
        self._curves = [curve for curve in curves if len(curve.values) > 1]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Each with its title, its largest and its smallest value, and the epochs below."""
        if not options.is_terminal or not self._curves:
            return
        labels = max(len(text) for curve in self._curves for text in _ends(curve))
        beside = len(self._curves) if options.max_width >= len(self._curves) * (labels + 40) else 1
        room = (options.max_width + _GAP) // beside - _GAP - labels - 2
        if room < _LEAST_COLUMNS:
            return
        columns = min(room, _CURVE_COLUMNS)
        blocks = [_chart(curve, columns, labels, ascii_only=options.ascii_only) for curve in self._curves]
        for start in range(0, len(blocks), beside):
            for line in zip(*blocks[start : start + beside], strict=True):
                yield from _beside([[Segment(part)] for part in line])


def _ends(curve: Curve) -> tuple[str, str]:
    """The largest and the smallest value as texts."""
    return curve.form.format(max(curve.values)), curve.form.format(min(curve.values))


def _chart(curve: Curve, columns: int, labels: int, *, ascii_only: bool) -> list[str]:
    """A title, the plot with its labels at the left, and the first and the last epoch; lines of one length."""
    dots = _dots(curve.values, 2 * columns, 4 * _CURVE_ROWS)
    high, low = _ends(curve)
    left = [high, *[""] * (_CURVE_ROWS - 2), low if low != high else ""]
    edge, corner, floor = "|+-" if ascii_only else "│└─"
    lines = []
    for row, label in enumerate(left):
        cells = "".join(_cell(dots, row, column, ascii_only=ascii_only) for column in range(columns))
        lines.append(f"{label:>{labels}} {edge}{cells}")
    last = f"epoch {len(curve.values)}"
    below = f"1{last:>{columns - 1}}"
    margin = " " * (labels + 1)
    whole = labels + 2 + columns
    return [
        f"{margin} {curve.title}"[:whole].ljust(whole),
        *lines,
        margin + corner + floor * columns,
        f"{margin} {below}",
    ]


def _cell(dots: set[tuple[int, int]], row: int, column: int, *, ascii_only: bool) -> str:
    """The character with the dots of 4 rows and 2 columns."""
    found = sum(
        bit for y, bits in enumerate(_DOTS) for x, bit in enumerate(bits) if (2 * column + x, 4 * row + y) in dots
    )
    if ascii_only or not found:
        return "*" if found else " "
    return chr(_BRAILLE + found)


def _dots(values: Sequence[float], width: int, height: int) -> set[tuple[int, int]]:
    """The (x, y) of a line through the values, with y from the top; without gaps where it is steep."""
    high, low = max(values), min(values)
    span = high - low or 1.0
    dots: set[tuple[int, int]] = set()
    before = None
    for x in range(width):
        place = x * (len(values) - 1) / (width - 1)
        index = min(int(place), len(values) - 2)
        value = values[index] + (place - index) * (values[index + 1] - values[index])
        y = round((high - value) / span * (height - 1))
        first = y if before is None else before
        dots |= {(x, between) for between in range(min(first, y) + (first < y), max(first, y) + (first <= y))} | {
            (x, y)
        }
        before = y
    return dots
