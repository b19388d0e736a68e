"""int32 operators: what converters compute with shapes while the batch is open; here every shape is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from lenet_edge.errors import BadInputError
from lenet_edge.formats.tflite.schema import S
from lenet_edge.formats.tflite.slices import taken
from lenet_edge.formats.tflite.wiring import Step

__all__ = ["FOLD"]

_MAX_VALUES = 16  # of a tensor that describes a shape


def _operand(step: Step, position: int) -> Any:
    found = step.integers(position)
    if found.size > _MAX_VALUES:
        raise BadInputError(f"{step.where} computes with {found.size} integers; shapes have up to {_MAX_VALUES}")
    return found.astype(np.int64)


def _fold_shape(step: Step) -> None:
    step.require_inputs(1)
    if step.required_options().out_type != S.TensorType.INT32:
        raise BadInputError(f"{step.where} gives another type than INT32")
    step.give_integers(step.tensor(0).shape)


def _fold_strided_slice(step: Step) -> None:
    step.require_inputs(4)
    values = _operand(step, 0)
    for axis, part in reversed(list(enumerate(taken(step)))):
        values = np.take(values, part.begin + part.stride * np.arange(part.count), axis)
        values = values.squeeze(axis) if part.dropped else values
    step.give_integers(values)


def _fold_pack(step: Step) -> None:
    options = step.required_options()
    step.require_inputs(max(options.values_count, 1))
    step.give_integers(_joined(step, np.stack, options.axis))


def _fold_concatenation(step: Step) -> None:
    options = step.required_options()
    step.require_inputs(max(len(step.inputs), 1))
    if options.fused_activation_function:
        raise BadInputError(f"{step.where} has a fused activation: TFLM and LiteRT refuse it")
    step.give_integers(_joined(step, np.concatenate, options.axis))


def _joined(step: Step, join: Callable[..., Any], axis: int) -> Any:
    parts = [_operand(step, position) for position in range(len(step.inputs[: _MAX_VALUES + 1]))]
    try:
        return join(parts, axis=axis)
    except ValueError as error:
        raise BadInputError(f"{step.where} joins {[part.shape for part in parts]} along axis {axis}") from error


def _fold_arithmetic(step: Step, compute: Callable[..., Any]) -> None:
    step.require_inputs(2)
    if step.required_options().fused_activation_function:
        raise BadInputError(f"{step.where} of int32 has a fused activation, which is not supported")
    left, right = _operand(step, 0), _operand(step, 1)
    if left.shape != right.shape and 1 not in (left.size, right.size):
        raise BadInputError(f"{step.where} computes with {left.size} and {right.size} integers")
    step.give_integers(compute(left, right))


FOLD: Mapping[str, Callable[[Step], None]] = MappingProxyType(
    {
        "SHAPE": _fold_shape,
        "STRIDED_SLICE": _fold_strided_slice,
        "PACK": _fold_pack,
        "CONCATENATION": _fold_concatenation,
        "ADD": partial(_fold_arithmetic, compute=np.add),
        "SUB": partial(_fold_arithmetic, compute=np.subtract),
        "MUL": partial(_fold_arithmetic, compute=np.multiply),
    }
)
"""By the operator's name; raises `BadInputError` as `reader.read` says."""
