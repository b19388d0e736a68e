"""Kernels for AVRs with a multiplier: tables for firmware/kernels/avr, described there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lenet_edge.formats.c_source.families.avr_double import double_bytes, left_shifts
from lenet_edge.formats.c_source.families.connected import connections_of
from lenet_edge.formats.c_source.families.plain import patch_bytes, windows_text
from lenet_edge.formats.c_source.families.shared import (
    Function,
    Structure,
    aligned,
    bias_of,
    fast_kernel,
    inputs_of,
)
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.steps import Step
from lenet_edge.formats.c_source.tables import LARGEST_TABLE, Table, double_rounding_of
from lenet_edge.quantized.model import WEIGHTED, Conv2d, DepthwiseConv2d, FullyConnected, Weighted, channel_weights
from lenet_edge.quantized.tie_free import channel_q

__all__ = [
    "DOUBLE_FILES",
    "OUTPUTS",
    "TILES_FILES",
    "VECTOR_FILES",
    "behind",
    "function",
    "is_tiled",
    "kernels",
    "matrix_bytes",
    "output_bytes",
    "scales",
    "sums_problem",
    "tile_bytes",
    "tiles",
]

IntArray = npt.NDArray[np.int64]

_HEADER = "le_avr.h"
VECTOR_FILES = (_HEADER, "le_avr_macros.h", "le_matrix_macros_avr.h", "le_vector_avr.h")
_MATRIX_FILES = (*VECTOR_FILES, "le_fully_connected_avr.c", "le_matrix_avr.S")
TILES_FILES = (_HEADER, "le_avr_macros.h", "le_tile_macros_avr.h", "le_tiles_avr.h")


def function(label: str, operator: str, structure: str, *files: str, compute: str = "") -> Function:
    """The function le_OPERATOR_avr_s8, which takes (structure, input, scratch, output), `compute` behind the first."""
    call = f"le_{operator}_avr_s8(&{{structure}}, {compute}{{source}}, {{scratch}}, {{target}});"
    return Function(f"avr {label}", call, f"le_{structure}_avr", "avr", tuple(dict.fromkeys(files)), (_HEADER,))


@dataclass(frozen=True)
class _Rounding:
    """The functions with one of the two requantisations; `output_bytes`: what each output has behind its weights."""

    output_bytes: int
    matrix: Function
    patches: Function
    depthwise: Mapping[str, Function]
    tiles: Mapping[int, Function]
    connected: Mapping[int, Function]


_USUAL, _POOLED, _POOLED_3 = "depthwise", "depthwise, pooled", "depthwise, 3 x 3, pooled 2 x 2"
_DEPTHWISE = {  # the name of its function, and its own files
    _USUAL: ("depthwise",),
    _POOLED: ("depthwise_pooled",),
    _POOLED_3: ("depthwise_3_pooled", "le_depthwise_3_macros_avr.h"),
}


def _rounding(output_bytes: int, suffix: str, *files: str) -> _Rounding:
    """Of the functions whose names have the suffix; `files`: what their assembly calls."""
    depthwise = ("le_avr_macros.h", "le_depthwise_macros_avr.h", "le_depthwise_conv2d_avr.c", "plain/le_windows.c")
    tile = {taps: f"le_tile_{taps}{suffix}_avr" for taps in (1, 3, 5)}
    connected = {taps: f"le_tile_{taps}_connected{suffix}_avr" for taps in (3, 5)}
    vector = (*VECTOR_FILES, f"le_matrix{suffix}_avr.S", *files)
    matrix = (*vector, f"le_fully_connected{suffix}_avr.c")
    patches = (*vector, "le_patches_avr.h", f"le_conv2d_patches{suffix}_avr.c")
    return _Rounding(
        output_bytes,
        function("matrix", f"fully_connected{suffix}", "matrix", *matrix),
        function("matrix, by patches", f"conv2d_patches{suffix}", "patches", *patches),
        {
            label: function(
                label,
                "depthwise_conv2d",
                "depthwise",
                *(_HEADER, *depthwise, *own, "plain/le_windows.h", f"le_{name}{suffix}_avr.S", *files),
                compute=f"le_{name}{suffix}_avr_s8, ",
            )
            for label, (name, *own) in _DEPTHWISE.items()
        },
        {
            taps: function(
                f"tiles, {taps} x {taps}",
                "conv2d_tiles",
                "tiles",
                *(*TILES_FILES, "le_conv2d_tiles_avr.c", f"{name}.S", *files),
                compute=f"{name}_s8, ",
            )
            for taps, name in tile.items()
        },
        {
            taps: function(
                f"tiles, {taps} x {taps}, connected",
                "conv2d_connected",
                "tiles",
                *(*TILES_FILES, "le_conv2d_connected_avr.c", f"{name}.S", *files),
                compute=f"{name}_s8, ",
            )
            for taps, name in connected.items()
        },
    )


_TIE_FREE = _rounding(7, "")
DOUBLE_FILES = ("le_avr_macros.h", "le_requantize_double_avr.S")
_DOUBLE = _rounding(10, "_double", *DOUBLE_FILES)

OUTPUTS = 6  # LE_AVR_OUTPUTS
_OFFSET = 128  # of weights and inputs, so that they are uint8
_INT24 = range(-(2**23), 2**23)
_TILED_KERNELS = ((1, 1), (3, 3), (5, 5))
_START_BYTES = 12  # LE_AVR_START
_MOST_TILE_INPUTS = 255
_TOO_LARGE = "its accumulators do not fit an int24"
_LARGEST_SCRATCH = 1024  # bytes, of tiles, where twice the patch is not more


def kernels(step: Step, name: str, *, divisible: bool) -> Sequence[Kernel] | str:
    """The fast kernels of a step with weights, or why there is none; see `families`."""
    layer, rounding = step.layer, _TIE_FREE if divisible else _DOUBLE
    assert isinstance(layer, WEIGHTED)
    if problem := sums_problem(layer, divisible=divisible):
        return problem
    if isinstance(layer, DepthwiseConv2d):
        if problem := _depthwise_problem(step, layer, rounding):
            return problem
        return [_depthwise(step, layer, name, rounding, label) for label in _depthwise_labels(step, layer)]
    found = []
    if isinstance(layer, Conv2d) and is_tiled(step, layer) and _fits_table(layer, 1, rounding):
        found.append(_tiles(step, layer, name, rounding))
        found += _connected(step, layer, name, rounding)
    if _fits_table(layer, OUTPUTS, rounding):
        by = rounding
        found.append(
            _patches(step, layer, name, by) if isinstance(layer, Conv2d) else _fully_connected(step, layer, name, by)
        )
    return found or "the weights of its outputs that are computed at once do not fit one table"


def sums_problem(layer: Weighted, *, divisible: bool) -> str:
    """Why the accumulators, with their biases, are too large; empty where they are not."""
    if not divisible:
        return _double_problem(layer)
    low, high = (bound + bias_of(layer) for bound in _bounds(layer, -128, 127))
    return _TOO_LARGE if min(low) < _INT24.start or max(high) >= _INT24.stop else ""


def _double_problem(layer: Weighted) -> str:
    """The same with TFLM's requantisation, which does not take an accumulator of -2^23 either."""
    by = double_rounding_of(layer)
    low, high = ((bound + by.bias) << left_shifts(by) for bound in _bounds(layer, -128, 127))
    return _TOO_LARGE if min(low) <= _INT24.start or max(high) >= _INT24.stop else ""


