"""A plain convolution whose scratch memory costs nothing: it lies where nothing lies yet, or nothing lies any more.

A window that hangs over the edge is copied into a patch first. While the upper rows of the output are computed, the
end of the output is still free; while the lower rows are, the beginning of the input is no longer needed. So the layer
is computed by two calls of the same function, each with its own rows, where the workspace would grow by the patch.
"""

from __future__ import annotations

import math
from dataclasses import replace

from lenet_edge.formats.c_source import tables
from lenet_edge.formats.c_source.families import plain
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.steps import Step, windows_of
from lenet_edge.quantized.model import Conv2d, DepthwiseConv2d

__all__ = ["kernel"]


def kernel(step: Step, name: str, whole: Kernel, *, divisible: bool) -> Kernel | None:
    """The plain kernel `whole` of a step without its scratch memory; None where that is not possible.

    It is for a step whose input nobody needs afterwards, with input and output in the workspace.
    """
    row = _first_lower_row(step, whole.scratch_bytes)
    if row is None:
        return None
    layer, size = step.layer, step.output_bytes
    assert isinstance(layer, (Conv2d, DepthwiseConv2d))
    parts = (("_upper", range(row)), ("_lower", range(row, step.output.shape[0])))
    written = row * size // step.output.shape[0]
    skipped = _rows_above(step, row) * math.prod(step.input.shape[1:])
    free = size - whole.scratch_bytes

    def calls(sources: tuple[str, ...], target: str, _scratch: str) -> tuple[str, ...]:
        (source,), function = sources, f"le_{plain.kind_of(layer)}_s8"
        return (
            f"{function}(&{name}_upper, {source}, {target} + {free}, {target});",
            f"{function}(&{name}_lower, {source} + {skipped}, {source}, {target} + {written});",
        )

    definitions = (plain.structure(step, name, part, rows, divisible=divisible) for part, rows in parts)
    return replace(whole, scratch_bytes=0, rows_at_once=0, calls=calls, definitions="".join(definitions))


def _first_lower_row(step: Step, patch_bytes: int) -> int | None:
    """The output's row from which on the beginning of the input is free, while the end of the output still was."""
    layer = step.layer
    if not isinstance(layer, (Conv2d, DepthwiseConv2d)) or not patch_bytes or len(tables.slices_of(layer)) > 1:
        return None
    height, row_bytes = step.output.shape[0], math.prod(step.output.shape[1:])
    for row in range(1, height):
        above = _rows_above(step, row)
        if above * math.prod(step.input.shape[1:]) >= patch_bytes:
            is_free = row * row_bytes + patch_bytes <= height * row_bytes
            return row if is_free and above < step.input.shape[0] else None
    return None


def _rows_above(step: Step, row: int) -> int:
    """How many rows of the input the output's rows from `row` on do not see."""
    layer = step.layer
    assert isinstance(layer, (Conv2d, DepthwiseConv2d))
    windows = windows_of(layer, step.pool)
    return row * windows.step[0] - windows.padding[0]
