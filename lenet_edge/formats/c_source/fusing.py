"""The layers of a model as the steps of the generated C.

A max-pooling commutes with everything monotone, so it moves in front of the requantisation (docs/design.md 2.3) and of
an activation table: the tensor before the pooling is never stored. A clamp joins that of the layer before it, and what
pads a layer with windows becomes its own padding.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from lenet_edge.errors import BadInputError
from lenet_edge.formats.c_source.steps import Source, Step, windows_of
from lenet_edge.quantized.model import (
    ELEMENTWISE,
    INT8_MAX,
    INT8_MIN,
    WEIGHTED,
    AveragePool2d,
    Concatenate,
    Constant,
    Conv2d,
    DepthwiseConv2d,
    Flatten,
    Layer,
    Lookup,
    Margins,
    MaxPool2d,
    Mean,
    Pad,
    QTensor,
    QuantizedModel,
    Rescale,
    Reshape,
    Softmax,
    clamp_of,
    groups_of,
    inputs_of,
    positions,
)

__all__ = ["fuse"]

_LARGEST = {"size": 0xFFFF, "window": 0xFF, "softmax": 0xFFF}  # what the C structures and the sum of a softmax hold
_ALL = (INT8_MIN, INT8_MAX)


@dataclass
class _Fusion:
    """The steps so far.

    Attributes:
        readers: for each layer those that read its output; the number of layers stands for the model's output.
        made: where the output of each layer that is done comes from; inputs of the model are there, too.
        padded: layers that take in a `Pad` -> what they are then, and the pad's name.
    """

    model: QuantizedModel
    readers: list[list[int]]
    made: dict[int, Source]
    steps: list[Step] = field(default_factory=list)
    padded: dict[int, tuple[Layer, str]] = field(default_factory=dict)

    def only_reader(self, index: int) -> tuple[int, Layer] | None:
        """The one reader of a layer's output, with its index; None where there are several, or the model gives it."""
        if len(self.readers[index]) != 1 or self.readers[index][0] == len(self.model.layers):
            return None
        return self.readers[index][0], self.model.layers[self.readers[index][0]]

    def add(self, step: Step, *indices: int) -> None:
        """The step that makes the outputs of the layers of these indices."""
        self.made |= dict.fromkeys(indices, len(self.steps))
        self.steps.append(step)


@dataclass
class _Draft:
    """A step that grows.

    Attributes:
        layer: what it computes first, with its own padding.
        names, indices: of the layers that it computes; the last one's output is that of the step.
        clamp: (smallest, largest) int8 of its output.
    """

    layer: Layer
    names: list[str]
    indices: list[int]
    clamp: tuple[int, int]

    def take(self, index: int, layer: Layer, clamp: tuple[int, int]) -> None:
        """It computes the layer at `index`, too, and its clamp is now this one."""
        self.names.append(layer.name)
        self.indices.append(index)
        self.clamp = clamp


def fuse(model: QuantizedModel) -> list[Step]:
    """The layers as steps; a change of shape is none, since the integers stay where they are.

    The last step gives the model's output. Where the model has several outputs, or one that other steps read or that
    nothing computes, the last steps copy them.

    Raises:
        BadInputError: a size is beyond the C structures.
    """
    made: dict[int, Source] = {-1 - index: -1 - index for index in range(len(model.inputs))}
    fusion = _Fusion(model, _readers(model), made)
    for index, layer in enumerate(model.layers):
        if index in made:  # a step before took it in
            continue
        if isinstance(layer, (Flatten, Reshape)) or (isinstance(layer, Concatenate) and len(layer.inputs) == 1):
            made[index] = made[model.reads[index][0]]
        elif isinstance(layer, Constant):
            made[index] = layer
        elif isinstance(layer, Pad) and (following := _padded(fusion, index, layer)) is not None:
            fusion.padded[fusion.readers[index][0]] = following, layer.name
            made[index] = made[model.reads[index][0]]
        else:
            _add_steps(fusion, index)
    _give(fusion)
    for step in fusion.steps:
        _require_sizes(step)
    return fusion.steps


