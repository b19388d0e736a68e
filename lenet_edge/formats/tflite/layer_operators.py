"""One function per layer type: the operator that it is in a .tflite, with its options and constants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from lenet_edge.errors import BadInputError
from lenet_edge.formats.tflite.assembly import Assembly
from lenet_edge.formats.tflite.schema import ACTIVATIONS, OPERATOR_VERSIONS, S, activation_clamp
from lenet_edge.quantized.lookup import reference_table
from lenet_edge.quantized.model import (
    Add,
    AveragePool2d,
    Concatenate,
    Constant,
    Conv2d,
    DepthwiseConv2d,
    Elementwise,
    Flatten,
    FullyConnected,
    Layer,
    Lookup,
    MaxPool2d,
    Mean,
    Multiply,
    Pad,
    Pool2d,
    Rescale,
    Reshape,
    Slice,
    Softmax,
    Subtract,
    Transpose,
    Weighted,
    groups_of,
)
from lenet_edge.quantized.rescale import table

__all__ = ["WRITE"]

_GROUPED = 6  # the version of a CONV_2D with groups
_ELEMENTWISE: Mapping[type[Layer], tuple[str, Any]] = MappingProxyType(
    {
        Add: ("ADD", S.AddOptionsT),
        Subtract: ("SUB", S.SubOptionsT),
        Multiply: ("MUL", S.MulOptionsT),
    }
)


def _activation(layer: Weighted | Pool2d | Elementwise) -> int:
    """The fused activation whose clamp is the layer's."""
    clamp = (layer.clamp_min, layer.clamp_max)
    # On a pooling layer no activation is the plain reading; on the others a
    # clamp at the zero point is a ReLU, also where -128 makes it a no-op.
    order = ("NONE", "RELU") if isinstance(layer, (MaxPool2d, AveragePool2d)) else ("RELU", "NONE")
    for name in (*order, "RELU6", "RELU_N1_TO_1"):
        if activation_clamp(name, layer.output) == clamp:
            return ACTIVATIONS[name]
    raise BadInputError(f"layer {layer.name}: no fused activation of TFLite clamps to {clamp[0]}..{clamp[1]}")


def _padding(layer: Conv2d | DepthwiseConv2d | Pool2d) -> int:
    return int(S.Padding.SAME if layer.padding == "same" else S.Padding.VALID)


def _constants(assembly: Assembly, layer: Weighted, weights: npt.NDArray[np.int8], axis: int) -> tuple[int, int]:
    """The tensors of weights and bias; a weight axis `axis` is that of the scales."""
    scales = layer.weight_scales
    if isinstance(layer, FullyConnected) and not layer.per_channel:
        scales = scales[:1]
    weights_tensor = assembly.tensor(f"{layer.name}/weights", weights.shape, scales, axis=axis, data=weights)
    bias_scales = np.float32(layer.input.scale) * scales
    bias_tensor = assembly.tensor(f"{layer.name}/bias", layer.bias.shape, bias_scales, data=layer.bias)
    return weights_tensor, bias_tensor


def _write_conv2d(assembly: Assembly, layer: Conv2d) -> int:
    options = S.Conv2DOptionsT()
    options.padding, options.fusedActivationFunction = _padding(layer), _activation(layer)
    options.strideH, options.strideW = layer.stride
    options.dilationHFactor, options.dilationWFactor = layer.dilation
    version = _GROUPED if groups_of(layer) > 1 else OPERATOR_VERSIONS["CONV_2D"]
    constants = _constants(assembly, layer, layer.weights, 0)
    return assembly.operator("CONV_2D", layer, options, constants=constants, version=version)


def _write_depthwise(assembly: Assembly, layer: DepthwiseConv2d) -> int:
    options = S.DepthwiseConv2DOptionsT()
    options.padding, options.fusedActivationFunction = _padding(layer), _activation(layer)
    options.strideH, options.strideW = layer.stride
    options.dilationHFactor, options.dilationWFactor = layer.dilation
    options.depthMultiplier = layer.weights.shape[-1] // layer.input.shape[-1]
    constants = _constants(assembly, layer, layer.weights[np.newaxis], 3)
    return assembly.operator("DEPTHWISE_CONV_2D", layer, options, constants=constants)


def _write_fully_connected(assembly: Assembly, layer: FullyConnected) -> int:
    options = S.FullyConnectedOptionsT()
    options.fusedActivationFunction = _activation(layer)
    version = OPERATOR_VERSIONS["FULLY_CONNECTED"] if layer.per_channel else 4
    constants = _constants(assembly, layer, layer.weights, 0)
    return assembly.operator("FULLY_CONNECTED", layer, options, constants=constants, version=version)


def _write_pool(assembly: Assembly, layer: Pool2d) -> int:
    options = S.Pool2DOptionsT()
    options.padding, options.fusedActivationFunction = _padding(layer), _activation(layer)
    options.filterHeight, options.filterWidth = layer.window
    options.strideH, options.strideW = layer.stride
    name = "MAX_POOL_2D" if isinstance(layer, MaxPool2d) else "AVERAGE_POOL_2D"
    return assembly.operator(name, layer, options)


def _write_lookup(assembly: Assembly, layer: Lookup) -> int:
    """The file names the function and each runtime fills in the table, so only TFLM's own can be expressed."""
    if (layer.table != reference_table(layer.function, layer.input)).any():
        raise BadInputError(f"layer {layer.name}: its table is not the one that TFLM computes for a {layer.function}")
    return assembly.operator("LOGISTIC" if layer.function == "sigmoid" else "TANH", layer, None)


