"""ONNX Runtime's mean of dequantised values: float32 sums, whose order decides what lies next to a tie.

Each mean is over values that lie one behind the other. Eigen adds them up in two
registers of four values, which begin at the first address that 16 divides, so the
place of a row in the batch counts; what is in front of it, and behind the last
whole register, is added at the end.

Source: ``ReduceAggregatorMean::FastReduceKR`` (onnxruntime/core/providers/cpu/reduction/reduction_ops.h),
``redux_impl`` with linear vectorised traversal (Eigen/src/Core/Redux.h), ``predux`` for SSE and NEON.
"""

from __future__ import annotations

import math

import numpy as np

from lenet_edge.quantized.layers import Float32Array, Int8Array, Mean

__all__ = ["has_known_order", "onnxruntime_mean"]

_LANES = 4


def has_known_order(layer: Mean) -> bool:
    """Whether the axes are the last ones as ONNX has them, where the channels of a map come first."""
    return _onnx_axes(layer) == list(range(len(layer.input.shape)))[-len(layer.axes) :]


def _onnx_axes(layer: Mean) -> list[int]:
    order = [1, 2, 0] if len(layer.input.shape) == 3 else list(range(len(layer.input.shape)))
    return sorted(order[axis] for axis in layer.axes)


def onnxruntime_mean(layer: Mean, values: Int8Array) -> Int8Array:
    """The outputs, int8 ``[n, *layer.output.shape]``, of int8 ``[n, *layer.input.shape]``; see `has_known_order`.

    The first of the values is the first of ONNX Runtime's batch, or a multiple of four images behind it.
    """
    real = (values.astype(np.int64) - layer.input.zero_point).astype(np.float32) * np.float32(layer.input.scale)
    planes = real.transpose(0, 3, 1, 2) if len(layer.input.shape) == 3 else real
    count = math.prod(layer.input.shape[axis] for axis in layer.axes)
    means = _sums(planes.reshape(-1, count)) / np.float32(count)
    steps = np.rint(means / np.float32(layer.output.scale)) + layer.output.zero_point
    kept = [1 if axis in layer.axes else size for axis, size in enumerate(layer.input.shape)]
    found = np.clip(steps, -128, 127).astype(np.int8)
    if len(kept) == 3:  # the channels come last again
        found = found.reshape(len(values), kept[2], *kept[:2]).transpose(0, 2, 3, 1)
    return found.reshape(len(values), *layer.output.shape)


def _sums(rows: Float32Array) -> Float32Array:
    """The sum of each of the rows, which lie one behind the other from an aligned address on: float32 ``[rows]``."""
    count = rows.shape[1]
    offsets = np.arange(len(rows)) * count % _LANES
    sums = np.empty(len(rows), np.float32)
    for offset in np.unique(offsets):
        chosen = offsets == offset
        sums[chosen] = _eigen_sums(rows[chosen], min(int(-offset % _LANES), count))
    return sums


def _eigen_sums(rows: Float32Array, first: int) -> Float32Array:
    """The sums of rows whose value `first` lies at an aligned address."""
    count = rows.shape[1]
    whole = (count - first) // _LANES
    if not whole:
        return _added(rows[:, 0], rows[:, 1:])
    registers = rows[:, first : first + whole * _LANES].reshape(len(rows), whole, _LANES)
    even, odd = registers[:, 0], registers[:, 1:2]
    if odd.size:
        pairs = whole // 2
        even = _added(even, registers[:, 2 : 2 * pairs : 2].transpose(0, 2, 1))
        even = even + _added(registers[:, 1], registers[:, 3 : 2 * pairs : 2].transpose(0, 2, 1))
        if whole % 2:
            even = even + registers[:, -1]
    halves = even[:, :2] + even[:, 2:]
    total = _added(halves[:, 0] + halves[:, 1], rows[:, :first])
    return _added(total, rows[:, first + whole * _LANES :])


def _added(start: Float32Array, addends: Float32Array) -> Float32Array:
    """The start and then, one after the other, what is along the last axis."""
    total = start
    for index in range(addends.shape[-1]):
        total = total + addends[..., index]
    return total
