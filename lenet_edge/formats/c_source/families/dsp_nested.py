"""Convolutions 5 x 5 on Cortex-M with the DSP extension, by fast FIR in both directions: tables for
firmware/kernels/cortex_m_dsp/le_conv2d_nested_dsp.S."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lenet_edge.formats.c_source.families.dsp_positions import in_pairs, pairs_order
from lenet_edge.formats.c_source.families.dsp_requantization import Requantization, functions_of, requantization_of
from lenet_edge.formats.c_source.families.plain import windows_text
from lenet_edge.formats.c_source.families.shared import Structure, aligned, fast_kernel, largest_sum, padded
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.steps import Step, windows_of
from lenet_edge.formats.c_source.tables import Table
from lenet_edge.quantized.model import Conv2d

__all__ = ["kernel", "loops", "problem", "split", "strip_of", "words"]

IntArray = npt.NDArray[np.int64]

_FUNCTIONS = functions_of(
    "tiles, nested",
    "conv2d_nested",
    "nested",
    *("le_dsp.h", "cortex_m_dsp/le_requantize_dsp.h", "le_conv2d_nested_dsp.c", "le_conv2d_nested_dsp.S"),
)
_GROUP = 4  # channels at a time
_CELL_BYTES = 4 * 3 * 8  # of a pair of columns and of channels
_FEWER = 4 * 3 * 6  # of le_conv2d_pairs_dsp.c


def problem(step: Step, layer: Conv2d, *, divisible: bool) -> str:
    """Why the kernel cannot have a layer that has no `requantization_problem`; empty where it can."""
    pooled = step.pool is not None and (step.pool.window, step.pool.stride) == ((2, 2), (2, 2))
    if layer.weights.shape[1:3] != (5, 5) or layer.stride != (1, 1) or not pooled:
        return "it is not 5 x 5 with stride 1 and pooled by 2 x 2"
    if layer.input.shape[2] == 1:
        return "it has one input channel"
    times = requantization_of(layer, divisible=divisible).times
    return "" if 2 * times * int(largest_sum(layer).max()) < 2**31 else "twice its sums do not fit an int32"


def kernel(step: Step, layer: Conv2d, name: str, *, divisible: bool) -> Kernel:
    """The kernel of a convolution of which there is no `problem`."""
    by = requantization_of(layer, divisible=divisible)
    table = Table(f"{name}_table", "uint32_t", words(layer, by), "as le_conv2d_nested_dsp.S describes it")
    groups = -(-len(layer.bias) // _GROUP)
    values = f"\n    {windows_text(step)},\n    {groups}, {strip_of(step)}, {table.name}\n"
    return fast_kernel(_FUNCTIONS[divisible], step, [Structure(name, values)], [table], _scratch(step, layer))


def strip_of(step: Step) -> int:
    """Windows of a row that share a strip: as many as have it no larger than le_conv2d_pairs_dsp.c has its own."""
    width = step.output.shape[1]
    strips = -(-width // max(1, (width + 2) * _FEWER // _CELL_BYTES - 2))
    return -(-width // strips)


def _scratch(step: Step, layer: Conv2d) -> int:
    """The strip, outputs of groups that are not whole, two rows where some lie outside."""
    channels, inputs = len(layer.bias), layer.input.shape[2]
    columns = strip_of(step) + 2
    outputs = aligned(strip_of(step) * channels + 3) if channels % _GROUP else 0
    return _CELL_BYTES * columns * -(-inputs // 2) + outputs + (4 * columns * inputs if _hangs_over(step, layer) else 0)


def _hangs_over(step: Step, layer: Conv2d) -> bool:
    """Whether a window hangs over the edge."""
    padding = windows_of(layer, step.pool).padding
    sizes = zip(padding, step.output.shape, step.input.shape, strict=False)
    return any(before or 2 * windows + 4 > size for before, windows, size in list(sizes)[:2])


def loops(step: Step) -> dict[str, int]:
    """How often its loops run, as `loops.loops_of` has it."""
    layer = step.layer
    assert isinstance(layer, Conv2d)
    height, width, outputs = step.output.shape
    strip, inputs = strip_of(step), layer.input.shape[2]
    strips = -(-width // strip)
    columns = width + 2 * strips
    groups = height * width * -(-outputs // _GROUP)
    return {
        "lines": (height + 2) * strips,
        "columns": (height + 2) * columns,
        "cells": (height + 2) * columns * -(-inputs // 2),
        "windows": height * width,
        "groups": groups,
        "rounds": groups * -(-inputs // 2),
    }


def split(weights: IntArray, axis: int) -> tuple[IntArray, IntArray, IntArray]:
    """Taps 0 to 4 along an axis: those of o (h0 + h1, h2 + h3, h4), of e (h0, h2, h4) and of n (h1, h3)."""
    along = np.moveaxis(weights, axis, 0)
    even, odd = along[::2], along[1::2]
    both = even.copy()
    both[: len(odd)] += odd
    o, e, n = (np.moveaxis(part, 0, axis) for part in (both, even, odd))
    return o, e, n


def words(layer: Conv2d, by: Requantization) -> IntArray:
    """The table of le_conv2d_nested_dsp.S for a layer with weights ``[channels, 5, 5, inputs]``."""
    weights = by.times * padded(layer.weights.astype(np.int64), _GROUP)
    order = pairs_order(layer.input.shape[2])
    parts = [part for rows in split(weights, 1) for part in split(rows, 2)]
    taps = [in_pairs(part, order).transpose(0, 2, 3, 1).reshape(len(weights), -1) for part in parts]
    groups = np.concatenate(taps, axis=1).reshape(-1, _GROUP, 64 * len(order)).transpose(0, 2, 1)
    bias, factors = padded(by.bias, _GROUP), padded(by.factors, _GROUP)
    rows = [bias.reshape(-1, _GROUP), groups.reshape(len(groups), -1), factors.reshape(len(groups), -1)]
    found: IntArray = np.concatenate(rows, axis=1).ravel() & 0xFFFFFFFF
    return found
