"""Random small models for the tests: LeNet-5 and other shapes, on the tie-free grid or ordinary."""

from __future__ import annotations

import numpy as np

from lenet_edge.quantized.lookup import OUTPUT_SCALING, reference_table
from lenet_edge.quantized.model import (
    AveragePool2d,
    Conv2d,
    DepthwiseConv2d,
    Flatten,
    FullyConnected,
    Layer,
    Lookup,
    MaxPool2d,
    QTensor,
    QuantizedModel,
    Softmax,
    expected_output_shape,
)
from lenet_edge.quantized.tie_free import to_grid
from lenet_edge.quantized.verify import verify

IMAGE = QTensor((28, 28, 1), float(np.float32(1 / 255)), -128)


class ModelBuilder:
    """Adds layers with random weights to a chain; `grid` is "tie-free" or "ordinary"."""

    def __init__(self, seed: int = 0, grid: str = "tie-free", image: QTensor = IMAGE) -> None:
        self.random = np.random.default_rng(seed)
        self.grid = grid
        self.current = image
        self.layers: list[Layer] = []

    def _add(self, layer: Layer) -> None:
        self.layers.append(layer)
        self.current = layer.output

    def _integers(self, shape: tuple[int, ...], output: QTensor):
        """(weights, bias, weight scales) for real weights that give outputs of the output's range."""
        fan_in = int(np.prod(shape[1:]))
        spread = 60 * output.scale / (self.current.scale * 70 * np.sqrt(fan_in))
        weights = self.random.normal(0, spread, shape)
        bias = self.random.normal(0, 20 * output.scale, shape[0])
        if self.grid == "tie-free":
            channels = to_grid(weights, bias, self.current.scale, output.scale)
            return channels.weights, channels.bias, channels.weight_scales
        scales = (np.abs(weights.reshape(shape[0], -1)).max(axis=1) / 127).astype(np.float32)
        steps = scales.astype(np.float64).reshape(-1, *[1] * (len(shape) - 1))
        integers = np.rint(weights / steps).astype(np.int8)
        return integers, np.rint(bias / (self.current.scale * scales.astype(np.float64))).astype(np.int32), scales

    def _output(self, shape: tuple[int, ...], relu: bool) -> tuple[QTensor, dict[str, int]]:
        scale = float(np.float32(self.random.uniform(0.01, 0.08)))
        return QTensor(shape, scale, -128 if relu else 0), {"clamp_min": -128}

    def conv(
        self, name: str, channels: int, kernel: int = 5, padding: str = "valid", stride: int = 1, relu: bool = True
    ):
        output, clamp = self._output((0, 0, channels), relu)
        weights, bias, scales = self._integers((channels, kernel, kernel, self.current.shape[-1]), output)
        return self._finish(Conv2d, name, weights, bias, scales, output, clamp, (stride, stride), padding)

    def depthwise(self, name: str, kernel: int = 2, stride: int = 2, padding: str = "valid", relu: bool = False):
        channels = self.current.shape[-1]
        output, clamp = self._output((0, 0, channels), relu)
        weights, bias, scales = self._integers((channels, kernel, kernel), output)
        hwc = np.ascontiguousarray(weights.transpose(1, 2, 0))
        return self._finish(DepthwiseConv2d, name, hwc, bias, scales, output, clamp, (stride, stride), padding)

    def _finish(self, kind, name, weights, bias, scales, output, clamp, stride, padding):
        draft = kind(name, self.current, output, weights, bias, scales, stride, padding, **clamp)
        shape = expected_output_shape(draft)
        output = QTensor(shape, output.scale, output.zero_point)
        self._add(kind(name, self.current, output, weights, bias, scales, stride, padding, **clamp))
        return self

    def fully_connected(self, name: str, channels: int, relu: bool = True):
        output, clamp = self._output((channels,), relu)
        weights, bias, scales = self._integers((channels, self.current.shape[0]), output)
        self._add(FullyConnected(name, self.current, output, weights, bias, scales, **clamp))
        return self

    def pool(self, name: str, kind=MaxPool2d, size: int = 2):
        height, width, channels = self.current.shape
        output = QTensor((height // size, width // size, channels), self.current.scale, self.current.zero_point)
        self._add(kind(name, self.current, output, (size, size), (size, size)))
        return self

    def lookup(self, name: str, function: str = "sigmoid"):
        scale, zero_point = OUTPUT_SCALING[function]
        output = QTensor(self.current.shape, scale, zero_point)
        self._add(Lookup(name, self.current, output, function, reference_table(function, self.current)))
        return self

    def flatten(self, name: str = "flatten"):
        flat = QTensor((int(np.prod(self.current.shape)),), self.current.scale, self.current.zero_point)
        self._add(Flatten(name, self.current, flat))
        return self

    def softmax(self, name: str = "softmax"):
        self._add(Softmax(name, self.current, QTensor(self.current.shape, 1 / 256, -128)))
        return self

    def build(self, **metadata) -> QuantizedModel:
        return verify(QuantizedModel(tuple(self.layers), metadata))


def lenet5(seed: int = 0, grid: str = "tie-free") -> QuantizedModel:
    """LeNet-5 with ReLU and max-pooling, random weights."""
    builder = ModelBuilder(seed, grid).conv("C1", 6, padding="same").pool("S2").conv("C3", 16).pool("S4").flatten()
    builder.fully_connected("C5", 120).fully_connected("F6", 84).fully_connected("OUTPUT", 10, relu=False)
    return builder.build(arch="lenet5", grid=grid, classes=[str(digit) for digit in range(10)])


def lenet5_sigmoid(seed: int = 0, grid: str = "tie-free") -> QuantizedModel:
    """LeNet-5 with sigmoids as tables, random weights."""
    builder = ModelBuilder(seed, grid).conv("C1", 6, padding="same", relu=False).lookup("C1/sigmoid").pool("S2")
    builder.conv("C3", 16, relu=False).lookup("C3/sigmoid").pool("S4").flatten()
    builder.fully_connected("C5", 120, relu=False).lookup("C5/sigmoid")
    builder.fully_connected("F6", 84, relu=False).lookup("F6/sigmoid").fully_connected("OUTPUT", 10, relu=False)
    return builder.build(arch="lenet5-sigmoid", grid=grid)


def every_layer(seed: int = 0, grid: str = "tie-free") -> QuantizedModel:
    """Every tie-free layer type, strides, both paddings, more than one channel, not square."""
    builder = ModelBuilder(seed, grid, QTensor((13, 11, 2), float(np.float32(0.02)), -5))
    builder.conv("conv", 4, kernel=3, padding="same", stride=2).depthwise(
        "depthwise", kernel=3, stride=1, padding="same"
    )
    builder.lookup("tanh", "tanh").pool("pool").flatten()
    return (
        builder.fully_connected("hidden", 9, relu=False).lookup("sigmoid").fully_connected("out", 5, relu=False).build()
    )


def average_pool_softmax(seed: int = 0) -> QuantizedModel:
    """A model as other tools make them: average pooling, softmax at the end, ordinary scales."""
    builder = ModelBuilder(seed, "ordinary").conv("conv", 3).pool("mean", AveragePool2d).flatten()
    return builder.fully_connected("out", 7, relu=False).softmax().build()
