"""Networks with every kind of layer, and the float network of a description written down once more, without QAT."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from lenet_edge.learning.qat_network import QatNetwork
from lenet_edge.networks import shapes
from lenet_edge.networks.description import (
    Addition,
    AveragePooling,
    Convolution,
    DepthwiseConvolution,
    Dropout,
    FullyConnected,
    MaxPooling,
    Network,
    Rbf,
    Subsampling,
)

CLASSES = 5
OUTPUT = FullyConnected("OUTPUT", None)
NETWORKS = {
    "depthwise separable": (
        (48, 48, 3),
        Network(
            "separable",
            "",
            (
                Convolution("C1", 8, (3, 3), (2, 2), (1, 1), "relu6"),
                DepthwiseConvolution("D2", (3, 3), (1, 1), "same", 2, "relu"),
                AveragePooling("A3", (2, 2), activation="relu"),
                DepthwiseConvolution("D4", (3, 3), (2, 2), "same", 1, "relu6"),
                Convolution("P5", 12, (1, 1)),
                AveragePooling("A6", None),
            ),
            (Dropout("drop", 0.2), OUTPUT),
        ),
    ),
    "squashing": (
        (12, 10, 1),
        Network(
            "squashing",
            "",
            (
                Convolution("C1", 4, (5, 3), activation="tanh"),
                AveragePooling("A2", (2, 3), (2, 1), "sigmoid"),
                MaxPooling("M3", (2, 2), (1, 1)),
            ),
            (FullyConnected("F4", 9, "tanh"), OUTPUT),
        ),
    ),
    "residual": (
        (16, 16, 3),
        Network(
            "residual",
            "",
            (
                Convolution("C1", 8, (3, 3), (1, 1), "same", "relu"),
                Convolution("C2", 8, (3, 3), (1, 1), "same"),
                Addition("A2", ("C1", "C2"), "relu"),
                DepthwiseConvolution("D3", (3, 3), (2, 2), "same", 1, "relu6"),
                Convolution("C3", 12, (1, 1)),
                Convolution("P3", 12, (1, 1), (2, 2), input="A2"),
                Addition("A3", ("C3", "P3")),
                MaxPooling("M4", (2, 2)),
                Convolution("C5", 12, (3, 3), (1, 1), "same", "tanh"),
                Addition("A5", ("M4", "C5"), "sigmoid"),
                AveragePooling("V6", (2, 2), (1, 1)),
                Convolution("C6", 12, (2, 2), input="A5"),
                Addition("A6", ("V6", "C6"), "relu6"),
                AveragePooling("MEAN", None),
            ),
            (FullyConnected("F7", 12), Addition("A7", ("flatten", "F7"), "relu"), Dropout("drop", 0.2), OUTPUT),
        ),
    ),
    "of the paper's kind": (
        (12, 14, 1),
        Network(
            "paper",
            "",
            (
                Convolution("C1", 3, (3, 3), (1, 1), "same", "tanh"),
                Subsampling("S2", activation="tanh"),
                Convolution("C3", 4, (3, 3), activation="tanh", connections=((0, 1), (2,), (0, 2), (0, 1, 2))),
                Subsampling("S4", (2, 3), (2, 2), "sigmoid"),
            ),
            (
                FullyConnected("F6", 6, "tanh"),
                Rbf(
                    "OUTPUT",
                    (("##", "..", "##"), ("#.", "#.", "#."), ("..", "..", ".#"), ("##", "##", "##"), ("..",) * 3),
                ),
            ),
        ),
    ),
    "no features": ((9, 7, 3), Network("mlp", "", (), (FullyConnected("F1", 16, "relu6"), OUTPUT))),
}


class Described(nn.Module):
    """The float network, written down once more: `F` alone, no step of QAT."""

    def __init__(self, network, image_shape, seed):
        super().__init__()
        self.described, self.inputs = network, shapes.input_shapes(network, image_shape, CLASSES)
        self.features, self.classifier = nn.ModuleDict(), nn.ModuleDict()
        generator = torch.Generator().manual_seed(seed)
        for name, shape in shapes.weight_shapes(network, image_shape, CLASSES).items():
            module, layer, part = name.split(".")
            owner = getattr(self, module)
            if layer not in owner:
                owner[layer] = nn.Module()
            spread = 1.5 / np.sqrt(max(1, np.prod(shape[1:])))
            owner[layer].register_parameter(part, nn.Parameter(torch.randn(shape, generator=generator) * spread))

    def forward(self, values):
        found = {"image": values}
        for layer in self.described.features:
            found[layer.name] = values = squash(self.feature(layer, values, found), layer)
        found["flatten"] = values = values.flatten(1)
        for layer in self.described.classifier:
            if isinstance(layer, Addition):
                values = squash(found[layer.inputs[0]] + found[layer.inputs[1]], layer)
            elif not isinstance(layer, Dropout):
                held = self.classifier[layer.name]
                values = squash(F.linear(found.get(layer.input, values), held.weight, held.bias), layer)
            found[layer.name] = values
        return values

    def feature(self, layer, before, found):
        if isinstance(layer, Addition):
            return found[layer.inputs[0]] + found[layer.inputs[1]]
        values = found.get(layer.input, before)
        if isinstance(layer, MaxPooling):
            return F.max_pool2d(values, layer.window, layer.stride)
        if isinstance(layer, AveragePooling):
            window = layer.window or self.inputs[layer.name][:2]
            return F.avg_pool2d(values, window, layer.stride or window)
        if isinstance(layer, Subsampling):
            held, area = self.features[layer.name], layer.window[0] * layer.window[1]
            sums = area * F.avg_pool2d(values, layer.window, layer.stride or layer.window)
            return sums * held.weight.view(-1, 1, 1) + held.bias.view(-1, 1, 1)
        return self.convolution(layer, values)

    def convolution(self, layer, values):
        held, (height, width, channels) = self.features[layer.name], self.inputs[layer.name]
        _, stride, (top, bottom, left, right) = shapes.windows(layer, height, width)
        groups = channels if isinstance(layer, DepthwiseConvolution) else 1
        padded = F.pad(values, (left, right, top, bottom))
        if getattr(layer, "connections", None) is None:
            return F.conv2d(padded, held.weight, held.bias, stride, groups=groups)
        maps = [
            F.conv2d(padded[:, list(seen)], held.weight[[channel]][:, list(seen)], held.bias[[channel]], stride)
            for channel, seen in enumerate(layer.connections)
        ]
        return torch.cat(maps, 1)


def squash(values, layer):
    functions = {"relu": F.relu, "relu6": F.relu6, "sigmoid": torch.sigmoid, "tanh": torch.tanh, "none": lambda v: v}
    return functions[getattr(layer, "activation", "none")](values)


def calibrated(name, grid, pixels):
    """(float network, the same on int8) with the ranges of `pixels`, uint8 ``[n, h, w, c]``."""
    image_shape, network = NETWORKS[name]
    floating = Described(network, image_shape, 1).eval()
    qat = QatNetwork(floating, network, image_shape, grid)
    qat.observe_float(torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255)
    qat.fit_scales()
    return floating, qat.eval()


def pixels_of(name, count, seed=3):
    """Random images of a network, uint8 ``[n, h, w, c]``."""
    return np.random.default_rng(seed).integers(0, 256, (count, *NETWORKS[name][0]), dtype=np.uint8)
