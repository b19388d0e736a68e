"""Float tables to those of an int8 file, when the range of every tensor is known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt

from lenet_edge.errors import BadInputError
from lenet_edge.formats.tflite.floating.graph import FloatGraph, Operator
from lenet_edge.formats.tflite.floating.scales import Groups, separate_given
from lenet_edge.formats.tflite.reader import damage_is_bad_input, from_tables
from lenet_edge.formats.tflite.schema import S
from lenet_edge.quantized.model import QuantizedModel

__all__ = ["Range", "observed_tensors", "scaling_of", "to_int8"]

FloatArray = npt.NDArray[np.float64]
Scaling = tuple[float, int]

_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_LEAST = 1e-30  # a range below it holds nothing but zero
_LARGEST_BIAS = 2**30  # int32 leaves as much again for the products


@dataclass(frozen=True)
class Range:
    """The smallest and the largest real value that a tensor has to hold."""

    low: float
    high: float


def scaling_of(low: float, high: float) -> Scaling:
    """The scale, a float32 value, and the zero point at which int8 holds the range and 0.

    Raises:
        BadInputError: an end is infinite or no number.
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        raise BadInputError(f"the values go from {low} to {high}: the model's results are infinite or no numbers")
    low, high = min(low, high, 0.0), max(low, high, 0.0)
    if high - low < _LEAST:
        return float(np.float32(1 / 255)), 0
    scale = float(np.float32((high - low) / 255))
    return scale, min(max(math.floor(-128 - low / scale + 0.5), -128), 127)


@damage_is_bad_input()
def observed_tensors(graph: FloatGraph) -> list[int]:
    """The tensors whose ranges `to_int8` needs to know: what operators compute."""
    names = ("LOGISTIC", "TANH", "SOFTMAX")
    outputs = [index for each in graph.operators if each.name not in names for index in each.outputs]
    return [index for index in outputs if graph.is_float(index)]


def to_int8(graph: FloatGraph, ranges: Mapping[int, Range], pixels: Range) -> QuantizedModel:
    """The ordinary int8 model: weights per channel, each tensor in its range.

    Args:
        graph: as `rewrites.rewrite` leaves it; it is used up.
        ranges: of `observed_tensors`.
        pixels: what black and white are to the rewritten model.

    Raises:
        BadInputError: the reader of int8 files refuses it, or a number is none.
    """
    with damage_is_bad_input():
        copies = separate_given(graph)
        known = {**ranges, **{copy: _range(graph, source, ranges, pixels) for copy, source in copies.items()}}
        scalings = _scalings(graph, known, pixels)
        for operator in graph.operators:
            if operator.name in _WEIGHTED:
                _quantize_parameters(graph, operator, scalings[operator.inputs[0]][0])
        for index, scaling in scalings.items():
            _set_activation(graph, index, scaling)
        return from_tables(graph.changed())


def _range(graph: FloatGraph, index: int, ranges: Mapping[int, Range], pixels: Range) -> Range:
    if index in ranges:
        return ranges[index]
    writer = graph.writer(index)
    name = "" if writer is None else writer.name
    return pixels if index == graph.input else Range(-1.0 if name == "TANH" else 0.0, 1.0)


def _activations(graph: FloatGraph) -> list[int]:
    """The float tensors that are no weights and no biases."""
    found = [graph.input]
    for operator in graph.operators:
        read = operator.inputs[:1] if operator.name in _WEIGHTED else operator.inputs
        found += [index for index in (*read, *operator.outputs) if graph.is_float(index)]
    return list(dict.fromkeys(found))


def _scalings(graph: FloatGraph, ranges: Mapping[int, Range], pixels: Range) -> dict[int, Scaling]:
    """Tensor -> its scale and zero point."""
    groups = Groups.all_of(graph)
    members: dict[int, list[int]] = {}
    for index in _activations(graph):
        members.setdefault(groups.of(index), []).append(index)
    given = {group: found or scaling_of(pixels.low, pixels.high) for group, found in groups.given(graph).items()}
    scalings: dict[int, Scaling] = {}
    for group, indices in members.items():
        found = given.get(group) or _common(graph, indices, ranges)
        scalings |= dict.fromkeys(indices, found)
    return scalings


