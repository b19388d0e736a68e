"""`verify` names the layer and what is wrong with it."""

from dataclasses import replace

import numpy as np
import pytest
import sample_models

from lenet_edge.errors import BadInputError
from lenet_edge.quantized.model import FullyConnected, QTensor, QuantizedModel
from lenet_edge.quantized.verify import verify

CONV, DEPTHWISE, TANH, POOL, FLATTEN, HIDDEN = range(6)  # of sample_models.every_layer


def with_layer(index, **changes):
    layers = list(sample_models.every_layer().layers)
    layers[index] = replace(layers[index], **changes)
    return QuantizedModel(tuple(layers))


def tensor(index, which, **changes):
    return replace(getattr(sample_models.every_layer().layers[index], which), **changes)


@pytest.mark.parametrize(
    "make",
    [sample_models.lenet5, sample_models.lenet5_sigmoid, sample_models.every_layer, sample_models.average_pool_softmax],
)
def test_sample_models_pass(make):
    model = make()
    assert verify(model) is model


def test_an_empty_model():
    with pytest.raises(BadInputError, match="no layers"):
        verify(QuantizedModel(()))


@pytest.mark.parametrize(
    ("index", "changes", "message"),
    [
        (CONV, {"input": tensor(CONV, "input", shape=(13, 11))}, r"not \[h, w, c\]"),
        (CONV, {"input": tensor(CONV, "input", shape=(13, 0, 2))}, "all at least 1"),
        (CONV, {"input": tensor(CONV, "input", shape=(5000, 5000, 2))}, "more than 16 M"),
        (CONV, {"input": tensor(CONV, "input", scale=0.0)}, "positive float32"),
        (CONV, {"input": tensor(CONV, "input", scale=float("nan"))}, "positive float32"),
        (CONV, {"input": tensor(CONV, "input", scale=float("inf"))}, "positive float32"),
        (CONV, {"input": tensor(CONV, "input", scale=0.1)}, "positive float32"),
        (CONV, {"output": tensor(CONV, "output", zero_point=128)}, "zero point is 128"),
        (CONV, {"output": tensor(CONV, "output", zero_point=-129)}, "zero point is -129"),
        (CONV, {"output": tensor(CONV, "output", shape=(7, 6, 5))}, "its parameters give"),
        (DEPTHWISE, {"input": tensor(DEPTHWISE, "input", zero_point=-1)}, "not the output of the layer before"),
        (CONV, {"weights": np.zeros((4, 3, 3), np.int8)}, "not 4 axes"),
        (DEPTHWISE, {"weights": np.zeros((1, 3, 3, 4), np.int8)}, "not 3 axes"),
        (CONV, {"weights": np.zeros((4, 3, 3, 3), np.int8)}, "3 input channels on an input of 2"),
        (CONV, {"weights": np.zeros((5, 3, 3, 2), np.int8)}, "5 channels"),
        (CONV, {"weights": np.zeros((4, 3, 3, 2), np.int16)}, "weights must be int8"),
        (CONV, {"bias": np.zeros(4, np.int64)}, "bias int32"),
        (CONV, {"bias": np.zeros(3, np.int32)}, r"\(3,\) biases"),
        (CONV, {"weight_scales": np.ones(4)}, "weight scales float32"),
        (CONV, {"weight_scales": np.ones(1, np.float32)}, r"\(1,\) weight scales"),
        (CONV, {"weight_scales": np.array([1, 1, 1, 0], np.float32)}, "not a positive number"),
        (CONV, {"weight_scales": np.array([1, 1, 1, np.nan], np.float32)}, "not a positive number"),
        (CONV, {"weight_scales": np.array([1, 1, 1, np.inf], np.float32)}, "not a positive number"),
        (CONV, {"stride": (0, 1)}, "runtimes take 1 to 32767"),
        (CONV, {"stride": (1, -1)}, "runtimes take 1 to 32767"),
        (CONV, {"padding": "full"}, "'full'"),
        (CONV, {"weights": np.zeros((4, 14, 3, 2), np.int8), "padding": "valid"}, "larger than its input"),
        (CONV, {"clamp_min": 5, "clamp_max": 4}, "5..4 is not an int8 range"),
        (CONV, {"clamp_max": 128}, "not an int8 range"),
        (DEPTHWISE, {"clamp_min": -5000}, "not an int8 range"),
        (POOL, {"clamp_min": -129}, "not an int8 range"),
        (CONV, {"stride": (1, 32768)}, "runtimes take 1 to 32767"),
        (POOL, {"window": (300, 300)}, "not for a microcontroller"),
        (POOL, {"window": (0, 2)}, "runtimes take 1 to 32767"),
        (POOL, {"output": tensor(POOL, "output", scale=0.5)}, "differ in scale or zero point"),
        (FLATTEN, {"output": tensor(FLATTEN, "output", zero_point=3)}, "differ in scale or zero point"),
        (FLATTEN, {"output": tensor(FLATTEN, "output", shape=(61,))}, "its parameters give"),
        (TANH, {"table": np.zeros(255, np.int8)}, r"int8\[255\]"),
        (TANH, {"table": np.zeros(256, np.uint8)}, r"uint8\[256\]"),
        (HIDDEN, {"weights": np.zeros((9, 3, 20), np.int8)}, "both must be flat"),
        (HIDDEN, {"per_channel": False}, "weight scales differ"),
    ],
)
def test_what_is_refused(index, changes, message):
    name = sample_models.every_layer().layers[index].name
    with pytest.raises(BadInputError, match=rf"layer {name} \(\w+\): .*{message}"):
        verify(with_layer(index, **changes))


