"""Portable kernels of layers whose weights are packed: firmware/kernels/packed/."""

from __future__ import annotations

import math

import numpy as np

from lenet_edge.formats.c_source import tables
from lenet_edge.formats.c_source.families import plain
from lenet_edge.formats.c_source.families.shared import aligned, plus
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.packing import PACKINGS, pack, packed_bytes, unpack
from lenet_edge.formats.c_source.steps import Step, windows_of
from lenet_edge.formats.c_source.tables import Table
from lenet_edge.quantized.model import WEIGHTED, Conv2d, DepthwiseConv2d, FullyConnected, Weighted, channel_weights

__all__ = ["at_once", "kernel", "packed_tables"]

_HEADER = "le_packed.h"
_WINDOWS = ("packed/le_packed_window.h", "plain/le_windows.c", "plain/le_windows.h")
_DIGITS = {
    "4": ("four_bits", "le_four_bits.h"),
    "2": ("two_bits", "le_ternary.h"),
    "trits": ("trits", "le_ternary.h"),
}
"""Packing -> how its functions' names end, and the header that takes its digits out."""
_OUTPUTS_OF_FIVES = range(24, 257)  # 243 sums for five inputs: fewer outputs take them by themselves


def kernel(step: Step, name: str, packing: str, *, divisible: bool) -> Kernel:
    """The portable kernel of a step whose layer admits `packing`, one of `PACKINGS`; `divisible` as of `choice`."""
    layer, kind = step.layer, f"{plain.kind_of(step.layer)}_packed"
    assert isinstance(layer, WEIGHTED)
    parts, by_fives = _parts(layer, packing), _adds_five_at_once(layer, packing)
    slides = not isinstance(layer, FullyConnected)
    sum_of = "NULL" if by_fives else _sum_of(step, packing)
    function = "fully_connected_trits" if by_fives else kind
    files = () if by_fives else (f"{sum_of}.c", _DIGITS[packing][1])

    def calls(sources: tuple[str, ...], target: str, scratch: str) -> tuple[str, ...]:
        (source,), own = sources, f"{scratch}, " if by_fives or slides else ""
        return tuple(
            f"le_{function}_s8(&{name}{part}, {source}, {own}{target}{plus(run.start)});" for part, run in parts
        )

    structures = []
    for part, run in parts:
        requantization = plain.requantization_text(step, name, run.start, divisible=divisible)
        body = f"{_structure_head(step, packing, run)}{sum_of}, {name}_weights{part},\n    {requantization}"
        if isinstance(layer, DepthwiseConv2d):
            body = f"{{{body}}}, {len(layer.bias) // layer.input.shape[2]}"
        structures.append(f"static LE_TABLE le_{kind} {name}{part} = {{\n    {body}\n}};\n")
    return Kernel(
        name=f"packed, {PACKINGS[packing].text}{' at once' if by_fives else ''}",
        sources=(
            *(f"packed/{file}" for file in (f"le_{function}.c", _HEADER, *files)),
            *(_WINDOWS if slides else ()),
            *plain.requantizer(step, divisible=divisible),
        ),
        headers=(_HEADER,),
        calls=calls,
        tables=(
            *packed_tables(layer, name, packing),
            *tables.requantization_tables(layer, name, divisible=divisible, rule=step.rule),
        ),
        definitions="".join(structures),
        scratch_bytes=aligned(4 * len(layer.bias) + 2 * 3**5) if by_fives else _patch_bytes(step),
        rows_at_once=int(slides and len(parts) == 1),
        packing=packing,
    )


def packed_tables(layer: Weighted, name: str, packing: str) -> list[Table]:
    """The tables of the weights: what `pack` gives, of which `unpack` gave the weights again."""
    inputs = layer.weights.size // len(layer.bias)
    weights = channel_weights(layer).astype(np.int8)
    codes = pack(weights, packing)
    if not np.array_equal(unpack(codes, packing, inputs), weights):
        raise AssertionError(f"{layer.name}: unpacked, its weights are not what was packed")
    made = []
    for part, run in _parts(layer, packing):
        values = codes[run.start : run.stop]
        rows = f", output channels {run.start} to {run.stop - 1}" if part else ""
        shape = "".join(f"[{size}]" for size in values.shape)
        comment = f"{shape}, {inputs} weights in a row, {PACKINGS[packing].text}{rows}"
        made.append(Table(f"{name}_weights{part}", "uint8_t", values, comment))
    return made


def _parts(layer: Weighted, packing: str) -> list[tuple[str, range]]:
    """How the names of a table and its structure end, and their output channels: as many as a table may hold."""
    channels = len(layer.bias)
    most = max(1, tables.LARGEST_TABLE // (packed_bytes(layer, packing) // channels))
    runs = [range(first, min(first + most, channels)) for first in range(0, channels, most)]
    return [("" if len(runs) == 1 else f"_{index}", run) for index, run in enumerate(runs)]


def _adds_five_at_once(layer: Weighted, packing: str) -> bool:
    """Whether the sums of five inputs are made for all outputs at once; each output takes scratch memory."""
    return packing == "trits" and isinstance(layer, FullyConnected) and len(layer.bias) in _OUTPUTS_OF_FIVES


def _sum_of(step: Step, packing: str) -> str:
    """The C function that takes the digits out, and adds."""
    return f"le_{'largest' if at_once(step) > 1 else 'sum'}_{_DIGITS[packing][0]}"


def at_once(step: Step) -> int:
    """2 where the pooling window is made of 2 x 2 positions, else 1: their sums share the taking out of the digits."""
    if not isinstance(step.layer, (Conv2d, DepthwiseConv2d)):
        return 1
    return 1 if any(size % 2 for size in windows_of(step.layer, step.pool).pool) else 2


def _patch_bytes(step: Step) -> int:
    """Scratch memory of the patch, and of one channel of it that a depthwise convolution lays side by side."""
    layer = step.layer
    gathered = math.prod(windows_of(layer, step.pool).patch) if isinstance(layer, DepthwiseConv2d) else 0
    return gathered + plain.patch_bytes(step)


def _structure_head(step: Step, packing: str, run: range) -> str:
    layer = step.layer
    assert isinstance(layer, WEIGHTED)
    row_bytes = packed_bytes(layer, packing) // len(layer.bias)
    if isinstance(layer, FullyConnected):
        return f"{math.prod(layer.weights.shape[1:])}, {len(run)}, {row_bytes}, "
    return f"{plain.windows_text(step)},\n    {len(run)}, {row_bytes}, {at_once(step)}, "
