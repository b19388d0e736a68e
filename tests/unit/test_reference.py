"""The reference against a slow one in plain Python integers, layer type by layer type."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import sample_models

from lenet_edge.quantized.model import (
    AveragePool2d,
    Conv2d,
    DepthwiseConv2d,
    Flatten,
    FullyConnected,
    Lookup,
    MaxPool2d,
    QTensor,
    QuantizedModel,
    Softmax,
    expected_output_shape,
)
from lenet_edge.quantized.reference import accumulators, layer_outputs, quantize_images, run
from lenet_edge.quantized.runtimes import REFERENCE, RUNTIMES
from lenet_edge.quantized.verify import verify

# --- the slow reference --------------------------------------------------------------------------


def output_positions(size, kernel, stride, padding):
    """For each output position the input positions of its window; None where there is padding."""
    if padding == "valid":
        count, before = (size - kernel) // stride + 1, 0
    else:
        count = math.ceil(size / stride)
        before = max((count - 1) * stride + kernel - size, 0) // 2
    for out in range(count):
        positions = [out * stride - before + k for k in range(kernel)]
        yield [position if 0 <= position < size else None for position in positions]


def windows(layer, kernel):
    """For each output position the list of (kernel row, kernel column, row, column) inside the image."""
    height, width, _ = layer.input.shape
    return [
        [
            [(i, j, y, x) for i, y in enumerate(rows) for j, x in enumerate(columns) if None not in (y, x)]
            for columns in output_positions(width, kernel[1], layer.stride[1], layer.padding)
        ]
        for rows in output_positions(height, kernel[0], layer.stride[0], layer.padding)
    ]


def slow_accumulators(layer, image):
    """Lists of accumulators by plain sums of products."""
    zero_point, bias = layer.input.zero_point, layer.bias.tolist()
    weights, values = layer.weights.tolist(), image.tolist()
    if isinstance(layer, FullyConnected):
        return [
            sum(w * (x - zero_point) for w, x in zip(row, values, strict=True)) + b
            for row, b in zip(weights, bias, strict=True)
        ]
    channels, inputs = range(len(bias)), range(layer.input.shape[2])
    if isinstance(layer, DepthwiseConv2d):
        multiplier = len(bias) // len(inputs)
        return [
            [
                [
                    sum(weights[i][j][c] * (values[y][x][c // multiplier] - zero_point) for i, j, y, x in window)
                    + bias[c]
                    for c in channels
                ]
                for window in row
            ]
            for row in windows(layer, layer.weights.shape[:2])
        ]
    return [
        [
            [
                sum(weights[o][i][j][c] * (values[y][x][c] - zero_point) for i, j, y, x in window for c in inputs)
                + bias[o]
                for o in channels
            ]
            for window in row
        ]
        for row in windows(layer, layer.weights.shape[1:3])
    ]


def slow_requantize(accumulator, layer, channel):
    """TFLM's double rounding, in exact rationals."""
    mantissa, exponent = math.frexp(layer.input.scale * float(layer.weight_scales[channel]) / layer.output.scale)
    q31 = math.floor(Fraction(mantissa) * 2**31 + Fraction(1, 2))
    high = math.floor(Fraction(accumulator * 2 ** max(exponent, 0) * q31, 2**31) + Fraction(1, 2))
    magnitude = math.floor(Fraction(abs(high), 2 ** max(-exponent, 0)) + Fraction(1, 2))
    result = (magnitude if high >= 0 else -magnitude) + layer.output.zero_point
    return min(max(result, layer.clamp_min), layer.clamp_max)


def slow_weighted(layer, image):
    sums = np.array(slow_accumulators(layer, image), dtype=object)
    flat = sums.reshape(-1, len(layer.bias))
    return np.array([[slow_requantize(a, layer, c) for c, a in enumerate(row)] for row in flat]).reshape(sums.shape)


# --- layers to try -------------------------------------------------------------------------------


def weighted(kind, shape, weights_shape, *, seed=0, input_zero_point=-7, output_zero_point=3, **changes):
    random = np.random.default_rng(seed)
    channels = weights_shape[-1 if kind is DepthwiseConv2d else 0]
    weights = random.integers(-128, 128, weights_shape).astype(np.int8)
    bias = random.integers(-3000, 3000, channels).astype(np.int32)
    scales = random.uniform(0.001, 0.01, channels).astype(np.float32)
    source, target = (
        QTensor(shape, float(np.float32(0.05)), input_zero_point),
        QTensor((0,), float(np.float32(0.11)), 0),
    )
    draft = kind("layer", source, target, weights, bias, scales, **changes)
    output = replace(target, shape=expected_output_shape(draft), zero_point=output_zero_point)
    return replace(draft, output=output)


