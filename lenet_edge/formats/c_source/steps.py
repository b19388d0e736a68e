"""The layers of a model as the steps of the generated C: what one function computes at once.

A max-pooling commutes with everything monotone, so it moves in front of the
requantisation (docs/design.md 2.3) and of an activation table: the tensor before
the pooling is never stored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from lenet_edge.errors import BadInputError
from lenet_edge.quantized.model import (
    ELEMENTWISE,
    AveragePool2d,
    Constant,
    Conv2d,
    DepthwiseConv2d,
    Flatten,
    Layer,
    Lookup,
    MaxPool2d,
    Pool2d,
    QTensor,
    QuantizedModel,
    Rescale,
    Reshape,
    Softmax,
    clamp_of,
    dilation_of,
    groups_of,
    inputs_of,
    positions,
    window_padding,
    window_size,
)

__all__ = ["Source", "Step", "Windows", "fuse", "windows_of"]

Source: TypeAlias = int | Constant
"""What a step reads: the output of the step of that index, an input of the model (-1 the first), or a constant."""

_LARGEST = {"size": 0xFFFF, "window": 0xFF, "softmax": 0xFFF}  # what the C structures and the sum of a softmax hold


@dataclass(frozen=True)
class Windows:
    """The geometry of a layer with windows, as ``le_windows`` in le_kernels.h has it; (vertical, horizontal).

    Attributes:
        window, stride: of the convolution, or of the pooling by itself.
        pool: positions of the convolution in a pooling window; (1, 1) without pooling.
        step: input pixels from one output position to the next.
        padding: above and to the left.
        patch: input pixels that one output position spans.
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
        inputs, output: the tensors of the step.
        reads: where the inputs come from, in their order.
        shows: the layer whose output in the model this is; None where a pooling moved in front of an activation table,
            and of a copy to the model's outputs.
    """

    layer: Layer
    pool: MaxPool2d | None
    clamp: tuple[int, int]
    inputs: tuple[QTensor, ...]
    output: QTensor
    reads: tuple[Source, ...]
    shows: str | None

    @property
    def input(self) -> QTensor:
        """The first of the inputs: the only one of most layers."""
        return self.inputs[0]

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
        """Whether the C function can write its output over its first input: each value depends on that at its place."""
        if isinstance(self.layer, ELEMENTWISE):
            return all(tensor.shape == self.output.shape for tensor in self.inputs)
        return isinstance(self.layer, (Lookup, Rescale, Softmax))


def windows_of(layer: Conv2d | DepthwiseConv2d | Pool2d, pool: MaxPool2d | None = None) -> Windows:
    """The windows of a layer that takes in `pool`."""
    window, pooled, pool_stride = window_size(layer), (1, 1), (1, 1)
    if pool is not None:
        pooled, pool_stride = pool.window, pool.stride
    padding = [before for _, before, _ in positions(layer)]
    span = [(taps - 1) * gap + 1 for taps, gap in zip(window, dilation_of(layer), strict=True)]
    down, across = range(2)
    return Windows(
        window=window,
        stride=layer.stride,
        pool=pooled,
        step=(layer.stride[down] * pool_stride[down], layer.stride[across] * pool_stride[across]),
        padding=(padding[down], padding[across]),
        patch=(
            (pooled[down] - 1) * layer.stride[down] + span[down],
            (pooled[across] - 1) * layer.stride[across] + span[across],
        ),
    )


# --- fusing ---------------------------------------------------------------------------------------


def fuse(model: QuantizedModel) -> list[Step]:
    """The layers as steps; a change of shape is none, since the integers stay where they are.

    The last step gives the model's output. Where the model has several outputs, or one that other steps read or that
    nothing computes, the last steps copy them.

    Raises:
        BadInputError: a size is beyond the C structures.
    """
    steps: list[Step] = []
    made: dict[int, Source] = {-1 - index: -1 - index for index in range(len(model.inputs))}
    readers = _readers(model)
    for index, layer in enumerate(model.layers):
        if index in made:  # a pooling, or a table, that a step before took in
            continue
        if isinstance(layer, (Flatten, Reshape)):
            made[index] = made[model.reads[index][0]]
        elif isinstance(layer, Constant):
            made[index] = layer
        else:
            _add_steps(model, index, readers, made, steps)
    _give(model, made, steps)
    for step in steps:
        _require_sizes(step)
    return steps


def _readers(model: QuantizedModel) -> list[list[int]]:
    """For each layer those that read its output; the number of layers stands for the model's output."""
    readers: list[list[int]] = [[] for _ in model.layers]
    for index, sources in enumerate(model.reads):
        for source in sources:
            if source >= 0:
                readers[source].append(index)
    for index in model.results:
        readers[index].append(len(model.layers))
    return readers


