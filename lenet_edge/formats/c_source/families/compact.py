"""Kernels of few bytes and no multiplication: tables for firmware/kernels/compact, described in its le_compact.h."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt

from lenet_edge.formats.c_source.families.plain import patch_bytes
from lenet_edge.formats.c_source.families.shared import (
    LARGEST_OFFSET,
    OFF_THE_GRID,
    Structure,
    fast_kernel,
    function_of,
    inputs_of,
)
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.packing import BYTES
from lenet_edge.formats.c_source.steps import Step, windows_of
from lenet_edge.formats.c_source.tables import LARGEST_TABLE, Table, folded_bias
from lenet_edge.quantized.model import WEIGHTED, Conv2d, DepthwiseConv2d, FullyConnected
from lenet_edge.quantized.tie_free import channel_q

__all__ = ["digit_count", "digits_of", "kernels", "packed", "packed_rows", "quotient_bias"]

IntArray = npt.NDArray[np.int64]

_FILES = ("le_compact.h", "le_requantize_compact.c")
_PATCHES = (*_FILES, "le_patches_compact.h", "le_patches_compact.c")


_function = partial(function_of, "compact", "compact")
_SUM = ("le_sum_compact.c", "le_sum_rv32e.S")  # either is empty
_LARGEST = ("le_largest_2x2_compact.c", "le_largest_2x2_rv32e.S")
_MATRIX = _function("matrix", "fully_connected", "fully_connected", *_FILES, *_SUM, "le_fully_connected_compact.c")
_WINDOWS = _function("windows", "conv2d", "conv2d", *_PATCHES, *_SUM, "le_conv2d_compact.c")
_POOLED = _function("windows, 2 x 2", "conv2d_2x2", "conv2d", *_PATCHES, *_LARGEST, "le_conv2d_2x2_compact.c")

_DIGITS_OF_BYTE = 5
_INT24 = range(-(2**23), 2**23)
_LARGEST_SIZE = 0x7FFF  # of what the structures count in 16 bits


def kernels(step: Step, name: str, *, divisible: bool) -> Sequence[Kernel] | str:
    """The kernels of a step with weights, or why there is none; see `families`.

    Ternary weights are five trits a byte without being asked to; of others each has more digits.
    """
    found = _kernel(step, name, divisible=divisible)
    if isinstance(found, str):
        return found
    layer = step.layer
    assert isinstance(layer, (Conv2d, FullyConnected))
    return [replace(found, packs_itself=True, packing="trits" if digit_count(layer) == 1 else BYTES)]


def _kernel(step: Step, name: str, *, divisible: bool) -> Kernel | str:
    layer = step.layer
    assert isinstance(layer, WEIGHTED)
    if not divisible:
        return OFF_THE_GRID
    if isinstance(layer, DepthwiseConv2d):
        return "it is depthwise"
    bias = quotient_bias(layer)
    if bias.min() < _INT24.start or bias.max() >= _INT24.stop:
        return "its biases do not fit an int24"
    if max(step.input_bytes, step.output_bytes, inputs_of(layer)) > _LARGEST_SIZE:
        return f"a tensor has more than {_LARGEST_SIZE} bytes"
    content = _content(layer)
    if isinstance(layer, FullyConnected):
        return _fully_connected(step, layer, name, content)
    if content.size > LARGEST_TABLE:
        return "its weights do not fit one table"
    if problem := _distance_problem(step, layer):
        return problem
    table = _table(name, content)
    is_pooled = step.pool is not None and step.pool.window == (2, 2) and layer.stride == (1, 1)
    structure = Structure(name, _convolution(step, layer, table.name))
    function, scratch = _POOLED if is_pooled else _WINDOWS, patch_bytes(step)
    return fast_kernel(function, step, [structure], [table], scratch, rows_at_once=1)


def packed(step: Step, name: str, packing: str, *, divisible: bool) -> Kernel | None:
    """The same for any packing: digits are what these tables always have; see `families.PackedKernels`."""
    found = kernels(step, name, divisible=divisible)
    return None if isinstance(found, str) else found[0]


def digit_count(layer: Conv2d | FullyConnected) -> int:
    """Digits in balanced ternary of the largest half weight: 1 where all are -1, 0 or 1."""
    largest = int(np.abs(layer.weights.astype(np.int64)).max(initial=0)) // 2
    count = 1
    while (3**count - 1) // 2 < largest:
        count += 1
    return count


def digits_of(halves: IntArray, count: int) -> IntArray:
    """Balanced ternary, int64 ``[count, *shape]``, the most significant digit first: -1, 0 or 1."""
    rest, digits = halves.copy(), []
    for _ in range(count):
        digit = (rest + 1) % 3 - 1
        digits.append(digit)
        rest = (rest - digit) // 3
    assert not rest.any(), "more digits are needed"
    return np.stack(digits[::-1])


def packed_rows(digits: IntArray) -> IntArray:
    """Digits ``[..., run]`` as bytes ``[..., ceil(run / 5)]``: each run begins with a byte of its own."""
    missing = -digits.shape[-1] % _DIGITS_OF_BYTE
    filled = np.pad(digits % 3, [(0, 0)] * (digits.ndim - 1) + [(0, missing)])  # -1 becomes 2
    fives = filled.reshape(*filled.shape[:-1], -1, _DIGITS_OF_BYTE)
    values = fives @ (3 ** np.arange(_DIGITS_OF_BYTE)[::-1])
    packed: IntArray = -(-values * 256 // 3**_DIGITS_OF_BYTE)
    return packed


def quotient_bias(layer: Conv2d | FullyConnected) -> IntArray:
    """What is added to the sum of half weights times inputs: the output + 128 is that, divided by q, rounded down."""
    q = channel_q(layer)
    return (folded_bias(layer) + q * (2 * layer.output.zero_point + 257) - 1) // 2


def _distance_problem(step: Step, layer: Conv2d) -> str:
    """Why its structure cannot hold how far it goes, beyond the tensors' sizes: padding counts, too; empty: it can."""
    by, inputs = windows_of(layer, step.pool), step.input.shape[2]
    line = step.input.shape[1] * inputs
    if by.padding[0] * line + by.padding[1] * inputs > _LARGEST_SIZE:
        return f"its padding takes more than {_LARGEST_SIZE} bytes"
    if max(by.step[0] * line, by.step[1] * inputs, by.patch[1] * inputs) > LARGEST_OFFSET:
        return f"its windows are more than {LARGEST_OFFSET} bytes wide or apart"
    return ""


