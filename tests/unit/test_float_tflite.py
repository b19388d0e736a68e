"""Float .tflite files: what they become in int8, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import residual_models
import sample_models
from ai_edge_litert import schema_py_generated as schema
from float_files import FloatTree, agreement_db, float_file, images_of

from lenet_edge.engines import float_litert
from lenet_edge.errors import BadInputError
from lenet_edge.formats import tflite
from lenet_edge.formats.tflite import floating
from lenet_edge.formats.tflite.floating.int8 import observed_tensors, scaling_of
from lenet_edge.post_training import load_tflite, real_pictures
from lenet_edge.quantized.model import Conv2d, DepthwiseConv2d, FullyConnected, Softmax
from lenet_edge.quantized.reference import layer_outputs
from lenet_edge.retie import retie, tune
from lenet_edge.retie.layers import real_bias, real_weights

UNIT = (0.0, 1.0)


def own_ranges(graph, model):
    """For each tensor the range that the int8 model of the same structure gives it."""
    known = {layer.name: layer.output for layer in model.layers}
    found = {}
    for index in observed_tensors(graph):
        tensor = known[graph.name(index)]
        found[index] = floating.Range(*((end - tensor.zero_point) * tensor.scale for end in (-128, 127)))
    return found


@pytest.mark.parametrize("make", [sample_models.lenet5, sample_models.lenet5_sigmoid, residual_models.residual])
def test_an_int8_model_made_float_comes_back(make):
    """With its own ranges: the same scales and zero points, and weights as near as int8 can be."""
    model = make(3)
    graph = floating.read_graph(float_file(model))
    floating.rewrite(graph, model.input.shape)
    pixels = floating.Range(*((end - model.input.zero_point) * model.input.scale for end in (-128, 127)))
    found = floating.to_int8(graph, own_ranges(graph, model), pixels)
    assert [type(layer) for layer in found.layers] == [type(layer) for layer in model.layers]
    assert found.reads == model.reads
    for layer, old in zip(found.layers, model.layers, strict=True):
        assert layer.output.shape == old.output.shape
        assert math.isclose(layer.output.scale, old.output.scale, rel_tol=1e-6)
        assert layer.output.zero_point == old.output.zero_point
        if isinstance(layer, (Conv2d, DepthwiseConv2d, FullyConnected)):
            steps = layer.weight_scales.astype(np.float64)
            assert (abs(real_weights(layer) - real_weights(old)) <= 0.501 * steps[:, None]).all()
            assert (abs(real_bias(layer) - real_bias(old)) <= 0.51 * steps * layer.input.scale + 1e-6).all()
            assert (layer.clamp_min, layer.clamp_max) == (old.clamp_min, old.clamp_max)


def agreement_of(data, model, **options):
    return agreement_db(load_tflite(data, model.input.shape), model.input.shape, **options)


@pytest.mark.parametrize("tie_free", [True, False])
def test_a_residual_network_is_near_the_float_one_in_litert(tie_free):
    model = residual_models.residual(3, softmax=True)
    found, quantised = agreement_of(float_file(model), model, tie_free=tie_free)
    assert found > 25
    assert not any(isinstance(layer, Softmax) for layer in quantised.layers)
    assert tflite.from_bytes(tflite.to_bytes(quantised)).fingerprint == quantised.fingerprint


# --- constant factors and terms, activations --------------------------------------------------------


def multiply(values, **where):
    return lambda tree: tree.before("MUL", values, schema.MulOptionsT(), **where)


def subtract(values, **where):
    return lambda tree: tree.before("SUB", values, schema.SubOptionsT(), **where)


def test_a_factor_and_a_term_at_the_input_are_its_range():
    """x / 127.5 - 1, as `Rescaling` has it, and then 0.5 - x."""
    model = sample_models.lenet5(2)
    data = float_file(model, subtract(0.5, first=True), subtract([1.0]), multiply([[[[1 / 127.5]]]]))
    graph = floating.read_graph(data)
    entering = floating.rewrite(graph, (28, 28, 1))
    assert entering.entered(0, 255) == pytest.approx((1.5, -0.5))
    assert graph.operators[0].name == "CONV_2D"
    found, quantised = agreement_of(data, model, pixels=(0, 255))
    assert found > 20
    assert quantised.input.scale == pytest.approx(2 / 255)


def test_factors_for_each_channel_become_a_convolution_or_go_into_weights():
    """At an input with three channels, behind a convolution, and behind a mean before a dense layer."""
    model = residual_models.residual(3)
    gain, offset = np.array([0.5, 1.5, 0.8]), np.array([0.1, -0.2, 0.3])
    channels = model.layers[0].output.shape[-1]
    factors = np.random.default_rng(1).uniform(0.5, 1.5, channels)

    def behind(tree: FloatTree):
        names = [layer.name for layer in model.layers]
        tree.behind(writer(tree, "mean"), "MUL", factors, schema.MulOptionsT())
        tree.behind(writer(tree, "mean"), "ADD", -factors, schema.AddOptionsT())
        tree.behind(writer(tree, names[2]), "MUL", factors, schema.MulOptionsT())

    data = float_file(model, behind, lambda tree: tree.before("ADD", offset, schema.AddOptionsT()), multiply(gain))
    found, quantised = agreement_of(data, model)
    assert found > 22
    kinds = [type(layer) for layer in quantised.layers]
    assert kinds[:2] == [DepthwiseConv2d, Conv2d]
    assert len(kinds) == len(model.layers) + 1 + 1  # and the mean is a convolution and a Flatten now


def writer(tree, name):
    """The index of the operator that gives the tensor of that name, or of what is behind it now."""
    names = [tree.graph.tensors[operator.outputs[0]].name for operator in tree.graph.operators]
    return names.index(name.encode())


def test_an_activation_of_its_own_goes_into_the_layer_before():
    model = residual_models.residual(3)

    def unfused(tree: FloatTree):
        for index, operator in reversed(list(enumerate(tree.graph.operators))):
            if getattr(operator.builtinOptions, "fusedActivationFunction", 0) == schema.ActivationFunctionType.RELU:
                operator.builtinOptions.fusedActivationFunction = 0
                tree.behind(index, "RELU", None)

    plain, changed = (floating.read_graph(data) for data in (float_file(model), float_file(model, unfused)))
    assert len(changed.operators) > len(plain.operators)
    for graph in (plain, changed):
        floating.rewrite(graph, model.input.shape)
    assert [(each.name, each.activation) for each in changed.operators] == [
        (each.name, each.activation) for each in plain.operators
    ]


def test_pictures_enter_a_vector_a_plane_and_channels_first():
    """A dense network that takes 784 values, and one that turns [1, 1, 28, 28] around first."""
    model = sample_models.lenet5(2)

    def channels_first(tree: FloatTree):
        old = tree.graph.inputs[0]
        new = tree.tensor((1, 1, 28, 28))
        order = tree.constant([0, 2, 3, 1], "<i4", schema.TensorType.INT32)
        tree.graph.operators.insert(0, tree.operator("TRANSPOSE", [new, order], old, schema.TransposeOptionsT()))
        tree.graph.inputs = [new]

    def plane(tree: FloatTree):
        old = tree.graph.inputs[0]
        new = tree.tensor((1, 28, 28))
        options = schema.ReshapeOptionsT()
        options.newShape = [1, 28, 28, 1]
        tree.graph.operators.insert(0, tree.operator("RESHAPE", [new], old, options))
        tree.graph.inputs = [new]

    pictures = real_pictures(images_of(model.input.shape, 3), UNIT)
    expected = load_tflite(float_file(model), (28, 28, 1)).logits(pictures)
    for change in (channels_first, plane):
        data = float_file(model, change)
        assert floating.picture_shape(floating.read_graph(data)) == (28, 28, 1)
        found = load_tflite(data, (28, 28, 1))
        assert np.array_equal(found.logits(pictures), expected)
        assert found.int8(pictures, UNIT).input.shape == (28, 28, 1)


def test_the_axes_are_turned_back_for_the_file():
    entering = floating.Entering((1, 3, 4, 5), (0, 3, 1, 2))
    pictures = np.arange(2 * 4 * 5 * 3, dtype=np.float32).reshape(2, 4, 5, 3)
    assert np.array_equal(entering.fed(pictures), pictures.transpose(0, 3, 1, 2))


# --- ranges -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "scale", "zero_point"),
    [(0, 255, 1, -128), (-1, 1, 2 / 255, -1), (0.5, 1, 1 / 255, -128), (1, 0, 1 / 255, -128), (-2, -1, 2 / 255, 127)],
)
def test_a_range_holds_its_ends_and_zero(low, high, scale, zero_point):
    found, zero = scaling_of(low, high)
    assert (found, zero) == (pytest.approx(scale), zero_point)


def test_weights_of_zero_and_a_bias_far_beyond_them_fit():
    """A channel without weights has the scale that its bias needs."""
    model = sample_models.lenet5(2)

    def dead(tree: FloatTree):
        weights, bias = (tree.graph.tensors[index] for index in tree.graph.operators[0].inputs[1:])
        values = np.frombuffer(bytes(tree.tree.buffers[weights.buffer].data), "<f4").reshape(weights.shape).copy()
        values[0], biases = 0, np.array([5e4, *[0.1] * (len(values) - 1)], "<f4")
        for tensor, content in ((weights, values), (bias, biases)):
            tree.tree.buffers[tensor.buffer].data = np.frombuffer(content.tobytes(), np.uint8)

    graph = floating.read_graph(float_file(model, dead))
    floating.rewrite(graph, (28, 28, 1))
    ranges = own_ranges(graph, model)
    found = floating.to_int8(graph, ranges, floating.Range(0, 1))
    assert real_bias(found.layers[0])[0] == pytest.approx(5e4, rel=1e-6)


# --- what is refused ----------------------------------------------------------------------------------


def not_a_number(tree: FloatTree):
    tensor = tree.graph.tensors[tree.graph.operators[0].inputs[1]]
    values = np.frombuffer(bytes(tree.tree.buffers[tensor.buffer].data), "<f4").copy()
    values[3] = np.nan
    tree.tree.buffers[tensor.buffer].data = np.frombuffer(values.tobytes(), np.uint8)


def unknown(tree: FloatTree):
    tree.behind(0, "ELU", None)
    tree.behind(3, "HARD_SWISH", None)


def hybrid(tree: FloatTree):
    tensor = tree.graph.tensors[tree.graph.operators[0].inputs[1]]
    tensor.type = schema.TensorType.INT8
    count = math.prod(tensor.shape)
    tree.tree.buffers[tensor.buffer].data = np.zeros(count, np.uint8)


def batch(tree: FloatTree):
    tree.graph.tensors[tree.graph.inputs[0]].shape = [4, 28, 28, 1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (not_a_number, "infinite or no numbers"),
        (unknown, "2 kinds of operators are not supported: ELU (operator 1), HARD_SWISH (operator 4)"),
        (hybrid, "dynamic range quantisation"),
        (batch, "a batch of 1"),
    ],
)
def test_what_cannot_be_quantised_says_why(change, said):
    data = float_file(sample_models.lenet5(2), change)
    with pytest.raises(BadInputError) as caught:
        load_tflite(data, (28, 28, 1)).int8(np.zeros((1, 28, 28, 1), np.float32), UNIT)
    assert said in str(caught.value)


def test_an_int8_model_is_for_retie():
    data = tflite.to_bytes(sample_models.lenet5(2))
    assert not floating.is_float(data)
    with pytest.raises(BadInputError, match="retie"):
        floating.read_graph(data)


def test_pictures_of_another_size_are_refused():
    with pytest.raises(BadInputError, match="28 x 28 x 1 values, and the pictures have 32 x 32 x 3"):
        load_tflite(float_file(sample_models.lenet5(2)), (32, 32, 3))


def test_a_result_that_is_no_number_is_refused():
    data = float_file(sample_models.lenet5(2))
    with pytest.raises(BadInputError, match="infinite or no numbers"):
        load_tflite(data, (28, 28, 1)).int8(np.full((1, 28, 28, 1), np.inf, np.float32), UNIT)


def test_what_litert_refuses_is_bad_input():
    with pytest.raises(BadInputError):
        float_litert.run(b"\0" * 64, np.zeros((1, 2), np.float32))


def test_fitting_brings_each_channel_s_mean_to_that_of_the_float_model():
    """A bias that the int8 model lacks is found again, also behind a ReLU."""
    model = sample_models.lenet5(2)
    graph = floating.read_graph(float_file(model))
    floating.rewrite(graph, (28, 28, 1))
    ordinary = floating.to_int8(graph, own_ranges(graph, model), floating.Range(0, 1))
    images = (images_of((28, 28, 1), 24)[..., None] ^ 0x80).view(np.int8)
    first = ordinary.layers[0]
    assert isinstance(first, Conv2d)
    outputs = next(iter(layer_outputs(ordinary, images)))
    real = (outputs.astype(np.float32) - first.output.zero_point) * np.float32(first.output.scale)
    step = 4 * first.output.scale
    wanted = np.maximum(real + np.float32(step) * (real > 0), 0)
    moved = retie(ordinary)
    errors = []
    for found in (moved, tune(ordinary, moved, images, {0: wanted})):
        layer = found.model.layers[0]
        said = (
            next(iter(layer_outputs(found.model, images))) - np.float64(layer.output.zero_point)
        ) * layer.output.scale
        errors.append(abs((said - wanted).mean(axis=(0, 1, 2))).max())
    assert errors[1] < 0.3 * errors[0]
