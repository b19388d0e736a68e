"""Convolutions of any geometry by le_positions_dsp.h give the integers of the reference, with either requantisation."""

from __future__ import annotations

import kernel_models
import numpy as np
import pytest
import workbench
from random_chains import Chain

from lenet_edge.errors import BadInputError
from lenet_edge.formats import c_source
from lenet_edge.formats.c_source import plan
from lenet_edge.formats.c_source.choice import candidates, choose
from lenet_edge.hardware import boards, firmware, session
from lenet_edge.quantized import reference
from lenet_edge.quantized.model import WEIGHTED, Conv2d

BOARD, KERNEL = "mps2-an386", "dsp positions"
FULL = (-128, 127)
IMAGES = 60
SEEDS = (0, 2, 3, 4, 5, 7, 11, 25)


def wherever_it_can(family, steps, names, packings, *, divisible):
    """`choose`, but the kernel for positions before all others."""
    kernels = choose(family, steps, names, packings, divisible=divisible)
    for index, (step, name) in enumerate(zip(steps, names, strict=True)):
        if isinstance(step.layer, WEIGHTED):
            found = candidates(family, step, name, divisible=divisible)
            wanted = [] if isinstance(found, str) else [kernel for kernel in found if kernel.name == KERNEL]
            kernels[index] = [*wanted, kernels[index]][0]
    return kernels


def _chain(seed):
    """Five convolutions of random windows, strides and paddings, some pooled, on few and many channels."""
    random = np.random.default_rng(seed)
    channels = int(random.choice([1, 2, 3, 4, 12]))
    tie_free, zero_point = seed % 2 == 0, int(random.choice([-128, -128, 9]))
    chain = Chain(seed, (int(random.integers(9, 17)), int(random.integers(9, 17)), channels), tie_free=tie_free)
    chain.current = type(chain.current)(chain.current.shape, chain.current.scale, zero_point)
    for _ in range(5):
        height, width, _ = chain.current.shape
        window = (int(random.integers(1, min(height, 5) + 1)), int(random.integers(1, min(width, 5) + 1)))
        window = (1, 1) if random.random() < 0.2 else window
        stride, padding = (
            (int(random.choice([1, 1, 2])), int(random.choice([1, 1, 3]))),
            random.choice(["same", "valid"]),
        )
        channels = int(random.choice([1, 2, 5, 6, 8, 16, 20]))
        clamp, zero_point = (FULL, -128) if random.random() < 0.4 else (FULL if random.random() < 0.5 else None, None)
        chain.conv(channels, window, stride, str(padding), clamp, zero_point=zero_point)
        if min(chain.current.shape[:2]) > 3 and random.random() < 0.4:
            chain.pool((2, 2), (2, int(random.choice([2, 3]))))
    return chain.build()


def chain(seed):
    while True:
        try:
            return _chain(seed)
        except BadInputError:
            seed += 1_000_002


@pytest.mark.parametrize("seed", SEEDS)
def test_any_geometry(seed, tmp_path, monkeypatch):
    workbench.need(BOARD, "gcc", "unicorn")
    monkeypatch.setattr(plan, "choose", wherever_it_can)
    model = chain(seed)
    steps = c_source.facts(c_source.make_plan(model, "cortex_m_dsp"))["steps"]
    assert [step["kernel"] for step in steps if step["macs"]] == [KERNEL] * 5
    images = kernel_models.images(model, IMAGES)
    built = firmware.build(model, boards.load(BOARD), tmp_path / "firmware", toolchain="gcc")
    with session.connect(boards.load(BOARD), built.elf, model.fingerprint, emulator="unicorn") as running:
        found = running.device.infer_all(images)
    np.testing.assert_array_equal(found, reference.run(model, images).reshape(found.shape))


def test_the_models_have_all_kinds_of_blocks(monkeypatch):
    """Three positions and four, each with every requantisation; windows by rows and as patches."""
    monkeypatch.setattr(plan, "choose", wherever_it_can)
    kinds = set()
    for seed in SEEDS:
        for placed in c_source.make_plan(chain(seed), "cortex_m_dsp").steps:
            if isinstance(placed.step.layer, Conv2d):
                kinds.add(placed.kernel.definitions.rpartition("le_positions_")[2].partition("_dsp")[0])
    assert kinds == {f"{count}_{rounding}" for count in (3, 4) for rounding in ("tie_free", "above", "double")}
