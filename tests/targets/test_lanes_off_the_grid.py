"""The kernels for scalar instruction sets with TFLM's requantisation: the reference's integers, on the chip."""

from __future__ import annotations

import contextlib

import kernel_models
import numpy as np
import pytest
import workbench
from random_chains import Chain

from lenet_edge.errors import BadInputError
from lenet_edge.formats import c_source
from lenet_edge.hardware import boards, firmware, session
from lenet_edge.quantized import reference

BOARDS = {"microbit": "unicorn", "mps2-an385": "unicorn", "sifive_e": "unicorn"}  # M0, M3, RV32
IMAGES = 60


def dense(seed):
    """A convolution of any geometry, perhaps with pooling, and two dense layers; odd weights, clamps, zero points."""
    random = np.random.default_rng(seed)
    size = [int(value) for value in random.integers((7, 7, 1), (13, 13, 4))]
    chain = Chain(seed, tuple(size), zero_point=int(random.integers(-128, 128)))
    window, stride = (tuple(int(value) for value in random.integers(1, most, 2)) for most in (6, 3))
    chain.conv(int(random.integers(1, 12)), window, stride, str(random.choice(["same", "valid"])))
    if min(chain.current.shape[:2]) >= 2 and random.random() < 0.6:
        chain.pool((2, 2))
    return chain.flatten().fully_connected(int(random.integers(1, 30))).fully_connected(5).build()


def models(make, count):
    """So many of its models: those for whose accumulators no int32 is too small."""
    seed, found = 0, []
    while len(found) < count:
        with contextlib.suppress(BadInputError):
            found.append(make(seed))
        seed += 1
    return found


@pytest.mark.parametrize("board", BOARDS)
def test_dense_kernels_give_the_reference_s_integers(board, tmp_path):
    workbench.need(board, "gcc", BOARDS[board])
    described = boards.load(board)
    for index, model in enumerate(models(dense, 4)):
        kernels = {step["kernel"] for step in c_source.facts(c_source.make_plan(model, described.cpu.kernels))["steps"]}
        assert kernels <= {"lanes matrix", "lanes matrix, by patches"}
        images = kernel_models.images(model, IMAGES)
        built = firmware.build(model, described, tmp_path / f"{index}", toolchain="gcc")
        with session.connect(described, built.elf, model.fingerprint, emulator=BOARDS[board]) as running:
            found = running.device.infer_all(images)
        np.testing.assert_array_equal(found, reference.run(model, images))
