"""Tables in narrow and wide terminals, and progress where there is none."""

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


@pytest.mark.parametrize("width", [22, 25, 32, 35])
def test_a_table_that_is_wider_than_the_terminal_is_shown_in_parts(width):
    """Each part begins with the first column, and no figure is cut: of `analyze` one digit was left in 80 columns."""
    made = common.new_table("layers", "layer", "scale", "MACs", "count")
    made.add_row("conv_1", "0.12345", "147,456", "2,505,269")
    lines = shown(made, width).splitlines()
    assert max(map(len, lines)) <= width
    cells = [line.split("│")[1:-1] for line in lines if "conv_1" in line]
    assert {part[0].strip() for part in cells} == {"conv_1"}
    assert [cell.strip() for part in cells for cell in part[1:]] == ["0.12345", "147,456", "2,505,269"]
    assert sum("layers" in line for line in lines) == 1
    assert shown(made, 80).count("conv_1") == 1


def test_a_progress_bar_leaves_nothing_in_a_file(capsys):
    with common.progress_bar() as bar:
        bar.update(bar.add_task("images", total=1), completed=1)
    assert capsys.readouterr().err == ""
