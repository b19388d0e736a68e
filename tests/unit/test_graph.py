"""Models that are not chains: wiring, fingerprint, ranges and the reference, on layers that only move integers."""

from dataclasses import replace

import numpy as np
import pytest
import sample_models

from lenet_edge.errors import BadInputError
from lenet_edge.quantized.model import (
    Concatenate,
    Constant,
    Pad,
    QTensor,
    QuantizedModel,
    Reshape,
    Slice,
    Transpose,
    canonical_bytes,
    input_ranges,
    last_uses,
    output_ranges,
)
from lenet_edge.quantized.reference import run
from lenet_edge.quantized.verify import verify

SCALING = (0.5, 3)


def tensor(*shape):
    return QTensor(shape, *SCALING)


def branches():
    """The image padded, and its first row; both flat, one behind the other with two constants, then the outputs."""
    image, padded, row = tensor(2, 3, 1), tensor(4, 3, 1), tensor(1, 3, 1)
    flat, strip, constants, joined = tensor(12), tensor(3), tensor(2), tensor(17)
    layers = (
        Pad("pad", image, padded, (1, 0, 0), (1, 0, 0), 3),
        Slice("row", image, row, (1, 2, 0), (1, -1, 1)),
        Reshape("flat", padded, flat),
        Reshape("strip", row, strip),
        Constant("constants", constants, np.array([7, -9], np.int8)),
        Concatenate("join", (flat, strip, constants), joined, 0),
        Transpose("turned", image, tensor(3, 1, 2), (1, 2, 0)),
    )
    reads = ((-1,), (-1,), (0,), (1,), (), (2, 3, 4), (-1,))
    return QuantizedModel(layers, {}, reads, (5, 6))


def test_a_graph_is_computed_branch_by_branch():
    image = np.arange(6, dtype=np.int8).reshape(1, 2, 3, 1)
    expected = [3, 3, 3, 0, 1, 2, 3, 4, 5, 3, 3, 3, 5, 4, 3, 7, -9, 0, 3, 1, 4, 2, 5]
    assert run(verify(branches()), image).tolist() == [expected]


def test_two_inputs_come_one_behind_the_other():
    left, right, both = tensor(2), tensor(3), tensor(5)
    model = QuantizedModel((Concatenate("join", (left, right), both, 0),), {}, ((-2, -1),))
    assert model.inputs == (right, left)
    assert model.input == tensor(5)
    assert run(verify(model), np.array([[1, 2, 3, 4, 5]], np.int8)).tolist() == [[4, 5, 1, 2, 3]]


def test_the_wiring_of_a_chain_is_not_in_its_fingerprint():
    model = sample_models.every_layer()
    chain = tuple((index - 1,) for index in range(len(model.layers)))
    assert canonical_bytes(replace(model, reads=chain, results=(len(chain) - 1,))) == canonical_bytes(model)
    assert b"wiring" not in canonical_bytes(model)


def test_the_wiring_of_a_graph_is():
    model = branches()
    swapped = replace(model, results=(6, 5))
    assert swapped.fingerprint != model.fingerprint
    assert replace(model, reads=model.reads).fingerprint == model.fingerprint


def test_a_tensor_lives_until_its_last_reader():
    assert last_uses(branches()) == [2, 3, 5, 5, 5, 7, 7]


def test_ranges_follow_the_wiring():
    constant = Constant("two", tensor(2), np.array([-4, 5], np.int8))
    padded = Pad("pad", tensor(2), tensor(3), (0,), (1,), 9)
    join = Concatenate("join", (tensor(3), tensor(2)), tensor(5), 0)
    model = QuantizedModel((constant, padded, join), {}, ((), (0,), (1, 0)))
    assert output_ranges(model) == [(-4, 5), (-4, 9), (-4, 9)]
    assert input_ranges(model) == [(-128, 127), (-4, 5), (-4, 9)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reads": ((-1,), (-1,), (0,), (1,), (), (2, 3, 6), (-1,))}, "not all before it"),
        ({"reads": ((-1,), (-1,), (0,), (1,), (), (2, 3), (-1,))}, "takes 3 tensors and reads 2"),
        ({"reads": ((-1,), (-3,), (0,), (1,), (), (2, 3, 4), (-1,))}, "nothing of one of its inputs"),
        ({"reads": ((-1,), (-1,), (1,), (0,), (), (2, 3, 4), (-1,))}, "is not the output of the layer before"),
        ({"results": (5,)}, "nothing reads the output of layer turned"),
        ({"results": (5, 7)}, "outputs are the layers"),
    ],
)
def test_wiring_that_makes_no_sense_is_refused(changes, message):
    with pytest.raises(BadInputError, match=message):
        verify(replace(branches(), **changes))


@pytest.mark.parametrize(
    ("index", "changes", "message"),
    [
        (0, {"before": (1, 0)}, "it pads"),
        (0, {"value": 200}, "not an int8"),
        (1, {"begin": (2, 0, 0)}, "along an axis of 2"),
        (1, {"stride": (1, -2, 1)}, "along an axis of 3"),
        (4, {"values": np.zeros(3, np.int8)}, "its parameters give"),
        (5, {"axis": 1}, "its axis is 1 of 1"),
        (6, {"order": (0, 0, 1)}, "is not one of the 3 axes"),
    ],
)
def test_a_layer_that_makes_no_sense_is_refused(index, changes, message):
    model = branches()
    layers = list(model.layers)
    layers[index] = replace(layers[index], **changes)
    with pytest.raises(BadInputError, match=message):
        verify(replace(model, layers=tuple(layers)))
