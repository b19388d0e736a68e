"""Kernels for Cortex-M with the DSP extension: tables for firmware/kernels/cortex_m_dsp, described there."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lenet_edge.formats.c_source.families import dsp_few, dsp_nested, dsp_positions
from lenet_edge.formats.c_source.families.dsp_depthwise import depthwise
from lenet_edge.formats.c_source.families.dsp_positions import in_pairs, pair_words, pairs_order
from lenet_edge.formats.c_source.families.dsp_requantization import (
    Requantization,
    functions_of,
    requantization_of,
    requantization_problem,
)
from lenet_edge.formats.c_source.families.plain import windows_text
from lenet_edge.formats.c_source.families.shared import (
    PATCHES_HEADER,
    Structure,
    aligned,
    fast_kernel,
    inputs_of,
    largest_sum,
    matrix_text,
    offset_problem,
    padded,
)
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.steps import Step
from lenet_edge.formats.c_source.tables import Table
from lenet_edge.quantized.model import Conv2d, DepthwiseConv2d, FullyConnected, Weighted, channel_weights

__all__ = ["kernels", "matrix_words", "one_words", "pairs_order", "pairs_words"]

IntArray = npt.NDArray[np.int64]

_HEADER = "le_dsp.h"
_MACROS = "cortex_m_dsp/le_requantize_dsp.h"
_MATRIX_FILES = (_HEADER, _MACROS, "le_pairs_dsp.c", "le_fully_connected_dsp.c", "le_matrix_dsp.S")


_MATRIX = functions_of("matrix", "fully_connected", "matrix", *_MATRIX_FILES)
_WIDE = functions_of("matrix", "fully_connected_wide", "matrix", *_MATRIX_FILES)
_PATCHES, _WIDE_PATCHES = (
    functions_of("matrix, by patches", operator, "patches", *_MATRIX_FILES, PATCHES_HEADER, "le_conv2d_patches_dsp.c")
    for operator in ("conv2d_patches", "conv2d_patches_wide")
)
_ONE, _PAIRS = (
    functions_of(
        f"tiles, {label}",
        f"conv2d_{which}",
        "tiles",
        *(_HEADER, _MACROS, "le_tiles_dsp.c", f"le_conv2d_{which}_dsp.c", f"le_conv2d_{which}_dsp.S"),
    )
    for which, label in (("one", "one channel"), ("pairs", "pairs of channels"))
)

_OUTPUTS = 6  # LE_DSP_OUTPUTS
_GROUP = 4  # channels of a group of le_conv2d_pairs_dsp.S
_TILED_KERNELS = ((1, 1), (3, 3), (5, 5))


def kernels(step: Step, name: str, *, divisible: bool) -> Sequence[Kernel] | str:
    """The fast kernels of a step with weights, or why there is none; see `families`."""
    layer = step.layer
    assert isinstance(layer, (Conv2d, DepthwiseConv2d, FullyConnected))
    if problem := requantization_problem(layer, divisible=divisible):
        return problem
    if isinstance(layer, DepthwiseConv2d):
        return depthwise(step, name, divisible=divisible)
    problem, few = _halves_problem(layer), dsp_few.kernels(step, name, divisible=divisible)
    if isinstance(layer, FullyConnected):
        matrix = [] if problem else [_fully_connected(step, layer, name, divisible=divisible)]
        return [*few, *matrix] or problem
    found = [_tiles(step, layer, name, divisible=divisible)] if _is_tiled(step, layer) else []
    if not dsp_positions.problem(step, layer, divisible=divisible):
        place = len(found) if layer.weights.shape[1] > 1 else 0
        found.insert(place, dsp_positions.kernel(step, layer, name, divisible=divisible))
    if not dsp_nested.problem(step, layer, divisible=divisible):
        found.insert(0, dsp_nested.kernel(step, layer, name, divisible=divisible))
    problem = problem or offset_problem(_outputs_offset(layer))
    if not problem:
        found.append(_patches(step, layer, name, divisible=divisible))
    return [*few, *found] or problem


def _is_wide(layer: Weighted) -> bool:
    """Whether 256 times the sum of an odd channel is beyond an int32, so that the matrix has to be the wide one."""
    return int(largest_sum(layer)[1::2].max(initial=0)) * 256 >= 2**31


def _halves_problem(layer: Weighted) -> str:
    """Why no matrix kernel can have the layer: they have 256 b + a in an int16."""
    weights = channel_weights(layer)[: len(layer.bias) // 2 * 2].astype(np.int64)
    fits = 256 * weights[1::2] + weights[::2] >= -(2**15)
    return "" if fits.all() else "a weight is -128 next to a negative one"


def _is_tiled(step: Step, layer: Conv2d) -> bool:
    taps = layer.weights.shape[1:3]
    pooled = step.pool is None or (step.pool.window, step.pool.stride) == ((2, 2), (2, 2))
    several = layer.input.shape[2] > 1 or taps == (5, 5)
    return pooled and several and taps in _TILED_KERNELS and layer.stride == (1, 1)


def _fully_connected(step: Step, layer: FullyConnected, name: str, *, divisible: bool) -> Kernel:
    structure, by = Structure(name, matrix_text(layer, name)), requantization_of(layer, divisible=divisible)
    function = (_WIDE if _is_wide(layer) else _MATRIX)[divisible]
    return fast_kernel(function, step, [structure], [_matrix_table(layer, name, by)], _matrix_scratch(layer))


def _patches(step: Step, layer: Conv2d, name: str, *, divisible: bool) -> Kernel:
    outputs, by = _outputs_offset(layer), requantization_of(layer, divisible=divisible)
    places = f"{{{matrix_text(layer, name)}}}, {_matrix_scratch(layer)}, {outputs}"
    structure = Structure(name, f"\n    {windows_text(step)},\n    {places}\n")
    scratch = outputs + aligned(len(layer.bias))
    function = (_WIDE_PATCHES if _is_wide(layer) else _PATCHES)[divisible]
    return fast_kernel(function, step, [structure], [_matrix_table(layer, name, by)], scratch)


def _outputs_offset(layer: Conv2d) -> int:
    """In scratch, behind what the matrix kernel takes and the patch."""
    return _matrix_scratch(layer) + aligned(math.prod(layer.weights.shape[1:]))


def _tiles(step: Step, layer: Conv2d, name: str, *, divisible: bool) -> Kernel:
    is_one, by = layer.input.shape[2] == 1, requantization_of(layer, divisible=divisible)
    which, function = ("one", _ONE) if is_one else ("pairs", _PAIRS)
    words = one_words(layer, by) if is_one else pairs_words(layer, by)
    groups = -(-len(layer.bias) // _GROUP)
    table = Table(f"{name}_table", "uint32_t", words, f"as le_conv2d_{which}_dsp.S describes it")
    values = f"\n    {windows_text(step)},\n    {groups}, {int(step.pool is not None)}, {table.name}\n"
    return fast_kernel(function[divisible], step, [Structure(name, values)], [table], _tiles_scratch(step, layer))


# --- sizes ----------------------------------------------------------------------------------------


def _matrix_scratch(layer: Weighted) -> int:
    return 8 * -(-inputs_of(layer) // 4)


def _tiles_scratch(step: Step, layer: Conv2d) -> int:
    """The strip, and the planes of a row of tiles, as the C lays them out."""
    taps, channels = int(layer.weights.shape[1]), len(layer.bias)
    tiles = step.output.shape[1] if step.pool is not None else -(-step.output.shape[1] // 2)
    plane = (tiles * channels + 6) // 4 * 4
    if layer.input.shape[2] == 1:
        return 12 * (2 * tiles + taps - 1) + (4 * plane if step.pool is None else 0)
    pairs = -(-layer.input.shape[2] // 2)
    strip = 3 * (tiles + taps // 2) * pairs * (taps + 1)
    if step.pool is not None and channels % _GROUP == 0:
        return 4 * strip
    return 4 * strip + (4 if step.pool is None else 1) * plane


# --- tables ---------------------------------------------------------------------------------------


def _words(*parts: IntArray) -> IntArray:
    return np.concatenate([part.ravel() for part in parts]) & 0xFFFFFFFF


def matrix_words(weights: IntArray, by: Requantization) -> IntArray:
    """The table of le_matrix_dsp.S for weights ``[outputs, inputs]``."""
    words = pair_words(padded(weights, _OUTPUTS))
    requantization = padded(np.column_stack([by.bias, by.factors]), _OUTPUTS)
    groups = [
        _words(words[3 * group : 3 * group + 3].T, requantization[_OUTPUTS * group : _OUTPUTS * (group + 1)])
        for group in range(len(words) // 3)
    ]
    return np.concatenate(groups)


def _matrix_table(layer: Conv2d | FullyConnected, name: str, by: Requantization) -> Table:
    weights = layer.weights.reshape(len(layer.bias), -1).astype(np.int64)
    return Table(f"{name}_table", "uint32_t", matrix_words(weights, by), "as le_dsp.h describes it for a matrix")


def one_words(layer: Conv2d, by: Requantization) -> IntArray:
    """The table of le_conv2d_one_dsp.S for a layer with weights ``[channels, 5, 5, 1]``."""
    weights = by.times * layer.weights[..., 0].astype(np.int64)  # [channel, row, column]
    rows = [(0, 1), (2, 3), (1, 2), (3, 4)]
    taps = np.stack([weights[:, a] & 0xFFFF | (weights[:, b] & 0xFFFF) << 16 for a, b in rows], axis=-1)
    more = (np.arange(len(weights)) != len(weights) - 1).astype(np.int64)
    factors = np.insert(by.factors, 1, more, axis=1)
    parts = [_words(np.repeat(bias, 4), *rest) for bias, *rest in zip(by.bias, taps, factors, strict=True)]
    return np.concatenate(parts)


def pairs_words(layer: Conv2d, by: Requantization) -> IntArray:
    """The table of le_conv2d_pairs_dsp.S for a layer with weights ``[channels, k, k, inputs]``."""
    weights = by.times * padded(layer.weights.astype(np.int64), _GROUP)
    even, odd = weights[:, :, ::2], weights[:, :, 1::2]
    both = even.copy()
    both[:, :, : odd.shape[2]] += odd
    order = pairs_order(layer.input.shape[2])
    sums = [in_pairs(part, order).transpose(2, 3, 1, 0) for part in (both, even, odd)]  # [column, pair, row, channel]
    bias, factors = padded(by.bias, _GROUP), padded(by.factors, _GROUP)
    groups = [slice(first, first + _GROUP) for first in range(0, len(weights), _GROUP)]
    parts = [_words(np.repeat(bias[at], 2), *(part[..., at] for part in sums), factors[at]) for at in groups]
    return np.concatenate(parts)
