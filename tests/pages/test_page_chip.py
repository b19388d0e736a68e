"""The chip beside the browser: its logits, a board that goes and comes, another model's board."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from board_server import Board, serving
from opening import OpenPage
from pad import draw, int8_input, logits, places, seen
from playwright.sync_api import Page, expect

from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.report.page import Shown, page


@pytest.fixture
def board(digits: QuantizedModel) -> Board:
    return Board(page([Shown("digits", digits, np.empty((0, 28, 28, 1), np.int8))]), digits)


@pytest.fixture
def opened(open_page: OpenPage, board: Board) -> Iterator[Page]:
    with serving(board) as address:
        page = open_page(address)
        yield page
        page.context.close()  # before the server, which it goes on asking


def row(opened: Page):
    return opened.locator("tr[data-engine='microbit']")


def test_the_chip_s_logits_stand_beside_the_browser_s(opened: Page, board: Board) -> None:
    assert "token" not in opened.url
    expect(opened.locator("#chip-name")).to_have_text("microbit, in its emulator")
    expect(opened.locator("#chip")).to_have_attribute("data-state", "ready")
    draw(opened)
    expect(row(opened)).to_be_visible()
    assert logits(opened, "microbit") == logits(opened, "this page")
    expect(row(opened).locator("small")).to_have_text("1,234,567 instructions")
    expect(opened.locator(".equality")).to_have_text("All 10 outputs are equal in 2 engines.")
    expect(opened.locator("#chip-answer")).to_have_text("10 of 10 outputs are equal · 1,234,567 instructions")
    assert (board.asked[-1] == int8_input(opened)).all()
    assert board.refused == 0


def test_a_chip_that_differs_is_seen(opened: Page, board: Board) -> None:
    board.wrong = 2
    draw(opened)
    expect(opened.locator("#chip-answer")).to_have_text("2 of 10 outputs differ · 1,234,567 instructions")
    assert row(opened).locator(".differs").count() == 2
    expect(opened.locator(".equality")).to_have_text("microbit differs from this page; 1 agrees.")


def test_another_drawing_is_asked_for_anew_and_the_same_is_not(opened: Page, board: Board) -> None:
    draw(opened)
    expect(row(opened)).to_be_visible()
    asked = len(board.asked)
    opened.wait_for_timeout(300)
    assert len(board.asked) == asked
    draw(opened, ((0.3, 0.3), (0.6, 0.7)))
    expect(row(opened)).to_be_visible()
    assert len(board.asked) > asked
    assert logits(opened, "microbit") == logits(opened, "this page")


def test_while_one_draws_only_the_latest_is_asked_for(opened: Page, board: Board) -> None:
    board.seconds = 0.5  # many moves of the pointer, even where both are slow
    first, *rest = places(opened, [(0.2 + 0.015 * step, 0.3) for step in range(40)])
    before = seen(opened)
    opened.mouse.move(*first)
    opened.mouse.down()
    for point in rest:
        opened.mouse.move(*point)
        opened.wait_for_timeout(15)
    opened.mouse.up()
    expect(row(opened)).to_be_visible()
    assert logits(opened, "microbit") == logits(opened, "this page")
    assert len(board.asked) < (seen(opened) - before) / 2


def test_a_board_that_goes_and_comes_again(opened: Page, board: Board) -> None:
    draw(opened)
    expect(row(opened)).to_be_visible()
    board.state, board.message = "lost", "</p><b>unplugged"
    draw(opened, ((0.3, 0.2), (0.4, 0.8)))
    expect(opened.locator("#chip")).to_have_attribute("data-state", "lost")
    expect(opened.locator("#chip-state")).to_contain_text("</p><b>unplugged")
    expect(row(opened)).to_have_count(0)
    expect(opened.locator(".class")).not_to_have_text("")  # the page goes on
    board.state, board.message = "starting", ""
    expect(opened.locator("#chip-state")).to_have_text("Starting.")
    expect(opened.locator("#chip-answer")).to_have_text("")
    board.state = "ready"
    expect(row(opened)).to_be_visible()
    assert logits(opened, "microbit") == logits(opened, "this page")


def test_a_board_of_another_model_is_not_asked(opened: Page, board: Board) -> None:
    board.fingerprint = "ab" * 32
    expect(opened.locator("#chip-state")).to_have_text(
        "It runs model abababababababab, which is not on this page.", timeout=10_000
    )
    draw(opened)
    opened.wait_for_timeout(300)
    assert board.asked == []


def test_without_a_token_nobody_is_asked(open_page: OpenPage, board: Board) -> None:
    with serving(board) as address:
        opened = open_page(address.partition("token=")[0] + "other=1")
        draw(opened)
        expect(opened.locator("#chip")).to_be_hidden()
        assert "?other=1" in opened.url
    assert board.refused == 0
    assert board.asked == []
