"""Kernels of the lanes that the choice by cost leaves out for small layers: any geometry, on the chips, by force."""

from __future__ import annotations

import dataclasses

import kernel_models
import numpy as np
import pytest
import workbench
from random_chains import Chain

from lenet_edge.formats import c_source
from lenet_edge.formats.c_source import plan
from lenet_edge.formats.c_source.choice import candidates, choose
from lenet_edge.hardware import boards, firmware, session
from lenet_edge.quantized import reference
from lenet_edge.quantized.model import Conv2d, QuantizedModel
from lenet_edge.quantized.verify import verify

BOARDS = {"microbit": "cortex_m_base", "mps2-an385": "cortex_m_base", "sifive_e": "rv32"}
FULL = (-128, 127)


def windows(seed, tie_free):
    """Convolutions of many geometries one behind the other; edges, strides, odd channels, poolings of any window."""
    chain = Chain(seed, (29, 30, 3), tie_free=tie_free, zero_point=(-128, 5)[seed % 2])
    chain.conv(7, (3, 4), (1, 2), "same", FULL)
    chain.conv(5, (1, 1), clamp=None).conv(8, (4, 3), padding="same", clamp=FULL).pool((2, 2))
    chain.conv(1, (3, 3), (2, 1), "same", FULL).conv(2, (1, 1), clamp=FULL)
    chain.conv(9, (2, 3), padding="same", clamp=FULL).pool((2, 1))
    chain.conv(12, (5, 5), padding="same", clamp=FULL).pool((1, 3))
    return chain.flatten().fully_connected(10, FULL).build()


def forced(monkeypatch, part):
    """Every convolution gets the kernel with `part` in its name, if it has one."""

    def picked(family, steps, names, packings, *, divisible):
        kernels = choose(family, steps, names, packings, divisible=divisible)
        for index, (step, name) in enumerate(zip(steps, names, strict=True)):
            if isinstance(step.layer, Conv2d):
                found = candidates(family, step, name, divisible=divisible)
                kernels[index] = next((kernel for kernel in found if part in kernel.name), kernels[index])
        return kernels

    monkeypatch.setattr(plan, "choose", picked)


@pytest.mark.parametrize(("toolchain", "tie_free"), [("gcc", True), ("zig", False)])
@pytest.mark.parametrize("board", BOARDS)
def test_positions_give_the_emulator_s_integers(board, toolchain, tie_free, tmp_path, monkeypatch):
    workbench.need(board, toolchain, "unicorn")
    described = boards.load(board)
    described = dataclasses.replace(described, cpu=dataclasses.replace(described.cpu, kernels=BOARDS[board]))
    model = windows(list(BOARDS).index(board), tie_free)
    forced(monkeypatch, "positions")
    steps = c_source.facts(c_source.make_plan(model, BOARDS[board]))["steps"]
    assert sum("positions" in step["kernel"] for step in steps) == 7
    images = kernel_models.images(model, 50)
    built = firmware.build(model, described, tmp_path / "firmware", toolchain=toolchain)
    with session.connect(described, built.elf, model.fingerprint, emulator="unicorn") as running:
        found = running.device.infer_all(images)
    np.testing.assert_array_equal(found, reference.run(model, images))


def partly_connected(seed):
    """Every window that has tiles, odd numbers of channels, one that sees nothing; with padding and pooling."""
    random = np.random.default_rng(seed)
    chain = Chain(seed, (17, 18, 3), tie_free=True, zero_point=(-128, 5)[seed % 2])
    chain.conv(6, (3, 3), padding="same", clamp=FULL).conv(16, (5, 5), clamp=FULL)
    chain.conv(7, (3, 3), padding="same", clamp=FULL).pool((2, 2)).conv(1, (1, 1), clamp=FULL).conv(5, (1, 1))
    chain.conv(9, (5, 5), padding="same", clamp=FULL).pool((2, 2))
    model = chain.flatten().fully_connected(10, FULL).build()
    layers = list(model.layers)
    for index, layer in enumerate(layers):
        if isinstance(layer, Conv2d):
            seen = random.random((len(layer.bias), 1, 1, layer.input.shape[2])) < 0.4
            seen[0, ..., 0] = False
            layers[index] = dataclasses.replace(layer, weights=(layer.weights // 4 * 2 * seen).astype(np.int8))
    return verify(QuantizedModel(tuple(layers), model.metadata))


@pytest.mark.parametrize("board", BOARDS)
def test_connections_that_do_not_exist(board, tmp_path, monkeypatch):
    workbench.need(board, "gcc", "unicorn")
    described = boards.load(board)
    model = partly_connected(list(BOARDS).index(board))
    forced(monkeypatch, "connected")
    steps = c_source.facts(c_source.make_plan(model, BOARDS[board]))["steps"]
    assert sum(step["kernel"] == "lanes tiles, connected" for step in steps) == 5  # all but that on one channel
    images = kernel_models.images(model, 10)
    built = firmware.build(model, described, tmp_path / "firmware", toolchain="gcc")
    with session.connect(described, built.elf, model.fingerprint, emulator="unicorn") as running:
        found = running.device.infer_all(images)
    np.testing.assert_array_equal(found, reference.run(model, images))
