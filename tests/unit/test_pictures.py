"""Picture files as images for the network."""

import io
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from lenet_edge.errors import BadInputError
from lenet_edge.pictures import read_picture
from lenet_edge.preparation import Invert

PILLOWS_LIMIT = Image.MAX_IMAGE_PIXELS
RANDOM = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)


def stroke(
    height: int, width: int, *, ink: int = 0, paper: int = 255, canvas: tuple[int, int] = (400, 300)
) -> np.ndarray:
    """A filled rectangle in a corner of a larger sheet."""
    sheet = np.full(canvas, paper, np.uint8)
    sheet[30 : 30 + height, 50 : 50 + width] = ink
    return sheet


def save(path: Path, pixels: np.ndarray, **options: object) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def extent(image: np.ndarray) -> tuple[int, int]:
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    return int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1


def dark_border() -> np.ndarray:
    pixels = RANDOM.copy()
    pixels[[0, -1]], pixels[:, [0, -1]] = 0, 0
    return pixels


def test_28x28_with_a_dark_border_is_taken_as_it_is(tmp_path: Path) -> None:
    image, text = read_picture(save(tmp_path / "p.png", dark_border()))
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, dark_border())
    assert text == "28×28, taken as it is"


def test_28x28_with_a_bright_border_is_inverted(tmp_path: Path) -> None:
    image, text = read_picture(save(tmp_path / "p.png", 255 - dark_border()))
    np.testing.assert_array_equal(image, dark_border())
    assert "inverted, since its border is bright" in text


@pytest.mark.parametrize("invert", ["always", "never"])
@pytest.mark.parametrize("bright", [True, False])
def test_the_callers_word_on_inversion_counts(tmp_path: Path, invert: Invert, bright: bool) -> None:
    pixels = 255 - dark_border() if bright else dark_border()
    image, text = read_picture(save(tmp_path / "p.png", pixels), invert=invert)
    np.testing.assert_array_equal(image, 255 - pixels if invert == "always" else pixels)
    assert ("inverted" in text) == (invert == "always")


@pytest.mark.parametrize(
    ("height", "width", "placed"), [(200, 100, (20, 10)), (60, 200, (6, 20)), (90, 90, (20, 20)), (200, 1, (20, 1))]
)
@pytest.mark.parametrize(("ink", "paper"), [(0, 255), (255, 0), (60, 170)])
def test_a_drawing_fits_20x20_in_the_middle(
    tmp_path: Path, height: int, width: int, placed: tuple[int, int], ink: int, paper: int
) -> None:
    image, text = read_picture(save(tmp_path / "p.png", stroke(height, width, ink=ink, paper=paper)))
    assert extent(image) == placed
    assert image.max() == 255
    mass = image.sum()
    rows, columns = (image.sum(axis=axis) @ np.arange(28) / mass for axis in (1, 0))
    assert abs(rows - 14) <= 0.5
    assert abs(columns - 14) <= 0.5
    assert f"({width}×{height}) scaled to {placed[1]}×{placed[0]}" in text
    assert ("inverted" in text) == (paper > 127)


def test_the_centre_of_mass_counts_not_the_box(tmp_path: Path) -> None:
    sheet = stroke(200, 40)
    sheet[210:230, 50:170] = 0  # an L: its mass lies to the lower left of its box
    image, _ = read_picture(save(tmp_path / "p.png", sheet))
    columns = np.flatnonzero(image.any(axis=0))
    assert columns[0] + columns[-1] > 28
    assert abs(image.sum(axis=0) @ np.arange(28) / image.sum() - 14) <= 0.5


def test_faint_paper_grain_does_not_widen_the_drawing(tmp_path: Path) -> None:
    grain = np.random.default_rng(1).integers(0, 20, (400, 300)).astype(np.uint8)
    image, text = read_picture(save(tmp_path / "p.png", stroke(200, 100) - np.minimum(grain, stroke(200, 100))))
    assert "(100×200)" in text
    assert extent(image) == (20, 10)


