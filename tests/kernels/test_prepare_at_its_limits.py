"""le_prepare on the largest, the thinnest and the most even frames, under sanitizers that know of overflow.

Expected are numpy's bytes and, where one can say them without either, the bytes themselves.
"""

import shutil

import numpy as np
import prepare_cases
import pytest
from prepare_cases import Case

from lenet_edge.preparation import Preparation
from lenet_edge.preparation.frames import FORMATS, row_bytes

MOST = 4096
SCALE, ZERO_POINT = prepare_cases.SCALE, -128
WRAPS = ("-fsanitize=unsigned-integer-overflow,implicit-conversion",)  # clang's: no sum wraps, no store loses a bit
INVERSIONS = prepare_cases.INVERSIONS


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """With all sanitizers of the compiler that is there."""
    clang = shutil.which("clang") is not None
    flags = ("-O2", *prepare_cases.SANITIZED, *(WRAPS if clang else ()))
    folder = tmp_path_factory.mktemp("limits")
    return prepare_cases.host_program(
        folder, *flags, compiler="clang" if clang else "gcc", sums=prepare_cases.MOST_SUMS
    )


def case(preparation, width, height, form, rows, padding=0):
    """rows: uint8 [height, bytes of a row], or one value for all of them."""
    full = np.broadcast_to(np.asarray(rows, np.uint8), (height, row_bytes(form, width)))
    return Case(preparation, SCALE, ZERO_POINT, width, height, form, full.tobytes(), padding)


def require_equal(program, cases):
    """The results, as le_prepare gives them."""
    expected = [one.expected() for one in cases]
    found = prepare_cases.results(program, cases, expected)
    assert prepare_cases.first_difference(cases, expected, found) == ""
    return expected


def image_of(result):
    """uint8, of a result that is an image."""
    assert result[0] == 0
    return np.frombuffer(result, np.uint8)[1:] ^ 0x80


def checkerboard(form, width, height):
    """Bytes 0 and 255 in turns, in both directions."""
    columns, rows = np.ogrid[: row_bytes(form, width), :height]
    return (255 * ((columns + rows) % 2)).T.astype(np.uint8)


# Images that shrink in both directions, in one, in none; by whole numbers and not; the largest of them.
PLAIN = [
    Preparation(28, 28),
    Preparation(1, 1, 3, invert="bright border"),
    Preparation(4095, 3, 3, invert="always"),
    Preparation(3, 4096, crop="square", invert="bright border"),
]


@pytest.mark.parametrize(("form", "level"), [*((form, 255) for form in FORMATS), ("grey8", 0), ("yuv422", 0)])
def test_the_largest_frame_of_one_byte_is_an_image_of_one_byte(program, form, level):
    """All sums are then as large as they can be, or nothing: 255 times 2^24, and half of that 2^24 for rounding."""
    (result,) = require_equal(program, [case(Preparation(1, 1, 3), MOST, MOST, form, level)])
    if form != "yuv422":
        np.testing.assert_array_equal(image_of(result), [level] * 3)


@pytest.mark.parametrize("preparation", PLAIN, ids=str)
def test_checkerboards_of_the_largest_size(program, preparation):
    """The mean is a tie nearly everywhere."""
    form = {1: "grey8", 3: "rgb888"}[preparation.channels]
    require_equal(program, [case(preparation, MOST, MOST, form, checkerboard(form, MOST, MOST))])


def test_a_checkerboard_has_a_mean_of_127_and_a_half_rounded_up(program):
    (result,) = require_equal(
        program, [case(Preparation(64, 32), MOST, MOST, "grey8", checkerboard("grey8", MOST, MOST))]
    )
    assert set(image_of(result)) == {128}


def test_noise_that_no_side_divides(program):
    random = np.random.default_rng(1)
    width, height = 4093, 4091
    noise = random.integers(0, 256, (height, row_bytes("yuv422", width)), np.uint8)
    require_equal(program, [case(Preparation(96, 97, 3), width, height, "yuv422", noise, padding=1001)])


