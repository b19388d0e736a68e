"""The constant tables of the generated C: weights, folded biases and multipliers, with the CRC that the chip checks."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lenet_edge.quantized.model import (
    WEIGHTED,
    Conv2d,
    FullyConnected,
    Lookup,
    QuantizedModel,
    Rescale,
    Softmax,
    Weighted,
    channel_weights,
    input_ranges,
)
from lenet_edge.quantized.requantize import multipliers
from lenet_edge.quantized.softmax import exponentials
from lenet_edge.quantized.tie_free import channel_q, off_grid_problem

__all__ = [
    "FLOAT32",
    "LARGEST_TABLE",
    "DoubleRounding",
    "Table",
    "bytes_of",
    "crc32",
    "division_bias",
    "double_rounding_of",
    "float32_factor",
    "folded_bias",
    "is_divisible",
    "layer_tables",
    "requantization_tables",
    "slices_of",
]

LARGEST_TABLE = 32_767
"""Bytes: where `int` has 16 bits no object is larger (avr-gcc refuses it)."""


FLOAT32 = "float32"
"""The rule of layers with weights that are requantised in float32, half to even."""

_C_TYPES = {"int8_t": "<i1", "uint8_t": "<u1", "int16_t": "<i2", "int32_t": "<i4", "uint32_t": "<u4"}
_LARGEST_SHIFT = 57  # le_requantize_float32.c


@dataclass(frozen=True, eq=False)
class Table:
    """One constant array of the generated C.

    Attributes:
        name: the C identifier.
        c_type: the type of an element.
        values: in the order of the array.
        comment: its layout.

    Raises:
        OverflowError: an element does not hold one of the values: whoever made the table did not see a limit.
    """

    name: str
    c_type: str
    values: npt.NDArray[np.integer]
    comment: str

    def __post_init__(self) -> None:
        holds = np.iinfo(_C_TYPES[self.c_type])
        least = -(2**31) if self.c_type == "uint32_t" else holds.min  # words may be of either sign
        beyond = self.values[(self.values < least) | (self.values > holds.max)]
        if beyond.size:
            raise OverflowError(f"{self.name} has {beyond.ravel()[0]}, which is no {self.c_type}")


def is_divisible(model: QuantizedModel) -> bool:
    """Whether every layer with weights is on the tie-free grid, so that a division does for requantisation."""
    return all(
        off_grid_problem(layer, low, high) is None and division_bias(layer).max() < 2**31
        for layer, (low, high) in zip(model.layers, input_ranges(model), strict=True)
        if isinstance(layer, WEIGHTED)
    )


def slices_of(layer: Weighted) -> list[range]:
    """The output channels in runs whose weights fit into one table of at most `LARGEST_TABLE` bytes."""
    channels = len(layer.bias)
    if not isinstance(layer, (Conv2d, FullyConnected)):
        return [range(channels)]
    most = max(1, LARGEST_TABLE // math.prod(layer.weights.shape[1:]))
    return [range(first, min(first + most, channels)) for first in range(0, channels, most)]


def layer_tables(layer: object, name: str, *, divisible: bool, rule: str = "tflm") -> list[Table]:
    """The tables of a layer whose identifiers begin with `name`; none for a layer without.

    Args:
        divisible: it is on the tie-free grid, and requantised by a division.
        rule: by which it rounds otherwise, as `Step.rule` has it.
    """
    if isinstance(layer, (Lookup, Rescale)):
        function = layer.function if isinstance(layer, Lookup) else layer.operator
        return [Table(f"{name}_table", "int8_t", layer.table, f"{function}, [input + 128]")]
    if isinstance(layer, Softmax):
        values = exponentials(layer.input.scale, layer.beta)
        return [Table(f"{name}_exponentials", "int32_t", values, "Q0.31, [largest input - input]")]
    if not isinstance(layer, WEIGHTED):
        return []
    return [*_weight_tables(layer, name), *requantization_tables(layer, name, divisible=divisible, rule=rule)]


def requantization_tables(layer: Weighted, name: str, *, divisible: bool, rule: str = "tflm") -> list[Table]:
    """Biases, multipliers and shifts of a layer, for the file le_requantize_*.c that `plain.requantizer` names."""
    if divisible:
        return _division_tables(layer, name)
    return (_float32_tables if rule == FLOAT32 else _double_tables)(layer, name)


def _weight_tables(layer: Weighted, name: str) -> list[Table]:
    runs = slices_of(layer)
    if len(runs) == 1:
        return [Table(f"{name}_weights", "int8_t", layer.weights, _layout(layer.weights))]
    return [
        Table(
            f"{name}_weights_{index}",
            "int8_t",
            layer.weights[run.start : run.stop],
            f"{_layout(layer.weights[run.start : run.stop])}, output channels {run.start} to {run.stop - 1}",
        )
        for index, run in enumerate(runs)
    ]


def _layout(array: npt.NDArray[np.integer]) -> str:
    return "".join(f"[{size}]" for size in array.shape)


def folded_bias(layer: Weighted) -> npt.NDArray[np.int64]:
    """The bias with the input's zero point in it: the sums of products may then be of the raw integers."""
    offset = layer.input.zero_point * channel_weights(layer).sum(axis=1)
    folded: npt.NDArray[np.int64] = layer.bias.astype(np.int64) - offset
    return folded


