"""Kernels for x86-64 hosts, AVX2 or SSE2: tables for firmware/kernels/x86, described in le_x86.h."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from lenet_edge.formats.c_source.families.plain import windows_text
from lenet_edge.formats.c_source.families.shared import (
    Function,
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
from lenet_edge.formats.c_source.tables import Table, double_rounding_of
from lenet_edge.quantized.model import Conv2d, DepthwiseConv2d, FullyConnected, Weighted, channel_weights

__all__ = ["fast_fir", "kernels", "one_pairs", "one_quads", "quads", "tap_quads", "tile_pairs"]

IntArray = npt.NDArray[np.int64]

_HEADERS = ("le_x86.h", "le_registers_x86.h")

_function = partial(function_of, "x86", "x86")
_MATRIX = _function("matrix", "fully_connected", "matrix", *_HEADERS, "le_fully_connected_x86.c")
_ROWS = _function("rows", "conv2d_rows", "rows", *_HEADERS, "le_conv2d_rows_x86.c")
_ONE = _function("one channel", "conv2d_one", "one", *_HEADERS, "x86/le_one_avx512.h", "le_conv2d_one_x86.c")
_TILES = _function("tiles", "conv2d_tiles", "tiles", *_HEADERS, "x86/le_tiles_avx512.h", "le_conv2d_tiles_x86.c")

_DEPTHWISE = _function("depthwise", "depthwise", "depthwise", *_HEADERS, "le_depthwise_x86.c")

_GROUP = 8  # LE_X86_GROUP
_DEPTHWISE_CHANNELS = 16  # LE_X86_DEPTHWISE_CHANNELS
_WIDE_GROUP = 16  # TILE_CHANNELS
_LARGEST = 0xFFFF  # what the C structures hold
_ONE_CHANNELS = 6  # LE_X86_ONE_CHANNELS
_MOST_SCRATCH = 1 << 18  # bytes: beyond a second-level cache the planes cost more than they save


@dataclass(frozen=True)
class _Requantization:
    """What becomes of a layer's sums.

    Attributes:
        bias, multiplier: per channel, as le_x86.h has them for signed inputs.
        shift: to the right, per channel; None on the tie-free grid.
        zero_point: what is added to the results.
    """

    bias: IntArray
    multiplier: IntArray
    shift: IntArray | None
    zero_point: int


def kernels(step: Step, name: str, *, divisible: bool) -> Sequence[Kernel] | str:
    """The fast kernels of a step with weights, or why there is none; see `families`."""
    layer = step.layer
    assert isinstance(layer, (Conv2d, DepthwiseConv2d, FullyConnected))
    by = _requantization_of(layer, divisible=divisible)
    if isinstance(by, str):
        return by
    if isinstance(layer, DepthwiseConv2d):
        depthwise = _depthwise(step, layer, name, by)
        return depthwise if isinstance(depthwise, str) else [depthwise]
    if isinstance(layer, FullyConnected):
        return [_fully_connected(step, layer, name, by)]
    found = []
    if _is_fir(step, layer):
        fir = (_one if layer.input.shape[2] == 1 else _tiles)(step, layer, name, by)
        found += [fir] if fir.scratch_bytes <= _MOST_SCRATCH else []
    rows = _rows(step, layer, name, by)
    return found or rows if isinstance(rows, str) else [*found, rows]


def _requantization_of(layer: Weighted, *, divisible: bool) -> _Requantization | str:
    if divisible:
        return _Requantization(bias_of(layer), multiplier_of(layer), None, 0)
    double = double_rounding_of(layer)
    if (double.shift > 0).any():
        return "a channel's scale is 1 or more"
    if 255 * int(np.abs(channel_weights(layer).astype(np.int64)).sum(axis=1).max()) >= 2**31:
        return "its sums with unsigned inputs do not fit an int32"
    return _Requantization(double.bias, double.multiplier, -double.shift, layer.output.zero_point)


def _is_fir(step: Step, layer: Conv2d) -> bool:
    """Whether the kernels with the fast FIR algorithm have the geometry."""
    pooled = step.pool is not None and (step.pool.window, step.pool.stride) == ((2, 2), (2, 2))
    return pooled and layer.stride == (1, 1) and layer.weights.shape[1:3] in ((3, 3), (5, 5))


def _fully_connected(step: Step, layer: FullyConnected, name: str, by: _Requantization) -> Kernel:
    rows = layer.weights[:, np.newaxis]
    tables = (_quads_table(rows, name, by), *_unsigned_tables(layer, name, by))
    structure = Structure(name, _matrix_text(step, rows, name, by))
    return _kernel(_MATRIX, step, structure, tables, aligned(rows.shape[2]))


def _kernel(function: Function, step: Step, structure: Structure, tables: Sequence[Table], scratch: int) -> Kernel:
    """A kernel whose function clamps too."""
    return fast_kernel(function, step, [structure], tables, scratch, clamps=True)


def _image(step: Step, layer: Conv2d | DepthwiseConv2d) -> tuple[int, int] | str:
    """Lines of the image with its padding, and their bytes; or why they are too many."""
    windows = windows_of(layer, step.pool)
    lines, columns = (
        (size - 1) * pace + patch
        for size, pace, patch in zip(step.output.shape[:2], windows.step, windows.patch, strict=True)
    )
    if lines > _LARGEST:
        return f"it has more than {_LARGEST} rows with their padding"
    return lines, columns * layer.input.shape[2]


def _rows(step: Step, layer: Conv2d, name: str, by: _Requantization) -> Kernel | str:
    rows = layer.weights.reshape(*layer.weights.shape[:2], -1)
    if rows.shape[2] > _LARGEST:
        return f"a row of its window has more than {_LARGEST} inputs"
    image = _image(step, layer)
    if isinstance(image, str):
        return image
    lines, line = image
    values = f"\n    {windows_text(step)},\n    {{{_matrix_text(step, rows, name, by)}}},\n    {lines}, {line}\n"
    tables = (_quads_table(rows, name, by), *_unsigned_tables(layer, name, by))
    return _kernel(_ROWS, step, Structure(name, values), tables, aligned(lines * line + 3))


def _depthwise(step: Step, layer: DepthwiseConv2d, name: str, by: _Requantization) -> Kernel | str:
    image = _image(step, layer)
    if isinstance(image, str):
        return image
    lines, line = image
    weights = tap_quads(layer.weights, halved=by.shift is None)
    quads = weights.shape[1]
    values = f"\n    {windows_text(step)},\n    {lines}, {quads}, {line}, {name}_weights, {_to(step, name, by)}\n"
    comment = f"{_halved(by)}{_layout(weights)} as le_x86.h describes it"
    tables = (
        Table(f"{name}_weights", "int8_t", weights, comment),
        *_unsigned_tables(layer, name, by, _DEPTHWISE_CHANNELS),
    )
    scratch = aligned(16 * quads + lines * line + _DEPTHWISE_CHANNELS - 1)
    return _kernel(_DEPTHWISE, step, Structure(name, values), tables, scratch)


def _one(step: Step, layer: Conv2d, name: str, by: _Requantization) -> Kernel:
    height, width, _ = step.output.shape
    even = (layer.weights.shape[1] + 1) // 2
    pitch = -(-2 * (width + 2) // 32) * 32
    rows = height + even - 1
    plane, lines = rows * pitch, 2 * rows + 1
    weights, quads = one_pairs(layer.weights[..., 0]), one_quads(layer.weights[..., 0])
    to = f"{name}_weights, {name}_quads, {_to(step, name, by)}"
    values = f"\n    {windows_text(step)},\n    {pitch}, {lines}, {plane}, {to}\n"
    tables = (
        Table(f"{name}_weights", "int16_t", weights, f"{_layout(weights)} as le_conv2d_one_x86.c lists them"),
        Table(f"{name}_quads", "int8_t", quads, f"{_layout(quads)}, the same weights as le_one_avx512.h takes them"),
        *_requantization_tables(by, by.bias, name, _ONE_CHANNELS),
    )
    scratch = max(9 * plane + (lines + 1) * pitch, 256 * (lines + 1))
    return _kernel(_ONE, step, Structure(name, values), tables, scratch)


def _tiles(step: Step, layer: Conv2d, name: str, by: _Requantization) -> Kernel:
    height, width, _ = step.output.shape
    even = (layer.weights.shape[1] + 1) // 2
    pairs = -(-layer.input.shape[2] // 2)
    rows, columns = height + even - 1, width + even - 1
    row = -(-4 * pairs * (columns + 1) // 32) * 32
    weights = tile_pairs(layer.weights)
    kernel_rows = layer.weights.reshape(*layer.weights.shape[:2], -1)
    whole = quads(kernel_rows, halved=False, group=_WIDE_GROUP)
    sizes = f"{pairs}, {rows}, {columns}, {row}, {weights.shape[1] * 2 * _GROUP}"
    values = f"\n    {windows_text(step)},\n    {sizes}, {name}_weights, {name}_quads, {_to(step, name, by)}\n"
    tables = (
        Table(f"{name}_weights", "int16_t", weights, f"{_layout(weights)}, parts as le_x86.h describes them"),
        Table(f"{name}_quads", "int8_t", whole, f"{_layout(whole)}, the same weights as le_tiles_avx512.h takes them"),
        *_requantization_tables(by, by.bias, name),
    )
    scratch = aligned((13 * rows + 1) * row + 4 * rows * columns * layer.input.shape[2] + 8)
    return _kernel(_TILES, step, Structure(name, values), tables, scratch)


# --- tables ---------------------------------------------------------------------------------------


def quads(rows: npt.NDArray[np.integer], *, halved: bool = True, group: int = _GROUP) -> IntArray:
    """Weights ``[channels, rows, inputs]``, or the halves of even ones -> ``[groups, rows, quads, group, 4]``."""
    filled = padded(padded(rows.astype(np.int64) // (2 if halved else 1), 4, axis=2), group)
    shape = (-1, group, rows.shape[1], filled.shape[2] // 4, 4)
    return filled.reshape(shape).transpose(0, 2, 3, 1, 4)


def tap_quads(weights: npt.NDArray[np.integer], *, halved: bool = True) -> IntArray:
    """Weights ``[height, width, channels]``, or the halves of even ones -> ``[groups, quads of taps, 16, 4]``."""
    taps = weights.reshape(-1, weights.shape[2]).astype(np.int64) // (2 if halved else 1)
    filled = padded(padded(taps, 4), _DEPTHWISE_CHANNELS, axis=1)
    return filled.reshape(len(filled) // 4, 4, -1, _DEPTHWISE_CHANNELS).transpose(2, 0, 3, 1)


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


def one_quads(weights: npt.NDArray[np.integer]) -> IntArray:
    """Weights ``[channels, k, k]``, k 3 or 5 -> ``[groups, quads, 6, 4]``, as le_x86.h lists them for AVX-512."""
    filled = padded(weights.astype(np.int64), _ONE_CHANNELS)
    rows = padded(filled[:, :, :4], 4, axis=2)
    if filled.shape[2] > 4:
        fifth = filled[:, np.newaxis, :4, 4]
        last = np.zeros_like(fifth)
        last[..., 3] = filled[:, 4:, 4]
        rows = np.concatenate([rows, fifth, last], axis=1)
    return rows.reshape(-1, _ONE_CHANNELS, *rows.shape[1:]).transpose(0, 2, 1, 3)


def tile_pairs(weights: npt.NDArray[np.integer]) -> IntArray:
    """Weights ``[channels, k, k, inputs]`` -> ``[groups, taps of all parts x pairs of inputs, 8, 2]``."""
    filled = padded(padded(weights.astype(np.int64), 2, axis=3), _GROUP)
    parts = [part for columns in fast_fir(filled, 2) for part in fast_fir(columns, 1)]
    taps = [part.reshape(-1, _GROUP, part.shape[1] * part.shape[2] * part.shape[3] // 2, 2) for part in parts]
    return np.concatenate(taps, axis=2).transpose(0, 2, 1, 3)


def _quads_table(rows: npt.NDArray[np.integer], name: str, by: _Requantization) -> Table:
    values = quads(rows, halved=by.shift is None)
    return Table(f"{name}_weights", "int8_t", values, f"{_halved(by)}{_layout(values)} as le_x86.h describes it")


def _halved(by: _Requantization) -> str:
    return "halved, " if by.shift is None else ""


def _layout(array: IntArray) -> str:
    return "".join(f"[{size}]" for size in array.shape)


def _matrix_text(step: Step, rows: npt.NDArray[np.integer], name: str, by: _Requantization) -> str:
    channels, _, inputs = rows.shape
    return f"{inputs}, {channels}, {-(-inputs // 4)}, {name}_weights, {_to(step, name, by)}"


def _to(step: Step, name: str, by: _Requantization) -> str:
    """A le_x86_requantization."""
    shift = "NULL" if by.shift is None else f"{name}_shift"
    return f"{{{name}_bias, {name}_multiplier, {shift}, {by.zero_point}, {step.clamp[0]}, {step.clamp[1]}}}"


def _unsigned_tables(layer: Weighted, name: str, by: _Requantization, group: int = _GROUP) -> tuple[Table, ...]:
    """For kernels that take x + 128."""
    sums = channel_weights(layer).astype(np.int64).sum(axis=1)
    return _requantization_tables(by, by.bias - 128 * sums, name, group)


def _requantization_tables(by: _Requantization, bias: IntArray, name: str, group: int = _GROUP) -> tuple[Table, ...]:
    """The bias is taken modulo 2^32, as the sums are: TFLM's accumulator, or the n of le_kernels.h, fits an int32."""
    wrapped = (bias + 2**31) % 2**32 - 2**31
    how = "2^32 / 2q, rounded down" if by.shift is None else "Q0.31"
    tables = (
        Table(f"{name}_bias", "int32_t", padded(wrapped, group), "what is added to the sums: see le_x86.h"),
        Table(f"{name}_multiplier", "int32_t", padded(by.multiplier, group), how),
    )
    if by.shift is None:
        return tables
    return (*tables, Table(f"{name}_shift", "int32_t", padded(by.shift, group), "to the right"))
