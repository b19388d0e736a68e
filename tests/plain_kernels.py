"""What a correct int8 runtime computes of the kit's cases, in numpy and independent of the package's own reference.

It knows nothing of multipliers and rounding: it takes the q that a channel stands for and computes
``clamp(floor((A + q) / 2q) + zero_point)``; a sum is an exact fraction. `wrong_kernels.py` replaces parts of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from lenet_edge.quantized.model import (
    ELEMENTWISE,
    WEIGHTED,
    Concatenate,
    Constant,
    DepthwiseConv2d,
    Flatten,
    FullyConnected,
    Lookup,
    MaxPool2d,
    Pad,
    Rescale,
    Reshape,
    Slice,
    Subtract,
    Transpose,
)

_LOWEST = -(2**40)  # never the largest of a window


@dataclass(frozen=True)
class Kernel:
    """How a kernel computes; a fault replaces one of these.

    Attributes:
        result: (accumulators less the bias ``[..., channels]``, their layer) -> results without zero point and clamp.
        total: (real sums in output steps as fractions, scaled by `denominator`) -> integers, of ADD and SUB.
        saturate: (results with the zero point, lowest, highest) -> what is stored.
        padding: (layer) -> what lies beside the map of a layer with weights.
        pool_padding: the same of a pooling.
        before: (padding along an axis) -> how much of it comes before the map.
        multiplied: (windows, depth multiplier) -> what each output channel of a depthwise convolution reads.
        grouped: (windows, groups) -> what each group of a convolution reads.
        layer: changes the layer before anything is computed.
        accumulate: (products ``[..., taps, channels]``) -> their sums ``[..., channels]``.
        output: changes the outputs ``[n, *shape]`` at the end.
        moved: (layer, operands, how many) -> outputs of a layer that only moves values, or has a table.
        only: the kinds of layers that it is of.
    """

    result: Callable = field(default=lambda sums, layer: steps(sums + layer.bias, layer))
    total: Callable = field(default=lambda numerator, denominator: (2 * numerator + denominator) // (2 * denominator))
    saturate: Callable = field(default=lambda values, low, high: np.clip(values, low, high))
    padding: Callable = field(default=lambda layer: layer.input.zero_point)
    pool_padding: Callable = field(default=lambda layer: _LOWEST)
    before: Callable = field(default=lambda total: total // 2)
    multiplied: Callable = field(default=lambda windows, times: np.repeat(windows, times, axis=-1))
    grouped: Callable = field(default=lambda windows, groups: np.split(windows, groups, axis=-1))
    layer: Callable = field(default=lambda layer: layer)
    accumulate: Callable = field(default=lambda products: products.sum(axis=-2))
    output: Callable = field(default=lambda values: values)
    moved: Callable = field(default=lambda layer, operands, count: moved(layer, operands, count))
    only: tuple = ()


def q_of(layer) -> np.ndarray:
    """The integers q of the multipliers ``1 / 2q``, int64 ``[channels]``."""
    real = layer.output.scale / (layer.input.scale * layer.weight_scales.astype(np.float64))
    return np.rint(real / 2).astype(np.int64)


def steps(accumulators, layer):
    """``floor((A + q) / 2q)``."""
    q = q_of(layer)
    return (accumulators + q) // (2 * q)


def run(case, kernel: Kernel | None = None) -> np.ndarray:
    """The outputs int8 ``[64, values]`` of a case of the kit; without a kernel the ideal ones."""
    model, chosen = case.model, kernel or Kernel()
    sizes = np.cumsum([int(np.prod(tensor.shape)) for tensor in model.inputs])[:-1]
    parts = np.split(case.inputs.astype(np.int64), sizes, axis=1)
    given = [part.reshape(-1, *tensor.shape) for part, tensor in zip(parts, model.inputs, strict=True)]
    values: list[np.ndarray] = []
    for layer, sources in zip(model.layers, model.reads, strict=True):
        operands = [given[-1 - source] if source < 0 else values[source] for source in sources]
        is_its = not chosen.only or isinstance(layer, chosen.only)
        values.append(_output(layer, operands, chosen if is_its else Kernel(), len(case.inputs)))
    return np.concatenate([values[index].reshape(len(case.inputs), -1) for index in model.results], axis=1).astype(
        np.int8
    )


def _output(layer, operands, kernel, count):
    layer = kernel.layer(layer)
    if isinstance(layer, WEIGHTED):
        sums = _accumulated(layer, operands[0], kernel)
        found = kernel.saturate(kernel.result(sums, layer) + layer.output.zero_point, layer.clamp_min, layer.clamp_max)
    elif isinstance(layer, ELEMENTWISE):
        found = kernel.saturate(
            _total(layer, operands, kernel) + layer.output.zero_point, layer.clamp_min, layer.clamp_max
        )
    elif isinstance(layer, MaxPool2d):
        windows = _windows(operands[0], layer, layer.window, (1, 1), kernel.pool_padding(layer), kernel)
        found = np.clip(windows.max(axis=-2), layer.clamp_min, layer.clamp_max)
    else:
        found = kernel.moved(layer, operands, count)
    return kernel.output(found)


def _accumulated(layer, values, kernel):
    """``sum(w (x - zero_point))`` of each output, int64 ``[n, *shape]``."""
    zero_point = layer.input.zero_point
    if isinstance(layer, FullyConnected):
        return kernel.accumulate((values - zero_point)[:, :, np.newaxis] * layer.weights.T.astype(np.int64))
    depthwise = isinstance(layer, DepthwiseConv2d)
    size = layer.weights.shape[:2] if depthwise else layer.weights.shape[1:3]
    windows = _windows(values, layer, size, layer.dilation, kernel.padding(layer), kernel) - zero_point
    outputs, channels = len(layer.bias), windows.shape[-1]
    if depthwise:
        weights = layer.weights.reshape(-1, outputs).astype(np.int64)
        return kernel.accumulate(kernel.multiplied(windows, outputs // channels) * weights)
    groups = channels // layer.weights.shape[3]
    parts = kernel.grouped(windows, groups)
    by_group = np.split(layer.weights.astype(np.int64).reshape(outputs, -1).T, groups, axis=1)
    flat = [part.reshape(*part.shape[:3], -1) for part in parts]
    if kernel.accumulate is _PLAIN_SUM:
        sums = [part @ weights for part, weights in zip(flat, by_group, strict=True)]
    else:
        sums = [
            kernel.accumulate(part[..., np.newaxis] * weights) for part, weights in zip(flat, by_group, strict=True)
        ]
    return np.concatenate(sums, axis=-1)


_PLAIN_SUM = Kernel().accumulate


def _windows(values, layer, size, dilation, padding, kernel):
    """What each window sees, int64 ``[n, rows, columns, taps, channels]``; beside the map lies `padding`."""
    rows, columns = layer.output.shape[:2]
    extents = [(taps - 1) * gap + 1 for taps, gap in zip(size, dilation, strict=True)]
    before = [
        kernel.before(max((count - 1) * stride + extent - have, 0)) if layer.padding == "same" else 0
        for count, stride, extent, have in zip((rows, columns), layer.stride, extents, values.shape[1:3], strict=True)
    ]
    room = [
        max(count * stride + extent, have)
        for count, stride, extent, have in zip((rows, columns), layer.stride, extents, values.shape[1:3], strict=True)
    ]
    padded = np.full((len(values), room[0] + before[0], room[1] + before[1], values.shape[3]), padding, np.int64)
    padded[:, before[0] : before[0] + values.shape[1], before[1] : before[1] + values.shape[2]] = values
    seen = [
        padded[
            :,
            row * dilation[0] : row * dilation[0] + rows * layer.stride[0] : layer.stride[0],
            column * dilation[1] : column * dilation[1] + columns * layer.stride[1] : layer.stride[1],
        ]
        for row in range(size[0])
        for column in range(size[1])
    ]
    return np.stack(seen, axis=3)


def _total(layer, operands, kernel):
    """The sum in output steps: in exact fractions, the scales being whole multiples of one."""
    first, second = (
        (values - tensor.zero_point).reshape(
            len(values), *[1] * (len(layer.output.shape) - values.ndim + 1), *values.shape[1:]
        )
        for values, tensor in zip(operands, layer.inputs, strict=True)
    )
    ratios = [Fraction(tensor.scale / layer.output.scale).limit_denominator(1024) for tensor in layer.inputs]
    denominator = int(np.lcm(ratios[0].denominator, ratios[1].denominator))
    by = [int(ratio * denominator) for ratio in ratios]
    sign = -1 if isinstance(layer, Subtract) else 1
    return kernel.total(first * by[0] + sign * second * by[1], denominator)


def moved(layer, operands, count):
    source = operands[0] if operands else None
    match layer:
        case Constant():
            return np.broadcast_to(layer.values.astype(np.int64), (count, *layer.values.shape))
        case Concatenate():
            return np.concatenate(operands, axis=layer.axis + 1)
        case Pad():
            around = zip(layer.before, layer.after, strict=True)
            return np.pad(source, [(0, 0), *around], constant_values=layer.value)
        case Transpose():
            return source.transpose(0, *(axis + 1 for axis in layer.order))
        case Slice():
            ends = zip(layer.begin, layer.stride, layer.output.shape, strict=True)
            return source[(slice(None), *(slice(begin, begin + step * size, step) for begin, step, size in ends))]
        case Flatten() | Reshape():
            return source.reshape(count, *layer.output.shape)
        case Lookup():
            return _squashed(layer, source)
        case Rescale():
            low = layer.output.zero_point if layer.operator.startswith("RELU") else -128
            high = layer.output.zero_point + round(6 / layer.output.scale) if layer.operator == "RELU6" else 127
            times = round(layer.input.scale / layer.output.scale)
            return np.clip((source - layer.input.zero_point) * times + layer.output.zero_point, low, min(high, 127))
    raise TypeError(type(layer).__name__)


def _squashed(layer, values):
    real = (values - layer.input.zero_point) * layer.input.scale
    found = np.tanh(real) if layer.function == "tanh" else 1 / (1 + np.exp(-real))
    return np.clip(np.rint(found / layer.output.scale) + layer.output.zero_point, -128, 127).astype(np.int64)