def _behind(layer: Weighted, weights: IntArray, rounding: _Rounding) -> IntArray:
    return behind(layer, weights, divisible=rounding is _TIE_FREE)


def behind(layer: Weighted, weights: IntArray, *, divisible: bool) -> IntArray:
    """The bytes of each output; `weights` ``[outputs, inputs]``, 0 where the products are signed."""
    if divisible:
        return output_bytes(bias_of(layer), weights, channel_q(layer))
    by = double_rounding_of(layer)
    return double_bytes(_folded(by.bias, weights), by, layer.output.zero_point)


def _depthwise_problem(step: Step, layer: DepthwiseConv2d, rounding: _Rounding) -> str:
    """Why it has no kernel, whose accumulators are not too large; empty where it has one."""
    if layer.weights.size + len(layer.bias) * rounding.output_bytes > LARGEST_TABLE:
        return "its weights do not fit one table"
    return _TOO_LARGE if step.pool is not None and not _fits_int24(_bounds(layer, -128, 127)) else ""


def _depthwise_labels(step: Step, layer: DepthwiseConv2d) -> list[str]:
    """Of the functions that compute it, the usually faster one first."""
    if step.pool is None:
        return [_USUAL]
    is_3 = (layer.weights.shape[:2], layer.stride, step.pool.window) == ((3, 3), (1, 1), (2, 2))
    return [_POOLED_3, _POOLED] if is_3 else [_POOLED]


