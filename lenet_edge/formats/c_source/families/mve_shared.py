"""What the kernels for MVE share: their requantisation (le_requantize_mve.h), and tables of words."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt

from lenet_edge.formats.c_source.families.shared import Function, bias_of, function_of, multiplier_of
from lenet_edge.formats.c_source.tables import double_rounding_of
from lenet_edge.quantized.model import Weighted

__all__ = [
    "HEADER",
    "ROUNDING_FILE",
    "function",
    "in_pairs",
    "requantization_of",
    "rounded",
    "rounding_problem",
    "words_of",
]

IntArray = npt.NDArray[np.int64]

HEADER = "le_mve.h"
ROUNDING_FILE = "cortex_m_mve/le_requantize_mve.h"  # for assembly only

function = partial(function_of, "cortex_m_mve", "mve")
"""`shared.function_of` of this family."""


def rounded(found: Function, *, divisible: bool) -> Function:
    """The function with a model's rounding: its assembly is there for both."""
    if divisible:
        return found
    return replace(found, files=tuple(file.replace("_mve.S", "_double_mve.S") for file in found.files))


def rounding_problem(layer: Weighted, *, divisible: bool) -> str:
    """Why le_requantize_mve.h does not have a layer's requantisation; empty where it has it."""
    if divisible:
        return ""
    by = double_rounding_of(layer)
    is_large = (by.multiplier > 0) & (by.shift > -1)
    return "a channel's scale is a half or more" if is_large.any() else ""


def requantization_of(layer: Weighted, *, divisible: bool) -> IntArray:
    """Per channel the words of le_requantize_mve.h: ``[2, channels]`` on the tie-free grid, else ``[3, channels]``."""
    if divisible:
        return np.stack([bias_of(layer), multiplier_of(layer)]) & 0xFFFFFFFF
    by = double_rounding_of(layer)
    shift = np.minimum(by.shift, -1)  # where the multiplier is 0 any will do
    third = (layer.output.zero_point << 16) | (shift & 0xFF)
    return np.stack([by.bias, by.multiplier, third]) & 0xFFFFFFFF


def words_of(weights: npt.NDArray[np.int8]) -> IntArray:
    """int8 in words, the first in the lowest byte."""
    return np.ascontiguousarray(weights).ravel().view("<u4").astype(np.int64)


def in_pairs(halves: IntArray) -> IntArray:
    """uint16 in words, the first in the lower half."""
    words: IntArray = halves[::2] | halves[1::2] << 16
    return words
