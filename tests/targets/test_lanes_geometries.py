"""The kernels for scalar instruction sets give the reference's integers on the chip, whatever the layer's geometry."""

from __future__ import annotations

import contextlib

import kernel_models
import numpy as np
import pytest
import workbench
from random_chains import Chain

from lenet_edge.errors import BadInputError
from lenet_edge.formats import c_source
from lenet_edge.formats.c_source import choice
from lenet_edge.hardware import boards, firmware, session
from lenet_edge.quantized import reference

BOARDS = {"microbit": "unicorn", "mps2-an385": "unicorn", "sifive_e": "unicorn"}  # M0, M3, RV32
IMAGES = 24


@pytest.fixture(autouse=True)
def _families_order(monkeypatch):
    """As if nothing had been counted, so that no plain kernel is the cheapest."""
    monkeypatch.setattr(choice, "_measured", lambda family: None)


def begun(seed, tie_free):
    random = np.random.default_rng(seed)
    size = tuple(int(value) for value in random.integers((7, 7, 1), (14, 14, 6)))
    return random, Chain(seed, size, tie_free=tie_free, zero_point=int(random.integers(-128, 128)))


def pair(random, least, most):
    return tuple(int(value) for value in random.integers(least, most + 1, 2))


def dense(seed):
    """Off the grid: a convolution, perhaps with pooling, and two dense layers; odd weights, clamps, zero points."""
    random, chain = begun(seed, tie_free=False)
    chain.conv(int(random.integers(1, 12)), pair(random, 1, 5), pair(random, 1, 2), chain.pick("same", "valid"))
    if min(chain.current.shape[:2]) >= 2 and random.random() < 0.6:
        chain.pool((2, 2))
    return chain.flatten().fully_connected(int(random.integers(1, 30))).fully_connected(5).build()


def depthwise(seed, tie_free):
    """Layers of 3 x 3 down the columns, with any padding on each side, of any other geometry, and one with pooling."""
    random, chain = begun(seed, tie_free)
    chain.depthwise(1, (3, 3), (1, int(random.integers(1, 3))), "same")
    chain.pad(pair(random, 0, 2), pair(random, 0, 2)).depthwise(1, (3, 3), pair(random, 1, 2))
    chain.depthwise(1, (3, 3), pair(random, 1, 2), chain.pick("same", "valid"))
    chain.depthwise(1, pair(random, 1, 6), pair(random, 1, 3), "same")
    if min(chain.current.shape[:2]) >= 2:
        chain.depthwise(1, pair(random, 1, 4), padding="same").pool((2, 2), pair(random, 2, 3))
    return chain.depthwise(1, (3, 3), padding="same").build()


def first(make, count, *rest):
    """So many of its models: those for whose accumulators an int32 is enough."""
    seed, found = 0, []
    while len(found) < count:
        with contextlib.suppress(BadInputError):
            found.append(make(seed, *rest))
        seed += 1
    return found


def check(model, board, folder):
    described = boards.load(board)
    images = kernel_models.images(model, IMAGES)
    built = firmware.build(model, described, folder, toolchain="gcc")
    with session.connect(described, built.elf, model.fingerprint, emulator=BOARDS[board]) as running:
        found = running.device.infer_all(images)
    np.testing.assert_array_equal(found.reshape(IMAGES, -1), reference.run(model, images).reshape(IMAGES, -1))
    return {step["kernel"] for step in c_source.facts(c_source.make_plan(model, described.cpu.kernels))["steps"]}


@pytest.mark.parametrize("board", BOARDS)
def test_dense_layers_off_the_grid(board, tmp_path):
    workbench.need(board, "gcc", BOARDS[board])
    for index, model in enumerate(first(dense, 2)):
        assert all(kernel.startswith("lanes ") for kernel in check(model, board, tmp_path / f"{index}"))


@pytest.mark.parametrize("tie_free", [True, False])
@pytest.mark.parametrize("board", BOARDS)
def test_depthwise_layers(board, tie_free, tmp_path):
    workbench.need(board, "gcc", BOARDS[board])
    for index, model in enumerate(first(depthwise, 3, tie_free)):
        assert check(model, board, tmp_path / f"{index}") == {"lanes depthwise", "lanes depthwise, 3 x 3"}
