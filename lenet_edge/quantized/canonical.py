"""The one unambiguous byte form of layers, scales and wiring, of which a model's fingerprint is made.

Each field is its name, kind, sizes and little-endian values.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from lenet_edge.quantized.layers import Layer, QTensor

__all__ = ["of_layers", "of_names", "of_wiring"]

_LATER: Mapping[str, object] = MappingProxyType({"dilation": (1, 1)})
"""Fields that layers got after the first models were written, with the value that those have: left out of the
canonical form, so that their fingerprints stay."""


def of_layers(layers: Sequence[Layer]) -> bytes:
    """The layers in their order, without their names."""
    parts = [b"lenet-edge quantized model 1\n"]
    for layer in layers:
        parts.append(_text(type(layer).__name__))
        for key, value in sorted(vars(layer).items()):
            if key != "name" and not (key in _LATER and value == _LATER[key]):
                parts += [_text(key), _canonical(value)]
    return b"".join(parts)


def of_wiring(reads: Sequence[tuple[int, ...]], results: tuple[int, ...]) -> bytes:
    """What each layer reads, and which of them the model gives."""
    return b"".join([_text("wiring"), *map(_canonical, reads), _text("results"), _canonical(results)])


def of_names(what: str, names: Sequence[str]) -> bytes:
    """A list of names, such as that of each layer's rule, and what it is."""
    return b"".join([_text(what), *map(_canonical, names)])


def _canonical(value: Any) -> bytes:
    if isinstance(value, QTensor):
        return b"Q" + _canonical(value.shape) + struct.pack("<fi", value.scale, value.zero_point)
    if isinstance(value, np.ndarray):
        data = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<"))
        return b"A" + _text(data.dtype.name) + _canonical(data.shape) + data.tobytes()
    if isinstance(value, str):
        return b"S" + _text(value)
    if isinstance(value, tuple) and value and isinstance(value[0], QTensor):
        return b"L" + struct.pack("<I", len(value)) + b"".join(map(_canonical, value))
    if isinstance(value, tuple):
        return b"T" + struct.pack(f"<I{len(value)}q", len(value), *value)
    if isinstance(value, (bool, int)):
        return b"I" + struct.pack("<q", value)
    return b"F" + struct.pack("<f", value)


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<I", len(data)) + data
