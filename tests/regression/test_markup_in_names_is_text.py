"""Names reached Rich as markup: `[/b]` in one was a traceback after the work was done, and `[red]` vanished."""

from __future__ import annotations

import dataclasses
import json
import os

import pytest
import sample_models
from PIL import Image
from rich.console import Console

from lenet_edge.cli import common
from lenet_edge.cli.terminal import printable
from lenet_edge.formats import tflite
from lenet_edge.quantized.model import QuantizedModel

NAMES = ["[red]seven", "a[/b]", "[/]", "[link=x]y", ":smile:", "[bold", "\\[x]"]


def rendered(*tables):
    console = Console(width=200)
    with console.capture() as captured:
        for table in tables:
            console.print(table)
    return captured.get()


@pytest.mark.parametrize("name", NAMES)
def test_tables_show_titles_headers_and_cells_as_they_are(name):
    table = common.new_table(f"title {name}", f"header {name}", "figure")
    table.add_column(f"later {name}")
    table.add_row(f"cell {name}", name, name)
    shown = rendered(table)
    for part in ("title", "header", "cell", "later"):
        assert f"{part} {name}" in shown


@pytest.mark.parametrize("name", NAMES)
def test_logs_and_lines_show_it_as_it_is(capsys, name):
    common.log(f"reading {name}")
    common.show({}, as_json=False, tables=lambda: [f"note {name}"])
    said = capsys.readouterr()
    assert said.err == f"reading {name}\n"
    assert said.out == f"note {name}\n"


def test_what_a_terminal_would_obey_is_escaped():
    hostile = "\x1b[31mred\x1b]0;title\x07\r\x08\x7f\x9b2J\u202egnp\u2066\udcff"
    assert printable(hostile) == (
        r"\x1b[31mred\x1b]0;title\x07\r\x08\x7f\x9b2J\u202egnp\u2066\udcff".replace(r"\x07\r", r"\x07\r")
    )
    assert printable("schön 数字 🙂\tone\ntwo") == "schön 数字 🙂\tone\ntwo"


@pytest.fixture
def hostile_model(tmp_path):
    """Layers and classes whose names are markup; classes with control characters are refused by the reader."""
    model = sample_models.lenet5(51)
    layers = tuple(
        dataclasses.replace(layer, name=f"{layer.name}{ending}")
        for layer, ending in zip(model.layers, NAMES * 2, strict=False)
    )
    classes = [*NAMES, "7", "8", "9"]
    named = QuantizedModel(layers, {**model.metadata, "classes": classes})
    (tmp_path / "hostile.tflite").write_bytes(tflite.to_bytes(named))
    return classes


@pytest.mark.parametrize("command", ["analyze", "predict", "check"])
def test_commands_show_such_names(start, model, hostile_model, tmp_path, command):
    arguments = {
        "analyze": ["hostile.tflite"],
        "predict": ["x.png", "--model", "hostile.tflite"],
        "check": ["--model", "hostile.tflite", "--data", "noise", "--images", 1, "--engine", "tflm"],
    }
    done = start(command, *arguments[command])
    assert done.returncode == (1 if command == "check" else 0), done.stderr  # check misses a LiteRT engine
    assert b"Traceback" not in done.stderr
    assert b"\x1b" not in done.stdout + done.stderr
    if command != "check":
        shown = done.stdout.decode()
        assert all(name in shown for name in NAMES[:2])


def test_pictures_with_such_names(start, model, tmp_path):
    names = ["[red]seven.png", "a[/b].png", "\x1b[31m.png", os.fsdecode(b"l\xe4\xff.png")]
    picture = Image.open(tmp_path / "x.png")
    for name in names:
        os.makedirs(os.path.dirname(tmp_path / name), exist_ok=True)
        with open(os.fsencode(tmp_path / name), "wb") as stream:
            picture.save(stream, "PNG")
    shown = start("predict", *names, "--model", model)
    assert shown.returncode == 0, shown.stderr
    assert b"[red]seven.png: " in shown.stdout
    assert b"a[/b].png: " in shown.stdout
    assert rb"\x1b[31m.png: " in shown.stdout
    assert rb"l\udce4\udcff.png: " in shown.stdout
    found = json.loads(start("predict", *names, "--model", model, "--json").stdout.decode("utf-8"))
    assert [each["picture"] for each in found["predictions"]] == names
