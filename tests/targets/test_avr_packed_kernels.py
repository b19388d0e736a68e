"""Packed weights on AVRs: rows and outputs that fill no group of 4, 5 or 6, the largest weights, the smallest q."""

from __future__ import annotations

from dataclasses import replace

import kernel_models
import numpy as np
import pytest
import workbench
from packed_models import LARGEST
from random_chains import Chain

from lenet_edge.formats.c_source import make_plan
from lenet_edge.hardware import boards, firmware, session
from lenet_edge.quantized import reference
from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.quantized.tie_free import ADMISSIBLE_Q, grid_scale

PACKINGS = {"trits of 313": "trits", "four bits of 43": "4", "trits of 26": "trits", "four bits of 31": "4"}
CHANNELS = {"trits of 313": 43, "four bits of 43": 26, "trits of 26": 31, "four bits of 31": 7}


def model() -> QuantizedModel:
    """Rows of 313, 43, 26 and 31 weights; a channel is all +k, one all -k: doubled sums take 24 bits."""
    random = np.random.default_rng(5)
    chain = Chain(5, (313, 1, 1), tie_free=True, zero_point=17).flatten()
    for name, packing in PACKINGS.items():
        chain.fully_connected(CHANNELS[name], (-128, 127), name)
        layer, most = chain.layers[-1], LARGEST[packing]
        output = replace(layer.output, zero_point=-9)
        k = random.integers(-most, most + 1, layer.weights.shape)
        k[0], k[-1] = most, -most
        usual = 74 * np.sqrt((k**2).sum(axis=1)) / 40 * random.uniform(0.5, 2, len(k))  # outputs fill int8
        q = [1, *(min(ADMISSIBLE_Q, key=lambda each: abs(each - one)) for one in usual[1:])]
        layer = replace(
            layer,
            output=output,
            weights=(2 * k).astype(np.int8),
            bias=(2 * random.integers(-300, 300, len(k))).astype(np.int32),
            weight_scales=np.array([grid_scale(layer.input.scale, output.scale, each) for each in q], np.float32),
            per_channel=True,
        )
        chain.layers[-1], chain.current = layer, output
    return chain.build()


@pytest.mark.parametrize("name", ["uno", "atmega2560"])
def test_every_group_that_is_not_full(name, tmp_path):
    """LPM and ELPM."""
    workbench.need(name, "gcc", "simavr")
    packed, board = model(), boards.load(name)
    kernels = [placed.kernel.name for placed in make_plan(packed, "avr", PACKINGS).steps]
    assert kernels == ["avr trits", "avr matrix, 4 bits"] * 2
    images = kernel_models.images(packed, 18)
    wanted = reference.run(packed, images)
    assert sum(len(np.unique(column)) > 9 for column in wanted.T) >= 5  # not all of them saturate
    packing = ",".join(f"{layer}={packing}" for layer, packing in PACKINGS.items())
    built = firmware.build(packed, board, tmp_path / "firmware", packing=packing)
    with session.connect(board, built.elf, packed.fingerprint, emulator="simavr") as running:
        np.testing.assert_array_equal(running.device.infer_all(images), wanted)
