"""How often the loops of the depthwise kernels for scalar instruction sets run; for `loops`."""

from __future__ import annotations

import math
from collections.abc import Mapping

from lenet_edge.formats.c_source.families.lanes_depthwise import strip_columns, strip_rows
from lenet_edge.formats.c_source.steps import Step, windows_of
from lenet_edge.quantized.model import DepthwiseConv2d

__all__ = ["depthwise_3_loops", "depthwise_loops"]


def depthwise_loops(step: Step) -> Mapping[str, int]:
    """Of le_depthwise_any_lanes.h."""
    layer = step.layer
    assert isinstance(layer, DepthwiseConv2d)
    (tall, wide, channels), pooled = layer.weights.shape, 1 if step.pool is None else math.prod(step.pool.window)
    sums = step.output_bytes * pooled
    counts = {"rows of outputs": step.output.shape[0] * channels, "outputs": step.output_bytes, "sums": sums}
    return {**_strips(step), **counts, "rows": sums * tall, "products": sums * tall * wide}


def depthwise_3_loops(step: Step) -> Mapping[str, int]:
    """Of le_depthwise_3_*.S: outputs whose windows are a row further each, and others."""
    layer = step.layer
    assert isinstance(layer, DepthwiseConv2d)
    strips, slides = _strips(step), layer.stride[0] == 1
    return {
        **strips,
        "columns": strips["channels"] * step.output.shape[1],
        "outputs": step.output_bytes * slides,
        "strided outputs": step.output_bytes * (not slides),
    }


def _strips(step: Step) -> Mapping[str, int]:
    """le_depthwise_lanes.h: of each channel the lines and bytes of each strip are gathered."""
    layer = step.layer
    assert isinstance(layer, DepthwiseConv2d)
    by, (height, width, channels), most = windows_of(layer, step.pool), step.input.shape, strip_rows(step)
    firsts, lines = range(0, step.output.shape[0], most), 0
    for first in firsts:
        rows = min(most, step.output.shape[0] - first)
        top = first * by.step[0] - by.padding[0]
        bottom = top + (rows - 1) * by.step[0] + by.patch[0]
        lines += min(bottom, height) - max(top, 0)
    inside = min(strip_columns(step) - by.padding[1], width)
    return {
        "channels": len(firsts) * channels,
        "lines": lines * channels,
        "bytes": lines * inside * channels,
    }
