"""Tables and sizes of firmware/kernels/cortex_m_dsp/le_depthwise_conv2d_dsp.c, described there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lenet_edge.formats.c_source.families.dsp_requantization import Requantization, functions_of, requantization_of
from lenet_edge.formats.c_source.families.plain import windows_text
from lenet_edge.formats.c_source.families.shared import Structure, aligned, fast_kernel
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.steps import Step, windows_of
from lenet_edge.formats.c_source.tables import Table
from lenet_edge.quantized.model import DepthwiseConv2d

__all__ = ["Strip", "depthwise", "depthwise_words", "strip_of"]

IntArray = npt.NDArray[np.int64]

_FUNCTION = functions_of(
    "depthwise",
    "depthwise_conv2d",
    "depthwise",
    *("le_dsp.h", "cortex_m_dsp/le_requantize_dsp.h", "le_depthwise_conv2d_dsp.c", "le_depthwise_dsp.S"),
)


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


def strip_of(step: Step) -> Strip:
    """The strips of a depthwise step, as the C has them."""
    layer = step.layer
    assert isinstance(layer, DepthwiseConv2d)
    by, (height, width, channels) = windows_of(layer, step.pool), step.output.shape
    (tall, wide), words = by.window, -(-by.window[0] // 2)
    rows = 2 if tall % 2 == 1 and by.stride[0] == 1 else 1
    positions = (width - 1) * (by.step[1] // by.stride[1]) + by.pool[1]
    strips, row_count = -(-height // rows), height
    if by.pool != (1, 1):
        strips, row_count = height * -(-by.pool[0] // rows), height * by.pool[0]
    columns = (positions - 1) * by.stride[1] + wide
    return Strip(min(channels, 4), rows, words, columns, positions, -(-wide * words // 2) * 2, strips, row_count)


def depthwise(step: Step, layer: DepthwiseConv2d, name: str, *, divisible: bool) -> Kernel:
    """The kernel of a layer with one output channel for each of the input."""
    strip, by = strip_of(step), requantization_of(layer, divisible=divisible)
    table = Table(f"{name}_table", "uint32_t", depthwise_words(layer, by), "as le_dsp.h describes it for depthwise")
    structure = Structure(name, f"\n    {windows_text(step)},\n    {strip.rows}, {table.name}\n")
    frames = strip.rows * strip.channels * (1 + by.factors.shape[1] + strip.taps)
    line = 0 if step.pool is None else strip.rows * strip.positions * strip.channels
    scratch = 4 * (frames + 4 * strip.columns * strip.words + 1) + aligned(line)
    return fast_kernel(_FUNCTION[divisible], step, [structure], [table], scratch)


def depthwise_words(layer: DepthwiseConv2d, by: Requantization) -> IntArray:
    """The table of a layer with weights ``[rows, columns, channels]``; they are not doubled in it."""
    weights = layer.weights.astype(np.int64).transpose(2, 1, 0)  # [channel, column, row]
    pairs = np.pad(weights, ((0, 0), (0, 0), (0, weights.shape[2] % 2))).reshape(len(weights), -1, 2)
    words = np.pad(pairs, ((0, 0), (0, pairs.shape[1] % 2), (0, 0))).reshape(len(weights), -1, 2, 2)
    halves = words.transpose(0, 1, 3, 2).reshape(len(weights), -1, 4) & 0xFF  # the four bytes of a word
    packed = (halves << np.array([0, 8, 16, 24])).sum(axis=-1)
    return np.column_stack([by.bias, by.factors, packed]) & 0xFFFFFFFF
