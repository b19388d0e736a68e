"""TFLM's rounding with every shift from 1 to 31: no family loses a bit where a channel's scale is extreme."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import workbench

from lenet_edge.hardware import boards, firmware, session
from lenet_edge.quantized import reference
from lenet_edge.quantized.model import (
    Conv2d,
    DepthwiseConv2d,
    Flatten,
    FullyConnected,
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
SOURCE, TARGET = QTensor((6, 5, CHANNELS), 0.02, 3), QTensor((6, 5, CHANNELS), 0.05, -7)


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

    pooled, flat = dataclasses.replace(target, shape=(3, 2, CHANNELS)), dataclasses.replace(source, shape=(930,))
    depthwise = DepthwiseConv2d("depthwise", source, target, *arrays(3, 3, CHANNELS), padding="same")
    layers = (
        Conv2d("conv", source, target, *arrays(CHANNELS, 1, 1, CHANNELS)),
        dataclasses.replace(depthwise, name="alone"),
        depthwise,
        MaxPool2d("pool", target, pooled, (2, 2), (2, 2)),
        Flatten("flat", source, flat),
        FullyConnected("dense", flat, dataclasses.replace(target, shape=(CHANNELS,)), *arrays(CHANNELS, 930)),
    )
    reads = ((-1,), (-1,), (-1,), (2,), (-1,), (4,))
    return verify(QuantizedModel(layers, {}, reads, (0, 1, 3, 5)))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_shift_is_tflm_s(family, tmp_path):
    board = FAMILIES[family]
    workbench.need(board, "gcc")
    described, model = boards.load(board), every_shift(7)
    built = firmware.build(model, described, tmp_path / "firmware", toolchain="gcc")
    images = workbench.images(model, 12)
    with session.connect(described, built.elf, model.fingerprint) as running:
        np.testing.assert_array_equal(running.device.infer_all(images), reference.run(model, images))
