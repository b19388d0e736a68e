"""What the steps of the generated C take in, and what is computed where it belongs."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from itertools import pairwise

import numpy as np
import pytest
from random_chains import Chain
from random_graphs import random_graph

from lenet_edge.errors import BadInputError
from lenet_edge.formats import tflite
from lenet_edge.formats.c_source import make_plan
from lenet_edge.formats.c_source.fusing import fuse
from lenet_edge.quantized import reference
from lenet_edge.quantized.model import (
    AveragePool2d,
    Concatenate,
    Flatten,
    Lookup,
    Pad,
    QTensor,
    QuantizedModel,
    Rescale,
)
from lenet_edge.quantized.verify import verify
from lenet_edge.report.document.memory import tensors_of

IMAGE = (9, 8, 4)
ONE = (1, 1)


def chain(zero_point=-7):
    return Chain(0, IMAGE, zero_point=zero_point)


def names(model):
    return [step.names for step in fuse(model)]


# --- padding --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("padded", "count"),
    [
        (chain().pad(ONE, ONE).conv(3, (3, 3)), 1),
        (chain().pad((0, 1), (1, 0)).conv(3, (3, 3), (2, 2)), 1),
        (chain().pad((2, 2), (7, 7)).depthwise(2, (3, 3), padding="same"), 2),
        (chain().pad((2, 2), ONE).depthwise(1, (3, 3), padding="same"), 2),  # three columns in front of one of three
        (chain().pad(ONE, ONE).depthwise(1, (5, 5), padding="same").pool((2, 2)), 1),
        (chain().pad((0, 0), (2, 2)).conv(3, (3, 3)), 1),
        (chain().pad((0, 0), (3, 2)).conv(3, (3, 3)), 2),  # the last windows see nothing of the image
        (chain().pad((3, 2), (2, 2)).conv(3, (3, 3)), 2),
        (chain().pad((1, 0), (0, 0)).conv(3, (1, 1)), 2),
        (chain().pad(ONE, ONE, value=-8).conv(3, (3, 3)), 2),  # not the zero point
        (chain().pad(ONE, ONE).pool((3, 3), (2, 2)), 2),  # -7 is no neutral element of a maximum
        (chain(zero_point=-128).pad(ONE, ONE).pool((3, 3), (2, 2)), 1),
        (chain().pad(ONE, ONE, value=-128).pool((3, 3), (2, 2)), 1),
        (chain(zero_point=-128).pad(ONE, ONE).pool((3, 3), (2, 2), kind=AveragePool2d), 2),  # which counts pixels
        (chain().pad(ONE, ONE).flatten(), 1),
        (chain().pad((0, 0), ONE).pad(ONE, (0, 0)).conv(3, (3, 3)), 2),
    ],
)
def test_a_pad_is_padding_where_each_window_sees_the_image(padded, count):
    model = padded.build()
    steps = fuse(model)
    assert len(steps) == count
    computing = [layer.name for layer in model.layers if not isinstance(layer, Flatten)]
    assert [name for step in steps for name in step.names] == computing


@pytest.mark.parametrize("seed", range(60))
def test_the_layer_of_a_step_is_the_pad_and_the_layer(seed):
    """As the reference computes it, with another padding on each side."""
    drawn = Chain(seed, IMAGE, zero_point=-7)
    random, window = drawn.random, (drawn.pick(1, 2, 3, 5), drawn.pick(1, 3, 4))
    before, after = (tuple(int(random.integers(0, size)) for size in window) for _ in range(2))
    drawn.pad(before, after).conv(2, window, (drawn.pick(1, 2), drawn.pick(1, 3)), drawn.pick("same", "valid", "valid"))
    model = drawn.build()
    steps = fuse(model)
    if len(steps) == 2:  # with another padding it is too much
        assert model.layers[1].padding == "same"
        return
    (step,) = steps
    assert (step.input.shape, step.layer.output.shape) == (IMAGE, model.layers[1].output.shape)
    images = random.integers(-128, 128, (3, *IMAGE)).astype(np.int8)
    np.testing.assert_array_equal(reference.run(QuantizedModel((step.layer,)), images), reference.run(model, images))


def test_a_pad_that_others_read_stays():
    layers = chain().pad(ONE, ONE).conv(3, (3, 3)).layers
    again = dataclasses.replace(layers[1], name="again")
    assert names(verify(QuantizedModel((*layers, again), {}, ((-1,), (0,), (0,)), (1, 2))))[0] == ("layer 0",)
    assert names(QuantizedModel(tuple(layers), {}, ((-1,), (0,)), (0, 1)))[0] == ("layer 0",)


def test_no_file_has_the_padding_of_a_step():
    (step,) = fuse(chain().pad((0, 1), (1, 1)).conv(3, (3, 3)).build())
    with pytest.raises(BadInputError, match="padding"):
        verify(QuantizedModel((step.layer,)))


# --- clamps ---------------------------------------------------------------------------------------


def clamped(drawn, low, high, *, scale=None, name="clamp"):
    tensor = drawn.current
    output = tensor if scale is None else QTensor(tensor.shape, scale, tensor.zero_point)
    table = np.clip(np.arange(-128, 128), low, high).astype(np.int8)
    return drawn._add(Rescale(name, tensor, output, "RELU", table))


@pytest.mark.parametrize(
    ("drawn", "clamps"),
    [
        (clamped(chain().conv(3, (3, 3), clamp=(-100, 90)), -3, 127), [(-3, 90)]),
        (clamped(chain().conv(3, (3, 3), clamp=(-100, -50)), -3, 127), [(-3, -3)]),
        (clamped(clamped(chain().conv(3, (3, 3), clamp=(-128, 127)), -3, 127), -128, 20), [(-3, 20)]),
        (clamped(chain().conv(3, (3, 3), clamp=(-128, 127)), -3, 127).pool((2, 2), clamp=(-128, 9)), [(-3, 9)]),
        (clamped(chain().conv(3, (3, 3), clamp=(-128, 127)).pool((2, 2)), -3, 20), [(-3, 20)]),
        (clamped(chain().pool((2, 2), kind=AveragePool2d), -3, 20), [(-3, 20)]),
        (clamped(chain().flatten().fully_connected(4, clamp=(-9, 9)), 0, 127), [(0, 9)]),
        (clamped(chain().lookup("tanh"), 0, 127), [(-128, 127), (-128, 127)]),  # a table behind a table
        (clamped(chain().conv(3, (3, 3), clamp=(-128, 127)), -3, 127, scale=0.5), [(-128, 127), (-128, 127)]),
    ],
)
def test_clamps_join_that_of_the_layer(drawn, clamps):
    steps = fuse(QuantizedModel(tuple(drawn.layers)))
    assert [step.clamp for step in steps] == clamps
    if len(steps) == 1:
        assert steps[0].names[-1] == steps[0].shows == drawn.layers[-1].name


def test_a_table_is_a_clamp_where_it_is_one_of_what_reaches_it():
    conv, clamp = clamped(chain().conv(3, (3, 3), clamp=(-10, 50)), -3, 127).layers
    table = np.array(clamp.table)
    table[[0, 100, 255]] = 77  # of -128, -28 and 127: none of them is reached
    (step,) = fuse(QuantizedModel((conv, dataclasses.replace(clamp, table=table.copy()))))
    assert step.clamp == (-3, 50)
    table[129] = 2
    assert len(fuse(QuantizedModel((conv, dataclasses.replace(clamp, table=table))))) == 2


# --- memory ---------------------------------------------------------------------------------------


def branches(sizes, *, read_again=False, axis=0):
    """Dense layers of one input, each with a table behind it, one behind the other again; and a layer of that."""
    layers, reads = [], []
    for size in sizes:
        drawn = Chain(size, (1, 1, 12)).flatten().fully_connected(size)
        drawn.lookup("tanh")
        first = len(layers)
        layers += [dataclasses.replace(layer, name=f"{layer.name} of {first}") for layer in drawn.layers]
        reads += [(-1,), (first,), (first + 1,)]
    parts = [3 * number + 2 for number in range(len(sizes))]
    tensors = tuple(layers[part].output for part in parts)
    whole = dataclasses.replace(tensors[0], shape=(sum(sizes),))
    layers.append(Concatenate("joined", tensors, whole, axis))
    table = np.arange(-128, 128, dtype=np.int8)[::-1].copy()
    layers.append(Lookup("after", whole, whole, "tanh", table))
    layers.append(Lookup("end", whole, whole, "tanh", table))
    reads += [tuple(parts), (len(layers) - 3,), (len(layers) - 2,)]
    results = (len(layers) - 1,)
    if read_again:
        layers.append(Lookup("again", tensors[0], tensors[0], "tanh", table))
        reads.append((parts[0],))
        results = (*results, len(layers) - 1)
    return verify(QuantizedModel(tuple(layers), {}, tuple(reads), results))


def test_inputs_of_a_concatenation_are_computed_in_their_places():
    model = branches([8, 4, 5])
    plan = make_plan(model)
    (joined,) = (placed for placed in plan.steps if isinstance(placed.step.layer, Concatenate))
    assert joined.step.placed == {0, 1, 2}
    assert [place.offset - joined.target.offset for place in joined.sources] == [0, 8, 12]
    assert joined.kernel.calls(("a", "b", "c"), "target", "scratch") == ()
    assert plan.workspace_bytes == 20  # where 20 + 20 were needed


def test_an_input_that_does_not_begin_at_a_word_is_moved():
    plan = make_plan(branches([8, 5, 3]))
    (joined,) = (placed for placed in plan.steps if isinstance(placed.step.layer, Concatenate))
    assert joined.step.placed == {0, 1}
    assert len(joined.kernel.calls(("a", "b", "c"), "target", "scratch")) == 1


def contents(plan):
    """Runs the plan on labels instead of values: each step finds what it reads as it was written."""
    memory, made = [None] * plan.workspace_bytes, {}

    def at(place, size):
        return memory[place.offset : place.offset + size] if place.where == "memory" else None

    for index, placed in enumerate(plan.steps):
        step = placed.step
        scratch = slice(placed.scratch_offset, placed.scratch_offset + placed.kernel.scratch_bytes)
        memory[scratch] = [("scratch", index)] * placed.kernel.scratch_bytes
        for source, place, tensor in zip(step.reads, placed.sources, step.inputs, strict=True):
            size = math.prod(tensor.shape)
            if place.where == "memory":
                assert at(place, size) == made[source], (index, step.names)
                apart = place.offset + size <= placed.target.offset or placed.target.offset + step.output_bytes <= (
                    place.offset
                )
                in_place = step.in_place and place.offset == placed.target.offset
                assert placed.target.where != "memory" or apart or in_place or step.placed
        made[index] = [(index, value) for value in range(step.output_bytes)]
        if step.placed:
            begin = 0
            for number, (source, tensor) in enumerate(zip(step.reads, step.inputs, strict=True)):
                end = begin + math.prod(tensor.shape)
                if number in step.placed:
                    assert placed.sources[number].offset == placed.target.offset + begin
                    made[index][begin:end] = made[source]
                begin = end
        if placed.target.where == "memory":
            memory[placed.target.offset : placed.target.offset + step.output_bytes] = made[index]


@pytest.mark.parametrize("read_again", [False, True])
def test_what_steps_read_is_what_was_written(read_again):
    for sizes in ([8, 4, 5], [1, 2], [4, 4, 4, 4], [7, 9]):
        contents(make_plan(branches(sizes, read_again=read_again)))


@pytest.fixture(scope="module")
def random_plans():
    """Of random graphs that have what is fused."""
    plans = []
    for seed in range(2_000_000, 2_000_060):
        with contextlib.suppress(BadInputError):  # one that computes nothing
            plans.append(make_plan(tflite.from_bytes(random_graph(seed)[0]), "cortex_m_dsp" if seed % 2 else "plain"))
    return plans


def test_what_steps_of_random_graphs_read_is_what_was_written(random_plans):
    assert len(random_plans) > 50
    for plan in random_plans:
        contents(plan)


def test_patterns_are_in_the_random_graphs(random_plans):
    """Else the tests and campaigns on them would say nothing of these."""
    found = set()
    for step in (placed.step for plan in random_plans for placed in plan.steps):
        found |= {"placed"} if step.placed else set()
        found |= {"pad"} if not isinstance(getattr(step.layer, "padding", ""), str) else set()
        found |= {"pad by itself"} if isinstance(step.layer, Pad) else set()
        found |= {"clamp"} if len(step.names) > 1 and step.pool is None and step.clamp != (-128, 127) else set()
    assert found == {"placed", "pad", "pad by itself", "clamp"}


def test_tensors_of_the_chart_lie_apart_and_are_there_when_they_are_read(random_plans):
    for plan in [*random_plans, make_plan(branches([8, 4, 5], read_again=True))]:
        tensors = tensors_of(plan)
        for at, placed in enumerate(plan.steps):
            living = sorted((each.offset, each.bytes) for each in tensors if each.first <= at <= each.last)
            assert all(offset + size <= following for (offset, size), (following, _) in pairwise(living))
            before = [each for each in tensors if each.first < at <= each.last + 1]  # it ends where it is written over
            for place, tensor in zip(placed.sources, placed.step.inputs, strict=True):
                begin, end = place.offset, place.offset + math.prod(tensor.shape)
                there = any(each.offset <= begin and end <= each.offset + each.bytes for each in before)
                assert there or place.where != "memory"
