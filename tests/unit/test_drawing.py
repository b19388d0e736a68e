"""What is drawn in a terminal: every pixel in colours, shades without them; without a terminal nothing."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import threading

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from rich.console import Console
from sample_models import lenet5

from lenet_edge.cli import cli, drawing
from lenet_edge.cli.bench import _tables as bench_tables
from lenet_edge.formats import tflite
from lenet_edge.records.bench import parse_bench

COLOUR = re.compile(r"([34])8;2;(\d+);(\d+);(\d+)")
HALF = re.compile(r"\x1b\[([0-9;]+)m▀\x1b\[0m")


def drawn(what: object, width: int = 80, encoding: str = "utf-8", **options: object) -> list[str]:
    """The lines of a terminal, with its control sequences."""
    file = io.TextIOWrapper(io.BytesIO(), encoding)
    settings = {"force_terminal": True, "color_system": "truecolor", "width": width, **options}
    Console(file=file, **settings).print(what)
    file.seek(0)
    return file.read().splitlines()


def pixels_of(lines: list[str]) -> np.ndarray:
    """The pixels [h, w, 3] that half blocks show: the character's colour above, the one behind it below."""
    rows = []
    for line in lines:
        cells = [
            {kind: (int(r), int(g), int(b)) for kind, r, g, b in COLOUR.findall(codes)} for codes in HALF.findall(line)
        ]
        assert line.count("▀") == len(cells)
        rows += [[cell.get(kind) for cell in cells] for kind in "34" if any(kind in cell for cell in cells)]
    return np.array(rows)


def as_input(pixels: np.ndarray) -> np.ndarray:
    """uint8 [n, h, w, c] as a network takes it."""
    return (pixels.astype(np.int16) - 128).astype(np.int8)


@pytest.mark.parametrize("shape", [(28, 28, 3), (28, 28, 1), (9, 13, 3), (64, 64, 1), (5, 60, 1)])
def test_every_pixel_is_drawn_where_there_is_room(shape):
    pixels = np.random.default_rng(1).integers(0, 256, (1, *shape), np.uint8)
    found = pixels_of(drawn(drawing.Images(as_input(pixels))))
    np.testing.assert_array_equal(found, np.broadcast_to(pixels[0], (*shape[:2], 3)))


def test_a_large_image_is_reduced_by_area():
    pixels = np.repeat(np.repeat(np.arange(0, 160, 10, np.uint8).reshape(1, 4, 4, 1), 32, axis=1), 32, axis=2)
    found = pixels_of(drawn(drawing.Images(as_input(pixels))))
    np.testing.assert_array_equal(found[..., 0], np.repeat(np.repeat(pixels[0, ::32, ::32, 0], 16, axis=0), 16, axis=1))
    assert pixels_of(drawn(drawing.Images(as_input(pixels)), width=30)).shape == (30, 30, 3)


@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize("count", [1, 7])
def test_nothing_is_wider_than_the_terminal(width, count):
    pixels = np.random.default_rng(2).integers(0, 256, (count, 28, 28, 1), np.uint8)
    captions = [f"{index}: a long caption 水水水水水水" for index in range(count)]
    lines = drawn(drawing.Images(as_input(pixels), captions), width, color_system=None)
    console = Console(width=width)
    assert max(console.measure(line, options=console.options).maximum for line in lines) <= width


def test_several_stand_side_by_side_with_their_captions_and_a_limit():
    pixels = np.zeros((12, 28, 28, 1), np.uint8)
    lines = drawn(drawing.Images(as_input(pixels), [f"{index}: 'a" for index in range(12)]), color_system=None)
    captions = [line for line in lines if "'a" in line]
    assert [re.findall(r"\d+", line) for line in captions] == [list("01234"), list("56789")]
    assert lines[-1] == "10 of 12 images are drawn"


