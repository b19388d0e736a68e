"""Convolutions on Cortex-M with the DSP extension as a matrix for several positions: tables for le_positions_dsp.h."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lenet_edge.formats.c_source.families.dsp_requantization import Requantization, requantization_of
from lenet_edge.formats.c_source.families.plain import windows_text
from lenet_edge.formats.c_source.families.shared import (
    LARGEST_OFFSET,
    Structure,
    aligned,
    fast_kernel,
    function_of,
    inputs_of,
    largest_sum,
    padded,
)
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.steps import Step, windows_of
from lenet_edge.formats.c_source.tables import Table
from lenet_edge.quantized.model import Conv2d, channel_weights

__all__ = [
    "by_rows",
    "endings",
    "filled_rows",
    "in_pairs",
    "kernel",
    "loops",
    "pair_words",
    "pairs_order",
    "problem",
    "words",
]

IntArray = npt.NDArray[np.int64]

_FUNCTIONS = {
    positions: function_of(
        *("cortex_m_dsp", "dsp", "positions", "conv2d_positions", "positions"),
        *("le_dsp.h", "cortex_m_dsp/le_requantize_dsp.h", "cortex_m_dsp/le_positions_dsp.h"),
        *("le_conv2d_positions_dsp.c", f"le_positions_{positions}_dsp.S"),
    )
    for positions in (3, 4)
}
_POINT = 16  # LE_DSP_POINT
_MORE = 7  # bits of b that SMMLA keeps of 256 times its product


def kernel(step: Step, layer: Conv2d, name: str, *, divisible: bool) -> Kernel:
    """The kernel of a convolution of which there is no `problem`."""
    positions = 3 if step.pool is None else 4
    table = Table(f"{name}_table", "uint32_t", words(step, layer, divisible=divisible), "as le_positions_dsp.h has it")
    block = f"le_positions_{positions}_{_rounding(step, layer, divisible=divisible)}_dsp_s8"
    functions = f"{block}, le_widen_{positions}_dsp_s8, {'le_widen_rows_3_dsp_s8' if step.pool is None else 0}"
    values = f"\n    {windows_text(step)},\n    {_steps(layer)}, {positions}, {table.name}, {functions}\n"
    return fast_kernel(_FUNCTIONS[positions], step, [Structure(name, values)], [table], _scratch(layer, positions))


def problem(step: Step, layer: Conv2d, *, divisible: bool) -> str:
    """Why the kernel cannot have a layer that has no `requantization_problem`; empty where it can."""
    if step.pool is not None and step.pool.window != (2, 2):
        return "it is pooled by other windows than 2 x 2"
    if _steps(layer) > LARGEST_OFFSET:
        return f"a window has more than {4 * LARGEST_OFFSET} inputs"
    pairs = padded(channel_weights(layer).astype(np.int64), 2)
    if (256 * pairs[1::2] + pairs[::2] < -(2**15)).any():
        return "a weight is -128 next to a negative one"
    by = requantization_of(layer, divisible=divisible)
    largest = _largest(layer, by)
    fits = (256 * largest[1::2] + largest[::2]).max() < 2**31
    return "" if fits else "its sums times 256 do not fit an int32"


def _largest(layer: Conv2d, by: Requantization) -> IntArray:
    """Per channel the largest |accumulator|, its bias in it; for whole pairs of channels."""
    return padded(np.abs(by.bias // by.times) + largest_sum(layer), 2)


def by_rows(layer: Conv2d) -> bool:
    """LE_DSP_BY_ROWS: whether rows of windows are widened where they lie in the input."""
    row = int(layer.weights[0, 0].size)
    return row % 4 == 0 and (layer.weights.shape[1] == 1 or row >= 16)


def filled_rows(layer: Conv2d) -> bool:
    """LE_DSP_FILLED_ROWS: whether rows are widened there, up to three bytes behind each with them."""
    row, tall = int(layer.weights[0, 0].size), int(layer.weights.shape[1])
    return not by_rows(layer) and tall * -(-row // 4) == _steps(layer)


def _rounding(step: Step, layer: Conv2d, *, divisible: bool) -> str:
    """Which requantisation of le_positions_dsp.h; "above" where all below the zero point is clamped to it."""
    if divisible:
        return "tie_free"
    if step.clamp[0] < layer.output.zero_point:
        return "double"
    by = requantization_of(layer, divisible=False)
    shift = by.factors[:, 2]
    fits = _largest(layer, by)[: len(shift)] * 2.0 ** (_POINT + 1 - shift) < 2**31
    return "above" if fits.all() and shift.max() < _POINT else "double"


# --- sizes ----------------------------------------------------------------------------------------


def _steps(layer: Conv2d) -> int:
    return -(-inputs_of(layer) // 4)


def _scratch(layer: Conv2d, positions: int) -> int:
    """The strip, patches and outputs, as the C lays them out."""
    patch = int(layer.weights[0, 0].size) if by_rows(layer) else 4 * _steps(layer)
    return aligned(positions * (8 * _steps(layer) + patch + len(layer.bias) + len(layer.bias) % 2))


def loops(step: Step, positions: int, inside: int) -> dict[str, int]:
    """How often its loops run, as `loops.loops_of` has it.

    Args:
        positions: of the convolution, that are computed.
        inside: of these, whose windows lie inside the input.
    """
    layer = step.layer
    assert isinstance(layer, Conv2d)
    row, tall, pooled = int(layer.weights[0, 0].size), int(layer.weights.shape[1]), step.pool is not None
    blocks = -(-positions // (4 if pooled else 3))
    groups, rows, pixels = blocks * -(-len(layer.bias) // 2), by_rows(layer), _is_by_pixels(layer)
    runs = 0 if pooled or pixels else _runs(step, layer)
    copied = 0 if rows else inside - 3 * runs if filled_rows(layer) else inside
    return {
        "blocks": blocks,
        "runs": runs,
        "single": 0 if pooled or pixels else blocks - runs,
        "rows": (blocks - runs) * tall if rows and not pixels else 0,
        "rows of runs": runs * tall if rows or filled_rows(layer) else 0,
        "widened": blocks * _steps(layer),
        "patches": copied,
        "rows of patches": copied * tall,
        "words of patches": copied * tall * (row // 4),
        "windows at edges": positions - inside,
        "words at edges": (positions - inside) * tall * -(-row // 4),
        "groups": 0 if pooled else groups,
        "steps": 0 if pooled else groups * _steps(layer),
        "pooled groups": groups if pooled else 0,
        "pooled steps": groups * _steps(layer) if pooled else 0,
        "groups of both signs": groups if step.clamp[0] < step.output.zero_point else 0,
    }


def _is_by_pixels(layer: Conv2d) -> bool:
    """1 x 1 of whole words, stride 1: pixels are widened one behind the other."""
    return layer.weights.shape[1:3] == (1, 1) and layer.stride == (1, 1) and layer.input.shape[2] % 4 == 0


def _runs(step: Step, layer: Conv2d) -> int:
    """Of the blocks of three positions those that lie in a row, with their windows inside the input."""
    by, (height, width, _) = windows_of(layer, step.pool), step.output.shape
    down, across = (
        [
            0 <= index * by.step[axis] - by.padding[axis] <= layer.input.shape[axis] - by.window[axis]
            for index in range(count)
        ]
        for axis, count in enumerate((height, width))
    )
    starts = (divmod(first, width) for first in range(0, height * width - 2, 3))
    return sum(down[row] and left + 2 < width and across[left] and across[left + 2] for row, left in starts)


# --- tables ---------------------------------------------------------------------------------------


def pairs_order(count: int) -> IntArray:
    """Which inputs the halves of the words hold, int64 ``[words, 2]``; -1 for none. See le_dsp.h."""
    whole, left = count // 4 * 4, count % 4
    words = [(first + i, first + i + 2) for first in range(0, whole, 4) for i in (0, 1)]
    rest = [*range(whole, count), *([-1] * (left % 2))]
    words += list(zip(rest[::2], rest[1::2], strict=True))
    return np.array(words, np.int64).reshape(-1, 2)


def in_pairs(weights: IntArray, order: IntArray) -> IntArray:
    """``[..., inputs]`` -> ``[..., words]``: int16 halves, low half first; 0 where `order` has -1."""
    padded = np.concatenate([weights, np.zeros((*weights.shape[:-1], 1), np.int64)], axis=-1)
    halves = padded[..., order] & 0xFFFF
    words: IntArray = halves[..., 0] | halves[..., 1] << 16
    return words


def pair_words(weights: IntArray) -> IntArray:
    """``[outputs, inputs]`` -> ``[pairs of outputs, words]``: 256 b + a as int16 halves, in steps of four inputs."""
    outputs = padded(weights, 2)
    lower, upper = outputs[::2], outputs[1::2]
    halves = 256 * (upper - (lower < 0)) + (lower & 0xFF)  # the int16 256 b + a, as its two bytes
    order = pairs_order(weights.shape[1])
    order = np.concatenate([order, np.full((-len(order) % 2, 2), -1)])
    return in_pairs(halves, order)


def words(step: Step, layer: Conv2d, *, divisible: bool) -> IntArray:
    """The table of le_positions_dsp.h: uint32 in int64, one pair of channels behind the other."""
    weights = channel_weights(layer).astype(np.int64)
    if filled_rows(layer):
        weights = padded(weights.reshape(*layer.weights.shape[:2], -1), 4, axis=2).reshape(len(weights), -1)
    weights = padded(weights, 4, axis=1)  # also the last step is widened by SXTB16
    by, rounding = requantization_of(layer, divisible=divisible), _rounding(step, layer, divisible=divisible)
    parts = (_first(by), pair_words(weights), endings(by.factors, rounding))
    return np.concatenate(parts, axis=1).ravel() & 0xFFFFFFFF


def _first(by: Requantization) -> IntArray:
    """What the sums S and A of pairs of channels begin with, ``[pairs, 2]``."""
    biases = padded(by.bias // by.times, 2)
    return np.stack([256 * biases[1::2] + biases[::2], biases[::2]], axis=1)


def endings(factors: IntArray, rounding: str) -> IntArray:
    """What the requantisations of a and b take, a pair a row, of the factors of `Requantization`.

    "above" is for outputs that are clamped to the zero point from below. There the one less of a negative product is of
    no consequence, and TFLM's output is floor((floor(v + 1/2) + addend) / 2^s), v = x m / 2^31. Floors nest, so that
    floor((floor(2^j v) + 2^j addend + 2^(j-1)) / 2^(s+j)) is the same for j from 1 on. SMMLA makes floor(2^j v) of
    2^(j+1) x: a is shifted to the left until s + j is LE_DSP_POINT; b has 256 x, j = 7.
    """
    ending = padded(factors, 2).reshape(-1, 2, factors.shape[1])
    if rounding == "above":
        more = np.stack([_POINT - ending[:, 0, 2], np.full(len(ending), _MORE)], axis=1)
        ending[:, :, 1] = ending[:, :, 1] * 2**more + 2 ** (more - 1)
        ending[:, :, 2] = np.stack([more[:, 0] + 1, ending[:, 1, 2] + _MORE], axis=1)
    return ending.reshape(len(ending), -1)