def _depthwise(step: Step, layer: DepthwiseConv2d, name: str, rounding: _Rounding, label: str) -> Kernel:
    """Signed products, so nothing is subtracted from the bias."""
    weights = channel_weights(layer).astype(np.int64)
    content = np.concatenate([weights & 0xFF, _behind(layer, np.zeros_like(weights), rounding)], axis=1)
    table = Table(f"{name}_table", "uint8_t", content.ravel(), "as le_avr.h describes it for a depthwise convolution")
    structure = Structure(name, f"\n    {windows_text(step)},\n    {table.name}\n")
    return fast_kernel(rounding.depthwise[label], step, [structure], [table], patch_bytes(step), rows_at_once=1)


def _fits_table(layer: Conv2d | FullyConnected, outputs: int, rounding: _Rounding) -> bool:
    return outputs * (aligned(inputs_of(layer)) + rounding.output_bytes) <= LARGEST_TABLE


def is_tiled(step: Step, layer: Conv2d) -> bool:
    """Whether tiles of 2 x 2 positions compute it: 1 x 1, 3 x 3 or 5 x 5."""
    taps, channels = layer.weights.shape[1:3], layer.input.shape[2]
    if taps not in _TILED_KERNELS or layer.stride != (1, 1) or channels > _MOST_TILE_INPUTS:
        return False
    if not _fits_int24(_bounds(layer, 0, 255)):  # the accumulators that the maximum is taken of, without bias
        return False
    if _tiles_scratch(step, layer) > max(_LARGEST_SCRATCH, 2 * inputs_of(layer)):
        return False
    if step.pool is not None:
        return (step.pool.window, step.pool.stride) == ((2, 2), (2, 2))
    height, width = step.output.shape[:2]
    return 3 * height * width >= 2 * (height + height % 2) * (width + width % 2)  # few positions that do not exist


def _bounds(layer: Weighted, smallest: int, largest: int) -> tuple[IntArray, IntArray]:
    """Per channel the least and the greatest sum of products that inputs from `smallest` to `largest` reach."""
    weights = channel_weights(layer).astype(np.int64)
    ends = np.stack([smallest * weights, largest * weights])
    return ends.min(axis=0).sum(axis=1), ends.max(axis=0).sum(axis=1)


def _fits_int24(bounds: tuple[IntArray, IntArray]) -> bool:
    low, high = bounds
    return bool(low.min() >= _INT24.start and high.max() < _INT24.stop)


def _tiles(step: Step, layer: Conv2d, name: str, rounding: _Rounding) -> Kernel:
    weights = layer.weights.astype(np.int64)
    behind = _behind(layer, weights.reshape(len(weights), -1), rounding)
    rows = tile_bytes(weights, behind).reshape(len(weights), -1)
    return tiles(step, layer, name, rows, rounding.tiles[int(weights.shape[1])])