def test_without_colours_bright_pixels_are_full_blocks():
    pixels = np.zeros((1, 8, 5, 1), np.uint8)
    pixels[0] = np.array([0, 60, 128, 190, 255], np.uint8).reshape(1, 5, 1)
    assert drawn(drawing.Images(as_input(pixels)), no_color=True) == [" ░▒▓█"] * 4
    assert drawn(drawing.Images(as_input(pixels)), color_system=None) == [" ░▒▓█"] * 4
    assert drawn(drawing.Images(as_input(pixels)), encoding="latin-1") == [" .:*#"] * 4


@pytest.mark.parametrize("shape", [(784,), (28, 28), (1, 100, 1), (28, 28, 2), (3, 28, 1), (2, 8, 8, 1)])
def test_what_is_no_image_is_not_drawn(shape):
    assert drawn(drawing.Images(np.zeros((1, *shape), np.int8))) == []


def test_nothing_is_drawn_without_a_terminal():
    images = np.zeros((1, 28, 28, 1), np.int8)
    assert drawn(drawing.Images(images), force_terminal=False) == []
    assert drawn(drawing.Curves(drawing.Curve("loss", [1, 0], "{:.1f}")), force_terminal=False) == []


# --- curves and bars --------------------------------------------------------------------------------


def dots_of(lines: list[str]) -> np.ndarray:
    """Which dots are set, [height, width], of the Braille characters to the right of the axis."""
    rows = [line.partition("│")[2] for line in lines if "│" in line]
    found = np.zeros((4 * len(rows), 2 * len(rows[0])), bool)
    for row, line in enumerate(rows):
        for column, letter in enumerate(line):
            # Unicode's dots 1, 2, 3, 7 stand in the left column, 4, 5, 6, 8 in the right one.
            bits = max(0, ord(letter) - 0x2800)
            for place, number in enumerate((1, 2, 3, 7, 4, 5, 6, 8)):
                found[4 * row + place % 4, 2 * column + place // 4] = bits >> (number - 1) & 1
    return found


def test_a_curve_begins_ends_and_turns_where_its_values_do():
    lines = drawn(drawing.Curves(drawing.Curve("loss", [4, 1, 2], "{:.1f}")))
    dots = dots_of(lines)
    assert dots.any(axis=0).all()  # without a gap
    height, width = dots.shape
    assert np.flatnonzero(dots[:, 0]).min() == 0
    assert np.flatnonzero(dots[:, width // 2]).max() >= height - 2
    assert np.flatnonzero(dots[:, -1]).min() == pytest.approx((height - 1) * 2 / 3, abs=1)
    assert lines[0].split() == ["loss"]
    assert [line.split()[0] for line in lines if re.match(r" *\d\.\d ", line)] == ["4.0", "1.0"]
    assert lines[-1].split() == ["1", "epoch", "3"]


def test_curves_stand_side_by_side_where_there_is_room():
    curves = drawing.Curves(drawing.Curve("loss", [2, 1], "{:.1f}"), drawing.Curve("accuracy", [1, 2], "{:.1f}"))
    wide, narrow = drawn(curves, 120), drawn(curves, 60)
    assert wide[0].split() == ["loss", "accuracy"]
    assert len(narrow) == 2 * len(wide)
    for width in (10, 20, 60, 120, 300):
        assert max((len(line) for line in drawn(curves, width)), default=0) <= width
    assert drawn(curves, 10) == []


def test_a_flat_curve_has_one_label_and_one_epoch_is_no_curve():
    lines = drawn(drawing.Curves(drawing.Curve("loss", [1, 1, 1], "{:.1f}")))
    assert sum("1.0" in line for line in lines) == 1
    assert drawn(drawing.Curves(drawing.Curve("loss", [1], "{:.1f}"))) == []


def test_a_curve_in_ascii():
    lines = drawn(drawing.Curves(drawing.Curve("loss", [4, 1, 2], "{:.1f}")), encoding="ascii")
    assert "*" in "".join(lines)
    assert all(line.isascii() for line in lines)


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "    "), (1e-9, "▏   "), (0.25, "█   "), (0.5, "██  "), (0.375, "█▌  "), (1, "████"), (1.5, "████")],
)
def test_bars(share, text):
    assert drawing.bar(share, 4) == text


