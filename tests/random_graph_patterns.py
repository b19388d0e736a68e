"""What the exporter of C fuses, for `random_graphs`: a few operators in a row, each of which others may read, too."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from random_graph_operators import RandomGraph, Value, conv2d, pool, weights

__all__ = ["PATTERNS"]

_MOST_VALUES = 600  # of a tensor


def _padded(graph: RandomGraph) -> None:
    """A pad in front of a layer with windows, more than its windows span or with another value, too; read by some."""
    draw, source = graph.draw, graph.value(lambda value: value.is_map)
    if source is None:
        return
    value = draw.pick(source.zero_point, source.zero_point, -128)
    widths = [(0, 0), *((draw.pick(0, 1, 1, 2), draw.pick(0, 1, 1, 2)) for _ in range(2)), (0, 0)]
    shape = [size + sum(pair) for size, pair in zip(source.shape, widths, strict=True)]
    if math.prod(shape) > _MOST_VALUES:
        return
    filled = graph.file.tensor((1,), source.scale, source.zero_point, values=np.array([value], np.int8))
    name, extra = ("PAD", []) if value == source.zero_point else ("PADV2", [filled])
    target = graph.like(source, shape)
    options = "PadOptions" if name == "PAD" else "PadV2Options"
    graph.add(name, [source, graph.file.integers(widths), *extra], [target], options)
    least = draw.pick((1, 1), *[(widths[1][0] + 1, widths[2][0] + 1)] * 3)
    for _ in range(draw.pick(1, 1, 1, 2)):
        draw.pick(conv2d, _depthwise, pool)(graph, target, least)


def _depthwise(graph: RandomGraph, source: Value, least) -> None:
    conv2d(graph, source, least, depthwise=True)


def _clamped(graph: RandomGraph) -> None:
    """A layer, clamps by themselves, a pooling between them or behind."""
    draw = graph.draw
    draw.pick(conv2d, lambda graph: conv2d(graph, depthwise=True), pool, lambda _: None)(graph)
    value = graph.values[-1]
    for _ in range(draw.pick(1, 1, 2)):
        clamped = graph.like(value, value.shape)
        graph.add(draw.pick("RELU", "RELU6"), [value], [clamped])
        value = clamped
        if value.is_map and draw.pick(True, False):
            before = len(graph.values)
            pool(graph, value)
            value = graph.values[before]


def _joined(graph: RandomGraph) -> None:
    """Branches of one tensor, one behind the other again; a part may be one of the branches twice, or a constant."""
    draw, source = graph.draw, graph.value()
    scaling = draw.scale(), draw.integer(-128, 127)
    branches = [_branch(graph, source, *scaling) for _ in range(draw.integer(2, 3))]
    parts = list(branches)
    if draw.pick(*[False] * 3, True):
        parts.append(draw.pick(*parts, graph.constant(parts[0].shape, *scaling)))
    shape = [1, sum(part.shape[1] for part in parts), *source.shape[2:]]
    if math.prod(shape) <= _MOST_VALUES:
        graph.add("CONCATENATION", parts, [graph.new(shape, *scaling)], "ConcatenationOptions", axis=1)
        if draw.pick(True, False):
            graph.add("LEAKY_RELU", [graph.values[-1]], [graph.new(shape)], "LeakyReluOptions", alpha=0.5)
    if draw.pick(*[False] * 3, True):
        again = draw.pick(*branches)
        graph.add("LEAKY_RELU", [again], [graph.new(again.shape)], "LeakyReluOptions", alpha=0.5)


def _branch(graph: RandomGraph, source: Value, scale: float, zero_point: int) -> Value:
    """A tensor of the source's shape, or as a vector of any length, often a whole number of words."""
    draw, shape = graph.draw, source.shape
    if len(shape) == 2:
        shape = (1, draw.pick(draw.integer(1, 12), 4, 8))
        constants, _ = weights(graph, source, (shape[1], math.prod(source.shape)), 0)
        value = graph.new(shape, scale, zero_point)
        graph.add("FULLY_CONNECTED", [source, *constants], [value], "FullyConnectedOptions")
    elif source.is_map and draw.pick(True, False):
        constants, _ = weights(graph, source, (1, 1, 1, shape[3]), 3)
        value = graph.new(shape, scale, zero_point)
        fields = {"padding": 0, "strideH": 1, "strideW": 1, "depthMultiplier": 1}
        fields |= {"dilationHFactor": 1, "dilationWFactor": 1}
        graph.add("DEPTHWISE_CONV_2D", [source, *constants], [value], "DepthwiseConv2DOptions", **fields)
    else:
        value = graph.new(shape, scale, zero_point)
        graph.add("QUANTIZE", [source], [value], "QuantizeOptions")
    if draw.pick(True, False, False):
        table = graph.new(shape, scale, zero_point)
        graph.add("LEAKY_RELU", [value], [table], "LeakyReluOptions", alpha=0.25)
        return table
    return value


PATTERNS: Mapping[Callable[[RandomGraph], None], int] = {_padded: 4, _clamped: 2, _joined: 3}
"""As `random_graph_operators.OPERATORS`."""
