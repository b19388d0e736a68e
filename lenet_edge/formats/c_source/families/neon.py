"""Kernels for AArch64, with and without the dot product: tables for firmware/kernels/neon, described in le_neon.h."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from lenet_edge.formats.c_source.families.plain import windows_text
from lenet_edge.formats.c_source.families.shared import Function, Structure, aligned, fast_kernel, function_of, padded
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.steps import Step, Windows, windows_of
from lenet_edge.formats.c_source.tables import Table, double_rounding_of, folded_bias
from lenet_edge.quantized.model import Conv2d, DepthwiseConv2d, FullyConnected, Weighted
from lenet_edge.quantized.tie_free import channel_q

__all__ = ["kernels", "packing_of", "quads", "quads_together", "tap_table", "taps_together"]

IntArray = npt.NDArray[np.int64]

_function = partial(function_of, "neon", "neon")
_MATRIX = _function("matrix", "fully_connected", "matrix", "le_neon.h", "le_fully_connected_neon.c")
_POSITIONS = ("le_neon.h", "neon/le_positions_neon.h")  # the second has no structures
_ROWS = _function("rows", "conv2d_rows", "rows", *_POSITIONS, "le_conv2d_rows_neon.c")
_PACKED = _function("packed", "conv2d_packed", "packed", *_POSITIONS, "le_conv2d_packed_neon.c")
_DEPTHWISE = _function("depthwise", "depthwise", "depthwise", "le_neon.h", "le_depthwise_neon.c")

_GROUP = 4  # LE_NEON_GROUP
_BLOCK = 16  # LE_NEON_BLOCK
_LARGEST = 0xFFFF  # what the C structures hold
_LARGEST_PRODUCTS = (2**15 - 1) // 128  # the sum of |weights| whose products with any int8 fit an int16 when added


@dataclass(frozen=True)
class _Requantization:
    """What becomes of a layer's sums, per channel, as le_neon.h has it.

    Attributes:
        bias: what the sums begin with.
        multiplier: for SQRDMULH.
        shift: 0 or to the right, which is negative; None on the tie-free grid.
        zero_point: what is added to the results.
    """

    bias: IntArray
    multiplier: IntArray
    shift: IntArray | None
    zero_point: int


@dataclass(frozen=True)
class _Image:
    """What the windows of a step slide over.

    Attributes:
        lines: of the copy in scratch; 0 where the kernel reads the input itself.
        line: bytes from one to the next.
    """

    lines: int
    line: int

    @property
    def scratch_bytes(self) -> int:
        """Of the copy, and what loads may reach beyond it."""
        return aligned(self.lines * self.line + _BLOCK - 1) if self.lines else 0


def kernels(step: Step, name: str, *, divisible: bool) -> Sequence[Kernel] | str:
    """The fast kernels of a step with weights, or why there is none; see `families`."""
    layer = step.layer
    assert isinstance(layer, (Conv2d, DepthwiseConv2d, FullyConnected))
    by = _requantization_of(layer, divisible=divisible)
    if isinstance(by, str):
        return by
    if isinstance(layer, FullyConnected):
        return [_fully_connected(step, layer, name, by)]
    if isinstance(layer, DepthwiseConv2d):
        depthwise = _depthwise(step, layer, name, by)
        return depthwise if isinstance(depthwise, str) else [depthwise]
    return _convolutions(step, layer, name, by)


def _requantization_of(layer: Weighted, *, divisible: bool) -> _Requantization | str:
    if divisible:
        q = channel_q(layer)
        # Halved weights: the sums are half the accumulator. The bias is even too, with the input's zero point in it.
        bias = folded_bias(layer) // 2 + q * layer.output.zero_point
        return _Requantization(bias, np.minimum((2**32 // q + 1) // 2, 2**31 - 1), None, 0)
    double = double_rounding_of(layer)
    if (double.shift > 0).any():
        return "a channel's scale is 1 or more"
    # Modulo 2^32, as the sums are: the accumulator fits an int32, its bias alone may not.
    bias = (double.bias + 2**31) % 2**32 - 2**31
    return _Requantization(bias, double.multiplier, double.shift, layer.output.zero_point)


def _fully_connected(step: Step, layer: FullyConnected, name: str, by: _Requantization) -> Kernel:
    rows = _weights(layer, by)[:, np.newaxis]
    tables = _matrix_tables(rows, name, by)
    return _kernel(_MATRIX, step, Structure(name, _matrix_text(step, rows, name, by)), tables, 0)


def _convolutions(step: Step, layer: Conv2d, name: str, by: _Requantization) -> Sequence[Kernel] | str:
    weights = _weights(layer, by)
    rows = weights.reshape(*weights.shape[:2], -1)
    if rows.shape[2] > _LARGEST:
        return f"a row of its window has more than {_LARGEST} inputs"
    image = _image(step, layer, rows.shape[2])
    if isinstance(image, str):
        return image
    found = [_rows(step, rows, image, name, by)]
    if rows.shape[2] < _BLOCK and (packing := packing_of(rows.shape[1], rows.shape[2], image.line)) is not None:
        packed = _packed(step, rows, packing, image, name, by)
        found.insert(0 if _is_packed_better(*rows.shape) else 1, packed)
    return found


def _rows(step: Step, rows: IntArray, image: _Image, name: str, by: _Requantization) -> Kernel:
    matrix = _matrix_text(step, rows, name, by)
    values = f"\n    {windows_text(step)},\n    {{{matrix}}},\n    {{{image.lines}, {image.line}}}\n"
    return _kernel(_ROWS, step, Structure(name, values), _matrix_tables(rows, name, by), image.scratch_bytes)


def _packed(
    step: Step, rows: IntArray, packing: tuple[IntArray, IntArray], image: _Image, name: str, by: _Requantization
) -> Kernel:
    windows = rows.reshape(len(rows), 1, -1)
    matrix = _matrix_text(step, windows, name, by)
    sizes = f"{{{image.lines}, {image.line}}}, {name}_offsets, {name}_places"
    values = f"\n    {windows_text(step)},\n    {{{matrix}}},\n    {sizes}\n"
    tables = (
        *_matrix_tables(windows, name, by),
        Table(f"{name}_offsets", "uint32_t", packing[0], "of the rows of a window, by sixteen bytes of it"),
        Table(f"{name}_places", "uint8_t", packing[1], "of sixteen bytes of a window in these rows"),
    )
    return _kernel(_PACKED, step, Structure(name, values), tables, image.scratch_bytes)


def _is_packed_better(channels: int, height: int, width: int) -> bool:
    """Whether a window costs less with its bytes next to each other, for four positions.

    Args:
        width: bytes in a row of the window.
    """
    groups = min(-(-channels // _GROUP), 4)
    row = 4 + 6 + 5 * groups * -(-width // 4)  # loads, what a row takes besides, SDOT and loads of weights
    block = 20  # loads of rows, TBL
    return -(-height * width // _BLOCK) * block + 5 * groups * -(-height * width // 4) < height * row


def _depthwise(step: Step, layer: DepthwiseConv2d, name: str, by: _Requantization) -> Kernel | str:
    image = _image(step, layer, layer.input.shape[2])
    if isinstance(image, str):
        return image
    weights = _weights(layer, by)
    together = taps_together(weights)
    table = tap_table(weights, together)
    sizes = f"{table.shape[1]}, {together}, {name}_weights"
    to = _to(step, name, by)
    values = f"\n    {windows_text(step)},\n    {sizes}, {to},\n    {{{image.lines}, {image.line}}}\n"
    tables = (_weight_table(table, name, by), *_requantization_tables(by, name, _BLOCK))
    return _kernel(_DEPTHWISE, step, Structure(name, values), tables, 4 * table.shape[1] + image.scratch_bytes)


def _kernel(function: Function, step: Step, structure: Structure, tables: Sequence[Table], scratch: int) -> Kernel:
    """A kernel whose function clamps too."""
    return fast_kernel(function, step, [structure], tables, scratch, clamps=True)


def _image(step: Step, layer: Conv2d | DepthwiseConv2d, bytes_at_once: int) -> _Image | str:
    """What the windows slide over, or why it is too large; `bytes_at_once` of a window are loaded by sixteens."""
    windows = windows_of(layer, step.pool)
    lines, columns = (
        (size - 1) * pace + patch
        for size, pace, patch in zip(step.output.shape[:2], windows.step, windows.patch, strict=True)
    )
    if lines > _LARGEST:
        return f"it has more than {_LARGEST} rows with their padding"
    height, width, channels = layer.input.shape
    if _is_inside(windows, (lines, columns), (height, width)) and bytes_at_once % _BLOCK == 0:
        return _Image(0, width * channels)
    return _Image(lines, columns * channels)


def _is_inside(windows: Windows, seen: tuple[int, int], size: tuple[int, int]) -> bool:
    """Whether no window hangs over an edge of the input."""
    return not any(windows.padding) and seen[0] <= size[0] and seen[1] <= size[1]


# --- tables ---------------------------------------------------------------------------------------


def _weights(layer: Weighted, by: _Requantization) -> IntArray:
    """Whole, or on the tie-free grid, where they are even, halved."""
    weights: IntArray = layer.weights.astype(np.int64) // (2 if by.shift is None else 1)
    return weights


def packing_of(height: int, width: int, line: int) -> tuple[IntArray, IntArray] | None:
    """Where sixteen bytes each of a window lie: (offsets of rows ``[blocks, 4]``, places in them ``[blocks, 16]``).

    Args:
        height, width: rows of the window, bytes in each, below 16.
        line: bytes from a line of the image to the next.

    Returns:
        None where sixteen bytes lie in more than four rows.
    """
    count = height * width
    at = np.arange(-(-count // _BLOCK) * _BLOCK).reshape(-1, _BLOCK)
    rows = np.minimum(at[:, :1] // width + np.arange(4), height - 1)
    place = _BLOCK * (at // width - at[:, :1] // width) + at % width
    if place[at < count].max() >= 4 * _BLOCK:
        return None
    return rows * line, np.where(at < count, place, 255)


def quads(rows: IntArray) -> IntArray:
    """Weights ``[channels, rows, inputs]`` -> ``[groups, rows, quads, 4 channels, 4 inputs]``."""
    filled = padded(padded(rows, 4, axis=2), _GROUP)
    return filled.reshape(-1, _GROUP, rows.shape[1], filled.shape[2] // 4, 4).transpose(0, 2, 3, 1, 4)


def quads_together(table: IntArray) -> int:
    """How many quads of a table of `quads` the kernel may add as int16 before it widens the sum: 4, 2 or 1.

    What is added are quads of one register of sixteen inputs: four that follow each other, or those that are left.
    """
    runs = padded(np.abs(table), 4, axis=2).reshape(*table.shape[:2], -1, 4, *table.shape[3:])
    for count in (4, 2):
        sums = runs.reshape(*runs.shape[:3], 4 // count, count, *table.shape[3:]).sum(axis=4)
        if sums.max() <= _LARGEST_PRODUCTS:
            return count
    return 1


def tap_table(weights: IntArray, together: int) -> IntArray:
    """Weights ``[height, width, channels]`` -> ``[sixteens, taps, 16]``, the taps filled up to whole runs."""
    filled = padded(padded(weights.reshape(-1, weights.shape[2]), together), _BLOCK, axis=1)
    return filled.reshape(len(filled), -1, _BLOCK).transpose(1, 0, 2)


def taps_together(weights: IntArray) -> int:
    """How many taps of ``[height, width, channels]`` are best added as int16: 4 to 1, as far as they fit.

    A tap takes 7 instructions, and what follows so many taps, the sum of the int16, 8.
    """
    taps = np.abs(weights.reshape(-1, weights.shape[2]))
    costs = {}
    for count in (1, 2, 3, 4):
        runs = padded(taps, count)
        if runs.reshape(-1, count, taps.shape[1]).sum(axis=1).max() <= _LARGEST_PRODUCTS:
            costs[count] = 7 * len(runs) + 8 * (len(runs) // count)
    return min(costs, key=lambda count: (costs[count], -count))


def _matrix_text(step: Step, rows: IntArray, name: str, by: _Requantization) -> str:
    channels, _, inputs = rows.shape
    sizes = f"{inputs}, {channels}, {-(-inputs // 4)}, {quads_together(quads(rows))}"
    return f"{sizes}, {name}_weights, {_to(step, name, by)}"


def _matrix_tables(rows: IntArray, name: str, by: _Requantization) -> tuple[Table, ...]:
    return (_weight_table(quads(rows), name, by), *_requantization_tables(by, name, _GROUP))


def _weight_table(values: IntArray, name: str, by: _Requantization) -> Table:
    layout = "".join(f"[{size}]" for size in values.shape)
    halved = "halved, " if by.shift is None else ""
    return Table(f"{name}_weights", "int8_t", values, f"{halved}{layout} as le_neon.h describes it")


def _to(step: Step, name: str, by: _Requantization) -> str:
    """A le_neon_requantization."""
    shift = "NULL" if by.shift is None else f"{name}_shift"
    return f"{{{name}_bias, {name}_multiplier, {shift}, {by.zero_point}, {step.clamp[0]}, {step.clamp[1]}}}"


def _requantization_tables(by: _Requantization, name: str, group: int) -> tuple[Table, ...]:
    how = "2^31 / q, rounded" if by.shift is None else "Q0.31"
    tables = (
        Table(f"{name}_bias", "int32_t", padded(by.bias, group), "what the sums begin with: see le_neon.h"),
        Table(f"{name}_multiplier", "int32_t", padded(by.multiplier, group), how),
    )
    if by.shift is None:
        return tables
    return (*tables, Table(f"{name}_shift", "int32_t", padded(by.shift, group), "0, or negative: to the right"))