def _fully_connected(step: Step, layer: FullyConnected, name: str, content: IntArray) -> Kernel:
    """Its outputs in runs whose tables are not too large."""
    at_once = LARGEST_TABLE // content.shape[1]
    starts = range(0, len(content), at_once)
    parts = [name] if len(starts) == 1 else [f"{name}_{index}" for index in range(len(starts))]
    structures, tables = [], []
    for part, start in zip(parts, starts, strict=True):
        rows = content[start : start + at_once]
        tables.append(_table(part, rows))
        values = f"{inputs_of(layer)}, {len(rows)}, {digit_count(layer)}, {tables[-1].name}"
        structures.append(Structure(part, values, start))
    return fast_kernel(_MATRIX, step, structures, tables)


def _content(layer: Conv2d | FullyConnected) -> IntArray:
    """The bytes of the table, int64 ``[channels, bytes of a channel]``."""
    channels = len(layer.bias)
    halves = layer.weights.astype(np.int64) // 2
    rows = halves.reshape(channels, -1, _run(layer))
    packed = packed_rows(digits_of(rows, digit_count(layer))).swapaxes(0, 1).reshape(channels, -1)
    q, bias = channel_q(layer), quotient_bias(layer)
    head = np.stack([q & 0xFF, q >> 8, *(bias >> shift & 0xFF for shift in (0, 8, 16))], axis=1)
    return np.concatenate([head, packed], axis=1)


def _table(name: str, content: IntArray) -> Table:
    return Table(f"{name}_table", "uint8_t", content.ravel(), "as le_compact.h describes it")


def _run(layer: Conv2d | FullyConnected) -> int:
    """Weights that follow each other as their inputs do."""
    return inputs_of(layer) if isinstance(layer, FullyConnected) else int(np.prod(layer.weights.shape[2:]))


def _convolution(step: Step, layer: Conv2d, table: str) -> str:
    """The values of le_compact_conv2d."""
    by = windows_of(layer, step.pool)
    height, width, inputs = step.input.shape
    line = width * inputs
    sizes = [height, width, inputs, *step.output.shape]
    strides = [-by.padding[0] * line - by.padding[1] * inputs, line, by.step[0] * line, by.step[1] * inputs]
    window = [_run(layer), by.stride[1] * inputs]
    small = [by.window[0], by.stride[0], *by.pool, *by.step, *by.padding, *by.patch]
    last = [step.input.zero_point, digit_count(layer)]
    lines = [", ".join(map(str, values)) for values in (sizes, strides, window, small, last)]
    return "\n    " + ",\n    ".join([*lines, table]) + "\n"
