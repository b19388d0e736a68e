"""What firmware/kernels/cortex_m_dsp/le_requantize_dsp.h takes of a layer, with either rounding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lenet_edge.formats.c_source.families.shared import Function, bias_of, function_of, largest_sum, multiplier_of
from lenet_edge.formats.c_source.tables import DoubleRounding, double_rounding_of
from lenet_edge.quantized.model import Weighted

__all__ = ["Requantization", "functions_of", "requantization_of", "requantization_problem"]

IntArray = npt.NDArray[np.int64]

_TOO_LARGE = "with TFLM's rounding its sums do not fit an int32"


@dataclass(frozen=True, eq=False)
class Requantization:
    """From the sums of raw products of a layer to its outputs.

    Attributes:
        times: 2 where the kernel has to double its sums, else 1.
        bias: of so many times the sums, int64 ``[channels]``.
        factors: int64 ``[channels, 1]``: the multiplier; or, with TFLM's rounding, ``[channels, 3]``: multiplier,
            addend, shift.
    """

    times: int
    bias: IntArray
    factors: IntArray


def functions_of(label: str, operator: str, structure: str, *files: str) -> Mapping[bool, Function]:
    """A function for models on the tie-free grid (True), and that for all others; as `shared.function_of`."""
    names = {True: operator, False: f"{operator}_double"}
    return {
        divisible: function_of("cortex_m_dsp", "dsp", label, name, structure, *files)
        for divisible, name in names.items()
    }


def requantization_of(layer: Weighted, *, divisible: bool) -> Requantization:
    """The requantisation of a layer that has no `requantization_problem`; `divisible` as `families.Kernels` has it."""
    if divisible:
        return Requantization(1, bias_of(layer), multiplier_of(layer)[:, None])
    by = double_rounding_of(layer)
    same = _are_constant(by, _largest_product(layer, by))
    multiplier, shift = np.where(same, 0, by.multiplier), np.where(same, 1, -by.shift)
    addend = (2 * layer.output.zero_point + 1) << (shift - 1)
    return Requantization(2, 2 * by.bias, np.stack([multiplier, addend, shift], axis=1))


def requantization_problem(layer: Weighted, *, divisible: bool) -> str:
    """Why le_requantize_dsp.h cannot have the layer; empty where it can.

    It takes |2 (sum + bias)| < 2^31, a shift to the right of 1 or more, and |high| + |addend| < 2^31.
    """
    if divisible:
        return ""
    by = double_rounding_of(layer)
    if int((largest_sum(layer) + np.abs(by.bias)).max()) >= 2**30:
        return _TOO_LARGE
    high = _largest_product(layer, by)
    differ = ~_are_constant(by, high)
    shift = -by.shift[differ]
    if (shift < 1).any():
        return "a channel multiplies its sums by a half or more"
    addend = abs(2 * layer.output.zero_point + 1) << (shift - 1)
    return _TOO_LARGE if (high[differ] + addend >= 2**31).any() else ""


def _largest_product(layer: Weighted, by: DoubleRounding) -> IntArray:
    """Per channel the largest |(x m + 2^30) >> 31| of an accumulator x with its bias, no shift to the left in it."""
    largest = largest_sum(layer) + np.abs(by.bias)
    product: IntArray = (largest * by.multiplier + 2**30) >> 31
    return product


def _are_constant(by: DoubleRounding, high: IntArray) -> npt.NDArray[np.bool_]:
    """Whether all outputs of a channel are the zero point: a product below a half is rounded to nothing."""
    constant: npt.NDArray[np.bool_] = (by.multiplier == 0) | ((by.shift < 0) & (2 * high < 2.0**-by.shift))
    return constant
