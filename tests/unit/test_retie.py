"""An ordinary model on the tie-free grid: every runtime's rules agree, and it still computes what it did."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import operator_graph
import pytest
import random_graphs
import sample_models
from hypothesis import given, settings
from hypothesis import strategies as st
from random_chains import Chain
from residual_models import residual

from lenet_edge.errors import BadInputError
from lenet_edge.formats import tflite
from lenet_edge.quantized.lookup import reference_table
from lenet_edge.quantized.model import (
    WEIGHTED,
    Add,
    AveragePool2d,
    Concatenate,
    DepthwiseConv2d,
    Lookup,
    Mean,
    QTensor,
    QuantizedModel,
    Rescale,
    Softmax,
    Subtract,
)
from lenet_edge.quantized.operator_cases import cases, tie_problem
from lenet_edge.quantized.proof import prove
from lenet_edge.quantized.reference import run
from lenet_edge.quantized.rescale import table
from lenet_edge.quantized.tie_free import is_tie_free, tie_free_problem, without_last_softmax
from lenet_edge.quantized.verify import verify
from lenet_edge.retie import moves, retie, tune
from lenet_edge.retie.rounding import on_grid

ORDINARY = {
    "lenet5": sample_models.lenet5(3, "ordinary"),
    "lenet5-sigmoid": sample_models.lenet5_sigmoid(4, "ordinary"),
    "every layer": sample_models.every_layer(5, "ordinary"),
    "average pooling": sample_models.average_pool_softmax(6),
    "relu6": Chain(7, (9, 9, 2)).conv(5, (3, 3), clamp=(-128, 60)).flatten().fully_connected(4).build(),
    **{f"residual {seed}": residual(seed, softmax=seed % 2 == 1) for seed in range(6)},
}


def noise(model, count=40):
    return np.random.default_rng(1).integers(-128, 128, (count, *model.input.shape)).astype(np.int8)


def sqnr_db(model, retied, images):
    """Of the real outputs."""
    before, after = (
        (run(each, images).astype(float) - each.output.zero_point) * each.output.scale for each in (model, retied)
    )
    return 10 * np.log10(np.square(before).sum() / np.square(before - after).sum())


@pytest.mark.parametrize("name", ORDINARY)
def test_a_model_is_tie_free_afterwards_and_computes_nearly_the_same(name):
    model = ORDINARY[name]
    assert not is_tie_free(model)
    found = retie(model)
    exact = without_last_softmax(found.model)
    assert tie_free_problem(exact) is None
    assert prove(exact).passed
    assert not found.left
    assert (found.model.inputs, found.model.output.shape) == (model.inputs, model.output.shape)
    before = without_last_softmax(model)
    assert sqnr_db(before, exact, noise(model)) > 20


def test_scales_move_little_around_sums():
    grown = [
        np.log2(found.model.layers[found.place[index]].output.scale / layer.output.scale)
        for seed in range(20)
        for model in [residual(seed)]
        for found in [retie(model)]
        for index, layer in enumerate(model.layers)
    ]
    assert np.mean(grown) < 0.1


def test_averages_become_depthwise_convolutions_of_one_weight():
    found = retie(ORDINARY["residual 0"])
    (layer,) = [layer for layer in found.model.layers if layer.name == "mean"]
    assert isinstance(layer, DepthwiseConv2d)
    assert layer.weights.shape == (8, 8, 6)
    assert len(np.unique(layer.weights)) == 1
    assert not any(isinstance(each, (Mean, AveragePool2d)) for each in found.model.layers)


def mean_of(side, channels=3):
    source, target = QTensor((side, side, channels), 0.03125, -128), QTensor((channels,), 0.03125, -128)
    return QuantizedModel((Mean("mean", source, target, (0, 1)),))


@pytest.mark.parametrize("side", [2, 5, 7, 8, 14, 20, 28])
def test_an_average_is_exact_to_the_rounding(side):
    model = mean_of(side)
    found = retie(model)
    assert not found.left
    (layer,) = [each for each in found.model.layers if isinstance(each, DepthwiseConv2d)]
    gain = layer.weights.astype(float).sum(axis=(0, 1)) * layer.weight_scales
    np.testing.assert_allclose(gain, 1, rtol=1e-6)
    images = noise(model)
    real = (images + 128.0).mean(axis=(1, 2)) * 0.03125
    mine = (run(found.model, images) + 128.0) * found.model.output.scale
    assert np.abs(mine - real).max() <= found.model.output.scale / 2 + 1e-6


def test_an_average_of_too_many_values_is_left_and_named():
    assert list(retie(mean_of(64)).left) == ["mean"]


def test_ends_of_given_scales_are_never_one():
    """LOGISTIC and TANH, joined through QUANTIZE: each table keeps its own scale."""
    source = QTensor((8,), 0.0625, 0)
    sigmoid, tanh = QTensor((8,), 1 / 256, -128), QTensor((8,), 1 / 128, 0)
    joined, both = QTensor((8,), 1 / 128, 0), QTensor((16,), 1 / 128, 0)
    layers = (
        Lookup("sigmoid", source, sigmoid, "sigmoid", reference_table("sigmoid", source)),
        Lookup("tanh", source, tanh, "tanh", reference_table("tanh", source)),
        Rescale("rescale", sigmoid, joined, "QUANTIZE", table("QUANTIZE", sigmoid, joined)),
        Concatenate("both", (joined, tanh), both, 0),
    )
    model = verify(QuantizedModel(layers, {}, ((-1,), (-1,), (0,), (2, 1))))
    found = retie(model).model
    scales = {layer.name: layer.output.scale for layer in found.layers}
    assert (scales["sigmoid"], scales["tanh"]) == (1 / 256, 1 / 128)
    assert tflite.from_bytes(tflite.to_bytes(found)) == found


def test_a_scale_that_has_to_grow_grows():
    """Weights so large that the output scale holds them at no q: the next one that does is taken."""
    for seed in range(40):
        model = Chain(seed, (6, 6, 2)).conv(3, (3, 3)).conv(4, (3, 3)).build()
        first = model.layers[0]
        output = replace(first.output, scale=float(np.float32(first.output.scale / 100)))
        narrow = (replace(first, output=output), replace(model.layers[1], input=output))
        assert tie_free_problem(retie(QuantizedModel(narrow)).model) is None


def test_an_average_over_the_edge_is_left_and_named():
    model = Chain(3, (7, 7, 2)).conv(3, (3, 3)).pool((2, 2), (1, 1), "same", AveragePool2d).flatten().build()
    found = retie(model)
    assert "AveragePool2d" in str(tie_free_problem(found.model))


@pytest.mark.parametrize("seed", [*range(60), 387, 828, 935, 1322, 1389, 1444])
def test_any_graph_is_moved_or_refused(seed):
    """What cannot be exact is left as it was; the rest of the model is still one that every reader takes."""
    try:
        model = tflite.from_bytes(random_graphs.random_graph(seed)[0])
        found = retie(model)
    except BadInputError:
        return
    assert tflite.from_bytes(tflite.to_bytes(found.model)) == found.model
    assert found.model.inputs == model.inputs
    images = noise(model, 6)
    tuned = tune(model, found, images)
    assert run(tuned.model, images).shape == run(model, images).shape


def test_every_operator():
    """LEAKY_RELU's slope makes ties of its own; all else can be exact."""
    model = operator_graph.every_operator()
    found = retie(model)
    assert "layer leaky" in str(tie_free_problem(found.model))
    others = [layer for layer in found.model.layers if isinstance(layer, (Add, Subtract))]
    assert [tie_problem(layer) for layer in others] == [None, None]