def _division_tables(layer: Weighted, name: str) -> list[Table]:
    """For firmware/kernels/plain/le_requantize_tie_free.c."""
    return [
        Table(f"{name}_bias", "int32_t", division_bias(layer), "with the input's zero point, q, 2q (z + 128)"),
        Table(f"{name}_multiplier", "uint32_t", 2**31 // channel_q(layer), "2^32 / 2q, rounded down"),
    ]


def division_bias(layer: Weighted) -> npt.NDArray[np.int64]:
    """The folded bias with q + 2q (z + 128): what le_requantize_tie_free.c divides by 2q gives the output + 128."""
    q = channel_q(layer)
    return folded_bias(layer) + q + 2 * q * (layer.output.zero_point + 128)


@dataclass(frozen=True, eq=False)
class DoubleRounding:
    """TFLM's requantisation of a layer, per channel, as le_requantize_double.c has it.

    Attributes:
        bias: with the input's zero point: added to the sum of raw products it is TFLM's accumulator.
        multiplier: Q0.31: 0, or from 2^30 on.
        shift: left positive, -31 to 31.
    """

    bias: npt.NDArray[np.int64]
    multiplier: npt.NDArray[np.int64]
    shift: npt.NDArray[np.int64]


def double_rounding_of(layer: Weighted) -> DoubleRounding:
    """The requantisation of a layer off the tie-free grid."""
    by = multipliers(layer, "tflm")
    shift: npt.NDArray[np.int64] = np.minimum(by.shift, 31)  # beyond, the accumulator is always 0: any shift does
    return DoubleRounding(folded_bias(layer), by.mantissa, shift)


def _double_tables(layer: Weighted, name: str) -> list[Table]:
    """For firmware/kernels/plain/le_requantize_double.c."""
    by = double_rounding_of(layer)
    return [
        Table(f"{name}_bias", "int32_t", by.bias, "with the input's zero point"),
        Table(f"{name}_multiplier", "uint32_t", by.multiplier, "Q0.31"),
        Table(f"{name}_shift", "int8_t", by.shift, "left positive"),
    ]


def float32_factor(value: float) -> tuple[int, int]:
    """A float32 that is not negative as (mantissa below 2^24, right shift 0 to 57), for le_float32.h.

    What needs a shift to the left is beyond any clamp without it; what needs more than 57 to the right is 0 with 57.
    """
    fraction, exponent = np.frexp(np.float32(value))
    return int(np.ldexp(np.float64(fraction), 24)), int(np.clip(24 - exponent, 0, _LARGEST_SHIFT))


def _float32_tables(layer: Weighted, name: str) -> list[Table]:
    """For firmware/kernels/plain/le_requantize_float32.c."""
    factors = [float32_factor(value) for value in multipliers(layer, FLOAT32).float32]
    mantissas, shifts = (np.array(column) for column in zip(*factors, strict=True))
    return [
        Table(f"{name}_bias", "int32_t", folded_bias(layer), "with the input's zero point"),
        Table(f"{name}_multiplier", "uint32_t", mantissas, "the mantissa of a float32, 24 bits"),
        Table(f"{name}_shift", "int8_t", shifts, "of it, to the right"),
    ]


def crc32(tables: Sequence[Table]) -> int:
    """zlib's CRC-32 over the tables in their order, little-endian, as the chip computes it."""
    crc = 0
    for table in tables:
        crc = zlib.crc32(bytes_of(table), crc)
    return crc


def bytes_of(table: Table) -> bytes:
    """The table as it lies in a little-endian memory."""
    return table.values.astype(_C_TYPES[table.c_type]).tobytes()
