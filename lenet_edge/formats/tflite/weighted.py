"""CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED: their weights, biases and options, to layers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from lenet_edge.errors import BadInputError
from lenet_edge.formats.tflite.dilated import read_in_blocks
from lenet_edge.formats.tflite.schema import ACTIVATIONS, S, activation_clamp
from lenet_edge.formats.tflite.tensors import Tensor, require_type
from lenet_edge.formats.tflite.wiring import Step
from lenet_edge.quantized.model import (
    Conv2d,
    DepthwiseConv2d,
    Flatten,
    FullyConnected,
    Layer,
    Padding,
    QTensor,
    Reshape,
)

__all__ = ["fused_clamp", "padding_of", "read_conv2d", "read_depthwise", "read_fully_connected", "stride_of"]

_PADDINGS: Mapping[int, Padding] = MappingProxyType({S.Padding.SAME: "same", S.Padding.VALID: "valid"})
_DEFAULT_WEIGHTS = 0


def fused_clamp(step: Step, output: QTensor) -> tuple[int, int]:
    number = step.required_options().fused_activation_function
    for name, value in ACTIVATIONS.items():
        if value == number:
            return activation_clamp(name, output)
    raise BadInputError(f"{step.where}: fused activation {number} is not supported; known: {', '.join(ACTIVATIONS)}")


def padding_of(step: Step) -> Padding:
    number = step.required_options().padding
    if number not in _PADDINGS:
        raise BadInputError(f"{step.where}: padding {number} is not known")
    return _PADDINGS[number]


def stride_of(step: Step) -> tuple[int, int]:
    return step.required_options().stride_h, step.required_options().stride_w


# --- weights and biases ----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Parameters:
    """weights int8; bias int32, scales float32 ``[channels]`` each; whether the file has one scale for all."""

    weights: npt.NDArray[np.int8]
    bias: npt.NDArray[np.int32]
    scales: npt.NDArray[np.float32]
    one_scale: bool


def _parameters(step: Step, source: QTensor, axis: int, axes: int) -> _Parameters:
    """The constants of a weighted operator whose weights have `axes` axes, output channels along `axis`."""
    tensor = step.tensor(1)
    require_type(tensor, S.TensorType.INT8)
    weights = step.graph.tensors.constant(tensor, "int8")
    if weights.ndim != axes:
        raise BadInputError(f"weights {tensor.name} have shape {weights.shape}, not {axes} axes")
    channels, scales = weights.shape[axis], tensor.scales
    if (tensor.zero_points != 0).any():
        raise BadInputError(f"weights {tensor.name} have a zero point that is not 0")
    if len(scales) not in (1, channels):
        raise BadInputError(f"weights {tensor.name} have {len(scales)} scales for {channels} channels")
    if len(scales) > 1 and tensor.axis != axis:
        raise BadInputError(f"weights {tensor.name} have scales along axis {tensor.axis}")
    bias = np.zeros(channels, np.int32)
    if len(step.inputs) > 2 and step.inputs[2] >= 0:
        bias = _bias(step, step.tensor(2), np.float32(source.scale) * scales)
    return _Parameters(weights, bias, np.broadcast_to(scales, channels).copy(), len(scales) == 1 and channels > 1)


def _bias(step: Step, tensor: Tensor, expected: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
    """The values of a bias; `expected` are its scales."""
    require_type(tensor, S.TensorType.INT32)
    if len(tensor.scales) != len(expected):
        # Without scales LiteRT and TFLM refuse some layers, and XNNPACK leaves the others to other kernels.
        raise BadInputError(f"bias {tensor.name} has {len(tensor.scales)} scales, not {len(expected)}")
    # Where the product is not a number, `verify` names the factor.
    if not np.allclose(tensor.scales, expected, rtol=1e-3, atol=0, equal_nan=True):
        raise BadInputError(f"bias {tensor.name} has not the scale input scale * weight scale")
    if (tensor.zero_points != 0).any():
        raise BadInputError(f"bias {tensor.name} has a zero point that is not 0: LiteRT refuses it, TFLM does not look")
    return step.graph.tensors.constant(tensor, "int32")


# --- one function per operator ---------------------------------------------------------------------


def _refuse_bias_type(step: Step) -> None:
    if step.required_options().quantized_bias_type not in (S.TensorType.FLOAT32, S.TensorType.INT32):
        raise BadInputError(f"{step.where} asks for a bias of another type than INT32")


def _dilation(step: Step) -> tuple[int, int]:
    return step.required_options().dilation_h_factor, step.required_options().dilation_w_factor


def read_conv2d(step: Step) -> None:
    step.require_inputs(3)  # LiteRT refuses a convolution without a bias
    _refuse_bias_type(step)
    if not read_in_blocks(step, _conv2d):
        step.give(_conv2d(step, step.map(), step.output(), padding_of(step), _dilation(step)))


def _conv2d(step: Step, x: QTensor, y: QTensor, padding: Padding, dilation: tuple[int, int]) -> Conv2d:
    found = _parameters(step, x, 0, 4)
    clamp = fused_clamp(step, y)
    arrays = found.weights, found.bias, found.scales
    return Conv2d(step.layer_name, x, y, *arrays, stride_of(step), padding, *clamp, dilation)


def read_depthwise(step: Step) -> None:
    step.require_inputs(3)  # without a bias LiteRT crashes
    if not read_in_blocks(step, _depthwise):
        step.give(_depthwise(step, step.map(), step.output(), padding_of(step), _dilation(step)))


def _depthwise(step: Step, x: QTensor, y: QTensor, padding: Padding, dilation: tuple[int, int]) -> DepthwiseConv2d:
    found = _parameters(step, x, 3, 4)
    if found.weights.shape[0] != 1:
        raise BadInputError(f"{step.where}: depthwise weights have shape {found.weights.shape}, not [1, h, w, c]")
    multiplier = step.required_options().depth_multiplier
    if multiplier * x.shape[-1] != found.weights.shape[3]:
        raise BadInputError(
            f"{step.where}: depth_multiplier {multiplier} contradicts {found.weights.shape[3]} output channels "
            f"for {x.shape[-1]} input channels: TFLM follows the option, LiteRT refuses"
        )
    clamp = fused_clamp(step, y)
    arrays = found.weights[0], found.bias, found.scales
    return DepthwiseConv2d(step.layer_name, x, y, *arrays, stride_of(step), padding, *clamp, dilation)


def read_fully_connected(step: Step) -> None:
    """The operator flattens its input by itself, and may leave axes of 1 before its output."""
    step.require_inputs(2, 3, optional=2)
    _refuse_bias_type(step)
    options = step.required_options()
    if options.weights_format != _DEFAULT_WEIGHTS:
        raise BadInputError(f"{step.where}: FULLY_CONNECTED with shuffled weights is not supported")
    x, y = step.input(), step.output()
    layers: list[Layer] = []
    flat = QTensor((math.prod(x.shape),), x.scale, x.zero_point)
    if x != flat:
        layers.append(Flatten(f"{step.layer_name}/flatten", x, flat))
    found = _parameters(step, flat, 0, 2)
    _check_rows(step, *found.weights.shape)
    vector = QTensor((len(found.bias),), y.scale, y.zero_point)
    arrays = found.weights, found.bias, found.scales
    clamp = fused_clamp(step, y)
    layers.append(FullyConnected(step.layer_name, flat, vector, *arrays, *clamp, per_channel=not found.one_scale))
    if y != vector:
        layers.append(Reshape(f"{step.layer_name}/axes", vector, y))
    step.give(*layers)


def _check_rows(step: Step, outputs: int, inputs: int) -> None:
    """One row of values is read, and the file's output has the shape that LiteRT gives it."""
    shape, kept = step.tensor(0).shape, step.required_options().keep_num_dims
    if math.prod(shape) != inputs and math.prod(shape) % max(inputs, 1) == 0:
        raise BadInputError(
            f"{step.where} applies weights for {inputs} values to each row of {shape}; only one row is supported: "
            "a convolution with a window of 1 does the same"
        )
    expected = (*shape[:-1], outputs) if kept else (1, outputs)
    if (kept and shape[-1:] != (inputs,)) or step.target.shape != expected:
        raise BadInputError(f"{step.where} reads {shape} and gives {expected}, but its output has {step.target.shape}")
