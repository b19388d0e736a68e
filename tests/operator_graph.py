"""One model with every operator that works on tensors, constants among its operands, and convolutions of every kind."""

from __future__ import annotations

import numpy as np

from lenet_edge.quantized import rescale
from lenet_edge.quantized.model import (
    Add,
    Concatenate,
    Constant,
    Conv2d,
    DepthwiseConv2d,
    Flatten,
    FullyConnected,
    Layer,
    Mean,
    Multiply,
    Pad,
    QTensor,
    QuantizedModel,
    Rescale,
    Slice,
    Subtract,
    Transpose,
)
from lenet_edge.quantized.verify import verify

__all__ = ["every_operator"]


class _Graph:
    """Layers with what they read; each method returns the layer's index."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.layers: list[Layer] = []
        self.reads: list[tuple[int, ...]] = []

    def add(self, layer: Layer, *reads: int) -> int:
        self.layers.append(layer)
        self.reads.append(reads)
        return len(self.layers) - 1

    def constant(self, tensor: QTensor) -> int:
        values = self.random.integers(-128, 128, tensor.shape).astype(np.int8)
        return self.add(Constant(f"constant {len(self.layers)}", tensor, values))

    def arrays(self, shape: tuple[int, ...], channels: int):
        """Weights, bias and scales."""
        weights = self.random.integers(-127, 128, shape).astype(np.int8)
        bias = self.random.integers(-900, 900, channels).astype(np.int32)
        return weights, bias, self.random.uniform(0.003, 0.009, channels).astype(np.float32)


def every_operator(seed: int = 5) -> QuantizedModel:
    """From an image of [6, 5, 4] to ten outputs."""
    graph = _Graph(seed)
    image, maps = QTensor((6, 5, 4), 0.0625, 3), QTensor((6, 5, 6), 0.125, -7)
    grouped = graph.add(Conv2d("groups", image, maps, *graph.arrays((6, 3, 3, 2), 6), padding="same"), -1)
    gaps = DepthwiseConv2d("gaps", maps, maps, *graph.arrays((3, 3, 6), 6), padding="same", dilation=(2, 1))
    dilated = graph.add(gaps, grouped)

    row = QTensor((6,), 0.25, 20)
    added = graph.add(Add("add", (row, maps), maps, -100, 120), graph.constant(row), dilated)
    table = rescale.table("LEAKY_RELU", maps, maps, 0.25)
    leaky = graph.add(Rescale("leaky", maps, maps, "LEAKY_RELU", table, 0.25), added)
    means = QTensor((1, 1, 6), 1 / 128, -3)
    mean = graph.add(Mean("mean", maps, means, (0, 1)), added)
    scaled = graph.add(Multiply("multiply", (maps, means), maps), leaky, mean)

    padded, part, turned = (QTensor(shape, 0.125, -7) for shape in ((8, 6, 6), (4, 6, 6), (6, 4, 6)))
    pad = graph.add(Pad("pad", maps, padded, (1, 0, 0), (1, 1, 0), -7), scaled)
    taken = graph.add(Slice("slice", padded, part, (1, 5, 0), (2, -1, 1)), pad)
    moved = graph.add(Transpose("transpose", part, turned, (1, 0, 2)), taken)
    columns, joined = QTensor((6, 4, 2), 0.125, -7), QTensor((6, 4, 8), 0.125, -7)
    both = graph.add(Concatenate("join", (turned, columns), joined, 2), moved, graph.constant(columns))
    one = QTensor((1,), 0.125, 0)
    less = graph.add(Subtract("subtract", (joined, one), joined), both, graph.constant(one))

    flat, outputs = QTensor((192,), 0.125, -7), QTensor((10,), 0.5, 5)
    values = graph.add(Flatten("flatten", joined, flat), less)
    graph.add(FullyConnected("outputs", flat, outputs, *graph.arrays((10, 192), 10)), values)
    return verify(QuantizedModel(tuple(graph.layers), {}, tuple(graph.reads)))