def _write_reshape(assembly: Assembly, layer: Flatten | Reshape | Mean) -> int:
    options = S.ReshapeOptionsT()
    options.newShape = [1, *layer.output.shape]
    shape = assembly.integers(f"{layer.name}/shape", options.newShape)
    return assembly.operator("RESHAPE", layer, options, constants=(shape,))


def _write_softmax(assembly: Assembly, layer: Softmax) -> int:
    options = S.SoftmaxOptionsT()
    options.beta = layer.beta
    return assembly.operator("SOFTMAX", layer, options)


def _write_rescale(assembly: Assembly, layer: Rescale) -> int:
    """As of a `Lookup`, only TFLM's own table can be expressed."""
    if (layer.table != table(layer.operator, layer.input, layer.output, layer.slope)).any():
        raise BadInputError(f"layer {layer.name}: its table is not the one that TFLM computes for {layer.operator}")
    options = S.QuantizeOptionsT() if layer.operator == "QUANTIZE" else None
    if layer.operator == "LEAKY_RELU":
        options = S.LeakyReluOptionsT()
        options.alpha = layer.slope
    return assembly.operator(layer.operator, layer, options)


def _write_constant(assembly: Assembly, layer: Constant) -> int:
    shape, output = (1, *layer.values.shape), layer.output
    return assembly.tensor(layer.name, shape, output.scale, output.zero_point, data=layer.values)


def _write_elementwise(assembly: Assembly, layer: Elementwise) -> int:
    name, options = _ELEMENTWISE[type(layer)]
    written = options()
    written.fusedActivationFunction = _activation(layer)
    return assembly.operator(name, layer, written)


def _write_concatenate(assembly: Assembly, layer: Concatenate) -> int:
    options = S.ConcatenationOptionsT()
    options.axis = 1 + layer.axis
    return assembly.operator("CONCATENATION", layer, options)


def _write_pad(assembly: Assembly, layer: Pad) -> int:
    widths = [(0, 0), *zip(layer.before, layer.after, strict=True)]
    paddings = assembly.integers(f"{layer.name}/paddings", widths)
    if layer.value == layer.input.zero_point:
        return assembly.operator("PAD", layer, S.PadOptionsT(), constants=(paddings,))
    value = np.array(layer.value, np.int8)
    fill = assembly.tensor(f"{layer.name}/value", (), layer.input.scale, layer.input.zero_point, data=value)
    return assembly.operator("PADV2", layer, S.PadV2OptionsT(), constants=(paddings, fill))


def _write_slice(assembly: Assembly, layer: Slice) -> int:
    """The batch is taken as it is; an end before the first value is an open one."""
    ends = [
        begin + stride * (count - 1) + (1 if stride > 0 else -1)
        for begin, stride, count in zip(layer.begin, layer.stride, layer.output.shape, strict=True)
    ]
    options = S.StridedSliceOptionsT()
    options.endMask = sum(1 << axis for axis, end in enumerate(ends, 1) if end < 0)
    lists = {"begin": (0, *layer.begin), "end": (1, *(max(end, 0) for end in ends)), "strides": (1, *layer.stride)}
    constants = [assembly.integers(f"{layer.name}/{what}", values) for what, values in lists.items()]
    return assembly.operator("STRIDED_SLICE", layer, options, constants=tuple(constants))


def _write_mean(assembly: Assembly, layer: Mean) -> int:
    """Where no axis is left, the operator gives the batch alone, and a RESHAPE puts an axis behind it."""
    options = S.ReducerOptionsT()
    options.keepDims = len(layer.output.shape) == len(layer.input.shape)
    axes = assembly.integers(f"{layer.name}/axes", [1 + axis for axis in layer.axes])
    if options.keepDims or len(layer.axes) < len(layer.input.shape):
        return assembly.operator("MEAN", layer, options, constants=(axes,))
    alone = assembly.tensor(layer.name, (1,), layer.output.scale, layer.output.zero_point)
    assembly.sources = [assembly.operator("MEAN", layer, options, constants=(axes,), target=alone)]
    return _write_reshape(assembly, layer)


def _write_transpose(assembly: Assembly, layer: Transpose) -> int:
    order = assembly.integers(f"{layer.name}/order", [0, *(1 + axis for axis in layer.order)])
    return assembly.operator("TRANSPOSE", layer, S.TransposeOptionsT(), constants=(order,))


WRITE: Mapping[type[Layer], Callable[[Assembly, Any], int]] = MappingProxyType(
    {
        Conv2d: _write_conv2d,
        DepthwiseConv2d: _write_depthwise,
        FullyConnected: _write_fully_connected,
        MaxPool2d: _write_pool,
        AveragePool2d: _write_pool,
        Lookup: _write_lookup,
        Rescale: _write_rescale,
        Softmax: _write_softmax,
        Constant: _write_constant,
        Add: _write_elementwise,
        Subtract: _write_elementwise,
        Multiply: _write_elementwise,
        Concatenate: _write_concatenate,
        Mean: _write_mean,
        Flatten: _write_reshape,
        Reshape: _write_reshape,
        Transpose: _write_transpose,
        Pad: _write_pad,
        Slice: _write_slice,
    }
)
"""(assembly, layer) -> the index of the tensor that it gives."""
