"""Activation functions as tables of 256 int8 entries, and how each runtime computes them.

On int8 a sigmoid or a tanh is a table. The table of a `Lookup` layer is the
ideally rounded one; `TABLE_RULES` holds what runtimes compute instead, so that
the proof can compare all 256 entries for the scales that a model uses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias

import numpy as np

from lenet_edge.errors import BadInputError
from lenet_edge.quantized.model import Float32Array, Int8Array, Int64Array, QTensor
from lenet_edge.quantized.requantize import Float64Array, Multipliers, quantize_multiplier, round_tflm

__all__ = [
    "OUTPUT_SCALING",
    "SMALLEST_DISTANCE",
    "TABLE_RULES",
    "distance_to_tie",
    "exp_on_negative_values",
    "ideal_table",
    "newton_reciprocal",
    "universal_scale",
]

Function: TypeAlias = Literal["sigmoid", "tanh"]

OUTPUT_SCALING: Mapping[str, tuple[float, int]] = MappingProxyType({"sigmoid": (1 / 256, -128), "tanh": (1 / 128, 0)})
"""The (scale, zero point) that TFLite's int8 specification fixes for the output of each function."""

_INPUTS = np.arange(-128, 128, dtype=np.int64)


def _real_outputs(function: Function, tensor: QTensor) -> Float64Array:
    """The function of all 256 inputs in units of the output scale, zero point added, float64 ``[256]``."""
    real = (_INPUTS - tensor.zero_point) * np.float64(tensor.scale)
    scale, zero_point = OUTPUT_SCALING[function]
    value = np.tanh(real) if function == "tanh" else 0.5 * (1 + np.tanh(real / 2))
    result: Float64Array = value / scale + zero_point
    return result


def ideal_table(function: Function, tensor: QTensor) -> Int8Array:
    """The ideally rounded table for an input of that scale and zero point, int8 ``[256]``."""
    return np.clip(np.rint(_real_outputs(function, tensor)), -128, 127).astype(np.int8)


def distance_to_tie(function: Function, tensor: QTensor) -> float:
    """How close the nearest of the 256 real values comes to a rounding tie, in output steps."""
    outputs = _real_outputs(function, tensor)
    inside = outputs[(outputs > -128.5 + 1e-3) & (outputs < 127.5 - 1e-3)]
    return float(np.abs(inside - np.floor(inside) - 0.5).min(initial=0.5))


def float32_table(function: Function, tensor: QTensor) -> Int8Array:
    """The table as runtimes that evaluate in float32 build it.

    Source: LiteRT's ``LUTPopulate`` (kernels/internal/common.h), XNNPACK's
    ``xnn_init_lut`` and ONNX Runtime's ``QLinearLookupTable``.
    """
    real: Float32Array = (_INPUTS - tensor.zero_point).astype(np.float32) * np.float32(tensor.scale)
    one = np.float32(1)
    with np.errstate(over="ignore"):  # beyond float32 exp is infinite, and the sigmoid rightly 0
        value = np.tanh(real) if function == "tanh" else one / (one + np.exp(-real))
    scale, zero_point = OUTPUT_SCALING[function]
    return np.clip(np.rint(value * np.float32(1 / scale)) + zero_point, -128, 127).astype(np.int8)


def tflm_table(function: Function, tensor: QTensor) -> Int8Array:
    """The table as TFLM computes it, in fixed point with 4 integer bits.

    Source: ``reference_integer_ops::Logistic`` and ``Tanh``
    (tensorflow/lite/kernels/internal/reference/integer_ops), with the multiplier
    and the radius of ``CalculateOpDataLogistic`` / ``Tanh`` in TFLM.
    """
    mantissa, shift = quantize_multiplier(np.float64(tensor.scale) * (1 << 27))
    radius = int(np.floor(15.0 * (1 << 27) / 2.0 ** float(shift)))
    inputs = _INPUTS - tensor.zero_point
    inside = np.abs(inputs) < radius
    by = Multipliers(mantissa[None], shift[None], np.ones(1, np.float32))
    q4 = round_tflm(np.where(inside, inputs, 0), by)
    zero_point = OUTPUT_SCALING[function][1]
    values = _round_shift(_logistic(q4) if function == "sigmoid" else _tanh(q4), 23 if function == "sigmoid" else 24)
    table = np.clip(values + zero_point, -128, 127)
    return np.where(inside, table, np.where(inputs < 0, -128, 127)).astype(np.int8)


TABLE_RULES: Mapping[str, Callable[[Function, QTensor], Int8Array]] = MappingProxyType(
    {"tflm": tflm_table, "float32": float32_table}
)
"""How runtimes compute a table, by the name of the rule."""


