"""Random graphs through reader and writer: a model that is written is read as it was, however its file is spelled."""

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from random_graphs import random_graph
from random_operators import KINDS, random_operator
from spellings import SPELLINGS, respelled

from lenet_edge.errors import BadInputError
from lenet_edge.formats.tflite import from_bytes, to_bytes
from lenet_edge.formats.tflite.operators import SUPPORTED
from lenet_edge.quantized.reference import run

SEEDS = st.integers(0, 2**32 - 1)
# Folded, and what older converters write a dilation as: there is no layer of these.
NOT_DRAWN = {"SHAPE", "PACK", "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND", "DEQUANTIZE"}


def names(model):
    return [layer.name for layer in model.layers]


@given(SEEDS)
@example(0)  # a SPLIT into one part
@example(48)  # a MEAN that leaves no axis
@settings(max_examples=250)
def test_a_model_that_is_written_is_read_as_it_was(seed):
    model = from_bytes(random_graph(seed)[0])
    data = to_bytes(model)
    again = from_bytes(data)
    assert again == model
    assert (again.inputs, again.outputs, names(again)) == (model.inputs, model.outputs, names(model))
    assert to_bytes(again) == data


@pytest.mark.parametrize("kind", KINDS)
@given(SEEDS)
@settings(max_examples=25)
def test_a_model_of_ones_own_too(kind, seed):
    model = random_operator(kind, seed)
    try:
        data = to_bytes(model)
    except BadInputError as error:
        assert "no fused activation" in str(error)  # noqa: PT017 - the one thing that a .tflite cannot say
        assume(False)
    assume(not leaves_all_values(model))  # which is no layer when it is read
    assert from_bytes(data) == model


def leaves_all_values(model):
    image = np.random.default_rng(1).integers(-128, 128, (1, *model.input.shape)).astype(np.int8)
    return run(model, image).tobytes() == image.tobytes()


@given(SEEDS, st.lists(st.sampled_from(list(SPELLINGS)), unique=True), st.booleans())
@settings(max_examples=250)
def test_other_spellings_are_the_same_model(seed, chosen, defaults):
    data = random_graph(seed)[0]
    ordered = [name for name in SPELLINGS if name in chosen]
    assert from_bytes(respelled(data, ordered, defaults)) == from_bytes(data)


@pytest.mark.parametrize("name", SPELLINGS)
def test_each_spelling_is_another_file(name):
    """Else the test above would compare a file with itself."""
    files = [random_graph(seed)[0] for seed in range(40)]
    assert any(respelled(data, [name], False) != respelled(data, [], False) for data in files)


def test_every_operator_is_drawn():
    assert {name for seed in range(120) for name in random_graph(seed)[1]} == set(SUPPORTED) - NOT_DRAWN
