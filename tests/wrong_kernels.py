"""Kernels that are wrong in one way each, as real ones have been: what the conformance kit has to catch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from plain_kernels import Kernel, moved

from lenet_edge.quantized.model import (
    Add,
    Concatenate,
    Conv2d,
    DepthwiseConv2d,
    Flatten,
    FullyConnected,
    Lookup,
    MaxPool2d,
    Pad,
    Slice,
    Subtract,
    Transpose,
)

__all__ = ["FAULTS", "rounded_once", "rounded_twice"]


# --- rounding, with a mantissa and a shift as runtimes have them ----------------------------------


def multiplier(layer):
    """(mantissas Q0.31 int64, right shifts) ``[channels]``: ``mantissa / 2^(31 + shift)``."""
    real = layer.input.scale * layer.weight_scales.astype(np.float64) / layer.output.scale
    mantissas, exponents = np.frexp(real)
    return np.rint(mantissas * 2**31).astype(np.int64), -exponents.astype(np.int64)


def rounded_once(
    sums, layer, *, constant=lambda bits: 1 << (bits - 1), more_shift=0, changed=lambda mantissa: mantissa
):
    """One 64-bit product, a rounding constant, one shift."""
    mantissa, shift = multiplier(layer)
    bits = 31 + shift + more_shift
    return ((sums + layer.bias) * changed(mantissa) + constant(bits)) >> bits


def rounded_twice(sums, layer, *, nudge=1 << 30, threshold=0):
    """TFLM's: a doubling high product, half up; a rounding shift, half away from zero."""
    mantissa, shift = multiplier(layer)
    high = ((sums + layer.bias) * mantissa + nudge) >> 31
    mask = (1 << shift) - 1
    return (high >> shift) + ((high & mask) > (mask >> 1) + (high < 0) + threshold)


def _towards_zero(sums, layer):
    mantissa, shift = multiplier(layer)
    product = (sums + layer.bias) * mantissa
    return np.sign(product) * (np.abs(product) >> (31 + shift))


def _signed_constant(sums, layer):
    """Half is taken off negative values, but the shift goes down for them, too."""
    mantissa, shift = multiplier(layer)
    product = (sums + layer.bias) * mantissa
    return (product + np.where(product < 0, -1, 1) * (1 << (30 + shift))) >> (31 + shift)


def _rounding(**changes):
    return Kernel(result=lambda sums, layer: rounded_once(sums, layer, **changes))


def _twice(**changes):
    return Kernel(result=lambda sums, layer: rounded_twice(sums, layer, **changes))


ROUNDING = {
    "no rounding: the shift goes down": _rounding(constant=lambda bits: 0),
    "no rounding: towards zero": Kernel(result=_towards_zero),
    "the rounding constant is half as large": _rounding(constant=lambda bits: 1 << (bits - 2)),
    "the rounding constant is twice as large": _rounding(constant=lambda bits: 1 << bits),
    "half is taken off negative values before a shift": Kernel(result=_signed_constant),
    "one shift too many": _rounding(more_shift=1),
    "one shift too few": _rounding(more_shift=-1),
    "the multiplier is 2^-15 too large": _rounding(changed=lambda mantissa: mantissa + (1 << 16)),
    "the multiplier is 2^-15 too small": _rounding(changed=lambda mantissa: mantissa - (1 << 16)),
    "the multiplier has 15 bits": _rounding(changed=lambda mantissa: mantissa >> 16 << 16),
    "of two roundings the first is left out": _twice(nudge=0),
    "of two roundings the threshold of the second is 1 too low": _twice(threshold=-1),
    "of two roundings the threshold of the second is 1 too high": _twice(threshold=1),
}


# --- what else goes wrong in layers with weights --------------------------------------------------


def _wrapped(values, bits):
    half = 1 << (bits - 1)
    return (values + half) % (2 * half) - half


def _with(**changes):
    return lambda layer: replace(layer, **{name: change(layer) for name, change in changes.items()})


def _one_multiplier(layer):
    return np.broadcast_to(layer.weight_scales[:1], layer.weight_scales.shape)


def _no_input_zero_point(layer):
    return replace(layer.input, zero_point=0)


