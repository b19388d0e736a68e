"""Weights of a few bits in bytes: what unpacking gives is what was packed, and a layer says what it admits."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import packed_models
import pytest
import sample_models
from few_bits_models import with_levels
from hypothesis import given
from hypothesis import strategies as st
from packed_models import LARGEST, MIXED
from random_chains import Chain

from lenet_edge import records
from lenet_edge.cli.common import packing_text
from lenet_edge.errors import BadInputError
from lenet_edge.formats.c_source import facts, make_plan, packings_that_fit, parse_weight_packing
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
from lenet_edge.report.document import origin

IN_A_BYTE = {"4": 2, "2": 4, "trits": 5}


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
    assert admitted(layer_of(values, "depthwise")) == expected


def test_bytes_of_lenet5():
    """C5: 48,000 weights; OUTPUT: rows of 84, of which the last of 17 bytes holds four trits."""
    layers = {layer.name: layer for layer in sample_models.lenet5(3).layers}
    assert [packed_bytes(layers["C5"], packing) for packing in ("8", "4", "2", "trits")] == [48000, 24000, 12000, 9600]
    assert [packed_bytes(layers["OUTPUT"], packing) for packing in ("8", "4", "2", "trits")] == [840, 420, 210, 170]
    assert densest(layer_of([2])) == "trits"
    assert densest(layer_of([4])) == "4"
    assert densest(layers["C5"]) == "8"


def test_bytes_of_a_depthwise_layer():
    """A row is a channel's window: 9 weights take 2 bytes as trits. One of few weights is packed only on request."""

    def model(channels):
        chain = Chain(1, (4, 4, channels), tie_free=True).depthwise(1, (3, 3), name="depth")
        return packed_models.few_bits(chain.flatten().fully_connected(2).build(), {"depth": 1})

    few, many = model(18), model(19)  # 126 and 133 bytes are saved
    assert [packed_bytes(many.layers[0], packing) for packing in ("8", "4", "2", "trits")] == [171, 95, 57, 38]
    assert (densest(few.layers[0]), densest(many.layers[0])) == ("8", "trits")
    assert parse_weight_packing("auto", many) == {"depth": "trits"}
    assert parse_weight_packing("auto", few) == {}
    assert parse_weight_packing("depth=trits", few) == {"depth": "trits"}
    assert packings_that_fit(many, 0, lambda _: 1) == {"depth": "trits"}


def test_a_depthwise_layer_is_one_table():
    """7,000 rows of 9 weights: 35,000 bytes in 4 bits, more than an object may have where `int` has 16 bits."""
    chain = Chain(1, (3, 3, 7000), tie_free=True).depthwise(1, (3, 3), name="depth")
    layer = replace(chain.layers[-1], weights=np.zeros_like(chain.layers[-1].weights))
    assert packing_problem(layer, "4") == "takes more than one table of 32,767 bytes"
    assert admitted(layer) == ("8", "2", "trits")


@pytest.mark.parametrize(
    ("packings", "message"),
    [
        ({"C5": "trits"}, "layer C5 has weights of up to 126; five trits a byte hold up to 2"),
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


# --- what is asked for ------------------------------------------------------------------------------

LENET5 = packed_models.lenet5_mixed(3)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("8", {}),
        ("auto", {"C3": "4", "C5": "trits", "F6": "trits"}),
        ("C5=trits, F6=4", {"C5": "trits", "F6": "4"}),
        ("auto,C3=8,F6=2", {"C5": "trits", "F6": "2"}),
        ("4,C1=8,OUTPUT=8", {"C3": "4", "C5": "4", "F6": "4"}),
    ],
)
def test_what_is_asked_for(spec, expected):
    assert parse_weight_packing(spec, LENET5) == expected


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("C55=4", "no layer with weights is called 'C55'; do you mean C5?"),
        ("S2=4", "no layer with weights is called 'S2'"),
        ("3", "'3' is not auto, 8, 4, 2 or trits"),
        ("C5=", "'' is not auto"),
        ("", "'' is not auto"),
        ("4,2", "two packings for the layers that are not named"),
        ("C5=4,C5=2", "layer C5 is named twice"),
        (
            "C3=trits",
            "layer C3 has weights of up to 14; five trits a byte hold up to 2; LAYER=8 leaves a layer as it is",
        ),
        ("trits", "layer C1 has weights of up to"),
    ],
)
def test_what_nobody_can_ask_for(spec, message):
    with pytest.raises(BadInputError, match="weight packing .*" + message):
        parse_weight_packing(spec, LENET5)


