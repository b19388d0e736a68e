"""Networks of a few layers: what is right alone can be wrong behind another, in shared memory or in another layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lenet_edge.conformance.case import Case, plain_inputs
from lenet_edge.conformance.weighted import OUTPUT_SCALE, Settings, layer_of
from lenet_edge.quantized.lookup import OUTPUT_SCALING, reference_table
from lenet_edge.quantized.model import (
    Add,
    Concatenate,
    Conv2d,
    DepthwiseConv2d,
    Flatten,
    FullyConnected,
    Layer,
    Lookup,
    MaxPool2d,
    Padding,
    QTensor,
    QuantizedModel,
    expected_output_shape,
)

__all__ = ["network_cases"]


class _Network:
    """Layers, one after the other or with branches; each gets its numbers from its name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.layers: list[Layer] = []
        self.reads: list[tuple[int, ...]] = []

    def put(self, layer: Layer, *sources: int) -> int:
        """The layer, and the index that it has then."""
        self.layers.append(layer)
        self.reads.append(sources)
        return len(self.layers) - 1

    def weighted(self, source: int | QTensor, settings: Settings) -> int:
        """A layer that reads an earlier one, or the input; shape and zero point of `settings` are not looked at."""
        tensor, index = (source, -1) if isinstance(source, QTensor) else (self.layers[source].output, source)
        given = replace(
            settings,
            shape=tensor.shape,
            zero_points=(tensor.zero_point, settings.zero_points[1]),
            input_scale=tensor.scale,
        )
        return self.put(layer_of(f"{self.name}-{len(self.layers)}", given), index)

    def pool(self, source: int, window: tuple[int, int] = (2, 2), padding: Padding = "valid", stride: int = 2) -> int:
        tensor = self.layers[source].output
        layer = MaxPool2d(f"{self.name}-{len(self.layers)}", tensor, tensor, window, (stride, stride), padding)
        return self.put(replace(layer, output=replace(tensor, shape=expected_output_shape(layer))), source)

    def flatten(self, source: int) -> int:
        tensor = self.layers[source].output
        flat = replace(tensor, shape=(int(np.prod(tensor.shape)),))
        return self.put(Flatten(f"{self.name}-{len(self.layers)}", tensor, flat), source)

    def case(self, purpose: str, results: Sequence[int] = ()) -> Case:
        model = QuantizedModel(tuple(self.layers), {}, tuple(self.reads), tuple(results))
        return Case(self.name, purpose, model, plain_inputs(self.name, model.inputs))


def network_cases() -> list[Case]:
    """The networks."""
    return [_lenet(), _mobile(), _residual(), _branches(), _squashed(), _two_outputs()]


def _image(*shape: int) -> QTensor:
    return QTensor(shape, float(np.float32(1 / 255)), -128)


def _conv(outputs: int, window: int, activation: str = "RELU", **others: Any) -> Settings:
    zero_points = (0, -128 if activation.startswith("RELU") else -6)
    values: dict[str, Any] = {"activation": activation, "padding": "same", **others}
    return Settings(Conv2d, (1, 1, 1), outputs, (window, window), zero_points=zero_points, **values)


def _depthwise(channels: int, activation: str = "RELU6", **others: Any) -> Settings:
    return replace(_conv(channels, 3, activation, **others), kind=DepthwiseConv2d)


def _matrix(outputs: int, activation: str = "NONE") -> Settings:
    zero_points = (0, -128 if activation == "RELU" else 4)
    return Settings(FullyConnected, (1,), outputs, zero_points=zero_points, activation=activation)


def _lenet() -> Case:
    made = _Network("network-lenet")
    last = made.pool(made.weighted(_image(14, 14, 1), _conv(6, 5)))
    last = made.pool(made.weighted(last, _conv(12, 3, padding="valid")))
    last = made.weighted(made.flatten(last), _matrix(30, "RELU"))
    made.weighted(last, _matrix(10))
    return made.case("convolution, pooling, matrices: a small LeNet")


def _mobile() -> Case:
    made = _Network("network-separable")
    last = made.weighted(_image(12, 10, 3), _conv(8, 3, stride=(2, 2)))
    for outputs, stride in ((12, 1), (19, 2)):
        last = made.weighted(last, _depthwise(made.layers[last].output.shape[2], stride=(stride, stride)))
        last = made.weighted(last, _conv(outputs, 1))
    made.weighted(made.flatten(last), _matrix(7))
    return made.case("depthwise and 1 x 1 convolutions in turn, ReLU6 at the edge")


def _residual() -> Case:
    made = _Network("network-residual")
    first = made.weighted(_image(8, 8, 3), _conv(8, 3))
    last = made.weighted(made.weighted(first, _conv(8, 3)), _conv(8, 3, "NONE"))
    inputs = made.layers[first].output, made.layers[last].output
    target = QTensor(inputs[0].shape, float(np.float32(OUTPUT_SCALE * 3 / 2)), -100)
    total = made.put(Add("network-residual-sum", inputs, target, -100, 127), first, last)
    made.weighted(made.flatten(made.pool(total)), _matrix(5))
    return made.case("a sum of two branches, scales s and s to 3/2 s, with a ReLU")


def _branches() -> Case:
    made = _Network("network-branches")
    first = made.weighted(_image(6, 6, 2), _conv(6, 3))
    branches = [
        made.weighted(first, _conv(5, 1)),
        made.weighted(first, _conv(3, 3)),
        made.weighted(made.pool(first, (3, 3), "same", 1), _conv(4, 1)),
    ]
    tensors = tuple(made.layers[index].output for index in branches)
    layer = Concatenate("network-branches-joined", tensors, tensors[0], 2)
    joined = made.put(replace(layer, output=replace(tensors[0], shape=expected_output_shape(layer))), *branches)
    made.weighted(joined, _conv(8, 3, "NONE", padding="valid"))
    return made.case("three branches, concatenated")


def _squashed() -> Case:
    made = _Network("network-sigmoid")
    last = made.pool(made.weighted(_image(8, 8, 1), _conv(4, 3, "NONE")))
    source = made.layers[last].output
    target = QTensor(source.shape, *OUTPUT_SCALING["sigmoid"])
    table = reference_table("sigmoid", source)
    last = made.put(Lookup("network-sigmoid-table", source, target, "sigmoid", table), last)
    made.weighted(made.flatten(last), _matrix(6))
    return made.case("a sigmoid between layers with weights")


def _two_outputs() -> Case:
    made = _Network("network-two-outputs")
    first = made.weighted(_image(5, 5, 2), _conv(6, 3))
    second = made.weighted(first, _conv(3, 1, "NONE"))
    return made.case("a tensor that is given and read on", (first, second))
