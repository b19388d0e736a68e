"""Kernels for Cortex-M without DSP: tables for firmware/arch/cortex_m/kernels/*_base.*, described there."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from lenet_edge.formats.c_source.families.common import clamp_calls, clamp_sources
from lenet_edge.formats.c_source.families.lanes import chunk_problem, halves, offset_of, pair_words
from lenet_edge.formats.c_source.families.plain import windows_text
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.steps import Step
from lenet_edge.formats.c_source.tables import Table
from lenet_edge.quantized.model import Conv2d, DepthwiseConv2d, FullyConnected, Weighted
from lenet_edge.quantized.tie_free import channel_q

__all__ = ["kernel", "matrix_words", "tile_words"]

IntArray = npt.NDArray[np.int64]

_FOLDER = "arch/cortex_m/kernels"
_MATRIX = ("le_base.h", "le_fully_connected_base.c", "le_matrix_base.S")
_PATCHES = (*_MATRIX, "le_conv2d_patches_base.c")
_TILES = ("le_base.h", "le_conv2d_tiles_base.c", "le_tile_base.S")

_OUTPUTS = 8  # LE_BASE_OUTPUTS
_STRIP_BYTES = 400  # of scratch, as far as it goes; a narrower strip is written in more pieces
_BEGINNING = {1: 1, 3: 2, 5: 2}  # taps -> where among their words the beginning of the lanes is


def kernel(step: Step, name: str) -> Kernel | str:
    """The fast kernel of a step with weights, or why there is none; see `families`."""
    layer = step.layer
    if isinstance(layer, DepthwiseConv2d):
        return "it is depthwise"
    assert isinstance(layer, (Conv2d, FullyConnected))
    if isinstance(layer, FullyConnected):
        return _fully_connected(step, layer, name)
    if _is_tiled(step, layer) and not chunk_problem(layer):
        return _tiles(step, layer, name)
    return _patches(step, layer, name)


def _is_tiled(step: Step, layer: Conv2d) -> bool:
    taps = layer.weights.shape[1:3]
    pooled = step.pool is None or (step.pool.window, step.pool.stride) == ((2, 2), (2, 2))
    return (
        pooled
        and taps[0] == taps[1]
        and taps[0] in _BEGINNING
        and layer.stride == (1, 1)
        and _weights_bytes(layer) <= 0xFFFF
    )


def _fully_connected(step: Step, layer: FullyConnected, name: str) -> Kernel:
    return Kernel(
        name="base matrix",
        sources=_sources(step, _MATRIX),
        headers=("le_base.h",),
        tables=(_matrix_table(layer, name),),
        definitions=f"static LE_TABLE le_base_matrix {name} = {{{_matrix_text(layer, name)}}};\n",
        calls=lambda source, target, scratch: (
            f"le_fully_connected_base(&{name}, {source}, {scratch}, {target});",
            *clamp_calls(step, target),
        ),
        scratch_bytes=_aligned(_inputs(layer)),
    )


def _patches(step: Step, layer: Conv2d, name: str) -> Kernel:
    patch = _aligned(_inputs(layer))
    outputs = 2 * patch
    places = f"{{{_matrix_text(layer, name)}}}, {patch}, {outputs}"
    return Kernel(
        name="base matrix, by patches",
        sources=_sources(step, _PATCHES),
        headers=("le_base.h",),
        tables=(_matrix_table(layer, name),),
        definitions=f"static LE_TABLE le_base_patches {name} = {{\n    {windows_text(step)},\n    {places}\n}};\n",
        calls=lambda source, target, scratch: (
            f"le_conv2d_patches_base(&{name}, {source}, {scratch}, {target});",
            *clamp_calls(step, target),
        ),
        scratch_bytes=outputs + _aligned(len(layer.bias)),
    )


def _tiles(step: Step, layer: Conv2d, name: str) -> Kernel:
    table = Table(f"{name}_table", "uint32_t", tile_words(layer), "as le_tile_base.S describes it")
    strip_tiles, pooled = _strip_tiles(step, layer), int(step.pool is not None)
    plane = (len(layer.bias) + 1) // 2 * 2
    body = f"{windows_text(step)},\n    {strip_tiles}, {_weights_bytes(layer)}, {plane}, {pooled}, {table.name}"
    return Kernel(
        name="base tiles",
        sources=_sources(step, _TILES),
        headers=("le_base.h",),
        tables=(table,),
        definitions=f"static LE_TABLE le_base_tiles {name} = {{\n    {body}\n}};\n",
        calls=lambda source, target, scratch: (
            f"le_conv2d_tiles_base(&{name}, {source}, {scratch}, {target});",
            *clamp_calls(step, target),
        ),
        scratch_bytes=_aligned(_strip_bytes(layer, strip_tiles)) + (0 if pooled else _aligned(4 * plane)),
    )


def _sources(step: Step, files: tuple[str, ...]) -> tuple[str, ...]:
    return (*(f"{_FOLDER}/{file}" for file in files), *clamp_sources(step))


# --- sizes ----------------------------------------------------------------------------------------


def _aligned(size: int) -> int:
    return -(-size // 4) * 4


def _inputs(layer: Weighted) -> int:
    return math.prod(layer.weights.shape[1:])


def _strip_tiles(step: Step, layer: Conv2d) -> int:
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


def _padded(array: IntArray, multiple: int) -> IntArray:
    """Zeros behind the first axis, up to a multiple."""
    missing = -len(array) % multiple
    return np.concatenate([array, np.zeros((missing, *array.shape[1:]), np.int64)])


def tile_words(layer: Conv2d) -> IntArray:
    """The table of le_tile_base.S."""
    words, begin, added = pair_words(layer)
    at = _BEGINNING[words.shape[3]]
    chunks = np.concatenate([words[..., :at], begin[..., None], words[..., at:]], axis=3).reshape(len(words), -1)
    offsets = (_padded(offset_of(layer), 2) - added).reshape(-1, 2)
    rest = _padded(_requantization(layer), 2).reshape(-1, 6)
    table: IntArray = np.concatenate([offsets, chunks, rest], axis=1).ravel() & 0xFFFFFFFF
    return table


def matrix_words(layer: Conv2d | FullyConnected) -> IntArray:
    """The table of le_matrix_base.S, with a convolution's weights as ``[outputs, patch]``."""
    h = halves(layer).reshape(len(layer.bias), -1) + 64
    inputs = _padded(_padded(h, _OUTPUTS).T, 4)  # [inputs, outputs]
    behind = _padded(np.concatenate([offset_of(layer)[:, None], _requantization(layer)], axis=1), _OUTPUTS)
    parts = []
    for first in range(0, len(behind), _OUTPUTS):
        bytes_of_group = inputs[:, first : first + _OUTPUTS].astype(np.uint8)
        parts += [bytes_of_group.ravel().view("<u4").astype(np.int64), behind[first : first + _OUTPUTS].ravel()]
    words: IntArray = np.concatenate(parts) & 0xFFFFFFFF
    return words


def _matrix_table(layer: Conv2d | FullyConnected, name: str) -> Table:
    return Table(f"{name}_table", "uint32_t", matrix_words(layer), "as le_base.h describes it for a matrix")


def _matrix_text(layer: Conv2d | FullyConnected, name: str) -> str:
    return f"{_inputs(layer)}, {len(layer.bias)}, {-(-_inputs(layer) // 4)}, {name}_table"
