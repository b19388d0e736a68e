"""Tables and sizes of firmware/kernels/cortex_m_dsp/le_depthwise_conv2d_dsp.c, described there."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lenet_edge.formats.c_source.families.dsp_requantization import Requantization, functions_of, requantization_of
from lenet_edge.formats.c_source.families.plain import windows_text
from lenet_edge.formats.c_source.families.shared import Structure, aligned, fast_kernel
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.steps import Step, windows_of
from lenet_edge.formats.c_source.tables import Table
from lenet_edge.quantized.model import DepthwiseConv2d, QTensor

__all__ = ["Strip", "depthwise", "depthwise_words", "lying", "strip_of"]

IntArray = npt.NDArray[np.int64]

_FUNCTION = functions_of(
    "depthwise",
    "depthwise_conv2d",
    "depthwise",
    *("le_dsp.h", "cortex_m_dsp/le_requantize_dsp.h", "cortex_m_dsp/le_depthwise_dsp.h"),
    *("le_depthwise_conv2d_dsp.c", "le_depthwise_dsp.S"),
)
_FILES_3X3 = (
    *("le_dsp.h", "cortex_m_dsp/le_requantize_dsp.h", "cortex_m_dsp/le_depthwise_dsp.h"),
    *("le_depthwise_3x3_dsp.c", "le_depthwise_3x3_dsp.S"),
)
_FUNCTIONS_3X3 = {
    kind: functions_of(label, f"depthwise_3x3{kind}", "depthwise", *_FILES_3X3)
    for kind, label in (
        ("", "depthwise, 3 x 3"),
        ("_stride_2", "depthwise, 3 x 3, stride 2"),
        ("_pooled", "depthwise, 3 x 3, pooled"),
    )
}


@dataclass(frozen=True)
class Strip:
    """What a strip holds, and how many there are for four channels.

    Attributes:
        channels: that are computed at once, 4 or all.
        rows: of positions of the convolution that it serves, 1 or 2.
        words: pairs of rows in a column.
        columns, positions: in a row.
        taps: words of a window, an even number.
        strips: for four channels.
        row_count: rows of positions for four channels.
    """

    channels: int
    rows: int
    words: int
    columns: int
    positions: int
    taps: int
    strips: int
    row_count: int


def lying(step: Step) -> Step:
    """A map that is one pixel wide, and so is its window, as one that is one pixel high, which lies in memory the same.

    Then all that a window reads is one run of words. Any other step is given back as it is.
    """
    layer = step.layer
    assert isinstance(layer, DepthwiseConv2d)
    if layer.input.shape[1] != 1 or layer.weights.shape[1] != 1 or (step.pool is not None and step.pool.window[1] != 1):
        return step
    turned = replace(
        layer,
        input=_turned(layer.input),
        output=_turned(layer.output),
        weights=layer.weights.transpose(1, 0, 2),
        stride=layer.stride[::-1],
        padding=layer.padding if isinstance(layer.padding, str) else layer.padding[::-1],
    )
    pool = step.pool
    if pool is not None:
        window, stride = pool.window[::-1], pool.stride[::-1]
        pool = replace(pool, input=_turned(pool.input), output=_turned(pool.output), window=window, stride=stride)
    return replace(step, layer=turned, pool=pool, inputs=(_turned(step.input),), output=_turned(step.output))


def _turned(tensor: QTensor) -> QTensor:
    height, width, channels = tensor.shape
    return replace(tensor, shape=(width, height, channels))


def strip_of(step: Step) -> Strip:
    """The strips of a depthwise step that is `lying`, as the C has them."""
    layer = step.layer
    assert isinstance(layer, DepthwiseConv2d)
    by, (height, width, channels) = windows_of(layer, step.pool), step.output.shape
    (tall, wide), words = by.window, -(-by.window[0] // 2)
    several = tall % 2 == 1 and by.stride[0] == 1 and (height if by.pool == (1, 1) else by.pool[0]) > 1
    rows = 2 if several else 1
    positions = (width - 1) * (by.step[1] // by.stride[1]) + by.pool[1]
    strips, row_count = -(-height // rows), height
    if by.pool != (1, 1):
        strips, row_count = height * -(-by.pool[0] // rows), height * by.pool[0]
    columns = (positions - 1) * by.stride[1] + wide
    return Strip(min(channels, 4), rows, words, columns, positions, -(-wide * words // 2) * 2, strips, row_count)


def depthwise(step: Step, name: str, *, divisible: bool) -> list[Kernel]:
    """The kernels of a layer with one output channel for each of the input, the best one first."""
    step = lying(step)
    layer = step.layer
    assert isinstance(layer, DepthwiseConv2d)
    by = requantization_of(layer, divisible=divisible)
    kind = _kind_3x3(step)
    found = [] if kind is None else [(_FUNCTIONS_3X3[kind], _scratch_3x3(step, by))]
    found.append((_FUNCTION, _scratch(step, by)))
    table = Table(f"{name}_table", "uint32_t", depthwise_words(layer, by), "as le_dsp.h describes it for depthwise")
    structure = Structure(name, f"\n    {windows_text(step)},\n    {strip_of(step).rows}, {table.name}\n")
    return [fast_kernel(functions[divisible], step, [structure], [table], scratch) for functions, scratch in found]


def _kind_3x3(step: Step) -> str | None:
    """What le_depthwise_3x3_dsp.c calls the geometry; None where it does not have it."""
    layer = step.layer
    assert isinstance(layer, DepthwiseConv2d)
    if layer.weights.shape[:2] != (3, 3) or len(layer.bias) < 4:
        return None
    if step.pool is not None:
        geometry = (layer.stride, step.pool.window, step.pool.stride)
        return "_pooled" if geometry == ((1, 1), (2, 2), (2, 2)) else None
    return {(1, 1): "", (2, 2): "_stride_2"}.get(layer.stride)


def _scratch(step: Step, by: Requantization) -> int:
    strip = strip_of(step)
    frames = strip.rows * strip.channels * (1 + by.factors.shape[1] + strip.taps)
    line = 0 if step.pool is None else strip.rows * strip.positions * strip.channels
    return 4 * int(frames + 4 * strip.columns * strip.words + 1) + aligned(line)


def _scratch_3x3(step: Step, by: Requantization) -> int:
    return 4 * int(4 * (8 + by.factors.shape[1]) + 8 * strip_of(step).columns)


def depthwise_words(layer: DepthwiseConv2d, by: Requantization) -> IntArray:
    """The table of a layer with weights ``[rows, columns, channels]``; they are not doubled in it."""
    weights = layer.weights.astype(np.int64).transpose(2, 1, 0)  # [channel, column, row]
    pairs = np.pad(weights, ((0, 0), (0, 0), (0, weights.shape[2] % 2))).reshape(len(weights), -1, 2)
    words = np.pad(pairs, ((0, 0), (0, pairs.shape[1] % 2), (0, 0))).reshape(len(weights), -1, 2, 2)
    halves = words.transpose(0, 1, 3, 2).reshape(len(weights), -1, 4) & 0xFF  # the four bytes of a word
    packed = (halves << np.array([0, 8, 16, 24])).sum(axis=-1)
    return np.column_stack([by.bias, by.factors, packed]) & 0xFFFFFFFF
