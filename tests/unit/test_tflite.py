"""The .tflite reader and writer: round trips, third-party files."""

from dataclasses import replace

import numpy as np
import pytest
import sample_models
from tflite_trees import rebuilt

from lenet_edge.errors import BadInputError
from lenet_edge.formats.tflite import from_bytes, operators_of, read, to_bytes
from lenet_edge.quantized.meaning import meaning_of
from lenet_edge.quantized.model import Flatten, FullyConnected, QTensor, QuantizedModel
from lenet_edge.quantized.verify import verify

MODELS = {
    f"{make.__name__} {grid}": make(grid=grid)
    for make in (sample_models.lenet5, sample_models.lenet5_sigmoid, sample_models.every_layer)
    for grid in ("tie-free", "ordinary")
} | {"average_pool_softmax": sample_models.average_pool_softmax()}


# --- round trip ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(MODELS))
def test_round_trip(name, tmp_path):
    model = MODELS[name]
    data = to_bytes(model)
    assert data[4:8] == b"TFL3"
    again = from_bytes(data)
    assert again == model
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]
    assert to_bytes(again) == data == to_bytes(model)
    (tmp_path / "model.tflite").write_bytes(data)
    assert read(tmp_path / "model.tflite") == model


@pytest.mark.parametrize("seed", range(1, 8))
def test_round_trip_of_random_models(seed):
    model = sample_models.every_layer(seed, "ordinary" if seed % 2 else "tie-free")
    assert from_bytes(to_bytes(model)) == model


def test_metadata_is_kept():
    model = sample_models.every_layer().with_metadata(
        arch="every", classes=["α", "b", "c", "d", "e"], nested={"a": [1]}
    )
    again = from_bytes(to_bytes(model))
    assert {key: again.metadata[key] for key in model.metadata} == dict(model.metadata)
    assert meaning_of(again).classes == ("α", "b", "c", "d", "e")
    assert again.metadata["fingerprint"] == model.fingerprint


@pytest.mark.parametrize(("clamp_min", "zero_point", "scale"), [(-128, -128, 0.1), (-3, -3, 0.05), (-128, 5, 0.05)])
def test_fused_relu_is_a_clamp(clamp_min, zero_point, scale):
    model = hand_made(zero_point=zero_point, scale=scale, clamp_min=clamp_min)
    assert from_bytes(to_bytes(model)) == model


def test_relu6_and_relu_n1_to_1():
    for clamp in ((-10, 50), (-20, 0)):
        model = hand_made(zero_point=-10, scale=0.1, clamp_min=clamp[0], clamp_max=clamp[1])
        assert from_bytes(to_bytes(model)) == model


def test_a_clamp_that_no_activation_gives_is_refused():
    with pytest.raises(BadInputError, match=r"layer fc: no fused activation .* -7\.\.99"):
        to_bytes(hand_made(clamp_min=-7, clamp_max=99))


def hand_made(zero_point=0, scale=0.1, *, channels=2, per_channel=True, **clamp):
    source, target = QTensor((3,), 0.5, 0), QTensor((channels,), float(np.float32(scale)), zero_point)
    weights, bias = np.arange(3 * channels, dtype=np.int8).reshape(channels, 3), np.arange(channels, dtype=np.int32)
    scales = np.full(channels, 0.25, np.float32)
    return verify(
        QuantizedModel((FullyConnected("fc", source, target, weights, bias, scales, **clamp, per_channel=per_channel),))
    )


def test_one_scale_for_a_fully_connected():
    model = hand_made(per_channel=False)
    again = from_bytes(to_bytes(model))
    assert again == model
    assert not again.layers[0].per_channel


def test_operators_are_each_once_in_order():
    names = ["CONV_2D", "DEPTHWISE_CONV_2D", "TANH", "MAX_POOL_2D", "RESHAPE", "FULLY_CONNECTED", "LOGISTIC"]
    assert operators_of(to_bytes(sample_models.every_layer())) == names


def test_constants_are_aligned_to_16_bytes():
    model = sample_models.lenet5()
    data = to_bytes(model)
    for layer in model.layers:
        if hasattr(layer, "weights"):
            assert data.index(layer.weights.tobytes()) % 16 == 0
            assert data.index(layer.bias.tobytes()) % 16 == 0


def test_names_do_not_have_to_be_unique():
    model = sample_models.every_layer()
    same = QuantizedModel(tuple(replace(layer, name="same") for layer in model.layers))
    assert from_bytes(to_bytes(same)) == model


# --- third-party files: the object tree of a good file, changed -----------------------------------


def test_a_file_without_our_metadata_is_read():
    assert from_bytes(rebuilt(lambda tree, graph: None)) == sample_models.every_layer()


def test_one_scale_of_a_convolution_is_for_all_channels():
    def change(_, graph):
        for index in graph.operators[0].inputs[1:]:
            quantization = graph.tensors[index].quantization
            quantization.scale, quantization.zeroPoint = quantization.scale[:1], [0]

    scales = from_bytes(rebuilt(change)).layers[0].weight_scales
    assert scales.shape == (4,)
    assert np.ptp(scales) == 0


def test_no_bias_is_a_bias_of_zeros():
    def change(_, graph):
        graph.operators[-1].inputs = [*graph.operators[-1].inputs[:2], -1]

    assert not from_bytes(rebuilt(change)).layers[-1].bias.any()


def test_fully_connected_flattens_by_itself():
    def change(_, graph):
        reshape, following = graph.operators[4:6]
        following.inputs = [reshape.inputs[0], *following.inputs[1:]]
        del graph.operators[4]

    model, original = from_bytes(rebuilt(change)), sample_models.every_layer()
    assert [type(layer) for layer in model.layers] == [type(layer) for layer in original.layers]
    assert isinstance(model.layers[4], Flatten)
    assert model == original
