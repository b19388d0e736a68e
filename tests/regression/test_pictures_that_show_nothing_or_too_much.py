"""Pictures of 28x28 that are blank once they are prepared were classified (as 1), and a few kilobytes took gigabytes.

A PNG of 172 KB that says 1 x 89,000,000 pixels was decoded: 2.8 GB and 29 s. Larger blank pictures were refused.
"""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile

from lenet_edge.errors import BadInputError
from lenet_edge.pictures import read_picture

DIGIT = np.zeros((28, 28), np.uint8)  # a 7
DIGIT[6:9, 8:20] = 255
DIGIT[9:22, 15:18] = 255


def saved(path, pixels, form=None, **options):
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    picture.save(path, form, **options)
    return path


def refusal(path, **options):
    with pytest.raises(BadInputError) as refused:
        read_picture(path, **options)
    return str(refused.value)


def layers(white_on, grey, alpha):
    return Image.merge("LA", [Image.fromarray(np.full_like(grey, white_on)), Image.fromarray(alpha)])


def enlarged(pixels, by):
    return np.kron(pixels, np.ones((by, by), pixels.dtype))


BLANK = {
    "black": lambda by: enlarged(DIGIT * 0, by),
    "white": lambda by: enlarged(DIGIT * 0 + 255, by),
    "grey": lambda by: enlarged(DIGIT * 0 + 128, by),
    "noise of a scanner": lambda by: enlarged(250 + np.random.default_rng(0).integers(0, 6, (28, 28), np.uint8), by),
    "8 bits in 16": lambda by: enlarged(DIGIT, by).astype(np.uint16),
    "10 bits in 16": lambda by: enlarged(DIGIT, by).astype(np.uint16) * 4,
    "32 bits": lambda by: enlarged(DIGIT, by).astype(np.int32),
    "32 bits, all of them": lambda by: enlarged(DIGIT, by).astype(np.int32) * 2**22,
    "floating point": lambda by: enlarged(DIGIT, by).astype(np.float32) / 255,
    "white on transparent": lambda by: layers(255, enlarged(DIGIT, by), enlarged(DIGIT, by)),
    "all transparent": lambda by: layers(0, enlarged(DIGIT, by), enlarged(DIGIT * 0, by)),
    "one colour of a palette": lambda by: Image.fromarray(enlarged(DIGIT, by)).convert("P").point(lambda _: 7),
    "black, CMYK": lambda by: Image.fromarray(enlarged(DIGIT * 0, by)).convert("CMYK"),
}


@pytest.mark.parametrize("by", [1, 3])
@pytest.mark.parametrize("invert", [None, "always", "never"])
@pytest.mark.parametrize("kind", BLANK)
def test_what_shows_nothing_is_refused_at_any_size(tmp_path, kind, invert, by):
    said = refusal(saved(tmp_path / "p", BLANK[kind](by), "TIFF"), invert=invert)
    assert str(tmp_path / "p") in said
    assert "shows nothing" in said or "32 bits" in said


@pytest.mark.parametrize("by", [1, 3])
def test_the_message_says_why_it_shows_nothing(tmp_path, by):
    assert "from 0 to 255 of 65,535" in refusal(saved(tmp_path / "p.png", BLANK["8 bits in 16"](by)))
    assert "transparent parts count as white" in refusal(saved(tmp_path / "p.png", BLANK["white on transparent"](by)))


@pytest.mark.parametrize("factor", [16, 257])
def test_sixteen_bits_that_hold_a_digit_show_it(tmp_path, factor):
    image, said = read_picture(saved(tmp_path / "p.png", DIGIT.astype(np.uint16) * factor))
    np.testing.assert_array_equal(image, DIGIT)
    assert ("spread from 16 to 255" in said) == (factor == 16)


@pytest.mark.parametrize(
    "kind",
    [
        lambda: Image.fromarray(DIGIT),
        lambda: Image.fromarray(255 - DIGIT),
        lambda: Image.fromarray(DIGIT).convert("1"),
        lambda: Image.fromarray(DIGIT).convert("P"),
        lambda: Image.fromarray(DIGIT).convert("RGB"),
        lambda: Image.fromarray(DIGIT).convert("RGBA"),
        lambda: Image.fromarray(DIGIT).convert("CMYK"),
        lambda: Image.fromarray(DIGIT).convert("LA"),
        lambda: layers(0, DIGIT, DIGIT),  # black on transparent
    ],
)
def test_a_digit_is_the_same_in_every_mode(tmp_path, kind):
    image, _ = read_picture(saved(tmp_path / "p", kind(), "TIFF"))
    np.testing.assert_array_equal(image, DIGIT)