LAYERS = {
    "conv valid": weighted(Conv2d, (5, 6, 2), (3, 3, 2, 2)),
    "conv same": weighted(Conv2d, (5, 6, 2), (3, 3, 4, 2), padding="same", input_zero_point=9),
    "conv same strided": weighted(Conv2d, (7, 6, 1), (2, 3, 3, 1), padding="same", stride=(2, 3)),
    "conv valid strided": weighted(Conv2d, (7, 8, 2), (2, 2, 3, 2), stride=(3, 2)),
    "conv 1x1 clamped": weighted(Conv2d, (3, 3, 3), (4, 1, 1, 3), clamp_min=3, clamp_max=20),
    "conv kernel larger than image": weighted(Conv2d, (2, 2, 1), (2, 5, 5, 1), padding="same"),
    "depthwise valid": weighted(DepthwiseConv2d, (5, 4, 3), (2, 2, 3)),
    "depthwise same strided": weighted(DepthwiseConv2d, (5, 6, 2), (3, 2, 2), padding="same", stride=(2, 2)),
    "depthwise multiplier": weighted(DepthwiseConv2d, (4, 4, 2), (2, 3, 6)),
    "fully connected": weighted(FullyConnected, (17,), (5, 17)),
    "fully connected, zero point 127": weighted(FullyConnected, (17,), (5, 17), input_zero_point=127),
}


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_weighted_layers(name):
    layer = LAYERS[name]
    model = verify(QuantizedModel((layer,)))
    images = np.random.default_rng(1).integers(-128, 128, (3, *layer.input.shape)).astype(np.int8)
    images[0], images[1] = -128, 127
    assert accumulators(layer, images).tolist() == [slow_accumulators(layer, image) for image in images]
    outputs = run(model, images)
    assert outputs.dtype == np.int8
    assert outputs.tolist() == [slow_weighted(layer, image).ravel().tolist() for image in images]


@pytest.mark.parametrize("count", [500, 1500, 20_000])
def test_accumulators_are_exact_on_both_sides_of_float32(count):
    """Sums of one sign reach 2^24 at about 520 products of the largest values."""
    weights = np.full((2, count), 127, np.int8)
    weights[1, ::2] = -128
    layer = weighted(FullyConnected, (count,), (2, count), input_zero_point=-128)
    layer = replace(layer, weights=weights, bias=np.array([2**24 + 1, -5], np.int32))
    images = np.random.default_rng(0).integers(-128, 128, (4, count)).astype(np.int8)
    images[0], images[1] = 127, np.where(np.arange(count) % 2, 127, -128)
    assert accumulators(layer, images).tolist() == [slow_accumulators(layer, image) for image in images]


def pool(kind, window, stride, padding, **clamp):
    draft = kind("pool", QTensor((5, 7, 2), 0.5, 11), QTensor((0,), 0.5, 11), window, stride, padding, **clamp)
    return replace(draft, output=replace(draft.output, shape=expected_output_shape(draft)))


def slow_pool(layer, image, reduce):
    image = image.tolist()
    return [
        [[reduce([image[y][x][c] for _, _, y, x in window]) for c in range(2)] for window in row]
        for row in windows(layer, layer.window)
    ]


POOLS = [((2, 2), (2, 2), "valid"), ((3, 2), (2, 3), "same"), ((2, 2), (1, 1), "same"), ((5, 7), (1, 1), "valid")]


@pytest.mark.parametrize(("window", "stride", "padding"), POOLS)
def test_max_pool(window, stride, padding):
    layer = pool(MaxPool2d, window, stride, padding, clamp_min=-100, clamp_max=90)
    images = np.random.default_rng(0).integers(-128, 128, (4, 5, 7, 2)).astype(np.int8)
    images[0] = -128
    expected = [slow_pool(layer, image, lambda values: min(max(*values, -100), 90)) for image in images]
    assert run(QuantizedModel((layer,)), images).tolist() == np.reshape(expected, (4, -1)).tolist()


def half_away(values):
    mean = Fraction(sum(values), len(values))
    return int(math.copysign(math.floor(abs(mean) + Fraction(1, 2)), mean)) if mean else 0


def half_even(values):
    return round(Fraction(sum(values), len(values)))


