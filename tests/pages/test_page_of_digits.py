"""`lenet-edge page` in a real Chromium: the file alone, opened from the disk."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from opening import OpenPage, lenet_edge
from pad import SEVEN, draw, int8_input, logits, pixels, places, seen, settle
from PIL import Image
from playwright.sync_api import Page, expect

from lenet_edge.preparation import MNIST, prepare
from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.quantized.reference import layer_outputs, run

ENGINES = ("tflm", "litert-xnnpack", "onnxruntime")


@pytest.fixture(scope="session")
def written(digits_file: Path) -> tuple[Path, dict]:
    """The page as the command writes it, and what that printed."""
    engines = [part for name in ENGINES for part in ("--engine", name)]
    done = lenet_edge(digits_file.parents[1], "page", *engines, "--json")
    return digits_file.parent / "page.html", json.loads(done.stdout)


@pytest.fixture
def page(open_page: OpenPage, written: tuple[Path, dict]) -> Page:
    return open_page(written[0])


def test_a_drawn_seven_is_a_seven_and_its_logits_are_those_of_the_reference(page: Page, digits: QuantizedModel) -> None:
    draw(page)
    expect(page.locator(".class")).to_have_text("7")
    image = int8_input(page)
    assert (image == prepare(pixels(page, "#pad"), MNIST)[..., None].astype(np.int16) - 128).all()
    assert logits(page, "this page") == run(digits, image[None])[0].tolist()
    expect(page.locator(".equality")).to_have_text(
        "This has been seen by this page only. Other engines have seen the examples."
    )


def test_the_probabilities_change_while_one_draws(page: Page) -> None:
    first, *rest = places(page, SEVEN)
    page.mouse.move(*first)
    page.mouse.down()
    shares = set()
    for point in rest:
        before = seen(page)
        page.mouse.move(*point)
        settle(page, before)
        shares.add(page.locator(".share").inner_text())
    page.mouse.up()
    assert len(shares) == len(rest)


def test_a_finger_draws_and_does_not_scroll(open_page: OpenPage, written: tuple[Path, dict]) -> None:
    page = open_page(written[0], viewport={"width": 390, "height": 700}, has_touch=True, is_mobile=True)
    before, points = seen(page), places(page, SEVEN)
    touch = page.context.new_cdp_session(page)
    top = page.evaluate("scrollY")
    for kind, point in zip(("touchStart", "touchMove", "touchMove", "touchMove"), points, strict=True):
        where = {"x": point[0], "y": point[1]}
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [where]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    settle(page, before)
    expect(page.locator(".class")).to_have_text("7")
    assert page.evaluate("scrollY") == top


def test_every_layer_s_range_is_the_reference_s(page: Page, digits: QuantizedModel) -> None:
    draw(page)
    outputs = dict(
        zip(
            [layer.name for layer in digits.layers],
            layer_outputs(digits, int8_input(page)[None]),
            strict=True,
        )
    )
    steps = page.locator(".steps li").all()
    assert len(steps) == 5
    for step in steps:
        name = step.locator("strong").inner_text().split(", ")[-1]
        low, high = step.locator(".range").inner_text().replace("\u2212", "-").split(" to ")
        assert (int(low), int(high)) == (outputs[name].min(), outputs[name].max())


def test_the_value_under_the_pointer_is_told(page: Page, digits: QuantizedModel) -> None:
    draw(page)
    caption, image = page.locator(".model figcaption"), int8_input(page)
    usual = caption.inner_text()
    point_at(page, ".input", (5.5 / 28, 8.5 / 28))
    assert caption.inner_text() == f"row 8, column 5: {image[8, 5, 0]}".replace("-", "\u2212")
    page.mouse.move(0, 0)
    assert caption.inner_text() == usual
    pooled = dict(zip([layer.name for layer in digits.layers], layer_outputs(digits, image[None]), strict=True))["S2"][
        0
    ]
    point_at(page, ".maps", ((15 + 3.5) / 89, 4.5 / 14))  # six maps of 14 with a line between two
    shown = page.locator(".steps li").first.locator(".range").inner_text()
    assert shown == f"map 1, row 4, column 3: {pooled[4, 3, 1]}".replace("-", "\u2212")


def point_at(page: Page, selector: str, share: tuple[float, float]) -> None:
    """Move the mouse to a place, 0..1, of an element."""
    page.locator(selector).first.scroll_into_view_if_needed()
    box = page.locator(selector).first.bounding_box()
    page.mouse.move(box["x"] + share[0] * box["width"], box["y"] + share[1] * box["height"])


def test_an_example_stands_beside_the_other_engines(page: Page, written: tuple[Path, dict]) -> None:
    facts = written[1]
    assert facts["examples"] == 10
    assert facts["models"][0]["logits_differ"] == dict.fromkeys(("reference", *ENGINES), 0)
    button = page.locator("#example-list button").nth(4)
    before = seen(page)
    button.click()
    settle(page, before)
    expect(button).to_have_attribute("aria-pressed", "true")
    assert button.get_attribute("title") == "test image 4: 4"
    expect(page.locator(".equality")).to_have_text("All 10 outputs are equal in 5 engines.")
    for name in ("reference", *ENGINES):
        assert logits(page, name) == logits(page, "this page")


def test_clear_and_swapped_ink(page: Page) -> None:
    draw(page)
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#page")).to_have_attribute("data-source", "none")
    expect(page.locator(".class")).to_have_text("")
    expect(page.locator(".logits")).to_be_hidden()
    page.get_by_role("button", name="Swap ink").click()
    assert pixels(page, "#pad").max() == 0
    draw(page)
    expect(page.locator(".class")).to_have_text("7")


def seven_file(mode: str = "RGB") -> bytes:
    """A picture of a seven, of another size and shape than the pad; for RGBA on nothing."""
    paper = (255, 255, 255, 0)[: len(mode)]
    picture = Image.new(mode, (120, 150), paper)
    for x in range(30, 90):
        for y in range(30, 42):
            picture.putpixel((x, y), (20, 40, 60, 255)[: len(mode)])
    for y in range(42, 130):
        for x in range(78 - (y - 42) // 3, 90 - (y - 42) // 3):
            picture.putpixel((x, y), (20, 40, 60, 255)[: len(mode)])
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_picture_is_prepared_as_python_prepares_it(page: Page, mode: str) -> None:
    before, content = seen(page), seven_file(mode)
    page.locator("#file").set_input_files({"name": "seven.png", "mimeType": "image/png", "buffer": content})
    settle(page, before)
    expect(page.locator(".class")).to_have_text("7")
    frame = np.asarray(Image.open(io.BytesIO(seven_file())))
    assert (int8_input(page)[..., 0] == prepare(frame, MNIST).astype(np.int16) - 128).all()


def test_a_file_that_is_no_picture_is_named(page: Page) -> None:
    page.locator("#file").set_input_files({"name": "</p>.png", "mimeType": "image/png", "buffer": b"no picture"})
    expect(page.locator("#notice")).to_have_text("This browser cannot read </p>.png as a picture.")


def test_the_camera(page: Page) -> None:
    button = page.locator("#camera")
    button.click()
    expect(page.locator("#page")).to_have_attribute("data-source", "frame")
    expect(button).to_have_text("Stop camera")
    before = seen(page)
    settle(page, before)
    settle(page, seen(page))
    assert page.locator(".class").inner_text() != ""
    button.click()
    expect(button).to_have_text("Camera")
    stopped = seen(page)
    page.wait_for_timeout(200)
    assert seen(page) <= stopped + 1


def test_sizes(written: tuple[Path, dict]) -> None:
    content = json.loads(re.search(r'id="contents">(.*?)</script>', written[0].read_text())[1])
    assert content["models"][0]["wasm_bytes"] < 80 * 1024
    assert written[0].stat().st_size == written[1]["bytes"] < 350 * 1024


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_can_be_read_by_all(open_page: OpenPage, written: tuple[Path, dict], scheme: str, width: int) -> None:
    page = open_page(written[0], viewport={"width": width, "height": 800}, color_scheme=scheme)
    before = seen(page)
    page.locator("#example-list button").first.click()
    settle(page, before)
    found = Axe().run(page).response["violations"]
    assert [(each["id"], each["help"]) for each in found if each["impact"] in ("serious", "critical")] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
