"""What the models of the kernels for MVE share: memory, 32-bit arithmetic, the requantisation, tables of words.

The models step through tables, inputs and sums as the assembly does: an address is an index, and a load beyond an array
is an error.
"""

from __future__ import annotations

import re

import kernel_models
import numpy as np
from random_chains import Chain

from lenet_edge.formats.c_source.fusing import fuse
from lenet_edge.quantized import reference
from lenet_edge.quantized.model import QuantizedModel


def load(memory, at, count=16):
    """`count` bytes of a flat array, none of them outside."""
    assert 0 <= at <= at + count <= len(memory), (at, len(memory))
    return memory[at : at + count].astype(np.int64)


def int32(values):
    """What 32 bits hold, as a signed number."""
    return (np.asarray(values, np.int64) + 2**31) % 2**32 - 2**31


def outputs_of(sums, bias, multiplier, third=None):
    """le_requantize_mve.h: VADD.I32, VMULH.S32, VQMOVNB.S32, VQMOVNB.S16; with a third word the double rounding."""
    n = int32(np.asarray(sums) + bias)
    if third is None:
        found, zero_point = n * int32(multiplier) >> 32, 0
    else:
        shift, zero_point = -((third + 128) % 256 - 128), third.ravel()[0] >> 16
        assert ((shift >= 1) & (shift <= 31) | (int32(multiplier) == 0)).all()
        x = int32(n * int32(multiplier) + 2**30 >> 31)
        found = int32(x + (x >> 31)) + (1 << shift >> 1) >> shift
    halves = np.clip(found, -(2**15), 2**15 - 1)
    return np.clip(np.clip(halves + zero_point, -(2**15), 2**15 - 1), -128, 127)


def chain_of(seed, shape, divisible, zero_point=-128):
    return Chain(seed, shape, tie_free=divisible, zero_point=zero_point)


def words_of(divisible):
    """Of a channel's requantization."""
    return 2 if divisible else 3


class Reader:
    """A table of words, read from its beginning to its end."""

    def __init__(self, words):
        self.bytes = np.asarray(words).astype("<u4").view(np.int8)
        self.at = 0

    def int8(self, *shape):
        found = load(self.bytes, self.at, int(np.prod(shape)))
        self.at += found.size
        return found.reshape(shape)

    def words(self, count, dtype="<i4"):
        found = load(self.bytes, self.at, 4 * count).astype(np.int8).view(dtype)
        self.at += 4 * count
        return found.astype(np.int64)

    @property
    def is_at_end(self):
        return self.at == len(self.bytes)


def only_step(chain):
    (step,) = fuse(QuantizedModel(tuple(chain.layers)))
    return step


def images_of(chain, seed):
    return kernel_models.images(QuantizedModel(tuple(chain.layers)), 2, seed)


def expected_of(chain, images):
    return reference.run(QuantizedModel(tuple(chain.layers)), images).reshape(len(images), -1)


def numbers_behind(text, definitions):
    """The integers of the definitions behind the first `text`; digits in names are none."""
    return [int(number) for number in re.findall(r"(?<![\w])-?\d+(?!\w)", definitions.partition(text)[2])]
