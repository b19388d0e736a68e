"""Sheets of images: every pixel is to be seen, whatever the images and their names are."""

import io
import unicodedata

import numpy as np
import pytest
from PIL import Image

from lenet_edge.errors import BadInputError
from lenet_edge.report import Tile, draw_sheet, sheet

RED = (200, 30, 30)


def drawn(*tiles, title="title", **options):
    with Image.open(io.BytesIO(draw_sheet(tiles, title, **options))) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("RGB"))


def occurrences(canvas, block):
    """How often a block of pixels stands on the sheet."""
    windows = np.lib.stride_tricks.sliding_window_view(canvas, block.shape)[:, :, 0]
    return int((windows == block).all(axis=(2, 3, 4)).sum())


@pytest.mark.parametrize(("shape", "factor"), [((28, 28), 4), ((7, 5, 3), 16), ((1, 1), 112), ((112, 30, 3), 1)])
def test_small_images_are_enlarged_by_a_whole_number(shape, factor):
    image = np.random.default_rng(1).integers(0, 200, shape, dtype=np.uint8)
    color = image if image.ndim == 3 else np.stack([image] * 3, axis=-1)
    enlarged = color.repeat(factor, axis=0).repeat(factor, axis=1)
    assert occurrences(drawn(Tile(image)), enlarged) == 1


def test_large_images_are_reduced_with_their_aspect():
    image = np.zeros((200, 400), np.uint8)
    dark = (drawn(Tile(image), title="") == 0).all(axis=2)
    assert (dark.any(axis=1).sum(), dark.any(axis=0).sum()) == (56, 112)


def test_images_stand_in_reading_order():
    shades = [Tile(np.full((4, 4), shade, np.uint8)) for shade in range(100, 120)]
    sheet = drawn(*shades, columns=8)
    places = [np.argwhere((sheet == shade).all(axis=2))[0].tolist() for shade in range(100, 120)]
    assert places == sorted(places)
    assert len({top for top, _ in places}) == 3


def test_what_is_marked_is_framed_in_red():
    image = np.zeros((8, 8), np.uint8)
    assert not (drawn(Tile(image, ("wrong",))) == RED).all(axis=2).any()
    assert (drawn(Tile(image, ("wrong",), marked=True)) == RED).all(axis=2).any()


def test_captions_are_drawn_and_cut():
    image = np.zeros((8, 8), np.uint8)
    plain, short, long = (drawn(Tile(image, (line,)), Tile(image)) for line in ("", "cat", "W" * 300))
    assert plain.shape == short.shape == long.shape
    assert (plain != short).any()
    changed = np.argwhere((plain != long).any(axis=2))[:, 1]
    assert changed.max() < 10 + 112 + 2  # within its own square


@pytest.mark.parametrize("name", ["[red]x[/red]", "a\nb", "\x1b[2J", "\u202eabc", "\ud800", "水表", "x" * 5000, ""])
def test_hostile_names_are_text(name):
    image = np.zeros((8, 8), np.uint8)
    assert drawn(Tile(image, (name,)), title=name).shape[0] < 200


def test_what_the_font_lacks_is_escaped():
    image = np.zeros((8, 8), np.uint8)
    assert (drawn(Tile(image, ("水",))) == drawn(Tile(image, ("\\u6c34",)))).all()
    assert (drawn(Tile(image, ("~",))) != drawn(Tile(image, ("\\x7e",)))).any()


@pytest.mark.parametrize("name", ["Zähler", "Größe", "Łódź", "αβγ", "цифра", "naïve"])
def test_letters_of_european_languages_are_drawn(name):
    image = np.zeros((8, 8), np.uint8)
    shown = drawn(Tile(image, (name,)))
    assert (shown != drawn(Tile(image, (name.encode("unicode_escape").decode(),)))).any()
    assert (shown == drawn(Tile(image, (unicodedata.normalize("NFD", name),)))).all()  # as macOS writes names of files
    other = "".join(letter if letter.isascii() else "?" for letter in name)
    assert (shown != drawn(Tile(image, (other,)))).any()


def test_without_the_font_the_rest_is_escaped(monkeypatch):
    monkeypatch.setattr(sheet, "_FONT", ("no_such_font", "files", "none.ttf"))
    for cached in (sheet._font, sheet._has):
        cached.cache_clear()
    image = np.zeros((8, 8), np.uint8)
    try:
        assert (drawn(Tile(image, ("ü",))) == drawn(Tile(image, ("\\xfc",)))).all()
    finally:
        for cached in (sheet._font, sheet._has):
            cached.cache_clear()


@pytest.mark.parametrize("count", [0, 2_001])
def test_too_few_and_too_many_are_refused(count):
    with pytest.raises(BadInputError, match=f"there are {count:,}"):
        draw_sheet([Tile(np.zeros((1, 1), np.uint8))] * count, "title")
