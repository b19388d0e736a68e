"""Activation functions as tables of 256 int8 entries, and how each runtime computes them.

On int8 a sigmoid or a tanh is a table, and each runtime fills in its own:
TFLM in fixed point, which saturates where the input scale is large, the others
in floating point, whose last bit decides an entry next to a tie. `TABLE_RULES`
has them all. The table of a `Lookup` layer is TFLM's, which the reference and
the generated C use; at a *universal* scale all tables are the ideal one.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Literal, TypeAlias

import numpy as np

from lenet_edge.errors import BadInputError
from lenet_edge.quantized import fixed_point
from lenet_edge.quantized.model import Float32Array, Int8Array, Lookup, QTensor, QuantizedModel
from lenet_edge.quantized.requantize import Float64Array, Multipliers, quantize_multiplier, round_tflm

__all__ = [
    "OUTPUT_SCALING",
    "SMALLEST_DISTANCE",
    "TABLE_RULES",
    "Function",
    "distance_to_tie",
    "ideal_table",
    "is_universal",
    "is_universal_scale",
    "reference_table",
    "table_by_rule",
    "table_problem",
    "universal_scale",
    "with_ideal_tables",
]

Function: TypeAlias = Literal["sigmoid", "tanh"]

OUTPUT_SCALING: Mapping[str, tuple[float, int]] = MappingProxyType({"sigmoid": (1 / 256, -128), "tanh": (1 / 128, 0)})
"""The (scale, zero point) that TFLite's int8 specification fixes for the output of each function."""

_INPUTS = np.arange(-128, 128, dtype=np.int64)


# --- the ideal ------------------------------------------------------------------------------------


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


def with_ideal_tables(model: QuantizedModel) -> QuantizedModel:
    """The model with the ideal table in every `Lookup`."""
    layers = [
        replace(layer, table=ideal_table(layer.function, layer.input)) if isinstance(layer, Lookup) else layer
        for layer in model.layers
    ]
    return replace(model, layers=tuple(layers))


def distance_to_tie(function: Function, tensor: QTensor) -> float:
    """How close the nearest of the 256 real values comes to a rounding tie, in output steps."""
    outputs = _real_outputs(function, tensor)
    inside = outputs[(outputs > -128.5 + 1e-3) & (outputs < 127.5 - 1e-3)]
    return float(np.abs(inside - np.floor(inside) - 0.5).min(initial=0.5))


# --- TFLM: fixed point ----------------------------------------------------------------------------


def reference_table(function: Function, tensor: QTensor) -> Int8Array:
    """The table as TFLM computes it, in fixed point with 4 integer bits, int8 ``[256]``.

    Inputs from the radius on are saturated, and the negative side is asked
    first: at a radius of 0 (input scales from 8 on) the input 0 gives -128.

    Source: ``reference_integer_ops::Logistic`` and ``Tanh``
    (tensorflow/lite/kernels/internal/reference/integer_ops), with the multiplier
    and the radius of ``CalculateArithmeticOpData`` in TFLM's logistic and tanh.
    """
    mantissa, shift = quantize_multiplier(np.float64(tensor.scale) * (1 << 27))
    radius = _radius(math.frexp(float(tensor.scale) * (1 << 27))[1])
    inputs = _INPUTS - tensor.zero_point
    low, high = inputs <= -radius, inputs >= radius
    by = Multipliers(mantissa[None], shift[None], np.ones(1, np.float32))
    q4 = round_tflm(np.where(low | high, 0, inputs), by)
    zero_point = OUTPUT_SCALING[function][1]
    function_of = fixed_point.logistic if function == "sigmoid" else fixed_point.tanh
    values = fixed_point.round_shift(function_of(q4), 23 if function == "sigmoid" else 24)
    table = np.clip(values + zero_point, -128, 127)
    return np.where(low, -128, np.where(high, 127, table)).astype(np.int8)


def _radius(left_shift: int) -> int:
    """``CalculateInputRadius(4, left_shift, 31)``: the inputs that Q4.27 holds.

    Scales below 2^-28 shift by a negative number, which C++ leaves undefined:
    this is what x86-64 does, whose shift takes the number modulo 64.
    """
    divisor = 1 << left_shift % 64
    return math.floor(15 * 2**27 / (divisor if divisor < 2**63 else divisor - 2**64))


# --- the others: floating point -------------------------------------------------------------------


@cache
def _c_function(name: str) -> Callable[[float], float] | None:
    """A float32 function of this machine's C library, which is what the runtimes here call."""
    try:
        function = getattr(ctypes.CDLL(None), name)
    except (OSError, TypeError, AttributeError):
        return None
    function.argtypes, function.restype = [ctypes.c_float], ctypes.c_float
    return function


def _float32(name: str, exact: Callable[[Float64Array], Float64Array], values: Float32Array) -> Float32Array:
    """The C library's float32 function of each value; where there is no such library, the exact one rounded.

    glibc's ``tanhf`` errs by up to two units in the last place, and differs between its versions.
    """
    function = _c_function(name)
    with np.errstate(over="ignore"):  # beyond float32 exp is infinite, and the sigmoid rightly 0
        if function is None:
            return exact(values.astype(np.float64)).astype(np.float32)
        return np.array([function(value) for value in values.tolist()], np.float32)


def _dequantized(tensor: QTensor) -> Float32Array:
    real: Float32Array = (_INPUTS - tensor.zero_point).astype(np.float32) * np.float32(tensor.scale)
    return real


def _away_from_zero(values: Float32Array) -> Float64Array:
    """``std::round``; float64 holds a float32 and its half exactly."""
    exact = values.astype(np.float64)
    result: Float64Array = np.copysign(np.floor(np.abs(exact) + 0.5), exact)
    return result


