"""A hand that draws, and eyes that read what the page shows."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np
from playwright.sync_api import Page

SEVEN = ((0.25, 0.22), (0.75, 0.22), (0.62, 0.45), (0.45, 0.85))
PIXELS = """canvas => {
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
    const text = data.reduce((letters, byte) => letters + String.fromCharCode(byte), "");
    return { width: canvas.width, height: canvas.height, data: btoa(text) };
}"""


def places(page: Page, points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Points of the pad, 0..1, on the screen."""
    page.locator("#pad").scroll_into_view_if_needed()
    box = page.locator("#pad").bounding_box()
    assert box is not None
    return [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]


def draw(page: Page, points: Sequence[tuple[float, float]] = SEVEN) -> None:
    """Draw a line with the mouse."""
    (first, *rest), before = places(page, points), seen(page)
    page.mouse.move(*first)
    page.mouse.down()
    for point in rest:
        page.mouse.move(*point, steps=6)
    page.mouse.up()
    settle(page, before)


def seen(page: Page) -> int:
    """How often the page has looked at what it is shown."""
    return int(page.locator("#page").get_attribute("data-seen") or 0)


def settle(page: Page, before: int) -> None:
    """Wait until it has looked again, and twice more until nothing more comes."""
    page.wait_for_function("before => Number(document.getElementById('page').dataset.seen) > before", arg=before)
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def pixels(page: Page, selector: str) -> np.ndarray:
    """What a canvas shows, uint8 [h, w, 3]; nothing on it may be transparent."""
    found = page.locator(selector).first.evaluate(PIXELS)
    array = np.frombuffer(base64.b64decode(found["data"]), np.uint8).reshape(found["height"], found["width"], 4)
    assert (array[..., 3] == 255).all()
    return array[..., :3]


def int8_input(page: Page, model: int = 0) -> np.ndarray:
    """The int8 input that the page shows of a grey model, [h, w, 1]."""
    shown = pixels(page, f".model:nth-child({model + 1}) .input")
    assert (shown == shown[..., :1]).all()
    return (shown[..., :1] ^ 0x80).view(np.int8)


def logits(page: Page, engine: str, model: int = 0) -> list[int]:
    """The row of an engine in the table of logits."""
    cells = page.locator(f"#logits > section:nth-child({model + 1}) tr[data-engine='{engine}'] [data-value]")
    return [int(value) for value in cells.evaluate_all("cells => cells.map(cell => cell.dataset.value)")]