def tiles(step: Step, layer: Conv2d, name: str, content: IntArray, function: Function) -> Kernel:
    """The kernel of tiles whose table is `content`, ``[channels, bytes]``."""
    runs = _runs(len(content), 1, content.shape[1])
    tables = _tables(name, [content[run.start : run.stop].ravel() for run in runs], "tiles")
    values = [
        f"\n    {windows_text(step)},\n    {len(run)}, {table.name}\n" for run, table in zip(runs, tables, strict=True)
    ]
    rows, scratch = 1 if step.pool is not None else 2, _tiles_scratch(step, layer)
    return fast_kernel(function, step, _structures(name, runs, values), tables, scratch, rows_at_once=rows)


def _connected(step: Step, layer: Conv2d, name: str, rounding: _Rounding) -> list[Kernel]:
    """The tiles of a layer whose channels do not see all of the input's; none where they do, or none fit."""
    seen, taps = connections_of(layer), int(layer.weights.shape[1])
    scratch = _tiles_scratch(step, layer) + _START_BYTES * layer.input.shape[2]
    if seen.all() or taps not in rounding.connected or scratch > max(_LARGEST_SCRATCH, 2 * inputs_of(layer)):
        return []
    weights = layer.weights.astype(np.int64)
    content = connected_bytes(weights, seen, _behind(layer, weights.reshape(len(weights), -1), rounding))
    if len(content) > LARGEST_TABLE:
        return []
    table = Table(f"{name}_table", "uint8_t", content, "as le_avr.h describes it for tiles with connections")
    structure = Structure(name, f"\n    {windows_text(step)},\n    {len(weights)}, {table.name}\n")
    rows = 1 if step.pool is not None else 2
    return [fast_kernel(rounding.connected[taps], step, [structure], [table], scratch, rows_at_once=rows)]


def _fully_connected(step: Step, layer: FullyConnected, name: str, rounding: _Rounding) -> Kernel:
    runs, tables = _matrix_tables(layer, name, rounding)
    values = [f"{inputs_of(layer)}, {len(run)}, {table.name}" for run, table in zip(runs, tables, strict=True)]
    return fast_kernel(rounding.matrix, step, _structures(name, runs, values), tables, aligned(inputs_of(layer)))


def _patches(step: Step, layer: Conv2d, name: str, rounding: _Rounding) -> Kernel:
    runs, tables = _matrix_tables(layer, name, rounding)
    values = [
        f"\n    {windows_text(step)},\n    {{{inputs_of(layer)}, {len(run)}, {table.name}}}\n"
        for run, table in zip(runs, tables, strict=True)
    ]
    scratch = aligned(inputs_of(layer)) + (len(layer.bias) if step.pool is not None else 0)
    return fast_kernel(rounding.patches, step, _structures(name, runs, values), tables, scratch, rows_at_once=1)


def _structures(name: str, runs: list[range], values: list[str]) -> list[Structure]:
    return [
        Structure(name + part, text, run.start)
        for part, text, run in zip(_suffixes(len(runs)), values, runs, strict=True)
    ]


# --- sizes ----------------------------------------------------------------------------------------


