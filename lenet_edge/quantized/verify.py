"""`verify`: the one check that a `QuantizedModel` passes at every boundary."""

from __future__ import annotations

import math

import numpy as np

from lenet_edge.errors import BadInputError
from lenet_edge.quantized.model import (
    INT8_MAX,
    INT8_MIN,
    WEIGHTED,
    AveragePool2d,
    Conv2d,
    DepthwiseConv2d,
    FullyConnected,
    Layer,
    Lookup,
    MaxPool2d,
    Pool2d,
    QTensor,
    QuantizedModel,
    Softmax,
    Weighted,
    channel_weights,
    expected_output_shape,
    input_ranges,
    window_size,
)
from lenet_edge.quantized.requantize import real_multipliers

__all__ = ["verify"]

_INT16_MAX, _INT32_MAX = 2**15 - 1, 2**31 - 1
_MAX_VALUES = 2**24
_MAX_WINDOW = 2**16
_SMALLEST_SCALE, _LARGEST_SCALE = float(np.float32(1e-12)), 1e6
_SCALES = "1e-12 to 1e6, the scales that an int8 file can mean"
_XNNPACK_MULTIPLIER = 256


def verify(model: QuantizedModel) -> QuantizedModel:
    """Check that the model is one that every engine can run; run at every boundary.

    Shapes and scales chain, arrays have the right types and sizes, scales are
    positive, zero points and clamps are int8, and no int32 accumulator (bias and
    zero-point correction folded in) can overflow for any int8 image.

    Returns:
        The model itself.

    Raises:
        BadInputError: naming the layer and what is wrong with it.
    """
    if not model.layers:
        raise BadInputError("the model has no layers")
    previous: QTensor | None = None
    for layer, (low, high) in zip(model.layers, _safe_ranges(model), strict=True):
        problem = _layer_problem(layer, previous, low, high)
        if problem:
            raise BadInputError(f"layer {layer.name} ({type(layer).__name__}): {problem}")
        previous = layer.output
    return model


def _safe_ranges(model: QuantizedModel) -> list[tuple[int, int]]:
    """`input_ranges`, or the full range where a broken table or clamp leaves it undefined."""
    for layer in model.layers:
        broken = isinstance(layer, Lookup) and (layer.table.shape != (256,) or layer.table.dtype != np.int8)
        if isinstance(layer, (*WEIGHTED, MaxPool2d, AveragePool2d)):
            broken = not INT8_MIN <= layer.clamp_min <= layer.clamp_max <= INT8_MAX
        if broken:
            return [(INT8_MIN, INT8_MAX)] * len(model.layers)
    return input_ranges(model)


def _layer_problem(layer: Layer, previous: QTensor | None, low: int, high: int) -> str | None:
    """What is wrong with the layer, or None."""
    problem = _tensor_problem(layer.input, "input") or _tensor_problem(layer.output, "output")
    if problem:
        return problem
    if previous is not None and previous != layer.input:
        return f"its input {layer.input} is not the output of the layer before, {previous}"
    if isinstance(layer, (Conv2d, DepthwiseConv2d, MaxPool2d, AveragePool2d)):
        problem = _window_problem(layer)
    if isinstance(layer, WEIGHTED):
        problem = problem or _weights_problem(layer, low, high)
    elif isinstance(layer, Lookup):
        if layer.table.shape != (256,) or layer.table.dtype != np.int8:
            problem = f"its table is {layer.table.dtype}{list(layer.table.shape)}, not int8[256]"
    elif isinstance(layer, Softmax):
        problem = _softmax_problem(layer)
    elif _scaling(layer.input) != _scaling(layer.output):
        problem = "input and output differ in scale or zero point, which this layer cannot change"
    if problem:
        return problem
    if expected_output_shape(layer) != layer.output.shape:
        return f"its output shape is {layer.output.shape}, its parameters give {expected_output_shape(layer)}"
    return None


def _softmax_problem(layer: Softmax) -> str | None:
    """``PreprocessSoftmaxScaling`` (quantization_util.cc) ends the process where its multiplier is not above 1."""
    step = layer.beta * layer.input.scale
    if step * 2**26 <= 1:
        return f"its beta times its input scale is {step:.3g}; TFLM and LiteRT end the process at 2^-26 and below"
    return None


def _scaling(tensor: QTensor) -> tuple[float, int]:
    return tensor.scale, tensor.zero_point


def _tensor_problem(tensor: QTensor, which: str) -> str | None:
    if len(tensor.shape) not in (1, 3) or any(size < 1 for size in tensor.shape):
        return f"its {which} has shape {tensor.shape}; it must be [h, w, c] or [n], all at least 1"
    if math.prod(tensor.shape) > _MAX_VALUES:
        return f"its {which} has {math.prod(tensor.shape)} values; more than 16 M are not for a microcontroller"
    if not (math.isfinite(tensor.scale) and tensor.scale > 0 and float(np.float32(tensor.scale)) == tensor.scale):
        return f"its {which} scale is {tensor.scale}; it must be a positive float32"
    if not _SMALLEST_SCALE <= tensor.scale <= _LARGEST_SCALE:
        return f"its {which} scale is {tensor.scale}, not in {_SCALES}"
    if not INT8_MIN <= tensor.zero_point <= INT8_MAX:
        return f"its {which} zero point is {tensor.zero_point}, not in -128..127"
    return None


