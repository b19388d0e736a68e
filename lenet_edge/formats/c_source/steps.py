"""The layers of a model as the steps of the generated C: what one function computes at once.

A max-pooling commutes with everything monotone, so it moves in front of the
requantisation (docs/design.md 2.3) and of an activation table: the tensor before
the pooling is never stored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lenet_edge.errors import BadInputError
from lenet_edge.quantized.model import (
    AveragePool2d,
    Conv2d,
    DepthwiseConv2d,
    Flatten,
    Layer,
    Lookup,
    MaxPool2d,
    Pool2d,
    QTensor,
    QuantizedModel,
    Softmax,
    inputs_of,
    window_padding,
    window_size,
)

__all__ = ["Step", "Windows", "fuse", "windows_of"]

_LARGEST = {"size": 0xFFFF, "window": 0xFF, "softmax": 0xFFF}  # what the C structures and the sum of a softmax hold


@dataclass(frozen=True)
class Windows:
    """The geometry of a layer with windows, as ``le_windows`` in le_kernels.h has it; (vertical, horizontal).

    Attributes:
        window, stride: of the convolution, or of the pooling by itself.
        pool: positions of the convolution in a pooling window; (1, 1) without pooling.
        step: input pixels from one output position to the next.
        padding: above and to the left.
        patch: input pixels that one output position sees.
    """

    window: tuple[int, int]
    stride: tuple[int, int]
    pool: tuple[int, int]
    step: tuple[int, int]
    padding: tuple[int, int]
    patch: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Step:
    """One call of the generated code: a layer, with the max-pooling that it takes in.

    Attributes:
        layer: the layer; its clamp holds for the step's output.
        pool: the max-pooling computed in front of the requantisation, or None.
        clamp: (smallest, largest) int8 of the output.
        input, output: the tensors of the step.
        shows: the layer whose output in the model this is; None where a pooling moved in front of an activation table.
    """

    layer: Layer
    pool: MaxPool2d | None
    clamp: tuple[int, int]
    input: QTensor
    output: QTensor
    shows: str | None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the layers that the step computes."""
        return (self.layer.name,) if self.pool is None else (self.layer.name, self.pool.name)

    @property
    def output_bytes(self) -> int:
        return math.prod(self.output.shape)

    @property
    def input_bytes(self) -> int:
        return math.prod(self.input.shape)

    @property
    def in_place(self) -> bool:
        """Whether the C function changes its values in place."""
        return isinstance(self.layer, (Lookup, Softmax))


def windows_of(layer: Conv2d | DepthwiseConv2d | Pool2d, pool: MaxPool2d | None = None) -> Windows:
    """The windows of a layer that takes in `pool`."""
    window, positions, pool_stride = window_size(layer), (1, 1), (1, 1)
    if pool is not None:
        positions, pool_stride = pool.window, pool.stride
    padding = [
        window_padding(size, taps, stride, layer.padding)[1]
        for size, taps, stride in zip(layer.input.shape[:2], window, layer.stride, strict=True)
    ]
    down, across = range(2)
    return Windows(
        window=window,
        stride=layer.stride,
        pool=positions,
        step=(layer.stride[down] * pool_stride[down], layer.stride[across] * pool_stride[across]),
        padding=(padding[down], padding[across]),
        patch=(
            (positions[down] - 1) * layer.stride[down] + window[down],
            (positions[across] - 1) * layer.stride[across] + window[across],
        ),
    )


# --- fusing ---------------------------------------------------------------------------------------


def fuse(model: QuantizedModel) -> list[Step]:
    """The layers as steps; a flattening is none, since the integers stay where they are.

    Raises:
        BadInputError: a size is beyond the C structures.
    """
    layers: list[Layer] = [layer for layer in model.layers if not isinstance(layer, Flatten)]
    steps = []
    while layers:
        layer = layers.pop(0)
        clamp = (getattr(layer, "clamp_min", -128), getattr(layer, "clamp_max", 127))
        table, pool = _take_pool(layer, layers)
        if pool is None:
            steps.append(Step(layer, None, clamp, inputs_of(layer)[0], layer.output, layer.name))
            continue
        clamp = (_clip(clamp[0], pool), _clip(clamp[1], pool))
        shows = pool.name if table is None else None
        steps.append(Step(layer, pool, clamp, inputs_of(layer)[0], _pooled(layer.output, pool), shows))
        if table is not None:  # it now works on what the pooling left
            source, target = _pooled(table.input, pool), _pooled(table.output, pool)
            steps.append(Step(table, None, (-128, 127), source, target, pool.name))
    for step in steps:
        _require_sizes(step)
    return steps


def _take_pool(layer: Layer, following: list[Layer]) -> tuple[Lookup | None, MaxPool2d | None]:
    """Remove and return the max-pooling that `layer` can take in, and the monotone table before it, if there is one."""
    if not isinstance(layer, (Conv2d, DepthwiseConv2d)) or not following:
        return None, None
    table = following[0] if isinstance(following[0], Lookup) and _is_monotone(following[0]) else None
    index = 0 if table is None else 1
    pool = following[index] if len(following) > index else None
    if not isinstance(pool, MaxPool2d) or not _can_take_in(layer, pool):
        return None, None
    if table is not None and (pool.clamp_min, pool.clamp_max) != (-128, 127):  # it is a clamp of the table's output
        return None, None
    del following[: index + 1]
    return table, pool


def _is_monotone(layer: Lookup) -> bool:
    return bool((np.diff(layer.table.astype(np.int16)) >= 0).all())


def _can_take_in(layer: Conv2d | DepthwiseConv2d, pool: MaxPool2d) -> bool:
    """Whether each of the convolution's positions is in at most one window, and each window inside its output."""
    disjoint = all(stride >= window for stride, window in zip(pool.stride, pool.window, strict=True))
    inside = all(
        window_padding(size, window, stride, pool.padding)[1:] == (0, 0)
        for size, window, stride in zip(pool.input.shape[:2], pool.window, pool.stride, strict=True)
    )
    windows = windows_of(layer, pool)
    return disjoint and inside and max(*windows.patch, *windows.step) <= _LARGEST["window"]


def _clip(value: int, pool: MaxPool2d) -> int:
    return min(max(value, pool.clamp_min), pool.clamp_max)


def _pooled(tensor: QTensor, pool: MaxPool2d) -> QTensor:
    return QTensor(pool.output.shape, tensor.scale, tensor.zero_point)


def _require_sizes(step: Step) -> None:
    layer = step.layer
    sizes = [("size", size) for size in (*step.input.shape, *step.output.shape)]
    if isinstance(layer, (Conv2d, DepthwiseConv2d, MaxPool2d, AveragePool2d)):
        windows = windows_of(layer, step.pool)
        sizes += [("window", size) for size in (*windows.step, *windows.patch, *windows.padding)]
    if isinstance(layer, Softmax):
        sizes.append(("softmax", layer.input.shape[-1]))
    for what, size in sizes:
        if size > _LARGEST[what]:
            raise BadInputError(f"layer {layer.name}: a {what} of {size} is beyond the C kernels' {_LARGEST[what]}")
