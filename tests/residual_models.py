"""Residual networks in ordinary int8, as converters make them: scales of any ratio around each sum."""

from __future__ import annotations

import numpy as np

from lenet_edge.quantized.clamps import activation_clamp
from lenet_edge.quantized.model import (
    Add,
    Conv2d,
    DepthwiseConv2d,
    FullyConnected,
    Layer,
    Mean,
    QTensor,
    QuantizedModel,
    Softmax,
    Subtract,
)
from lenet_edge.quantized.verify import verify

__all__ = ["residual"]

_SIDE, _CHANNELS, _CLASSES = 8, 6, 5


class _Residual:
    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.layers: list[Layer] = []
        self.reads: list[tuple[int, ...]] = []

    def tensor(self, shape: tuple[int, ...], *, relu: bool = False) -> QTensor:
        scale = float(np.float32(10 ** self.random.uniform(-2, -1.3)))
        return QTensor(shape, scale, -128 if relu else int(self.random.integers(-30, 30)))

    def add(self, layer: Layer, *reads: int) -> int:
        self.layers.append(layer)
        self.reads.append(reads)
        return len(self.layers) - 1

    def output(self, source: int) -> QTensor:
        return QTensor((_SIDE, _SIDE, 3), 0.0078125, 0) if source < 0 else self.layers[source].output

    def weighted(self, kind: type, source: int, shape: tuple[int, ...], output: QTensor, **others: object) -> int:
        tensor = self.output(source)
        channels = output.shape[-1]
        weights = np.clip(np.rint(self.random.normal(0, 45, shape)), -127, 127).astype(np.int8)
        fan_in = weights.size // channels
        scales = (output.scale / tensor.scale / np.sqrt(fan_in) * self.random.uniform(0.005, 0.02, channels)).astype(
            "f4"
        )
        bias = np.rint(self.random.normal(0, 20 * np.sqrt(fan_in), channels) * 30).astype(np.int32)
        name = f"{kind.__name__.lower()}_{len(self.layers)}"
        return self.add(kind(name, tensor, output, weights, bias, scales, **others), source)

    def combined(self, kind: type, first: int, second: int, *, relu: bool) -> int:
        output = self.tensor(self.output(first).shape, relu=relu)
        clamp = activation_clamp("RELU" if relu else "NONE", output)
        inputs = self.output(first), self.output(second)
        return self.add(kind(f"{kind.__name__.lower()}_{len(self.layers)}", inputs, output, *clamp), first, second)


def residual(seed: int, *, softmax: bool = False) -> QuantizedModel:
    """Two residual blocks and a difference, a global mean, a dense layer."""
    made = _Residual(seed)
    maps = (_SIDE, _SIDE, _CHANNELS)
    window = {"padding": "same", "clamp_min": -128}
    stem = made.weighted(Conv2d, -1, (_CHANNELS, 3, 3, 3), made.tensor(maps, relu=True), **window)
    for kind in (Add, Add, Subtract):
        deep = made.weighted(DepthwiseConv2d, stem, (3, 3, _CHANNELS), made.tensor(maps, relu=True), **window)
        deep = made.weighted(Conv2d, deep, (_CHANNELS, 1, 1, _CHANNELS), made.tensor(maps))
        stem = made.combined(kind, stem, deep, relu=kind is Add)
    mean = made.tensor((_CHANNELS,))
    means = made.add(Mean("mean", made.output(stem), mean, (0, 1)), stem)
    last = made.weighted(FullyConnected, means, (_CLASSES, _CHANNELS), made.tensor((_CLASSES,)))
    if softmax:
        made.add(Softmax("softmax", made.output(last), QTensor((_CLASSES,), 1 / 256, -128)), last)
    return verify(QuantizedModel(tuple(made.layers), {}, tuple(made.reads)))