def _readers(model: QuantizedModel) -> list[list[int]]:
    readers: list[list[int]] = [[] for _ in model.layers]
    for index, sources in enumerate(model.reads):
        for source in sources:
            if source >= 0:
                readers[source].append(index)
    for index in model.results:
        readers[index].append(len(model.layers))
    return readers


def _add_steps(fusion: _Fusion, index: int) -> None:
    """The step of the layer at `index`, and that of the table which a pooling moved in front of."""
    layer, *names = fusion.padded.get(index, (fusion.model.layers[index],))
    draft = _Draft(layer, [*names, layer.name], [index], clamp_of(layer))
    _take_clamps(fusion, draft)
    table_at, pool_at = _take_pool(fusion, draft)
    pool, output = None, layer.output
    if pool_at is not None:
        pool = _pool_at(fusion, pool_at)
        draft.take(pool_at, pool, (_clip(draft.clamp[0], pool), _clip(draft.clamp[1], pool)))
        output = _pooled(output, pool)
    if table_at is None:
        _take_clamps(fusion, draft)
    reads = tuple(fusion.made[source] for source in fusion.model.reads[index])
    shows = draft.names[-1] if table_at is None else None
    step = Step(layer, pool, draft.clamp, inputs_of(layer), output, reads, tuple(draft.names), shows)
    if fusion.model.rounding:
        step = replace(step, rule=fusion.model.rounding[index])
    fusion.add(step, *draft.indices)
    if table_at is not None and pool is not None:  # it now works on what the pooling left
        table = fusion.model.layers[table_at]
        assert isinstance(table, (Lookup, Rescale))
        sources, target, reads = (_pooled(table.input, pool),), _pooled(table.output, pool), (len(fusion.steps) - 1,)
        step = Step(table, None, _ALL, sources, target, reads, (table.name,), pool.name)
        fusion.add(step, table_at, draft.indices[-1])


def _give(fusion: _Fusion) -> None:
    """Copies of what the model gives, where the last step does not write it by itself."""
    model, steps = fusion.model, fusion.steps
    sources = [fusion.made[index] for index in model.results]
    if not steps or sources == [len(steps) - 1]:
        return
    for index, source in zip(model.results, sources, strict=True):
        tensor = model.layers[index].output
        copy = Reshape(model.layers[index].name, tensor, tensor)
        steps.append(Step(copy, None, _ALL, (tensor,), tensor, (source,), (copy.name,), None))


# --- poolings -------------------------------------------------------------------------------------


def _take_pool(fusion: _Fusion, draft: _Draft) -> tuple[int | None, int | None]:
    """The monotone table (if there is one) and the max-pooling behind a layer that can take the pooling in."""
    if not isinstance(draft.layer, (Conv2d, DepthwiseConv2d)):
        return None, None
    table_at, following = None, fusion.only_reader(draft.indices[-1])
    if following is not None and isinstance(following[1], (Lookup, Rescale)) and _is_monotone(following[1]):
        table_at = following[0]
        following = fusion.only_reader(table_at)
    if following is None:
        return None, None
    pool_at, pool = following
    if not isinstance(pool, MaxPool2d) or not _can_take_in(draft.layer, pool):
        return None, None
    if table_at is not None and (pool.clamp_min, pool.clamp_max) != _ALL:  # it is a clamp of the table's output
        return None, None
    return table_at, pool_at


def _pool_at(fusion: _Fusion, index: int) -> MaxPool2d:
    pool = fusion.model.layers[index]
    assert isinstance(pool, MaxPool2d)
    return pool


def _is_monotone(layer: Lookup | Rescale) -> bool:
    return bool((np.diff(layer.table.astype(np.int16)) >= 0).all())


