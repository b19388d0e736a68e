"""An untrained network as a `QuantizedModel`: its shapes, with made-up weights.

The size of the firmware depends on the shapes, and on the weights only if they decide the kernel. So the sizes come
from the same code that builds a trained model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lenet_edge.networks import shapes
from lenet_edge.networks.description import (
    AveragePooling,
    Convolution,
    DepthwiseConvolution,
    Dropout,
    FullyConnected,
    ImageShape,
    MaxPooling,
    Network,
)
from lenet_edge.networks.int8 import int8_window, require_int8
from lenet_edge.quantized import model as quantized
from lenet_edge.quantized.lookup import OUTPUT_SCALING, ideal_table, universal_scale
from lenet_edge.quantized.model import Layer, QTensor, QuantizedModel
from lenet_edge.quantized.tie_free import GridChannels, to_grid
from lenet_edge.quantized.verify import verify

__all__ = ["MOST_WEIGHTS", "made_up_model", "weights_of"]

MOST_WEIGHTS = 1 << 23
"""The most that are made up: twice what fits the flash of any microcontroller here; takes seconds and 1 GB."""

_SCALE = float(np.float32(0.05))  # of every map
_SIX = float(np.float32(6 / 255))  # of a map that ends at 6
_SPREAD = 30  # standard deviation of what a layer gives, in steps of its output
_INPUT_SPREAD = 74  # of int8 that are drawn evenly
_Weighted: TypeAlias = Convolution | DepthwiseConvolution | FullyConnected | AveragePooling


def made_up_model(network: Network, image_shape: ImageShape, classes: Sequence[str]) -> QuantizedModel:
    """The network on the tie-free grid with random weights, the same at every call.

    Args:
        image_shape: height, width, channels.
        classes: their names: the outputs of the last layer.

    Raises:
        BadInputError: as `networks.int8.require_int8`.
    """
    require_int8(network, image_shape, len(classes))
    outputs = shapes.output_shapes(network, image_shape, len(classes))
    chain = _Chain(QTensor(image_shape, float(np.float32(1 / 255)), -128))
    for layer in network.features:
        if isinstance(layer, MaxPooling):
            chain.add_pooling(layer, outputs[layer.name])
        elif not isinstance(layer, Dropout):
            chain.add_weighted(layer, outputs[layer.name])
    chain.flatten()
    for layer in network.classifier:
        if isinstance(layer, FullyConnected):
            chain.add_weighted(layer, outputs[layer.name])
    return verify(QuantizedModel(tuple(chain.layers), {"arch": network.name, "classes": list(classes)}))


def weights_of(network: Network, image_shape: ImageShape, classes: int) -> int:
    """How many weights the network has, biases not counted; errors as of `networks.shapes.weight_shapes`."""
    sizes = shapes.weight_shapes(network, image_shape, classes)
    return sum(math.prod(shape) for name, shape in sizes.items() if name.endswith(".weight"))


class _Chain:
    """The layers so far."""

    def __init__(self, image: QTensor) -> None:
        self.current, self.layers, self._random = image, list[Layer](), np.random.default_rng(0)

    def flatten(self) -> None:
        tensor = self.current
        self._append(quantized.Flatten("flatten", tensor, _with_shape(tensor, (math.prod(tensor.shape),))))

    def add_pooling(self, layer: MaxPooling, shape: tuple[int, ...]) -> None:
        window, stride, _ = shapes.windows(layer, *self.current.shape[:2])
        output = _with_shape(self.current, shape)
        self._append(quantized.MaxPool2d(layer.name, self.current, output, window, stride))

    def add_weighted(self, layer: _Weighted, shape: tuple[int, ...]) -> None:
        """The layer with its weights, then its table where the activation is one."""
        output = _with_shape(_output_of(layer.activation), shape)
        if isinstance(layer, FullyConnected):
            grid = self._grid((*shape, *self.current.shape), output)
            common = (layer.name, self.current, output, grid.weights, grid.bias, grid.weight_scales)
            found: Layer = quantized.FullyConnected(*common)
        else:
            found = self._windowed(layer, output)
        self._append(found)
        if layer.activation in OUTPUT_SCALING:
            self._table(layer.name, layer.activation)

    def _windowed(self, layer: Convolution | DepthwiseConvolution | AveragePooling, output: QTensor) -> Layer:
        """The int8 window: if TFLite has no such padding, with rows and columns of zeros around it."""
        height, width, channels = self.current.shape
        windows = shapes.windows(layer, height, width)
        int8 = int8_window(windows, height, width)
        assert int8 is not None  # `require_int8` made sure of it
        mixed = (channels,) if isinstance(layer, Convolution) else (1,)
        grid = self._grid((output.shape[2], *windows[0], *mixed), output, equal=isinstance(layer, AveragePooling))
        top, bottom, left, right = int8.zeros
        weights = np.pad(grid.weights, ((0, 0), (top, bottom), (left, right), (0, 0)))
        kind: type[quantized.Conv2d | quantized.DepthwiseConv2d] = quantized.Conv2d
        if not isinstance(layer, Convolution):
            kind, weights = quantized.DepthwiseConv2d, np.ascontiguousarray(weights[..., 0].transpose(1, 2, 0))
        common = (layer.name, self.current, output, weights, grid.bias, grid.weight_scales)
        return kind(*common, windows[1], int8.padding)

    def _grid(self, shape: tuple[int, ...], output: QTensor, *, equal: bool = False) -> GridChannels:
        """Weights whose outputs have a spread of `_SPREAD` steps; all `equal` for an average."""
        fan_in = math.prod(shape[1:])
        spread = _SPREAD * output.scale / (self.current.scale * _INPUT_SPREAD * math.sqrt(fan_in))
        if equal:
            weights: npt.NDArray[np.float64] = np.full(shape, 1 / fan_in)
        else:
            weights = np.clip(self._random.normal(0, spread, shape), -3 * spread, 3 * spread)
        bias = np.zeros(shape[0]) if equal else self._random.normal(0, 10 * output.scale, shape[0])
        return to_grid(weights, bias, self.current.scale, output.scale, farthest=255)

    def _table(self, name: str, function: str) -> None:
        source = self.current
        target = QTensor(source.shape, *OUTPUT_SCALING[function])
        table = ideal_table(function, source)  # type: ignore[arg-type]
        self._append(quantized.Lookup(f"{name}/{function}", source, target, function, table))  # type: ignore[arg-type]

    def _append(self, layer: Layer) -> None:
        self.layers.append(layer)
        self.current = layer.output


def _output_of(activation: str) -> QTensor:
    """The scaling of a map whose activation is the end of int8's range; its shape comes later."""
    if activation in OUTPUT_SCALING:
        return QTensor((), universal_scale(activation, _SCALE), 0)  # type: ignore[arg-type]
    return QTensor((), _SIX if activation == "relu6" else _SCALE, 0 if activation == "none" else -128)


def _with_shape(tensor: QTensor, shape: tuple[int, ...]) -> QTensor:
    return QTensor(shape, tensor.scale, tensor.zero_point)
