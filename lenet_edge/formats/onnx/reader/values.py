"""What a tensor is while the graph is read: a constant, integers of a layer, or a real that is not yet quantised."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from lenet_edge.errors import BadInputError
from lenet_edge.formats.onnx.reader.graph import Array
from lenet_edge.quantized.layers import INT8_MAX, INT8_MIN, Int64Array

__all__ = [
    "Constant",
    "Given",
    "Integers",
    "Pending",
    "Quantized",
    "Real",
    "Scaling",
    "Tail",
    "Value",
    "canonical",
    "scaling_of",
    "stored_shape",
]

_MAX_VALUES = 1 << 22


@dataclass(frozen=True)
class Scaling:
    """Scale (a float32 value) and zero point, shifted to int8 where the file's type is uint8."""

    scale: float
    zero_point: int


@dataclass(frozen=True, eq=False)
class Constant:
    """A constant of the file, as it is."""

    array: Array


@dataclass(frozen=True, eq=False)
class Quantized:
    """A constant behind DequantizeLinear: integers less their zero point, scales along `axis` (None: one for all)."""

    integers: Int64Array
    scales: Array
    axis: int | None
    zero_points: Int64Array
    element: str

    @property
    def real(self) -> Array:
        """The real values, float32."""
        shape = [1] * self.integers.ndim
        if self.axis is not None:
            shape[self.axis] = -1
        return self.integers.astype(np.float32) * self.scales.reshape(shape).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Integers:
    """What a layer (or an input of the model) gives.

    Attributes:
        place: the layer's index; -1 and below are the inputs.
        index: for each value of the ONNX tensor, in its shape without the batch, its place in the layer's flat output.
        scaling: scale and zero point.
        element: the type in the file, where QuantizeLinear made them.
    """

    place: int
    index: Int64Array
    scaling: Scaling
    element: str = "int8"

    @property
    def shape(self) -> tuple[int, ...]:
        """In ONNX's order, without the batch."""
        return self.index.shape


@dataclass(frozen=True, eq=False)
class Real:
    """Integers behind DequantizeLinear."""

    integers: Integers


@dataclass(frozen=True, eq=False)
class Pending:
    """A float result that QuantizeLinear is to give a scale.

    Attributes:
        name: the tensor's name, for messages and ranges.
        shape: in ONNX's order, without the batch.
        finish: gives the integers on a scale, clamped to a range of real values.
        bounds: the range that activations left.
        biased: the same with a float bias for each channel added; None where it takes none.
        natural: the scaling that it has without QuantizeLinear; None where it needs one.
    """

    name: str
    shape: tuple[int, ...]
    finish: Callable[[Scaling, tuple[float, float]], Integers]
    bounds: tuple[float, float] = (-math.inf, math.inf)
    biased: Callable[[Array], Pending] | None = None
    natural: Scaling | None = None


@dataclass(frozen=True, eq=False)
class Given:
    """An input of the model before it is quantised; `index` as in `Integers`, `element` as in `graph.End`."""

    name: str
    number: int
    index: Int64Array
    element: str


@dataclass(frozen=True, eq=False)
class Tail:
    """What a float operator behind the model's integers makes of them; only an output of the model may be that.

    Attributes:
        integers: what it reads.
        operator: its type.
        source: the name of the float tensor that it reads.
        axis: of the probabilities, the batch counted.
    """

    integers: Integers
    operator: str
    source: str
    axis: int


Value: TypeAlias = Constant | Quantized | Integers | Real | Pending | Given | Tail


def stored_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a tensor of the model for an ONNX shape without the batch: channels last."""
    return (*shape[1:], shape[0]) if len(shape) == 3 else shape


def canonical(shape: tuple[int, ...]) -> Int64Array:
    """`Integers.index` of a tensor that is stored in the usual order: maps with the channels last."""
    if math.prod(shape) > _MAX_VALUES:
        raise BadInputError(f"a tensor of shape {shape} has {math.prod(shape):,} values; {_MAX_VALUES:,} are read")
    count = np.arange(math.prod(shape))
    if len(shape) == 3:
        return count.reshape(stored_shape(shape)).transpose(2, 0, 1)
    return count.reshape(shape)


def scaling_of(low: float, high: float) -> Scaling:
    """The scale and zero point with which int8 holds the range, 0 in it."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = float(np.float32((high - low) / (INT8_MAX - INT8_MIN)))
    return Scaling(scale, int(np.clip(np.rint(INT8_MIN - low / scale), INT8_MIN, INT8_MAX)))
