"""Sums, differences and products of two int8 tensors, as each runtime computes them.

The operands of a sum have scales of their own, so each is brought to a common
scale first, with 20 bits behind the point, and only the sum is requantised.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from lenet_edge.quantized.layers import Add, Elementwise, Int8Array, Int64Array, Multiply, Subtract
from lenet_edge.quantized.requantize import Multiplier

__all__ = ["LEFT_SHIFT", "SumParameters", "elementwise", "product_multiplier", "sum_parameters"]

LEFT_SHIFT = 20
"""The operands of a sum are multiplied by 2^20 before they are rescaled, which makes their own rounding negligible."""


@dataclass(frozen=True)
class SumParameters:
    """How TFLM rescales the operands and the result of a sum; all three multipliers are below one.

    With operands ``a`` and ``b`` less their zero points, and ``M(x)`` for `requantize.round_tflm`, a sum is
    ``clamp(output(first(a << 20) + second(b << 20)) + zero point)``; of a difference ``second`` is subtracted.
    """

    first: Multiplier
    second: Multiplier
    output: Multiplier


def sum_parameters(layer: Add | Subtract) -> SumParameters:
    """The multipliers of a sum: each operand onto twice the larger input scale, and from there to the output.

    ADD takes the quotients in double, SUB in float32.

    Source: ``CalculateOpDataAdd`` and ``CalculateOpDataSub`` (tensorflow/lite/micro/kernels/add_common.cc,
    sub_common.cc).
    """
    real = np.float32 if isinstance(layer, Subtract) else np.float64
    first, second = (real(tensor.scale) for tensor in layer.inputs)
    widest = real(2) * max(first, second)
    output = widest / (real(1 << LEFT_SHIFT) * real(layer.output.scale))
    return SumParameters(*(Multiplier.of(float(value)) for value in (first / widest, second / widest, output)))


def product_multiplier(layer: Multiply) -> Multiplier:
    """The multiplier of a product of two integers less their zero points.

    Source: ``CalculateOpDataMul`` (tensorflow/lite/micro/kernels/mul_common.cc).
    """
    first, second = (tensor.scale for tensor in layer.inputs)
    return Multiplier.of(first * second / layer.output.scale)


def _sum(layer: Add | Subtract, first: Int64Array, second: Int64Array) -> Int64Array:
    """Source: ``AddElementwise`` and ``SubElementwise`` (tensorflow/lite/kernels/internal/reference/add.h, sub.h)."""
    by = sum_parameters(layer)
    addend = by.second.times(second << LEFT_SHIFT)
    return by.output.times(by.first.times(first << LEFT_SHIFT) + (-addend if isinstance(layer, Subtract) else addend))


def _product(layer: Multiply, first: Int64Array, second: Int64Array) -> Int64Array:
    """Source: ``MulElementwise`` (tensorflow/lite/kernels/internal/reference/integer_ops/mul.h)."""
    return product_multiplier(layer).times(first * second)


_Computed: TypeAlias = Callable[..., Int64Array]
_RULES: Mapping[tuple[type, str], _Computed] = MappingProxyType(
    {(Add, "tflm"): _sum, (Subtract, "tflm"): _sum, (Multiply, "tflm"): _product}
)


def elementwise(layer: Elementwise, first: Int8Array, second: Int8Array, rule: str) -> Int8Array:
    """The layer's outputs, int8 ``[n, *layer.output.shape]``, of int8 operands ``[n, ...]`` that broadcast to it."""
    operands = (
        _with_axes(values, len(layer.output.shape)).astype(np.int64) - tensor.zero_point
        for values, tensor in zip((first, second), layer.inputs, strict=True)
    )
    results = _RULES[type(layer), rule](layer, *operands) + layer.output.zero_point
    return np.clip(results, layer.clamp_min, layer.clamp_max).astype(np.int8)


def _with_axes(values: Int8Array, axes: int) -> Int8Array:
    """The values with axes of 1 behind the batch, so that numpy does not align the batch with an axis of the output."""
    return values.reshape(len(values), *[1] * (axes + 1 - values.ndim), *values.shape[1:])
