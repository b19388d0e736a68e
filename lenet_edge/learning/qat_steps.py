"""From a description to the steps of its int8 network, and what each of them reads."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import nn

from lenet_edge.learning.fake_quantize import (
    FakeQuantizedLayer,
    FakeQuantizedLookup,
    FakeQuantizedSum,
    Operation,
    average_of,
    connection_of,
    convolution_of,
    flatten,
    max_pool,
)
from lenet_edge.learning.layers import Spread, as_it_is, between, over_window
from lenet_edge.learning.qat_scales import Reads
from lenet_edge.learning.qat_step import Grid
from lenet_edge.networks import shapes, wiring
from lenet_edge.networks.description import (
    Activation,
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

__all__ = ["classes_of", "wired_steps"]


def wired_steps(
    network: nn.Module, description: Network, image_shape: ImageShape, grid: Grid, bits: Mapping[str, int]
) -> tuple[list[nn.Module], Reads]:
    """The steps of the int8 network, one per layer of the `QuantizedModel`, and what they read; dropout has none.

    Args:
        network: the float network.
        description: of that network.
        image_shape: height, width, channels.
        bits: of the weights of layers that have other than 8.
    """
    outputs = shapes.output_shapes(description, image_shape, classes_of(network, description))
    wired = _Steps(dict(network.named_modules()), grid, bits, {wiring.IMAGE: image_shape, **outputs})
    reads = wiring.reads(description)
    for layer in description.features:
        wired.add(layer, reads[layer.name])
    maps = description.features[-1].name if description.features else wiring.IMAGE
    wired.flatten(maps)
    for layer in description.classifier:
        wired.add(layer, reads[layer.name])
    return wired.steps, tuple(wired.reads)


def classes_of(network: nn.Module, description: Network) -> int:
    """How many logits the network gives."""
    weight = dict(network.named_parameters())[f"classifier.{description.classifier[-1].name}.weight"]
    return len(weight)


class _Steps:
    """The steps so far, and where the output of each layer comes from."""

    def __init__(
        self,
        modules: Mapping[str, nn.Module],
        grid: Grid,
        bits: Mapping[str, int],
        shapes_of: dict[str, shapes.Shape],
    ) -> None:
        self.steps, self.reads = list[nn.Module](), list[tuple[int, ...]]()
        self._modules, self._grid, self._bits, self._shapes = modules, grid, bits, shapes_of
        self._from = {wiring.IMAGE: -1}  # layer -> the index of the step that gives its output

    def flatten(self, maps: str) -> None:
        """The map of that name as a vector."""
        flat = self._shapes[wiring.FLATTEN] = (math.prod(self._shapes[maps]),)
        self._append(wiring.FLATTEN, flatten(wiring.FLATTEN, flat), (maps,))

    def add(self, layer: LayerDescription, sources: tuple[str, ...]) -> None:
        """The steps of a layer that reads layers of these names."""
        name, output = layer.name, self._shapes[layer.name]
        source = self._shapes[sources[0]]
        if isinstance(layer, Dropout):
            self._from[name] = self._from[sources[0]]
            return
        if isinstance(layer, MaxPooling):
            window, stride, _ = shapes.windows(layer, source[0], source[1])
            self._append(name, max_pool(name, window, stride, output), sources)
            return
        activation: Activation = getattr(layer, "activation", "none")
        if isinstance(layer, Addition):
            self._append(name, FakeQuantizedSum(name, output, self._grid, activation), sources)
        else:
            operation = self._operation(layer, source, output)
            bits = self._bits.get(name, 8)
            self._append(name, FakeQuantizedLayer(name, operation, self._grid, activation, bits), sources)
        if activation == "sigmoid" or activation == "tanh":
            self._append(name, FakeQuantizedLookup(f"{name}/{activation}", activation), (name,))

    def _append(self, name: str, step: nn.Module, sources: tuple[str, ...]) -> None:
        self.reads.append(tuple(self._from[source] for source in sources))
        self._from[name] = len(self.steps)
        self.steps.append(step)

    def _operation(
        self,
        layer: Convolution | DepthwiseConvolution | AveragePooling | Subsampling | FullyConnected | Rbf,
        source: shapes.Shape,
        output: shapes.Shape,
    ) -> Operation:
        if isinstance(layer, (FullyConnected, Rbf)):
            return connection_of(self._modules[f"classifier.{layer.name}"], output)
        windows = shapes.windows(layer, source[0], source[1])
        if isinstance(layer, AveragePooling):
            return average_of(windows, source, output)
        spread: Spread = as_it_is
        if isinstance(layer, Subsampling):
            spread = over_window(layer.window)
        elif isinstance(layer, Convolution) and layer.connections is not None:
            spread = between(layer.connections, source[2])
        return convolution_of(self._modules[f"features.{layer.name}"], windows, source, output, spread)