def _common(graph: FloatGraph, indices: list[int], ranges: Mapping[int, Range]) -> Scaling:
    """The scaling that holds the ranges of all."""
    lows, highs = [0.0], [0.0]
    for index in indices:
        found = ranges.get(index)
        if found is None:
            if not graph.is_constant(index):
                raise BadInputError(f"tensor {graph.name(index)} is read before an operator writes it")
            values = graph.values(index)
            found = Range(float(values.min(initial=0)), float(values.max(initial=0)))
        lows.append(found.low)
        highs.append(found.high)
    try:
        return scaling_of(min(lows), max(highs))
    except BadInputError as error:
        raise BadInputError(f"tensor {graph.name(indices[0])}: {error}") from error


def _quantize_parameters(graph: FloatGraph, operator: Operator, input_scale: float) -> None:
    """Weights int8, symmetric, with a scale for each output channel; biases int32."""
    axis = 3 if operator.name == "DEPTHWISE_CONV_2D" else 0
    if not all(graph.is_float(index) and graph.is_constant(index) for index in operator.inputs[1:] if index >= 0):
        raise BadInputError(f"{operator.where} has weights or biases that are computed; only constants are taken")
    weights = graph.values(operator.inputs[1]).astype(np.float64)
    channels, by_channel = weights.shape[axis], np.moveaxis(weights, axis, 0).reshape(weights.shape[axis], -1)
    bias = np.zeros(channels)
    if len(operator.inputs) > 2 and operator.inputs[2] >= 0:
        bias = graph.values(operator.inputs[2]).astype(np.float64).reshape(-1)
    if bias.shape != (channels,):
        raise BadInputError(f"{operator.where} has {len(bias)} biases for {channels} channels")
    largest = abs(by_channel).max(axis=1, initial=0) / 127
    least = np.maximum(abs(bias) / (input_scale * _LARGEST_BIAS), _LEAST)
    scales = np.maximum(largest, least).astype(np.float32)
    wide = scales.astype(np.float64)
    along = wide.reshape([-1 if each == axis else 1 for each in range(weights.ndim)])
    integers = np.clip(np.rint(weights / along), -127, 127).astype(np.int8)
    sums = np.rint(bias / (input_scale * wide)).astype(np.int32)
    bias_scales = np.float32(input_scale) * scales
    name = graph.name(operator.outputs[0])
    operator.inputs = [
        operator.inputs[0],
        _add(graph, f"{name}/weights", integers, S.TensorType.INT8, scales, axis),
        _add(graph, f"{name}/bias", sums, S.TensorType.INT32, bias_scales, 0),
    ]


def _add(
    graph: FloatGraph,
    name: str,
    values: npt.NDArray[np.int8] | npt.NDArray[np.int32],
    kind: int,
    scales: npt.NDArray[np.float32],
    axis: int,
) -> int:
    index = graph.add_tensor(name, values.shape, kind)
    table = graph.tensor(index)
    table.buffer = graph.add_buffer(values.tobytes())
    table.quantization = _quantization(scales, np.zeros(len(scales), np.int64), axis)
    return index


def _quantization(scales: npt.ArrayLike, zero_points: npt.ArrayLike, axis: int = 0) -> SimpleNamespace:
    numbers = {"scale": np.array(scales, np.float32), "zero_point": np.array(zero_points, np.int64)}
    return SimpleNamespace(min=None, max=None, **numbers, details_type=0, details=None, quantized_dimension=axis)


def _set_activation(graph: FloatGraph, index: int, scaling: Scaling) -> None:
    table, (scale, zero_point) = graph.tensor(index), scaling
    if graph.is_constant(index):
        steps = np.rint(graph.values(index).astype(np.float64) / scale) + zero_point
        table.buffer = graph.add_buffer(np.clip(steps, -128, 127).astype(np.int8).tobytes())
    table.type, table.quantization = S.TensorType.INT8, _quantization([scale], [zero_point])
