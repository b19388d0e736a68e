"""A described float network as ONNX, from the tensors of a checkpoint (numpy only)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lenet_edge.errors import BadInputError
from lenet_edge.formats.onnx.graph import GraphBuilder
from lenet_edge.networks import shapes, wiring
from lenet_edge.networks.description import (
    Addition,
    AveragePooling,
    Convolution,
    DepthwiseConvolution,
    Dropout,
    FullyConnected,
    ImageShape,
    MaxPooling,
    Network,
    Rbf,
    Subsampling,
)
from lenet_edge.version import __version__

__all__ = ["float_to_bytes"]

_ACTIVATIONS = {"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh"}


def float_to_bytes(
    tensors: Mapping[str, npt.NDArray[np.float32]], network: Network, image_shape: ImageShape, classes: Sequence[str]
) -> bytes:
    """The float network as ONNX: ``image`` float ``[n, c, h, w]`` in 0..1 to ``logits`` and ``distribution``.

    A softmax over the logits is the distribution over the classes.

    Args:
        tensors: float32 by PyTorch's names, ``features.C1.weight`` and so on, batch normalisation folded; the columns
            behind a map in (channel, row, column) order.
        network: their description.
        image_shape: height, width, channels.
        classes: the names of the classes.

    Raises:
        BadInputError: a tensor is missing or has another shape, or the images do not suit the network.
    """
    _check(tensors, shapes.weight_shapes(network, image_shape, len(classes)))
    height, width, channels = image_shape
    builder = GraphBuilder()
    builder.tensor("inputs", "image", np.float32, (channels, height, width))
    layers = _Layers(builder, _spread(tensors, network), shapes.input_shapes(network, image_shape, len(classes)))
    reads = wiring.reads(network)
    for layer in network.features:
        layers.add(layer, reads[layer.name])
    maps = network.features[-1].name if network.features else wiring.IMAGE
    layers.values[wiring.FLATTEN] = builder.node("Flatten", [layers.values[maps]], "flatten", axis=1)
    for layer in network.classifier[:-1]:
        layers.add(layer, reads[layer.name])
    last = network.classifier[-1]
    layers.add(last, reads[last.name], "logits")
    builder.node("Softmax", [layers.values[last.name]], "distribution", axis=1)
    for name in ("logits", "distribution"):
        builder.tensor("outputs", name, np.float32, (len(classes),))
    # Both forms of LeNet-5 have always had a graph of one name.
    return builder.finish(network.name.removesuffix("-sigmoid"), _facts(network, classes))


def _facts(network: Network, classes: Sequence[str]) -> dict[str, str]:
    """The metadata; activation and subsampling where all layers have the same."""
    layers = (*network.features, *network.classifier[:-1])
    weighted = (Convolution, DepthwiseConvolution, Subsampling, FullyConnected)
    activations = {layer.activation for layer in layers if isinstance(layer, weighted)}
    pooling = {MaxPooling: "max", AveragePooling: "average", Subsampling: "trained"}
    subsamplings = {pooling[type(layer)] for layer in layers if type(layer) in pooling}
    facts = {"classes": json.dumps(list(classes)), "lenet_edge": __version__}
    for name, found in (("activation", activations), ("subsampling", subsamplings)):
        if len(found) == 1:
            facts[name] = found.pop()
    return facts


def _check(tensors: Mapping[str, npt.NDArray[np.float32]], expected: Mapping[str, tuple[int, ...]]) -> None:
    for name, shape in expected.items():
        if name not in tensors:
            raise BadInputError(f"the float network lacks the tensor {name}; export the checkpoint of that network")
        if tensors[name].shape != shape:
            found = list(tensors[name].shape)
            raise BadInputError(f"the float network's tensor {name} has shape {found}, expected {list(shape)}")


def _spread(tensors: Mapping[str, npt.NDArray[np.float32]], network: Network) -> dict[str, npt.NDArray[np.float32]]:
    """The tensors as a convolution has them.

    The coefficients of a subsampling are there for each tap of its window, and weights between channels that are not
    connected are 0.
    """
    spread = dict(tensors)
    for layer in network.features:
        name = f"features.{layer.name}.weight"
        if isinstance(layer, Subsampling):
            spread[name] = np.broadcast_to(tensors[name], (len(tensors[name]), 1, *layer.window))
        elif isinstance(layer, Convolution) and layer.connections is not None:
            spread[name] = np.zeros_like(tensors[name])
            for channel, seen in enumerate(layer.connections):
                spread[name][channel, list(seen)] = tensors[name][channel, list(seen)]
    return spread


class _Layers:
    """Adds the layers of the network to a graph.

    Attributes:
        values: what a layer gives, by the layer's name.
    """

    def __init__(
        self,
        builder: GraphBuilder,
        tensors: Mapping[str, npt.NDArray[np.float32]],
        inputs: Mapping[str, tuple[int, ...]],
    ) -> None:
        self.builder, self.tensors, self.inputs = builder, tensors, inputs
        self.values = {wiring.IMAGE: "image"}

    def add(self, layer: Any, reads: Sequence[str], last: str = "") -> None:
        """A layer and its activation; `last` is what its output is called in place of its name.

        Args:
            reads: the names of the layers that it reads.
        """
        sources = [self.values[name] for name in reads]
        activation = getattr(layer, "activation", "none")
        output = layer.name if activation != "none" or not last else last
        found = sources[0] if isinstance(layer, Dropout) else self._node(layer, sources, output)
        if activation == "relu6":
            bounds = [self.builder.constant(f"float/{value}", value, np.float32) for value in (0, 6)]
            found = self.builder.node("Clip", [found, *bounds], last or f"{layer.name}_activation")
        elif activation != "none":
            found = self.builder.node(_ACTIVATIONS[activation], [found], last or f"{layer.name}_activation")
        self.values[layer.name] = found

    def _node(self, layer: Any, sources: list[str], output: str) -> str:
        """The node of a layer without its activation; gives the name of its output."""
        if isinstance(layer, Addition):
            return self.builder.node("Add", sources, output, layer.name)
        if isinstance(layer, (FullyConnected, Rbf)):
            return self._weighted("Gemm", f"classifier.{layer.name}", sources, output, transB=1)
        if isinstance(layer, (Convolution, DepthwiseConvolution, Subsampling)):
            return self._weighted("Conv", f"features.{layer.name}", sources, output, **self._convolution(layer))
        window, stride, _ = shapes.windows(layer, *self.inputs[layer.name][:2])
        operator = "MaxPool" if isinstance(layer, MaxPooling) else "AveragePool"
        extent: dict[str, Any] = {"kernel_shape": list(window), "strides": list(stride)}
        return self.builder.node(operator, sources, layer.name, **extent)

    def _convolution(self, layer: Convolution | DepthwiseConvolution | Subsampling) -> dict[str, Any]:
        height, width, channels = self.inputs[layer.name]
        _, stride, (top, bottom, left, right) = shapes.windows(layer, height, width)
        attributes: dict[str, Any] = {"pads": [top, left, bottom, right]}
        if stride != (1, 1):
            attributes["strides"] = list(stride)
        if not isinstance(layer, Convolution):
            attributes["group"] = channels
        return attributes

    def _weighted(self, operator: str, place: str, sources: list[str], output: str, **attributes: Any) -> str:
        parts = [f"{place}.{part}" for part in ("weight", "bias")]
        constants = [self.builder.constant(part, self.tensors[part], np.float32) for part in parts]
        name = place.rpartition(".")[2]
        return self.builder.node(operator, [*sources, *constants], output, name, **attributes)