def _can_take_in(layer: Conv2d | DepthwiseConv2d, pool: MaxPool2d) -> bool:
    """Whether each of the convolution's positions is in at most one window, and each window inside its output."""
    disjoint = all(stride >= window for stride, window in zip(pool.stride, pool.window, strict=True))
    inside = all((before, after) == (0, 0) for _, before, after in positions(pool))
    windows = windows_of(layer, pool)
    if layer.dilation != (1, 1) or (isinstance(layer, Conv2d) and groups_of(layer) > 1):
        return False  # dilated or in groups: rare, and its kernel is simple
    return disjoint and inside and max(*windows.patch, *windows.step) <= _LARGEST["window"]


def _clip(value: int, pool: MaxPool2d) -> int:
    return min(max(value, pool.clamp_min), pool.clamp_max)


def _pooled(tensor: QTensor, pool: MaxPool2d) -> QTensor:
    return QTensor(pool.output.shape, tensor.scale, tensor.zero_point)


# --- clamps ---------------------------------------------------------------------------------------


def _take_clamps(fusion: _Fusion, draft: _Draft) -> None:
    """The clamps that follow join that of the step.

    A `Rescale` is one where its table is a clamp of all that reaches it: RELU or RELU6 that keeps the scale.
    """
    clamps = isinstance(draft.layer, (*WEIGHTED, *ELEMENTWISE, MaxPool2d, AveragePool2d, Mean))
    while clamps and (following := fusion.only_reader(draft.indices[-1])) is not None:
        index, table = following
        joined = _joined(draft.clamp, table) if isinstance(table, Rescale) else None
        if joined is None:
            return
        draft.take(index, table, joined)


def _joined(clamp: tuple[int, int], table: Rescale) -> tuple[int, int] | None:
    """The clamp that `clamp` and a table behind it are; None where the table is none of values in that range."""
    if (table.input.scale, table.input.zero_point) != (table.output.scale, table.output.zero_point):
        return None
    values = np.arange(clamp[0], clamp[1] + 1)
    reached = table.table[values + 128]
    low, high = int(reached[0]), int(reached[-1])
    return (low, high) if low <= high and np.array_equal(np.clip(values, low, high), reached) else None


# --- padding --------------------------------------------------------------------------------------


def _padded(fusion: _Fusion, index: int, pad: Pad) -> Conv2d | DepthwiseConv2d | MaxPool2d | None:
    """The layer behind a pad with the padding that both are; None where it cannot take the pad in.

    A convolution pads with its zero point. A maximum does not count what lies outside its input: to it that is -128.
    """
    following = fusion.only_reader(index)
    if following is None or isinstance(fusion.made[fusion.model.reads[index][0]], Constant):
        return None
    layer = following[1]
    if not isinstance(layer, (Conv2d, DepthwiseConv2d, MaxPool2d)):
        return None
    if pad.value != (INT8_MIN if isinstance(layer, MaxPool2d) else layer.input.zero_point):
        return None
    if len(pad.before) != 3 or (pad.before[2], pad.after[2]) != (0, 0) or min(*pad.before, *pad.after) < 0:
        return None
    down, across = (
        (pad.before[axis] + before, pad.after[axis] + after) for axis, (_, before, after) in enumerate(positions(layer))
    )
    own = QTensor(pad.input.shape, layer.input.scale, layer.input.zero_point)
    padded = replace(layer, input=own, padding=(down, across))
    return padded if _touches(padded, (down, across)) else None


def _touches(layer: Conv2d | DepthwiseConv2d | MaxPool2d, margins: Margins) -> bool:
    """Whether each window sees a part of the input, as with the paddings of TFLite."""
    by, sizes, outputs = windows_of(layer), layer.input.shape, layer.output.shape
    return all(
        margins[axis][0] < by.patch[axis] and (outputs[axis] - 1) * by.stride[axis] - margins[axis][0] < sizes[axis]
        for axis in range(2)
    )


# --- sizes ----------------------------------------------------------------------------------------


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
