"""The report in a real Chromium: nothing on the console, nothing asked for, nothing wider than the screen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import build_folders
import numpy as np
import pytest
import sample_models
from axe_playwright_python.sync_playwright import Axe
from conftest import lenet_edge
from playwright.sync_api import Browser, Page

from lenet_edge.report.document import Samples, find_model, read_folder, write_report

SIZES = {"desktop": (1280, 900), "phone": (360, 740)}
HOSTILE = [build_folders.HOSTILE + str(number) for number in range(10)]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two reports: of a model whose names are hostile, and of two models side by side."""
    folder = tmp_path_factory.mktemp("report")
    model = sample_models.lenet5(3)
    layers = tuple(replace(layer, name=HOSTILE[index]) for index, layer in enumerate(model.layers))
    builds = []
    for name, each, classes in (
        ("hostile", replace(model, layers=layers), HOSTILE),
        ("plain", sample_models.lenet5(4), [str(number) for number in range(10)]),
    ):
        place = build_folders.write(folder / name, each, classes)
        build = read_folder(place, find_model(place))
        pixels = np.random.default_rng(1).integers(0, 256, (20, 28, 28), dtype=np.uint8)
        images = (pixels ^ 0x80).view(np.int8)[..., None]
        samples = Samples(HOSTILE[0], images, pixels, np.arange(20) % 10, tuple(HOSTILE * 2), 50)
        builds.append(replace(build, tests=samples))
    (folder / "one.html").write_bytes(write_report(builds[:1], [HOSTILE[0]]))
    (folder / "two.html").write_bytes(write_report(builds, [HOSTILE[0], "plain"]))
    return {name: folder / f"{name}.html" for name in ("one", "two")}


@pytest.fixture(params=["light", "dark"])
def theme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=list(SIZES))
def page(request: pytest.FixtureRequest, browser: Browser, theme: str) -> Iterator[Page]:
    """An empty page of that size; whatever is said on its console or asked for fails the test."""
    width, height = SIZES[request.param]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)  # type: ignore[arg-type]
    opened, said = context.new_page(), []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    opened.on("request", lambda asked: asked.url.startswith(("file:", "data:")) or said.append(asked.url))
    yield opened
    context.close()
    assert said == []


@pytest.mark.parametrize("name", ["one", "two"])
def test_a_report_in_a_browser(page: Page, files: dict[str, Path], name: str) -> None:
    page.goto(files[name].as_uri())
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert page.evaluate("[...document.querySelectorAll('svg.chart')].length") >= 8
    assert HOSTILE[0] in page.inner_text("h1")
    assert page.evaluate("document.querySelectorAll('svg title, span[title]').length") > 0
    found = Axe().run(page).response["violations"]
    serious = [
        (each["id"], each["nodes"][0]["html"][:200]) for each in found if each["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_colours_follow_the_theme(page: Page, files: dict[str, Path], theme: str) -> None:
    page.goto(files["one"].as_uri())
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    bar = page.evaluate("getComputedStyle(document.querySelector('svg.chart path[fill=\"var(--one)\"]')).fill")
    assert (paper, bar) == {
        "light": ("rgb(255, 255, 255)", "rgb(47, 111, 159)"),
        "dark": ("rgb(15, 20, 26)", "rgb(108, 176, 224)"),
    }[theme]


def test_a_report_on_paper_is_light(page: Page, files: dict[str, Path]) -> None:
    page.goto(files["one"].as_uri())
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
    page.set_viewport_size({"width": 700, "height": 990})  # a sheet of A4 without its margins
    assert page.evaluate("[...document.querySelectorAll('table')].every(table => table.clientWidth <= 700)")


@pytest.fixture(scope="module")
def with_drawing(digits_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report in which one draws."""
    folder = tmp_path_factory.mktemp("drawing")
    lenet_edge(folder, "page", "--model", digits_file, "--examples", 0, "--out", "page.html")
    named = ("--build", folder, "--model", digits_file, "--data", "noise", "--images", 1)
    lenet_edge(folder, "report", *named, "--page", "page.html")
    return folder / "report.html"


def test_one_draws_within_the_report(page: Page, with_drawing: Path) -> None:
    page.goto(with_drawing.as_uri())
    page.locator("iframe").scroll_into_view_if_needed()
    frame = page.frame_locator("iframe")
    frame.locator("#page[data-seen]").wait_for()
    pad = frame.locator("#pad")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    assert box is not None
    left, top, side = box["x"], box["y"], box["width"]
    page.mouse.move(left + 0.3 * side, top + 0.25 * side)
    page.mouse.down()
    for across, down in ((0.7, 0.25), (0.45, 0.8)):
        page.mouse.move(left + across * side, top + down * side, steps=12)
    page.mouse.up()
    frame.locator("#page[data-source='frame']").wait_for()
