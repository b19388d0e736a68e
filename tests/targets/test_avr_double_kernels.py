"""Ordinary models on an AVR: TFLM's requantisation at the ends of what it takes, and kernels of any geometry."""

from __future__ import annotations

from dataclasses import replace

import kernel_models
import numpy as np
import pytest
import workbench
from random_chains import Chain, on_one_image

from lenet_edge.formats.c_source import make_plan
from lenet_edge.hardware import boards, firmware, session
from lenet_edge.quantized import reference
from lenet_edge.quantized.model import FullyConnected, QTensor, QuantizedModel
from lenet_edge.quantized.requantize import multipliers
from lenet_edge.quantized.tie_free import quantize_multiplier
from lenet_edge.quantized.verify import verify

FULL = (-128, 127)
OUTPUTS, INPUTS = 480, 5
LARGEST = 2**23 - 1


def every_multiplier() -> QuantizedModel:
    """A dense layer with shifts from -31 to 7, multipliers from 2^30 to 2^31 - 128, sums up to 2^23 - 1."""
    random = np.random.default_rng(11)
    source, target = QTensor((INPUTS, 1, 1), 0.5, 3), QTensor((OUTPUTS,), 0.5, -9)
    shifts = np.resize(np.arange(-31, 8), OUTPUTS)
    mantissas = np.where(np.arange(OUTPUTS) % 5 == 0, random.choice([2**30, 2**31 - 128], OUTPUTS), 0)
    mantissas = np.where(
        mantissas == 0, random.integers(2**23, 2**24, OUTPUTS) << 7, mantissas
    )  # a float32 has 24 bits
    scales = np.ldexp(mantissas.astype(np.float64), shifts - 31).astype(np.float32)
    found = quantize_multiplier(scales.astype(float))
    assert set(found[1]) >= set(range(-30, 8))
    weights = random.integers(-128, 128, (OUTPUTS, INPUTS))
    weights[shifts > 0] //= 64
    most = LARGEST >> np.maximum(shifts, 0)
    left = most - 131 * np.abs(weights).sum(axis=1)  # for the bias
    assert left.min() > 0
    inside = np.minimum(left, (300 / scales.astype(np.float64)).astype(np.int64))  # where the outputs do not saturate
    bias = np.where(np.arange(OUTPUTS) % 4 == 3, random.choice([-1, 1], OUTPUTS) * left, 0)
    bias = np.where(bias == 0, random.integers(-inside, inside + 1), bias)
    rest = (weights.astype(np.int8), bias.astype(np.int32), scales, *FULL)
    flat = Chain(1, source.shape, zero_point=3).flatten().layers[0]
    flat = replace(flat, input=source, output=replace(source, shape=(INPUTS,)))
    return verify(QuantizedModel((flat, FullyConnected("dense", flat.output, target, *rest))))


def beyond_an_int24() -> QuantizedModel:
    """Outputs next to 2^23 of multipliers just below 1, 2, ... 128, to which the zero point is added; some negative."""
    source, target = QTensor((INPUTS, 1, 1), 0.5, 3), QTensor((16,), 0.5, 100)
    left, weights = np.arange(16) % 8, np.zeros((16, INPUTS), np.int8)
    weights[:, 0] = 1
    most = (LARGEST >> left) - (127 - 3)
    bias = np.where(np.arange(16) < 8, most, -(LARGEST >> left) + (128 + 3))
    scales = np.ldexp(1 - 2.0**-24, left).astype(np.float32)
    flat = Chain(1, source.shape, zero_point=3).flatten().layers[0]
    flat = replace(flat, input=source, output=replace(source, shape=(INPUTS,)))
    rest = (weights, bias.astype(np.int32), scales, *FULL)
    return verify(QuantizedModel((flat, FullyConnected("dense", flat.output, target, *rest))))


