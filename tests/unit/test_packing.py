"""Weights of a few bits in bytes: what unpacking gives is what was packed, and a layer says what it admits."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import sample_models
from hypothesis import given
from hypothesis import strategies as st
from random_chains import Chain

from lenet_edge.errors import BadInputError
from lenet_edge.formats.c_source import make_plan
from lenet_edge.formats.c_source.packing import (
    PACKINGS,
    admitted,
    densest,
    pack,
    packed_bytes,
    packing_problem,
    unpack,
    without_bytes,
)

IN_A_BYTE = {"4": 2, "2": 4, "trits": 5}
LARGEST = {"4": 7, "2": 1, "trits": 1}


def k_of(code, packing):
    """By hand what a byte holds, from the words of le_packed.h."""
    if packing == "4":
        return [((half ^ 8) - 8) for half in (code >> 4, code & 15)]
    if packing == "2":
        return [(code >> shift & 3) - 1 for shift in (6, 4, 2, 0)]
    value = code * 243 // 256  # the one value v with ceil(256 v / 243) == code
    value += -(-256 * value // 243) != code
    return [value // 3**power % 3 - 1 for power in (4, 3, 2, 1, 0)]


@pytest.mark.parametrize("packing", PACKINGS)
def test_every_byte_by_hand(packing):
    """All that a byte can hold: 225 pairs, 81 fours, 243 fives, each with a code of its own."""
    every = list(itertools.product(range(-LARGEST[packing], LARGEST[packing] + 1), repeat=IN_A_BYTE[packing]))
    codes = pack(2 * np.array(every, np.int8), packing)
    assert codes.shape == (len(every), 1)
    assert len(np.unique(codes)) == len(every)
    assert [tuple(k_of(int(code), packing)) for code in codes.ravel()] == every


@given(packing=st.sampled_from(list(PACKINGS)), rows=st.integers(1, 5), inputs=st.integers(1, 40), seed=st.integers(0))
def test_unpacking_gives_the_weights(packing, rows, inputs, seed):
    largest = LARGEST[packing]
    weights = (2 * np.random.default_rng(seed).integers(-largest, largest + 1, (rows, inputs))).astype(np.int8)
    codes = pack(weights, packing)
    assert codes.shape == (rows, -(-inputs // IN_A_BYTE[packing]))
    np.testing.assert_array_equal(unpack(codes, packing, inputs), weights)
    by_hand = [[k for code in row for k in k_of(int(code), packing)] for row in codes]
    np.testing.assert_array_equal(2 * np.array(by_hand)[:, :inputs], weights)
    assert not np.array(by_hand)[:, inputs:].any()  # what is left over of a row


def layer_of(values, kind="fully_connected"):
    chain = Chain(1, (4, 4, 3), tie_free=True)
    layer = (
        chain.flatten().fully_connected(4) if kind == "fully_connected" else getattr(chain, kind)(4, (3, 3))
    ).layers[-1]
    return replace(layer, weights=np.resize(np.array(values, np.int8), layer.weights.shape))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0], ("8", "4", "2", "trits")),
        ([2, -2, 0], ("8", "4", "2", "trits")),
        ([4, 0], ("8", "4")),
        ([14, -14], ("8", "4")),
        ([-16], ("8",)),
        ([16], ("8",)),
        ([1, 2], ("8",)),
        ([-128], ("8",)),
    ],
)
def test_what_a_layer_admits(values, expected):
    assert admitted(layer_of(values)) == expected
    assert admitted(layer_of(values, "conv")) == expected
    assert admitted(layer_of(values, "depthwise")) == ("8",)


def test_bytes_of_lenet5():
    """C5: 48,000 weights; OUTPUT: rows of 84, of which the last of 17 bytes holds four trits."""
    layers = {layer.name: layer for layer in sample_models.lenet5(3).layers}
    assert [packed_bytes(layers["C5"], packing) for packing in ("8", "4", "2", "trits")] == [48000, 24000, 12000, 9600]
    assert [packed_bytes(layers["OUTPUT"], packing) for packing in ("8", "4", "2", "trits")] == [840, 420, 210, 170]
    assert densest(layer_of([2])) == "trits"
    assert densest(layer_of([4])) == "4"
    assert densest(layers["C5"]) == "8"


@pytest.mark.parametrize(
    ("packings", "message"),
    [
        ({"C5": "trits"}, "layer C5 has weights of up to 126; five trits a byte hold 2"),
        ({"C7": "4"}, "layer 'C7'"),
        ({"C5": "3"}, "packing '3'"),
    ],
)
def test_a_plan_refuses_what_a_layer_does_not_admit(packings, message):
    model = sample_models.lenet5(3)
    with pytest.raises(BadInputError, match=message):
        make_plan(model, "plain", packings)
    assert without_bytes(model, {"C5": "8"}) == {}
    assert packing_problem(model.layers[1], "4") == "has no weights"
