"""`quantize` failed once its work was done: results of a layer were longer than what runtimes hold exactly.

A ReLU that lets nothing through leaves a range of next to nothing, and the scale of that made a sum longer than 16 bits
and a bias longer than 2^24. A layer of 4 bits with very many inputs had no bound on its accumulators at all.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lenet_edge.learning.network import build
from lenet_edge.learning.qat_network import QatNetwork
from lenet_edge.networks.description import Addition, AveragePooling, Convolution, FullyConnected, Network
from lenet_edge.quantized.reference import run
from lenet_edge.quantized.tie_free import tie_free_problem

OUTPUT = FullyConnected("OUTPUT")


def quantized(features, classifier, shape, change=lambda module: None, bits=None):
    """A random network on int8 with the ranges of random images, and these."""
    network = Network("long", "", features, (*classifier, OUTPUT))
    torch.manual_seed(2)
    module = build(network, shape, 3).eval()
    with torch.no_grad():
        change(module)
    qat = QatNetwork(module, network, shape, "tie-free", bits or {})
    images = np.random.default_rng(2).integers(-128, 128, (8, *shape), dtype=np.int8)
    qat.observe_float((torch.from_numpy(images).permute(0, 3, 1, 2).float() + 128) / 255)
    qat.freeze_scales()
    return qat.eval(), images


def hold(qat, images):
    frozen = qat.freeze()
    assert tie_free_problem(frozen) is None
    np.testing.assert_array_equal(qat.integers(images), run(frozen, images))


def convolution(name, activation, reads="image"):
    return Convolution(name, 4, (3, 3), (1, 1), "same", activation, input=reads)


@pytest.mark.parametrize("bits", [8, 4, 2])
def test_a_layer_that_lets_nothing_through(bits):
    def change(module):
        module.features.B.bias.fill_(-5e4)

    layers = (convolution("A", "none"), convolution("B", "relu", "A"), AveragePooling("MEAN"))
    hold(*quantized(layers, (), (8, 8, 1), change, {"B": bits} if bits < 8 else {}))


def test_a_sum_that_lets_nothing_through():
    def change(module):
        module.features.A.bias.fill_(-50.0)

    layers = (
        convolution("A", "none"),
        convolution("B", "none"),
        Addition("S", ("A", "B"), "relu"),
        AveragePooling("MEAN"),
    )
    hold(*quantized(layers, (), (8, 8, 1), change))


@pytest.mark.parametrize("bits", [4, 2])
def test_a_layer_of_few_bits_and_very_many_inputs(bits):
    qat, images = quantized((), (FullyConnected("F", 4, "relu"),), (192, 192, 1), bits={"F": bits})
    hold(qat, images)
    layer = qat.weighted[0]
    with torch.no_grad():  # training went on, and all weights became one step
        layer.operation.weight.copy_(1.04 * layer.even * layer.weight_scales.view(-1, 1))
    layer.project()
    hold(qat, images)
