"""Sums, differences and products of two int8 tensors, as each runtime computes them.

The operands of a sum have scales of their own, so each is brought to a common
scale first, with 20 bits behind the point, and only the sum is requantised.

Nothing on TFLM's way to a result overflows int32 in a layer that `verify`
accepts; `docs/explanation/rounding-rules.md` has the proof.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from lenet_edge.quantized.layers import Add, Elementwise, Float32Array, Int8Array, Int64Array, Multiply, Subtract
from lenet_edge.quantized.requantize import Multiplier

__all__ = [
    "DIFFERENCE_RULES",
    "LEFT_SHIFT",
    "PRODUCT_RULES",
    "SUM_RULES",
    "FusedSum",
    "SumParameters",
    "elementwise",
    "float32_product_scale",
    "fused_sum",
    "product_multiplier",
    "rules_of",
    "sum_parameters",
]

LEFT_SHIFT = 20
"""The operands of a sum are multiplied by 2^20 before they are rescaled, which makes their own rounding negligible."""


@dataclass(frozen=True)
class SumParameters:
    """How TFLM rescales the operands and the result of a sum: `first` and `second` are at most 1/2, `output` 2^-11.

    With operands ``a`` and ``b`` less their zero points, and ``M(x)`` for `requantize.round_tflm`, a sum is
    ``clamp(output(first(a << 20) + second(b << 20)) + zero point)``; of a difference ``second`` is subtracted.
    """

    first: Multiplier
    second: Multiplier
    output: Multiplier


def sum_parameters(layer: Add | Subtract) -> SumParameters:
    """The multipliers of a sum: each operand onto twice the larger input scale, and from there to the output.

    Source: ``CalculateOpDataAdd`` and ``CalculateOpDataSub`` (tensorflow/lite/micro/kernels/add_common.cc,
    sub_common.cc). SUB took its quotients in float32 at times; the runtimes that the tests ask take them in double.
    """
    first, second = (tensor.scale for tensor in layer.inputs)
    widest = 2 * max(first, second)
    output = widest / ((1 << LEFT_SHIFT) * layer.output.scale)
    return SumParameters(*map(Multiplier.of, (first / widest, second / widest, output)))


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


def _xnnpack_sum(layer: Add | Subtract, first: Int64Array, second: Int64Array) -> Int64Array:
    """XNNPACK scales both operands straight to the output, with integers of 21 bits, and rounds once, half up.

    Source: ``xnn_init_qs8_add_minmax_scalar_params`` (XNNPACK/src/microparams-init.c), src/qs8-vadd.
    """
    ratios = [np.float32(tensor.scale) / np.float32(layer.output.scale) for tensor in layer.inputs]
    if not all(2.0**-10 <= ratio < 2.0**8 for ratio in ratios):
        return _sum(layer, first, second)  # XNNPACK leaves it to LiteRT's own kernel
    shift = 21 - int(np.frexp(max(ratios))[1])
    by_first, by_second = (int(np.rint(np.ldexp(np.float64(ratio), shift))) for ratio in ratios)
    accumulator = first * by_first + second * (-by_second if isinstance(layer, Subtract) else by_second)
    return (accumulator + (1 << (shift - 1))) >> shift


@dataclass(frozen=True)
class FusedSum:
    """How ONNX Runtime adds integers: ``outer * a + (inner * b + addend)``, all of them float32.

    Attributes:
        swapped: a is the second operand, not the first; both are as they are, and the zero points are in `addend`.
    """

    outer: np.float32
    inner: np.float32
    addend: np.float32
    swapped: bool


def fused_sum(layer: Add) -> FusedSum:
    """The numbers of ONNX Runtime's QLinearAdd; see `_onnxruntime_sum`."""
    swapped = _repeats_first(layer)
    one, other = reversed(layer.inputs) if swapped else layer.inputs
    output = np.float32(layer.output.scale)
    by_one, by_other = np.float32(one.scale) / output, np.float32(other.scale) / output
    zeros = _fused(np.asarray(one.zero_point, np.float32), by_one, by_other * np.float32(other.zero_point))
    return FusedSum(by_one, by_other, np.float32(np.float32(layer.output.zero_point) - zeros), swapped)


def _onnxruntime_sum(layer: Add, first: Int64Array, second: Int64Array) -> Int64Array:
    """ONNX Runtime's QLinearAdd: float32, the zero points in one addend, each product added without being rounded
    (fused multiply-add, which x86-64 has from AVX2 on); ties go to even, zero point included.

    Source: ``MlasQLinearAddKernelAvx2`` (onnxruntime/core/mlas/lib/intrinsics/avx2/qladd_avx2.cpp).
    """
    by = fused_sum(layer)
    values = (first + layer.inputs[0].zero_point, second + layer.inputs[1].zero_point)
    one, other = reversed(values) if by.swapped else values
    total = _fused(one.astype(np.float32), by.outer, _fused(other.astype(np.float32), by.inner, by.addend))
    return np.rint(total).astype(np.int64) - layer.output.zero_point


def _repeats_first(layer: Add) -> bool:
    """Whether each value of the first operand meets a run of the second's, in ONNX's order: the two then swap roles."""
    axes = len(layer.output.shape)
    sizes = [(*[1] * (axes - len(tensor.shape)), *tensor.shape) for tensor in layer.inputs]
    order = (2, 0, 1) if axes == 3 else tuple(range(axes))
    for axis in reversed(order):
        if layer.output.shape[axis] > 1:
            return sizes[0][axis] < sizes[1][axis]
    return False