@pytest.mark.parametrize("form", FORMATS)
def test_thin_frames(program, form):
    random = np.random.default_rng(2)
    cases = []
    for width, height in ((MOST, 1), (1, MOST), (4095, 1), (1, 4095), (4095, 2), (2, 4095), (1, 1), (2, 1), (1, 2)):
        noise = random.integers(0, 256, (height, row_bytes(form, width)), np.uint8)
        board = checkerboard(form, width, height)
        for rows in (0, 255, board, board ^ 255, noise):
            for preparation in (
                Preparation(28, 28, 1, "none", INVERSIONS[random.integers(3)]),
                Preparation(1, 7, 3, "square", INVERSIONS[random.integers(3)]),
                Preparation(28, 28, 1, invert=INVERSIONS[random.integers(3)], centred=True),
                Preparation(255, 1, 1, invert=INVERSIONS[random.integers(3)], centred=True),
            ):
                cases.append(case(preparation, width, height, form, rows, padding=int(random.integers(3))))
    require_equal(program, cases)


def test_one_pixel_becomes_the_largest_image(program):
    colour = np.array([[1, 128, 254]])
    grown, cut = require_equal(
        program,
        [
            case(Preparation(MOST, MOST, 3), 1, 1, "rgb888", colour),
            case(Preparation(MOST, 5, crop=(4095, 4095, 1, 1)), MOST, MOST, "grey8", 77),
        ],
    )
    assert (image_of(grown).reshape(-1, 3) == colour).all()
    assert set(image_of(cut)) == {77}


def sheet(width, height, paper, *boxes):
    """Boxes (left, top, width, height, ink) on paper."""
    rows = np.full((height, width), paper, np.uint8)
    for left, top, across, down, ink in boxes:
        rows[top : top + down, left : left + across] = ink
    return rows


def test_the_heaviest_drawing_that_can_be_centred(program):
    """Full ink in the whole box of 182 x 182 in an image of 255: mass and moment are the largest there are."""
    preparation = Preparation(255, 255, 1, centred=True)
    white = sheet(MOST, MOST, 0, (1, 1, MOST - 2, MOST - 2, 255))
    (result,) = require_equal(program, [case(preparation, MOST, MOST, "grey8", white)])
    image = image_of(result).reshape(255, 255)
    inside = np.flatnonzero(image.any(axis=1))
    assert image.sum(dtype=int) == 182 * 182 * 255
    assert (inside[0], inside[-1]) == (37, 218)  # 255 / 2 - 181 / 2 is 37


@pytest.mark.parametrize("size", [(255, 255), (28, 28), (1, 1), (255, 1), (2, 255)])
def test_drawings_at_the_ends_of_frames(program, size):
    height = MOST if size == (255, 255) else 11
    dots = [(0, 0, 1, 1, 255), (4095, height - 1, 1, 1, 255)]
    sheets = [
        sheet(MOST, height, 0, *dots),  # nothing is left of two pixels: blank
        sheet(MOST, height, 0, dots[0]),
        sheet(MOST, height, 255, (4095, 0, 1, 4096, 0)),
        sheet(MOST, 3, 0, (0, 1, 4096, 1, 255)),
        sheet(3, MOST, 247, (1, 17, 1, 4000, 255)),
        sheet(3, MOST, 7, (1, 1, 1, 1, 15)),
        sheet(*size[::-1], 10, (0, 0, 1, 1, 40)),  # of the image's size, and dim
    ]
    cases = [
        case(Preparation(*size, 1, invert=invert, centred=True), rows.shape[1], rows.shape[0], "grey8", rows)
        for rows, invert in zip(sheets, [*INVERSIONS, *INVERSIONS, "never"], strict=True)
    ]
    require_equal(program, cases)