def _window_problem(layer: Conv2d | DepthwiseConv2d | Pool2d) -> str | None:
    if isinstance(layer, (Conv2d, DepthwiseConv2d)):
        axes = 4 if isinstance(layer, Conv2d) else 3
        if layer.weights.ndim != axes:
            return f"its weights have shape {layer.weights.shape}, not {axes} axes"
    if len(layer.input.shape) != 3:
        return f"its input has shape {layer.input.shape}, not [h, w, c]"
    if layer.padding not in ("same", "valid"):
        return f"its padding is {layer.padding!r}; same and valid are known"
    sizes = (*window_size(layer), *layer.stride)
    if not all(1 <= size <= _INT16_MAX for size in sizes):
        return f"its window and stride are {sizes}; runtimes take 1 to {_INT16_MAX}"
    if math.prod(window_size(layer)) > _MAX_WINDOW:
        return f"its window {window_size(layer)} is not for a microcontroller"
    if layer.padding == "valid" and any(k > s for k, s in zip(window_size(layer), layer.input.shape, strict=False)):
        return f"its window {window_size(layer)} is larger than its input {layer.input.shape}"
    if not INT8_MIN <= layer.clamp_min <= layer.clamp_max <= INT8_MAX:
        return f"its clamp {layer.clamp_min}..{layer.clamp_max} is not an int8 range"
    return None


def _weights_problem(layer: Weighted, low: int, high: int) -> str | None:
    if layer.weights.dtype != np.int8 or layer.bias.dtype != np.int32 or layer.weight_scales.dtype != np.float32:
        return "weights must be int8, bias int32, weight scales float32"
    if isinstance(layer, FullyConnected) and (layer.weights.ndim != 2 or len(layer.input.shape) != 1):
        return f"weights {layer.weights.shape} on an input {layer.input.shape}; both must be flat"
    channels = layer.weights.shape[-1 if isinstance(layer, DepthwiseConv2d) else 0]
    if channels < 1 or layer.bias.shape != (channels,) or layer.weight_scales.shape != (channels,):
        return f"{channels} channels, but {layer.bias.shape} biases and {layer.weight_scales.shape} weight scales"
    in_channels = layer.input.shape[-1]
    if isinstance(layer, DepthwiseConv2d):
        if channels % in_channels:
            return f"{channels} output channels are not a multiple of {in_channels} input channels"
    elif layer.weights.shape[-1] != in_channels:
        return f"weights for {layer.weights.shape[-1]} input channels on an input of {in_channels}"
    if not (np.isfinite(layer.weight_scales).all() and (layer.weight_scales > 0).all()):
        return "a weight scale is not a positive number"
    if layer.weight_scales.min() < _SMALLEST_SCALE or layer.weight_scales.max() > _LARGEST_SCALE:
        return f"its weight scales are {layer.weight_scales.min()} to {layer.weight_scales.max()}, not in {_SCALES}"
    if (
        isinstance(layer, FullyConnected)
        and not layer.per_channel
        and (layer.weight_scales != layer.weight_scales[0]).any()
    ):
        return "it is not per channel, but its weight scales differ"
    if not INT8_MIN <= layer.clamp_min <= layer.clamp_max <= INT8_MAX:
        return f"its clamp {layer.clamp_min}..{layer.clamp_max} is not an int8 range"
    return _overflow_problem(layer, low, high)


def _overflow_problem(layer: Weighted, low: int, high: int) -> str | None:
    """Every partial sum, in any order and with the zero point folded into the bias or not, must fit in int32."""
    magnitudes = np.abs(channel_weights(layer)).sum(axis=1)
    largest = max(abs(low), abs(high), abs(low - layer.input.zero_point), abs(high - layer.input.zero_point))
    folded = abs(layer.input.zero_point) * magnitudes
    bound = magnitudes * largest + np.abs(layer.bias.astype(np.int64)) + folded
    if bound.max() > _INT32_MAX:
        channel = int(bound.argmax())
        return f"channel {channel} can reach an accumulator of {int(bound[channel])}, which int32 cannot hold"
    # XNNPACK does not create a layer whose multiplier is 256 or more (subgraph/validation.c), in float32.
    with np.errstate(over="ignore"):
        multipliers = np.float32(layer.input.scale) * layer.weight_scales / np.float32(layer.output.scale)
    if multipliers.max() >= _XNNPACK_MULTIPLIER:
        channel = int(multipliers.argmax())
        return f"the multiplier of channel {channel} is {multipliers[channel]:.6g}; LiteRT takes less than 256"
    # Runtimes shift the accumulator left first where the multiplier is 1 or more.
    with np.errstate(over="ignore"):
        shifted = bound * 2.0 ** np.maximum(np.frexp(real_multipliers(layer))[1], 0)
    if shifted.max() > _INT32_MAX:
        return f"the multiplier of channel {int(shifted.argmax())} is so large that its results overflow int32"
    return None
