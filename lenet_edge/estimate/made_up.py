"""An untrained network as a `QuantizedModel`: its shapes, with made-up weights.

The size of the firmware depends on the shapes, and on the weights only if they decide the kernel. So the sizes come
from the same code that builds a trained model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lenet_edge.networks import shapes, wiring
from lenet_edge.networks.description import (
    Addition,
    AveragePooling,
    Convolution,
    DepthwiseConvolution,
    Dropout,
    FullyConnected,
    ImageShape,
    LayerDescription,
    MaxPooling,
    Network,
    Rbf,
    Subsampling,
)
from lenet_edge.networks.folding import folded
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
_UNITS = 13  # of 1 / 256 or 1 / 255, in the scale of a map that a sum reads or is: about the same
_SPREAD = 30  # standard deviation of what a layer gives, in steps of its output
_INPUT_SPREAD = 74  # of int8 that are drawn evenly
_Windowed: TypeAlias = Convolution | DepthwiseConvolution | AveragePooling | Subsampling


def made_up_model(network: Network, image_shape: ImageShape, classes: Sequence[str]) -> QuantizedModel:
    """The network on the tie-free grid with random weights, the same at every call.

    Args:
        image_shape: height, width, channels.
        classes: their names: the outputs of the last layer.

    Raises:
        BadInputError: as `networks.int8.require_int8`.
    """
    network = folded(network)
    require_int8(network, image_shape, len(classes))
    outputs = shapes.output_shapes(network, image_shape, len(classes))
    image = QTensor(image_shape, float(np.float32(1 / 255)), -128)
    made = _Layers(image, _added(network))
    reads = wiring.reads(network)
    for layer in network.features:
        made.add(layer, reads[layer.name], outputs[layer.name])
    made.flatten(network.features[-1].name if network.features else wiring.IMAGE)
    for layer in network.classifier:
        made.add(layer, reads[layer.name], outputs[layer.name])
    metadata = {"arch": network.name, "classes": list(classes)}
    return verify(QuantizedModel(tuple(made.layers), metadata, tuple(made.reads)))


def weights_of(network: Network, image_shape: ImageShape, classes: int) -> int:
    """How many weights the network has, biases not counted; errors as of `networks.shapes.weight_shapes`."""
    sizes = shapes.weight_shapes(network, image_shape, classes)
    return sum(math.prod(shape) for name, shape in sizes.items() if name.endswith(".weight"))


def _added(network: Network) -> dict[str, float]:
    """The scale of each layer that a sum reads or is, in proportion to what int8 fixes."""
    origins, sums = wiring.origins(network), [each for each in _layers(network) if isinstance(each, Addition)]
    added = {origins[name] for layer in sums for name in (layer.name, *layer.inputs)}
    unit = 1 / 255 if wiring.IMAGE in added else 1 / 256  # the image's, or those of the tables
    return dict.fromkeys(added, float(np.float32(_UNITS * unit)))


def _layers(network: Network) -> tuple[LayerDescription, ...]:
    return (*network.features, *network.classifier)


class _Layers:
    """The layers so far, and which of them gives what each described layer does."""

    def __init__(self, image: QTensor, added: Mapping[str, float]) -> None:
        self.layers, self.reads, self._random = list[Layer](), list[tuple[int, ...]](), np.random.default_rng(0)
        self._image, self._added, self._from = image, added, {wiring.IMAGE: -1}
        self.current = image  # what the layer that is being added reads

    def flatten(self, maps: str) -> None:
        tensor = self._tensor(maps)
        shape = (math.prod(tensor.shape),)
        self._append(wiring.FLATTEN, quantized.Flatten("flatten", tensor, _with_shape(tensor, shape)), (maps,))

    def add(self, layer: LayerDescription, sources: Sequence[str], shape: tuple[int, ...]) -> None:
        """The layers of a described one that reads those of these names, and gives `shape`."""
        name, self.current = layer.name, self._tensor(sources[0])
        if isinstance(layer, Dropout):
            self._from[name] = self._from[sources[0]]
            return
        if isinstance(layer, MaxPooling):
            window, stride, _ = shapes.windows(layer, *self.current.shape[:2])
            output = _with_shape(self.current, shape)
            self._append(name, quantized.MaxPool2d(name, self.current, output, window, stride), sources)
            return
        activation = getattr(layer, "activation", "none")
        output = _with_shape(_output_of(activation, self._added.get(name, _SCALE)), shape)
        self._append(name, self._made(layer, output, [self._tensor(source) for source in sources]), sources)
        if activation in OUTPUT_SCALING:
            self._table(name, activation)

    def _made(
        self, layer: _Windowed | FullyConnected | Rbf | Addition, output: QTensor, inputs: list[QTensor]
    ) -> Layer:
        """The layer with its weights, without the table where the activation is one."""
        if isinstance(layer, Addition):
            return quantized.Add(layer.name, (inputs[0], inputs[1]), output)
        if isinstance(layer, (FullyConnected, Rbf)):
            grid = self._grid((*output.shape, *self.current.shape), output)
            common = (layer.name, self.current, output, grid.weights, grid.bias, grid.weight_scales)
            return quantized.FullyConnected(*common)
        return self._windowed(layer, output)

    def _windowed(self, layer: _Windowed, output: QTensor) -> Layer:
        """The int8 window: if TFLite has no such padding, with rows and columns of zeros around it."""
        height, width, channels = self.current.shape
        windows = shapes.windows(layer, height, width)
        int8 = int8_window(windows, height, width)
        assert int8 is not None  # `require_int8` made sure of it
        mixed = (channels,) if isinstance(layer, Convolution) else (1,)
        equal = isinstance(layer, (AveragePooling, Subsampling))
        grid = self._grid((output.shape[2], *windows[0], *mixed), output, equal=equal)
        top, bottom, left, right = int8.zeros
        weights = np.pad(grid.weights, ((0, 0), (top, bottom), (left, right), (0, 0)))
        if isinstance(layer, Convolution) and layer.connections is not None:
            for channel, seen in enumerate(layer.connections):
                weights[channel][..., np.setdiff1d(np.arange(channels), seen)] = 0
        kind: type[quantized.Conv2d | quantized.DepthwiseConv2d] = quantized.Conv2d
        if not isinstance(layer, Convolution):
            kind, weights = quantized.DepthwiseConv2d, np.ascontiguousarray(weights[..., 0].transpose(1, 2, 0))
        common = (layer.name, self.current, output, weights, grid.bias, grid.weight_scales)
        return kind(*common, windows[1], int8.padding)

    def _grid(self, shape: tuple[int, ...], output: QTensor, *, equal: bool = False) -> GridChannels:
        """Weights whose outputs have a spread of `_SPREAD` steps; all `equal` for an average and a subsampling."""
        fan_in = math.prod(shape[1:])
        spread = _SPREAD * output.scale / (self.current.scale * _INPUT_SPREAD * math.sqrt(fan_in))
        if equal:
            weights: npt.NDArray[np.float64] = np.full(shape, 1 / fan_in)
        else:
            weights = np.clip(self._random.normal(0, spread, shape), -3 * spread, 3 * spread)
        bias = np.zeros(shape[0]) if equal else self._random.normal(0, 10 * output.scale, shape[0])
        return to_grid(weights, bias, self.current.scale, output.scale, farthest=255)

    def _table(self, name: str, function: str) -> None:
        source = self._tensor(name)
        target = QTensor(source.shape, *OUTPUT_SCALING[function])
        table = ideal_table(function, source)  # type: ignore[arg-type]
        self._append(name, quantized.Lookup(f"{name}/{function}", source, target, function, table), (name,))  # type: ignore[arg-type]

    def _tensor(self, name: str) -> QTensor:
        index = self._from[name]
        return self.layers[index].output if index >= 0 else self._image

    def _append(self, name: str, layer: Layer, sources: Sequence[str]) -> None:
        self.reads.append(tuple(self._from[source] for source in sources))
        self._from[name] = len(self.layers)
        self.layers.append(layer)


def _output_of(activation: str, scale: float) -> QTensor:
    """The scaling of a map whose activation is the end of int8's range; its shape comes later.

    Args:
        scale: of maps where the activation says nothing; one other than `_SCALE` is in proportion to others.
    """
    if activation in OUTPUT_SCALING:
        return QTensor((), universal_scale(activation, _SCALE), 0)  # type: ignore[arg-type]
    scale = _SIX if activation == "relu6" and scale == _SCALE else scale
    return QTensor((), scale, 0 if activation == "none" else -128)


def _with_shape(tensor: QTensor, shape: tuple[int, ...]) -> QTensor:
    return QTensor(shape, tensor.scale, tensor.zero_point)
