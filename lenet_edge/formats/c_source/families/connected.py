"""The portable kernel of a convolution of which channels see only some others: plain/le_conv2d_connected.c."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lenet_edge.formats.c_source import tables
from lenet_edge.formats.c_source.families import plain
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.steps import Step, gaps_problem
from lenet_edge.formats.c_source.tables import Table
from lenet_edge.quantized.model import Conv2d

__all__ = ["connections_of", "kernel"]

_MOST_CHANNELS = 255  # of the input: their numbers and how many there are take a byte each
# About what a Cortex-M4 takes, in instructions: a product of le_conv2d.c, one of le_conv2d_connected.c, a row of taps.
_DENSE, _CONNECTED, _ROW = 5, 6, 8


def connections_of(layer: Conv2d) -> npt.NDArray[np.bool_]:
    """Which channels of the output see which of the input, ``[channels, inputs]``: those with a weight other than 0."""
    connected: npt.NDArray[np.bool_] = (layer.weights != 0).any(axis=(1, 2))
    return connected


def kernel(step: Step, name: str, *, divisible: bool) -> Kernel | None:
    """The kernel of a step, `divisible` as of `choice`; None where the dense one does as well."""
    layer = step.layer
    if not isinstance(layer, Conv2d) or gaps_problem(layer) or layer.input.shape[2] > _MOST_CHANNELS:
        return None
    connected = connections_of(layer)
    weights = layer.weights.transpose(0, 3, 1, 2)[connected]
    if weights.size > tables.LARGEST_TABLE or not _pays(layer, int(connected.sum())):
        return None
    numbers = [np.flatnonzero(seen) for seen in connected]
    table = np.concatenate([[len(seen), *seen] for seen in numbers])
    requantization = plain.requantization_text(step, name, 0, divisible=divisible)
    head = f"{plain.windows_text(step)},\n    {len(layer.bias)}, {name}_connections, {name}_weights"
    return Kernel(
        name="connected",
        sources=(
            *("plain/le_conv2d_connected.c", "plain/le_connected.h", "plain/le_windows.c", "plain/le_windows.h"),
            *plain.requantizer(step, divisible=divisible),
        ),
        headers=("le_connected.h",),
        calls=lambda sources, target, scratch: (
            f"le_conv2d_connected_s8(&{name}, {sources[0]}, {scratch}, {target});",
        ),
        tables=(
            Table(
                f"{name}_connections", "uint8_t", table, "for each output channel how many inputs it sees, and which"
            ),
            Table(f"{name}_weights", "int8_t", weights, f"{list(weights.shape)}, a kernel for each connection"),
            *tables.requantization_tables(layer, name, divisible=divisible, rule=step.rule),
        ),
        definitions=f"static LE_TABLE le_conv2d_connected {name} = {{\n    {head},\n    {requantization}\n}};\n",
        scratch_bytes=plain.patch_bytes(step),
    )


def _pays(layer: Conv2d, connections: int) -> bool:
    """Whether it takes fewer instructions than the dense kernel, and fewer bytes, by what a row of taps takes."""
    channels, rows, taps, inputs = layer.weights.shape
    dense = channels * rows * (taps * inputs * _DENSE + _ROW)
    needed = connections * rows * (taps * _CONNECTED + _ROW)
    size = connections * (rows * taps + 1) + channels
    return connections > 0 and needed < dense and size < channels * rows * taps * inputs
