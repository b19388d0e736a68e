"""The page of other models than digits: hostile names, several side by side, colour, crops, two and many classes."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import sample_models
from opening import OpenPage
from pad import draw, int8_input, logits, pixels, seen, settle
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import Page, expect

from lenet_edge.pictures import read_frame
from lenet_edge.preparation import Preparation, prepare, to_json
from lenet_edge.quantized.meaning import meaning_of
from lenet_edge.quantized.model import QTensor, QuantizedModel
from lenet_edge.quantized.reference import run
from lenet_edge.report.page import Engine, Example, Shown, page

HOSTILE = [
    "</script><b>x",
    '"><img src=x onerror=alert(1)>',
    "<!--",
    "[red]",
    "水'\u2028",
    "x" * 200,
    "&amp;",
    "{{ 7 }}",
]


@pytest.fixture
def show(open_page: OpenPage, tmp_path: Path):
    """``show(models, examples)``: their page, opened."""

    def opened(models: Sequence[Shown], examples: Sequence[Example] = (), **options: object) -> Page:
        path = tmp_path / "page.html"
        path.write_bytes(page(models, examples, "things"))
        return open_page(path, **options)

    return opened


def plain(size: tuple[int, int, int], outputs: int, seed: int = 5, **preparation: object) -> QuantizedModel:
    """A small model of images of a size, with random weights."""
    height, width, channels = size
    builder = sample_models.ModelBuilder(seed, image=QTensor(size, float(np.float32(1 / 255)), -128))
    builder.conv("C1", 4, kernel=3).pool("S2").flatten().fully_connected("OUTPUT", outputs, relu=False)
    return builder.build(preparation=to_json(Preparation(height, width, channels, **preparation)))


def without_examples(name: str, model: QuantizedModel) -> Shown:
    return Shown(name, model, np.empty((0, *model.input.shape), np.int8))


def drop(page: Page, picture: Image.Image, form: str = "PNG", **options: object) -> bytes:
    """Drop a picture on the page, as a file manager does; the file."""
    file = io.BytesIO()
    picture.save(file, form, **options)
    before = seen(page)
    page.evaluate(
        """bytes => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "dropped.png", { type: "image/png" }));
            document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
        }""",
        list(file.getvalue()),
    )
    settle(page, before)
    return file.getvalue()


def test_hostile_names_stay_text(show) -> None:
    model = sample_models.lenet5(7)
    names = [*HOSTILE, "8", "9"]
    shown = [*HOSTILE[:4], "水'\\u2028", *HOSTILE[5:], "8", "9"]  # what is not printable is escaped
    named = dataclasses.replace(model, metadata={**model.metadata, "classes": names})
    images = np.full((1, 28, 28, 1), -128, np.int8)
    engine = Engine(HOSTILE[0], HOSTILE[1], run(named, images))
    opened = show([Shown(HOSTILE[0], named, images, (engine,))], [Example(HOSTILE[1], HOSTILE[2])])
    before = seen(opened)
    opened.locator("#example-list button").click()
    settle(opened, before)
    assert opened.locator(".bars .name").all_text_contents() == shown
    assert opened.locator(".model h2").text_content() == HOSTILE[0]
    assert opened.title() == f"Draw for {HOSTILE[0]}"
    assert opened.locator("tbody th span").all_text_contents() == ["this page", HOSTILE[0]]
    assert opened.locator("img, b").count() == 0
    assert opened.evaluate("document.documentElement.scrollWidth") <= 1280


def test_models_side_by_side(show, digits: QuantizedModel) -> None:
    other = sample_models.lenet5(3, grid="ordinary")
    opened = show([without_examples("trained", digits), without_examples("random", other)])
    draw(opened)
    expect(opened.locator(".model h2")).to_have_text(["trained", "random"])
    for index, model in enumerate((digits, other)):
        assert logits(opened, "this page", index) == run(model, int8_input(opened, index)[None])[0].tolist()


def test_a_different_engine_is_seen(show) -> None:
    model = sample_models.lenet5(7)
    images = np.random.default_rng(1).integers(-128, 128, (2, 28, 28, 1), np.int8)
    right = run(model, images)
    wrong = right ^ np.eye(2, 10, 4, np.int8)  # one output of each
    engines = (Engine("one", "1.0", right), Engine("another", "2.0", wrong))
    opened = show([Shown("random", model, images, engines)], [Example("a", None), Example("b", "3")])
    before = seen(opened)
    opened.locator("#example-list button").nth(1).click()
    settle(opened, before)
    expect(opened.locator(".equality")).to_have_text("another differs from this page; 2 agree.")
    assert opened.locator("td.differs").all_text_contents() == [str(wrong[1, 5]).replace("-", "\u2212")]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_dropped_picture_of_any_colour(show, channels: int) -> None:
    model = plain((20, 30, channels), 5, invert="always")
    opened = show([without_examples("coloured", model)])
    assert opened.locator("#colour").is_visible() == (channels == 3)
    random = np.random.default_rng(2).integers(0, 256, (47, 61, 3), np.uint8)
    drop(opened, Image.fromarray(random))
    expected = prepare(random, Preparation(20, 30, channels, invert="always")).reshape(20, 30, channels)
    assert (pixels(opened, ".input") == np.broadcast_to(expected, (20, 30, 3))).all()
    image = (expected ^ 0x80).view(np.int8)
    assert logits(opened, "this page") == run(model, image[None])[0].tolist()


def test_a_picture_s_gamma_changes_nothing_as_in_python(show) -> None:
    opened = show([without_examples("grey", plain((16, 16, 1), 4))])
    random, linear = np.random.default_rng(4).integers(0, 256, (16, 16), np.uint8), PngInfo()
    linear.add(b"gAMA", (100_000).to_bytes(4, "big"))
    drop(opened, Image.fromarray(random), pnginfo=linear)
    assert (int8_input(opened)[..., 0] == random.astype(np.int16) - 128).all()


def test_a_photo_is_turned_as_its_camera_says(show, tmp_path: Path) -> None:
    opened = show([without_examples("grey", plain((32, 16, 1), 4))])
    quarters = np.kron(np.array([[0, 80], [160, 255]], np.uint8), np.ones((8, 16), np.uint8))  # whole blocks of a JPEG
    turned = Image.Exif()
    turned[0x0112] = 6  # orientation: a quarter to the right
    path = tmp_path / "photo.jpg"
    path.write_bytes(drop(opened, Image.fromarray(quarters), "JPEG", exif=turned, quality=100))
    frame = read_frame(path)
    assert frame.shape == (32, 16)
    assert frame[0, 0] == 160
    assert (int8_input(opened)[..., 0] == frame.astype(np.int16) - 128).all()


def test_one_draws_in_colour(show) -> None:
    model = plain((16, 16, 3), 4)
    opened = show([without_examples("coloured", model)])
    opened.locator("#colour").fill("#20c040")
    draw(opened)
    assert (pixels(opened, "#pad")[70, 160] == (0x20, 0xC0, 0x40)).all()  # on the bar of the seven
    expected = prepare(pixels(opened, "#pad"), Preparation(16, 16, 3))
    assert (pixels(opened, ".input") == expected).all()
    opened.get_by_role("button", name="Swap ink").click()
    assert opened.locator("#colour").input_value() == "#ffffff"
    assert (pixels(opened, "#pad") == (0x20, 0xC0, 0x40)).all()


def test_the_pad_has_the_shape_of_what_is_looked_at(show) -> None:
    opened = show([without_examples("wide", plain((20, 40, 1), 5))])
    assert pixels(opened, "#pad").shape == (160, 320, 3)
    box = opened.locator("#pad").bounding_box()
    assert box["width"] / box["height"] == pytest.approx(2, rel=0.02)
    drop(opened, Image.new("RGB", (30, 90)))  # which is shown inside it
    assert opened.locator("#pad").bounding_box() == box


def test_a_box_is_cut_out_of_what_is_shown(show) -> None:
    model = plain((16, 16, 1), 4, crop=(400, 10, 100, 120))
    opened = show([without_examples("box", model)])
    assert pixels(opened, "#pad").shape[1] == 500
    drop(opened, Image.new("RGB", (450, 300), "red"))
    expect(opened.locator(".message")).to_have_text(
        "The model looks at 100 × 120 pixels at 400, 10: a frame of 450 × 300 does not hold them."
    )
    random = np.random.default_rng(3).integers(0, 256, (200, 600, 3), np.uint8)
    drop(opened, Image.fromarray(random))
    expected = prepare(random, Preparation(16, 16, 1, crop=(400, 10, 100, 120)))
    assert (int8_input(opened)[..., 0] == expected.astype(np.int16) - 128).all()
    assert opened.locator(".message").text_content() == ""


def test_one_output_for_two_classes(show) -> None:
    builder = sample_models.ModelBuilder(9, image=QTensor((8, 8, 1), float(np.float32(1 / 255)), -128))
    model = builder.flatten().fully_connected("F", 1, relu=False).lookup("sigmoid").build(classes=["no", "yes"])
    opened = show([without_examples("binary", model)])
    draw(opened)
    found = logits(opened, "this page")
    image = int8_input(opened)[None]
    assert found == run(model, image)[0].tolist()
    meaning = meaning_of(model)
    expect(opened.locator(".class")).to_have_text(meaning.classes[meaning.predictions(run(model, image))[0]])
    assert opened.locator("thead th").all_text_contents() == ["yes", "differ"]
    shares = meaning.probabilities(run(model, image))[0]
    assert opened.locator(".bars .percent").all_text_contents() == [f"{100 * share:.1f} %" for share in shares]


def test_of_many_classes_the_likeliest_are_shown(show) -> None:
    model = plain((16, 16, 1), 40)
    opened = show([without_examples("many", model)])
    draw(opened)
    shares = meaning_of(model).probabilities(run(model, int8_input(opened)[None]))[0]
    likeliest = np.argsort(-shares, kind="stable")[:12]
    assert opened.locator(".bars .name").all_text_contents() == list(map(str, likeliest))
    assert opened.locator(".bars .percent").first.text_content() == f"{100 * shares.max():.1f} %"
