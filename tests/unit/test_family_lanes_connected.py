"""Convolutions of which channels see only some others, in tiles: pairs that read little, tables with all weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from random_chains import Chain

from lenet_edge.estimate import made_up_model
from lenet_edge.formats.c_source import make_plan
from lenet_edge.formats.c_source.families.lanes import connected_words
from lenet_edge.formats.c_source.families.lanes_connected import Pair, pairs_of, repeated
from lenet_edge.networks import reader
from lenet_edge.quantized.model import Conv2d

PAPER = made_up_model(reader.load("lenet5-1998"), (28, 28, 1), list("0123456789"))


def layer_of(seen, taps=3):
    """A convolution whose channels see these."""
    outputs, inputs = seen.shape
    layer = Chain(1, (7, 7, inputs), tie_free=True).conv(outputs, (taps, taps)).layers[0]
    weights = np.where(layer.weights == 0, 2, layer.weights) * seen[:, None, None, :]
    return replace(layer, weights=weights.astype(np.int8))


seen_by = st.integers(1, 12).flatmap(
    lambda outputs: st.integers(1, 8).flatmap(
        lambda inputs: st.lists(
            st.lists(st.booleans(), min_size=inputs, max_size=inputs), min_size=outputs, max_size=outputs
        ).map(np.array)
    )
)


def shortest(seen):
    """By trying all: channels in a circle that have all that are seen; one at least."""
    count = len(seen)
    places = set(np.flatnonzero(seen))
    runs = ({(first + i) % count for i in range(size)} for size in range(1, count + 1) for first in range(count))
    return len(next(run for run in runs if places <= run))


@settings(max_examples=40, deadline=None)
@given(seen=seen_by)
def test_each_output_is_in_one_pair_whose_run_has_all_that_it_sees(seen):
    layer = layer_of(seen)
    pairs = pairs_of(layer)
    outputs, inputs = seen.shape
    runs = [shortest(each) for each in seen]
    assert bool(pairs) == (not seen.all() and sum(runs) <= 0.8 * seen.size)
    if not pairs:
        return
    assert sorted(output for pair in pairs for output in pair.outputs) == list(range(outputs))
    assert [len(pair.outputs) for pair in pairs] == [2] * (outputs // 2) + [1] * (outputs % 2)
    for pair in pairs:
        run = [(pair.first + i) % inputs for i in range(pair.count)]
        assert len(set(run)) == len(run) >= 1
        assert pair.first + pair.count <= inputs + repeated(layer, pairs)
        for output in pair.outputs:
            assert set(np.flatnonzero(seen[output])) <= set(run)


@settings(max_examples=40, deadline=None)
@given(seen=seen_by, taps=st.sampled_from([1, 3, 5]))
def test_the_table_holds_every_weight_once(seen, taps):
    """Taken apart by hand: two offsets; for each channel of the run and each row its taps, with the beginning."""
    layer = layer_of(seen, taps)
    pairs, inputs = pairs_of(layer), seen.shape[1]
    words = connected_words(layer, pairs).tolist() if pairs else []
    found = np.zeros_like(layer.weights)
    for pair in pairs:
        del words[:2]
        for i in range(pair.count):
            for row in range(taps):
                chunk = words[: taps + 1]
                del words[: taps + 1]
                del chunk[1 if taps == 1 else 2]
                for tap, word in enumerate(chunk):
                    low = (word + 2**15) % 2**16 - 2**15
                    halves = low, ((word - low) // 2**16 + 2**15) % 2**16 - 2**15
                    for output, half in zip(pair.outputs, halves, strict=False):
                        found[output, row, tap, (pair.first + i) % inputs] = 2 * half
        del words[:6]
    assert words == []
    if pairs:
        np.testing.assert_array_equal(found, layer.weights)


def test_the_paper_s_table():
    """36 of 48 pairs of a word and a channel are left: six of four channels, two of six."""
    layer = next(layer for layer in PAPER.layers if layer.name == "C3")
    assert isinstance(layer, Conv2d)
    pairs = pairs_of(layer)
    assert pairs[:6] == [Pair((i, i + 6), i, 4) for i in range(6)]
    assert [pair.count for pair in pairs[6:]] == [6, 6]
    assert repeated(layer, pairs) == 3


def test_the_choice_takes_it_where_it_is_cheaper():
    for family in ("cortex_m_base", "rv32"):
        (c3,) = (placed for placed in make_plan(PAPER, family).steps if placed.step.layer.name == "C3")
        assert c3.kernel.name == "lanes tiles, connected"
    nearly = np.ones((8, 6), bool)
    nearly[0, 0] = False
    model = Chain(1, (7, 7, 6), tie_free=True).conv(8, (3, 3)).flatten().fully_connected(4).build()
    (_, *others) = model.layers
    model = replace(model, layers=(replace(model.layers[0], weights=layer_of(nearly).weights), *others))
    assert make_plan(model, "rv32").steps[0].kernel.name != "lanes tiles, connected"
