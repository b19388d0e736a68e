"""The layers of a model between tensors of other scales, on the tie-free grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from lenet_edge.quantized.layers import (
    WEIGHTED,
    AveragePool2d,
    Constant,
    Conv2d,
    DepthwiseConv2d,
    Flatten,
    Float32Array,
    FullyConnected,
    Layer,
    Lookup,
    Mean,
    QTensor,
    Rescale,
    Reshape,
    Weighted,
)
from lenet_edge.quantized.lookup import reference_table
from lenet_edge.quantized.model import channel_weights
from lenet_edge.retie.averages import as_convolution
from lenet_edge.retie.rounding import on_grid
from lenet_edge.retie.scales import rescaled, with_tensors

__all__ = ["between", "real_bias", "real_weights", "rounded_between"]

FloatArray = npt.NDArray[np.float64]


def between(layer: Layer, inputs: Sequence[QTensor], output: QTensor, q: int | None) -> list[Layer]:
    """The layer between such tensors: itself with other integers, or what computes the same on the grid.

    Args:
        q: of an average that becomes a convolution; None for one that cannot.

    Raises:
        BadInputError: the output scale is too narrow for the weights, or a bias does not fit in int32.
    """
    changed = with_tensors(layer, inputs, output)
    if isinstance(changed, WEIGHTED):
        assert isinstance(layer, WEIGHTED)
        return [rounded_between(layer, changed)]
    if isinstance(layer, (AveragePool2d, Mean)) and q is not None:
        assert isinstance(changed, (AveragePool2d, Mean))
        found = as_convolution(changed, inputs[0], output, q)
        if found.output.shape == output.shape:
            return [found]
        kind = Flatten if len(output.shape) == 1 else Reshape
        return [found, kind(f"{layer.name} reshaped", found.output, output)]
    if isinstance(changed, Lookup):
        return [replace(changed, table=reference_table(changed.function, changed.input))]
    if isinstance(changed, Rescale):
        return [rescaled(changed, changed.input, changed.output)]
    if isinstance(changed, Constant):
        return [_constant(layer, changed)]
    return [changed]


def real_weights(layer: Weighted) -> FloatArray:
    """float64 ``[channels, weights of that channel]``."""
    weights: FloatArray = channel_weights(layer) * layer.weight_scales.astype(np.float64)[:, np.newaxis]
    return weights


def real_bias(layer: Weighted) -> FloatArray:
    """float64 ``[channels]``."""
    scales: Float32Array = layer.weight_scales
    return layer.bias * (layer.input.scale * scales.astype(np.float64))


def rounded_between(
    old: Weighted, new: Weighted, gain: FloatArray | float = 1.0, offset: FloatArray | float = 0.0
) -> Weighted:
    """The real weights and biases of `old`, rounded to the grid between the tensors of `new`.

    Args:
        gain: of the weights, one for each channel or for all.

    Raises:
        BadInputError: the output scale is too narrow for the weights, or a bias does not fit in int32.
    """
    farthest = max(127 - new.input.zero_point, 128 + new.input.zero_point)
    weights = real_weights(old) * np.reshape(gain, (-1, 1))
    kernels = old.weights.shape[3] if isinstance(old, Conv2d) else 1
    by_kernel = weights.reshape(len(weights), -1, kernels).swapaxes(1, 2)
    found = on_grid(by_kernel, real_bias(old) * gain, new.input.scale, new.output.scale, farthest)
    rounded = found.weights.reshape(by_kernel.shape).swapaxes(1, 2).reshape(weights.shape)
    flat = rounded.T if isinstance(old, DepthwiseConv2d) else rounded
    integers = np.ascontiguousarray(flat).reshape(old.weights.shape)
    changed = replace(new, weights=integers, bias=found.bias, weight_scales=found.weight_scales)
    return replace(changed, per_channel=True) if isinstance(changed, FullyConnected) else changed


def _constant(old: Layer, new: Constant) -> Constant:
    assert isinstance(old, Constant)
    real = (old.values.astype(np.float64) - old.output.zero_point) * old.output.scale
    steps = np.rint(real / new.output.scale) + new.output.zero_point
    return replace(new, values=np.clip(steps, -128, 127).astype(np.int8))
