"""Every family of fast kernels gives the integers of the reference, on the chip, for any geometry."""

from __future__ import annotations

import dataclasses

import kernel_models
import numpy as np
import pytest
import workbench
from random_chains import Chain

from lenet_edge.formats import c_source
from lenet_edge.hardware import boards, firmware, session
from lenet_edge.quantized import reference

# Family -> the board that runs it, compiler and emulator.
FAMILIES = {
    "avr": ("atmega2560", "gcc", "simavr"),
    "cortex_m_base": ("microbit", "gcc", "unicorn"),
    "cortex_m_dsp": ("mps2-an386", "gcc", "unicorn"),
    "cortex_m_mve": ("mps3-an547", "gcc", "qemu"),
    "rv32": ("sifive_e", "gcc", "unicorn"),
}
# tests/kernels/test_x86_kernels.py, test_neon_kernels.py, test_compact_kernels.py (test_small_chip.py here)
ON_THE_HOST = {"x86", "neon", "rv32e"}
FULL = (-128, 127)
IMAGES = 400  # of each of nine models or more: 3,600
SLOW = {
    "avr": 112,
    "cortex_m_mve": 64,
}  # whose emulators take 10 to 80 ms for an image; all kinds of images all the same
NAMES = ("extremes", *(f"lenet-like {seed}" for seed in range(8)))
ORDINARY = ("ordinary extremes", *(f"ordinary {seed}" for seed in range(4)))  # TFLM's rounding
DEAD = {"cortex_m_base", "cortex_m_dsp"}  # families that had none for layers with such channels
DOUBLE_ROUNDING = {"cortex_m_dsp"}  # families that have it
DEPTHWISE = {"cortex_m_dsp"}  # and that
DEPTHWISE_NAMES = (
    *(f"depthwise {seed}" for seed in (3, 12, 17)),
    *(f"ordinary depthwise {seed}" for seed in (0, 12, 17)),
)


def names_for(family):
    own = [(ORDINARY, DOUBLE_ROUNDING), (DEPTHWISE_NAMES, DEPTHWISE), (("dead filters",), DEAD)]
    return (*NAMES, *(name for names, families in own if family in families for name in names))


def fast_steps(model, family):
    return [step for step in c_source.facts(c_source.make_plan(model, family))["steps"] if step["kernel"] != "plain"]


@pytest.mark.parametrize(("family", "name"), [(family, name) for family in FAMILIES for name in names_for(family)])
def test_fast_kernels_give_the_emulator_s_integers(family, name, tmp_path):
    compare(kernel_models.MODELS[name](), family, SLOW.get(family, IMAGES), tmp_path)


def compare(model, family, count, folder):
    """The board gives the reference's integers on so many images."""
    board, compiler, emulator = FAMILIES[family]
    workbench.need(board, compiler, emulator)
    described = boards.load(board)
    described = dataclasses.replace(described, cpu=dataclasses.replace(described.cpu, kernels=family))
    images = kernel_models.images(model, count)
    built = firmware.build(model, described, folder / "firmware", toolchain=compiler)
    with session.connect(described, built.elf, model.fingerprint, emulator=emulator) as running:
        found = running.device.infer_all(images)
    np.testing.assert_array_equal(found, reference.run(model, images))


def separable(*, tie_free):
    """Two pairs of a depthwise layer and a 1x1, the first on a map so large that bands of rows save memory; pooling."""
    chain = Chain(7, (28, 28, 1), tie_free=tie_free).conv(8, (3, 3), padding="same", clamp=FULL)
    chain.depthwise(1, (3, 3), padding="same", clamp=FULL).conv(16, (1, 1), clamp=FULL)
    chain.depthwise(1, (3, 3), (2, 2), "same", FULL).conv(7, (1, 1), clamp=FULL).pool((2, 2))
    return chain.flatten().fully_connected(10, FULL).build()


@pytest.mark.parametrize(("family", "tie_free"), [("cortex_m_dsp", True), ("cortex_m_mve", False)])
def test_bands_of_rows_give_the_emulator_s_integers(family, tie_free, tmp_path):
    model = separable(tie_free=tie_free)
    (banded,) = (placed for placed in c_source.make_plan(model, family).steps if placed.step.ahead)
    assert "plain" not in banded.kernel.name
    assert sum(times for *_, times in banded.kernel.parts) >= 2 * 5
    compare(model, family, 24, tmp_path)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_models_take_the_fast_paths(family):
    """Were all of them plain, the test above would show nothing."""
    kernels = {step["kernel"] for name in NAMES for step in fast_steps(kernel_models.MODELS[name](), family)}
    assert len(kernels) >= 2, kernels
    assert len(fast_steps(workbench.LENET5, family)) == 5
    if family in DOUBLE_ROUNDING:
        kernels = {step["kernel"] for name in ORDINARY for step in fast_steps(kernel_models.MODELS[name](), family)}
        assert len(kernels) >= 2, kernels


def test_no_family_is_left_out():
    assert {c_source.PLAIN, *FAMILIES, *ON_THE_HOST} == set(c_source.FAMILIES)
    assert {boards.load(name).cpu.kernels for name in boards.board_names()} <= {c_source.PLAIN, "rv32e", *FAMILIES}