def _pairs_in_16_bits(products):
    """Two products at a time are added in 16 bits, which saturate."""
    if products.shape[-2] % 2:
        products = np.concatenate([products, np.zeros_like(products[..., :1, :])], axis=-2)
    pairs = products[..., ::2, :] + products[..., 1::2, :]
    return np.clip(pairs, -(2**15), 2**15 - 1).sum(axis=-2)


WEIGHTED = {
    **ROUNDING,
    "the input's zero point is ignored": Kernel(layer=_with(input=_no_input_zero_point)),
    "the output's zero point is ignored": Kernel(
        result=lambda sums, layer: rounded_once(sums, layer) - layer.output.zero_point
    ),
    "one multiplier for all channels": Kernel(layer=_with(weight_scales=_one_multiplier)),
    "each channel has the next one's multiplier": Kernel(
        layer=_with(weight_scales=lambda layer: np.roll(layer.weight_scales, -1))
    ),
    "no bias": Kernel(layer=_with(bias=lambda layer: np.zeros_like(layer.bias))),
    "the bias of 16 bits": Kernel(layer=_with(bias=lambda layer: _wrapped(layer.bias.astype(np.int64), 16))),
    "an accumulator of 16 bits": Kernel(accumulate=lambda products: _wrapped(products.sum(axis=-2), 16)),
    "pairs of products are added in 16 bits that saturate": Kernel(accumulate=_pairs_in_16_bits),
    "weights of 126 are taken for 127": Kernel(
        layer=_with(weights=lambda layer: np.where(layer.weights == 126, 127, layer.weights))
    ),
    "the last tap is left out": Kernel(accumulate=lambda products: products[..., :-1, :].sum(axis=-2)),
    "only whole fours of taps count": Kernel(
        accumulate=lambda products: products[..., : products.shape[-2] // 4 * 4, :].sum(axis=-2)
    ),
    "the result wraps at 8 bits before the clamp": Kernel(
        saturate=lambda values, low, high: np.clip(_wrapped(values, 8), low, high)
    ),
    "the result wraps at 16 bits before the clamp": Kernel(
        saturate=lambda values, low, high: np.clip(_wrapped(values, 16), low, high)
    ),
    "saturates at -127": Kernel(saturate=lambda values, low, high: np.clip(values, max(low, -127), high)),
    "saturates at 126": Kernel(saturate=lambda values, low, high: np.clip(values, low, min(high, 126))),
    "the clamp's lower end is 1 too low": Kernel(
        saturate=lambda values, low, high: np.clip(values, max(low - 1, -128), high)
    ),
    "the clamp's upper end is 1 too high": Kernel(
        saturate=lambda values, low, high: np.clip(values, low, min(high + 1, 127))
    ),
    "the activation is ignored": Kernel(saturate=lambda values, low, high: np.clip(values, -128, 127)),
    "the last channel is left out": Kernel(
        output=lambda values: np.concatenate([values[..., :-1], np.zeros_like(values[..., :1])], axis=-1)
    ),
}


# --- maps -----------------------------------------------------------------------------------------


def _without_last(axis):
    def left_out(values):
        found = values.copy()
        found[(slice(None),) * axis + (-1,)] = 0
        return found

    return Kernel(output=left_out)


def _swapped(name):
    return _with(**{name: lambda layer: getattr(layer, name)[::-1]})


MAPS = {
    "padding is 0, not the zero point": Kernel(padding=lambda layer: 0),
    "padding is -128, not the zero point": Kernel(padding=lambda layer: -128),
    "the strides are swapped": Kernel(layer=_swapped("stride")),
    "the gaps are swapped": Kernel(layer=_swapped("dilation")),
    "the gaps are ignored": Kernel(layer=_with(dilation=lambda layer: (1, 1))),
    "the larger half of the padding comes first": Kernel(before=lambda total: total - total // 2),
    "no padding before the map": Kernel(before=lambda total: 0),
    "the last row is left out": _without_last(1),
    "the last column is left out": _without_last(2),
}


# --- layers without weights -----------------------------------------------------------------------


def _pair_of(order):
    """The operands in another order, each with its own scale and zero point, or with the other's."""
    return _with(inputs=lambda layer: tuple(layer.inputs[index] for index in order))


def _second_without_zero_point(layer):
    return layer.inputs[0], replace(layer.inputs[1], zero_point=0)


POOLS = {
    "a pooling's padding is the zero point": Kernel(pool_padding=lambda layer: layer.input.zero_point),
    "a pooling's padding is 0": Kernel(pool_padding=lambda layer: 0),
    "the strides are swapped": Kernel(layer=_swapped("stride")),
    "the activation is ignored": Kernel(layer=_with(clamp_min=lambda layer: -128, clamp_max=lambda layer: 127)),
    "the larger half of the padding comes first": Kernel(before=lambda total: total - total // 2),
    "the last row is left out": _without_last(1),
    "the last column is left out": _without_last(2),
    "the last channel is left out": _without_last(3),
}
SUMS = {
    "no rounding: down": Kernel(total=lambda numerator, denominator: numerator // denominator),
    "no rounding: towards zero": Kernel(
        total=lambda numerator, denominator: np.sign(numerator) * (np.abs(numerator) // denominator)
    ),
    "the multiplier is 2^-14 too large": Kernel(
        total=lambda numerator, denominator: (2 * numerator * 16385 + denominator * 16384) // (2 * denominator * 16384)
    ),
    "both operands have the first one's scaling": Kernel(layer=_pair_of((0, 0))),
    "the operands' scalings are swapped": Kernel(layer=_pair_of((1, 0))),
    "the second operand's zero point is ignored": Kernel(layer=_with(inputs=_second_without_zero_point)),
    "the result wraps at 8 bits before the clamp": WEIGHTED["the result wraps at 8 bits before the clamp"],
    "saturates at -127": WEIGHTED["saturates at -127"],
    "saturates at 126": WEIGHTED["saturates at 126"],
    "the activation is ignored": WEIGHTED["the activation is ignored"],
    "the last value is left out": WEIGHTED["the last channel is left out"],
}


def _moves(change):
    return Kernel(moved=lambda layer, operands, count: change(layer, operands, count))


def _table_cut_off(layer, operands, _):
    """Entries are cut off instead of rounded."""
    real = (operands[0] - layer.input.zero_point) * layer.input.scale
    found = np.tanh(real) if layer.function == "tanh" else 1 / (1 + np.exp(-real))
    return np.clip(np.floor(found / layer.output.scale) + layer.output.zero_point, -128, 127).astype(np.int64)


def _padded_with_zeros(layer, operands, count):
    return moved(replace(layer, value=0), operands, count)


def _channels_first(layer, operands, _):
    return np.moveaxis(operands[0], -1, 1).reshape(-1, *layer.output.shape)


FAULTS = {
    Conv2d: {
        **WEIGHTED,
        **MAPS,
        "each group reads the next one's channels": Kernel(
            grouped=lambda windows, groups: np.roll(np.stack(np.split(windows, groups, axis=-1)), 1, axis=0)
        ),
    },
    DepthwiseConv2d: {
        **WEIGHTED,
        **MAPS,
        "outputs take the channels in turn": Kernel(
            multiplied=lambda windows, times: np.concatenate([windows] * times, axis=-1)
        ),
    },
    FullyConnected: WEIGHTED,
    MaxPool2d: POOLS,
    Add: SUMS,
    Subtract: {
        **SUMS,
        "the second minus the first": Kernel(total=lambda a, b: (b - 2 * a) // (2 * b)),
    },
    Concatenate: {"the operands in reverse order": _moves(lambda layer, operands, n: moved(layer, operands[::-1], n))},
    Pad: {"padding is 0, not the zero point": _moves(_padded_with_zeros)},
    Lookup: {
        "the table is one entry off": _moves(lambda layer, operands, n: moved(layer, [operands[0] + 1], n)),
        "entries are cut off instead of rounded": _moves(_table_cut_off),
    },
    Flatten: {"channels come first": _moves(_channels_first)},
    Transpose: {"nothing is moved": _moves(lambda layer, operands, n: operands[0].reshape(n, *layer.output.shape))},
    Slice: {"the steps are ignored": _moves(lambda layer, operands, n: moved(_one_step(layer), operands, n))},
}
"""Kind of layer -> what is wrong -> a kernel that is."""


def _one_step(layer):
    return replace(layer, stride=(1, 1, 1))