def _add_steps(
    model: QuantizedModel, index: int, readers: list[list[int]], made: dict[int, Source], steps: list[Step]
) -> None:
    """The step of the layer at `index`, and that of the table which a pooling moved in front of."""
    layer, reads = model.layers[index], tuple(made[source] for source in model.reads[index])
    clamp, inputs = clamp_of(layer), inputs_of(layer)
    table_at, pool_at = _take_pool(model, index, readers)
    if pool_at is None:
        made[index] = len(steps)
        steps.append(Step(layer, None, clamp, inputs, layer.output, reads, layer.name))
        return
    pool = model.layers[pool_at]
    assert isinstance(pool, MaxPool2d)
    assert isinstance(layer, (Conv2d, DepthwiseConv2d))
    clamp = (_clip(clamp[0], pool), _clip(clamp[1], pool))
    made[index] = made[pool_at] = len(steps)
    shows = pool.name if table_at is None else None
    steps.append(Step(layer, pool, clamp, inputs, _pooled(layer.output, pool), reads, shows))
    if table_at is not None:  # it now works on what the pooling left
        table = model.layers[table_at]
        assert isinstance(table, Lookup)
        made[table_at] = made[pool_at] = len(steps)
        sources, target = (_pooled(table.input, pool),), _pooled(table.output, pool)
        steps.append(Step(table, None, (-128, 127), sources, target, (len(steps) - 1,), pool.name))


def _take_pool(model: QuantizedModel, index: int, readers: list[list[int]]) -> tuple[int | None, int | None]:
    """The monotone table (if there is one) and the max-pooling behind a layer that can take the pooling in."""
    layer, table_at = model.layers[index], None
    if not isinstance(layer, (Conv2d, DepthwiseConv2d)):
        return None, None
    following = _only_reader(model, readers, index)
    if following is not None and isinstance(following[1], Lookup) and _is_monotone(following[1]):
        table_at = following[0]
        following = _only_reader(model, readers, table_at)
    if following is None:
        return None, None
    pool_at, pool = following
    if not isinstance(pool, MaxPool2d) or not _can_take_in(layer, pool):
        return None, None
    if table_at is not None and (pool.clamp_min, pool.clamp_max) != (-128, 127):  # it is a clamp of the table's output
        return None, None
    return table_at, pool_at


def _only_reader(model: QuantizedModel, readers: list[list[int]], index: int) -> tuple[int, Layer] | None:
    """The one reader of a layer's output, with its index; None where there are several, or the model gives it."""
    if len(readers[index]) != 1 or readers[index][0] == len(model.layers):
        return None
    return readers[index][0], model.layers[readers[index][0]]


def _give(model: QuantizedModel, made: dict[int, Source], steps: list[Step]) -> None:
    """Copies of what the model gives, where the last step does not write it by itself."""
    sources = [made[index] for index in model.results]
    if not steps or sources == [len(steps) - 1]:
        return
    for index, source in zip(model.results, sources, strict=True):
        tensor = model.layers[index].output
        copy = Reshape(model.layers[index].name, tensor, tensor)
        steps.append(Step(copy, None, (-128, 127), (tensor,), tensor, (source,), None))


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
    if layer.dilation != (1, 1) or (isinstance(layer, Conv2d) and groups_of(layer) > 1):
        return False  # dilated or in groups: rare, and its kernel is simple
    return disjoint and inside and max(*windows.patch, *windows.step) <= _LARGEST["window"]


def _clip(value: int, pool: MaxPool2d) -> int:
    return min(max(value, pool.clamp_min), pool.clamp_max)


def _pooled(tensor: QTensor, pool: MaxPool2d) -> QTensor:
    return QTensor(pool.output.shape, tensor.scale, tensor.zero_point)


def _require_sizes(step: Step) -> None:
    layer = step.layer
    shapes = (*step.inputs, step.output) if step.shows or step.pool else ()
    sizes = [("size", size) for tensor in shapes for size in tensor.shape]
    if isinstance(layer, (Conv2d, DepthwiseConv2d, MaxPool2d, AveragePool2d)):
        windows = windows_of(layer, step.pool)
        sizes += [("window", size) for size in (*windows.step, *windows.patch, *windows.padding)]
    if isinstance(layer, Softmax):
        sizes.append(("softmax", layer.input.shape[-1]))
    for what, size in sizes:
        if size > _LARGEST[what]:
            raise BadInputError(f"layer {layer.name}: a {what} of {size} is beyond the C kernels' {_LARGEST[what]}")
