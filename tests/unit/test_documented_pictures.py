"""The pictures of docs/pictures: what the code and the records give, nothing from outside, and words for all of it."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click import Context

from lenet_edge.cli import cli
from lenet_edge.records import read_check

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "pictures"
sys.path.insert(0, str(FOLDER))

import canvas  # noqa: E402
import check_table  # noqa: E402
import make  # noqa: E402
import memory_map  # noqa: E402
import pipeline  # noqa: E402
import tie  # noqa: E402

SVG = "{http://www.w3.org/2000/svg}"


def test_every_picture_is_drawn_by_the_command():
    assert {path.name for path in FOLDER.glob("*.svg")} == set(make.PICTURES)


@pytest.mark.parametrize("name", make.PICTURES)
def test_a_picture_is_what_the_code_and_the_records_give(name):
    assert (FOLDER / name).read_text(encoding="utf-8") == make.PICTURES[name](), "make pictures"


@pytest.mark.parametrize("name", make.PICTURES)
def test_a_picture_needs_nothing_from_outside_and_runs_nothing(name):
    text = (FOLDER / name).read_text(encoding="utf-8")
    assert set(re.findall(r"https?://[^\s\"']+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<script|<foreignObject|<image|@import|@font-face|\bhref=|\son\w+=", text)
    assert set(re.findall(r"url\((.)", text)) <= {"#"}


@pytest.mark.parametrize("name", make.PICTURES)
def test_a_picture_says_in_words_what_it_shows(name):
    root = ElementTree.parse(FOLDER / name).getroot()  # noqa: S314 - a file of the repository
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert len(title.text) > 10
    assert len(description.text) > 100


@pytest.mark.parametrize("name", sorted(set(make.PICTURES) - {"check.svg"}))
def test_no_text_leaves_the_sheet(name):
    """A letter of DejaVu Sans, the widest of the fonts, is on average 0.6 of its size wide."""
    for text in ElementTree.parse(FOLDER / name).getroot().iter(f"{SVG}text"):  # noqa: S314
        classes = text.get("class").split()
        size = 18 if "large" in classes else 14 if "small" in classes else 15
        width = 0.6 * size * len(text.text)
        left = float(text.get("x")) - (width if "end" in classes else width / 2 if "middle" in classes else 0)
        assert left >= 0, text.text
        assert left + width <= canvas.WIDTH, text.text


def test_the_pipeline_names_commands_and_what_they_leave():
    told = {command: left for command, left, _ in pipeline.STEPS if command}
    assert [command for command in told if command not in cli.commands] == []
    shown = {
        "build/lenet5.safetensors": "build/NETWORK.safetensors",
        "build/lenet5-int8.tflite": "build/MODEL-int8.tflite",
        "build/tflm/": "build/TARGET/",
        "build/firmware/microbit/": "build/firmware/NAME/",
    }
    for command, left in told.items():
        if "/" in left:
            written = cli.commands[command].get_help(Context(cli.commands[command], terminal_width=200))
            assert shown.get(left, left) in written, command


def test_at_a_tie_the_rules_differ_and_on_the_grid_they_agree():
    """By hand: x/6 of -9, -3, 3, 9 lies halfway; half away from zero and half up part on the negative side."""
    found = tie.results([-9, -3, 3, 9])
    assert found["tflm"] == [-2, -1, 1, 2]
    assert found["ruy"] == [-1, 0, 1, 2]
    assert len({tuple(integers) for integers in found.values()}) > 2
    even = list(range(-10, 11, 2))
    nearest = [-2, -1, -1, -1, 0, 0, 0, 1, 1, 1, 2]
    assert all(integers == nearest for integers in tie.results(even).values())


def test_the_record_of_check_is_one_and_passed():
    record = read_check(check_table.RECORD)
    assert record.passed
    assert record.images == record.data_images == 10_000
    assert "…" not in (FOLDER / "check.svg").read_text(encoding="utf-8")  # nothing was cut


def test_the_record_of_build_is_of_the_firmware_that_benchmarks_measures():
    built = json.loads(memory_map.RECORD.read_text(encoding="utf-8"))
    measured = json.loads((ROOT / "benchmarks" / f"{built['board']}-speed.json").read_text(encoding="utf-8"))
    same = ("fingerprint", "flash_bytes", "optimize", "toolchain")
    assert {key: built[key] for key in same} == {key: measured[key] for key in same}
    assert built["flash_bytes"] == built["sizes"]["tables"] + built["sizes"]["code"]
    assert built["ram_bytes"] == built["sizes"]["buffers"] + built["sizes"]["stack"]