SMALLEST_DISTANCE = 5e-5
"""Output steps: nearer to a tie than that, runtimes may differ by one. In 60,000 tables the farthest entry from a tie
at which any runtime left the ideal was at 1.8e-5."""

SAFE_DISTANCE = 1e-3
"""What `universal_scale` keeps, in output steps."""


def universal_scale(function: Function, scale: float, zero_point: int = 0) -> float:
    """The smallest float32 input scale from `scale` upwards for which every runtime has the ideal table.

    Scales are tried in steps of one part in 10,000; about half of them pass, so
    the first few tries find one.
    """
    for attempt in range(10_000):
        candidate = float(np.float32(scale * (1 + attempt * 1e-4)))
        tensor = QTensor((1,), candidate, zero_point)
        if distance_to_tie(function, tensor) < SAFE_DISTANCE:
            continue
        ideal = ideal_table(function, tensor)
        if all((table(function, tensor) == ideal).all() for table in TABLE_RULES.values()):
            return candidate
    raise BadInputError(f"no input scale near {scale} gives every runtime the same {function} table")


# --- gemmlowp's fixed point (gemmlowp/fixedpoint/fixedpoint.h), int32 raw values held in int64 ---

_ONE = 2**31 - 1  # Q0.31 has no 1; gemmlowp takes the largest value


def _multiply(a: Int64Array, b: Int64Array | int) -> Int64Array:
    """``SaturatingRoundingDoublingHighMul``."""
    product = a * b
    nudged = product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    result: Int64Array = (nudged + ((nudged >> 63) & ((1 << 31) - 1))) >> 31
    return result


def _round_shift(a: Int64Array, bits: int) -> Int64Array:
    """``RoundingDivideByPOT``: half away from zero."""
    mask = (1 << bits) - 1
    result: Int64Array = (a >> bits) + ((a & mask) > (mask >> 1) + (a < 0))
    return result


def _shift_left(a: Int64Array, bits: int) -> Int64Array:
    """``SaturatingRoundingMultiplyByPOT`` with a positive exponent: saturates at int32."""
    return np.clip(a << bits, -(2**31), 2**31 - 1)


def _exp_quarter(a: Int64Array) -> Int64Array:
    """``exp_on_interval_between_negative_one_quarter_and_0_excl``, Q0.31 to Q0.31."""
    x = a + (1 << 28)
    x2 = _multiply(x, x)
    x3, x4 = _multiply(x2, x), _multiply(x2, x2)
    inner = _multiply(_round_shift(x4, 2) + x3, 715827883) + x2
    return 1895147668 + _multiply(x + _round_shift(inner, 1), 1895147668)


def exp_on_negative_values(a: Int64Array, integer_bits: int) -> Int64Array:
    """``exp_on_negative_values`` for raw values <= 0 with that many integer bits; Q0.31."""
    fractional = 31 - integer_bits
    quarter = 1 << (fractional - 2)
    a_mod = (a & (quarter - 1)) - quarter
    result = _exp_quarter(_shift_left(a_mod, integer_bits))
    remainder = a_mod - a
    factors = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
    for exponent, factor in zip(range(-2, 5), factors, strict=True):
        if integer_bits > exponent:
            chosen = remainder & (1 << (fractional + exponent))
            result = np.where(chosen != 0, _multiply(result, factor), result)
    return np.where(a == 0, _ONE, result)


def newton_reciprocal(a: Int64Array) -> Int64Array:
    """``1 / ((1 + a) / 2)`` in Q2.29 by three Newton-Raphson steps, as gemmlowp's two functions below begin."""
    half_denominator = (a + _ONE + 1) >> 1  # RoundingHalfSum of two values that are not negative
    x = 1515870810 + _multiply(half_denominator, -1010580540)
    for _ in range(3):
        error = (1 << 29) - _multiply(half_denominator, x)
        x = x + _shift_left(_multiply(x, error), 2)
    return x


def _logistic(q4: Int64Array) -> Int64Array:
    """``gemmlowp::logistic`` of Q4.27; Q0.31."""
    exp = exp_on_negative_values(-np.abs(q4), 4)
    positive = _shift_left(newton_reciprocal(exp), 1)  # Rescale<0>(ExactMulByPot<-1>(x))
    return np.where(q4 == 0, 1 << 30, np.where(q4 > 0, positive, _ONE - positive))


def _tanh(q4: Int64Array) -> Int64Array:
    """``gemmlowp::tanh`` of Q4.27; Q0.31: ``(1 - e) / (1 + e)`` with ``e = exp(-2 |x|)``."""
    exp = exp_on_negative_values(-np.abs(q4), 5)  # twice x is the same raw value read as Q5.26
    positive = _shift_left(newton_reciprocal(exp) - (1 << 29), 2)  # Rescale<0>(x - 1)
    return np.where(q4 == 0, 0, np.where(q4 > 0, positive, -positive))
