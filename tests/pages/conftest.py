"""What the tests of pages share: a real Chromium, a small trained model, and a page that was opened in it."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import idx_files
import pytest
from opening import OpenPage, lenet_edge
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from lenet_edge import datasets
from lenet_edge.formats import tflite
from lenet_edge.preparation import MNIST, to_json
from lenet_edge.quantized.model import QuantizedModel

expect.set_options(timeout=30_000)  # in milliseconds: two browsers on two cores are slow now and then
CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; Playwright's own is not installed."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is missing: apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", *CAMERA]
        )  # root has no sandbox
        yield started
        started.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """``open_page(file or address, **context)``: the page once it is ready. What its console says fails the test."""
    contexts: list[BrowserContext] = []
    said: list[str] = []
    asked: list[str] = []

    def open_it(where: Path | str, **options: object) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(f"error: {error}"))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(where.as_uri() if isinstance(where, Path) else where)
        page.wait_for_selector("#page[data-seen]")
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert [text for text in said if not text.endswith("503 (Service Unavailable)")] == []  # a board that is away
    outside = [url for url in asked if not url.startswith(("file://", "http://127.0.0.1:", "data:", "blob:"))]
    assert outside == []


@pytest.fixture(scope="session")
def digits_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LeNet-5 that has seen an eighth of MNIST twice and knows digits well, with MNIST's preparation."""
    folder = tmp_path_factory.mktemp("digits")
    mnist = datasets.load("mnist")
    some = [mnist.train_images[:8000], mnist.train_labels[:8000], mnist.test_images[:100], mnist.test_labels[:100]]
    idx_files.write_folder(folder / "data", some)
    lenet_edge(folder, "train", "--data", "data", "--epochs", 2)
    lenet_edge(folder, "quantize", "--int8", "--data", "data", "--epochs", 1)
    path = folder / "build" / "lenet5-int8.tflite"
    model = tflite.read(path)  # which takes IDX files as they are: a drawing is to be centred and inverted
    facts = {**model.metadata, "preparation": to_json(MNIST), "dataset": "mnist"}
    path.write_bytes(tflite.to_bytes(dataclasses.replace(model, metadata=facts)))
    return path


@pytest.fixture(scope="session")
def digits(digits_file: Path) -> QuantizedModel:
    return tflite.read(digits_file)