def test_a_grey_level_that_is_transparent(tmp_path):
    pixels = np.where(DIGIT > 0, 0, 77).astype(np.uint16) * 257
    path = tmp_path / "p.png"
    path.write_bytes(png(28, 28, pixels.astype(">u2").tobytes(), depth=16, clear=77 * 257))
    image, said = read_picture(path)
    np.testing.assert_array_equal(image, DIGIT)
    assert "transparent parts made white" in said


# --- sizes ------------------------------------------------------------------------------------------


def png(width, height, pixels, *, depth=8, clear=None):
    """A grey PNG by hand: Pillow writes none with 16 bits and a transparent level."""
    rows = b"".join(b"\0" + pixels[at : at + width * depth // 8] for at in range(0, len(pixels), width * depth // 8))
    chunks = {b"IHDR": struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)}
    if clear is not None:
        chunks[b"tRNS"] = struct.pack(">H", clear)
    chunks |= {b"IDAT": zlib.compress(rows), b"IEND": b""}
    parts = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks.items()
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def bmp(width, height):
    return struct.pack(
        "<2sIHHIIiiHHIIiiII", b"BM", 1078, 0, 0, 1078, 40, width, height, 1, 8, 0, 0, 0, 0, 0, 0
    ) + bytes(1024)


def jpeg(width, height):
    stream = io.BytesIO()
    Image.fromarray(DIGIT).save(stream, "JPEG")
    content = bytearray(stream.getvalue())
    at = content.index(b"\xff\xc0") + 5
    content[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(content)


def webp(width):
    stream = io.BytesIO()
    Image.new("L", (width, 2)).save(stream, "WEBP", lossless=True)
    return stream.getvalue()


BOMBS = {
    "PNG": lambda width, height: png(width, height, bytes(100)),
    "BMP": bmp,
    "JPEG": lambda width, height: jpeg(min(width, 65_535), min(height, 65_535)),
    "GIF": lambda width, height: b"GIF89a" + struct.pack("<HH", width & 0xFFFF | 0x8000, height & 0xFFFF | 0x8000)
    + bytes(3) + b"," + bytes(9) + b"\x02\x02\x44\x01\x00;",
    "WEBP": lambda width, height: webp(max(4_097, min(width + height, 16_383))),
    "PPM": lambda width, height: b"P5 %d %d 255\n" % (width, height),
    "TIFF": lambda width, height: tiff(width, height),
}  # fmt: skip


def tiff(width, height):
    tags = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1)]
    tags += [(278, 4, height), (279, 4, 100)]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + entries + bytes(4)


@pytest.mark.parametrize(
    "size", [(1, 89_000_000), (89_000_000, 1), (5000, 5000), (60_000, 60_000), (20_000, 20_000), (4097, 1)]
)
@pytest.mark.parametrize("form", BOMBS)
def test_a_size_beyond_4096_is_refused_from_the_header(tmp_path, form, size, monkeypatch):
    path = tmp_path / "p"
    path.write_bytes(BOMBS[form](*size))
    monkeypatch.setattr(ImageFile.ImageFile, "load", None)  # decoding would fail
    said = refusal(path)
    assert f"picture {path} is too large" in said
    assert "pixels, where 4,096 a side are taken. Scale it down first" in said  # and nothing of Pillow's own words


def test_4096_a_side_are_taken(tmp_path):
    sheet = np.zeros((16, 4096), np.uint8)
    sheet[4:12, 100:200] = 255
    assert read_picture(saved(tmp_path / "p.png", sheet))[0].any()


def test_a_large_picture_in_digits_is_refused_unread(tmp_path):
    path = tmp_path / "p.pgm"
    path.write_bytes(b"P2 2000 2000 255\n" + b"1 " * 4_000_000)
    assert "P5" in refusal(path)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM"])
def test_a_file_that_was_cut_short_is_refused_or_shows_the_digit(tmp_path, form):
    stream = io.BytesIO()
    Image.fromarray(np.kron(DIGIT, np.ones((4, 4), np.uint8))).save(stream, form)
    content, path = stream.getvalue(), tmp_path / "p"
    for size in range(1, len(content), max(1, len(content) // 60)):
        path.write_bytes(content[:size])
        try:
            read_picture(path)
        except BadInputError as error:
            assert str(path) in str(error)  # noqa: PT017 - any other error fails the test by itself


@pytest.mark.parametrize("name", ["a\0b.png", "a" * 300 + ".png", "\udcff.png"])
def test_a_name_that_cannot_be(tmp_path, name):
    assert "picture" in refusal(tmp_path / name)