# --- commands ---------------------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a model and two pictures."""
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "m.tflite").write_bytes(tflite.to_bytes(lenet5(1)))
    random = np.random.default_rng(3)
    for name in ("a.png", "b.png"):
        Image.fromarray(random.integers(0, 256, (28, 28), np.uint8)).save(tmp_path / name)
    return tmp_path


def on_a_terminal(arguments: list[str], **variables: str) -> str:
    """What a command writes to a terminal of 80 columns."""
    ours, theirs = os.openpty()
    shown = bytearray()

    def read() -> None:
        try:
            while part := os.read(ours, 65536):
                shown.extend(part)
        except OSError:  # the other end is closed
            return

    reader = threading.Thread(target=read)
    reader.start()
    environment = {**os.environ, "TERM": "xterm", "COLORTERM": "truecolor", "COLUMNS": "80", "LINES": "24", **variables}
    argv = [sys.executable, "-m", "lenet_edge", *arguments]
    done = subprocess.run(argv, stdout=theirs, stderr=subprocess.PIPE, env=environment, timeout=120)
    os.close(theirs)
    reader.join(60)
    os.close(ours)
    assert done.returncode == 0, done.stderr
    return shown.decode().replace("\r\n", "\n")


PREDICT = ["predict", "--model", "m.tflite", "a.png"]


def test_predict_draws_what_the_network_saw(place):
    with Image.open(place / "a.png") as picture:
        pixels = np.asarray(picture)  # 28 x 28 is taken as it is
    for option, expected in (("--no-invert", pixels), ("--invert", 255 - pixels)):
        before = on_a_terminal([*PREDICT, option]).split("a.png: ")[0].splitlines()
        np.testing.assert_array_equal(pixels_of(before)[..., 0], expected)


def test_predict_honours_no_color_and_json(place):
    shown = on_a_terminal(PREDICT, NO_COLOR="1")
    assert re.search("[░▒▓█]{20}", shown.split("a.png: ")[0])
    assert not re.search(r"\x1b\[[0-9;]*[34][0-9]", shown)
    found = on_a_terminal([*PREDICT, "--json"])
    assert json.loads(found)["predictions"][0]["picture"] == "a.png"


def test_predict_draws_nothing_into_a_pipe_and_only_the_first_pictures(place):
    plain = CliRunner().invoke(cli, PREDICT)
    assert plain.exit_code == 0
    assert not re.search("[▀░▒▓]", plain.output)
    many = CliRunner().invoke(cli, [*PREDICT, *["b.png"] * 9], env={"FORCE_COLOR": "1", "COLORTERM": "truecolor"})
    assert many.output.count("▀") == 8 * 28 * 14


def bench_record() -> object:
    layers = [
        {"name": name, "count": count, "macs": 100, "kernel": "plain", "why_plain": ""}
        for name, count in (("C1+S2", 750), ("C5", 250))
    ]
    figures = dict.fromkeys(("flash_bytes", "ram_bytes", "stack_used_bytes"), 1)
    texts = {"board": "microbit", "fingerprint": "0" * 64, "toolchain": "zig", "unit": "instructions"}
    rest = {"emulator": "unicorn", "optimize": "speed", "images": 8, "total": 1000, "mean": 1000, "layers": layers}
    return parse_bench({**texts, **figures, **rest})


def test_bench_shows_the_share_of_each_layer():
    table = bench_tables(bench_record(), None)[0]
    shown = "\n".join(drawn(table, 80, color_system=None))
    assert "75.0 % ███████▌" in shown
    assert "25.0 % ██▌" in shown
    compared = "\n".join(drawn(bench_tables(bench_record(), bench_record())[0], 120, color_system=None))
    assert "+0.00 % │ 75.0 % ███████▌" in compared
    narrow = "\n".join(drawn(table, 50, color_system=None))
    assert "75.0 %" not in narrow
    assert "750" in narrow
