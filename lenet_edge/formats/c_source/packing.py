"""How the weights of a layer lie in the tables of the generated C: one a byte, or several.

Weights ``2 k`` with a small k take less: two of -7..7 a byte, four or, as trits, five of -1..1. Each row of weights,
those of one output channel, begins at a byte, and its first weight is the most significant digit there, so that a
decoder multiplies the byte by the radix and finds the digit above it (firmware/kernels/packed/le_packed.h). Five trits
with the value v lie in a byte as ``ceil(256 v / 243)``; the idea is that of TQ1_0 in llama.cpp's ggml.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lenet_edge.errors import BadInputError
from lenet_edge.formats.c_source.steps import gaps_problem
from lenet_edge.formats.c_source.tables import LARGEST_TABLE
from lenet_edge.quantized.model import WEIGHTED, DepthwiseConv2d, Int8Array, Layer, QuantizedModel, Weighted

__all__ = [
    "AUTO",
    "BYTES",
    "PACKINGS",
    "Packing",
    "admitted",
    "densest",
    "densest_packings",
    "pack",
    "packed_bytes",
    "packing_problem",
    "parse_weight_packing",
    "unpack",
    "without_bytes",
]

BYTES = "8"
"""The packing of one weight a byte, which every layer admits."""

AUTO = "auto"
"""Stands for the packing of a layer that takes the fewest bytes; where a board is given, only if it has to."""

_MOST_ROW_BYTES = 0xFFFF  # of the C structures
_DEPTHWISE_SAVING = 128  # bytes: a quarter of what le_depthwise_conv2d_packed.c takes on a Cortex-M0

_Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Packing:
    """A way to lay several weights ``2 k`` into a byte.

    Attributes:
        name: as ``--weight-packing`` has it.
        text: for the reader of a table.
        count: weights in a byte.
        largest: k is -largest..largest.
        radix: of the digits; `count` of them, the first the most significant, are a number below ``radix ** count``.
        offset: a digit is ``(k + offset) % radix``.
    """

    name: str
    text: str
    count: int
    largest: int
    radix: int
    offset: int


PACKINGS: Mapping[str, Packing] = {
    packing.name: packing
    for packing in (
        Packing("4", "4 bits", 2, 7, 16, 0),
        Packing("2", "2 bits", 4, 1, 4, 1),
        Packing("trits", "five trits a byte", 5, 1, 3, 1),
    )
}
"""By name; `BYTES` is the other one."""


def packing_problem(layer: Layer, packing: str) -> str:
    """Why a layer does not admit a packing, as the end of a sentence that begins with its name; empty where it does."""
    if packing == BYTES:
        return ""
    if not isinstance(layer, WEIGHTED):
        return "has no weights"
    if gaps := gaps_problem(layer):
        return f"stays in bytes: {gaps}"
    by = PACKINGS[packing]
    if (layer.weights & 1).any():
        return "has odd weights; packed ones are 2 k"
    largest = int(np.abs(layer.weights.astype(np.int16)).max(initial=0))
    if largest > 2 * by.largest:
        return f"has weights of up to {largest}; {by.text} hold up to {2 * by.largest}"
    if isinstance(layer, DepthwiseConv2d) and len(layer.bias) * _row_bytes(layer, by) > LARGEST_TABLE:
        return f"takes more than one table of {LARGEST_TABLE:,} bytes"
    if _row_bytes(layer, by) > _MOST_ROW_BYTES:
        return f"has {_inputs(layer):,} weights for one output; packed rows take up to {_MOST_ROW_BYTES:,} bytes"
    return ""


def admitted(layer: Layer) -> tuple[str, ...]:
    """The packings of a layer, the loosest first."""
    return (BYTES, *(name for name in PACKINGS if not packing_problem(layer, name)))


def densest(layer: Weighted) -> str:
    """The packing of a layer that takes the fewest bytes.

    A depthwise convolution has few weights, and its packed kernel serves nothing else: it has to save more than a share
    of that code.
    """
    found = min(admitted(layer), key=lambda packing: packed_bytes(layer, packing))
    saves = packed_bytes(layer, BYTES) - packed_bytes(layer, found)
    return BYTES if isinstance(layer, DepthwiseConv2d) and saves < _DEPTHWISE_SAVING else found


def densest_packings(model: QuantizedModel) -> dict[str, str]:
    """Layer -> the packing that takes the fewest bytes, where that is not a byte for each weight."""
    found = {layer.name: densest(layer) for layer in model.layers if isinstance(layer, WEIGHTED)}
    return {name: packing for name, packing in found.items() if packing != BYTES}


def without_bytes(model: QuantizedModel, packings: Mapping[str, str]) -> dict[str, str]:
    """Those of a model's layers that are packed.

    Args:
        packings: layer -> its packing, which may be `BYTES`.

    Raises:
        BadInputError: a layer does not admit its packing, or there is no such layer or packing.
    """
    layers: dict[str, list[Layer]] = {}
    for layer in model.layers:
        layers.setdefault(layer.name, []).append(layer)  # two may share a name
    for name, packing in packings.items():
        if name not in layers or packing not in (BYTES, *PACKINGS):
            raise BadInputError(f"packing {packing!r} of layer {name!r}: there is no such layer, or packing")
        for layer in layers[name]:
            if isinstance(layer, WEIGHTED) and (problem := packing_problem(layer, packing)):
                raise BadInputError(f"layer {name} {problem}")
    return {name: packing for name, packing in packings.items() if packing != BYTES}


def parse_weight_packing(spec: str, model: QuantizedModel) -> dict[str, str]:
    """How the weights of each layer lie, by ``trits`` or ``C5=trits,F6=4``.

    Args:
        spec: a packing for all layers, or ``LAYER=PACKING`` with commas between; a packing among these is for the
            layers that are not named, `BYTES` without it. ``auto`` is for each layer the one of the fewest bytes.

    Raises:
        BadInputError: a part of it is neither, names no layer with weights or names one twice; or a layer does not
            admit its packing.
    """
    about = f"weight packing {spec!r}"
    layers = {layer.name: layer for layer in model.layers if isinstance(layer, WEIGHTED)}
    others: str | None = None
    named: dict[str, str] = {}
    for part in spec.split(","):
        name, equals, packing = (text.strip() for text in part.rpartition("="))
        if packing not in (AUTO, BYTES, *PACKINGS):
            raise BadInputError(f"{about}: {packing!r} is not auto, 8, 4, 2 or trits; write trits, or C5=trits,F6=4")
        if not equals and others is not None:
            raise BadInputError(f"{about}: two packings for the layers that are not named")
        if equals and name not in layers:
            raise BadInputError(f"{about}: {_no_such_layer(name, tuple(layers))}")
        if name in named:
            raise BadInputError(f"{about}: layer {name} is named twice")
        others, named = (others, named | {name: packing}) if equals else (packing, named)
    asked = {name: named.get(name, others or BYTES) for name in layers}
    packings = {name: densest(layers[name]) if packing == AUTO else packing for name, packing in asked.items()}
    try:
        return without_bytes(model, packings)
    except BadInputError as error:
        raise BadInputError(f"{about}: {error}; LAYER=8 leaves a layer as it is") from None


def _no_such_layer(name: str, names: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"do you mean {near[0]}?" if near else f"there are {', '.join(names)}"
    return f"no layer with weights is called {name!r}; {hint}"


def packed_bytes(layer: Weighted, packing: str) -> int:
    """Bytes of a layer's weights; biases and multipliers stay what they are."""
    if packing == BYTES:
        return layer.weights.size
    return len(layer.bias) * _row_bytes(layer, PACKINGS[packing])


