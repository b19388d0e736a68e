"""Kernels for AVRs of layers whose weights are packed: tables for firmware/kernels/avr, described there.

They have layouts of their own: five trits as a number below 243, and four bits by input, so that one is loaded for
several outputs.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from lenet_edge.formats.c_source.families import avr
from lenet_edge.formats.c_source.families.shared import Structure, aligned, bias_of, fast_kernel, inputs_of
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.steps import Step
from lenet_edge.formats.c_source.tables import LARGEST_TABLE, Table
from lenet_edge.quantized.model import FullyConnected
from lenet_edge.quantized.tie_free import channel_q

__all__ = ["four_bit_bytes", "kernel", "trit_bytes"]

IntArray = npt.NDArray[np.int64]

_FEWEST_OUTPUTS = 24  # whose inputs' sums are worth making: a third of what the plain loops take
_DIGITS = 5  # of a byte
_SUMS_BYTES = 256 + 3**_DIGITS  # of what five inputs add up to
_TRITS = avr.function(
    "trits",
    "fully_connected_trits",
    "matrix",
    *("le_avr.h", "le_avr_macros.h", "le_fully_connected_trits_avr.c", "le_trits_avr.S"),
)
_FOUR_BITS = avr.function(
    "matrix, 4 bits",
    "fully_connected_four",
    "matrix",
    *(*avr.VECTOR_FILES, "le_fully_connected_four_avr.c", "le_matrix_four_avr.S"),
)


def kernel(step: Step, name: str, packing: str, *, divisible: bool) -> Kernel | None:
    """The kernel of a step with packed weights; None where the portable one serves. See `families`."""
    layer = step.layer
    if not isinstance(layer, FullyConnected) or not divisible or avr.int24_problem(layer):
        return None
    weights, function = layer.weights.reshape(len(layer.bias), -1).astype(np.int64), _FOUR_BITS
    behind = avr.output_bytes(bias_of(layer), weights, channel_q(layer))
    if packing == "trits" and len(weights) >= _FEWEST_OUTPUTS:
        function, content = _TRITS, trit_bytes(weights // 2, behind)
        scratch = 3 * aligned(len(weights)) + _SUMS_BYTES
    elif packing == "4":
        content, scratch = four_bit_bytes(weights // 2, behind), aligned(inputs_of(layer))
    else:
        return None
    if len(content) > LARGEST_TABLE:
        return None
    table = Table(f"{name}_table", "uint8_t", content, f"as le_avr.h describes it for {packing}")
    structure = Structure(name, f"{inputs_of(layer)}, {len(weights)}, {table.name}")
    return replace(fast_kernel(function, step, [structure], [table], scratch), packing=packing)


def trit_bytes(k: IntArray, behind: IntArray) -> IntArray:
    """The table of le_fully_connected_trits_avr_s8 for k ``[outputs, inputs]``, -1 to 1; `behind` as of `avr`."""
    outputs, inputs = k.shape
    digits = np.pad(k + 1, ((0, -outputs % 4), (0, -inputs % _DIGITS)))
    numbers = digits.reshape(len(digits), -1, _DIGITS) @ 3 ** np.arange(_DIGITS - 1, -1, -1)
    for place in range(_DIGITS):  # taken out again they are what was packed
        assert np.array_equal(numbers // 3 ** (_DIGITS - 1 - place) % 3, digits[:, place::_DIGITS])
    return np.concatenate([numbers.T.ravel(), behind.ravel()])


def four_bit_bytes(k: IntArray, behind: IntArray) -> IntArray:
    """The table of le_fully_connected_four_avr_s8 for k ``[outputs, inputs]``, -8 to 7; `behind` as of `avr`."""
    outputs, inputs = k.shape
    together = avr.OUTPUTS
    padded = np.pad(k + 8, ((0, -outputs % together), (0, -inputs % 4)))
    groups = padded.reshape(-1, together, padded.shape[1]).transpose(0, 2, 1)
    packed = groups[..., ::2] | groups[..., 1::2] << 4
    assert np.array_equal(np.stack([packed & 15, packed >> 4], axis=-1).reshape(groups.shape), groups)
    ends = np.pad(behind, ((0, -outputs % together), (0, 0))).reshape(len(groups), -1)
    return np.concatenate([packed.reshape(len(groups), -1), ends], axis=1).ravel()
