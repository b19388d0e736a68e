"""Kernels for Cortex-M with MVE (Helium): tables for firmware/kernels/cortex_m_mve, described there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from lenet_edge.formats.c_source.families import mve_depthwise
from lenet_edge.formats.c_source.families.mve_few import MOST_INPUTS, few
from lenet_edge.formats.c_source.families.mve_pairs import pairs
from lenet_edge.formats.c_source.families.mve_shared import (
    HEADER,
    ROUNDING_FILE,
    function,
    in_pairs,
    requantization_of,
    rounded,
    rounding_problem,
    words_of,
)
from lenet_edge.formats.c_source.families.plain import windows_text
from lenet_edge.formats.c_source.families.shared import (
    PATCHES_HEADER,
    Structure,
    aligned,
    fast_kernel,
    inputs_of,
    padded,
)
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.steps import Step, windows_of
from lenet_edge.formats.c_source.tables import Table
from lenet_edge.quantized.model import WEIGHTED, Conv2d, DepthwiseConv2d, FullyConnected

__all__ = ["columns_offsets", "columns_words", "kernels", "matrix_words", "one_words"]

IntArray = npt.NDArray[np.int64]

_MATRIX_FILES = (HEADER, ROUNDING_FILE, "cortex_m_mve/le_matrix_mve.h")
_MATRIX = replace(
    function("matrix", "fully_connected", "matrix", *_MATRIX_FILES, "le_fully_connected_mve.S"),
    call="le_fully_connected_mve_s8(&{structure}, {source}, {target});",
)
_PATCHES = function(
    "matrix, by patches",
    "conv2d_patches",
    "patches",
    *(
        *_MATRIX_FILES,
        PATCHES_HEADER,
        "cortex_m_mve/le_bytes_mve.h",
        "le_conv2d_patches_mve.c",
        "le_fully_connected_mve.S",
    ),
)
_ONE = function(
    "one channel",
    "conv2d_one",
    "one",
    *(HEADER, ROUNDING_FILE, "cortex_m_mve/le_bytes_mve.h", "cortex_m_mve/le_one_row_mve.h"),
    *("le_conv2d_one_mve.c", "le_conv2d_one_mve.S"),
)
_COLUMNS = function(
    "columns",
    "conv2d_columns",
    "columns",
    *("le_columns_mve.h", HEADER, ROUNDING_FILE, "cortex_m_mve/le_columns_outputs_mve.h"),
    *("le_conv2d_columns_mve.c", "le_columns_outputs_mve.S"),
)

_LANES = 16  # int8 in a vector
_OUTPUTS = 8  # at a time, of le_matrix_mve.h
_GROUP, _MOST_WINDOWS, _ROWS = 3, 16, 5  # channels at a time, windows in a row, rows of a band of le_one_row_mve.h
_WINDOW_SUMS = _GROUP * 2 * 4  # bytes of a window's in a row of the convolution
_ONE_SUMS = 2 * _MOST_WINDOWS * _WINDOW_SUMS  # bytes
_FOUR = 4  # int32 in a vector
_STRIP = 5  # rows of windows in a strip of le_conv2d_columns_mve.c
_LONGEST_STEP = 127  # bytes that a load can step
_LARGEST = 0xFFFF  # what the C structures and the offsets of outputs hold


def kernels(step: Step, name: str, *, divisible: bool) -> Sequence[Kernel] | str:
    """The fast kernels of a step with weights, or why there is none; see `families`."""
    layer = step.layer
    assert isinstance(layer, WEIGHTED)
    if problem := rounding_problem(layer, divisible=divisible):
        return problem
    if isinstance(layer, DepthwiseConv2d):
        return mve_depthwise.kernels(step, layer, name, divisible=divisible)
    if isinstance(layer, FullyConnected):
        return [_fully_connected(step, layer, name, divisible=divisible)]
    found = []
    if _is_pooled(step, layer) and _is_one(step, layer):
        found.append(_one(step, layer, name, divisible=divisible))
    if _is_pooled(step, layer) and _has_columns(step, layer):
        found.append(_columns(step, layer, name, divisible=divisible))
    usual = few(step, layer, name, divisible=divisible) if inputs_of(layer) <= MOST_INPUTS else ""
    if isinstance(usual, str):
        usual = pairs(step, layer, name, divisible=divisible)
    made = [usual, _patches(step, layer, name, divisible=divisible)]
    found += [kernel for kernel in made if isinstance(kernel, Kernel)]
    return found or str(made[-1])


def _is_pooled(step: Step, layer: Conv2d) -> bool:
    """5 x 5 with stride 1, and windows of 2 x 2."""
    return (
        layer.weights.shape[1:3] == (5, 5)
        and layer.stride == (1, 1)
        and step.pool is not None
        and (step.pool.window, step.pool.stride) == ((2, 2), (2, 2))
    )


def _is_one(step: Step, layer: Conv2d) -> bool:
    windows, channels = step.output.shape[1:]
    return (
        layer.input.shape[2] == 1
        and layer.input.shape[1] <= 2 * _LANES
        and 4 <= windows <= _MOST_WINDOWS
        and windows * channels <= _LARGEST
    )


def _has_columns(step: Step, layer: Conv2d) -> bool:
    height, windows, channels = step.output.shape
    width, inputs = layer.input.shape[1:]
    by = windows_of(layer, step.pool)
    ends = [(size - 1) * 2 + patch for size, patch in zip((height, windows), by.patch, strict=True)]
    return (
        by.padding == (0, 0)
        and all(end <= size for end, size in zip(ends, layer.input.shape[:2], strict=True))
        and _LANES <= 5 * inputs <= 2 * _LANES
        and width * inputs <= _LONGEST_STEP
        and height >= _STRIP
        and windows >= 2
        and _STRIP * windows * channels <= _LARGEST
    )


# --- one channel ----------------------------------------------------------------------------------


def _one(step: Step, layer: Conv2d, name: str, *, divisible: bool) -> Kernel:
    apart = _bytes_of_band(step, layer)
    words = one_words(layer, requantization_of(layer, divisible=divisible), step.output.shape[1])
    table = Table(f"{name}_table", "uint32_t", words, "as le_one_row_mve.h describes it")
    values = f"\n    {windows_text(step)},\n    {table.name}, {apart}\n"
    sums = _WINDOW_SUMS * (_MOST_WINDOWS + 2 * -(-step.output.shape[1] // 2))
    scratch = max(sums + 2 * _LANES + 2 * apart, _ONE_SUMS)  # sums of more windows are read, and not stored
    return fast_kernel(rounded(_ONE, divisible=divisible), step, [Structure(name, values)], [table], scratch)


def _bytes_of_band(step: Step, layer: Conv2d) -> int:
    """Of a kernel for one channel: a column in front, then what it reads and writes from the first row of windows."""
    height, windows = step.output.shape[:2]
    read = (4 * -(-windows // 2) + 1) * _ROWS + _LANES  # in pairs of windows, and what the next one begins with
    written = (windows_of(layer, step.pool).padding[1] + layer.input.shape[1]) * _ROWS
    return aligned(_ROWS + 2 * (height - 1) + max(read, written))


def one_words(layer: Conv2d, requantization: IntArray, windows: int) -> IntArray:
    """The table of le_one_row_mve.h for weights ``[channels, 5, 5, 1]`` and a row of so many windows."""
    channels = len(layer.bias)
    taps = np.zeros((max(channels, _GROUP), 2 * _LANES), np.int8)
    taps[:channels, :25] = layer.weights[..., 0].transpose(0, 2, 1).reshape(channels, 25)
    second = np.where(np.arange(10, 26) < _LANES, 0, taps[:, 10:26])
    weights = np.stack([taps[:, :_LANES], second], axis=1).astype(np.int8)
    first = 0 if windows > 8 else 8  # of the lanes of two eights, the one that is of window 0
    of_lane = np.arange(16).reshape(2, 2, 4).transpose(0, 2, 1).ravel() - first  # A0, B0, A1, B1, ...
    is_there = (of_lane >= 0) & (of_lane < windows)
    predicate = sum(3 << (2 * lane) for lane, there in enumerate(is_there[8:]) if there)
    start = 352 - _WINDOW_SUMS * first  # FIRST
    offsets = in_pairs(np.where(is_there, of_lane, 0) * channels)
    head = np.array([predicate, start, int(first == 0)])
    parts: list[IntArray] = [offsets, head, _WINDOW_SUMS * np.arange(4)]
    firsts = [min(first, max(channels - _GROUP, 0)) for first in range(0, channels, _GROUP)]
    for first, following in zip(firsts, [*firsts[1:], windows * channels], strict=True):
        of_group = requantization.T[first : first + _GROUP]
        step = following - (first + len(of_group) - 1)
        parts += [words_of(weights[first : first + _GROUP]), of_group.ravel(), np.array([step])]
    return np.concatenate(parts)


# --- a few channels -------------------------------------------------------------------------------


def _columns(step: Step, layer: Conv2d, name: str, *, divisible: bool) -> Kernel:
    height, pairs, channels = step.output.shape
    _, width, inputs = layer.input.shape
    words = columns_words(layer, requantization_of(layer, divisible=divisible))
    table = Table(f"{name}_table", "uint32_t", words.ravel(), "as le_mve.h describes it for columns")
    offsets, whole, back = columns_offsets(pairs, channels)
    order = Table(f"{name}_offsets", "uint32_t", in_pairs(offsets), "as le_mve.h describes it for columns")
    strips, odd_columns = -(-height // _STRIP), 8 * _STRIP * pairs
    stage = f"{order.name}, {whole}, {len(offsets) // 4 - 2 * whole}, {back}, {odd_columns}"
    head = f"{windows_text(step)},\n    {name}_channels, {table.name}, {strips}, {height - _STRIP}"
    structure = Structure(name, f"\n    {head},\n    {stage}\n")
    kernel = fast_kernel(rounded(_COLUMNS, divisible=divisible), step, [structure], [table, order], 2 * odd_columns)
    loop = f"LE_COLUMNS_MVE({name}_channels, {width * inputs}, {inputs}, {5 * inputs - _LANES})\n"
    return replace(kernel, definitions=loop + kernel.definitions)


def columns_words(layer: Conv2d, requantization: IntArray) -> IntArray:
    """For weights ``[channels, 5, 5, inputs]`` the table of le_conv2d_columns_mve.c, ``[channels, words]``."""
    channels = len(layer.bias)
    rows = layer.weights.reshape(channels, 5, -1)
    first, last = rows[..., :_LANES], rows[..., -_LANES:].copy()
    last[..., : 2 * _LANES - rows.shape[2]] = 0  # these are in `first`
    vectors = np.concatenate([last[:, :3], first[:, :3], first[:, 3:], last[:, 3:]], axis=1)
    words: IntArray = np.concatenate([words_of(vectors).reshape(channels, -1), requantization.T], axis=1)
    return words


def columns_offsets(windows: int, channels: int) -> tuple[IntArray, int, int]:
    """Where a strip's windows belong in its output, eights, then fours; how many eights; le_mve_columns.back."""
    count = _STRIP * windows
    whole, left = divmod(count, 2 * _FOUR)
    fours = -(-left // _FOUR) * _FOUR
    eights = np.arange(8 * whole).reshape(whole, 2, _FOUR).transpose(0, 2, 1)  # A0, B0, A1, B1, ...
    column, row = np.divmod(np.concatenate([eights.ravel(), np.arange(count - fours, count)]), _STRIP)
    row = (row - 1) % _STRIP  # the last one's sums come first
    return (row * windows + column) * channels, whole, 8 * (fours - left)


# --- any layer: a matrix, for a convolution once per position -------------------------------------


def _fully_connected(step: Step, layer: FullyConnected, name: str, *, divisible: bool) -> Kernel:
    structure, table = Structure(name, _matrix_text(layer, name)), _matrix_table(layer, name, divisible=divisible)
    return fast_kernel(rounded(_MATRIX, divisible=divisible), step, [structure], [table])


def _patches(step: Step, layer: Conv2d, name: str, *, divisible: bool) -> Kernel | str:
    outputs = aligned(inputs_of(layer))
    if outputs > _LARGEST:
        return f"its window has more than {_LARGEST // 4 * 4} inputs"
    structure = Structure(name, f"\n    {windows_text(step)},\n    {{{_matrix_text(layer, name)}}}, {outputs}\n")
    scratch = outputs + (0 if step.pool is None else aligned(len(layer.bias)))
    table = _matrix_table(layer, name, divisible=divisible)
    return fast_kernel(rounded(_PATCHES, divisible=divisible), step, [structure], [table], scratch)


def _matrix_table(layer: Conv2d | FullyConnected, name: str, *, divisible: bool) -> Table:
    weights = layer.weights.reshape(len(layer.bias), -1)
    words = matrix_words(weights, requantization_of(layer, divisible=divisible))
    return Table(f"{name}_table", "uint32_t", words, "as le_matrix_mve.h describes it")


def _matrix_text(layer: Conv2d | FullyConnected, name: str) -> str:
    return f"{inputs_of(layer)}, {len(layer.bias)}, {name}_table"


def matrix_words(weights: npt.NDArray[np.int8], requantization: IntArray) -> IntArray:
    """The table of le_matrix_mve.h for weights ``[outputs, inputs]`` and ``[words, outputs]``."""
    outputs, inputs = weights.shape
    half = _OUTPUTS // 2
    size, steps = -(-outputs // half) * half, -(-inputs // _LANES)
    filled = np.zeros((size, steps * _LANES), np.int8)
    filled[:outputs, :inputs] = weights
    vectors = filled.reshape(size, steps, _LANES)
    bias, *others = padded(requantization, half, axis=1)
    parts = []
    for first in range(0, size, _OUTPUTS):
        group = slice(first, first + _OUTPUTS)
        columns = 2 if size - first >= _OUTPUTS else 1  # the even outputs, then the odd ones
        of_group = np.stack(others)[:, group].reshape(len(others), -1, columns).transpose(0, 2, 1)
        parts += [bias[group], words_of(vectors[group].transpose(1, 0, 2)), of_group.ravel()]
    return np.concatenate(parts)