def pack(weights: Int8Array, packing: str) -> _Bytes:
    """Weights ``2 k``, int8 ``[rows, ...]``, as bytes ``[rows, row bytes]``; what is left over of a row is k = 0.

    Args:
        weights: of a layer that admits the packing.
        packing: of `PACKINGS`.
    """
    by = PACKINGS[packing]
    k = weights.reshape(len(weights), -1).astype(np.int16) // 2
    missing = -k.shape[1] % by.count
    digits = ((np.pad(k, ((0, 0), (0, missing))) + by.offset) % by.radix).reshape(len(k), -1, by.count)
    values = digits @ by.radix ** np.arange(by.count)[::-1]
    codes: _Bytes = (-(-256 * values // by.radix**by.count)).astype(np.uint8)
    return codes


def unpack(codes: _Bytes, packing: str, inputs: int) -> Int8Array:
    """The weights, int8 ``[rows, inputs]``, as the kernels read them: a product by the radix for each digit."""
    by = PACKINGS[packing]
    rest, digits = codes.astype(np.int16), []
    for _ in range(by.count):
        product = rest * by.radix
        digits.append(product >> 8)
        rest = product & 0xFF
    found = np.stack(digits, axis=-1).reshape(len(codes), -1)[:, :inputs]
    k = found - by.offset if by.offset else np.where(found > by.largest, found - by.radix, found)
    return (2 * k).astype(np.int8)


def _inputs(layer: Weighted) -> int:
    return layer.weights.size // len(layer.bias)


def _row_bytes(layer: Weighted, by: Packing) -> int:
    return -(-_inputs(layer) // by.count)
