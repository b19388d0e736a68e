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
    Constant,
    Conv2d,
    DepthwiseConv2d,
    FullyConnected,
    Layer,
    Lookup,
    MaxPool2d,
    Pool2d,
    QTensor,
    QuantizedModel,
    Rescale,
    Weighted,
    channel_weights,
    clamp_of,
    dilation_of,
    expected_output_shape,
    groups_of,
    input_ranges,
    inputs_of,
    last_uses,
    window_size,
)
from lenet_edge.quantized.operand_checks import clamp_problem, operand_problem, same_scaling_problem
from lenet_edge.quantized.requantize import real_multipliers

__all__ = ["verify"]

_INT16_MAX, _INT32_MAX = 2**15 - 1, 2**31 - 1
_MAX_VALUES = 2**24
_MAX_WINDOW = 2**16
_MAX_AXES = 5
_SMALLEST_SCALE, _LARGEST_SCALE = float(np.float32(1e-12)), 1e6
_SCALES = "1e-12 to 1e6, the scales that an int8 file can mean"
_XNNPACK_MULTIPLIER = 256


def verify(model: QuantizedModel) -> QuantizedModel:
    """Check that the model is one that every engine can run; run at every boundary.

    Each layer reads what is there before it, shapes and scales fit what is read,
    arrays have the right types and sizes, scales are positive, zero points and
    clamps are int8, and no int32 accumulator (bias and zero-point correction
    folded in) can overflow for any int8 image.

    Returns:
        The model itself.

    Raises:
        BadInputError: naming the layer and what is wrong with it.
    """
    if not model.layers:
        raise BadInputError("the model has no layers")
    _check_wiring(model)
    for index, (low, high) in enumerate(_safe_ranges(model)):
        layer = model.layers[index]
        problem = _reading_problem(model, index) or _layer_problem(layer, low, high)
        if problem:
            raise BadInputError(f"layer {layer.name} ({type(layer).__name__}): {problem}")
    return model


def _check_wiring(model: QuantizedModel) -> None:
    """Every layer reads as much as it takes, from before it; every output is used; every input is there."""
    count = len(model.layers)
    if len(model.reads) != count:
        raise BadInputError(f"the model has {count} layers, and its wiring is of {len(model.reads)}")
    inputs = set()
    for index, (layer, sources) in enumerate(zip(model.layers, model.reads, strict=True)):
        if len(sources) != len(inputs_of(layer)):
            raise BadInputError(f"layer {layer.name} takes {len(inputs_of(layer))} tensors and reads {len(sources)}")
        if any(source >= index for source in sources):
            raise BadInputError(f"layer {layer.name} reads {sources}, which are not all before it")
        inputs |= {-source for source in sources if source < 0}
    if not inputs or max(inputs) != len(inputs):
        raise BadInputError("the model reads nothing of one of its inputs")
    if any(not 0 <= index < count for index in model.results) or len(set(model.results)) != len(model.results):
        raise BadInputError(f"the model's outputs are the layers {model.results} of {count}")
    unused = [model.layers[index].name for index, last in enumerate(last_uses(model)) if last == index]
    if unused:
        raise BadInputError(f"nothing reads the output of layer {unused[0]}")


def _reading_problem(model: QuantizedModel, index: int) -> str | None:
    """A tensor that the layer takes and that is not the one that it reads, or None."""
    for source, tensor in zip(model.reads[index], inputs_of(model.layers[index]), strict=True):
        given = model.inputs[-1 - source] if source < 0 else model.layers[source].output
        if given != tensor:
            before = "the layer before" if source == index - 1 and source >= 0 else "what it reads"
            return f"its input {tensor} is not the output of {before}, {given}"
    return None


def _safe_ranges(model: QuantizedModel) -> list[tuple[int, int]]:
    """`input_ranges`, or the full range where a broken table or clamp leaves it undefined."""
    for layer in model.layers:
        if isinstance(layer, (Lookup, Rescale)):
            broken = layer.table.shape != (256,) or layer.table.dtype != np.int8
        elif isinstance(layer, Constant):
            broken = not layer.values.size
        else:
            low, high = clamp_of(layer)
            broken = not INT8_MIN <= low <= high <= INT8_MAX
        if broken:
            return [(INT8_MIN, INT8_MAX)] * len(model.layers)
    return input_ranges(model)


def _layer_problem(layer: Layer, low: int, high: int) -> str | None:
    """What is wrong with the layer, whose inputs are in ``low..high``, or None."""
    for tensor in inputs_of(layer):
        if problem := _tensor_problem(tensor, "input"):
            return problem
    problem = _tensor_problem(layer.output, "output") or operand_problem(layer)
    if problem:
        return problem
    if isinstance(layer, (Conv2d, DepthwiseConv2d, MaxPool2d, AveragePool2d)):
        problem = _window_problem(layer)
    if isinstance(layer, WEIGHTED):
        problem = problem or _weights_problem(layer, low, high)
    elif isinstance(layer, (MaxPool2d, AveragePool2d)):
        problem = problem or same_scaling_problem(layer.input, layer.output)
    if problem:
        return problem
    if expected_output_shape(layer) != layer.output.shape:
        return f"its output shape is {layer.output.shape}, its parameters give {expected_output_shape(layer)}"
    return None


def _tensor_problem(tensor: QTensor, which: str) -> str | None:
    if not 1 <= len(tensor.shape) <= _MAX_AXES or any(size < 1 for size in tensor.shape):
        axes = f"[h, w, c], [n] or another of up to {_MAX_AXES} axes"
        return f"its {which} has shape {tensor.shape}; it must be {axes}, all at least 1"
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
    for what, sizes in (
        ("window and stride", (*window_size(layer), *layer.stride)),
        ("dilation factors", dilation_of(layer)),
    ):
        if not all(1 <= size <= _INT16_MAX for size in sizes):
            return f"its {what} are {sizes}; runtimes take 1 to {_INT16_MAX}"
    if math.prod(window_size(layer)) > _MAX_WINDOW:
        return f"its window {window_size(layer)} is not for a microcontroller"
    spans = [(taps - 1) * gap + 1 for taps, gap in zip(window_size(layer), dilation_of(layer), strict=True)]
    if layer.padding == "valid" and any(span > size for span, size in zip(spans, layer.input.shape, strict=False)):
        return f"its window {tuple(spans)} is larger than its input {layer.input.shape}"
    return clamp_problem(layer.clamp_min, layer.clamp_max)


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
    elif isinstance(layer, Conv2d) and layer.weights.shape[-1] and in_channels % layer.weights.shape[-1] == 0:
        if channels % groups_of(layer):
            return f"{channels} output channels are not a multiple of {groups_of(layer)} groups"
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
    return clamp_problem(layer.clamp_min, layer.clamp_max) or _overflow_problem(layer, low, high)


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
