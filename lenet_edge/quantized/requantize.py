"""From an int32 accumulator to an int8 value: the multipliers and the rounding rules of the runtimes.

A layer with input scale ``s_x``, weight scale ``s_w[c]`` and output scale
``s_y`` multiplies its accumulator by ``M[c] = s_x * s_w[c] / s_y``. Runtimes
store M differently and round the product differently; each way that is in use
has a name here, in `RULES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from lenet_edge.quantized.model import Float32Array, FullyConnected, Int64Array, Weighted

__all__ = [
    "RULES",
    "RUY_BLOCKS",
    "Float64Array",
    "Multiplier",
    "Multipliers",
    "Rule",
    "multipliers",
    "quantize_multiplier",
    "real_multipliers",
    "requantize",
]

Float64Array: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Multipliers:
    """The requantisation multipliers of a layer's channels, in the forms that runtimes keep.

    Attributes:
        mantissa: Q0.31, int64 ``[channels]``: 0, or ``2^30 <= mantissa < 2^31``.
        shift: int64 ``[channels]``, left positive: the multiplier is ``mantissa * 2^(shift - 31)``.
        float32: the multiplier as runtimes with float requantisation compute it, float32 ``[channels]``.
    """

    mantissa: Int64Array
    shift: Int64Array
    float32: Float32Array

    def __getitem__(self, channels: slice) -> Multipliers:
        """The multipliers of a slice of the channels."""
        return Multipliers(self.mantissa[channels], self.shift[channels], self.float32[channels])


def quantize_multiplier(real: npt.ArrayLike) -> tuple[Int64Array, Int64Array]:
    """Positive multipliers as Q0.31 mantissas and exponents.

    Source: ``QuantizeMultiplier``, tensorflow/lite/kernels/internal/quantization_util.cc:
    frexp, rounding half away from zero, underflow below 2^-32 to zero.

    Args:
        real: positive float64 of any shape.

    Returns:
        (mantissa, shift), int64 of that shape; shift is left positive.
    """
    fraction, exponent = np.frexp(np.asarray(real, np.float64))
    mantissa = np.floor(fraction * 2.0**31 + 0.5).astype(np.int64)
    shift = exponent.astype(np.int64)
    overflow = mantissa == 2**31
    mantissa, shift = np.where(overflow, 2**30, mantissa), shift + overflow
    underflow = shift < -31
    return np.where(underflow, 0, mantissa), np.where(underflow, 0, shift)


def real_multipliers(layer: Weighted) -> Float64Array:
    """``s_x * s_w / s_y``, product and quotient in double, float64 ``[channels]``.

    Source: ``PopulateConvolutionQuantizationParams`` (tensorflow/lite/kernels/kernel_util.cc).
    """
    product = np.float64(layer.input.scale) * layer.weight_scales.astype(np.float64)
    real: Float64Array = product / np.float64(layer.output.scale)
    return real


def multipliers(layer: Weighted, rule: str = "tflm") -> Multipliers:
    """The multipliers of a layer as the runtimes that round by that rule derive them from the file's float32 scales.

    One scale for a whole FULLY_CONNECTED makes LiteRT's built-in kernels, and
    only those, take the product in float32: ``GetQuantizedConvolutionMultipler``
    (tensorflow/lite/kernels/kernel_util.cc).

    Source of the float32 form: XNNPACK's ``requantization_scale = input_scale *
    kernel_scale / output_scale`` (src/operators/convolution-nhwc.c); ONNX Runtime's
    QLinearConv and QLinearMatMul compute the same.
    """
    real = real_multipliers(layer)
    if rule == "ruy" and isinstance(layer, FullyConnected) and (not layer.per_channel or len(layer.bias) == 1):
        real = (np.float32(layer.input.scale) * layer.weight_scales).astype(np.float64) / np.float64(layer.output.scale)
    mantissa, shift = quantize_multiplier(real)
    scale = (np.float32(layer.input.scale) * layer.weight_scales) / np.float32(layer.output.scale)
    return Multipliers(mantissa, shift, scale.astype(np.float32))


# --- the rounding rules ---------------------------------------------------------------------------


def _product(accumulator: Int64Array, by: Multipliers) -> Int64Array:
    """``accumulator * 2^max(shift, 0) * mantissa``, exact in int64 (|accumulator| < 2^31)."""
    return (accumulator << np.maximum(by.shift, 0)) * by.mantissa


def _doubling_high_product(accumulator: Int64Array, by: Multipliers) -> Int64Array:
    """``SaturatingRoundingDoublingHighMul``: the product with ``max(-shift, 0)`` fractional bits kept, half up.

    gemmlowp writes it as a nudge and a division that truncates; VQRDMULH is the
    same. Both are half up, for negative products too.
    """
    return (_product(accumulator, by) + (1 << 30)) >> 31


def round_tflm(accumulator: Int64Array, by: Multipliers) -> Int64Array:
    """Round twice: half up in the product, then half away from zero in the shift.

    Source: ``MultiplyByQuantizedMultiplier`` without ``TFLITE_SINGLE_ROUNDING``
    (tensorflow/lite/kernels/internal/common.h): ``SaturatingRoundingDoublingHighMul``
    and ``RoundingDivideByPOT`` (gemmlowp/fixedpoint/fixedpoint.h). Used by TFLM,
    CMSIS-NN and LiteRT's reference convolutions.
    """
    high = _doubling_high_product(accumulator, by)
    right = np.maximum(-by.shift, 0)
    mask = (np.int64(1) << right) - 1
    threshold = (mask >> 1) + (high < 0)
    return (high >> right) + ((high & mask) > threshold)


def round_ruy(accumulator: Int64Array, by: Multipliers) -> Int64Array:
    """Round twice, both times half up.

    Source: ``MultiplyByQuantizedMultiplier`` with ``RoundingRightShift`` in ruy
    (ruy/apply_multiplier.cc) and the rounding shifts of its SIMD kernels. Used by
    LiteRT's built-in kernels for convolutions and FULLY_CONNECTED. It differs
    from `round_tflm` for negative results only, so behind a ReLU at zero point
    -128 nobody sees it.
    """
    right = np.maximum(-by.shift, 0)
    half: Int64Array = (np.int64(1) << right) >> 1
    return (_doubling_high_product(accumulator, by) + half) >> right


def round_single(accumulator: Int64Array, by: Multipliers) -> Int64Array:
    """Round once, half up.

    Source: ``MultiplyByQuantizedMultiplier`` with ``TFLITE_SINGLE_ROUNDING``
    (tensorflow/lite/kernels/internal/common.h): one 64-bit product, one shift.
    """
    total = 31 - by.shift
    return (accumulator * by.mantissa + (np.int64(1) << (total - 1))) >> total


def round_float32(accumulator: Int64Array, by: Multipliers) -> Int64Array:
    """Convert to float32, multiply by the float32 multiplier, round half to even.

    Source: XNNPACK's fp32 requantisation (src/qs8-requantization/fp32.c), ONNX
    Runtime's ``MlasRequantizeOutput`` (core/mlas/lib/quantize.cpp).
    """
    return np.rint(accumulator.astype(np.float32) * by.float32).astype(np.int64)


Rule: TypeAlias = Callable[[Int64Array, Multipliers], Int64Array]

RULES: Mapping[str, Rule] = MappingProxyType(
    {"tflm": round_tflm, "ruy": round_ruy, "single": round_single, "float32": round_float32}
)
"""Rounding rules by name: (int64 accumulators ``[..., channels]``, multipliers) -> int64 of the same shape.

