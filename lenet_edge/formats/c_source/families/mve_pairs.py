"""Convolutions on MVE two positions at a time: tables for firmware/kernels/cortex_m_mve/le_conv2d_pairs_mve.c.

Where an output has so few inputs that a vector holds them, `mve_few` has something better.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lenet_edge.formats.c_source.families.mve_shared import (
    HEADER,
    ROUNDING_FILE,
    function,
    requantization_of,
    words_of,
)
from lenet_edge.formats.c_source.families.plain import windows_text
from lenet_edge.formats.c_source.families.shared import Structure, aligned, fast_kernel, inputs_of, padded
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.steps import Step, windows_of
from lenet_edge.formats.c_source.tables import Table
from lenet_edge.quantized.model import Conv2d

__all__ = ["Bands", "as_one_row", "bands_of", "loops_of_pairs", "pairs", "pairs_words"]

_PAIRS = function(
    "pairs of positions",
    "conv2d_pairs",
    "pairs",
    *(HEADER, ROUNDING_FILE, "cortex_m_mve/le_bytes_mve.h", "cortex_m_mve/le_pairs_layout_mve.h"),
    "le_conv2d_pairs_mve.c",
)

_LANES, _OUTPUTS = 16, 4  # int8 in a vector; outputs at a time
_BAND_BYTES = 1024  # that a band may have, where more than a pair of positions needs them
_SLIDING_BYTES, _SAVED = 1280, 200  # of a band that slides; instructions for each row of the output
_LARGEST = 0xFFFF  # what the C structures hold
_FURTHEST = 0xFFFF - 3  # from a position's outputs to those of the other one: offsets are uint16


@dataclass(frozen=True)
class Bands:
    """How the inputs of a layer are laid out for le_pairs_mve.h.

    Attributes:
        strip: positions of a row at once; 0 where only the last ones are copied.
        rows: of the output at once.
        row_bytes: of the band of a row.
        spread: bytes of input that are put into a band at once, or 0.
        slides: the band of a row becomes that of the next one, where only some rows of the input are new.
        tail: positions that are copied where others are not.
    """

    strip: int
    rows: int
    row_bytes: int
    spread: int
    slides: bool = False
    tail: int = 0


def pairs(step: Step, layer: Conv2d, name: str, *, divisible: bool) -> Kernel | str:
    """The kernel of a convolution, or why there is none."""
    step, layer = as_one_row(step, layer)
    bands, channels = bands_of(step, layer), len(layer.bias)
    if bands.row_bytes > _LARGEST:
        return f"its window has more than {_LARGEST // _LANES * _LANES} inputs"
    if channels > _FURTHEST:
        return f"it has more than {_FURTHEST} channels"
    weights = layer.weights.transpose(0, 2, 1, 3).reshape(channels, -1)
    words = pairs_words(weights, requantization_of(layer, divisible=divisible))
    table = Table(f"{name}_table", "uint32_t", words, "as le_pairs_mve.h describes it")
    matrix = f"{{{-(-inputs_of(layer) // _LANES)}, {channels}, {table.name}, {layer.output.zero_point}}}"
    multiply, *files = _assembly(layer, divisible=divisible)
    sizes = (
        f"{multiply}, {bands.strip}, {bands.row_bytes}, {bands.rows}, {bands.spread}, {int(bands.slides)}, {bands.tail}"
    )
    structure = Structure(name, f"\n    {windows_text(step)},\n    {matrix}, {sizes}\n")
    scratch = bands.rows * bands.row_bytes
    if step.pool is not None:
        scratch += aligned(bands.rows * bands.strip * channels)
    function = replace(_PAIRS, files=(*_PAIRS.files, *files))
    return fast_kernel(function, step, [structure], [table], scratch)


def _assembly(layer: Conv2d, *, divisible: bool) -> tuple[str, ...]:
    """What multiplies, its file and what that includes."""
    is_up = (
        not divisible and layer.output.zero_point == -128
    )  # where no output is below it, a little less has to be done
    rounding = "_up" if is_up else "" if divisible else "_double"
    file = f"le_pairs{rounding}_mve.S"
    return f"le_pairs{'_up' if is_up else ''}_mve_s8", file, "cortex_m_mve/le_pairs_mve.h"


def as_one_row(step: Step, layer: Conv2d) -> tuple[Step, Conv2d]:
    """A 1 x 1 convolution that sees every pixel once, as one of a map with one row; any other as it is."""
    height, width, _ = step.output.shape
    sees_all = layer.weights.shape[1:3] == (1, 1) and step.input.shape[:2] == (height, width)
    sees_all = sees_all and layer.stride == (1, 1)  # along an axis of one pixel it may be any
    if not sees_all or step.pool is not None or height * width > _LARGEST:
        return step, layer
    source, target = (
        replace(tensor, shape=(1, height * width, tensor.shape[2])) for tensor in (step.input, step.output)
    )
    return replace(step, inputs=(source,), output=target), layer


def bands_of(step: Step, layer: Conv2d) -> Bands:
    """The bands of a step; those of a layer that is impossible have more bytes than the structure holds."""
    height, width, channels = step.output.shape
    by, inputs = windows_of(layer, step.pool), layer.input.shape[2]
    if by.patch == (1, 1) and by.step == (1, 1) and step.input.shape[:2] == (1, width) and by.padding == (0, 0):
        beyond = -inputs % _LANES  # what vectors read behind a position
        tail = -(-beyond // inputs)
        tail = min(width, tail + (width - tail) % 2) if tail else 0  # pairs of positions are in front of it
        return Bands(0, 1, aligned(tail * inputs + beyond), 0, tail=tail)
    rows = 2 if width % 2 and height > 1 and width * channels <= _FURTHEST else 1
    column, least = by.window[0] * inputs, 1 if rows == 2 else 2

    def band(positions: int) -> int:
        columns = (positions - 1) * by.step[1] + by.patch[1]
        return aligned(columns * column + -inputs_of(layer) % _LANES)

    fitting = [count for count in range(least, width, least) if band(count) <= _BAND_BYTES]
    strip = width if band(width) <= _BAND_BYTES else min(width, max(fitting, default=least))
    pixels = _LANES // inputs
    reaches = (_LANES - 1) // inputs * column + (_LANES - 1) % inputs  # the furthest offset of a store, a uint8
    at_once = pixels * inputs if pixels > 1 and reaches <= 0xFF else 0
    if at_once and (sliding := _bytes_of_sliding(step, layer)) <= _SLIDING_BYTES:
        return Bands(width, 1, sliding, at_once, slides=True)
    return Bands(strip, rows, band(strip), at_once)


def _bytes_of_sliding(step: Step, layer: Conv2d) -> int:
    """Of a band that slides: a column in front, then from the first row's begin to the last one's end.

    It is too large where a row of the output needs more new rows of the input than a window has, and for pooling; or
    where the last position of an odd width, which then has no other to share weights with, takes more than is saved.
    """
    height, width, channels = step.output.shape
    by, (_, across, inputs) = windows_of(layer, step.pool), step.input.shape
    alone = width % 2 * -(-channels // _OUTPUTS) * (7 * -(-inputs_of(layer) // _LANES) + 12)  # instructions
    if by.step[0] > by.window[0] or step.pool is not None or alone > _SAVED:
        return _SLIDING_BYTES + 1
    column = by.window[0] * inputs
    columns = max((width - 1) * by.step[1] + by.window[1], by.padding[1] + across)
    moves = (height - 1) * by.step[0] * inputs
    return aligned(column + columns * column + moves + -inputs_of(layer) % _LANES)


def loops_of_pairs(step: Step) -> Mapping[str, int]:
    """How often the kernel's loops run, for `loops.loops_of`: bands, unless the input is one; pairs of positions."""
    layer = step.layer
    assert isinstance(layer, Conv2d)
    step, layer = as_one_row(step, layer)
    bands, by = bands_of(step, layer), windows_of(layer, step.pool)
    height, width, outputs = step.output.shape
    strip, passes, inputs = bands.strip or width, math.prod(by.pool), layer.input.shape[2]
    strips = [min(strip, width - first) for first in range(0, width, strip)]
    alone = height % bands.rows if bands.rows == 2 else height  # rows whose pairs are neighbours
    pairs = (height - alone) // 2 * width + alone * sum(-(-positions // 2) for positions in strips)
    columns = [(positions - 1) * by.step[1] + by.patch[1] for positions in strips]
    copied = by.pool[0] * height * by.window[0] if bands.strip else 0  # rows of the input, for each strip
    if bands.slides:
        columns, copied = [step.input.shape[1]], by.window[0] + (height - 1) * by.step[0]
    groups = passes * pairs * -(-outputs // _OUTPUTS)
    rows = ((height - alone) // 2 + alone) * len(strips) * passes
    pixels = 0 if bands.spread else copied * sum(columns)
    return {
        "strips": rows * (not bands.slides),
        "rows of a sliding band": rows * bands.slides,
        "bands": by.pool[0] * height * len(strips) if bands.strip and not bands.slides else 0,
        "lines": copied * len(strips) * (not bands.slides),
        "lines of a sliding band": copied * bands.slides,
        "spread": copied * sum(-(-count * inputs // bands.spread) for count in columns) if bands.spread else 0,
        "pixels": pixels,
        "words of pixels": pixels * -(-inputs // _LANES),
        "pairs": passes * pairs,
        "groups": groups,
        "groups below zero": groups * (layer.output.zero_point != -128),
        "vectors": groups * -(-inputs_of(layer) // _LANES),
        "larger": (passes - 1) * step.output_bytes,
    }


def pairs_words(weights: npt.NDArray[np.int8], requantization: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The table of le_pairs_mve.h for weights ``[outputs, inputs]`` and ``[words, outputs]``."""
    outputs, inputs = weights.shape
    groups, vectors = -(-outputs // _OUTPUTS), -(-inputs // _LANES)
    filled = np.zeros((groups * _OUTPUTS, vectors * _LANES), np.int8)
    filled[:outputs, :inputs] = weights
    of_groups = filled.reshape(groups, _OUTPUTS, vectors, _LANES).transpose(0, 2, 1, 3)
    words = padded(requantization, _OUTPUTS, axis=1).reshape(-1, groups, _OUTPUTS).transpose(1, 0, 2)
    table = [words_of(of_groups).reshape(groups, -1), words.reshape(groups, -1)]
    found: npt.NDArray[np.int64] = np.concatenate(table, axis=1).ravel()
    return found
