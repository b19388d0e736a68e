"""`bench --compare` divided by an earlier count of 0: a step that costs nothing, such as a flatten."""

from dataclasses import replace

from lenet_edge.cli.bench import _tables
from lenet_edge.records import BenchRecord, LayerCount

NOW = BenchRecord(
    board="microbit",
    emulator="unicorn",
    toolchain="gcc 12",
    optimize="speed",
    fingerprint="0" * 64,
    image_sha256="1" * 64,
    images=1,
    unit="cycles",
    total=100,
    mean=100,
    layers=(LayerCount("flatten", 12, 0, "plain", ""),),
    flash_bytes=1,
    ram_bytes=1,
    stack_used_bytes=1,
)


def test_the_change_is_left_out():
    earlier = replace(NOW, layers=(LayerCount("flatten", 0, 0, "plain", ""),))
    columns = {str(column.header): [str(cell) for cell in column.cells] for column in _tables(NOW, earlier)[0].columns}
    assert columns["earlier"] == ["0", "100"]
    assert columns["change"] == ["", "+0.00 %"]