def _tiles_scratch(step: Step, layer: Conv2d) -> int:
    """The patch, or the strip of one input channel, and without pooling the outputs of a tile."""
    rows, inputs = int(layer.weights.shape[1]) + 1, layer.input.shape[2]
    width = step.output.shape[1]
    tiles = width if step.pool is not None else -(-width // 2)
    columns = 2 * (tiles - 1) + rows if inputs == 1 else rows
    return columns * rows * inputs + (0 if step.pool is not None else 4 * len(layer.bias))


def _runs(outputs: int, at_once: int, bytes_of_output: int) -> list[range]:
    """The outputs in runs whose tables are not too large, of whole groups of `at_once`."""
    most = LARGEST_TABLE // (at_once * bytes_of_output) * at_once
    return [range(first, min(first + most, outputs)) for first in range(0, outputs, most)]


def _suffixes(count: int) -> list[str]:
    """Of the names of so many tables and structures."""
    return [""] if count == 1 else [f"_{index}" for index in range(count)]


# --- tables ---------------------------------------------------------------------------------------


def scales(q: IntArray) -> tuple[IntArray, IntArray]:
    """Per channel (multiplier, 1 or 0): floor(2^32 / 2q), or floor(2^24 / 2q) where 2q < 256; both fit a uint24."""
    is_small = 2 * q < 256
    return np.where(is_small, 2**24, 2**32) // (2 * q), 1 - is_small.astype(np.int64)


def output_bytes(bias: IntArray, weights: IntArray, q: IntArray) -> IntArray:
    """The 7 bytes of each output, int64 ``[outputs, 7]``: bias less 128 times the sum of weights, multiplier, scale.

    Args:
        bias: `bias_of` the layer.
        weights: ``[outputs, inputs]``.
        q: of each output.
    """
    multiplier, scale = scales(q)
    folded = _folded(bias, weights) & 0xFFFFFF
    columns = [part >> shift & 0xFF for part in (folded, multiplier) for shift in (0, 8, 16)]
    return np.stack([*columns, scale], axis=1)


def _folded(bias: IntArray, weights: IntArray) -> IntArray:
    """The bias for sums of (w + 128)(x + 128) - 128 (x + 128) = w x + 128 w."""
    folded: IntArray = bias - _OFFSET * weights.sum(axis=1)
    return folded


def tile_bytes(weights: IntArray, behind: IntArray) -> IntArray:
    """The table of le_tiles_avr for weights ``[channels, k, k, inputs]``, `behind` being `output_bytes`."""
    ordered = weights.transpose(0, 3, 2, 1).reshape(len(weights), -1) + _OFFSET
    return np.concatenate([ordered, behind], axis=1).ravel()


def connected_bytes(weights: IntArray, seen: npt.NDArray[np.bool_], behind: IntArray) -> IntArray:
    """The table of le_conv2d_connected_avr: `tile_bytes` without the inputs that a channel does not see.

    Args:
        weights: ``[channels, k, k, inputs]``.
        seen: ``[channels, inputs]``; a channel that sees none gets the first one, with its weights of 0.
        behind: `output_bytes`.
    """
    ordered, parts = weights.transpose(0, 3, 2, 1).reshape(*seen.shape, -1) + _OFFSET, []
    for own, sees, ends in zip(ordered, seen, behind, strict=True):
        inputs = np.flatnonzero(sees) if sees.any() else np.zeros(1, np.int64)
        left_out = np.diff(inputs, prepend=-1) - 1
        parts += [[len(inputs)], np.column_stack([left_out, own[inputs]]).ravel(), ends]
    return np.concatenate(parts)


def matrix_bytes(weights: IntArray, behind: IntArray) -> IntArray:
    """The table of le_matrix_avr for weights ``[outputs, inputs]``, `behind` being `output_bytes`."""
    outputs, inputs = weights.shape
    missing = -outputs % OUTPUTS
    padded = np.pad(weights + _OFFSET, ((0, missing), (0, -inputs % 4)))  # what it is multiplied with is 0, or unused
    groups = padded.reshape(-1, OUTPUTS, padded.shape[1]).transpose(0, 2, 1).reshape(len(padded) // OUTPUTS, -1)
    ends = np.pad(behind, ((0, missing), (0, 0))).reshape(len(groups), -1)
    return np.concatenate([groups, ends], axis=1).ravel()


def _matrix_tables(layer: Conv2d | FullyConnected, name: str, rounding: _Rounding) -> tuple[list[range], list[Table]]:
    weights = layer.weights.reshape(len(layer.bias), -1).astype(np.int64)
    behind = _behind(layer, weights, rounding)
    runs = _runs(len(weights), OUTPUTS, aligned(inputs_of(layer)) + rounding.output_bytes)
    contents = [matrix_bytes(weights[run.start : run.stop], behind[run.start : run.stop]) for run in runs]
    return runs, _tables(name, contents, "a matrix")


def _tables(name: str, contents: list[IntArray], kind: str) -> list[Table]:
    return [
        Table(f"{name}_table{part}", "uint8_t", content, f"as le_avr.h describes it for {kind}")
        for part, content in zip(_suffixes(len(contents)), contents, strict=True)
    ]
