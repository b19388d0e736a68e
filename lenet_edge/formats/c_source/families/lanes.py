"""Two output channels in the lanes of one word: kernels for scalar instruction sets (firmware/kernels/lanes).

On the tie-free grid all weights are even, so their halves h, from -63 to 63, are enough; and with the activations as
u = x + 128, from 0 to 255, the sum of the products h u over a chunk of taps ranges over 255 times the sum of |h|. Where
that is below 2^16 for both channels, and the sums begin high enough, one 32-bit multiplication and one addition serve
both channels: a lane neither borrows nor carries. With H the sum of all chunks, n of le_kernels.h is odd, so that

    output + 128 = floor(n / 2q) + 128 = floor(K / q),   K = H + (bias - 1) / 2 + constants.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt

from lenet_edge.formats.c_source.families import lanes_connected, lanes_positions
from lenet_edge.formats.c_source.families.lanes_connected import Pair
from lenet_edge.formats.c_source.families.lanes_depthwise import depthwise, depthwise_problem
from lenet_edge.formats.c_source.families.lanes_double import double_problem, double_words
from lenet_edge.formats.c_source.families.plain import windows_text
from lenet_edge.formats.c_source.families.shared import (
    LARGEST_OFFSET,
    PATCHES_HEADER,
    Structure,
    aligned,
    bias_of,
    fast_kernel,
    function_of,
    inputs_of,
    matrix_text,
    offset_problem,
    padded,
)
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.steps import Step
from lenet_edge.formats.c_source.tables import Table
from lenet_edge.quantized.model import WEIGHTED, Conv2d, DepthwiseConv2d, FullyConnected, Weighted, channel_weights
from lenet_edge.quantized.tie_free import channel_q

__all__ = [
    "chunk_problem",
    "connected_words",
    "double_matrix_words",
    "halves",
    "kernels",
    "matrix_words",
    "offset_of",
    "pair_words",
    "strip_tiles",
    "tile_words",
]

IntArray = npt.NDArray[np.int64]

_HEADER = "le_lanes.h"

_function = partial(function_of, "lanes", "lanes")
_MATRIX_FILES = (_HEADER, "lanes/le_matrix_lanes.h", "lanes/le_requantize_lanes.h", "le_fully_connected_lanes.c")
_DOUBLE_FILES = (_HEADER, "lanes/le_matrix_lanes.h", "lanes/le_requantize_lanes.h", "le_fully_connected_double_lanes.c")
_MATRIX = _function("matrix", "fully_connected", "matrix", *_MATRIX_FILES)
_PATCHES = _function(
    "matrix, by patches", "conv2d_patches", "patches", *_MATRIX_FILES, PATCHES_HEADER, "le_conv2d_patches_lanes.c"
)
_DOUBLE_MATRIX = _function("matrix", "fully_connected_double", "matrix", *_DOUBLE_FILES)
_DOUBLE_PATCHES = _function(
    "matrix, by patches",
    "conv2d_patches_double",
    "patches",
    *_DOUBLE_FILES,
    PATCHES_HEADER,
    "le_conv2d_patches_double_lanes.c",
)
_TILE_FILES = (_HEADER, "lanes/le_tiles_lanes.h")
_TILES = _function("tiles", "conv2d_tiles", "tiles", *_TILE_FILES, "le_conv2d_tiles_lanes.c")
_CONNECTED = _function("tiles, connected", "conv2d_connected", "connected", *_TILE_FILES, "le_conv2d_connected_lanes.c")

_LARGEST_U = 255
_LANE = 1 << 16
_OUTPUTS = 8  # LE_LANES_OUTPUTS
_PAIR_OUTPUTS = 8  # bytes: of a pair of outputs and a tile
_STRIP_BYTES = 512  # of scratch, as far as it goes; a narrower strip is written in more pieces
_BEGINNING = {1: 1, 3: 2, 5: 2}  # taps -> where among their words the beginning of the lanes is


def kernels(step: Step, name: str, *, divisible: bool, assembly: str) -> Sequence[Kernel] | str:
    """The fast kernels of a step with weights, or why there is none; see `families`.

    Args:
        assembly: which instruction set's: "cortex_m" or "rv32", the suffix of le_tile_*.S and le_matrix_*.S.
    """
    layer = step.layer
    assert isinstance(layer, WEIGHTED)
    problem = "" if divisible else double_problem(layer)
    if problem:
        return problem
    if isinstance(layer, DepthwiseConv2d):
        return depthwise_problem(step) or [_depthwise(step, layer, name, divisible=divisible, assembly=assembly)]
    if isinstance(layer, FullyConnected):
        return [_with(_fully_connected(step, layer, name, divisible=divisible), "matrix", assembly)]
    found = []
    if divisible and _is_tiled(step, layer) and not chunk_problem(layer):
        found.append(_with(_tiles(step, layer, name), "tile", assembly))
        if pairs := lanes_connected.pairs_of(layer):
            found.append(_with(_connected(step, layer, name, pairs), "tile", assembly))
    problem = offset_problem(_outputs_offset(layer))
    if not problem:
        found.append(_with(_patches(step, layer, name, divisible=divisible), "matrix", assembly))
    positions = lanes_positions.kernel(step, name, assembly, divisible=divisible)
    if isinstance(positions, Kernel):
        found.insert(len(found) if divisible else 0, _with(positions, "positions", assembly))
    return found or problem


def _with(kernel: Kernel, part: str, assembly: str) -> Kernel:
    """With its part in assembly."""
    return replace(kernel, sources=(*kernel.sources, f"lanes/le_{part}_{assembly}.S"))


def _is_tiled(step: Step, layer: Conv2d) -> bool:
    taps = layer.weights.shape[1:3]
    pooled = step.pool is None or (step.pool.window, step.pool.stride) == ((2, 2), (2, 2))
    return (
        pooled
        and taps[0] == taps[1]
        and taps[0] in _BEGINNING
        and layer.stride == (1, 1)
        and max(_weights_bytes(layer), _plane(layer)) <= LARGEST_OFFSET
    )


def _fully_connected(step: Step, layer: FullyConnected, name: str, *, divisible: bool) -> Kernel:
    structure, scratch = Structure(name, matrix_text(layer, name)), aligned(inputs_of(layer))
    if divisible:
        return fast_kernel(_MATRIX, step, [structure], [_matrix_table(matrix_words(layer), name)], scratch)
    table = _matrix_table(double_matrix_words(layer, step.clamp), name)
    return fast_kernel(_DOUBLE_MATRIX, step, [structure], [table], scratch, clamps=True)


def _patches(step: Step, layer: Conv2d, name: str, *, divisible: bool) -> Kernel:
    outputs = _outputs_offset(layer)
    places = f"{{{matrix_text(layer, name)}}}, {aligned(inputs_of(layer))}, {outputs}"
    structure = Structure(name, f"\n    {windows_text(step)},\n    {places}\n")
    scratch = outputs + aligned(len(layer.bias))
    if divisible:
        return fast_kernel(_PATCHES, step, [structure], [_matrix_table(matrix_words(layer), name)], scratch)
    table = _matrix_table(double_matrix_words(layer, step.clamp), name)
    return fast_kernel(_DOUBLE_PATCHES, step, [structure], [table], scratch, clamps=True)


def _depthwise(step: Step, layer: DepthwiseConv2d, name: str, *, divisible: bool, assembly: str) -> Kernel:
    if not divisible:
        return depthwise(step, name, double_words(layer, step.clamp), divisible=False, assembly=assembly)
    q = channel_q(layer).astype(np.int64)
    behind = np.stack([offset_of(layer), 256 * q, (1 << 28) // q + 1], axis=1)
    return depthwise(step, name, behind, divisible=True, assembly=assembly)


def _tiles(step: Step, layer: Conv2d, name: str) -> Kernel:
    table = Table(f"{name}_table", "uint32_t", tile_words(layer), "as le_lanes.h describes it")
    tiles, pooled = strip_tiles(step, layer), int(step.pool is not None)
    plane = _plane(layer)
    sizes = f"{tiles}, {_weights_bytes(layer)}, {plane}, {pooled}"
    structure = Structure(name, f"\n    {windows_text(step)},\n    {sizes}, {table.name}\n")
    scratch = aligned(_strip_bytes(layer, tiles)) + (0 if pooled else aligned(4 * plane))
    return fast_kernel(_TILES, step, [structure], [table], scratch)


def _connected(step: Step, layer: Conv2d, name: str, pairs: Sequence[Pair]) -> Kernel:
    table = Table(f"{name}_table", "uint32_t", connected_words(layer, pairs), "as le_lanes.h describes it")
    values = np.array([(pair.first, pair.count, pair.outputs[0], pair.outputs[-1]) for pair in pairs])
    runs = Table(
        f"{name}_pairs", "uint8_t", values.ravel(), "first input channel, how many, both outputs, of each pair"
    )
    tiles, channels, repeated = strip_tiles(step, layer), layer.input.shape[2], lanes_connected.repeated(layer, pairs)
    sizes = f"{tiles}, {_weights_bytes(layer) // channels}, 0, {int(step.pool is not None)}"
    body = f"\n    {{{windows_text(step)},\n    {sizes}, {table.name}}},\n    {repeated}, {len(pairs)}, {runs.name}\n"
    scratch = aligned(_strip_bytes(layer, tiles) // channels * (channels + repeated)) + _PAIR_OUTPUTS
    return fast_kernel(_CONNECTED, step, [Structure(name, body)], [table, runs], scratch)


# --- arithmetic ---------------------------------------------------------------------------------------


def halves(layer: Conv2d | FullyConnected) -> IntArray:
    """The weights by two, int64 of the weights' shape.

    Raises:
        AssertionError: one is odd, which the tie-free grid excludes.
    """
    weights = layer.weights.astype(np.int64)
    assert not (weights % 2).any()
    return weights // 2


def offset_of(layer: Weighted) -> IntArray:
    """Per channel what makes K of the sum of the products h u: from 0 on it is the output + 128 times q."""
    q, bias = channel_q(layer), bias_of(layer)
    assert (bias % 2 != 0).all()
    h = channel_weights(layer).astype(np.int64).sum(axis=1) // 2
    offsets: IntArray = (bias - 1) // 2 - 128 * h + 128 * q
    return offsets


def chunk_problem(layer: Conv2d) -> str:
    """Why a row of the kernel in one input channel does not fit a lane; empty where all do."""
    largest = _LARGEST_U * int(np.abs(halves(layer)).sum(axis=2).max())  # [channel, row, input channel]
    return f"a row of its weights reaches {largest}, which no lane of 16 bits holds" if largest >= _LANE else ""


def pair_words(layer: Conv2d) -> tuple[IntArray, IntArray, IntArray]:
    """The chunks of each pair of output channels, the last one filled up with zeros.

    Returns:
        words ``[pairs, input channels, rows, taps]``, each h_a + 65536 h_b; beginnings ``[pairs, input channels,
        rows]``, both lanes; and per channel what the beginnings add to its sum, ``[channels, padded to even]``.
    """
    h = halves(layer).transpose(0, 3, 1, 2)  # [channel, input channel, row, tap]
    h = np.concatenate([h, np.zeros((len(h) % 2, *h.shape[1:]), np.int64)])
    begin = _LARGEST_U * np.maximum(-h, 0).sum(axis=3)
    words = h[::2] + _LANE * h[1::2] & 0xFFFFFFFF
    return words, begin[::2] + _LANE * begin[1::2], begin.sum(axis=(1, 2))


# --- sizes ----------------------------------------------------------------------------------------


def _outputs_offset(layer: Conv2d) -> int:
    """Behind the matrix's scratch and the patch."""
    return 2 * aligned(inputs_of(layer))


