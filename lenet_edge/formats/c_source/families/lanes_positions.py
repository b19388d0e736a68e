"""Convolutions by lanes, two positions at a time: tables for le_conv2d_positions_*.c, described in le_lanes.h.

Inputs are signed here. A chunk of taps is summed in one word, whose lanes are a and b: the generator proves that both
stay within int16 for any inputs, and takes the longest chunk of those that the assembly has.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lenet_edge.formats.c_source.families.plain import windows_text
from lenet_edge.formats.c_source.families.shared import (
    PATCHES_HEADER,
    Structure,
    aligned,
    bias_of,
    fast_kernel,
    function_of,
    inputs_of,
    offset_problem,
    padded,
)
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.steps import Step
from lenet_edge.formats.c_source.tables import Table, double_rounding_of
from lenet_edge.quantized.model import Conv2d
from lenet_edge.quantized.tie_free import channel_q

__all__ = ["CHUNKS", "PAIRS", "chunks_of", "kernel", "layer_pairs", "position_words", "taps_of"]

IntArray = npt.NDArray[np.int64]

CHUNKS = (8, 4, 2)  # taps, as le_positions_*.S has them
PAIRS = {"cortex_m": 1, "rv32": 2}  # assembly -> pairs of output channels at once
_HALF = 1 << 15  # of a lane
_FUNCTIONS = {
    (assembly, divisible): function_of(
        *("lanes", "lanes", f"positions, {2 * pairs} channels", operator, "positions"),
        *("le_lanes.h", "lanes/le_positions_lanes.h", PATCHES_HEADER, f"le_{operator}_lanes.c"),
    )
    for assembly, pairs in PAIRS.items()
    for divisible, operator in ((True, "conv2d_positions"), (False, "conv2d_positions_double"))
}


def kernel(step: Step, name: str, assembly: str, *, divisible: bool) -> Kernel | str:
    """The kernel of a convolution whose requantisation `lanes.kernels` takes, or why there is none."""
    layer = step.layer
    assert isinstance(layer, Conv2d)
    taps = taps_of(layer)
    problem = offset_problem(8 * taps) or _lanes_problem(layer, assembly, divisible=divisible)
    if problem:
        return problem
    words = position_words(layer, assembly, divisible=divisible)
    table = Table(f"{name}_table", "uint32_t", words, "as le_lanes.h describes it for positions")
    others = f"{layer.output.zero_point}, {step.clamp[0]}, {step.clamp[1]}"
    structure = Structure(name, f"\n    {windows_text(step)},\n    {taps}, {others}, {table.name}\n")
    scratch = 8 * taps + (0 if step.pool is None else aligned(2 * len(layer.bias)))
    function = _FUNCTIONS[assembly, divisible]
    return fast_kernel(function, step, [structure], [table], scratch, clamps=not divisible)


def _lanes_problem(layer: Conv2d, assembly: str, *, divisible: bool) -> str:
    if divisible:
        return ""  # four halves of 63 fit
    fits = chunks_of(layer_pairs(layer, divisible=divisible), PAIRS[assembly]).all()
    return "" if fits else "two of its weights do not fit a lane of 16 bits"


def taps_of(layer: Conv2d) -> int:
    """Of a patch, as many as the kernel counts: chunks of eight where that makes few of nothing, else of four."""
    inputs = inputs_of(layer)
    return -(-inputs // 8) * 8 if -inputs % 8 < 4 else -(-inputs // 4) * 4


def layer_pairs(layer: Conv2d, *, divisible: bool) -> IntArray:
    """What is in the lanes, ``[pairs, 2, taps]``: the weights, on the tie-free grid by two, filled up with zeros.

    Raises:
        AssertionError: a weight is odd, which the tie-free grid excludes.
    """
    weights = layer.weights.astype(np.int64).reshape(len(layer.bias), -1)
    assert not divisible or not (weights % 2).any()
    found = np.zeros((len(weights), taps_of(layer)), np.int64)
    found[:, : weights.shape[1]] = weights // 2 if divisible else weights
    return padded(found, 2).reshape(-1, 2, found.shape[1])


def chunks_of(pairs: IntArray, at_once: int) -> IntArray:
    """Per pair of channels how many taps a chunk has; 0 where not even the shortest fits.

    Args:
        pairs: as of `layer_pairs`.
        at_once: how many pairs have the same chunks.
    """
    found = np.zeros(len(pairs), np.int64)
    for chunk in CHUNKS[::-1]:
        if pairs.shape[2] % chunk:
            continue
        parts = pairs.reshape(len(pairs), 2, -1, chunk)
        above, below = np.maximum(parts, 0).sum(axis=3), np.maximum(-parts, 0).sum(axis=3)
        largest, least = 127 * above + 128 * below, -128 * above - 127 * below
        fits = ((largest < _HALF) & (least >= -_HALF)).all(axis=(1, 2))
        for first in range(0, len(fits), at_once):
            fits[first : first + at_once] = fits[first : first + at_once].all()
        found[fits] = chunk
    return found


def position_words(layer: Conv2d, assembly: str, *, divisible: bool) -> IntArray:
    """The table of le_lanes.h for positions."""
    pairs = layer_pairs(layer, divisible=divisible)
    chunks = chunks_of(pairs, PAIRS[assembly])
    words = pairs[:, 0] + (pairs[:, 1] << 16)
    requantization = (_division if divisible else _double_rounding)(layer, assembly)
    behind = padded(requantization, 2).reshape(len(pairs), 2, -1)
    behind[:, 0, 0] -= _HALF * (pairs.shape[2] // chunks)  # what the kernel adds to the sum of a
    table: IntArray = np.concatenate([chunks[:, None], words, behind.reshape(len(pairs), -1)], axis=1).ravel()
    return table & 0xFFFFFFFF


def _division(layer: Conv2d, assembly: str) -> IntArray:
    """Per channel offset, limit, and the reciprocal of q, for Cortex-M in two parts."""
    q = channel_q(layer).astype(np.int64)
    offset = (bias_of(layer) - 1) // 2 + 128 * q
    if assembly == "rv32":
        return np.stack([offset, 256 * q, (1 << 32) // q + 1], axis=1)
    upper, lower = np.divmod((1 << 28) // q + 1, 1 << 14)
    return np.stack([offset, 256 * q, upper, lower], axis=1)


def _double_rounding(layer: Conv2d, assembly: str) -> IntArray:
    """Per channel bias, multiplier and shift of TFLM's requantisation, as each assembly has them."""
    by = double_rounding_of(layer)
    shift = np.where(by.multiplier == 0, 1, -by.shift)
    if assembly == "rv32":
        return np.stack([by.bias, by.multiplier, shift - 1], axis=1)
    return np.stack([by.bias, by.multiplier >> 16, by.multiplier & 0xFFFF, shift], axis=1)
