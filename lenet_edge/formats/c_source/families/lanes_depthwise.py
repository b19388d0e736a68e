"""Depthwise convolutions for scalar instruction sets (firmware/kernels/lanes): a channel after the other, in strips."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt

from lenet_edge.formats.c_source.families.plain import windows_text
from lenet_edge.formats.c_source.families.shared import (
    LARGEST_OFFSET,
    Structure,
    aligned,
    fast_kernel,
    function_of,
    padded,
)
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.steps import Step, windows_of
from lenet_edge.formats.c_source.tables import Table
from lenet_edge.quantized.model import DepthwiseConv2d, channel_weights

__all__ = ["depthwise", "depthwise_problem", "depthwise_words", "strip_columns", "strip_rows"]

IntArray = npt.NDArray[np.int64]

_STRIP_BYTES = 800  # of scratch, as far as it goes; a taller strip is gathered in more pieces
_function = partial(function_of, "lanes", "lanes")
_STRIP = ("le_lanes.h", "lanes/le_depthwise_lanes.h")
_ANY = (*_STRIP, "lanes/le_depthwise_any_lanes.h", "lanes/le_requantize_lanes.h")
_THREE = (*_STRIP, "lanes/le_depthwise_3_lanes.h")
_FUNCTIONS = {  # is it of 3 x 3, is it on the tie-free grid
    (is_3, divisible): _function(
        "depthwise, 3 x 3" if is_3 else "depthwise", operator, "depthwise", *files, f"le_{operator}_lanes.c"
    )
    for is_3, files in ((False, _ANY), (True, _THREE))
    for divisible in (False, True)
    for operator in ["depthwise_conv2d" + "_3" * is_3 + "_double" * (not divisible)]
}


def depthwise_problem(step: Step) -> str:
    """Why the kernel does not take the step; empty where it does."""
    least = _strip_bytes(step, 1)
    return f"a row of it takes {least} bytes of scratch, more than {LARGEST_OFFSET}" if least > LARGEST_OFFSET else ""


def depthwise(step: Step, name: str, behind: IntArray, *, divisible: bool, assembly: str) -> Kernel:
    """The kernel.

    Args:
        assembly: "cortex_m" or "rv32".
        behind: words of each channel for the requantisation, ``[channels, words]``.
    """
    words = depthwise_words(step, behind, divisible=divisible)
    table = Table(f"{name}_table", "uint32_t", words.ravel(), "as le_lanes.h describes it")
    rows = strip_rows(step)
    sizes = f"{rows}, {strip_columns(step)}, {words.shape[1]}, {table.name}"
    structure = Structure(name, f"\n    {windows_text(step)},\n    {sizes}\n")
    scratch, is_3 = aligned(_strip_bytes(step, rows)), _is_3(step)
    kernel = fast_kernel(_FUNCTIONS[is_3, divisible], step, [structure], [table], scratch, clamps=not divisible)
    return replace(kernel, sources=(*kernel.sources, f"lanes/le_depthwise_3_{assembly}.S")) if is_3 else kernel


def _is_3(step: Step) -> bool:
    """Whether a channel is computed in assembly."""
    layer = step.layer
    assert isinstance(layer, DepthwiseConv2d)
    return step.pool is None and layer.weights.shape[:2] == (3, 3)


def depthwise_words(step: Step, behind: IntArray, *, divisible: bool) -> IntArray:
    """The table of le_lanes.h, ``[channels, words]``."""
    layer = step.layer
    assert isinstance(layer, DepthwiseConv2d)
    weights = channel_weights(layer).astype(np.int64) // (2 if divisible else 1)
    words = np.ascontiguousarray(padded(weights, 4, axis=1).astype(np.int8)).view("<u4").astype(np.int64)
    table: IntArray = np.concatenate([words, behind], axis=1) & 0xFFFFFFFF
    return table


def strip_columns(step: Step) -> int:
    """Columns of a strip: all that a row of windows sees, the padding included."""
    return _seen(step, 1, step.output.shape[1])


def strip_rows(step: Step) -> int:
    """How many rows of the output a strip has: as few pieces as `_STRIP_BYTES` allow, and these as even as can be."""
    rows = step.output.shape[0]
    pieces = next((n for n in range(1, rows) if _strip_bytes(step, -(-rows // n)) <= _STRIP_BYTES), rows)
    return -(-rows // pieces)


def _seen(step: Step, axis: int, outputs: int) -> int:
    layer = step.layer
    assert isinstance(layer, DepthwiseConv2d)
    by = windows_of(layer, step.pool)
    return (outputs - 1) * by.step[axis] + by.patch[axis]


def _strip_bytes(step: Step, rows: int) -> int:
    return _seen(step, 0, rows) * strip_columns(step)
