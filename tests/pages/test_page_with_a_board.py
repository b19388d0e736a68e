"""`lenet-edge page --serve`: what one draws goes to an emulated micro:bit, whose logits stand beside the page's."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from opening import OpenPage, lenet_edge
from pad import SEVEN, draw, int8_input, logits
from page_servers import Server, children, printed
from playwright.sync_api import Browser, Page, expect

from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.quantized.reference import run

WAIT_MS = 60_000
ON_THE_CHIP = ("--board", "microbit")

Serving = Callable[..., tuple["subprocess.Popen[str]", Server]]


@pytest.fixture(scope="session")
def firmware(digits_file: Path) -> Path:
    """Firmware of the digits for a micro:bit, in the usual folder."""
    lenet_edge(digits_file.parents[1], "build", *ON_THE_CHIP)
    return digits_file.parent / "firmware" / "microbit"


@pytest.fixture
def serving(digits_file: Path, tmp_path: Path) -> Iterator[Serving]:
    """``serving(*options)``: (the process, its server). Name it before `open_page`: pages are closed before it ends."""
    started: list[subprocess.Popen[str]] = []

    def start(*options: str) -> tuple[subprocess.Popen[str], Server]:
        argv = [sys.executable, "-m", "lenet_edge", "page", "--serve", "--json", "--examples", "0", *options]
        out, pipe = ("--out", str(tmp_path / "page.html")), subprocess.PIPE
        process = subprocess.Popen([*argv, *out], cwd=digits_file.parents[1], stdout=pipe, stderr=pipe, text=True)
        started.append(process)
        return process, Server(printed(process)["address"])

    yield start
    for process in started:
        with process:
            process.send_signal(signal.SIGINT)
            assert "Traceback" not in process.communicate(timeout=20)[1]


def await_chip(page: Page, state: str = "ready") -> None:
    expect(page.locator("#chip")).to_have_attribute("data-state", state, timeout=WAIT_MS)


def await_row(page: Page) -> None:
    """Until the chip has said what it makes of what is shown."""
    expect(page.locator("tr[data-engine='microbit']")).to_be_visible(timeout=WAIT_MS)


@pytest.mark.usefixtures("firmware")
def test_a_drawn_seven_has_the_same_logits_on_the_chip(
    serving: Serving, open_page: OpenPage, digits: QuantizedModel
) -> None:
    _, server = serving(*ON_THE_CHIP)
    page = open_page(server.address)
    assert "token" not in page.evaluate("location.href")
    await_chip(page)
    draw(page)
    await_row(page)
    expect(page.locator(".class")).to_have_text("7")
    image = int8_input(page)
    expected = run(digits, image[None])[0].tolist()
    assert logits(page, "microbit") == logits(page, "this page") == expected
    expect(page.locator(".equality")).to_have_text("All 10 outputs are equal in 2 engines.")
    count = page.locator("tr[data-engine='microbit'] small").inner_text()
    asked = server.infer(image.tobytes()).content
    assert int(re.sub(r"\D", "", count)) == asked["count"] > 100_000
    assert count.endswith(" instructions")


def test_a_chip_that_is_killed_is_shown_as_lost_and_works_again(
    serving: Serving, open_page: OpenPage, firmware: Path
) -> None:
    if shutil.which("qemu-system-arm") is None:
        pytest.skip("qemu-system-arm is missing: apt-get install qemu-system-arm")
    process, server = serving(*ON_THE_CHIP, "--emulator", "qemu")
    page = open_page(server.address)
    await_chip(page)
    draw(page)
    await_row(page)
    first = logits(page, "microbit")
    with away(firmware / "firmware.elf"):  # for as long as one looks at it, it cannot be started again
        (chip,) = children(process.pid, "qemu")
        os.kill(chip, signal.SIGKILL)
        draw(page, SEVEN[::-1])
        await_chip(page, "lost")
        expect(page.locator("#chip-state")).to_contain_text("does not exist", timeout=WAIT_MS)
    await_chip(page)
    page.get_by_role("button", name="Clear").click()
    draw(page, SEVEN[:2])
    await_row(page)
    assert logits(page, "microbit") == logits(page, "this page") != first
    page.close()
    (chip,) = children(process.pid, "qemu")
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    assert not Path(f"/proc/{chip}").exists()


@contextlib.contextmanager
def away(path: Path) -> Iterator[None]:
    """The file is not there meanwhile."""
    elsewhere = path.rename(path.with_name("elsewhere"))
    try:
        yield
    finally:
        elsewhere.rename(path)


def test_a_page_without_a_board_may_use_the_camera(serving: Serving, open_page: OpenPage) -> None:
    """Also by the server's headers."""
    _, server = serving()
    page = open_page(server.address)
    page.locator("#camera").click()
    expect(page.locator("#page")).to_have_attribute("data-source", "frame", timeout=WAIT_MS)
    assert page.locator("#chip").is_hidden()
    assert server.send("POST", "/api/infer", bearer=server.token).status == 404


@pytest.mark.usefixtures("firmware")
def test_another_page_of_the_same_browser_reaches_nothing(browser: Browser, serving: Serving) -> None:
    """Not by a script and not in a frame, even if it knew the token."""
    _, server = serving(*ON_THE_CHIP)
    script = f"""async () => {{
        const headers = {{ Authorization: "Bearer {server.token}" }};
        const tries = [
            fetch("{server.address}"),
            fetch("http://127.0.0.1:{server.port}/api/board", {{ headers }}),
            fetch("http://127.0.0.1:{server.port}/api/infer", {{ mode: "no-cors", method: "POST", body: "x" }}),
        ];
        return (await Promise.allSettled(tries)).map((end) => end.status);
    }}"""
    page = browser.new_page()
    page.goto(server.address)
    assert page.evaluate(script) == ["fulfilled"] * 3
    page.goto(f"http://localhost:{server.port}/?token=wrong")  # an origin of its own, as any other page is
    assert "lenet-edge page --serve" in page.inner_text("body")
    assert page.evaluate(script) == ["rejected"] * 3
    page.set_content(f'<iframe src="{server.address}"></iframe>')
    page.wait_for_timeout(1000)
    assert not any(frame.query_selector("#pad") for frame in page.frames)
    page.close()
