"""The bias of a fully connected layer as further rows of its weight matrix: QLinearMatMul has no bias input."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lenet_edge.errors import BadInputError
from lenet_edge.quantized.model import INT8_MAX, INT8_MIN, FullyConnected, Int8Array, Int64Array

__all__ = ["BiasRows", "bias_rows"]

_LARGEST_WEIGHT = 126  # even, and not -128: what the tie-free grid allows
_MOST_ROWS = 4096  # of one kind; LeNet-5 needs about five


@dataclass(frozen=True)
class BiasRows:
    """Constant inputs and the weights on them, whose products sum up to the bias.

    Attributes:
        inputs: (int8 value, how often) in the order in which they follow the activation.
        weights: int8 ``[out_channels, sum of the counts]``.
    """

    inputs: tuple[tuple[int, int], ...]
    weights: Int8Array


def bias_rows(layer: FullyConnected) -> BiasRows:
    """Constant inputs and weights with ``(inputs - zero_point) @ weights = bias``, exactly.

    The first inputs are the int8 value farthest from the zero point (255 away
    behind a ReLU) and carry most of the bias, the others are one away and
    carry the rest. Where weights and bias are even, so are these weights.

    Raises:
        BadInputError: the bias is so large that it would take thousands of rows.
    """
    zero_point = layer.input.zero_point
    far = INT8_MAX if zero_point < 0 else INT8_MIN
    near = zero_point + 1 if zero_point < INT8_MAX else zero_point - 1
    step = 1 if (layer.weights % 2).any() or (layer.bias % 2).any() else 2
    rest = layer.bias.astype(np.int64)
    inputs, columns = [], []
    for value in (far, near):
        weights, rest = _split(rest, value - zero_point, step, layer.name)
        if weights.shape[1]:
            inputs.append((value, weights.shape[1]))
            columns.append(weights)
    rows = BiasRows(tuple(inputs), np.concatenate([np.empty((len(rest), 0), np.int8), *columns], axis=1))
    centred = np.repeat([value - zero_point for value, _ in inputs], [count for _, count in inputs])
    if (rows.weights @ centred.astype(np.int64) != layer.bias).any():
        raise AssertionError(f"layer {layer.name}: the rows for the bias do not sum up to it")
    return rows


def _split(bias: Int64Array, centred: int, step: int, name: str) -> tuple[Int8Array, Int64Array]:
    """As much of the bias as multiples of ``centred * step`` hold, spread over weights of at most 126.

    Returns:
        (int8 weights ``[channels, count]``, what remains of the bias).
    """
    unit = abs(centred) * step
    total = np.sign(centred) * np.sign(bias) * (np.abs(bias) // unit) * step
    count = int(-(-np.abs(total).max(initial=0) // _LARGEST_WEIGHT))
    if count > _MOST_ROWS:
        raise BadInputError(
            f"layer {name}: a bias of {int(np.abs(bias).max())} would take {count} rows of QLinearMatMul's matrix; "
            "export the qdq form"
        )
    before = np.arange(count) * _LARGEST_WEIGHT
    magnitudes = np.clip(np.abs(total)[:, np.newaxis] - before, 0, _LARGEST_WEIGHT)
    weights = np.sign(total)[:, np.newaxis] * magnitudes
    return weights.astype(np.int8), bias - centred * total
