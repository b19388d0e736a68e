"""The model under construction: layers, what they read, and tensors brought into the order that a layer needs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import permutations

import numpy as np

from lenet_edge.errors import BadInputError
from lenet_edge.formats.onnx.reader.values import Given, Integers, Pending, Scaling, canonical, scaling_of, stored_shape
from lenet_edge.quantized import rescale
from lenet_edge.quantized.clamps import activation_clamp
from lenet_edge.quantized.layers import INT8_MAX, INT8_MIN, Flatten, Layer, QTensor, Rescale, Reshape, Transpose
from lenet_edge.quantized.runtimes import UNKNOWN

__all__ = ["Builder", "tensor_of"]

_MOST_LAYERS = 4000
_MOST_VALUES = 1 << 26  # of all layers together; the place of each takes eight bytes here
_MOST_CONSTANTS = 1 << 30  # bytes


def tensor_of(shape: tuple[int, ...], scaling: Scaling) -> QTensor:
    """The tensor of a shape of the model."""
    return QTensor(shape, scaling.scale, scaling.zero_point)


class Builder:
    """Collects layers.

    Args:
        ranges: (lowest, highest) real value of tensors that the file leaves float.
        readers: name of a tensor -> the types of the nodes that read it.

    Attributes:
        layers, reads: of the model.
        inputs: the scaling of each input that has one, with its shape in the model.
        rules: the rule by which ONNX Runtime computes a layer, where that does not follow from its type.
        float_edges: the names of tensors that would need a range.
    """

    def __init__(self, ranges: Mapping[str, tuple[float, float]], readers: Mapping[str, set[str]]) -> None:
        self.ranges, self.readers = ranges, readers
        self._values_left, self._constants_left = _MOST_VALUES, _MOST_CONSTANTS
        self.layers: list[Layer] = []
        self.reads: list[tuple[int, ...]] = []
        self.inputs: dict[int, QTensor] = {}
        self.rules: dict[str, str] = {}
        self.float_edges: dict[str, None] = {}
        self._names: set[str] = set()

    def name(self, wished: str) -> str:
        """A name that no layer has yet."""
        name, number = wished, 1
        while name in self._names:
            number += 1
            name = f"{wished}_{number}"
        self._names.add(name)
        return name

    def add(self, layer: Layer, *reads: int, rule: str = "") -> int:
        """Append a layer; its place."""
        if len(self.layers) >= _MOST_LAYERS:
            raise BadInputError(f"it has more than {_MOST_LAYERS} layers")
        self._values_left -= math.prod(layer.output.shape)
        if self._values_left < 0:
            raise BadInputError(f"its layers give more than {_MOST_VALUES:,} values")
        layer = replace(layer, name=self.name(layer.name))
        self.layers.append(layer)
        self.reads.append(reads)
        if rule:
            self.rules[layer.name] = rule
        return len(self.layers) - 1

    def take_constant(self, size: int) -> None:
        """Count the bytes of a constant that a node makes; `BadInputError` where all together are too many."""
        self._constants_left -= size
        if self._constants_left < 0:
            raise BadInputError(f"constants that its nodes make take more than {_MOST_CONSTANTS:,} bytes")

    def tensor(self, place: int) -> QTensor:
        """What a place gives."""
        return self.layers[place].output if place >= 0 else self.inputs[-1 - place]

    # --- order ------------------------------------------------------------------------------------

    def place_of(self, integers: Integers, name: str) -> int:
        """Where the tensor is stored in the usual order of its shape, after a move where that is needed."""
        shape = stored_shape(integers.shape)
        order = integers.index.transpose(1, 2, 0) if len(shape) == 3 else integers.index
        return self._moved(integers.place, order.reshape(-1), shape, name)

    def place_of_output(self, integers: Integers, name: str) -> int:
        """The same for an output of the model, where a map that ONNX has with its channels last stays so."""
        return integers.place if self._is_stored(integers) else self.place_of(integers, name)

    def as_output(self, integers: Integers) -> Integers:
        """The same integers with the order in which `place_of_output` stores them."""
        return integers if self._is_stored(integers) else replace(integers, index=canonical(integers.shape))

    def _is_stored(self, integers: Integers) -> bool:
        in_order = np.arange(integers.index.size).reshape(integers.shape)
        return self.tensor(integers.place).shape == integers.shape and np.array_equal(integers.index, in_order)

    def flat(self, integers: Integers, name: str) -> tuple[int, Integers]:
        """Where the tensor is stored flat, in whatever order `index` then says."""
        stored = self.tensor(integers.place)
        if integers.index.size != math.prod(stored.shape):
            return self._flattened(self.place_of(integers, name), name), replace(
                integers, index=np.arange(integers.index.size)
            )
        return self._flattened(integers.place, name), integers

    def _flattened(self, place: int, name: str) -> int:
        stored = self.tensor(place)
        if len(stored.shape) == 1:
            return place
        flat = replace(stored, shape=(math.prod(stored.shape),))
        return self.add(Flatten(f"{name}_flat", stored, flat), place)

    def _moved(self, place: int, order: np.ndarray, shape: tuple[int, ...], name: str) -> int:
        """A place where the values lie in that order of the present ones."""
        stored = self.tensor(place)
        there = np.arange(math.prod(stored.shape)).reshape(stored.shape)
        for axes in permutations(range(len(stored.shape))):
            if not np.array_equal(there.transpose(axes).reshape(-1), order):
                continue
            if list(axes) != sorted(axes):
                target = replace(stored, shape=tuple(stored.shape[axis] for axis in axes))
                place, stored = self.add(Transpose(f"{name}_order", stored, target, axes), place), target
            if stored.shape != shape:
                target = replace(stored, shape=shape)
                kind = Flatten if len(shape) == 1 else Reshape
                place = self.add(kind(f"{name}_shape", stored, target), place)
            return place
        raise BadInputError(
            f"{name}: what moves the values of its input is not supported; only Transpose and Reshape are"
        )

    # --- scales -----------------------------------------------------------------------------------

    def given(self, value: Given, scaling: Scaling) -> Integers:
        """An input of the model, once it is quantised."""
        place, known = -1 - value.number, self.inputs[value.number]
        chosen = tensor_of(known.shape, scaling)
        if known.scale and known != chosen:
            raise BadInputError(f"the input {value.name!r} is quantised twice, with different scales")
        self.inputs[value.number] = chosen
        return Integers(place, value.index, scaling)

    def rescaled(self, integers: Integers, scaling: Scaling, name: str) -> Integers:
        """The same values on another scale."""
        if integers.scaling == scaling:
            return integers
        source = self.tensor(integers.place)
        return self._table(
            "QUANTIZE", integers, replace(source, scale=scaling.scale, zero_point=scaling.zero_point), name
        )

    def _table(self, operator: str, integers: Integers, target: QTensor, name: str, slope: float = 1.0) -> Integers:
        source = self.tensor(integers.place)
        table = rescale.table(operator, source, target, slope)
        rule = "" if source == target else UNKNOWN  # ONNX Runtime computes it in float32
        place = self.add(Rescale(name, source, target, operator, table, slope), integers.place, rule=rule)
        return Integers(place, integers.index, Scaling(target.scale, target.zero_point))

    def leaky(self, integers: Integers, scaling: Scaling, slope: float, name: str) -> Integers:
        """LeakyRelu onto a scale."""
        source = self.tensor(integers.place)
        target = replace(source, scale=scaling.scale, zero_point=scaling.zero_point)
        return self._table("LEAKY_RELU", integers, target, name, slope)

    def clamped(self, integers: Integers, bounds: tuple[float, float], name: str) -> Integers:
        """The values clamped to a range of real ones, as an activation by itself."""
        source = self.tensor(integers.place)
        clamp = self.clamp(bounds, integers.scaling)
        if clamp == (INT8_MIN, INT8_MAX):
            return integers
        for operator in ("RELU", "RELU6"):
            if activation_clamp(operator, source) == clamp:
                return self._table(operator, integers, source, name)
        raise BadInputError(
            f"{name}: a clamp to {bounds[0]:g}..{bounds[1]:g} is no activation that runtimes have; "
            "Relu and Clip to 0..6 are"
        )

    @staticmethod
    def clamp(bounds: tuple[float, float], scaling: Scaling) -> tuple[int, int]:
        """The int8 clamp that real bounds are: QuantizeLinear is monotone, so it may go first."""
        for operator, real in (("RELU", (0.0, math.inf)), ("RELU6", (0.0, 6.0)), ("RELU_N1_TO_1", (-1.0, 1.0))):
            if bounds == real:
                return activation_clamp(operator, tensor_of((1,), scaling))
        steps = (np.rint(np.float32(bound) / np.float32(scaling.scale)) + scaling.zero_point for bound in bounds)
        low, high = (int(np.clip(step, INT8_MIN, INT8_MAX)) for step in steps)
        return low, high

    def settled(self, value: Pending) -> Integers:
        """A float result that nothing quantises: its natural scale, the range that it was given, or a float edge."""
        if value.natural is not None:
            scaling = value.natural
        elif value.name in self.ranges:
            low, high = self.ranges[value.name]
            scaling = self._calibrated(value, low, high)
        else:
            self.float_edges[value.name] = None
            scaling = Scaling(1.0, 0)  # goes on, to name them all
        return value.finish(scaling, value.bounds)

    def _calibrated(self, value: Pending, low: float, high: float) -> Scaling:
        low, high = (float(np.clip(bound, *value.bounds)) for bound in (low, high))
        if not (math.isfinite(low) and math.isfinite(high) and low <= high) or low == high == 0:
            raise BadInputError(f"the range {low}..{high} of tensor {value.name} gives no scale")
        return scaling_of(low, high)

    @staticmethod
    def usual(place: int, shape: tuple[int, ...], scaling: Scaling) -> Integers:
        """The integers of a layer that stores them in the usual order."""
        return Integers(place, canonical(shape), scaling)
