"""Sums and products: with constants they become part of a layer's weights, and two branches meet in an addition."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from lenet_edge.learning.torch_module.affine import Affine, Array
from lenet_edge.learning.torch_module.chain import Chain, Unsupported
from lenet_edge.learning.torch_module.graph import FLOW, Operation

__all__ = ["constant", "negative", "product", "total"]


def total(operation: Operation, chain: Chain) -> None:
    """``self + alpha * other``, of two values or of one and constants."""
    left, right = operation.arguments["self"], operation.arguments["other"]
    sign = -1.0 if operation.kind in ("sub", "rsub") else 1.0
    alpha = sign * float(operation.arguments.get("alpha") or 1)
    if operation.kind == "rsub":  # other - alpha * self
        left, right = right, left
    if left is FLOW and right is FLOW:
        _join(operation, chain, alpha)
    elif left is FLOW:
        _scale(operation, chain, 1.0, alpha * _number(right))
    else:
        _scale(operation, chain, alpha, _number(left))


def _join(operation: Operation, chain: Chain, factor: float) -> None:
    """Where two branches meet: the first value and `factor` times the second."""
    first, second = operation.sources
    if operation.kind == "rsub":
        first, second = second, first
    if set(operation.input_shapes) != {operation.shape}:
        raise Unsupported(
            f"shapes of {' and '.join(str([*shape[1:]]) for shape in operation.input_shapes)} are added; only equal "
            "ones can be"
        )
    path = operation.place.path if not operation.place.type else ""
    chain.add(chain.name(f"{path}.add" if path else "", "add"), first, second, factor)


def product(operation: Operation, chain: Chain) -> None:
    """With constants, or divided by them."""
    left, right = operation.arguments["self"], operation.arguments["other"]
    if operation.kind == "div":
        if left is not FLOW or operation.arguments.get("rounding_mode"):
            raise Unsupported("only a division by constants is supported")
        _scale(operation, chain, 1 / _number(right), 0.0)
    else:
        _scale(operation, chain, _number(right if left is FLOW else left), 0.0)


def negative(operation: Operation, chain: Chain) -> None:
    """Times -1."""
    _scale(operation, chain, -1.0, 0.0)


def _scale(operation: Operation, chain: Chain, factor: Any, shift: Any) -> None:
    if operation.shape != operation.input_shape:
        raise Unsupported("constants must keep the shape of what they are combined with")
    name = operation.place.path if operation.place.type else ""
    chain.scale(name or "scale", Affine(_per_channel(factor, operation), _per_channel(shift, operation)))


def _per_channel(value: Any, operation: Operation) -> Array:
    """A number per channel of a constant that may be spread over rows and columns."""
    constant = np.asarray(value, np.float64)
    shape = operation.input_shape[1:]
    if constant.ndim > len(shape):
        constant = constant.reshape(constant.shape[-len(shape) :]) if constant.shape[0] == 1 else constant
    full = np.broadcast_to(constant, shape)
    each = full.reshape(shape[0], -1)
    if (each != each[:, :1]).any():
        raise Unsupported("a constant that differs from pixel to pixel is not supported; use one per channel")
    return each[:, 0].copy()


def constant(value: Any) -> Array:
    """An argument that must not depend on the images, float64."""
    if not isinstance(value, Tensor):
        raise Unsupported("its weights are computed from the images; use constant ones")
    return np.asarray(value.detach().double().cpu().numpy())


def _number(value: Any) -> Any:
    return constant(value) if isinstance(value, Tensor) else float(value)
