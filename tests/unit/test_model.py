"""`QuantizedModel`: what follows from its fields, its fingerprint, what can reach a layer."""

from dataclasses import FrozenInstanceError, fields, replace
from itertools import product

import numpy as np
import pytest
import sample_models

from lenet_edge.quantized.model import (
    Conv2d,
    DepthwiseConv2d,
    FullyConnected,
    MaxPool2d,
    QTensor,
    QuantizedModel,
    accumulator_bounds,
    channel_weights,
    expected_output_shape,
    input_ranges,
    macs,
    window_padding,
)
from lenet_edge.quantized.proof import _reachable


def with_layer(model, index, **changes):
    layers = list(model.layers)
    layers[index] = replace(layers[index], **changes)
    return QuantizedModel(tuple(layers), model.metadata)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "expected"),
    [
        (28, 5, 1, "same", (28, 2, 2)),
        (14, 5, 1, "valid", (10, 0, 0)),
        (5, 2, 2, "same", (3, 0, 1)),
        (6, 2, 1, "same", (6, 0, 1)),
        (7, 3, 2, "valid", (3, 0, 0)),
        (8, 3, 2, "same", (4, 0, 1)),
        (4, 1, 3, "same", (2, 0, 0)),
    ],
)
def test_window_padding(size, kernel, stride, padding, expected):
    assert window_padding(size, kernel, stride, padding) == expected


def test_shapes_and_macs_of_lenet5():
    model = sample_models.lenet5()
    shapes = [(28, 28, 6), (14, 14, 6), (10, 10, 16), (5, 5, 16), (400,), (120,), (84,), (10,)]
    assert [expected_output_shape(layer) for layer in model.layers] == shapes
    assert [macs(layer) for layer in model.layers] == [117_600, 0, 240_000, 0, 0, 48_000, 10_080, 840]
    assert (model.input.shape, model.output.shape) == ((28, 28, 1), (10,))


def test_channel_weights_of_a_depthwise_layer_are_by_output_channel():
    weights = np.arange(12, dtype=np.int8).reshape(2, 2, 3)
    tensor = QTensor((2, 2, 3), 1.0, 0)
    scales, bias = np.ones(3, np.float32), np.zeros(3, np.int32)
    layer = DepthwiseConv2d("d", tensor, QTensor((1, 1, 3), 1.0, 0), weights, bias, scales)
    assert channel_weights(layer).tolist() == [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]]


def test_models_are_frozen():
    model = sample_models.every_layer()
    with pytest.raises(FrozenInstanceError):
        model.layers = ()
    with pytest.raises(ValueError, match="read-only"):
        model.layers[0].weights[0] = 1
    with pytest.raises(TypeError):
        model.metadata["arch"] = "other"


# --- the fingerprint -----------------------------------------------------------------------------


def test_fingerprint_is_a_sha256_and_repeats():
    first, second = sample_models.lenet5(1), sample_models.lenet5(1)
    assert len(bytes.fromhex(first.fingerprint)) == 32
    assert first.fingerprint == second.fingerprint
    assert first == second
    assert hash(first) == hash(second)
    assert first != sample_models.lenet5(2)
    assert first != "a string"


def test_fingerprint_ignores_names_and_metadata():
    model = sample_models.every_layer()
    renamed = QuantizedModel(tuple(replace(layer, name=layer.name + "'") for layer in model.layers))
    assert renamed == model == model.with_metadata(arch="x", classes=list("abcde"))


@pytest.mark.parametrize("field", ["weights", "bias", "weight_scales"])
def test_fingerprint_changes_with_any_single_value(field):
    model = sample_models.every_layer()
    values = getattr(model.layers[0], field)
    fingerprints = {model.fingerprint}
    for index in range(values.size):
        copy = values.copy()
        copy.flat[index] = (
            np.nextafter(copy.flat[index], np.float32(1)) if copy.dtype.kind == "f" else copy.flat[index] ^ 1
        )
        fingerprints.add(with_layer(model, 0, **{field: copy}).fingerprint)
    assert len(fingerprints) == values.size + 1


def test_fingerprint_changes_with_any_field_of_any_layer():
    """Each field of each layer of models that have all layer types, changed as little as can be."""
    checked = set()
    for model in (sample_models.every_layer(), sample_models.average_pool_softmax()):
        for index, layer in enumerate(model.layers):
            for field in fields(layer):
                if field.name == "name":
                    continue
                other = with_layer(model, index, **{field.name: slightly_changed(getattr(layer, field.name))})
                assert other.fingerprint != model.fingerprint, (layer.name, field.name)
                checked.add((type(layer).__name__, field.name))
    assert ("Softmax", "beta") in checked
    assert ("FullyConnected", "per_channel") in checked
    assert ("MaxPool2d", "stride") in checked
    assert ("Lookup", "table") in checked


def slightly_changed(value):
    if isinstance(value, QTensor):
        return replace(value, zero_point=value.zero_point + 1)
    if isinstance(value, np.ndarray):
        copy = value.copy()
        copy.flat[0] += 1
        return copy
    if isinstance(value, tuple):
        return (value[0], value[1] + 1)
    if isinstance(value, str):
        return {"same": "valid", "valid": "same", "sigmoid": "tanh", "tanh": "sigmoid"}[value]
    if isinstance(value, bool):
        return not value
    return value + (1 if isinstance(value, int) else 0.5)