def _plane(layer: Conv2d) -> int:
    """Bytes of the outputs of one position of a tile: the assembly stores pairs."""
    return (len(layer.bias) + 1) // 2 * 2


def strip_tiles(step: Step, layer: Conv2d) -> int:
    """How many tiles a strip has: as few pieces as `_STRIP_BYTES` allow, and these as even as can be."""
    width = step.output.shape[1]
    tiles = width if step.pool is not None else -(-width // 2)
    pieces = next((n for n in range(1, tiles) if _strip_bytes(layer, -(-tiles // n)) <= _STRIP_BYTES), tiles)
    return -(-tiles // pieces)


def _weights_bytes(layer: Conv2d) -> int:
    """Of a pair of output channels in the table of the tiles."""
    taps = int(layer.weights.shape[1])
    return 4 * int(layer.input.shape[2]) * taps * (taps + 1)


def _strip_bytes(layer: Conv2d, tiles: int) -> int:
    taps = int(layer.weights.shape[1])
    return int(layer.input.shape[2]) * (taps + 1) * (2 * tiles + taps - 1)


# --- tables ---------------------------------------------------------------------------------------


def _requantization(layer: Weighted) -> IntArray:
    """Per channel limit, floor(2^18 / q), q."""
    q = channel_q(layer).astype(np.int64)
    return np.stack([256 * q, (1 << 18) // q, q], axis=1)


def tile_words(layer: Conv2d) -> IntArray:
    """The table of le_lanes.h for tiles."""
    words, begin, added = pair_words(layer)
    at = _BEGINNING[words.shape[3]]
    chunks = np.concatenate([words[..., :at], begin[..., None], words[..., at:]], axis=3).reshape(len(words), -1)
    offsets = (padded(offset_of(layer), 2) - added).reshape(-1, 2)
    rest = padded(_requantization(layer), 2).reshape(-1, 6)
    table: IntArray = np.concatenate([offsets, chunks, rest], axis=1).ravel() & 0xFFFFFFFF
    return table


def connected_words(layer: Conv2d, pairs: Sequence[Pair]) -> IntArray:
    """The table of le_lanes.h for tiles of pairs that read a run of the channels each."""
    order = [output for pair in pairs for output in pair.outputs]
    parts = layer.weights[order], layer.bias[order], layer.weight_scales[order]
    together = tile_words(replace(layer, weights=parts[0], bias=parts[1], weight_scales=parts[2]))
    channels, taps = layer.input.shape[2], layer.weights.shape[1]
    each = together.reshape(len(pairs), -1)
    chunks = each[:, 2:-6].reshape(len(pairs), channels, taps * (taps + 1))
    runs = [(pair.first + np.arange(pair.count)) % channels for pair in pairs]
    words = [
        np.concatenate([row[:2], of[run].ravel(), row[-6:]]) for row, of, run in zip(each, chunks, runs, strict=True)
    ]
    return np.concatenate(words)


def matrix_words(layer: Conv2d | FullyConnected) -> IntArray:
    """The table of le_lanes.h for a matrix, with a convolution's weights as ``[outputs, patch]``."""
    behind = np.concatenate([offset_of(layer)[:, None], _requantization(layer)], axis=1)
    return _matrix_words(halves(layer).reshape(len(layer.bias), -1) + 64, behind)


def double_matrix_words(layer: Conv2d | FullyConnected, clamp: tuple[int, int]) -> IntArray:
    """The same for TFLM's requantisation."""
    return _matrix_words(channel_weights(layer).astype(np.int64) + 128, double_words(layer, clamp))


def _matrix_words(weights: IntArray, behind: IntArray) -> IntArray:
    """Bytes ``[outputs, inputs]`` and words ``[outputs, any]``, in groups of outputs."""
    inputs, behind = padded(padded(weights, _OUTPUTS).T, 4), padded(behind, _OUTPUTS)
    parts = []
    for first in range(0, len(behind), _OUTPUTS):
        bytes_of_group = inputs[:, first : first + _OUTPUTS].astype(np.uint8)
        parts += [bytes_of_group.ravel().view("<u4").astype(np.int64), behind[first : first + _OUTPUTS].ravel()]
    words: IntArray = np.concatenate(parts) & 0xFFFFFFFF
    return words


def _matrix_table(words: IntArray, name: str) -> Table:
    return Table(f"{name}_table", "uint32_t", words, "as le_lanes.h describes it for a matrix")
