"""`bench --compare`: reading an earlier record, and what counts as growth."""

import json
from dataclasses import replace

import pytest

from lenet_edge.cli.bench import _grown, _read_earlier
from lenet_edge.errors import BadInputError
from lenet_edge.hardware import boards
from lenet_edge.records.bench import LayerCount, parse_bench

RECORD = {
    "board": "mps2-an386",
    "fingerprint": "0" * 64,
    "toolchain": "arm-none-eabi-gcc 12.2.1",
    "unit": "instructions",
    "total": 1000,
    "mean": 990,
    "layers": [
        {"name": "C1+S2", "count": 600, "macs": 100, "kernel": "plain", "why_plain": ""},
        {"name": "C5", "count": 390, "macs": 50, "kernel": "plain", "why_plain": ""},
    ],
    "emulator": "unicorn",
    "optimize": "speed",
    "images": 8,
    "flash_bytes": 67_700,
    "ram_bytes": 1_976,
    "stack_used_bytes": 376,
}


def changed(**counts):
    layers = [{**layer, "count": counts.get(layer["name"], layer["count"])} for layer in RECORD["layers"]]
    total = counts.get("all", 1000)
    return parse_bench({**RECORD, "total": total, "mean": total, "layers": layers})


@pytest.fixture
def earlier(tmp_path):
    path = tmp_path / "record.json"
    path.write_text(json.dumps(RECORD))
    return _read_earlier(path, boards.load("mps2-an386"))


def test_up_to_the_limit_is_no_growth(earlier):
    assert _grown(earlier, changed(all=1010, C5=393), 1.0) == []
    assert _grown(earlier, changed(all=600, C5=1), 0) == []


def test_each_part_that_grew_is_named(earlier):
    assert _grown(earlier, changed(all=1011), 1.0) == ["all 1,000 -> 1,011"]
    assert _grown(earlier, changed(C5=395), 1.0) == ["C5 390 -> 395"]
    assert _grown(earlier, changed(all=1001), 0) == ["all 1,000 -> 1,001"]


def test_a_layer_that_is_new_counts_in_the_whole_only(earlier):
    now = changed()
    new = LayerCount("F6", count=10**6, macs=1, kernel="plain", why_plain="")
    assert _grown(earlier, replace(now, layers=(*now.layers, new)), 1.0) == []


def test_another_unit_is_refused(earlier):
    with pytest.raises(BadInputError, match="counts instructions, this emulator cycles"):
        _grown(earlier, replace(changed(), unit="cycles"), 1.0)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", "{}", '{"board": "mps2-an386"}', json.dumps({**RECORD, "layers": [1]})],
)
def test_what_is_no_record_is_refused(tmp_path, text):
    path = tmp_path / "record.json"
    path.write_text(text)
    with pytest.raises(BadInputError, match="not a record of"):
        _read_earlier(path, boards.load("mps2-an386"))


def test_the_record_of_another_board_is_refused(tmp_path):
    path = tmp_path / "record.json"
    path.write_text(json.dumps(RECORD))
    with pytest.raises(BadInputError, match="a record of mps2-an386, not of microbit"):
        _read_earlier(path, boards.load("microbit"))


def test_a_record_that_is_missing_is_named(tmp_path):
    with pytest.raises(BadInputError, match="does not exist"):
        _read_earlier(tmp_path / "no.json", boards.load("microbit"))
