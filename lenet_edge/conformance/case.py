"""One case of the kit, and the numbers that cases are made of: the same on every machine, whatever numpy is there."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lenet_edge.quantized.model import Int8Array, Int64Array, QTensor, QuantizedModel

__all__ = ["IMAGES", "Case", "noise", "plain_inputs"]

IMAGES = 64
"""How many inputs each case has."""

_KINDS = 8  # of inputs, in turn


@dataclass(frozen=True, eq=False)
class Case:
    """A tie-free model with inputs.

    Attributes:
        name: of the folder, and in what harnesses print.
        purpose: what a wrong kernel would have to get wrong to be seen here.
        model: of one or a few layers.
        inputs: int8 ``[64, values]``; several inputs of the model lie one behind the other.
    """

    name: str
    purpose: str
    model: QuantizedModel
    inputs: Int8Array

    @property
    def images(self) -> Int8Array:
        """The inputs as the reference takes them, ``[64, *model.input.shape]``."""
        return self.inputs.reshape(len(self.inputs), *self.model.input.shape)


def noise(key: str, shape: Sequence[int], low: int = -128, high: int = 127) -> Int64Array:
    """Integers ``low..high`` that follow from the key alone: SHAKE-128 of it."""
    digest = hashlib.shake_128(key.encode()).digest(4 * math.prod(shape))
    words = np.frombuffer(digest, "<u4").astype(np.int64)
    drawn: Int64Array = (words % (high - low + 1) + low).reshape(shape)
    return drawn


def plain_inputs(key: str, tensors: Sequence[QTensor]) -> Int8Array:
    """64 inputs for these tensors: noise, extremes, small and sparse values, flat ones, each kind in turn."""
    return np.concatenate([_inputs_of(f"{key} input {index}", tensor) for index, tensor in enumerate(tensors)], axis=1)


def _inputs_of(key: str, tensor: QTensor) -> Int8Array:
    values = math.prod(tensor.shape)
    found = noise(key, (IMAGES, values))
    others = noise(f"{key} others", (IMAGES, values))
    found[1::_KINDS] = np.where(others[1::_KINDS] < 0, -128, 127)
    found[2::_KINDS] = np.clip(tensor.zero_point + others[2::_KINDS] // 16, -128, 127)  # next to the zero point
    found[3::_KINDS] = np.where(others[3::_KINDS] < 100, tensor.zero_point, found[3::_KINDS])  # sparse
    found[4::_KINDS] = others[4::_KINDS, :1]  # one value everywhere
    found[5::_KINDS] = np.sort(found[5::_KINDS], axis=1)  # from the first to the last
    found[6], found[14], found[22] = -128, 127, tensor.zero_point
    return found.astype(np.int8)
