"""Kernels for AVRs of layers whose weights are packed: tables for firmware/kernels/avr, described there.

They have layouts of their own: of a dense layer five trits as a number below 243, and four bits by input, so that one
is loaded for several outputs; of tiles the weights of each input begin with a byte.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from lenet_edge.formats.c_source.families import avr
from lenet_edge.formats.c_source.families.plain import windows_text
from lenet_edge.formats.c_source.families.shared import Function, Structure, aligned, fast_kernel, inputs_of
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.steps import Step
from lenet_edge.formats.c_source.tables import LARGEST_TABLE, Table
from lenet_edge.quantized.model import WEIGHTED, Conv2d, FullyConnected

__all__ = ["four_bit_bytes", "kernel", "packed_tile_bytes", "ternary_matrix_bytes", "trit_bytes"]

IntArray = npt.NDArray[np.int64]

_FEWEST_OUTPUTS = 24  # whose inputs' sums are worth making: a third of what the plain loops take
_DIGITS = 5  # of a byte
_SUMS_BYTES = 256 + 3**_DIGITS  # of what five inputs add up to
_TILED = (3, 5)
_MOST_PASSES = 255
_SUFFIX = {True: "", False: "_double"}  # of functions, by whether the model is on the tie-free grid


def _function(label: str, operator: str, structure: str, divisible: bool, *files: str) -> Function:
    """The function le_OPERATOR[_double]_avr_s8, whose file in C has its name."""
    name = operator + _SUFFIX[divisible]
    rounding = () if divisible else avr.DOUBLE_FILES
    return avr.function(label, name, structure, *files, f"le_{name}_avr.c", *rounding)


_TRITS = {
    divisible: _function(
        *("trits", "fully_connected_trits", "matrix", divisible),
        *("le_avr.h", "le_avr_macros.h", "le_trits_avr.h", "le_trits_macros_avr.h", "le_trits_avr.S"),
        f"le_trits_outputs{suffix}_avr.S",
    )
    for divisible, suffix in _SUFFIX.items()
}
_FOUR_BITS, _FOUR_BITS_PATCHES = (
    {
        divisible: _function(
            label, operator, structure, divisible, *avr.VECTOR_FILES, *files, f"le_matrix_four{suffix}_avr.S"
        )
        for divisible, suffix in _SUFFIX.items()
    }
    for label, operator, structure, *files in (
        ("matrix, 4 bits", "fully_connected_four", "matrix"),
        ("packed matrix, by patches, 4 bits", "conv2d_patches_four", "patches", "le_patches_avr.h"),
    )
)
_IN_BYTE = {"4": (2, "four", "4 bits"), "2": (4, "two", "2 bits"), "trits": (5, "trits", "trits")}
"""Packing -> weights in a byte, and how its functions are called in C and by `bench`."""


def _ternary_function(label: str, operator: str, packing: str, divisible: bool, *files: str) -> Function:
    in_byte, name, text = _IN_BYTE[packing]
    operator, structure = (f"{operator}_ternary", "patches" if files else "matrix")
    groups = f"{name}{_SUFFIX[divisible]}_avr"
    rounding = () if divisible else avr.DOUBLE_FILES
    own = (*avr.VECTOR_FILES, *files, f"le_{operator}_avr.c", f"le_matrix_{groups}.S", *rounding)
    return avr.function(f"{label}, {text}", operator, structure, *own, compute=f"{in_byte}, le_groups_{groups}_s8, ")


def _tiles_function(taps: int, packing: str, divisible: bool) -> Function:
    _, name, text = _IN_BYTE[packing]
    compute = f"le_tile_{taps}_{name}{_SUFFIX[divisible]}_avr"
    files = (*avr.TILES_FILES, "le_conv2d_tiles_avr.c", f"{compute}.S", *(() if divisible else avr.DOUBLE_FILES))
    label = f"packed tiles, {taps} x {taps}, {text}"
    return avr.function(label, "conv2d_tiles", "tiles", *files, compute=f"{compute}_s8, ")


def kernel(step: Step, name: str, packing: str, *, divisible: bool) -> Kernel | None:
    """The kernel of a step with packed weights; None where the portable one serves. See `families`."""
    layer = step.layer
    assert isinstance(layer, WEIGHTED)
    if avr.sums_problem(layer, divisible=divisible):
        return None
    found = None
    if isinstance(layer, Conv2d):
        found = _tiles(step, layer, name, packing, divisible) or _patches(step, layer, name, packing, divisible)
    elif isinstance(layer, FullyConnected):
        found = _fully_connected(step, layer, name, packing, divisible)
    return None if found is None else replace(found, packing=packing)


def _tiles(step: Step, layer: Conv2d, name: str, packing: str, divisible: bool) -> Kernel | None:
    taps = int(layer.weights.shape[1])
    if taps not in _TILED or not avr.is_tiled(step, layer):
        return None
    weights = layer.weights.astype(np.int64)
    behind = avr.behind(layer, weights.reshape(len(weights), -1), divisible=divisible)
    content = packed_tile_bytes(weights // 2, behind, packing)
    return avr.tiles(step, layer, name, content, _tiles_function(taps, packing, divisible))


def _patches(step: Step, layer: Conv2d, name: str, packing: str, divisible: bool) -> Kernel | None:
    """As a matrix at each position."""
    found = _matrix(layer, packing, divisible)
    if found is None:
        return None
    content, scratch = found
    label, function = "packed matrix, by patches", _FOUR_BITS_PATCHES[divisible]
    if packing != "4":
        function = _ternary_function(label, "conv2d_patches", packing, divisible, "le_patches_avr.h")
    values = f"\n    {windows_text(step)},\n    {{{inputs_of(layer)}, {len(layer.bias)}, {name}_table}}\n"
    scratch += len(layer.bias) if step.pool is not None else 0
    return _of_one_table(function, step, name, values, content, scratch, rows_at_once=1)


def _fully_connected(step: Step, layer: FullyConnected, name: str, packing: str, divisible: bool) -> Kernel | None:
    values = f"{inputs_of(layer)}, {len(layer.bias)}, {name}_table"
    if packing == "trits" and len(layer.bias) >= _FEWEST_OUTPUTS:
        weights = layer.weights.reshape(len(layer.bias), -1).astype(np.int64)
        content = trit_bytes(weights // 2, avr.behind(layer, weights, divisible=divisible))
        scratch = 3 * aligned(len(weights)) + _SUMS_BYTES
        return _of_one_table(_TRITS[divisible], step, name, values, content, scratch)
    found = _matrix(layer, packing, divisible)
    if found is None:
        return None
    function = _FOUR_BITS[divisible]
    if packing != "4":
        function = _ternary_function("packed matrix", "fully_connected", packing, divisible)
    return _of_one_table(function, step, name, values, *found)


def _matrix(layer: Conv2d | FullyConnected, packing: str, divisible: bool) -> tuple[IntArray, int] | None:
    """The table of a matrix, and the bytes of its inputs in scratch; None where they take too many passes."""
    weights = layer.weights.reshape(len(layer.bias), -1).astype(np.int64)
    behind = avr.behind(layer, weights, divisible=divisible)
    if packing == "4":
        return four_bit_bytes(weights // 2, behind), aligned(inputs_of(layer))
    at_once, *_ = _IN_BYTE[packing]
    passes = -(-inputs_of(layer) // at_once)
    if passes > _MOST_PASSES:
        return None
    return ternary_matrix_bytes(weights // 2, behind, packing), aligned(passes * at_once)


def _of_one_table(
    function: Function, step: Step, name: str, values: str, content: IntArray, scratch: int, rows_at_once: int = 0
) -> Kernel | None:
    if len(content) > LARGEST_TABLE:
        return None
    table = Table(f"{name}_table", "uint8_t", content, "as le_avr.h describes it for packed weights")
    return fast_kernel(function, step, [Structure(name, values)], [table], scratch, rows_at_once=rows_at_once)


def packed_tile_bytes(k: IntArray, behind: IntArray, packing: str) -> IntArray:
    """The table of le_conv2d_tiles_avr_s8 with packed weights, ``[channels, bytes]``.

    Args:
        k: of the weights 2 k, ``[channels, taps, taps, inputs]``; those of each input begin with a byte.
        behind: as of `avr`.
        packing: of `packing.PACKINGS`.
    """
    runs = k.transpose(0, 3, 2, 1).reshape(len(k), k.shape[3], -1)  # column by column
    return np.concatenate([_packed(runs, packing).reshape(len(k), -1), behind], axis=1)


def ternary_matrix_bytes(k: IntArray, behind: IntArray, packing: str) -> IntArray:
    """The table of le_fully_connected_ternary_avr_s8 for k ``[outputs, inputs]``, -1 to 1; `behind` as of `avr`."""
    missing, together = -len(k) % avr.OUTPUTS, avr.OUTPUTS
    packed = np.pad(_packed(k, packing), ((0, missing), (0, 0)))
    groups = packed.reshape(-1, together, packed.shape[1]).transpose(0, 2, 1).reshape(len(packed) // together, -1)
    ends = np.pad(behind, ((0, missing), (0, 0))).reshape(len(groups), -1)
    return np.concatenate([groups, ends], axis=1).ravel()


def _packed(k: IntArray, packing: str) -> IntArray:
    """Runs ``[..., inputs]`` in bytes ``[..., bytes]``; what a run's last byte has room for is 0."""
    count, *_ = _IN_BYTE[packing]
    filled = np.pad(k, [(0, 0)] * (k.ndim - 1) + [(0, -k.shape[-1] % count)])
    digits = filled.reshape(*k.shape[:-1], -1, count)
    if packing == "trits":
        numbers = digits % 3 @ 3 ** np.arange(_DIGITS - 1, -1, -1)
        return np.asarray(-(-numbers * 256 // 3**_DIGITS))
    codes = digits + 8 if packing == "4" else (digits != 0) + 2 * (digits < 0)
    return np.asarray((codes << 8 // count * np.arange(count)).sum(axis=-1))


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
