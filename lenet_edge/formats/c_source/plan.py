"""What the generated C computes in which order, and where each tensor lies in the workspace.

Two things make the plan smaller than the model. A max-pooling commutes with
everything monotone, so that it moves in front of the requantisation (DESIGN
2.3) and of an activation table: the tensor before the pooling never exists.
And at any time only two tensors of a chain are alive, so that they take turns
at the two ends of one workspace.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

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
    kernel_size,
    window_padding,
)

__all__ = ["Plan", "Step", "Windows", "make_plan", "windows_of"]

_ALIGNMENT = 4  # bytes; kernels for CPUs with wider loads rely on it
_LARGEST = {"size": 0xFFFF, "window": 0xFF, "softmax": 0xFFF}  # what the C structures and the sum of a softmax hold
_MOST_STEPS = 0xFF


@dataclass(frozen=True)
class Windows:
    """The geometry of a layer with windows, as ``le_windows`` in le_kernels.h has it; (vertical, horizontal).

    Attributes:
        kernel, stride: of the convolution, or of the pooling by itself.
        pool: positions of the convolution in a pooling window; (1, 1) without pooling.
        step: input pixels from one output position to the next.
        padding: above and to the left.
        patch: input pixels that one output position sees.
    """

    kernel: tuple[int, int]
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
        offset: where the output lies in the workspace, in bytes; None: in the caller's logits.
        input_offset: where the input lies; None: in the caller's image.
        patch_offset: where the padded copy of a patch may be.
        patch_bytes: its size, 0 where no window hangs over the edge.
    """

    layer: Layer
    pool: MaxPool2d | None
    clamp: tuple[int, int]
    input: QTensor
    output: QTensor
    shows: str | None
    offset: int | None = None
    input_offset: int | None = None
    patch_offset: int = 0
    patch_bytes: int = 0

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
    def occupied(self) -> list[tuple[int, int]]:
        """What must lie apart in the workspace while the step runs: (offset, bytes) of input, patch and output."""
        parts = [(self.patch_offset, self.patch_bytes)] if self.patch_bytes else []
        if self.input_offset is not None:
            parts.append((self.input_offset, self.input_bytes))
        if self.offset is not None and not (self.in_place and self.offset == self.input_offset):
            parts.append((self.offset, self.output_bytes))
        return parts

    @property
    def in_place(self) -> bool:
        """Whether the C function changes its values in place."""
        return isinstance(self.layer, (Lookup, Softmax))


@dataclass(frozen=True, eq=False)
class Plan:
    """The steps in order, and the size of the workspace that they share, in bytes."""

    steps: tuple[Step, ...]
    workspace_bytes: int


def make_plan(model: QuantizedModel) -> Plan:
    """Fuse and place.

    Raises:
        BadInputError: the model computes nothing, or a size is beyond the C structures.
    """
    steps = _fuse(model)
    if not steps:
        raise BadInputError("the model has no layer that computes anything; there is nothing to export")
    if len(steps) > _MOST_STEPS:
        raise BadInputError(f"the model has {len(steps)} steps; the generated C counts up to {_MOST_STEPS}")
    for step in steps:
        _require_sizes(step)
    placed, workspace_bytes = _place(steps)
    plan = Plan(tuple(placed), workspace_bytes)
    _assert_disjoint(plan)
    return plan


def windows_of(layer: Conv2d | DepthwiseConv2d | Pool2d, pool: MaxPool2d | None = None) -> Windows:
    """The windows of a layer that takes in `pool`."""
    kernel, positions, pool_stride = kernel_size(layer), (1, 1), (1, 1)
    if pool is not None:
        positions, pool_stride = pool.window, pool.stride
    padding = [
        window_padding(size, taps, stride, layer.padding)[1]
        for size, taps, stride in zip(layer.input.shape[:2], kernel, layer.stride, strict=True)
    ]
    down, across = range(2)
    return Windows(
        kernel=kernel,
        stride=layer.stride,
        pool=positions,
        step=(layer.stride[down] * pool_stride[down], layer.stride[across] * pool_stride[across]),
        padding=(padding[down], padding[across]),
        patch=(
            (positions[down] - 1) * layer.stride[down] + kernel[down],
            (positions[across] - 1) * layer.stride[across] + kernel[across],
        ),
    )


# --- fusing ---------------------------------------------------------------------------------------


def _fuse(model: QuantizedModel) -> list[Step]:
    """The layers as steps; a flattening is none, since the integers stay where they are."""
    layers: list[Layer] = [layer for layer in model.layers if not isinstance(layer, Flatten)]
    steps = []
    while layers:
        layer = layers.pop(0)
        clamp = (getattr(layer, "clamp_min", -128), getattr(layer, "clamp_max", 127))
        table, pool = _take_pool(layer, layers)
        if pool is None:
            steps.append(Step(layer, None, clamp, layer.input, layer.output, layer.name))
            continue
        clamp = (_clip(clamp[0], pool), _clip(clamp[1], pool))
        shows = pool.name if table is None else None
        steps.append(Step(layer, pool, clamp, layer.input, _pooled(layer.output, pool), shows))
        if table is not None:  # it now works on what the pooling left
            source, target = _pooled(table.input, pool), _pooled(table.output, pool)
            steps.append(Step(table, None, (-128, 127), source, target, pool.name))
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


# --- placing --------------------------------------------------------------------------------------


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _patch_bytes(step: Step) -> int:
    """What a window that hangs over the edge needs; a pooling by itself needs nothing."""
    layer = step.layer
    if not isinstance(layer, (Conv2d, DepthwiseConv2d)):
        return 0
    windows = windows_of(layer, step.pool)
    ends = [
        (size - 1) * pace - before + patch
        for size, pace, before, patch in zip(
            step.output.shape[:2], windows.step, windows.padding, windows.patch, strict=True
        )
    ]
    overhangs = any(windows.padding) or any(end > size for end, size in zip(ends, step.input.shape[:2], strict=True))
    return math.prod(windows.patch) * step.input.shape[2] if overhangs else 0


def _place(steps: Sequence[Step]) -> tuple[list[Step], int]:
    """Each tensor at the other end of the workspace than the one before it; a patch between the two.

    An optimum for a chain: the workspace is as large as the largest step's input, patch and output together.
    """
    workspace = 0
    for step in steps:
        source = 0 if step is steps[0] else _aligned(step.input_bytes)
        target = 0 if step is steps[-1] or (step.in_place and source) else _aligned(step.output_bytes)
        workspace = max(workspace, source + target + _aligned(_patch_bytes(step)))

    placed: list[Step] = []
    taken: range | None = None  # what the step's input occupies; None for the caller's image
    for step in steps:
        source_range = taken
        if step is steps[-1]:
            taken = None
        elif not (step.in_place and taken is not None):
            size = _aligned(step.output_bytes)
            taken = range(workspace - size, workspace) if taken is not None and taken.start == 0 else range(size)
        lower_end = max(
            (part.stop for part in (source_range, taken) if part is not None and part.start == 0), default=0
        )
        placed.append(
            replace(
                step,
                offset=None if taken is None else taken.start,
                input_offset=None if source_range is None else source_range.start,
                patch_offset=lower_end,
                patch_bytes=_patch_bytes(step),
            )
        )
    return placed, workspace


def _assert_disjoint(plan: Plan) -> None:
    for step in plan.steps:
        end = 0
        for offset, size in sorted(step.occupied):
            assert offset >= end, f"step {step.names}: two of its tensors overlap"
            end = offset + size
        assert end <= plan.workspace_bytes
