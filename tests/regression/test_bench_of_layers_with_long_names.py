"""The names that TensorFlow's converter joins filled the table of `bench`, and not one figure was left beside them."""

import io

import pytest
from rich.console import Console

from lenet_edge.cli.bench import _tables
from lenet_edge.records.bench import LayerCount, parse_bench

NAME = "model_4/activation_{0}/Relu;model_4/batch_normalization_{0}/FusedBatchNormV3;model_4/conv2d_{0}/Conv2D1"
GRID = "the model is not on the tie-free grid"
COUNTS = {28: 147_728_664, 29: 9_600_046, 30: 138_385_972, 31: 801_123}


def shown(layers, width):
    record = parse_bench(
        {
            "board": "pico",
            "fingerprint": "0" * 64,
            "toolchain": "arm-none-eabi-gcc 12.2.1",
            "unit": "instructions",
            "total": 801_859_161,
            "mean": 801_859_161,
            "layers": [vars(layer) for layer in layers],
            "emulator": "unicorn",
            "optimize": "speed",
            "images": 1,
            "flash_bytes": 497_768,
            "ram_bytes": 123_316,
            "stack_used_bytes": 412,
        }
    )
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as captured:
        for table in _tables(record, None):
            console.print(table, soft_wrap=isinstance(table, str))
    return captured.get()


@pytest.mark.parametrize("width", [80, 200])
def test_their_figures_are_shown(width):
    layers = [LayerCount(NAME.format(n), count, 14_745_600, "plain", GRID) for n, count in COUNTS.items()]
    text = shown(layers, width)
    for number, count in COUNTS.items():
        (line,) = (line for line in text.splitlines() if f"conv2d_{number}/Conv2D1" in line)
        assert f"{count:,}" in line
        assert "14,745,600" in line
    assert "801,859,161" in text
    assert "unicorn: instructions per inference, one image" in text


def test_a_reason_is_given_once():
    layers = [LayerCount(NAME.format(n), count, 14_745_600, "plain", GRID) for n, count in COUNTS.items()]
    fast, alone = LayerCount("S2", 7, 0, "plain", ""), LayerCount("C9", 7, 1, "plain", "its window is too large")
    text = shown([*layers, fast, alone], 80)
    assert text.count(GRID) == 1
    assert f"4 layers: plain kernels, since {GRID}" in text
    assert "C9: plain kernel, since its window is too large" in text
    two = shown([LayerCount(name, 7, 1, "plain", GRID) for name in ("C1", "C3")], 80)
    assert f"C1, C3: plain kernels, since {GRID}" in two