def _fused(values: Float32Array, by: np.float32, addend: Float32Array | np.float32) -> Float32Array:
    """``values * by + addend``, rounded to float32 once; the product of small integers is exact in a double.

    Their sum may not be, and a rounded sum must not be rounded again: where it is inexact, the neighbour whose last bit
    is 1 stands for it, which lies on the same side of every tie of float32.

    Source: Boldo, Melquiond 2008, "Emulation of a FMA and correctly rounded sums: proved algorithms using rounding to
    odd"; what a sum has lost is by Knuth's TwoSum.
    """
    product, added = np.broadcast_arrays(values.astype(np.float64) * np.float64(by), np.asarray(addend, np.float64))
    total = product + added
    from_added = total - product
    lost = (product - (total - from_added)) + (added - from_added)
    is_even = total.view(np.int64) & 1 == 0
    odd = np.where((lost != 0) & is_even, np.nextafter(total, np.copysign(np.inf, lost)), total)
    result: Float32Array = odd.astype(np.float32)
    return result


def _float_sum(layer: Add | Subtract, first: Int64Array, second: Int64Array) -> Int64Array:
    """In float32 between DequantizeLinear and QuantizeLinear: ties go to even before the zero point is added."""
    real_first, real_second = (
        values.astype(np.float32) * np.float32(tensor.scale)
        for values, tensor in zip((first, second), layer.inputs, strict=True)
    )
    real = real_first - real_second if isinstance(layer, Subtract) else real_first + real_second
    return np.rint(real / np.float32(layer.output.scale)).astype(np.int64)


def _product(layer: Multiply, first: Int64Array, second: Int64Array) -> Int64Array:
    """Source: ``MulElementwise`` (tensorflow/lite/kernels/internal/reference/integer_ops/mul.h)."""
    return product_multiplier(layer).times(first * second)


def float32_product_scale(layer: Multiply) -> np.float32:
    """The multiplier of a product as runtimes have it that round in float32."""
    first, second = (np.float32(tensor.scale) for tensor in layer.inputs)
    return np.float32(first * second / np.float32(layer.output.scale))


def _litert_product(layer: Multiply, first: Int64Array, second: Int64Array) -> Int64Array:
    """LiteRT takes the multiplier itself in float32.

    Source: ``Prepare`` (tensorflow/lite/kernels/mul.cc).
    """
    return Multiplier.of(float(float32_product_scale(layer))).times(first * second)


def _xnnpack_product(layer: Multiply, first: Int64Array, second: Int64Array) -> Int64Array:
    """Rounded once in float32, half to even.

    Source: src/qs8-vmul/ of XNNPACK, with its fp32 requantisation.
    """
    scale = float32_product_scale(layer)
    if not 2.0**-16 <= scale < 2.0**8:
        return _litert_product(layer, first, second)  # XNNPACK leaves it to LiteRT's own kernel
    return np.rint((first * second).astype(np.float32) * scale).astype(np.int64)


def _onnxruntime_product(layer: Multiply, first: Int64Array, second: Int64Array) -> Int64Array:
    """ONNX Runtime's QLinearMul: float32; ties go to even, zero point included.

    Source: onnxruntime/core/mlas/lib/qlmul.cpp.
    """
    target = layer.output.zero_point
    steps = (first * second).astype(np.float32) * float32_product_scale(layer) + np.float32(target)
    return np.rint(steps).astype(np.int64) - target


_Computed: TypeAlias = Callable[..., Int64Array]
DIFFERENCE_RULES: Mapping[str, _Computed] = MappingProxyType(
    {"tflm": _sum, "xnnpack": _xnnpack_sum, "float": _float_sum}
)
"""How runtimes compute SUB: (layer, operands less their zero points) -> results less theirs, int64."""

SUM_RULES: Mapping[str, _Computed] = MappingProxyType({**DIFFERENCE_RULES, "onnxruntime": _onnxruntime_sum})
"""How runtimes compute ADD, likewise."""

PRODUCT_RULES: Mapping[str, _Computed] = MappingProxyType(
    {"tflm": _product, "litert": _litert_product, "xnnpack": _xnnpack_product, "onnxruntime": _onnxruntime_product}
)
"""How runtimes compute MUL, likewise."""


_RULES: Mapping[type, Mapping[str, _Computed]] = MappingProxyType(
    {Add: SUM_RULES, Subtract: DIFFERENCE_RULES, Multiply: PRODUCT_RULES}
)


def rules_of(layer: Elementwise) -> Mapping[str, _Computed]:
    """The rules for layers of that kind."""
    return _RULES[type(layer)]


def elementwise(layer: Elementwise, first: Int8Array, second: Int8Array, rule: str) -> Int8Array:
    """The layer's outputs, int8 ``[n, *layer.output.shape]``, of int8 operands ``[n, ...]`` that broadcast to it."""
    operands = (
        _with_axes(values, len(layer.output.shape)).astype(np.int64) - tensor.zero_point
        for values, tensor in zip((first, second), layer.inputs, strict=True)
    )
    results = rules_of(layer)[rule](layer, *operands) + layer.output.zero_point
    return np.clip(results, layer.clamp_min, layer.clamp_max).astype(np.int8)


def _with_axes(values: Int8Array, axes: int) -> Int8Array:
    """The values with axes of 1 behind the batch, so that numpy does not align the batch with an axis of the output."""
    return values.reshape(len(values), *[1] * (axes + 1 - values.ndim), *values.shape[1:])
