"""The preparation in numpy, against definitions written out slowly with fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from lenet_edge.errors import BadInputError
from lenet_edge.preparation import MNIST, BlankFrameError, Preparation, from_json, int8_values, prepare, to_json
from lenet_edge.preparation.frames import FORMATS, decode, encode, row_bytes
from lenet_edge.preparation.settings import MOST_SIDE

RANDOM = np.random.default_rng(12)


def weights(size, target, index):
    """The share of each input in an output of an axis, as the definition has it: {input: weight}, which add up to 1."""
    if target > size:
        return {int((index + Fraction(1, 2)) * size / target): Fraction(1)}
    low, high = Fraction(index * size, target), Fraction((index + 1) * size, target)
    overlaps = {j: min(high, Fraction(j + 1)) - max(low, Fraction(j)) for j in range(size)}
    return {j: overlap / (high - low) for j, overlap in overlaps.items() if overlap > 0}


def slow_resize(frame, height, width):
    rows = [weights(frame.shape[0], height, i) for i in range(height)]
    columns = [weights(frame.shape[1], width, i) for i in range(width)]
    image = np.empty((height, width), np.uint8)
    for y, across in enumerate(rows):
        for x, along in enumerate(columns):
            mean = sum(a * b * int(frame[j, i]) for j, a in across.items() for i, b in along.items())
            image[y, x] = (mean + Fraction(1, 2)).__floor__()
    return image


@pytest.mark.parametrize("seed", range(40))
def test_resize_is_the_mean_of_the_area_rounded_half_up(seed):
    random = np.random.default_rng(seed)
    sides = random.integers(1, 18, 4)
    top = random.choice([2, 256])  # two levels give many ties
    frame = random.integers(0, top, sides[:2]).astype(np.uint8)
    height, width = map(int, sides[2:])
    np.testing.assert_array_equal(prepare(frame, Preparation(height, width)), slow_resize(frame, height, width))


def test_a_tie_is_rounded_up():
    assert prepare(np.array([[0, 1]], np.uint8), Preparation(1, 1)).item() == 1


def test_the_largest_frame_has_no_overflow():
    frame = np.full((MOST_SIDE, MOST_SIDE), 255, np.uint8)
    assert prepare(frame, Preparation(1, 1)).item() == 255
    frame[0, 0] = 254
    assert prepare(frame, Preparation(1, 1)).item() == 255
    frame[: MOST_SIDE // 2] = 0
    assert prepare(frame, Preparation(1, 1)).item() == 128  # 127.5


def test_a_large_frame_goes_in_blocks():
    frame = RANDOM.integers(0, 256, (1500, 2003)).astype(np.uint8)
    image = prepare(frame, Preparation(7, 5))
    rows, columns = weights(1500, 7, 4), weights(2003, 5, 2)
    exact = sum(a * sum(b * int(frame[j, i]) for i, b in columns.items()) for j, a in rows.items())
    assert image[4, 2] == int(exact + Fraction(1, 2))


def test_colours_are_resized_one_by_one():
    frame = RANDOM.integers(0, 256, (9, 7, 3)).astype(np.uint8)
    image = prepare(frame, Preparation(4, 10, 3))
    for colour in range(3):
        np.testing.assert_array_equal(image[..., colour], slow_resize(frame[..., colour], 4, 10))


def test_grey_is_the_formula_and_is_the_same_in_three_channels():
    frame = RANDOM.integers(0, 256, (5, 6, 3)).astype(np.uint8)
    expected = [[(77 * int(r) + 150 * int(g) + 29 * int(b) + 128) >> 8 for r, g, b in row] for row in frame]
    grey = prepare(frame, Preparation(5, 6))
    np.testing.assert_array_equal(grey, expected)
    np.testing.assert_array_equal(prepare(grey, Preparation(5, 6, 3)), np.repeat(grey[..., None], 3, axis=2))


@pytest.mark.parametrize(
    ("shape", "crop", "box"),
    [
        ((5, 8), "square", (1, 0, 5, 5)),
        ((8, 5), "square", (0, 1, 5, 5)),
        ((6, 6), (1, 2, 3, 4), (1, 2, 3, 4)),
        ((6, 6), "none", (0, 0, 6, 6)),
    ],
)
def test_crop(shape, crop, box):
    frame = RANDOM.integers(0, 256, shape).astype(np.uint8)
    left, top, width, height = box
    image = prepare(frame, Preparation(height, width, crop=crop))
    np.testing.assert_array_equal(image, frame[top : top + height, left : left + width])


def test_a_crop_outside_the_frame_is_told():
    with pytest.raises(BadInputError, match="6×6 pixels does not hold the crop of 3×4 at 4, 2"):
        prepare(np.zeros((6, 6), np.uint8), Preparation(4, 3, crop=(4, 2, 3, 4)))


@pytest.mark.parametrize(("bright", "inverted"), [(10, False), (11, True), (20, True), (0, False)])
def test_inversion_goes_by_the_median_of_the_border(bright, inverted):
    """20 pixels are on the border of 6 x 6; of an even number the lower of the two in the middle counts."""
    frame = np.zeros((6, 6), np.uint8)
    edge = np.ones((6, 6), bool)
    edge[1:-1, 1:-1] = False
    places = np.flatnonzero(edge)
    frame.flat[places[:bright]] = 128
    assert len(places) == 20
    image = prepare(frame, Preparation(6, 6, invert="bright border"))
    np.testing.assert_array_equal(image, 255 - frame if inverted else frame)


def test_inversion_follows_the_resize():
    frame = np.array([[0, 1]], np.uint8)
    assert prepare(frame, Preparation(1, 1, invert="always")).item() == 254  # 255 - 1, and not 254.5 rounded up


# --- frames -----------------------------------------------------------------------------------------


def test_rgb565_is_little_endian_and_widened_by_its_high_bits():
    red, green, blue = 0b10110, 0b110011, 0b01001
    word = red << 11 | green << 5 | blue
    wide = [0b10110101, 0b11001111, 0b01001010]
    assert decode(word.to_bytes(2, "little"), "rgb565", 1, 1, 3).ravel().tolist() == wide
    assert decode(word.to_bytes(2, "big"), "rgb565-swapped", 1, 1, 3).ravel().tolist() == wide


def test_yuv422_is_yuyv_and_its_grey_is_y():
    data = bytes([10, 128, 20, 128, 30, 90, 40, 240])
    np.testing.assert_array_equal(decode(data, "yuv422", 4, 1, 1), [[10, 20, 30, 40]])
    np.testing.assert_array_equal(decode(data, "yuv422", 3, 1, 1), [[10, 20, 30]])
    rgb = decode(data, "yuv422", 4, 1, 3)
    np.testing.assert_array_equal(rgb[0, :2], [[10, 10, 10], [20, 20, 20]])
    for pixel, y in zip(rgb[0, 2:], (30, 40), strict=True):  # BT.601, full range
        exact = np.array([y + 1.402 * 112, y - 0.344136 * -38 - 0.714136 * 112, y + 1.772 * -38])
        assert abs(pixel - exact.clip(0, 255)).max() <= 1


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_encoded_comes_back_as_far_as_the_format_holds_it(form):
    smooth = np.kron(RANDOM.integers(0, 256, (4, 3, 3)), np.ones((2, 2, 1))).astype(np.uint8)
    data = encode(smooth, form)
    assert len(data) == 8 * row_bytes(form, 6)
    lost = {"grey8": 0, "rgb888": 0, "yuv422": 4}.get(form, 8)
    back = decode(data, form, 6, 8, 3)
    expected = prepare(smooth, Preparation(8, 6)) if form == "grey8" else smooth
    assert abs(back.astype(int) - expected).max() <= lost
    assert encode(back, form) == data or form == "yuv422"


def test_frames_that_are_none():
    with pytest.raises(BadInputError, match="has 4 bytes, not 3"):
        decode(b"abc", "grey8", 2, 2, 1)
    with pytest.raises(BadInputError, match="not in 'bayer'"):
        decode(b"abc", "bayer", 3, 1, 1)
    for shape in ((0, 3), (4097, 1), (2, 2, 4)):
        with pytest.raises(BadInputError, match="a frame"):
            prepare(np.zeros(shape, np.uint8), MNIST)
    with pytest.raises(BadInputError, match="uint8"):
        prepare(np.zeros((3, 3)), MNIST)


# --- centring ---------------------------------------------------------------------------------------


def test_what_shows_nothing_is_told():
    with pytest.raises(BlankFrameError, match="nearly one shade"):
        prepare(np.full((40, 40), 9, np.uint8), MNIST)
    with pytest.raises(BlankFrameError, match="brighter than its border"):
        prepare(np.pad(np.zeros((9, 9), np.uint8), 9, constant_values=99), Preparation(28, 28, centred=True))
    corners = np.zeros((4000, 4000), np.uint8)
    corners[0, 0] = corners[-1, -1] = 255
    with pytest.raises(BlankFrameError, match="nothing that is left"):
        prepare(corners, MNIST)


def test_a_blank_frame_is_an_image_where_nothing_is_centred():
    assert (prepare(np.zeros((9, 9), np.uint8), Preparation(3, 3)) == 0).all()


# --- settings and range -----------------------------------------------------------------------------

SETTINGS = [MNIST, Preparation(1, 4096, 3, "square", "always", low=-1, high=1), Preparation(2, 3, crop=(0, 1, 2, 3))]


@pytest.mark.parametrize("settings", SETTINGS)
def test_settings_go_through_json(settings):
    assert from_json(to_json(settings)) == settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"height": 0}, {"width": 4097}, {"height": 256, "centred": True}, {"height": 2.0}, {"channels": 2},
        {"crop": "middle"}, {"crop": [0, 0, 0, 1]}, {"crop": [1, 2, 3]}, {"invert": "auto"}, {"invert": None},
        {"centred": 1}, {"channels": 3, "centred": True}, {"low": 1.0}, {"high": float("nan")}, {"low": "0"},
        {"more": 1}, {"crop": {}}, {"low": 10**400}, {"width": True},
    ],
)  # fmt: skip
def test_settings_that_are_none_are_refused(wrong):
    plain = to_json(Preparation(28, 28))
    with pytest.raises(BadInputError, match="preparation of pictures"):
        from_json(plain | wrong)
    with pytest.raises(BadInputError, match="preparation of pictures"):
        from_json({key: value for key, value in plain.items() if key != next(iter(wrong))} | {"x": 1})


def test_int8_values():
    identity = int8_values(MNIST, float(np.float32(1 / 255)), -128)
    np.testing.assert_array_equal(identity, np.arange(256) - 128)
    values = int8_values(Preparation(8, 8, low=-1, high=1), 1 / 128, 0)
    exact = [Fraction(2 * v - 255, 255) * 128 + Fraction(1, 2) for v in range(256)]
    np.testing.assert_array_equal(values, [min(127, x.__floor__()) for x in exact])
    reverse = int8_values(Preparation(8, 8, low=1, high=0), 1 / 255, -128)
    np.testing.assert_array_equal(reverse, identity[::-1])
