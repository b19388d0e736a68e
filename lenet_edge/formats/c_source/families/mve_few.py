"""Convolutions of few inputs for an output on MVE: tables for firmware/kernels/cortex_m_mve/le_conv2d_few_mve.c."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lenet_edge.formats.c_source.families.mve_shared import HEADER, function, requantization_of, words_of
from lenet_edge.formats.c_source.families.plain import windows_text
from lenet_edge.formats.c_source.families.shared import Structure, aligned, fast_kernel, inputs_of
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.steps import Step, Windows, windows_of
from lenet_edge.formats.c_source.tables import Table
from lenet_edge.quantized.model import Conv2d
from lenet_edge.quantized.tie_free import channel_q

__all__ = ["MOST_INPUTS", "Tiles", "few", "few_words", "loops_of_few", "offsets_words", "tiles_of"]

IntArray = npt.NDArray[np.int64]

MOST_INPUTS = 16  # of an output: int8 in a vector
_FEW = function(
    "few inputs",
    "conv2d_few",
    "few",
    *(HEADER, "cortex_m_mve/le_bytes_mve.h", "cortex_m_mve/le_pairs_layout_mve.h", "cortex_m_mve/le_few_mve.h"),
    *("le_conv2d_few_mve.c", "le_few_copy_mve.S"),
)

_LANES, _QUAD, _GROUP = MOST_INPUTS, 4, 4  # int8 in a vector; positions, and channels, at a time
_TILE_BYTES = 1024  # of scratch, half of it for outputs that are to be pooled, where four positions need no more
_REACH = 0xFF  # of a gather
_LARGEST = 0xFFFF  # sizes in bytes, as the C structure holds them
_MOST_CHANNELS = (0x7FFF - _GROUP) // 3  # so that a step to the next positions fits the table
_UP, _LAST = 0x80, 1 << 31  # what becomes of zero with a zero point of -128; the end of the channels


@dataclass(frozen=True)
class Tiles:
    """How many positions are computed at once, from where.

    Attributes:
        rows, columns: of the output.
        pitch: bytes of a row of the copy of what they see; 0 where the input is read.
        copied_rows: of that copy.
    """

    rows: int
    columns: int
    pitch: int
    copied_rows: int


def few(step: Step, layer: Conv2d, name: str, *, divisible: bool) -> Kernel | str:
    """The kernel of a convolution of `MOST_INPUTS` at most, or why there is none."""
    if len(layer.bias) > _MOST_CHANNELS:
        return f"it has more than {_MOST_CHANNELS} channels"
    tiles, channels = tiles_of(step, layer), len(layer.bias)
    outputs_offset = aligned(tiles.copied_rows * tiles.pitch)
    if outputs_offset > _LARGEST:
        return f"what a position sees takes {outputs_offset} bytes of scratch, more than {_LARGEST}"
    inputs = step.input.shape[2]
    pitch = tiles.pitch or step.input.shape[1] * inputs
    if (last := _reach(windows_of(layer, step.pool), inputs, pitch)) > _REACH:  # of one position: it pools so many
        return f"the last input of a window is {last} bytes behind its first, more than {_REACH}"
    words = np.concatenate([offsets_words(layer, pitch), few_words(layer, divisible=divisible)])
    table = Table(f"{name}_table", "uint32_t", words, "as le_few_mve.h describes it")
    multiply, file = _assembly(layer, divisible=divisible)
    sizes = f"{tiles.rows}, {tiles.columns}, {tiles.pitch}, {outputs_offset}"
    values = f"\n    {windows_text(step)},\n    {{{channels}, {table.name}}}, {multiply}, {sizes}\n"
    found = replace(_FEW, files=(*_FEW.files, file))
    scratch = outputs_offset + (aligned(tiles.rows * tiles.columns * channels) if step.pool is not None else 0)
    return fast_kernel(found, step, [Structure(name, values)], [table], scratch)


def _is_up(layer: Conv2d, *, divisible: bool) -> bool:
    """Whether a rounding will do that is another below the zero point: then no output is there."""
    return not divisible and layer.output.zero_point == -128


def _assembly(layer: Conv2d, *, divisible: bool) -> tuple[str, str]:
    """What multiplies, and its file."""
    if _is_up(layer, divisible=divisible):
        return "le_few_up_mve_s8", "le_few_up_mve.S"
    return "le_few_mve_s8", "le_few_mve.S" if divisible else "le_few_double_mve.S"


# --- positions ------------------------------------------------------------------------------------


def tiles_of(step: Step, layer: Conv2d) -> Tiles:
    """The tiles of a step."""
    (height, width, channels), (tall, across, inputs) = step.output.shape, step.input.shape
    by = windows_of(layer, step.pool)
    least, most, columns, rows = min(width, _QUAD), _TILE_BYTES, width, height
    if step.pool is not None:
        most //= 2
        columns = min(width, max(least, most // channels))
        rows = min(height, max(1, most // (columns * channels)))
    ends = [(count - 1) * each + patch for count, each, patch in zip((height, width), by.step, by.patch, strict=True)]
    is_inside = by.padding == (0, 0) and ends[0] <= tall and ends[1] <= across
    if is_inside and _reach(by, inputs, across * inputs) <= _REACH:
        return Tiles(rows, columns, 0, 0)

    def pitch(count: int) -> int:
        return ((count - 1) * by.step[1] + by.patch[1]) * inputs

    def fits(count: int) -> bool:
        return _reach(by, inputs, pitch(count)) <= _REACH and (count <= least or by.patch[0] * pitch(count) <= most)

    columns = next((count for count in range(columns, 1, -1) if fits(count)), 1)
    equal = -(-width // -(-width // columns))  # tiles of such a width are no more
    columns = min(columns, -(-equal // _QUAD) * _QUAD)
    rows = min(rows, max(1, (most // pitch(columns) - by.patch[0]) // by.step[0] + 1))
    if columns == width and rows < height:
        whole = _QUAD // math.gcd(width, _QUAD)  # rows, in which there are whole quads
        rows = max(1, rows // whole * whole) if rows >= whole else rows
    return Tiles(rows, columns, pitch(columns), (rows - 1) * by.step[0] + by.patch[0])


def _reach(by: Windows, inputs: int, pitch: int) -> int:
    """The last offset in a window."""
    return (by.window[0] - 1) * pitch + by.window[1] * inputs - 1


def offsets_words(layer: Conv2d, pitch: int) -> IntArray:
    """Where the inputs of a window ``[window_h, window_w, channels]`` are, 16 bytes; 0 where it has no more."""
    tall, wide, inputs = layer.weights.shape[1:]
    rows, columns, channels = np.indices((tall, wide, inputs)).reshape(3, -1)
    offsets = np.zeros(_LANES, np.uint8)
    offsets[: inputs_of(layer)] = rows * pitch + columns * inputs + channels
    return words_of(offsets.view(np.int8))


# --- channels -------------------------------------------------------------------------------------


def few_words(layer: Conv2d, *, divisible: bool) -> IntArray:
    """The table of le_few_mve.h."""
    channels = len(layer.bias)
    firsts = np.minimum(np.arange(0, channels, _GROUP), max(channels - _GROUP, 0))
    of_lane = np.minimum(np.add.outer(firsts, np.arange(_GROUP)).ravel(), channels - 1)
    weights = np.zeros((channels, _LANES), np.int8)
    weights[:, : inputs_of(layer)] = layer.weights.reshape(channels, -1)
    weights = weights[of_lane]
    requantization = requantization_of(layer, divisible=divisible)
    if divisible:
        requantization[1] = _half_multiplier(layer)
    bias, multiplier, *third = requantization[:, of_lane]
    zero = _UP if _is_up(layer, divisible=divisible) else layer.output.zero_point & 0xFFFF
    ending = np.full((len(firsts), 2), zero)
    ending[:, 1] |= np.diff(firsts, append=_QUAD * channels) << 16
    ending[-1, 1] |= _LAST
    order = np.arange(len(of_lane)).reshape(-1, 2, 2).transpose(0, 2, 1).reshape(-1, 2)  # 0, 2; 1, 3
    parts = [words_of(weights[order]).reshape(len(order), -1)]
    shifts = [third[0][order] & 0xFF] if third else []
    a, b = ([part[order[:, which]] for part in (bias, multiplier)] for which in range(2))
    shift = [part[:, which] for which in range(2) for part in shifts]
    of_a = [a[0], a[1], a[0], a[0], *shift[:1], a[0]]
    of_b = [b[1], b[0], *shift[1:], b[0], ending.ravel(), b[0], b[0]]
    found: IntArray = np.concatenate([*parts, np.stack([*of_a, *of_b], axis=1)], axis=1).ravel()
    return found


def _half_multiplier(layer: Conv2d) -> IntArray:
    """Per channel round(2^30 / q), for a doubling high multiply."""
    q = channel_q(layer)
    found: IntArray = (2**31 + q) // (2 * q)
    return found


# --- loops ----------------------------------------------------------------------------------------


def loops_of_few(step: Step) -> Mapping[str, int]:
    """How often the kernel's loops run, for `loops.loops_of`: those of tiles, of quads of positions, of groups."""
    layer = step.layer
    assert isinstance(layer, Conv2d)
    tiles, by, (height, width, channels) = tiles_of(step, layer), windows_of(layer, step.pool), step.output.shape
    passes, inputs = math.prod(by.pool), step.input.shape[2]
    counts = dict.fromkeys(("tiles", "passes", "quads", "quads in rows", "copied rows", "copied", "filled"), 0)
    for rows in _parts(height, tiles.rows):
        for columns in _parts(width, tiles.columns):
            is_row = by.step[0] * (tiles.pitch or step.input.shape[1] * inputs) == columns * by.step[1] * inputs
            calls, each = _calls(rows, columns, is_whole=columns == width, is_row=is_row)
            quads = passes * calls * -(-each // _QUAD)
            counts["tiles"] += 1
            counts["passes"] += passes * calls * (1 + (each % _QUAD != 0))
            counts["quads"] += quads
            counts["quads in rows"] += quads * (each > columns > 1 and not is_row)
            copied = (rows - 1) * by.step[0] + by.patch[0] if tiles.pitch else 0
            counts["copied rows"] += copied
            counts["copied"] += copied * -(-tiles.pitch // _LANES)
            counts["filled"] += -(-copied * tiles.pitch // _LANES) * (by.padding != (0, 0))
    groups = -(-channels // _GROUP)
    return {
        **counts,
        "groups of few inputs": counts["quads"] * groups,
        "groups below zero": counts["quads"] * groups * (layer.output.zero_point != -128),
        "groups by bytes": counts["quads"] * groups * (channels % _GROUP != 0),
        "larger": (passes - 1) * step.output_bytes,
    }


def _parts(size: int, at_once: int) -> list[int]:
    return [min(at_once, size - first) for first in range(0, size, at_once)]


def _calls(rows: int, columns: int, *, is_whole: bool, is_row: bool) -> tuple[int, int]:
    """How many runs of positions a tile has, of how many each."""
    if is_whole and (columns >= _QUAD or columns == 1 or is_row):
        return 1, rows * columns
    return rows, columns
