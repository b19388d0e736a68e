"""Layers of few inputs for an output on Cortex-M with the DSP extension, with weights of 16 bits: tables for
le_few_inputs_dsp.S and le_small_matrix_dsp.S."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lenet_edge.formats.c_source.families.dsp_positions import in_pairs, pairs_order
from lenet_edge.formats.c_source.families.dsp_requantization import requantization_of
from lenet_edge.formats.c_source.families.plain import windows_text
from lenet_edge.formats.c_source.families.shared import (
    LARGEST_OFFSET,
    Structure,
    aligned,
    bias_of,
    fast_kernel,
    function_of,
    inputs_of,
    largest_sum,
)
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.loops_base import Counts
from lenet_edge.formats.c_source.steps import Step, windows_of
from lenet_edge.formats.c_source.tables import Table
from lenet_edge.quantized.model import Conv2d, FullyConnected, channel_weights
from lenet_edge.quantized.tie_free import channel_q

__all__ = ["LOOPS", "POINT", "Channels", "channels_of", "kernels", "order_of", "small_words", "words"]

IntArray = npt.NDArray[np.int64]

POINT = 11  # LE_DSP_FEW_POINT
_INPUTS = (4, 8, 12, 16)
_MOST_SHIFT = 15  # of weights: one of 1 is an int16 then
_GROUP = 4  # LE_DSP_FEW_CHANNELS
_MOST_STRIP_BYTES = 1024
_FILES = ("le_dsp.h", "cortex_m_dsp/le_requantize_dsp.h", "le_few_inputs_dsp.S")
_SMALL_FILES = (*_FILES[:-1], "le_small_matrix_dsp.S")
_MOST_WEIGHTS = 1024  # beyond, a byte more for each is not worth what a call saves
_NINE_ORDER = ((0, 2), (3, 5), (6, 8), (1, 4), (7, -1))
_LOADS = {2: 1, 4: 1, 5: 2, 6: 2, 8: 4}  # of a channel, by words of inputs


@dataclass(frozen=True, eq=False)
class Channels:
    """What the kernel takes of a layer, per channel.

    Attributes:
        rounding: "point" or "double", as le_requantize_dsp.h has them.
        times: by which its weights are multiplied, int64 ``[channels]``.
        bias: of sums that are so many times those of raw products.
        factors: multiplier and addend, with "double" shift, int64 ``[channels, 2 or 3]``.
    """

    rounding: str
    times: IntArray
    bias: IntArray
    factors: IntArray


def kernels(step: Step, name: str, *, divisible: bool) -> Sequence[Kernel]:
    """The kernel of a layer that has no `requantization_problem`, if it has one of these."""
    layer = step.layer
    assert isinstance(layer, (Conv2d, FullyConnected))
    made = ((_is_few, _few), (_is_nine, _nine), (_is_small, _small))
    make = next((make for fits, make in made if fits(step, layer)), None)
    by = channels_of(step, layer, divisible=divisible) if make else None
    return [make(step, layer, name, by)] if make and by else []


def _is_few(step: Step, layer: Conv2d | FullyConnected) -> bool:
    if inputs_of(layer) not in _INPUTS or isinstance(layer, FullyConnected):
        return inputs_of(layer) in _INPUTS
    sizes = (layer.weights.shape[1:3], layer.stride, step.input.shape[:2], step.pool)
    return sizes == ((1, 1), (1, 1), step.output.shape[:2], None)


def _is_nine(step: Step, layer: Conv2d | FullyConnected) -> bool:
    if not isinstance(layer, Conv2d) or layer.weights.shape[1:] != (3, 3, 1) or step.pool is not None:
        return False
    return windows_of(layer).padding[1] <= _GROUP and _pitch(step) <= _MOST_STRIP_BYTES // 3


def _is_small(_step: Step, layer: Conv2d | FullyConnected) -> bool:
    if not isinstance(layer, FullyConnected) or layer.weights.size > _MOST_WEIGHTS:
        return False
    return inputs_of(layer) % 8 == 0 and len(layer.bias) % 2 == 0


def _few(step: Step, layer: Conv2d | FullyConnected, name: str, by: Channels) -> Kernel:
    operator = f"few_{inputs_of(layer)}_{by.rounding}"
    function = function_of("cortex_m_dsp", "dsp", "few inputs", operator, "few", *_FILES)
    table = _table(layer, name, by)
    values = f"{step.input_bytes}, {_places(layer, table)}"
    return fast_kernel(function, step, [Structure(name, values)], [table])


def _nine(step: Step, layer: Conv2d | FullyConnected, name: str, by: Channels) -> Kernel:
    function = function_of(
        *("cortex_m_dsp", "dsp", "3 x 3 on one channel", "conv2d_nine", "nine", *_FILES, "le_conv2d_nine_dsp.c")
    )
    table, rows = _table(layer, name, by), _strip_rows(step)
    pitch = _pitch(step) if rows else step.input.shape[1]
    row = f"le_nine_{by.rounding}_dsp_s8"
    values = f"\n    {windows_text(step)},\n    {rows}, {pitch}, {_places(layer, table)}, {row}\n"
    scratch = _strip_height(step, rows) * pitch if rows else 0
    return fast_kernel(function, step, [Structure(name, values)], [table], scratch)


def _small(step: Step, layer: Conv2d | FullyConnected, name: str, by: Channels) -> Kernel:
    function = function_of("cortex_m_dsp", "dsp", "small matrix", f"small_matrix_{by.rounding}", "small", *_SMALL_FILES)
    table = Table(f"{name}_table", "uint32_t", small_words(layer, by), "as le_small_matrix_dsp.S describes it")
    values = f"{inputs_of(layer)}, {table.name} + {len(table.values)}, {table.name}"
    return fast_kernel(function, step, [Structure(name, values)], [table], 2 * inputs_of(layer))


def _places(layer: Conv2d | FullyConnected, table: Table) -> str:
    """End of the table, table, channels that the last group has less."""
    return f"{table.name} + {len(table.values)}, {table.name}, {-len(layer.bias) % _GROUP}"


# --- strips ---------------------------------------------------------------------------------------


def _pitch(step: Step) -> int:
    """Bytes of a row of the strip: the last window reads four."""
    layer = step.layer
    assert isinstance(layer, Conv2d)
    return aligned((step.output.shape[1] - 1) * layer.stride[1] + 4)


def _strip_rows(step: Step) -> int:
    """Rows of the output that a strip serves; 0 where the input itself does."""
    layer = step.layer
    assert isinstance(layer, Conv2d)
    (rows, columns, _), (height, width, _), stride = step.output.shape, layer.input.shape, layer.stride
    bottom, right = (rows - 1) * stride[0] + 3, (columns - 1) * stride[1] + 3
    inside = windows_of(layer).padding == (0, 0) and bottom <= height and right <= width
    if inside and (bottom - 1) * width + right + 1 <= height * width and width <= LARGEST_OFFSET:
        return 0
    return max(1, min(rows, (_MOST_STRIP_BYTES // _pitch(step) - 3) // stride[0] + 1))


def _strip_height(step: Step, rows: int) -> int:
    layer = step.layer
    assert isinstance(layer, Conv2d)
    return (rows - 1) * layer.stride[0] + 3


# --- tables ---------------------------------------------------------------------------------------


def channels_of(step: Step, layer: Conv2d | FullyConnected, *, divisible: bool) -> Channels | None:
    """How its channels are requantised; None: on the tie-free grid with a q that is too small."""
    if divisible:
        return _on_the_grid(layer)
    if step.clamp[0] >= layer.output.zero_point and (above := _above(layer)):
        return above
    by = requantization_of(layer, divisible=False)
    return Channels("double", np.full(len(by.bias), by.times), by.bias, by.factors)


def _on_the_grid(layer: Conv2d | FullyConnected) -> Channels | None:
    """Of 2^k times the n of le_kernels.h: 2^k n m / 2^32 has POINT bits behind the point, m = 2^(32 + POINT - k) / 2q.

    m is less than 2^31, and floor(n / 2q) at least as near as with the multiplier that is said to be enough there.
    """
    q = channel_q(layer)
    k = POINT - np.minimum(np.ceil(np.log2(q)).astype(np.int64) - 1, POINT)
    found = Channels("point", 2**k, bias_of(layer) * 2**k, np.stack([2 ** (31 + POINT - k) // q, 0 * q], axis=1))
    return found if _fits(layer, found) else None


def _above(layer: Conv2d | FullyConnected) -> Channels | None:
    """As "above" of `dsp_positions.endings`, with 2^k times the sum: s + k - 1 bits behind the point."""
    by = requantization_of(layer, divisible=False)
    multiplier, addend, shift = by.factors.T
    constant = multiplier == 0  # its outputs are the zero point, whatever the sum
    k = np.where(constant, 2, POINT + 1 - shift)
    if k.min() < 2 or k.max() > _MOST_SHIFT:
        return None
    addend = (2 * layer.output.zero_point + 1) * 2 ** (POINT - 1) + 2 ** (k - 2)
    found = Channels("point", 2**k, by.bias // by.times * 2**k, np.stack([multiplier, addend], axis=1))
    return found if _fits(layer, found) else None


def _fits(layer: Conv2d | FullyConnected, by: Channels) -> bool:
    """Whether no weight is beyond an int16, no sum beyond an int32, and no multiplier either."""
    weights = channel_weights(layer).astype(np.int64) * by.times[:, None]
    sums = largest_sum(layer) * by.times + np.abs(by.bias)
    fits = weights.min() >= -(2**15), weights.max() < 2**15, sums.max() < 2**31, by.factors[:, 0].max() < 2**31
    return all(map(bool, fits))


def order_of(layer: Conv2d | FullyConnected) -> IntArray:
    """Which inputs of a window the halves of the words hold, as `dsp_positions.pairs_order` has it."""
    return np.array(_NINE_ORDER, np.int64) if inputs_of(layer) == 9 else pairs_order(inputs_of(layer))


def words(layer: Conv2d | FullyConnected, by: Channels) -> IntArray:
    """The table of le_few_inputs_dsp.S: uint32 in int64."""
    weights = in_pairs(channel_weights(layer).astype(np.int64) * by.times[:, None], order_of(layer))
    return np.concatenate([by.bias[:, None], weights, by.factors], axis=1).ravel() & 0xFFFFFFFF


def small_words(layer: Conv2d | FullyConnected, by: Channels) -> IntArray:
    """The table of le_small_matrix_dsp.S: uint32 in int64."""
    weights = in_pairs(channel_weights(layer).astype(np.int64) * by.times[:, None], order_of(layer))
    pairs = len(layer.bias) // 2
    eights = weights.reshape(pairs, 2, -1, 4).swapaxes(1, 2)  # [pair, eight inputs, output, word]
    parts = [part.reshape(pairs, -1) for part in (by.bias, eights, by.factors)]
    return np.concatenate(parts, axis=1).ravel() & 0xFFFFFFFF


def _table(layer: Conv2d | FullyConnected, name: str, by: Channels) -> Table:
    return Table(f"{name}_table", "uint32_t", words(layer, by), "as le_few_inputs_dsp.S describes it")


# --- loops ----------------------------------------------------------------------------------------


def _few_loops(step: Step, kernel: Kernel) -> Counts:
    layer = step.layer
    assert isinstance(layer, (Conv2d, FullyConnected))
    positions, count = step.output_bytes // step.output.shape[-1], -(-inputs_of(layer) // 2)
    return {
        "positions": positions,
        "words": positions * count,
        "groups": positions * -(-len(layer.bias) // _GROUP),
        "outputs": step.output_bytes,
        "loads": step.output_bytes * _LOADS[count],
        "products": step.output_bytes * count,
        "of both signs": step.output_bytes if _is_double(kernel) else 0,
    }


def _nine_loops(step: Step, kernel: Kernel) -> Counts:
    return {**_few_loops(step, kernel), **_strip_loops(step)}


def _small_loops(step: Step, kernel: Kernel) -> Counts:
    layer = step.layer
    assert isinstance(layer, FullyConnected)
    eights, pairs = inputs_of(layer) // 8, len(layer.bias) // 2
    both = pairs if _is_double(kernel) else 0
    return {"eights": eights, "pairs": pairs, "eights of pairs": eights * pairs, "of both signs": both}


def _is_double(kernel: Kernel) -> bool:
    return "_double_dsp_s8" in "".join((kernel.definitions, *kernel.calls(("",), "", "")))


def _strip_loops(step: Step) -> Counts:
    """Of 3 x 3: rows of the output, and the rows and words of strips."""
    rows = _strip_rows(step)
    height, width = step.output.shape[0], step.input.shape[1]
    if rows == 0:
        return {"rows": height, "strips": 0, "copied rows": 0, "copied words": 0}
    counts = [min(rows, height - first) for first in range(0, height, rows)]
    copied = sum(_strip_height(step, count) for count in counts)
    return {"rows": height, "strips": len(counts), "copied rows": copied, "copied words": copied * -(-width // 4)}


LOOPS: Mapping[str, Callable[[Step, Kernel], Counts]] = {
    "dsp few inputs": _few_loops,
    "dsp 3 x 3 on one channel": _nine_loops,
    "dsp small matrix": _small_loops,
}
"""How often the loops of each of its kernels run, as `loops.loops_of` has it."""
