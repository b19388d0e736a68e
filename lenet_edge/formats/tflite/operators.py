"""One function per operator: what it reads and how it is configured, to layers.

Each refuses the options and constants that TFLM, LiteRT and we would read differently.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from lenet_edge.errors import BadInputError
from lenet_edge.formats.tflite.schema import ACTIVATIONS, S, activation_clamp
from lenet_edge.formats.tflite.tensors import Tensor, Tensors, activation, require_type
from lenet_edge.quantized.lookup import OUTPUT_SCALING, reference_table
from lenet_edge.quantized.model import (
    AveragePool2d,
    Conv2d,
    DepthwiseConv2d,
    Flatten,
    FullyConnected,
    Layer,
    Lookup,
    MaxPool2d,
    Padding,
    QTensor,
    Softmax,
)

__all__ = ["READ", "Step"]

_PADDINGS: Mapping[int, Padding] = MappingProxyType({S.Padding.SAME: "same", S.Padding.VALID: "valid"})
_DEFAULT_WEIGHTS = 0
_MAX_AXES = 8  # of a RESHAPE


@dataclass(frozen=True)
class Step:
    """An operator of the chain.

    Attributes:
        name: of the operator.
        where: for messages: its index and name.
        options: its table of options, or None.
        tensors: those of the file.
        source, constants, target: indices: the tensor that it reads, its other inputs (-1: none), what it writes.
    """

    name: str
    where: str
    options: Any
    tensors: Tensors
    source: int
    constants: tuple[int, ...]
    target: int

    def input(self) -> QTensor:
        return activation(self.tensors[self.source])

    def output(self) -> QTensor:
        return activation(self.tensors[self.target])

    @property
    def layer_name(self) -> str:
        return self.tensors[self.target].name

    def required_options(self) -> Any:
        if self.options is None:
            raise BadInputError(f"{self.where} has no options")
        return self.options

    def require_constants(self, *counts: int, optional: int | None = None) -> None:
        """LiteRT refuses other numbers of inputs, TFLM does not look; at position `optional` -1 is none."""
        if len(self.constants) not in counts:
            expected = " or ".join(str(count + 1) for count in counts)
            raise BadInputError(f"{self.where} has {len(self.constants) + 1} inputs, not {expected}")
        for position, index in enumerate(self.constants):
            if index < 0 and (index, position) != (-1, optional):
                raise BadInputError(f"{self.where} needs its input {position + 1}, the file has tensor {index}")


def _clamp(step: Step, output: QTensor) -> tuple[int, int]:
    number = step.required_options().fused_activation_function
    for name, value in ACTIVATIONS.items():
        if value == number:
            return activation_clamp(name, output)
    raise BadInputError(f"{step.where}: fused activation {number} is not supported; known: {', '.join(ACTIVATIONS)}")


def _padding(step: Step) -> Padding:
    number = step.required_options().padding
    if number not in _PADDINGS:
        raise BadInputError(f"{step.where}: padding {number} is not known")
    return _PADDINGS[number]


def _stride(step: Step) -> tuple[int, int]:
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
    tensor = step.tensors[step.constants[0]]
    require_type(tensor, S.TensorType.INT8)
    weights = step.tensors.constant(tensor, "int8")
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
    if len(step.constants) > 1 and step.constants[1] >= 0:
        bias = _bias(step, step.tensors[step.constants[1]], np.float32(source.scale) * scales)
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
    return step.tensors.constant(tensor, "int32")


# --- one function per operator ---------------------------------------------------------------------


def _refuse_dilation(step: Step) -> None:
    factors = step.required_options().dilation_h_factor, step.required_options().dilation_w_factor
    if factors != (1, 1):
        raise BadInputError(f"{step.where}: dilated convolutions are not supported (its factors are {factors})")


def _refuse_bias_type(step: Step) -> None:
    if step.required_options().quantized_bias_type not in (S.TensorType.FLOAT32, S.TensorType.INT32):
        raise BadInputError(f"{step.where} asks for a bias of another type than INT32")


def _read_conv2d(step: Step) -> list[Layer]:
    step.require_constants(2)  # LiteRT refuses a convolution without a bias
    _refuse_dilation(step)
    _refuse_bias_type(step)
    x, y = step.input(), step.output()
    found = _parameters(step, x, 0, 4)
    clamp = _clamp(step, y)
    arrays = found.weights, found.bias, found.scales
    return [Conv2d(step.layer_name, x, y, *arrays, _stride(step), _padding(step), *clamp)]


def _read_depthwise(step: Step) -> list[Layer]:
    step.require_constants(2)  # without a bias LiteRT crashes
    _refuse_dilation(step)
    x, y = step.input(), step.output()
    found = _parameters(step, x, 3, 4)
    if found.weights.shape[0] != 1:
        raise BadInputError(f"{step.where}: depthwise weights have shape {found.weights.shape}, not [1, h, w, c]")
    multiplier = step.required_options().depth_multiplier
    if multiplier * x.shape[-1] != found.weights.shape[3]:
        raise BadInputError(
            f"{step.where}: depth_multiplier {multiplier} contradicts {found.weights.shape[3]} output channels "
            f"for {x.shape[-1]} input channels: TFLM follows the option, LiteRT refuses"
        )
    clamp = _clamp(step, y)
    arrays = found.weights[0], found.bias, found.scales
    return [DepthwiseConv2d(step.layer_name, x, y, *arrays, _stride(step), _padding(step), *clamp)]


def _read_fully_connected(step: Step) -> list[Layer]:
    step.require_constants(1, 2, optional=1)
    _refuse_bias_type(step)
    options = step.required_options()
    if options.weights_format != _DEFAULT_WEIGHTS:
        raise BadInputError(f"{step.where}: FULLY_CONNECTED with shuffled weights is not supported")
    x, y = step.input(), step.output()
    layers: list[Layer] = []
    if len(x.shape) > 1:  # the operator flattens by itself
        if options.keep_num_dims:
            raise BadInputError(f"{step.where} keeps the {len(x.shape) + 1} axes of its input, which is not supported")
        flat = QTensor((math.prod(x.shape),), x.scale, x.zero_point)
        layers.append(Flatten(f"{step.layer_name}/flatten", x, flat))
        x = flat
    found = _parameters(step, x, 0, 2)
    arrays = found.weights, found.bias, found.scales
    layers.append(FullyConnected(step.layer_name, x, y, *arrays, *_clamp(step, y), per_channel=not found.one_scale))
    return layers


def _read_pool(step: Step, kind: Any) -> list[Layer]:
    step.require_constants(0)
    options = step.required_options()
    window = (options.filter_height, options.filter_width)
    x, y = step.input(), step.output()
    return [kind(step.layer_name, x, y, window, _stride(step), _padding(step), *_clamp(step, y))]


def _read_lookup(step: Step, function: Any) -> list[Layer]:
    step.require_constants(0)
    x, y = step.input(), step.output()
    if (y.scale, y.zero_point) != OUTPUT_SCALING[function]:
        raise BadInputError(f"{step.layer_name}: an int8 {function} has output scaling {OUTPUT_SCALING[function]}")
    return [Lookup(step.layer_name, x, y, function, reference_table(function, x))]


def _read_reshape(step: Step) -> list[Layer]:
    step.require_constants(0, 1)
    x, y = step.input(), step.output()
    wanted, target = _new_shape(step), (1, *y.shape)
    if _resolved(wanted, math.prod(x.shape)) != target:
        raise BadInputError(f"{step.where} asks for shape {wanted} of {(1, *x.shape)}, but its output has {target}")
    if x == y:
        return []
    if len(y.shape) != 1:
        raise BadInputError(f"{step.where} from {(1, *x.shape)} to {target}: only flattening is supported")
    return [Flatten(step.layer_name, x, y)]


def _new_shape(step: Step) -> tuple[int, ...]:
    """The shape that LiteRT follows: the second input where there is one, else the option."""
    option = None if step.options is None else step.options.new_shape
    if option is not None and len(option) > _MAX_AXES:
        raise BadInputError(f"{step.where} has {len(option)} axes in its options; runtimes take {_MAX_AXES}")
    if step.constants:
        tensor = step.tensors[step.constants[0]]
        require_type(tensor, S.TensorType.INT32)
        if len(tensor.shape) != 1 or not 1 <= tensor.shape[0] <= _MAX_AXES:
            raise BadInputError(f"{step.where}: its new shape is a tensor of shape {tensor.shape}")
        return tuple(step.tensors.constant(tensor, "int32").tolist())
    if option is None or not len(option):
        raise BadInputError(f"{step.where} does not say its new shape")
    return tuple(option.tolist())


def _resolved(wanted: tuple[int, ...], count: int) -> tuple[int, ...]:
    """`wanted` with its one -1 replaced by what is left of `count`."""
    known = math.prod(size for size in wanted if size != -1)
    if wanted.count(-1) != 1 or known < 1 or count % known:
        return wanted
    return tuple(count // known if size == -1 else size for size in wanted)


def _read_softmax(step: Step) -> list[Layer]:
    step.require_constants(0)
    x, y = step.input(), step.output()
    if (y.scale, y.zero_point) != (1 / 256, -128):
        raise BadInputError(f"{step.layer_name}: an int8 SOFTMAX has output scale 1/256 and zero point -128")
    beta = step.required_options().beta
    if not 0 < beta < 1e6:
        raise BadInputError(f"{step.layer_name}: its beta is {beta}")
    return [Softmax(step.layer_name, x, y, float(beta))]


READ: Mapping[str, Callable[[Step], list[Layer]]] = MappingProxyType(
    {
        "CONV_2D": _read_conv2d,
        "DEPTHWISE_CONV_2D": _read_depthwise,
        "FULLY_CONNECTED": _read_fully_connected,
        "MAX_POOL_2D": partial(_read_pool, kind=MaxPool2d),
        "AVERAGE_POOL_2D": partial(_read_pool, kind=AveragePool2d),
        "LOGISTIC": partial(_read_lookup, function="sigmoid"),
        "TANH": partial(_read_lookup, function="tanh"),
        "RESHAPE": _read_reshape,
        "SOFTMAX": _read_softmax,
    }
)
"""The operators that are supported, by name; raises `BadInputError` as `read` says."""
