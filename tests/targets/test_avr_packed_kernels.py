"""Packed weights on AVRs: groups of 4, 5 or 6 that are not full, tiles, the largest weights, the smallest q."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import kernel_models
import numpy as np
import pytest
import workbench
from packed_models import LARGEST, few_bits
from random_chains import Chain, on_one_image

from lenet_edge.formats.c_source import make_plan
from lenet_edge.hardware import boards, firmware, session
from lenet_edge.hardware.boards import Board
from lenet_edge.quantized import reference
from lenet_edge.quantized.model import WEIGHTED, QuantizedModel
from lenet_edge.quantized.tie_free import ADMISSIBLE_Q, grid_scale

FULL = (-128, 127)
PACKINGS = {"trits of 313": "trits", "four bits of 43": "4", "trits of 26": "trits", "four bits of 31": "4"}
DENSE = {"4 bits": "avr matrix, 4 bits", "2 bits": "avr packed matrix, 2 bits", "trits": "avr packed matrix, trits"}
PACKED_TILES = {"4": "4 bits", "2": "2 bits", "trits": "trits"}
CHANNELS = {"trits of 313": 43, "four bits of 43": 26, "trits of 26": 31, "four bits of 31": 7}


def model(tie_free: bool) -> QuantizedModel:
    """Rows of 313, 43, 26 and 31 weights; a channel is all +k, one all -k: doubled sums take 24 bits."""
    random = np.random.default_rng(5)
    chain = Chain(5, (313, 1, 1), tie_free=True, zero_point=17).flatten()
    for name, packing in PACKINGS.items():
        chain.fully_connected(CHANNELS[name], FULL, name)
        layer, most = chain.layers[-1], LARGEST[packing]
        output = replace(layer.output, zero_point=-9)
        k = random.integers(-most, most + 1, layer.weights.shape)
        k[0], k[-1] = most, -most
        usual = 74 * np.sqrt((k**2).sum(axis=1)) / 40 * random.uniform(0.5, 2, len(k))  # outputs fill int8
        factor = np.ones(len(k)) if tie_free else random.uniform(0.7, 1.9, len(k))
        q = [1, *(min(ADMISSIBLE_Q, key=lambda each: abs(each - one)) for one in usual[1:])]
        layer = replace(
            layer,
            output=output,
            weights=(2 * k).astype(np.int8),
            bias=(2 * random.integers(-300, 300, len(k))).astype(np.int32),
            weight_scales=np.float32([grid_scale(layer.input.scale, output.scale, each) for each in q] * factor),
            per_channel=True,
        )
        chain.layers[-1], chain.current = layer, output
    return chain.build()


@pytest.mark.parametrize(("name", "tie_free"), [("uno", True), ("atmega2560", True), ("atmega2560", False)])
def test_every_group_that_is_not_full(name, tie_free, tmp_path):
    """LPM and ELPM."""
    workbench.need(name, "gcc", "simavr")
    packed, board = model(tie_free), boards.load(name)
    kernels = [placed.kernel.name for placed in make_plan(packed, "avr", PACKINGS).steps]
    assert kernels == ["avr trits", "avr matrix, 4 bits"] * 2
    images = kernel_models.images(packed, 18)
    wanted = reference.run(packed, images)
    assert sum(len(np.unique(column)) > 9 for column in wanted.T) >= 5  # not all of them saturate
    packing = ",".join(f"{layer}={packing}" for layer, packing in PACKINGS.items())
    built = firmware.build(packed, board, tmp_path / "firmware", packing=packing)
    with session.connect(board, built.elf, packed.fingerprint, emulator="simavr") as running:
        np.testing.assert_array_equal(running.device.infer_all(images), wanted)


TILES = (((3, "same", (2, 2)), (5, "same", None)), ((5, "same", None), (3, "valid", (2, 2))))


def tiles(tie_free: bool, which: tuple[str, ...]) -> tuple[QuantizedModel, dict[str, str]]:
    """Both windows in these packings, on one input channel and on five; of each a channel is all +k, one -k, one 0."""
    models, packings = [], {}
    for seed, (packing, convolutions) in enumerate(product(which, TILES)):
        chain = Chain(seed, (13, 12, 1), tie_free=tie_free, zero_point=-5)
        for taps, padding, pool in convolutions:
            chain.conv(5, (taps, taps), (1, 1), padding, clamp=FULL)
            if pool is not None:
                chain.pool(pool)
        models.append(of_few_bits(chain.build(), LARGEST[packing]))
        convolved = [layer.name for layer in models[-1].layers if isinstance(layer, WEIGHTED)]
        packings |= {f"{name} of {seed}": packing for name in convolved}
    return on_one_image(*models), packings


def of_few_bits(model: QuantizedModel, most: int) -> QuantizedModel:
    """All weights 2 k with k up to `most`; an output of each layer has all of that, one the opposite, one 0."""
    layers = []
    for layer in few_bits(model, {layer.name: most for layer in model.layers if isinstance(layer, WEIGHTED)}).layers:
        if isinstance(layer, WEIGHTED):
            weights = layer.weights.copy()
            weights[0], weights[1], weights[2] = 2 * most, -2 * most, 0
            layer = replace(layer, weights=weights)
        layers.append(layer)
    return QuantizedModel(tuple(layers))


@pytest.mark.parametrize(
    ("name", "tie_free", "which"),
    [("uno", True, ("4",)), ("atmega2560", True, ("2", "trits")), ("atmega2560", False, ("4", "2", "trits"))],
)
def test_tiles(name, tie_free, which, tmp_path):
    """LPM and ELPM; outputs are those of the same weights in bytes."""
    workbench.need(name, "gcc", "simavr")
    (packed, packings), board = tiles(tie_free, which), boards.load(name)
    placed = make_plan(packed, "avr", packings).steps
    kernels = [each.kernel.name for each in placed if each.kernel.packing in which]
    texts = [PACKED_TILES[packing] for packing in which]
    assert kernels == [f"avr packed tiles, {taps} x {taps}, {text}" for text in texts for taps in (3, 5, 5, 3)]
    equal_to_the_reference(packed, packings, board, tmp_path)


@pytest.mark.parametrize("tie_free", [True, False])
def test_any_convolution_and_few_outputs(tie_free, tmp_path):
    """In each packing rows of 6, 7 and 45 inputs, 7, 5 and 4 outputs, a pooling of 3 x 2, and a dense layer."""
    workbench.need("atmega2560", "gcc", "simavr")
    models, packings = [], {}
    for seed, packing in enumerate(PACKED_TILES):
        chain = Chain(seed, (13, 12, 1), tie_free=tie_free, zero_point=-5).conv(7, (2, 3), (1, 2), "same", clamp=FULL)
        chain.pool((3, 2)).conv(5, (1, 1), clamp=FULL).conv(4, (3, 3), (2, 2), "same", clamp=FULL)
        models.append(of_few_bits(chain.flatten().fully_connected(10, FULL).build(), LARGEST[packing]))
        weighted = [layer.name for layer in models[-1].layers if isinstance(layer, WEIGHTED)]
        packings |= {f"{name} of {seed}": packing for name in weighted}
    packed = on_one_image(*models)
    kernels = [each.kernel.name for each in make_plan(packed, "avr", packings).steps if each.kernel.packing != "8"]
    by_patches = [[f"avr packed matrix, by patches, {text}"] * 3 for text in DENSE]
    assert kernels == [
        name for found, dense in zip(by_patches, DENSE.values(), strict=True) for name in (*found, dense)
    ]
    equal_to_the_reference(packed, packings, boards.load("atmega2560"), tmp_path)


def equal_to_the_reference(packed: QuantizedModel, packings: dict[str, str], board: Board, folder: Path) -> None:
    images = kernel_models.images(packed, 18)
    wanted = reference.run(packed, images)
    assert sum(len(np.unique(column)) > 9 for column in wanted.T) >= len(wanted.T) // 3  # not all of them saturate
    packing = ",".join(f"{layer}={packing}" for layer, packing in packings.items())
    built = firmware.build(packed, board, folder / "firmware", packing=packing)
    with session.connect(board, built.elf, packed.fingerprint, emulator="simavr") as running:
        np.testing.assert_array_equal(running.device.infer_all(images), wanted)
        assert running.device.hello().stack_used <= built.stack_depth
