"""What `fits` estimates, against firmware that is built and run: one board of each family of kernels.

None of these networks was measured; how far off estimates are at most is in docs/how-to/will-it-fit.md.
"""

from __future__ import annotations

import json

import estimated_networks
import numpy as np
import pytest
import workbench

from lenet_edge.estimate import estimate
from lenet_edge.formats import tflite
from lenet_edge.hardware import boards, session

MODELS = estimated_networks.tested()
FLASH, RAM, COUNT = 0.03, 16, 1.1  # a share; bytes; at most so many times more or less
BOARDS = ("pico", "mps2-an386", "esp32-c3", "atmega2560", "mps3-an547")
CASES = [*((name, "speed") for name in MODELS), ("separable", "size"), ("drawn 100", "size")]


@pytest.mark.parametrize("board", BOARDS)
def test_estimates_are_those_of_the_build_and_of_bench(build, board):
    workbench.need(board, "gcc")
    described, off = boards.load(board), {}
    for name, optimize in CASES:
        model = MODELS[name]
        found, built = estimate(model, described, optimize), build(board, "gcc", model, optimize)
        flash, ram = found.flash_bytes / built.sizes.flash - 1, found.ram_bytes - built.sizes.ram
        with session.connect(described, built.elf, model.fingerprint, count=True) as running:
            running.device.infer_all(workbench.images(model, 2))
            counted = np.mean([sum(call.cycles or call.instructions) for call in running.counts()[-2:]])
        off[name, optimize] = (round(flash, 4), ram, round(found.count.about / counted, 3))
        assert found.count.unit == ("cycles" if described.cpu.arch == "avr" else "instructions")
    print(board, off)
    assert max(abs(flash) for flash, *_ in off.values()) <= FLASH, off
    assert max(abs(ram) for _, ram, _ in off.values()) <= RAM, off
    assert min(ratio for *_, ratio in off.values()) >= 1 / COUNT, off
    assert max(ratio for *_, ratio in off.values()) <= COUNT, off


def test_build_gives_the_bytes_of_the_firmware(build, cli):
    model = MODELS["unseen"]
    cli.model.write_bytes(tflite.to_bytes(model))
    done = cli("fits", cli.model, "--build", "--toolchain", "gcc", "--board", "microbit", "--json")
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)["boards"]
    built = build("microbit", "gcc", model)
    assert (found["flash_bytes"], found["ram_bytes"]) == (built.sizes.flash, built.sizes.ram)
    assert found["toolchain"] == built.toolchain
    assert not (cli.folder / "build").exists()