@pytest.mark.parametrize(("window", "stride", "padding"), POOLS)
@pytest.mark.parametrize(("runtime", "reduce"), [("tflm", half_away), ("onnxruntime", half_even)])
def test_average_pool(window, stride, padding, runtime, reduce):
    """Padding does not count; ties by the rule of the runtime. The scale is a power of two: float32 sums are exact."""
    layer = pool(AveragePool2d, window, stride, padding)
    images = np.random.default_rng(0).integers(-20, 20, (4, 5, 7, 2)).astype(np.int8)
    expected = [slow_pool(layer, image, reduce) for image in images]
    outputs = run(QuantizedModel((layer,)), images, RUNTIMES[runtime])
    assert outputs.tolist() == np.reshape(expected, (4, -1)).tolist()


def test_flatten_is_row_by_row_with_channels_last():
    tensor = QTensor((2, 2, 3), 1.0, 0)
    image = np.arange(12, dtype=np.int8).reshape(1, 2, 2, 3)
    layer = Flatten("flatten", tensor, replace(tensor, shape=(12,)))
    assert run(QuantizedModel((layer,)), image).tolist() == [list(range(12))]


def test_lookup():
    table = np.random.default_rng(0).integers(-128, 128, 256).astype(np.int8)
    layer = Lookup("l", QTensor((256,), 1.0, 0), QTensor((256,), 1 / 256, -128), "sigmoid", table)
    every_value = np.arange(-128, 128).astype(np.int8)[np.newaxis]
    assert run(QuantizedModel((layer,)), every_value).tolist() == [table.tolist()]


@pytest.mark.parametrize("runtime", ["tflm", "litert-xnnpack"])
@pytest.mark.parametrize("scale", [0.02, 0.1, 0.7])
def test_softmax_is_within_one_of_the_real_one(runtime, scale):
    tensor = QTensor((10,), float(np.float32(scale)), 4)
    layer = Softmax("softmax", tensor, QTensor((10,), 1 / 256, -128))
    values = np.random.default_rng(0).integers(-128, 128, (200, 10)).astype(np.int8)
    exponentials = np.exp((values - values.max(axis=1, keepdims=True).astype(float)) * tensor.scale)
    expected = np.clip(256 * exponentials / exponentials.sum(axis=1, keepdims=True) - 128, -128, 127)
    result = run(QuantizedModel((layer,)), values, RUNTIMES[runtime])
    assert np.abs(result - expected).max() <= 1.0


# --- whole models --------------------------------------------------------------------------------


def test_quantize_images_is_pixel_minus_128():
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    result = quantize_images(pixels)
    assert (result.dtype, result.shape) == (np.int8, (1, 16, 16, 1))
    assert result.ravel().tolist() == list(range(-128, 128))


def test_run_is_the_last_of_the_layers_in_any_batch():
    model = sample_models.every_layer()
    images = np.random.default_rng(0).integers(-128, 128, (503, *model.input.shape)).astype(np.int8)
    outputs = run(model, images)
    assert outputs.shape == (503, 5)
    for start in (0, 249, 250, 499):
        each = list(layer_outputs(model, images[start : start + 1]))
        assert [values.shape[1:] for values in each] == [layer.output.shape for layer in model.layers]
        assert (each[-1][0] == outputs[start]).all()
    assert run(model, images[:0]).shape == (0, 5)


@pytest.mark.parametrize("make", [sample_models.every_layer, sample_models.lenet5, sample_models.lenet5_sigmoid])
def test_tie_free_models_give_the_same_under_all_rules_and_ordinary_ones_do_not(make):
    random = np.random.default_rng(0)
    for grid, agree in (("tie-free", True), ("ordinary", False)):
        differ = 0
        for seed in (0, 2):  # one of the tables of lenet5_sigmoid's seed 1 has an entry next to a tie
            model = make(seed, grid)
            images = random.integers(-128, 128, (8, *model.input.shape)).astype(np.int8)
            images[0], images[1] = -128, 127
            reference = list(layer_outputs(model, images, REFERENCE))
            for rules in RUNTIMES.values():
                layers = zip(reference, layer_outputs(model, images, rules), strict=True)
                differ += sum(int((first != second).sum()) for first, second in layers)
        assert (differ == 0) == agree, grid


def test_grey_images_get_a_channel_axis_and_colour_ones_have_it():
    grey = np.array([[[0, 255]]], np.uint8)
    colour = np.stack([grey] * 3, axis=-1)
    np.testing.assert_array_equal(quantize_images(grey), [[[[-128], [127]]]])
    np.testing.assert_array_equal(quantize_images(colour), [[[[-128] * 3, [127] * 3]]])