# --- sums -----------------------------------------------------------------------------------------

zero_points = st.integers(-128, 127)
multiples = st.integers(1, 8)


@settings(max_examples=25)
@given(multiples, multiples, st.integers(0, 63), st.integers(1, 64), zero_points, zero_points, zero_points)
def test_no_pair_of_a_sum_with_such_scales_is_a_tie(i, j, half, k, first, second, output):
    """All 65,536 pairs: in integers, and as every runtime's rule has them."""
    p, s = 2 * half + 1, 0.03125
    tensors = (QTensor((4,), i * s, first), QTensor((4,), j * s, second))
    layer = Add("sum", tensors, QTensor((4,), float(np.float32(s * p / k)), output))
    values = np.arange(-128, 128)
    doubled = 2 * k * (i * (values - first)[:, np.newaxis] + j * (values - second))
    assert not ((doubled - p) % (2 * p) == 0).any()
    found = cases(layer)
    np.testing.assert_array_equal(found.ideal, np.clip((doubled + p) // (2 * p) + output, -128, 127).ravel())
    for rule, results in found.by_rule.items():
        np.testing.assert_array_equal(results, found.ideal, err_msg=rule)


# --- rounding -------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 12))
def test_weights_are_rounded_up_or_down_and_their_errors_add_up_to_little(seed, kernels, taps):
    random = np.random.default_rng(seed)
    weights = random.normal(0, 0.1, (3, kernels, taps))
    found = on_grid(weights, np.zeros(3), 0.02, 0.05, 255)
    steps = weights / (2 * found.weight_scales.astype(float)).reshape(3, 1, 1)
    errors = found.weights.reshape(weights.shape) // 2 - steps
    assert (np.abs(errors) < 1 + 1e-9).all()
    assert (np.abs(errors.sum(axis=(1, 2))) <= 0.5 + 1e-9).all()
    assert (found.weights % 2 == 0).all()


# --- with data ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["lenet5", "residual 0", "every layer"])
def test_tuning_on_images_makes_the_outputs_nearer(name):
    model = ORDINARY[name]
    images = noise(model, 120)
    found = retie(model)
    tuned = tune(model, found, images[:60])
    assert tie_free_problem(without_last_softmax(tuned.model)) is None
    before, after = (sqnr_db(model, each.model, images[60:]) for each in (found, tuned))
    assert after > before - 0.5  # on images that it did not see
    assert sqnr_db(model, tuned.model, images[:60]) > sqnr_db(model, found.model, images[:60])


def test_a_layer_that_was_changed_is_tuned_back():
    """Its bias was off by 3 output steps: only tuning can know."""
    model = ORDINARY["lenet5"]
    found = retie(model)
    layers = list(found.model.layers)
    at = next(index for index, layer in enumerate(layers) if isinstance(layer, WEIGHTED))
    off = layers[at].bias + 2 * np.rint(
        1.5 * layers[at].output.scale / layers[at].input.scale / layers[at].weight_scales
    )
    layers[at] = replace(layers[at], bias=off.astype(np.int32))
    wrong = replace(found, model=QuantizedModel(tuple(layers), {}, found.model.reads, found.model.results))
    images = noise(model, 60)
    tuned = tune(model, wrong, images)
    assert sqnr_db(model, tuned.model, images) > sqnr_db(model, wrong.model, images) + 6


def test_what_became_of_each_layer():
    model = ORDINARY["residual 1"]
    found = retie(model)
    rows = moves(model, found, noise(model))
    assert [(row.name, row.kind) for row in rows] == [(each.name, type(each).__name__) for each in model.layers]
    assert isinstance(model.layers[-1], Softmax)
    for row, layer in zip(rows, model.layers, strict=True):
        assert row.scale == layer.output.scale
        assert row.new_scale == found.model.layers[found.place[model.layers.index(layer)]].output.scale
        assert row.sqnr_db is not None
        assert (row.q_min is not None) == isinstance(layer, (*WEIGHTED, Mean))
    last = model.layers.index(next(each for each in model.layers if each.name.startswith("fully")))
    expected = sqnr_db(without_last_softmax(model), without_last_softmax(found.model), noise(model))
    assert rows[last].sqnr_db == pytest.approx(expected)
