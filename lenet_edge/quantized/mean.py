"""MEAN of int8 tensors along some of their axes, as each runtime computes it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from lenet_edge.quantized.float_mean import onnxruntime_mean
from lenet_edge.quantized.layers import Float32Array, Int8Array, Int64Array, Mean
from lenet_edge.quantized.requantize import Multiplier

__all__ = [
    "MEAN_RULES",
    "ONNXRUNTIME",
    "ONNXRUNTIME_GLOBAL",
    "MeanParameters",
    "global_multiplier",
    "mean",
    "parameters",
]


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
    """TFLM, and LiteRT's reference kernels."""
    found = parameters(layer)
    return found.multiplier.times(sums - found.count * layer.input.zero_point) + layer.output.zero_point


def _is_spatial(layer: Mean) -> bool:
    """Whether it is along height and width, which stay as axes of 1: LiteRT has a kernel for that."""
    return len(layer.input.shape) == 3 and layer.axes == (0, 1) and len(layer.output.shape) == 3


def _spatial(layer: Mean, sums: Int64Array, blocks: int) -> Int64Array:
    """The zero points folded into one rounded addend; the first channels, in blocks of 16, round half up twice.

    Source: ``Mean`` and ``MeanImpl`` (tensorflow/lite/kernels/internal/optimized/integer_ops/mean.h).
    """
    source, target = np.float32(layer.input.scale), np.float32(layer.output.scale)
    zero = np.float32(layer.input.zero_point) * source / target
    addend = layer.output.zero_point - int(zero + np.copysign(np.float32(0.5), zero))
    count = np.float32(parameters(layer).count)
    by = Multiplier.of(float(source / (count * target)))
    head, tail = sums[..., :blocks], sums[..., blocks:]
    return np.concatenate([by.times(head, "ruy"), by.times(tail)], axis=-1) + addend


def _litert(layer: Mean, sums: Int64Array) -> Int64Array:
    """LiteRT's built-in kernels."""
    return _spatial(layer, sums, layer.input.shape[2] // 16 * 16) if _is_spatial(layer) else _mean(layer, sums)


def _tflite_runtime(layer: Mean, sums: Int64Array) -> Int64Array:
    """tflite-runtime 2.14: as `_litert`, without the blocks."""
    return _spatial(layer, sums, 0) if _is_spatial(layer) else _mean(layer, sums)


def _xnnpack_steps(layer: Mean, sums: Int64Array) -> Float32Array:
    """Output integers before rounding, in float32, the zero points folded into one addend.

    Source: src/operators/reduce-nd.c and src/qs8-rsum of XNNPACK.
    """
    count = parameters(layer).count
    scale = np.float32(layer.input.scale) / np.float32(layer.output.scale) * (np.float32(1) / np.float32(count))
    addend = np.float32(layer.output.zero_point) - np.float32(count * layer.input.zero_point) * scale
    steps: Float32Array = sums.astype(np.float32) * scale + addend
    return steps


def _xnnpack(layer: Mean, sums: Int64Array) -> Int64Array:
    """XNNPACK in LiteRT 2.3: ties go to even."""
    return np.rint(_xnnpack_steps(layer, sums)).astype(np.int64)


def _tf_lite(layer: Mean, sums: Int64Array) -> Int64Array:
    """XNNPACK in tf.lite (TensorFlow 2.21): ties go away from zero."""
    steps = _xnnpack_steps(layer, sums).astype(np.float64)
    return np.copysign(np.floor(np.abs(steps) + 0.5), steps).astype(np.int64)


def _onnxruntime_global(layer: Mean, sums: Int64Array) -> Int64Array:
    """ONNX Runtime's GlobalAveragePool: the integer sum times one float32 multiplier, ties to even.

    Source: ``MlasQLinearGlobalAveragePoolNchw`` (onnxruntime/core/mlas/lib/qlgavgpool.cpp).
    """
    centred = (sums - parameters(layer).count * layer.input.zero_point).astype(np.float32)
    return np.rint(centred * global_multiplier(layer)).astype(np.int64) + layer.output.zero_point


def global_multiplier(layer: Mean) -> np.float32:
    """The multiplier of the sum in ONNX Runtime's GlobalAveragePool."""
    count = np.float32(parameters(layer).count)
    return np.float32(np.float32(layer.input.scale) / (np.float32(layer.output.scale) * count))


MEAN_RULES: Mapping[str, Callable[[Mean, Int64Array], Int64Array]] = MappingProxyType(
    {"tflm": _mean, "litert": _litert, "tflite-runtime": _tflite_runtime, "xnnpack": _xnnpack, "tf-lite": _tf_lite}
)
"""How runtimes compute a mean: (layer, sums of the integers as they are, int64, axes kept) -> output integers."""


ONNXRUNTIME = "onnxruntime"
"""The rule that depends on the values themselves, not only on their sum: `float_mean.onnxruntime_mean`."""

ONNXRUNTIME_GLOBAL = "onnxruntime-global"
"""The rule of ONNX Runtime's GlobalAveragePool, which files of its quantiser hold, and ours never do."""


def mean(layer: Mean, values: Int8Array, rule: str) -> Int8Array:
    """The layer's outputs, int8 ``[n, *layer.output.shape]``, of int8 ``[n, *layer.input.shape]``."""
    if rule == ONNXRUNTIME:
        return onnxruntime_mean(layer, values)
    sums = values.astype(np.int64).sum(axis=tuple(1 + axis for axis in layer.axes), keepdims=True)
    compute = _onnxruntime_global if rule == ONNXRUNTIME_GLOBAL else MEAN_RULES[rule]
    results = np.clip(compute(layer, sums), -128, 127)
    return results.reshape(len(values), *layer.output.shape).astype(np.int8)
