"""Operators that take each int8 value by itself onto another scale: tables of 256 entries, as each runtime fills them.

QUANTIZE between two int8 tensors, RELU and RELU6 that are not fused, and LEAKY_RELU. TFLM has no RELU_N1_TO_1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from lenet_edge.quantized.clamps import BOUNDS, activation_clamp
from lenet_edge.quantized.layers import Int8Array, Int64Array, QTensor, Rescale
from lenet_edge.quantized.requantize import Float64Array, Multiplier

__all__ = ["OPERATORS", "RESCALE_RULES", "multipliers", "real_steps", "rescaled", "table"]

OPERATORS = ("QUANTIZE", "RELU", "RELU6", "LEAKY_RELU")

_INPUTS = np.arange(-128, 128, dtype=np.int64)


def multipliers(operator: str, source: QTensor, target: QTensor, slope: float = 1.0) -> tuple[Multiplier, Multiplier]:
    """TFLM's multipliers of what is at or above zero, and of what is below: quotients in double.

    Source: ``PrepareQuantizeReference``, ``CalculateReluOpData`` and ``CalculateOpDataLeakyRelu``
    (tensorflow/lite/micro/kernels/quantize_common.cc, activations_common.cc, leaky_relu_common.cc).
    """
    above = source.scale / target.scale
    below = source.scale * slope / target.scale if operator == "LEAKY_RELU" else above
    return Multiplier.of(above), Multiplier.of(below)


def _float32_multipliers(
    operator: str, source: QTensor, target: QTensor, slope: float = 1.0
) -> tuple[Multiplier, Multiplier]:
    """LiteRT takes the quotients of RELU and LEAKY_RELU in float32.

    Source: ``ReluPrepare`` and ``LeakyReluPrepare`` (tensorflow/lite/kernels/activations.cc).
    """
    if operator == "QUANTIZE":
        return multipliers(operator, source, target)
    scale, output_scale = np.float32(source.scale), np.float32(target.scale)
    above, below = scale / output_scale, scale * np.float32(slope) / output_scale
    return Multiplier.of(float(above)), Multiplier.of(float(below))


def table(operator: str, source: QTensor, target: QTensor, slope: float = 1.0) -> Int8Array:
    """The table as TFLM computes it, int8 ``[256]``, indexed by ``input + 128``.

    Args:
        operator: one of `OPERATORS`.
        source, target: the input and the output, for their scales and zero points.
        slope: LEAKY_RELU's factor of negative values, a float32 value.

    Source: ``Requantize`` and ``QuantizeLeakyRelu`` (tensorflow/lite/kernels/internal/reference/requantize.h,
    leaky_relu.h), ``ReluQuantized`` (tensorflow/lite/micro/kernels/activations_common.cc).
    """
    return _filled(operator, source, target, multipliers(operator, source, target, slope))


def _filled(operator: str, source: QTensor, target: QTensor, by: tuple[Multiplier, Multiplier]) -> Int8Array:
    """The table with those multipliers, rounded as TFLM does."""
    above, below = by
    centred = _INPUTS - source.zero_point
    # A product with a negative slope is rounded as that with the positive one, and negated.
    sign = -1 if below.mantissa < 0 else 1
    negative = sign * Multiplier(abs(below.mantissa), below.shift).times(centred)
    return _clamped(operator, target, np.where(centred >= 0, above.times(centred), negative))


def _clamped(operator: str, target: QTensor, results: Int64Array) -> Int8Array:
    low, high = activation_clamp(operator if operator in BOUNDS else "NONE", target)
    return np.clip(results + target.zero_point, low, high).astype(np.int8)


def real_steps(layer: Rescale) -> Float64Array:
    """The real results of all 256 inputs in output steps, without the zero point, float64 ``[256]``."""
    real = (_INPUTS - layer.input.zero_point) * layer.input.scale
    if layer.operator == "LEAKY_RELU":
        real = np.where(real < 0, real * layer.slope, real)
    steps: Float64Array = np.clip(real, *BOUNDS.get(layer.operator, BOUNDS["NONE"])) / layer.output.scale
    return steps


# --- the other runtimes ---------------------------------------------------------------------------


def _tflm(layer: Rescale) -> tuple[Int8Array, Int8Array]:
    return layer.table, layer.table


def _litert_reference(layer: Rescale) -> tuple[Int8Array, Int8Array]:
    by = _float32_multipliers(layer.operator, layer.input, layer.output, layer.slope)
    found = _filled(layer.operator, layer.input, layer.output, by)
    return found, found


def _litert(layer: Rescale) -> tuple[Int8Array, Int8Array]:
    """LiteRT's built-in QUANTIZE: whole blocks round half up twice, the rest of the tensor as TFLM does.

    Source: ``Requantize`` (tensorflow/lite/kernels/internal/optimized/optimized_ops.h).
    """
    if layer.operator != "QUANTIZE":
        return _litert_reference(layer)
    by, _ = multipliers(layer.operator, layer.input, layer.output)
    return _clamped(layer.operator, layer.output, by.times(_INPUTS - layer.input.zero_point, "ruy")), layer.table


def _tflite_runtime(layer: Rescale) -> tuple[Int8Array, Int8Array]:
    """tflite-runtime 2.14: a product with a negative slope is rounded half up itself."""
    if layer.slope >= 0:
        return _litert_reference(layer)
    centred = _INPUTS - layer.input.zero_point
    above, below = _float32_multipliers(layer.operator, layer.input, layer.output, layer.slope)
    steps = np.where(centred >= 0, above.times(centred), below.times(centred))
    found = _clamped(layer.operator, layer.output, steps)
    return found, found


def _xnnpack(layer: Rescale) -> tuple[Int8Array, Int8Array]:
    """XNNPACK's multipliers have 8 fractional bits; what is out of their range it leaves to LiteRT's own kernels.

    Source: src/qs8-vcvt and src/qs8-vlrelu of XNNPACK, ``xnn_init_qs8_cvt_scalar_params`` and
    ``xnn_init_qs8_lrelu_scalar_params`` (src/microparams-init.c).
    """
    ratio = np.float32(layer.input.scale) / np.float32(layer.output.scale)
    below = np.float32(ratio * np.float32(layer.slope))
    taken = 2.0**-8 <= ratio <= 2.0**7 and abs(below) >= 2.0**-8 and -(2.0**7) + 2.0**-8 <= below <= 2.0**7
    if layer.operator not in ("QUANTIZE", "LEAKY_RELU") or not taken:
        return _litert(layer)
    by_above, by_below = (int(np.rint(np.float32(256) * factor)) for factor in (ratio, below))
    centred = _INPUTS - layer.input.zero_point
    steps = (np.where(centred >= 0, by_above, by_below) * centred + 128) >> 8
    found = _clamped(layer.operator, layer.output, steps)
    return found, found


RESCALE_RULES: Mapping[str, Callable[[Rescale], tuple[Int8Array, Int8Array]]] = MappingProxyType(
    {
        "tflm": _tflm,
        "litert-reference": _litert_reference,
        "litert": _litert,
        "tflite-runtime": _tflite_runtime,
        "xnnpack": _xnnpack,
    }
)
"""How runtimes rescale: two tables int8 ``[256]``, of the values in whole blocks of 16 of an image's tensor, and of
those behind them."""

_BLOCK = 16


def rescaled(layer: Rescale, values: Int8Array, rule: str) -> Int8Array:
    """The layer's outputs, int8 of the shape of `values`, int8 ``[n, *layer.input.shape]``."""
    blocks, rest = RESCALE_RULES[rule](layer)
    flat = values.reshape(len(values), -1).astype(np.int64) + 128
    found = blocks[flat]
    last = flat.shape[1] // _BLOCK * _BLOCK
    found[:, last:] = rest[flat[:, last:]]
    return found.reshape(values.shape)