def geometries() -> QuantizedModel:
    """What each kernel takes, on one image: tiles, matrices by patches, depthwise; odd weights, -128, zero points."""
    kinds = [
        lambda chain: chain.conv(5, (1, 1)),
        lambda chain: chain.conv(4, (1, 1), clamp=FULL).pool((2, 2)),
        lambda chain: chain.conv(3, (3, 3), padding="same"),
        lambda chain: chain.conv(7, (3, 3), clamp=FULL).pool((2, 2)),
        lambda chain: chain.conv(2, (5, 5), padding="same").pool((2, 2)),
        lambda chain: chain.conv(3, (5, 5)),
        lambda chain: chain.conv(8, (2, 3), (2, 1), "same").pool((3, 1)),
        lambda chain: chain.depthwise(1, (3, 3), (1, 1), "same"),
        lambda chain: chain.depthwise(1, (4, 2), (2, 3), "same", FULL),
        lambda chain: chain.depthwise(3, (3, 3), (1, 2), "valid"),
    ]
    models = []
    for seed, kind in enumerate(kinds):
        layer, *others = kind(Chain(seed, (7, 8, 3), zero_point=-5)).layers
        weights = layer.weights.copy()
        weights.flat[::3] = np.where(np.arange(weights.flat[::3].size) % 2, -128, 127)
        models.append(QuantizedModel((replace(layer, weights=weights), *others)))
    return on_one_image(*models)


KERNELS = {
    every_multiplier: {"avr matrix"},
    beyond_an_int24: {"avr matrix"},
    geometries: {"avr matrix, by patches", "avr depthwise", *(f"avr tiles, {taps} x {taps}" for taps in (1, 3, 5))},
}


@pytest.mark.parametrize("make", KERNELS)
def test_ordinary_models_are_tflm_s(make, tmp_path):
    workbench.need("atmega2560", "gcc", "simavr")
    board, model = boards.load("atmega2560"), make()
    found = {placed.kernel.name for placed in make_plan(model, "avr").steps}
    assert found - {"plain"} == KERNELS[make]
    images = kernel_models.images(model, 24)
    built = firmware.build(model, board, tmp_path / "firmware", toolchain="gcc")
    with session.connect(board, built.elf, model.fingerprint, emulator="simavr") as running:
        np.testing.assert_array_equal(running.device.infer_all(images), reference.run(model, images))


@pytest.mark.parametrize("tie_free", [True, False])
def test_the_stack_is_as_deep_as_it_is_proved(tie_free, tmp_path):
    """Through the pointers to what computes a tile, or a position of a depthwise convolution, with either rounding."""
    workbench.need("uno", "gcc", "simavr")
    chain = Chain(1, (8, 8, 2), tie_free=tie_free, zero_point=-128).depthwise(1, (3, 3), clamp=FULL)
    model, board = chain.conv(3, (3, 3), clamp=FULL).pool((2, 2)).build(), boards.load("uno")
    assert [placed.kernel.name for placed in make_plan(model, "avr").steps] == ["avr depthwise", "avr tiles, 3 x 3"]
    built = firmware.build(model, board, tmp_path / "firmware", toolchain="gcc")
    with session.connect(board, built.elf, model.fingerprint, emulator="simavr") as running:
        running.device.infer_all(kernel_models.images(model, 1))
        assert 0 < running.device.hello().stack_used <= built.stack_depth
    assert ("le_tile_3_avr_s8" if tie_free else "le_tile_3_double_avr_s8") in built.stack_path


def test_the_reference_is_exact_integers():
    """On the same sums: what it is compared with above rounds as gemmlowp's templates do, in integers of any size."""
    model = every_multiplier()
    (layer,) = model.layers[1:]
    by = multipliers(layer, "tflm")
    images = kernel_models.images(model, 24)
    x = images.reshape(len(images), -1).astype(np.int64) - layer.input.zero_point
    wanted = []
    for sums in (x @ layer.weights.astype(np.int64).T + layer.bias).tolist():
        for sum_, multiplier, shift in zip(sums, by.mantissa.tolist(), by.shift.tolist(), strict=True):
            high = (sum_ * 2 ** max(shift, 0) * multiplier + 2**30) >> 31
            right = max(-shift, 0)
            half_away = (abs(high) + (1 << right >> 1)) >> right
            wanted.append(min(max((half_away if high >= 0 else -half_away) + layer.output.zero_point, -128), 127))
    found = reference.run(model, images)
    assert len(np.unique(found)) > 200
    np.testing.assert_array_equal(found.ravel(), wanted)
