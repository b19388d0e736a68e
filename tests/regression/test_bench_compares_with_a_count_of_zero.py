"""`bench --compare` divided by an earlier count of 0: a step that costs nothing, such as a flatten."""

import json

from lenet_edge.cli.bench import _read_record, _tables

LAYERS = [{"name": "flatten", "count": 12, "macs": 0, "kernel": "plain", "why_plain": ""}]
RECORD = {"board": "microbit", "fingerprint": "0" * 64, "toolchain": "gcc 12", "unit": "cycles", "total": 100}


def test_the_change_is_left_out(tmp_path):
    path = tmp_path / "bench.json"
    path.write_text(json.dumps({**RECORD, "layers": [{"name": "flatten", "count": 0}]}))
    earlier = _read_record(path, "microbit")
    now = {**RECORD, "layers": LAYERS, "emulator": "unicorn", "images": 1}
    now |= {"mean": 100, "flash_bytes": 1, "ram_bytes": 1, "stack_used_bytes": 1}
    table = _tables(now, earlier)[0]
    earlier_counts, changes = ([str(cell) for cell in column.cells] for column in table.columns[-2:])
    assert earlier_counts == ["0", "100"]
    assert changes == ["", "+0.00 %"]
