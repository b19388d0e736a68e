"""Int8 softmax, for third-party models that end with one.

It is not part of the integer truth: runtimes compute it in fixed point, in
float32 or from tables, and their last step differs. `analyze` says so.
"""

from __future__ import annotations

import numpy as np

from lenet_edge.quantized.fixed_point import exp_on_negative_values, newton_reciprocal
from lenet_edge.quantized.model import Int8Array, Int64Array
from lenet_edge.quantized.requantize import Multipliers, quantize_multiplier, round_tflm

__all__ = ["exponentials", "softmax"]


def softmax(values: Int8Array, input_scale: float, beta: float, rule: str) -> Int8Array:
    """Softmax over the last axis, output scale 1/256 and zero point -128.

    Args:
        values: int8 ``[..., classes]``.
        rule: "float32" evaluates in float32, "litert" does so from a table, as LiteRT's own kernels do; every other
            name is TFLM's fixed point.
    """
    difference = values.astype(np.int64) - values.max(axis=-1, keepdims=True)
    if rule == "float32":
        exp = np.exp(difference.astype(np.float32) * np.float32(input_scale * beta))
        share = exp / exp.sum(axis=-1, keepdims=True)
        return np.clip(np.rint(share * np.float32(256)) - 128, -128, 127).astype(np.int8)
    if rule == "litert":
        return _from_a_table(-difference, input_scale * beta)
    return _fixed_point(difference, exponentials(input_scale, beta))


def _from_a_table(below: Int64Array, step: float) -> Int8Array:
    """Float32 throughout: a table of exponentials, one sum after the other, half up.

    Source: ``PopulateSoftmaxLookupTable`` and ``optimized_ops::Softmax`` for int8
    (tensorflow/lite/kernels/internal/optimized/optimized_ops.h), without NEON.

    Args:
        below: how far each value is below the largest, ``[..., classes]``.
        step: input scale times beta.
    """
    exponents = np.arange(256).astype(np.float32) * np.float32(-step)
    exp = np.exp(exponents.astype(np.float64)).astype(np.float32)[below]  # expf, which rounds correctly
    total = np.zeros(exp.shape[:-1], np.float32)
    for index in range(exp.shape[-1]):
        total += exp[..., index]
    share = exp * (np.float32(1) / (total * np.float32(1 / 256)))[..., np.newaxis]
    return np.clip(np.floor(share + np.float32(0.5)) - 128, -128, 127).astype(np.int8)


def exponentials(input_scale: float, beta: float) -> Int64Array:
    """TFLM's ``exp(-i * input_scale * beta)`` in Q0.31 for ``i`` in 0..255; 0 where it no longer counts.

    Source: ``PreprocessSoftmaxScaling``, ``CalculateInputRadius`` with 5 integer bits; gemmlowp's
    ``exp_on_negative_values``.
    """
    mantissa, shift = quantize_multiplier(min(input_scale * beta * (1 << 26), 2.0**31 - 1))
    difference = -np.arange(256, dtype=np.int64)
    counted = difference >= -int(np.floor(31.0 * (1 << 26) / 2.0 ** float(shift)))
    by = Multipliers(mantissa[None], shift[None], np.ones(1, np.float32))
    scaled = round_tflm(np.where(counted, difference, 0), by)
    return np.where(counted, exp_on_negative_values(scaled, 5), 0)


def _fixed_point(difference: Int64Array, table: Int64Array) -> Int8Array:
    """Source: ``reference_ops::Softmax`` for int8 (internal/reference/softmax.h)."""
    exp = table[-difference]
    total = ((exp + (1 << 11)) >> 12).sum(axis=-1, keepdims=True)  # Rescale<12>: rounding shift
    reciprocal, over_unit = _reciprocal(total)
    scaled = (exp * reciprocal + (1 << 30)) >> 31
    bits = over_unit + 31 - 8
    rounded = (scaled >> bits) + ((scaled & ((1 << bits) - 1)) > (((1 << bits) - 1) >> 1))
    return np.clip(rounded - 128, -128, 127).astype(np.int8)


def _reciprocal(total: Int64Array) -> tuple[Int64Array, Int64Array]:
    """``GetReciprocal`` with 12 integer bits: Q0.31 of ``1 / (1 + x)`` for ``total = 2^k (1 + x)``, and k."""
    headroom = 31 - np.floor(np.log2(total.astype(np.float64))).astype(np.int64)  # CountLeadingZeros of 32 bits
    over_unit = 12 - headroom
    fraction = (total << headroom) - (1 << 31)
    return np.clip(newton_reciprocal(fraction) << 1, -(2**31), 2**31 - 1), over_unit