def test_transparency_lies_on_white(tmp_path: Path) -> None:
    drawing = stroke(200, 100)
    pixels = np.zeros((*drawing.shape, 4), np.uint8)
    pixels[..., 3] = 255 - drawing  # black everywhere, seen only where it is drawn
    image, text = read_picture(save(tmp_path / "p.png", pixels))
    assert extent(image) == (20, 10)
    assert "inverted" in text


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path) -> None:
    image, _ = read_picture(save(tmp_path / "p.png", dark_border().astype(np.uint16) * 257))
    np.testing.assert_array_equal(image, dark_border())


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif", "tiff", "webp", "ppm"])
def test_the_usual_formats(tmp_path: Path, suffix: str) -> None:
    colour = np.repeat(stroke(200, 100)[..., None], 3, axis=2)
    image, _ = read_picture(save(tmp_path / f"p.{suffix}", colour))
    assert extent(image) == (20, 10)


def test_a_camera_held_upright_is_turned(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn a quarter clockwise
    image, _ = read_picture(save(tmp_path / "p.jpg", stroke(200, 100), exif=exif))
    assert extent(image) == (10, 20)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (2, 3)])
def test_tiny_pictures_do_not_break(tmp_path: Path, size: tuple[int, int]) -> None:
    pixels = np.zeros(size, np.uint8)
    pixels[-1, -1] = 255
    path = save(tmp_path / "p.png", pixels)
    if size == (1, 1):
        with pytest.raises(BadInputError, match="shows nothing"):
            read_picture(path)
    else:
        assert read_picture(path, invert="never")[0].any()


def test_an_empty_sheet_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"p\.png shows nothing"):
        read_picture(save(tmp_path / "p.png", np.full((100, 100), 200, np.uint8)))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"gone\.png does not exist"):
        read_picture(tmp_path / "gone.png")


def test_a_folder_is_no_picture(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="cannot be read: Is a directory"):
        read_picture(tmp_path)


@pytest.mark.parametrize("content", [b"", b"hello", bytes([0, 0, 8, 3]) + bytes(100), b"%!PS-Adobe-3.0 EPSF-3.0\n"])
def test_what_is_no_picture_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "p.png"
    path.write_bytes(content)
    with pytest.raises(BadInputError, match=re.escape("p.png is not a picture that can be read (PNG, JPEG")):
        read_picture(path)


def test_a_truncated_picture_is_told(tmp_path: Path) -> None:
    path = save(tmp_path / "p.png", np.random.default_rng(0).integers(0, 256, (100, 100), np.uint8))
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(BadInputError, match=r"p\.png cannot be read"):
        read_picture(path)


@pytest.mark.parametrize("side", [10_000, 60_000])  # above Pillow's warning, above its error
def test_a_decompression_bomb_is_refused(tmp_path: Path, side: int) -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    path = tmp_path / "p.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b""))
    with pytest.raises(BadInputError, match=f"too large: {side:,}×{side:,} pixels"):
        read_picture(path)
    assert Image.MAX_IMAGE_PIXELS == PILLOWS_LIMIT


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM"]), st.data())
def test_damaged_pictures_give_an_image_or_our_error(tmp_path: Path, form: str, draw: st.DataObject) -> None:
    stream = io.BytesIO()
    Image.fromarray(RANDOM[:12, :10]).save(stream, form)
    content = bytearray(stream.getvalue())
    for _ in range(draw.draw(st.integers(1, 4))):
        content[draw.draw(st.integers(0, len(content) - 1))] = draw.draw(st.integers(0, 255))
    path = tmp_path / "p"
    path.write_bytes(content[: draw.draw(st.integers(1, len(content)))])
    try:
        image, _ = read_picture(path)
    except BadInputError as error:
        assert str(path) in str(error)  # noqa: PT017 - any other error fails the test by itself
    else:
        assert image.shape == (28, 28)
        assert image.dtype == np.uint8
