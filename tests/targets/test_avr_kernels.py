"""Depthwise convolutions on an AVR of any window, stride, padding, pooling and number of channels, with large sums;
and convolutions of which channels see only some others."""

from __future__ import annotations

from dataclasses import replace

import kernel_models
import numpy as np
import pytest
import workbench
from random_chains import Chain, on_one_image
from test_lanes_kernels import forced

from lenet_edge.formats.c_source import make_plan
from lenet_edge.hardware import boards, firmware, session
from lenet_edge.quantized import reference
from lenet_edge.quantized.model import Conv2d, QuantizedModel
from lenet_edge.quantized.verify import verify

FULL = (-128, 127)


def chain(seed: int, size: tuple[int, int, int], *layers, times: int = 1) -> QuantizedModel:
    """Depthwise layers of (window, stride, padding, clamp), one behind the other; `times` outputs for each channel."""
    made = Chain(seed, size, tie_free=True)
    for window, stride, padding, clamp in layers:
        made.depthwise(times, window, stride, padding, clamp)
    return made.build()


def extremes() -> QuantizedModel:
    """Every weight of half of the channels 126, of the others +-126."""
    model = chain(3, (9, 9, 6), ((3, 3), (1, 1), "same", FULL), ((5, 5), (2, 2), "same", FULL))
    layers = []
    for layer in model.layers:
        weights = np.where(np.random.default_rng(7).random(layer.weights.shape) < 0.5, -126, 126)
        weights[..., :3] = 126
        layers.append(replace(layer, weights=weights.astype(np.int8)))
    return QuantizedModel(tuple(layers))


MODELS = {
    "squares": lambda: chain(
        1, (12, 11, 5), ((3, 3), (1, 1), "same", FULL), ((3, 3), (2, 2), "same", None), ((1, 1), (1, 1), "valid", FULL)
    ),
    "oblongs": lambda: chain(
        2, (11, 13, 7), ((2, 5), (1, 2), "same", FULL), ((4, 1), (2, 1), "valid", None), ((3, 4), (1, 1), "same", FULL)
    ),
    "one channel": lambda: chain(5, (14, 9, 1), ((5, 3), (1, 1), "same", FULL), ((3, 3), (3, 1), "valid", FULL)),
    "extremes": extremes,
    "several outputs": lambda: chain(
        6, (9, 8, 3), ((3, 3), (1, 1), "same", FULL), ((2, 3), (2, 1), "same", None), times=3
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_depthwise_gives_the_reference_s_integers(name, tmp_path):
    workbench.need("atmega2560", "gcc", "simavr")
    board, model = boards.load("atmega2560"), MODELS[name]()
    assert {placed.kernel.name for placed in make_plan(model, "avr").steps} == {"avr depthwise"}
    images = kernel_models.images(model, 40)
    built = firmware.build(model, board, tmp_path / "firmware", toolchain="gcc")
    with session.connect(board, built.elf, model.fingerprint, emulator="simavr") as running:
        found = running.device.infer_all(images)
    np.testing.assert_array_equal(found, reference.run(model, images))


def pooled(tie_free: bool) -> QuantizedModel:
    """Poolings of any window behind depthwise layers of one image; two channels of each have the largest sums."""
    largest, models = (126, -126) if tie_free else (127, -128), []
    for seed, (times, window, stride, padding, pool) in enumerate(POOLED):
        made = Chain(seed, (13, 12, 3), tie_free=tie_free, zero_point=-5)
        layer, pooling = made.depthwise(times, window, stride, padding, FULL).pool(pool).layers
        weights = layer.weights.copy()
        weights[..., 0], weights[..., 1] = largest
        if window == LARGEST_WINDOW and not tie_free:  # outputs that do not saturate, of sums beyond -2^20
            scales = np.full(3, layer.output.scale / layer.input.scale / 13_000, np.float32)
            layer = replace(layer, bias=0 * layer.bias, weight_scales=scales)
        models.append(QuantizedModel((replace(layer, weights=weights), pooling)))
    return on_one_image(*models)


LARGEST_WINDOW = (9, 10)
POOLED = [
    (1, (3, 3), (1, 1), "same", (2, 2)),
    (1, (3, 3), (1, 1), "valid", (2, 2)),
    (2, (3, 3), (1, 1), "same", (2, 2)),
    (1, (3, 3), (2, 2), "same", (2, 2)),
    (1, (3, 3), (1, 1), "same", (3, 1)),
    (1, (2, 5), (1, 2), "same", (3, 2)),
    (1, (4, 1), (2, 1), "valid", (1, 4)),
    (2, (5, 5), (1, 1), "same", (2, 2)),
    (1, LARGEST_WINDOW, (1, 1), "valid", (2, 2)),
]


@pytest.mark.parametrize("tie_free", [True, False])
def test_pooled_depthwise_layers(tie_free, tmp_path):
    workbench.need("atmega2560", "gcc", "simavr")
    board, model = boards.load("atmega2560"), pooled(tie_free)
    kernels = [placed.kernel.name for placed in make_plan(model, "avr").steps if placed.kernel.name != "plain"]
    assert kernels == ["avr depthwise, 3 x 3, pooled 2 x 2"] * 3 + ["avr depthwise, pooled"] * 6
    images = kernel_models.images(model, 24)
    built = firmware.build(model, board, tmp_path / "firmware", toolchain="gcc")
    with session.connect(board, built.elf, model.fingerprint, emulator="simavr") as running:
        found = running.device.infer_all(images)
        assert running.device.hello().stack_used <= built.stack_depth
    np.testing.assert_array_equal(found, reference.run(model, images))


def partly_connected(tie_free: bool) -> QuantizedModel:
    """Both windows that have such tiles, padding, pooling and odd sizes; an output sees nothing, another everything."""
    made = Chain(21, (11, 12, 3), tie_free=tie_free, zero_point=-7)
    made.conv(6, (3, 3), padding="same", clamp=FULL).conv(9, (5, 5), padding="same", clamp=FULL).pool((2, 2))
    made.conv(5, (3, 3), padding="same").conv(7, (5, 5), padding="same", clamp=FULL)
    model, random, layers = made.build(), np.random.default_rng(5), []
    for layer in model.layers:
        if isinstance(layer, Conv2d):
            seen = random.random((len(layer.bias), 1, 1, layer.input.shape[2])) < 0.4
            seen[0], seen[-1] = False, True
            layer = replace(layer, weights=(layer.weights * seen).astype(np.int8))
        layers.append(layer)
    return verify(QuantizedModel(tuple(layers)))


@pytest.mark.parametrize("tie_free", [True, False])
def test_connections_that_do_not_exist(tie_free, tmp_path, monkeypatch):
    workbench.need("atmega2560", "gcc", "simavr")
    board, model = boards.load("atmega2560"), partly_connected(tie_free)
    forced(monkeypatch, ", connected")
    kernels = [placed.kernel.name for placed in make_plan(model, "avr").steps]
    assert kernels == [f"avr tiles, {taps} x {taps}, connected" for taps in (3, 5, 3, 5)]
    images = kernel_models.images(model, 8)
    built = firmware.build(model, board, tmp_path / "firmware", toolchain="gcc")
    with session.connect(board, built.elf, model.fingerprint, emulator="simavr") as running:
        found = running.device.infer_all(images)
    np.testing.assert_array_equal(found, reference.run(model, images))
