"""MEAN of int8 tensors along some of their axes, as each runtime computes it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from lenet_edge.quantized.layers import Int8Array, Int64Array, Mean
from lenet_edge.quantized.requantize import Multiplier

__all__ = ["MeanParameters", "mean", "parameters"]


@dataclass(frozen=True)
class MeanParameters:
    """How TFLM divides a sum of values.

    Attributes:
        count: values in a mean.
        multiplier: of the sum less ``count * input zero point``; the division by `count` is in it, truncated, so its
            mantissa may be below 2^30.
    """

    count: int
    multiplier: Multiplier


def parameters(layer: Mean) -> MeanParameters:
    """The count and the multiplier of a mean.

    Source: ``PrepareMeanOrSumHelper`` (tensorflow/lite/micro/kernels/reduce_common.cc) and ``QuantizedMeanOrSum``
    (tensorflow/lite/kernels/internal/reference/reduce.h).
    """
    count = math.prod(layer.input.shape[axis] for axis in layer.axes)
    mantissa, shift = Multiplier.of(layer.input.scale / layer.output.scale)
    bits = min(count.bit_length() - 1, 32, 31 + shift)
    return MeanParameters(count, Multiplier((mantissa << bits) // count, shift - bits))


def _mean(layer: Mean, sums: Int64Array) -> Int64Array:
    return parameters(layer).multiplier.times(sums)


_RULES: Mapping[str, Callable[[Mean, Int64Array], Int64Array]] = MappingProxyType({"tflm": _mean})


def mean(layer: Mean, values: Int8Array, rule: str) -> Int8Array:
    """The layer's outputs, int8 ``[n, *layer.output.shape]``, of int8 ``[n, *layer.input.shape]``."""
    centred = values.astype(np.int64) - layer.input.zero_point
    sums = centred.sum(axis=tuple(1 + axis for axis in layer.axes))
    results = np.clip(_RULES[rule](layer, sums) + layer.output.zero_point, -128, 127)
    return results.reshape(len(values), *layer.output.shape).astype(np.int8)
