"""Tables in narrow and wide terminals."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from lenet_edge.cli import common


def table():
    """Without cutting a word it takes 46 columns, and 36 without the versions."""
    made = common.new_table("engines", "engine", "version", "logits differ", left=2, spare="version")
    made.add_row("onnxruntime-unoptimized", "1.32.0", "0")
    return made


def shown(made, width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as captured:
        console.print(made)
    return captured.get()


@pytest.mark.parametrize("width", [46, 60, 200])
def test_where_there_is_room_every_column_is_shown(width):
    assert "1.32.0" in shown(table(), width)


@pytest.mark.parametrize("width", [36, 40, 45])
def test_a_narrow_terminal_cuts_no_word_and_leaves_the_spare_column_out(width):
    text = shown(table(), width)
    assert "version" not in text
    assert "…" not in text
    assert "onnxruntime-unoptimized" in text


def test_a_table_is_whole_again_in_the_next_terminal():
    made = table()
    shown(made, 40)
    assert "1.32.0" in shown(made, 80)