def test_depth_multiplier_must_be_whole():
    depthwise = sample_models.every_layer().layers[DEPTHWISE]
    values = {"weights": np.zeros((3, 3, 6), np.int8), "bias": np.zeros(6, np.int32)}
    layer = replace(depthwise, **values, weight_scales=np.ones(6, np.float32))
    with pytest.raises(BadInputError, match="not a multiple of 4 input channels"):
        verify(QuantizedModel((layer,)))


# --- int32 overflow ------------------------------------------------------------------------------


def fully_connected(weight, count, bias, zero_point=0, scale=2.0**-20):
    weights = np.full((1, count), weight, np.int8)
    source, target = QTensor((count,), 1.0, zero_point), QTensor((1,), 1.0, 0)
    return FullyConnected("fc", source, target, weights, np.array([bias], np.int32), np.array([scale], np.float32))


def worst_partial_sum(layer):
    """The largest partial sum in either form that runtimes use, by plain integers."""
    zero_point, bias = layer.input.zero_point, int(layer.bias[0])
    weights = [int(weight) for weight in layer.weights[0]]
    centred = abs(bias) + sum(abs(w) * max(127 - zero_point, 128 + zero_point) for w in weights)
    folded = abs(bias - zero_point * sum(weights)) + sum(abs(w) * 128 for w in weights)
    return max(centred, folded)


@pytest.mark.parametrize(("weight", "zero_point"), [(127, -128), (-127, 127), (-128, -128), (1, 0)])
def test_no_accumulator_that_overflows_passes(weight, zero_point):
    count = 1000
    free = 2**31 - 1 - worst_partial_sum(fully_connected(weight, count, 0, zero_point))
    for bias in (free + 1, -free - 1):
        with pytest.raises(BadInputError, match=r"channel 0 can reach an accumulator of .* which int32 cannot hold"):
            verify(QuantizedModel((fully_connected(weight, count, bias, zero_point),)))
    spare = count * abs(weight) * 128  # the bound may count the zero point twice, no more
    verify(QuantizedModel((fully_connected(weight, count, free - spare, zero_point),)))


def test_int32_bias_of_the_smallest_value():
    with pytest.raises(BadInputError, match="int32 cannot hold"):
        verify(QuantizedModel((fully_connected(0, 1, -(2**31)),)))


def test_a_multiplier_that_overflows_by_its_shift():
    assert verify(QuantizedModel((fully_connected(1, 4, 0, scale=2.0),)))
    with pytest.raises(BadInputError, match="results overflow int32"):
        verify(QuantizedModel((fully_connected(127, 2000, 0, scale=200.0),)))


def test_a_multiplier_that_xnnpack_does_not_take():
    """LiteRT with XNNPACK refuses such a layer from 256 on (tests/parity/test_bit_flips.py met one)."""
    assert verify(QuantizedModel((fully_connected(1, 4, 0, scale=255.9),)))
    with pytest.raises(BadInputError, match="the multiplier of channel 0 is 256; LiteRT takes less than 256"):
        verify(QuantizedModel((fully_connected(1, 4, 0, scale=256.0),)))


@pytest.mark.parametrize("scale", [1e-13, 9e5 * 1.2])
def test_scales_that_no_int8_file_means(scale):
    layer = fully_connected(1, 4, 0)
    tensor = replace(layer.output, scale=float(np.float32(scale)))
    with pytest.raises(BadInputError, match=r"its output scale is .*, not in 1e-12 to 1e6"):
        verify(QuantizedModel((replace(layer, output=tensor),)))
    with pytest.raises(BadInputError, match=r"its weight scales are .*, not in 1e-12 to 1e6"):
        verify(QuantizedModel((replace(layer, weight_scales=np.full(1, scale, np.float32)),)))