def _saturated(values: Float64Array | Float32Array) -> Int8Array:
    return np.clip(values, -128, 127).astype(np.int8)


def _steps(function: Function, values: Float32Array) -> Float32Array:
    """In output steps, without the zero point; the output scales are powers of two, so this is exact."""
    return values * np.float32(1 / OUTPUT_SCALING[function][0])


def litert_table(function: Function, tensor: QTensor) -> Int8Array:
    """LiteRT's own kernels: all in float32, ties away from zero before the zero point is added.

    Source: ``LUTPopulate`` (tensorflow/lite/kernels/internal/common.h), ``SigmoidPrepare`` and
    ``TanhPrepare`` (kernels/activations.cc); the same in tflite-runtime 2.14.
    """
    real = _dequantized(tensor)
    if function == "tanh":
        value = _float32("tanhf", np.tanh, real)
    else:
        value = np.float32(1) / (np.float32(1) + _float32("expf", np.exp, -real))
    return _saturated(_away_from_zero(_steps(function, value)) + OUTPUT_SCALING[function][1])


def _xnnpack_values(function: Function, tensor: QTensor) -> Float32Array:
    """XNNPACK's float32 values: the sigmoid in double, the tanh the C library's.

    Source: ``SigmoidOp`` and ``TanHOp`` (XNNPACK/src/reference/unary-elementwise.cc), which fill its tables.
    """
    real = _dequantized(tensor)
    if function == "tanh":
        return _float32("tanhf", np.tanh, real)
    exp = np.array([math.exp(value) for value in np.clip(real, -100, 100).tolist()])
    inside = (exp / (1 + exp)).astype(np.float32)
    return np.where(real > 100, np.float32(1), np.where(real < -100, np.float32(0), inside))


def xnnpack_table(function: Function, tensor: QTensor) -> Int8Array:
    """XNNPACK in LiteRT 2.3: the zero point is added in float32, then ties go to even."""
    steps = _steps(function, _xnnpack_values(function, tensor))
    return _saturated(np.rint(steps + np.float32(OUTPUT_SCALING[function][1])))


def tf_lite_table(function: Function, tensor: QTensor) -> Int8Array:
    """XNNPACK in tf.lite (TensorFlow 2.21): the zero point is added in float32, then ties go away from zero."""
    steps = _steps(function, _xnnpack_values(function, tensor))
    return _saturated(_away_from_zero(steps + np.float32(OUTPUT_SCALING[function][1])))


TABLE_RULES: Mapping[str, Callable[[Function, QTensor], Int8Array]] = MappingProxyType(
    {
        "tflm": reference_table,
        "litert": litert_table,
        "xnnpack": xnnpack_table,
        "tf-lite": tf_lite_table,
    }
)
"""How runtimes compute a table, by the name of the rule. All but "tflm" depend on the C library of the
machine where an entry is nearer to a tie than `SMALLEST_DISTANCE`."""


@lru_cache(256)
def table_by_rule(rule: str, function: Function, scale: float, zero_point: int) -> Int8Array:
    """The table that a runtime with that rule of `TABLE_RULES` uses, int8 ``[256]``, read-only."""
    table = TABLE_RULES[rule](function, QTensor((256,), scale, zero_point))
    table.setflags(write=False)
    return table


# --- scales that suit all -------------------------------------------------------------------------

SMALLEST_DISTANCE = 5e-5
"""Output steps: nearer to a tie than that, runtimes may differ by one. In 45,000 tables, half of
them made to have an entry next to a tie, no rule left the ideal farther from one than 1.6e-5, saturation apart."""

SAFE_DISTANCE = 1e-3
"""What `universal_scale` keeps, in output steps."""


def table_problem(layer: Lookup) -> str | None:
    """Why runtimes may not compute the layer's table; None where all of them do.

    The distance to a tie is asked as well as the rules: another C library, or a
    runtime whose rule is not here, may decide an entry next to a tie differently.
    """
    table = layer.table.astype(np.int16)
    others = [table_by_rule(rule, layer.function, layer.input.scale, layer.input.zero_point) for rule in TABLE_RULES]
    differ = [np.abs(other - table) for other in (ideal_table(layer.function, layer.input), *others)]
    largest = np.max(differ, axis=0)
    if largest.any():
        entries = np.count_nonzero(largest)
        return f"runtimes differ in {entries} of the 256 entries of its table, by up to {largest.max()}"
    distance = distance_to_tie(layer.function, layer.input)
    if distance < SMALLEST_DISTANCE:
        return f"an entry of its table is {distance:.1e} output steps from a tie; runtimes may differ there"
    return None


def is_universal(layer: Lookup) -> bool:
    """Whether every runtime computes the layer's table."""
    return table_problem(layer) is None


def is_universal_scale(function: Function, scale: float, zero_point: int = 0) -> bool:
    """Whether every runtime has the ideal table at that float32 input scale, with a distance to ties to spare."""
    tensor = QTensor((1,), scale, zero_point)
    if distance_to_tie(function, tensor) < SAFE_DISTANCE:
        return False
    ideal = ideal_table(function, tensor)
    return all((table(function, tensor) == ideal).all() for table in TABLE_RULES.values())


def universal_scale(function: Function, scale: float, zero_point: int = 0) -> float:
    """The smallest float32 input scale from `scale` upwards for which every runtime has the ideal table.

    Scales are tried in steps of one part in 10,000; about half of them pass, so
    the first few tries find one.
    """
    for attempt in range(10_000):
        candidate = float(np.float32(scale * (1 + attempt * 1e-4)))
        if is_universal_scale(function, candidate, zero_point):
            return candidate
    raise BadInputError(f"no input scale near {scale} gives every runtime the same {function} table")
