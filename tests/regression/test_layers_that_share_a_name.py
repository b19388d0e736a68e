"""`bench` ended with exit code 70, after the whole run, if two steps have one name; and a layer "all" hid the total.

A step is called by its layers, joined by '+': a convolution "a" with the pooling "b", and next to it one called "a+b".
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import sample_models

from lenet_edge.cli.bench import _grown, _layers, _tables
from lenet_edge.formats import c_source
from lenet_edge.records import BenchRecord, LayerCount, read_bench, write_bench

MODEL = (
    sample_models.ModelBuilder(3)
    .conv("a", 2)
    .pool("b")
    .conv("a+b", 2)
    .flatten()
    .fully_connected("all", 8)
    .fully_connected("c", 4)
)


def record(*counts: int, total: int = 1000) -> BenchRecord:
    """As `bench` makes it of a model with such names, which took so much in each step."""
    plan = c_source.make_plan(MODEL.build(classes=list("wxyz")))
    layers = _layers(plan, [(0, *counts)])
    assert [layer.name for layer in layers] == ["a+b", "a+b", "all", "c"]
    sizes = {"flash_bytes": 1, "ram_bytes": 1, "stack_used_bytes": 1}
    words = {"board": "microbit", "emulator": "unicorn", "toolchain": "gcc 12", "optimize": "speed", "unit": "cycles"}
    hashes = {"fingerprint": "0" * 64, "image_sha256": "1" * 64}
    return BenchRecord(**words, **hashes, **sizes, images=1, total=total, mean=total, layers=layers)


def cells(now: BenchRecord, earlier: BenchRecord) -> list[str]:
    """The column "earlier" of the table."""
    (column,) = [column for column in _tables(now, earlier)[0].columns if str(column.header) == "earlier"]
    return [str(cell) for cell in column.cells]


def test_the_record_is_written_and_read(tmp_path):
    path = tmp_path / "microbit.json"
    write_bench(path, record(600, 300, 10, 20))
    assert read_bench(path, "microbit") == record(600, 300, 10, 20)


@pytest.mark.parametrize(
    ("now", "grown"),
    [
        ((600, 300, 10, 20), []),
        ((600, 310, 10, 20), ["a+b 300 -> 310"]),
        ((610, 290, 10, 20), ["a+b 600 -> 610"]),
        ((600, 300, 11, 20), ["all 10 -> 11"]),
    ],
)
def test_each_is_compared_with_the_one_in_its_place(now, grown):
    earlier = record(600, 300, 10, 20)
    assert _grown(earlier, record(*now), 1.0) == grown
    assert cells(record(*now), earlier) == ["600", "300", "10", "20", "1,000"]


def test_a_layer_called_all_is_not_the_whole():
    earlier = record(600, 300, 10, 20)
    assert _grown(earlier, record(600, 300, 10, 20, total=1011), 1.0) == ["all 1,000 -> 1,011"]


def test_where_their_number_changed_nobody_knows_which_is_which():
    earlier = record(600, 300, 10, 20)
    now = replace(earlier, layers=(LayerCount("a+b", 900, 1, "plain", ""), *earlier.layers))
    assert _grown(earlier, now, 1.0) == []
    assert cells(now, earlier) == ["", "", "", "10", "20", "1,000"]