def test_the_plan_says_what_is_packed():
    told = facts(make_plan(LENET5, "plain", MIXED | {"C1": "8"}))
    assert told["packing"] == MIXED
    plain = facts(make_plan(LENET5))
    assert "packing" not in plain
    saved = (2400 - 16 * 75) + (48000 - 120 * 80) + (10080 - 84 * 30)
    assert plain["weight_bytes"] - told["weight_bytes"] == plain["table_bytes"] - told["table_bytes"] == saved


# --- what a board takes -----------------------------------------------------------------------------

CODE, PACKED_CODE = 5000, 700  # of a firmware that is made up here


def sizes(tried):
    """A function that takes what the tables and some code take, and remembers what it was asked."""

    def bytes_of(packings):
        tried.append(dict(packings))
        return facts(make_plan(LENET5, "plain", packings))["table_bytes"] + CODE + PACKED_CODE * len(packings)

    return bytes_of


@pytest.mark.parametrize(
    ("budget", "expected", "builds"),
    [
        (70_000, {}, 1),
        (62_000, {"C5": "trits"}, 2),
        (33_000, {"C5": "trits"}, 1),  # the weights alone are more: without packing nothing is built
        (25_000, {"C5": "trits", "F6": "trits"}, 2),
        (21_700, {"C5": "trits", "F6": "trits", "C3": "4"}, 2),  # two would do, but for the code of their kernels
        (1_000, {"C5": "trits", "F6": "trits", "C3": "4"}, 1),
    ],
)
def test_as_few_layers_as_it_takes(budget, expected, builds):
    tried = []
    assert packings_that_fit(LENET5, budget, sizes(tried)) == expected
    assert tried[-1] == expected
    assert len(tried) == builds


def test_layers_that_a_family_packs_anyway_are_not_chosen():
    """The kernels of rv32e: `build` named C5 and F6 only, which were enough by what a byte for each weight takes."""
    ternary = with_levels(sample_models.lenet5(3), 1)
    plan, tried = make_plan(ternary, "rv32e"), []
    every = {"C1", "C3", "C5", "F6", "OUTPUT"}
    assert plan.packed_anyway == every
    assert plan.packings == dict.fromkeys(["C1", "C3", "C5", "F6", "OUTPUT"], "trits")
    assert packings_that_fit(ternary, 16_384, sizes(tried), plan.packed_anyway) == {}
    assert tried == [{}]
    four = make_plan(with_levels(sample_models.lenet5(3), 7), "rv32e")  # three digits each
    assert (four.packed_anyway, four.packings) == (every, {})


def test_packed_layers_are_named_by_packing():
    named = {"C1": "trits", "C3": "4", "C5": "trits"}
    assert packing_text(named) == "C1, C5 in five trits a byte; C3 in 4 bits"


def test_nothing_to_pack():
    tried = []
    assert packings_that_fit(sample_models.lenet5(3), 1_000, sizes(tried)) == {}
    assert tried == [{}]


@pytest.mark.parametrize(
    ("packing", "why", "expected"),
    [
        ({}, "", []),
        ({"C5": "trits"}, "it would not fit", []),  # `build` finds that by itself again
        ({"C5": "trits", "F6": "4"}, "", ["--weight-packing", "C5=trits,F6=4"]),
    ],
)
def test_the_report_says_how_the_firmware_was_built(packing, why, expected):
    sizes = records.Sizes(*[1] * 6)
    record = records.BuildRecord("pico", "1" * 64, "gcc", "speed", "plain", "2" * 64, sizes, {}, packing, why)
    assert origin._packing(record) == expected
