"""What each ATen operator becomes in the chain of layers, and what to say of those that become nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor

from lenet_edge.learning.torch_module import arithmetic
from lenet_edge.learning.torch_module.affine import BatchNorm
from lenet_edge.learning.torch_module.arithmetic import constant
from lenet_edge.learning.torch_module.chain import Chain, Misplaced, Unsupported
from lenet_edge.learning.torch_module.graph import IMAGES, Operation, readers_of_images
from lenet_edge.networks.description import (
    AveragePooling,
    Convolution,
    DepthwiseConvolution,
    Dropout,
    MaxPooling,
    Padding,
)

__all__ = ["problems_of"]

Handler: TypeAlias = Callable[[Operation, Chain], None]

_SUPPORTED = (
    "supported are Conv2d, Linear, BatchNorm, ReLU, ReLU6, Sigmoid, Tanh, MaxPool2d, AvgPool2d, AdaptiveAvgPool2d, "
    "Flatten, Dropout and additions"
)
_JOINS = "branches may meet in an addition or a difference of equal shapes only"


def problems_of(operations: Sequence[Operation], chain: Chain) -> list[tuple[Operation, str]]:
    """Put the operations into the chain, one after the other; those that cannot be, and what to do instead."""
    problems = []
    chain.save(IMAGES, readers_of_images(operations))
    for operation in operations:
        chain.resume(operation.sources[0], operation.input_shape[1:])
        try:
            if len(operation.sources) > 1 and operation.kind not in ("add", "sub", "rsub"):
                raise Unsupported(_JOINS)
            if chain.final and operation.kind not in _UNCHANGED:
                raise Misplaced(f"something follows {chain.final[-1]}, which can only be at the end")
            if operation.kind not in _HANDLERS:
                raise Unsupported(_ADVICE.get(operation.kind, _SUPPORTED))
            _HANDLERS[operation.kind](operation, chain)
        except Unsupported as problem:
            if not (chain.lost and isinstance(problem, Misplaced)):
                problems.append((operation, str(problem)))
            chain.lost, chain.affine, chain.padding = True, None, (0, 0, 0, 0)
        chain.save(operation.name, operation.readers)
    return problems


# --- layers with weights --------------------------------------------------------------------------


def _conv2d(operation: Operation, chain: Chain) -> None:
    arguments = operation.arguments
    weight = constant(arguments["weight"])
    outputs, inputs, *window = weight.shape
    stride, dilation, groups = _pair(arguments["stride"]), _pair(arguments["dilation"]), arguments["groups"]
    if any(gap > 1 and extent > 1 for gap, extent in zip(dilation, window, strict=True)):
        raise Unsupported("a dilation is not supported; use a larger window or a stride")
    padding = arguments["padding"]
    padding = padding if isinstance(padding, str) else _padding(_pair(padding))
    if padding == "same" and window == [1, 1]:
        padding = "valid"
    name = chain.name(_path(operation), "conv")
    bias = np.zeros(outputs) if arguments["bias"] is None else constant(arguments["bias"])
    extent = (window[0], window[1])
    if groups == 1:
        chain.convolution(Convolution(name, outputs, extent, stride, padding), weight, bias)
    elif inputs == 1:
        chain.convolution(DepthwiseConvolution(name, extent, stride, padding, outputs // groups), weight, bias)
    else:
        raise Unsupported(f"{groups} groups of {inputs} channels are not supported; use groups=1 or one per channel")


def _linear(operation: Operation, chain: Chain) -> None:
    weight, bias = constant(operation.arguments["weight"]), operation.arguments["bias"]
    zeros = np.zeros(len(weight))
    chain.fully_connected(chain.name(_path(operation), "linear"), weight, zeros if bias is None else constant(bias))


def _matmul(operation: Operation, chain: Chain) -> None:
    matrix = operation.arguments.get("other", operation.arguments.get("mat2"))
    if not isinstance(matrix, Tensor) or matrix.ndim != 2:
        raise Unsupported("only a product of values with a constant matrix is a layer; use nn.Linear")
    weight = constant(matrix).T
    bias = operation.arguments.get("bias")
    if bias is not None and (operation.arguments["beta"] != 1 or operation.arguments["alpha"] != 1):
        raise Unsupported("factors of addmm are not supported; use nn.Linear")
    shift = np.zeros(len(weight)) if bias is None else np.broadcast_to(constant(bias), len(weight)).copy()
    chain.fully_connected(chain.name(_path(operation), "linear"), weight, shift)


def _addmm(operation: Operation, chain: Chain) -> None:
    arguments = dict(operation.arguments)
    if not isinstance(arguments["self"], Tensor):
        raise Unsupported("only a product of values with a constant matrix is a layer; use nn.Linear")
    arguments["bias"] = arguments.pop("self")
    _matmul(_with(operation, arguments), chain)


def _batch_norm(operation: Operation, chain: Chain) -> None:
    arguments, channels = operation.arguments, operation.input_shape[1]
    if arguments["training"] or arguments["running_mean"] is None:
        raise Unsupported("it normalises by the batch also in evaluation; leave track_running_stats on")
    scale, shift = (arguments[each] for each in ("weight", "bias"))
    norm = BatchNorm(
        np.ones(channels) if scale is None else constant(scale),
        np.zeros(channels) if shift is None else constant(shift),
        constant(arguments["running_mean"]),
        constant(arguments["running_var"]),
        float(arguments["eps"]),
    )
    chain.batch_norm(chain.name(_path(operation), "norm"), norm)


# --- pooling --------------------------------------------------------------------------------------


def _max_pool2d(operation: Operation, chain: Chain) -> None:
    if _pair(operation.arguments["dilation"]) != (1, 1):
        raise Unsupported("a dilation is not supported; leave it out")
    window, stride = _pooling(operation)
    chain.pooling(MaxPooling(chain.name(_path(operation), "pool"), window, stride))


def _avg_pool2d(operation: Operation, chain: Chain) -> None:
    window, stride = _pooling(operation)
    if operation.arguments["divisor_override"] not in (None, math.prod(window)):
        raise Unsupported("divisor_override is not supported; leave it out")
    _average(operation, chain, window, stride)


def _pooling(operation: Operation) -> tuple[tuple[int, int], tuple[int, int]]:
    """Window and stride; the form with a padding, or with parts of windows, is refused."""
    arguments = operation.arguments
    window = _pair(arguments["kernel_size"])
    stride = _pair(arguments["stride"]) if arguments["stride"] else window
    if _pair(arguments["padding"]) != (0, 0):
        raise Unsupported("a pooling with padding is not supported; use padding=0, such as a window of 2 and stride 2")
    sizes = zip(operation.input_shape[2:], window, stride, strict=True)
    if tuple((size - extent) // step + 1 for size, extent, step in sizes) != operation.shape[2:]:
        raise Unsupported("ceil_mode=True makes windows that are cut off; leave it out, or choose sizes that fit")
    return window, stride


def _adaptive_avg_pool2d(operation: Operation, chain: Chain) -> None:
    window = _adaptive_window(operation)
    if window != (1, 1):
        _average(operation, chain, window, window)


def _adaptive_max_pool2d(operation: Operation, chain: Chain) -> None:
    given = [*operation.arguments["output_size"]]  # a tuple of the map and of indices has no shape of its own
    sizes = [each or size for each, size in zip(given, operation.input_shape[2:], strict=True)]
    window = _adaptive_window(operation, sizes)
    if window != (1, 1):
        chain.pooling(MaxPooling(chain.name(_path(operation), "pool"), window, window))


def _adaptive_window(operation: Operation, sizes: Sequence[int] | None = None) -> tuple[int, int]:
    (rows, columns), (height, width) = sizes or operation.shape[2:], operation.input_shape[2:]
    if height % rows or width % columns:
        raise Unsupported(
            f"a map of {height}x{width} cannot be cut into {rows}x{columns} equal windows; use an output size that "
            "divides it, such as 1"
        )
    return height // rows, width // columns


def _mean(operation: Operation, chain: Chain) -> None:
    _require_whole_maps(operation, "mean")
    height, width = operation.input_shape[2:]
    _average(operation, chain, (height, width), (height, width))
    if len(operation.shape) == 2:
        chain.flatten()


def _amax(operation: Operation, chain: Chain) -> None:
    _require_whole_maps(operation, "amax")
    height, width = operation.input_shape[2:]
    chain.pooling(MaxPooling(chain.name(_path(operation), "pool"), (height, width), (height, width)))


def _require_whole_maps(operation: Operation, kind: str) -> None:
    dimensions = operation.arguments["dim"]
    dimensions = [dimensions] if isinstance(dimensions, int) else dimensions or []
    rank = len(operation.input_shape)
    if rank != 4 or {each % rank for each in dimensions} != {2, 3}:
        raise Unsupported(f"{kind} is supported over rows and columns only: {kind}((2, 3))")


def _average(operation: Operation, chain: Chain, window: tuple[int, int], stride: tuple[int, int]) -> None:
    whole = window == operation.input_shape[2:]
    name = chain.name(_path(operation), "pool")
    chain.pooling(AveragePooling(name, None) if whole else AveragePooling(name, window, stride))


# --- values one by one ----------------------------------------------------------------------------


def _clamp(operation: Operation, chain: Chain) -> None:
    low, high = (operation.arguments.get(name) for name in ("min", "max"))
    _clip(low, high, chain)


def _hardtanh(operation: Operation, chain: Chain) -> None:
    _clip(operation.arguments["min_val"], operation.arguments["max_val"], chain)


def _clip(low: Any, high: Any, chain: Chain) -> None:
    if low == 0 and high in (None, math.inf):
        chain.activation("relu")
    elif low == 0 and high == 6:
        chain.activation("relu6")
    else:
        raise Unsupported(f"values between {low} and {high} are not supported; use ReLU or ReLU6")


def _dropout(operation: Operation, chain: Chain) -> None:
    if operation.arguments["train"]:
        raise Unsupported("it drops in evaluation, too; use nn.Dropout, or give training=self.training")
    rate = float(operation.arguments["p"])
    if rate > 0:
        chain.dropout(Dropout(chain.name(_path(operation), "dropout"), rate))


def _pad(operation: Operation, chain: Chain) -> None:
    sides = [*operation.arguments["pad"], 0, 0, 0, 0][:4]
    if operation.arguments.get("mode", "constant") != "constant" or operation.arguments.get("value") not in (None, 0):
        raise Unsupported("only zeros may be added around a map; use padding_mode='zeros'")
    if len(operation.arguments["pad"]) > 4 or min(sides) < 0:
        raise Unsupported("zeros may be added to rows and columns only")
    chain.pad((sides[0], sides[1], sides[2], sides[3]))


# --- shapes and the end ---------------------------------------------------------------------------


def _reshape(operation: Operation, chain: Chain) -> None:
    before, after = operation.input_shape, operation.shape
    if before == after:
        return
    if len(before) != 4 or after != (before[0], math.prod(before[1:])):
        raise Unsupported(
            f"the shape may not become {list(after[1:])}; all that is supported is flattening: nn.Flatten() or "
            "x.flatten(1)"
        )
    chain.flatten()


def _softmax(operation: Operation, chain: Chain) -> None:
    rank = len(operation.input_shape)
    if operation.arguments["dim"] % rank != 1 or math.prod(operation.input_shape[2:]) != 1:
        raise Unsupported(f"{operation.kind} must be over the classes: dim=1")
    chain.final.append(operation.kind)


def _unchanged(operation: Operation, chain: Chain) -> None:
    del operation, chain


def _activation(operation: Operation, chain: Chain) -> None:
    chain.activation(operation.kind)  # type: ignore[arg-type]


def _with(operation: Operation, arguments: dict[str, Any]) -> Operation:
    fields = {name: getattr(operation, name) for name in operation.__dataclass_fields__}
    return Operation(**{**fields, "arguments": arguments})


# --- arguments ------------------------------------------------------------------------------------


def _pair(value: Any) -> tuple[int, int]:
    first, *rest = [value] if isinstance(value, int) else value
    return (first, rest[0] if rest else first)


def _padding(sides: tuple[int, int]) -> Padding:
    return "valid" if sides == (0, 0) else sides


def _path(operation: Operation) -> str:
    """The path of the module that a layer is named after."""
    if operation.weight:
        return operation.weight.removesuffix("weight").removesuffix(".")
    return operation.place.path if operation.place.type else ""


_UNCHANGED = (
    "alias", "clone", "contiguous", "detach", "to", "_to_copy", "_assert_tensor_metadata", "lift_fresh_copy", "float",
    "flatten", "view", "reshape", "_unsafe_view", "squeeze", "unsqueeze", "view_as", "reshape_as", "getitem",
)  # fmt: skip
_SHAPES = ("flatten", "view", "reshape", "_unsafe_view", "squeeze", "unsqueeze", "view_as", "reshape_as")
_HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(_UNCHANGED, _unchanged),
    **dict.fromkeys(_SHAPES, _reshape),
    **dict.fromkeys(("relu", "relu6", "sigmoid", "tanh"), _activation),
    **dict.fromkeys(("softmax", "log_softmax", "_softmax", "_log_softmax"), _softmax),
    **dict.fromkeys(("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"), _dropout),
    **dict.fromkeys(("add", "sub", "rsub"), arithmetic.total),
    **dict.fromkeys(("mul", "div"), arithmetic.product),
    **dict.fromkeys(("clamp", "clip", "clamp_min"), _clamp),
    **dict.fromkeys(("matmul", "mm"), _matmul),
    **dict.fromkeys(("pad", "constant_pad_nd"), _pad),
    "addmm": _addmm,
    "adaptive_avg_pool2d": _adaptive_avg_pool2d,
    "adaptive_max_pool2d": _adaptive_max_pool2d,
    "amax": _amax,
    "avg_pool2d": _avg_pool2d,
    "batch_norm": _batch_norm,
    "conv2d": _conv2d,
    "hardtanh": _hardtanh,
    "linear": _linear,
    "max_pool2d": _max_pool2d,
    "mean": _mean,
    "neg": arithmetic.negative,
}

_OTHER_ACTIVATIONS = (
    "celu", "elu", "gelu", "hardsigmoid", "hardswish", "leaky_relu", "log_sigmoid", "mish", "prelu", "selu", "silu",
    "softplus", "softsign", "threshold",
)  # fmt: skip
_ADVICE = {
    **dict.fromkeys(_OTHER_ACTIVATIONS, "use ReLU, ReLU6, Sigmoid or Tanh"),
    **dict.fromkeys(
        ("layer_norm", "group_norm", "instance_norm", "rms_norm", "local_response_norm"), "use BatchNorm2d"
    ),
    **dict.fromkeys(("conv1d", "conv3d", "conv_transpose2d", "convolution"), "use Conv2d"),
    **dict.fromkeys(
        ("permute", "transpose", "movedim", "numpy_T"), "keep PyTorch's order: batch, channels, rows, columns"
    ),
    **dict.fromkeys(("cat", "stack"), _JOINS),
    **dict.fromkeys(("argmax", "max"), "give the logits; the class is their largest, which every runtime finds"),
    "max_pool2d_with_indices": "leave out return_indices",
}
