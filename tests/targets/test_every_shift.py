"""TFLM's rounding with every shift from 1 to 31, and geometries that no one draws: no family loses a bit, or writes
beyond its outputs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import workbench
from random_chains import Chain

from lenet_edge.hardware import boards, firmware, session
from lenet_edge.quantized import reference
from lenet_edge.quantized.model import (
    Conv2d,
    DepthwiseConv2d,
    Flatten,
    FullyConnected,
    Layer,
    MaxPool2d,
    QTensor,
    QuantizedModel,
)
from lenet_edge.quantized.tie_free import quantize_multiplier
from lenet_edge.quantized.verify import verify

FAMILIES = {
    "avr": "atmega2560",
    "cortex_m_base": "microbit",
    "cortex_m_dsp": "mps2-an386",
    "cortex_m_mve": "mps3-an547",
    "rv32": "sifive_e",
}
CHANNELS = 31
SOURCE, TARGET = QTensor((6, 4, CHANNELS), 0.02, 3), QTensor((6, 4, CHANNELS), 0.05, -7)


def every_shift(seed: int) -> QuantizedModel:
    """A convolution, a depthwise one by itself and with a pooling, and a dense layer, each with 31 shifts."""
    random = np.random.default_rng(seed)
    source, target = (dataclasses.replace(t, scale=float(np.float32(t.scale))) for t in (SOURCE, TARGET))
    reals = 2.0 ** -np.arange(1.0, CHANNELS + 1) * random.uniform(0.51, 0.99, CHANNELS)
    scales = (reals * target.scale / source.scale).astype(np.float32)
    shifts = quantize_multiplier(source.scale * scales.astype(float) / target.scale)[1]
    assert set(-shifts) == set(range(1, CHANNELS + 1))

    def arrays(*shape: int):
        weights = random.integers(-127, 128, shape).astype(np.int8)
        return weights, random.integers(-(2**17), 2**17, CHANNELS).astype(np.int32), scales

    pooled, flat = dataclasses.replace(target, shape=(3, 2, CHANNELS)), dataclasses.replace(source, shape=(744,))
    depthwise = DepthwiseConv2d("depthwise", source, target, *arrays(3, 3, CHANNELS), padding="same")
    layers = (
        Conv2d("conv", source, target, *arrays(CHANNELS, 1, 1, CHANNELS)),
        dataclasses.replace(depthwise, name="alone"),
        depthwise,
        MaxPool2d("pool", target, pooled, (2, 2), (2, 2)),
        Flatten("flat", source, flat),
        FullyConnected("dense", flat, dataclasses.replace(target, shape=(CHANNELS,)), *arrays(CHANNELS, 744)),
    )
    reads = ((-1,), (-1,), (-1,), (2,), (-1,), (4,))
    return verify(QuantizedModel(layers, {}, reads, (0, 1, 3, 5)))


def odd_geometries(*, tie_free: bool) -> QuantizedModel:
    """Poolings of 1 x 1 with strides, behind convolutions and depthwise ones."""
    layers: list[Layer] = []
    for seed, stride in enumerate(((2, 2), (2, 1), (1, 3))):
        for part in range(3):
            chain = Chain(seed, (7, 8, 5), tie_free=tie_free, zero_point=9)
            kinds = [
                lambda chain: chain.conv(6, (3, 3)),
                lambda chain: chain.depthwise(1, (3, 3), padding="same"),
                lambda chain: chain.conv(9, (1, 1)),
            ]
            layers += kinds[part](chain).pool((1, 1), stride).layers
    scale = layers[0].input.scale
    assert {layer.input for layer in layers[::2]} == {QTensor((7, 8, 5), scale, 9)}
    reads = tuple((index - 1,) if index % 2 else (-1,) for index in range(len(layers)))
    return verify(QuantizedModel(tuple(layers), {}, reads, tuple(range(1, len(layers), 2))))


def one_pixel_wide(*, tie_free: bool) -> QuantizedModel:
    """A stride along an axis of one pixel means nothing."""
    chain = Chain(3, (5, 1, 16), tie_free=tie_free).conv(6, (1, 1), (1, 2)).depthwise(1, (3, 1), (1, 3), "same")
    return chain.conv(4, (3, 1), (2, 3), "same").build()


@pytest.mark.parametrize("make", [odd_geometries, one_pixel_wide])
@pytest.mark.parametrize("family", FAMILIES)
def test_geometries_that_no_one_draws(family, make, tmp_path):
    board = FAMILIES[family]
    workbench.need(board, "gcc")
    described = boards.load(board)
    for tie_free in (True, False):
        model = make(tie_free=tie_free)
        built = firmware.build(model, described, tmp_path / f"firmware-{tie_free}", toolchain="gcc")
        images = workbench.images(model, 4)
        with session.connect(described, built.elf, model.fingerprint) as running:
            np.testing.assert_array_equal(running.device.infer_all(images), reference.run(model, images))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_shift_is_tflm_s(family, tmp_path):
    board = FAMILIES[family]
    workbench.need(board, "gcc")
    described, model = boards.load(board), every_shift(7)
    built = firmware.build(model, described, tmp_path / "firmware", toolchain="gcc")
    images = workbench.images(model, 12)
    with session.connect(described, built.elf, model.fingerprint) as running:
        np.testing.assert_array_equal(running.device.infer_all(images), reference.run(model, images))
