"""A subsampling over a large window was trained past what float32 sums exactly, and one over more was rounded to 0.

Training on the frozen grid counted its one coefficient, and not the window that it is summed over.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from lenet_edge.errors import BadInputError
from lenet_edge.learning.fake_quantize.weighted import FakeQuantizedLayer
from lenet_edge.learning.network import build, fold
from lenet_edge.learning.qat_training import QatSettings, quantize
from lenet_edge.learning.settings import TrainingSet
from lenet_edge.networks import reader
from lenet_edge.networks.description import Network
from lenet_edge.networks.int8 import require_int8
from lenet_edge.quantized.model import Conv2d


def _network(window: int) -> Network:
    text = f"""
summary = "one subsampling"
[[features]]
name = "S"
type = "subsampling"
window = {window}
activation = "tanh"
[[classifier]]
name = "F"
type = "fully-connected"
"""
    return reader.parse(text, Path("one.toml"))


@pytest.mark.parametrize("coefficient", [100.0, -100.0])
def test_its_accumulators_stay_exact_in_float32(coefficient: float) -> None:
    labels = np.arange(64) % 2
    images = np.random.default_rng(0).integers(0, 256, (64, 28, 28), np.uint8)
    network = fold(build(_network(28), (28, 28, 1), 2).eval())
    data = TrainingSet(images, labels, images, labels)
    qat = quantize(network, network.description, data, QatSettings(epochs=0))
    step = next(iter(qat.steps))
    assert isinstance(step, FakeQuantizedLayer)
    with torch.no_grad():  # as steps of the optimiser may leave it
        step.operation.weight.fill_(coefficient)
    step.project()
    first = qat.freeze().layers[0]
    assert isinstance(first, Conv2d)
    weights = np.abs(first.weights.astype(np.int64))
    assert weights.min() == weights.max() > 0
    assert weights.sum() * 255 <= 2**24


def test_more_values_than_an_average_may_have_are_refused_before_the_training() -> None:
    require_int8(_network(30), (30, 30, 1), 2)
    with pytest.raises(BadInputError, match=r"layer S: the subsampling of 31 x 31 values .* up to 900"):
        require_int8(_network(31), (31, 31, 1), 2)
