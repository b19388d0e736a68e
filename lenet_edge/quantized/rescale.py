"""Operators that take each int8 value by itself onto another scale: tables of 256 entries, as each runtime fills them.

QUANTIZE between two int8 tensors, RELU and RELU6 that are not fused, and LEAKY_RELU. TFLM has no RELU_N1_TO_1.
"""

from __future__ import annotations

import numpy as np

from lenet_edge.quantized.layers import Int8Array, QTensor
from lenet_edge.quantized.requantize import Multiplier

__all__ = ["BOUNDS", "OPERATORS", "multipliers", "table"]

BOUNDS: dict[str, tuple[float, float]] = {
    "RELU": (0.0, np.inf),
    "RELU6": (0.0, 6.0),
}
"""The real values that an activation lets through."""

OPERATORS = ("QUANTIZE", *BOUNDS, "LEAKY_RELU")

_INPUTS = np.arange(-128, 128, dtype=np.int64)


def multipliers(operator: str, source: QTensor, target: QTensor, slope: float = 1.0) -> tuple[Multiplier, Multiplier]:
    """TFLM's multipliers of what is at or above zero, and of what is below.

    QUANTIZE and RELU take the quotient of the scales in double, LEAKY_RELU takes it, and its product with the slope,
    in float32.

    Source: ``PrepareQuantizeReference``, ``CalculateReluOpData`` and ``CalculateOpDataLeakyRelu``
    (tensorflow/lite/micro/kernels/quantize_common.cc, activations_common.cc, leaky_relu_common.cc).
    """
    if operator != "LEAKY_RELU":
        same = Multiplier.of(source.scale / target.scale)
        return same, same
    scale, output_scale = np.float32(source.scale), np.float32(target.scale)
    return Multiplier.of(float(scale / output_scale)), Multiplier.of(float(scale * np.float32(slope) / output_scale))


def table(operator: str, source: QTensor, target: QTensor, slope: float = 1.0) -> Int8Array:
    """The table as TFLM computes it, int8 ``[256]``, indexed by ``input + 128``.

    Args:
        operator: one of `OPERATORS`.
        source, target: the input and the output, for their scales and zero points.
        slope: LEAKY_RELU's factor of negative values, a float32 value.

    Source: ``Requantize`` and ``QuantizeLeakyRelu`` (tensorflow/lite/kernels/internal/reference/requantize.h,
    leaky_relu.h), ``ReluQuantized`` (tensorflow/lite/micro/kernels/activations_common.cc).
    """
    above, below = multipliers(operator, source, target, slope)
    centred = _INPUTS - source.zero_point
    results = np.where(centred >= 0, above.times(centred), below.times(centred)) + target.zero_point
    low, high = _clamp(operator, target)
    return np.clip(results, low, high).astype(np.int8)


def _clamp(operator: str, target: QTensor) -> tuple[int, int]:
    lower, upper = BOUNDS.get(operator, (-np.inf, np.inf))
    return max(-128, _quantized(lower, target, -128)), min(127, _quantized(upper, target, 127))


def _quantized(value: float, target: QTensor, without: int) -> int:
    """The int8 of a real bound; `without` for none. The quotient is a float32, rounded half away from zero."""
    if not np.isfinite(value):
        return without
    steps = np.float32(value) / np.float32(target.scale)
    return target.zero_point + int(np.copysign(np.floor(np.abs(np.float64(steps)) + 0.5), steps))