def test_fingerprint_changes_with_scale_and_shape():
    model = sample_models.every_layer()
    tensor = model.layers[0].input
    nearby = float(np.nextafter(np.float32(tensor.scale), np.float32(1)))
    others = [replace(tensor, scale=nearby), replace(tensor, shape=(11, 13, 2))]
    fingerprints = {with_layer(model, 0, input=other).fingerprint for other in others}
    assert len(fingerprints | {model.fingerprint}) == 3


def test_fingerprint_changes_with_the_order_and_number_of_layers():
    model = sample_models.every_layer()
    fingerprints = {
        QuantizedModel(layers).fingerprint for layers in (model.layers, model.layers[:-1], model.layers[::-1])
    }
    assert len(fingerprints) == 3


def test_fingerprint_does_not_depend_on_memory_layout():
    model = sample_models.every_layer()
    weights = np.asfortranarray(model.layers[0].weights)
    assert not weights.flags.c_contiguous
    assert with_layer(model, 0, weights=weights) == model


# --- what can reach a layer ----------------------------------------------------------------------


def test_input_ranges_follow_clamps_pools_and_tables():
    model = sample_models.every_layer()
    conv, depthwise, tanh, pool = model.layers[:4]
    model = QuantizedModel(
        (
            replace(conv, clamp_min=-20, clamp_max=30),
            depthwise,
            replace(tanh, table=np.arange(-64, 64, 0.5).astype(np.int8)),
            replace(pool, clamp_min=-10, clamp_max=200),
            *model.layers[4:],
        )
    )
    model = with_layer(model, 1, clamp_min=-100, clamp_max=50)
    ranges = input_ranges(model)
    assert ranges[:4] == [(-128, 127), (-20, 30), (-100, 50), (-50, 25)]
    assert ranges[4] == (-10, 25)  # after the pool's own clamp


def small_layer(kind, weights, bias, zero_point, padding="valid"):
    scales = np.ones(len(bias), np.float32)
    if kind is FullyConnected:
        source = QTensor((weights.shape[1],), 1.0, zero_point)
        return FullyConnected("fc", source, QTensor((len(bias),), 1.0, 0), weights, bias, scales)
    draft = Conv2d(
        "conv", QTensor((2, 2, 1), 1.0, zero_point), QTensor((0,), 1.0, 0), weights, bias, scales, padding=padding
    )
    return replace(draft, output=QTensor(expected_output_shape(draft), 1.0, 0))


@pytest.mark.parametrize(("low", "high", "zero_point"), [(-3, 2, -5), (-1, 4, 1), (0, 3, 7)])
def test_accumulators_that_can_be_reached_are_all_enumerated(low, high, zero_point):
    """Every input vector in the range, one by one."""
    weights = np.array([[6, -4, 2], [-8, 4, 12], [0, 0, 0], [3, 5, -7]], np.int8)
    bias = np.array([10, -3, 5, 0], np.int32)
    layer = small_layer(FullyConnected, weights, bias, zero_point)
    inputs = np.array(list(product(range(low, high + 1), repeat=3)))
    reached = (inputs - zero_point) @ weights.T.astype(int) + bias
    minimum, maximum = accumulator_bounds(layer, low, high)
    assert minimum.tolist() == reached.min(axis=0).tolist()
    assert maximum.tolist() == reached.max(axis=0).tolist()
    enumerated = {channel: set() for channel in range(4)}
    for channel, accumulators in enumerate(_reachable(layer, low, high)):
        enumerated[channel].update(accumulators)
    for channel in range(4):
        assert set(reached[:, channel].tolist()) <= enumerated[channel]
        assert min(enumerated[channel]) == minimum[channel]
        assert max(enumerated[channel]) == maximum[channel]
    assert len(enumerated[0]) < maximum[0] - minimum[0]  # steps of the greatest common divisor
    assert enumerated[2] == {5}


def test_padding_adds_nothing_to_an_accumulator():
    """The zero point is not in the range, so a window with padding reaches less than a full one."""
    weights = np.full((1, 2, 2, 1), 3, np.int8)
    low, high, zero_point = 10, 20, -128
    for padding, expected in (("valid", (4 * 3 * 138, 4 * 3 * 148)), ("same", (0, 4 * 3 * 148))):
        layer = small_layer(Conv2d, weights, np.zeros(1, np.int32), zero_point, padding)
        minimum, maximum = accumulator_bounds(layer, low, high)
        assert (minimum.tolist(), maximum.tolist()) == ([expected[0]], [expected[1]])


def test_a_pool_does_not_widen_a_range():
    tensor = QTensor((4, 4, 1), 1.0, 0)
    pool = MaxPool2d("p", tensor, QTensor((2, 2, 1), 1.0, 0), (2, 2), (2, 2), clamp_min=-5, clamp_max=5)
    after = replace(pool, input=pool.output, output=QTensor((1, 1, 1), 1.0, 0), clamp_min=-128, clamp_max=127)
    assert input_ranges(QuantizedModel((pool, after, after))) == [(-128, 127), (-5, 5), (-5, 5)]