The result is before the zero point and the clamp.
"""


class Multiplier(NamedTuple):
    """One multiplier as integer runtimes keep it: ``mantissa * 2^(shift - 31)``, shift left positive."""

    mantissa: int
    shift: int

    @classmethod
    def of(cls, real: float) -> Multiplier:
        """That of a real number; a negative one has a negative mantissa."""
        mantissa, shift = quantize_multiplier(abs(real))
        return cls(int(mantissa) if real >= 0 else -int(mantissa), int(shift))

    def times(self, values: Int64Array, rule: str = "tflm") -> Int64Array:
        """The values times the multiplier, rounded as the rule of `RULES` does; int64 of the same shape."""
        shift = np.array(self.shift, np.int64)
        return RULES[rule](values, Multipliers(np.array(self.mantissa, np.int64), shift, np.ones((), np.float32)))


RUY_BLOCKS = "ruy in blocks of 8"
"""LiteRT's built-in DEPTHWISE_CONV_2D: `round_ruy` for whole blocks of 8 channels, `round_tflm` for the rest.

Source: ``DepthwiseConvGeneral`` (internal/optimized/integer_ops/depthwise_conv.h):
its NEON loop over 8 channels ends with a rounding shift, its scalar tail with
``MultiplyByQuantizedMultiplier``.
"""


def requantize(accumulator: Int64Array, layer: Weighted, rule: str) -> Int64Array:
    """Accumulators ``[..., channels]`` to output integers, as the rule named `rule` gives them.

    Args:
        rule: a name of `RULES`, or `RUY_BLOCKS`.
    """
    by = multipliers(layer, rule)
    if rule == RUY_BLOCKS:
        blocks = accumulator.shape[-1] // 8 * 8
        head = round_ruy(accumulator[..., :blocks], by[:blocks])
        rounded = np.concatenate([head, round_tflm(accumulator[..., blocks:], by[blocks:])], axis=-1)
    else:
        rounded = RULES[rule](accumulator, by)
    clamped: Int64Array = np.clip(rounded + layer.output.zero_point, layer.clamp_min, layer.clamp_max)
    return clamped
