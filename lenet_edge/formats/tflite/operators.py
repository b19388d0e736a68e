"""The operators that are supported: one function for each, which turns it into layers.

Each refuses the options and constants that TFLM, LiteRT and we would read differently. Those with weights are in
`weighted`, those that only move values in `moves`, those at the ends of a model in `ends`, and those that compute
with shapes in `integers`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from lenet_edge.errors import BadInputError
from lenet_edge.formats.tflite import dilated, ends, integers, moves, weighted
from lenet_edge.formats.tflite.schema import S
from lenet_edge.formats.tflite.tensors import Tensor
from lenet_edge.formats.tflite.weighted import fused_clamp, padding_of, stride_of
from lenet_edge.formats.tflite.wiring import Step
from lenet_edge.quantized.lookup import OUTPUT_SCALING, reference_table
from lenet_edge.quantized.model import Add, AveragePool2d, Lookup, MaxPool2d, Mean, Multiply, Rescale, Softmax, Subtract
from lenet_edge.quantized.rescale import table

__all__ = ["SUPPORTED", "read_operator"]


def _read_pool(step: Step, kind: Any) -> None:
    step.require_inputs(1)
    options = step.required_options()
    window = (options.filter_height, options.filter_width)
    x, y = step.map(), step.output()
    step.give(kind(step.layer_name, x, y, window, stride_of(step), padding_of(step), *fused_clamp(step, y)))


def _read_lookup(step: Step, function: Any) -> None:
    step.require_inputs(1)
    x, y = step.input(), step.output()
    if (y.scale, y.zero_point) != OUTPUT_SCALING[function]:
        raise BadInputError(f"{step.layer_name}: an int8 {function} has output scaling {OUTPUT_SCALING[function]}")
    step.give(Lookup(step.layer_name, x, y, function, reference_table(function, x)))


def _read_softmax(step: Step) -> None:
    step.require_inputs(1)
    x, y = step.input(), step.output()
    if (y.scale, y.zero_point) != (1 / 256, -128):
        raise BadInputError(f"{step.layer_name}: an int8 SOFTMAX has output scale 1/256 and zero point -128")
    beta = step.required_options().beta
    if not 0 < beta < 1e6:
        raise BadInputError(f"{step.layer_name}: its beta is {beta}")
    step.give(Softmax(step.layer_name, x, y, float(beta)))


def _read_rescale(step: Step) -> None:
    step.require_inputs(1)
    x, y = step.input(), step.output()
    slope = float(step.required_options().alpha) if step.name == "LEAKY_RELU" else 1.0  # left out, 0 is an int
    if not -1e6 < slope < 1e6:
        raise BadInputError(f"{step.where} has the slope {slope}")
    step.give(Rescale(step.layer_name, x, y, step.name, table(step.name, x, y, slope), slope))


def _read_elementwise(step: Step, kind: Any) -> None:
    step.require_inputs(2)
    if step.is_constant(0) and step.is_constant(1):
        raise BadInputError(f"{step.where} reads two constants; the converter computes such an operator in advance")
    inputs, y = (step.operand(0), step.operand(1)), step.output()
    step.give(kind(step.layer_name, inputs, y, *fused_clamp(step, y)), reads=(0, 1))


def _read_mean(step: Step) -> None:
    step.require_inputs(2)
    x, y = step.input(), step.output()
    shape, kept = step.tensor(0).shape, bool(step.required_options().keep_dims)
    found = moves.axes_of(step, 1, len(shape))
    axes = moves.without_batch(step, found)
    expected = tuple(1 if axis in found else size for axis, size in enumerate(shape) if kept or axis not in found)
    moves.require_shape(step, expected)
    step.give(Mean(step.layer_name, x, y, tuple(sorted(axes))))


_READ: Mapping[str, Callable[[Step], None]] = MappingProxyType(
    {
        "CONV_2D": weighted.read_conv2d,
        "DEPTHWISE_CONV_2D": weighted.read_depthwise,
        "FULLY_CONNECTED": weighted.read_fully_connected,
        "MAX_POOL_2D": partial(_read_pool, kind=MaxPool2d),
        "AVERAGE_POOL_2D": partial(_read_pool, kind=AveragePool2d),
        "LOGISTIC": partial(_read_lookup, function="sigmoid"),
        "TANH": partial(_read_lookup, function="tanh"),
        "QUANTIZE": ends.read_quantize,
        "DEQUANTIZE": ends.read_dequantize,
        "RESHAPE": moves.read_reshape,
        "SOFTMAX": _read_softmax,
        "SPACE_TO_BATCH_ND": dilated.read_space_to_batch,
        "BATCH_TO_SPACE_ND": dilated.read_batch_to_space,
        "RELU": _read_rescale,
        "RELU6": _read_rescale,
        "LEAKY_RELU": _read_rescale,
        "MEAN": _read_mean,
        "ADD": partial(_read_elementwise, kind=Add),
        "SUB": partial(_read_elementwise, kind=Subtract),
        "MUL": partial(_read_elementwise, kind=Multiply),
        "PAD": moves.read_pad,
        "PADV2": moves.read_pad,
        "CONCATENATION": moves.read_concatenation,
        "STRIDED_SLICE": moves.read_strided_slice,
        "SPLIT": moves.read_split,
        "SQUEEZE": moves.read_squeeze,
        "EXPAND_DIMS": moves.read_expand_dims,
        "TRANSPOSE": moves.read_transpose,
    }
)

SUPPORTED = tuple(dict.fromkeys([*_READ, *integers.FOLD]))
"""The names of the operators that are supported."""


def read_operator(step: Step) -> None:
    """Add the operator's layers to its graph, or fold what it computes of shapes.

    Raises:
        BadInputError: as `reader.read` says.
    """
    target: Tensor = step.target
    table = integers.FOLD if target.type == S.TensorType.INT32 else _READ
    if step.name not in table:
        what = "int32" if table is integers.FOLD else "anything but shapes"
        raise BadInputError(f"{step.where} of {what} is not supported")
    if len(step.outputs) != 1 and step.name != "SPLIT":
        raise BadInputError(f"{step.where} has {len(step.outputs)} outputs")
    table[step.name](step)
