"""Kernels for x86-64 hosts, AVX2 or SSE2: tables for firmware/kernels/x86, described in le_x86.h."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from lenet_edge.formats.c_source.families.plain import windows_text
from lenet_edge.formats.c_source.families.shared import (
    OFF_THE_GRID,
    Structure,
    aligned,
    bias_of,
    fast_kernel,
    function_of,
    multiplier_of,
    padded,
)
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.steps import Step, windows_of
from lenet_edge.formats.c_source.tables import Table
from lenet_edge.quantized.model import Conv2d, DepthwiseConv2d, FullyConnected

__all__ = ["fast_fir", "kernels", "one_pairs", "quads", "tile_pairs"]

IntArray = npt.NDArray[np.int64]

_HEADER = "le_x86.h"

_function = partial(function_of, "x86", "x86")
_MATRIX = _function("matrix", "fully_connected", "matrix", _HEADER, "le_fully_connected_x86.c")
_ROWS = _function("rows", "conv2d_rows", "rows", _HEADER, "le_conv2d_rows_x86.c")
_ONE = _function("one channel", "conv2d_one", "one", _HEADER, "le_conv2d_one_x86.c")
_TILES = _function("tiles", "conv2d_tiles", "tiles", _HEADER, "le_conv2d_tiles_x86.c")

_GROUP = 8  # LE_X86_GROUP
_LARGEST = 0xFFFF  # what the C structures hold
_ONE_CHANNELS = 6  # LE_X86_ONE_CHANNELS
_MOST_SCRATCH = 1 << 18  # bytes: beyond a second-level cache the planes cost more than they save


def kernels(step: Step, name: str, *, divisible: bool) -> Sequence[Kernel] | str:
    """The fast kernels of a step with weights, or why there is none; see `families`."""
    layer = step.layer
    if not divisible:
        return OFF_THE_GRID
    if isinstance(layer, DepthwiseConv2d):
        return "it is depthwise"
    assert isinstance(layer, (Conv2d, FullyConnected))
    if isinstance(layer, FullyConnected):
        return [_fully_connected(step, layer, name)]
    found = []
    if _is_fir(step, layer):
        fir = (_one if layer.input.shape[2] == 1 else _tiles)(step, layer, name)
        found += [fir] if fir.scratch_bytes <= _MOST_SCRATCH else []
    rows = _rows(step, layer, name)
    return found or rows if isinstance(rows, str) else [*found, rows]


def _is_fir(step: Step, layer: Conv2d) -> bool:
    """Whether the kernels with the fast FIR algorithm have the geometry."""
    pooled = step.pool is not None and (step.pool.window, step.pool.stride) == ((2, 2), (2, 2))
    return pooled and layer.stride == (1, 1) and layer.weights.shape[1:3] in ((3, 3), (5, 5))


def _fully_connected(step: Step, layer: FullyConnected, name: str) -> Kernel:
    rows = layer.weights[:, np.newaxis]
    tables = (_quads_table(rows, name), *_unsigned_tables(layer, name))
    return fast_kernel(_MATRIX, step, [Structure(name, _matrix_text(rows, name))], tables, aligned(rows.shape[2]))


def _rows(step: Step, layer: Conv2d, name: str) -> Kernel | str:
    rows = layer.weights.reshape(*layer.weights.shape[:2], -1)
    if rows.shape[2] > _LARGEST:
        return f"a row of its window has more than {_LARGEST} inputs"
    windows = windows_of(layer, step.pool)
    lines, columns = (
        (size - 1) * pace + patch
        for size, pace, patch in zip(step.output.shape[:2], windows.step, windows.patch, strict=True)
    )
    if lines > _LARGEST:
        return f"it has more than {_LARGEST} rows with their padding"
    line = columns * layer.input.shape[2]
    values = f"\n    {windows_text(step)},\n    {{{_matrix_text(rows, name)}}},\n    {lines}, {line}\n"
    tables = (_quads_table(rows, name), *_unsigned_tables(layer, name))
    return fast_kernel(_ROWS, step, [Structure(name, values)], tables, aligned(lines * line + 3))


def _one(step: Step, layer: Conv2d, name: str) -> Kernel:
    height, width, _ = step.output.shape
    even = (layer.weights.shape[1] + 1) // 2
    pitch = -(-2 * (width + 2) // 32) * 32
    rows = height + even - 1
    plane, lines = rows * pitch, 2 * rows + 1
    weights = one_pairs(layer.weights[..., 0])
    to = f"{name}_weights, {{{name}_bias, {name}_multiplier}}"
    values = f"\n    {windows_text(step)},\n    {pitch}, {lines}, {plane}, {to}\n"
    tables = (
        Table(f"{name}_weights", "int16_t", weights, f"{_layout(weights)} as le_conv2d_one_x86.c lists them"),
        *_requantization_tables(layer, bias_of(layer), name, _ONE_CHANNELS),
    )
    return fast_kernel(_ONE, step, [Structure(name, values)], tables, 9 * plane + (lines + 1) * pitch)


def _tiles(step: Step, layer: Conv2d, name: str) -> Kernel:
    height, width, _ = step.output.shape
    even = (layer.weights.shape[1] + 1) // 2
    pairs = -(-layer.input.shape[2] // 2)
    rows, columns = height + even - 1, width + even - 1
    row = -(-4 * pairs * (columns + 1) // 32) * 32
    weights = tile_pairs(layer.weights)
    sizes = f"{pairs}, {rows}, {columns}, {row}, {weights.shape[1] * 2 * _GROUP}"
    values = f"\n    {windows_text(step)},\n    {sizes}, {name}_weights, {{{name}_bias, {name}_multiplier}}\n"
    tables = (
        Table(f"{name}_weights", "int16_t", weights, f"{_layout(weights)}, parts as le_x86.h describes them"),
        *_requantization_tables(layer, bias_of(layer), name),
    )
    scratch = aligned((13 * rows + 1) * row + 4 * rows * columns * layer.input.shape[2] + 8)
    return fast_kernel(_TILES, step, [Structure(name, values)], tables, scratch)


# --- tables ---------------------------------------------------------------------------------------


def quads(rows: npt.NDArray[np.integer]) -> IntArray:
    """Even weights ``[channels, rows, inputs]`` -> their halves ``[groups, rows, quads, 8, 4]``."""
    halves = padded(padded(rows.astype(np.int64) // 2, 4, axis=2), _GROUP)
    shape = (-1, _GROUP, rows.shape[1], halves.shape[2] // 4, 4)
    return halves.reshape(shape).transpose(0, 2, 3, 1, 4)


def fast_fir(weights: IntArray, axis: int) -> tuple[IntArray, IntArray, IntArray]:
    """The taps of the fast FIR algorithm along an axis of odd length: h0 + h1, h0, h1 of le_conv2d_one_x86.c."""
    moved = np.moveaxis(weights, axis, 0)
    even, odd = moved[::2], moved[1::2]
    both = even.copy()
    both[: len(odd)] += odd
    found = [np.moveaxis(part, 0, axis) for part in (both, even, odd)]
    return found[0], found[1], found[2]


def one_pairs(weights: npt.NDArray[np.integer]) -> IntArray:
    """Weights ``[channels, k, k]`` -> ``[groups, pairs of taps, 6, 2]``, as le_conv2d_one_x86.c reads them."""
    filled = padded(weights.astype(np.int64), _ONE_CHANNELS)
    pairs = []
    for columns in fast_fir(filled, 2):
        for part in fast_fir(columns, 1):
            whole = part.shape[1] // 2 * 2
            pairs += [part[:, row : row + 2, column] for row in range(0, whole, 2) for column in range(part.shape[2])]
            if whole < part.shape[1]:  # the last row: next to each other
                last = padded(part[:, whole], 2, axis=1)
                pairs += [last[:, column : column + 2] for column in range(0, last.shape[1], 2)]
    return np.stack(pairs, axis=1).reshape(-1, _ONE_CHANNELS, len(pairs), 2).transpose(0, 2, 1, 3)


def tile_pairs(weights: npt.NDArray[np.integer]) -> IntArray:
    """Weights ``[channels, k, k, inputs]`` -> ``[groups, taps of all parts x pairs of inputs, 8, 2]``."""
    filled = padded(padded(weights.astype(np.int64), 2, axis=3), _GROUP)
    parts = [part for columns in fast_fir(filled, 2) for part in fast_fir(columns, 1)]
    taps = [part.reshape(-1, _GROUP, part.shape[1] * part.shape[2] * part.shape[3] // 2, 2) for part in parts]
    return np.concatenate(taps, axis=2).transpose(0, 2, 1, 3)


def _quads_table(rows: npt.NDArray[np.integer], name: str) -> Table:
    values = quads(rows)
    return Table(f"{name}_weights", "int8_t", values, f"halved, {_layout(values)} as le_x86.h describes it")


def _layout(array: IntArray) -> str:
    return "".join(f"[{size}]" for size in array.shape)


def _matrix_text(rows: npt.NDArray[np.integer], name: str) -> str:
    channels, _, inputs = rows.shape
    return f"{inputs}, {channels}, {-(-inputs // 4)}, {name}_weights, {{{name}_bias, {name}_multiplier}}"


def _unsigned_tables(layer: Conv2d | FullyConnected, name: str) -> tuple[Table, ...]:
    """For kernels that take x + 128."""
    weights = layer.weights.reshape(len(layer.bias), -1).astype(np.int64)
    return _requantization_tables(layer, bias_of(layer) - 128 * weights.sum(axis=1), name)


def _requantization_tables(
    layer: Conv2d | FullyConnected, bias: IntArray, name: str, group: int = _GROUP
) -> tuple[Table, ...]:
    multiplier = padded(multiplier_of(layer), group)
    return (
        Table(f"{name}_bias", "int32_t", padded(bias, group), "what is added to the sums: see le_x86.h"),
        Table(f"{name}_multiplier", "int32_t", multiplier, "2^32 / 2q, rounded down"),
    )
