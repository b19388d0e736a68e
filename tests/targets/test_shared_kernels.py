"""Poolings, means, sums and products on the chip: processors have instructions for them that the host's C has not."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import workbench
from test_fast_kernels import FAMILIES

from lenet_edge.hardware import boards, firmware, session
from lenet_edge.quantized import reference
from lenet_edge.quantized.model import (
    Add,
    AveragePool2d,
    Concatenate,
    MaxPool2d,
    Mean,
    Multiply,
    Pad,
    QTensor,
    QuantizedModel,
    Reshape,
    Slice,
    Subtract,
    Transpose,
)
from lenet_edge.quantized.verify import verify

SHAPE = (18, 15, 5)  # 270 values in a mean: more than a sum of 16 bits holds
WORDS = (9, 10, 12)  # channels by fours and eights, at addresses of words


def positions() -> QuantizedModel:
    """A value for each position, of which four and one are done at once."""
    source, other = QTensor(SHAPE, 0.0625, -3), QTensor(SHAPE, 0.0234375, 7)
    mean = AveragePool2d("mean", source, source, (3, 2), (1, 1), "same", -128, 127)
    largest = MaxPool2d("largest", source, source, (2, 3), (1, 1), "same", -128, 127)
    total = Add("sum", (mean.output, largest.output), other, -128, 127)
    product = Multiply("product", (total.output, source), QTensor(SHAPE, 0.3125, -20), -100, 127)
    return verify(QuantizedModel((mean, largest, total, product), {}, ((-1,), (-1,), (0, 1), (2, -1))))


def words() -> QuantizedModel:
    """Windows with an even and an odd number of pixels, clamped."""
    source = QTensor(WORDS, 0.0625, -3)
    even = AveragePool2d("even", source, source, (2, 2), (1, 1), "same", -128, 127)
    odd = AveragePool2d("odd", source, source, (3, 3), (1, 1), "same", -20, 25)
    largest = MaxPool2d("largest", source, source, (3, 2), (1, 1), "same", -100, 20)
    return verify(QuantizedModel((even, odd, largest)))


def whole(channels: int = 5) -> QuantizedModel:
    """All of the map at once."""
    shape, one = (*SHAPE[:2], channels), (1, 1, channels)
    source, small = QTensor(shape, 0.0625, -3), QTensor(one, 0.0625, -3)
    mean = AveragePool2d("mean", source, small, SHAPE[:2], (1, 1), "valid", -128, 127)
    other = Mean("other", source, QTensor(one, 0.0390625, 11), (0, 1))
    minus = Subtract("minus", (mean.output, other.output), QTensor(one, 0.0009765625, 5), -128, 127)
    return verify(QuantizedModel((mean, other, minus), {}, ((-1,), (-1,), (0, 1))))


def whole_words() -> QuantizedModel:
    return whole(12)


def means() -> QuantizedModel:
    """Of values side by side, and one behind the other, in one run and in three."""
    first, second, third = (14, 9, 12), (9, 12), (3, 3, 12)
    source, middle = QTensor(first, 0.0625, -3), QTensor(second, 0.03125, 5)
    along = Mean("along", source, middle, (0,))
    shaped = Reshape("shaped", middle, replace(middle, shape=third))
    runs = Mean("runs", shaped.output, QTensor((3,), 0.015625, -9), (0, 2))
    rows = Mean("rows", middle, QTensor((9,), 0.013671875, 100), (1,))
    thirds = Mean("thirds", rows.output, QTensor((1,), 0.013671875, -128), (0,))
    total = Add("total", (runs.output, thirds.output), QTensor((3,), 0.03125, 0), -128, 127)
    reads = ((-1,), (0,), (1,), (0,), (3,), (2, 4))
    return verify(QuantizedModel((along, shaped, runs, rows, thirds, total), {}, reads))


def moves() -> QuantizedModel:
    """Runs of words, of a few bytes more than a word, at odd addresses, of three bytes, backwards, and single bytes."""
    source = QTensor((5, 7, 12), 0.0625, -3)
    of = partial(replace, source)
    long, short = Slice("long", source, of(shape=(5, 7, 9)), (0, 0, 3), (1, 1, 1)), of(shape=(5, 7, 3))
    few = Slice("few", source, short, (0, 0, 9), (1, 1, 1))
    joined = Concatenate("joined", (short, source, long.output), of(shape=(5, 7, 24)), 2)
    padded = Pad("padded", joined.output, of(shape=(8, 10, 25)), (1, 2, 0), (2, 1, 1), 7)
    turned = Transpose("turned", padded.output, of(shape=(10, 8, 25)), (1, 0, 2))
    back = Slice("back", turned.output, of(shape=(5, 8, 25)), (9, 0, 0), (-2, 1, 1))
    planes = Transpose("planes", back.output, of(shape=(25, 5, 8)), (2, 0, 1))
    largest = MaxPool2d("largest", planes.output, of(shape=(5, 1, 8)), (5, 5), (5, 5), "valid", -128, 127)
    reads = ((-1,), (-1,), (1, -1, 0), (2,), (3,), (4,), (5,), (6,))
    return verify(QuantizedModel((long, few, joined, padded, turned, back, planes, largest), {}, reads))


@pytest.mark.parametrize("model", [positions, whole, words, whole_words, means, moves])
@pytest.mark.parametrize("family", FAMILIES)
def test_operators_without_weights_give_the_reference_s_integers(family, model, tmp_path):
    board, compiler, emulator = FAMILIES[family]
    workbench.need(board, compiler, emulator)
    described = boards.load(board)
    described = replace(described, cpu=replace(described.cpu, kernels=family))
    images = workbench.images(model(), 12)
    images[0], images[1] = -128, 127
    built = firmware.build(model(), described, tmp_path / "firmware", toolchain=compiler)
    with session.connect(described, built.elf, model().fingerprint, emulator=emulator) as running:
        found = running.device.infer_all(images)
    np.testing.assert_array_equal(found, reference.run(model(), images))
