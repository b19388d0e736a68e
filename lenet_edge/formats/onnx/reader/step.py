"""One node with what it reads, as the functions that turn nodes into layers see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lenet_edge.errors import BadInputError
from lenet_edge.formats.onnx.reader.builder import Builder
from lenet_edge.formats.onnx.reader.graph import Array, Node, printable
from lenet_edge.formats.onnx.reader.values import (
    Constant,
    Given,
    Integers,
    Pending,
    Quantized,
    Real,
    Scaling,
    Tail,
    Value,
)

__all__ = ["Step"]


@dataclass(frozen=True, eq=False)
class Step:
    """A node, the model under construction, and the values of the tensors before it."""

    node: Node
    builder: Builder
    values: dict[str, Value]

    @property
    def name(self) -> str:
        """What its layer is called: as the node, or as the tensor that it makes."""
        return self.node.name or self.node.outputs[0]

    def refuse(self, why: str) -> BadInputError:
        """That the node cannot be taken."""
        return BadInputError(f"{self.node.where}: {why}")

    def value(self, position: int) -> Value | None:
        """An input; None where there is none."""
        name = self.node.input(position)
        return self.values[name] if name else None

    def give(self, value: Value) -> None:
        """What the node's first output is; another one may not be read."""
        self.values[self.node.outputs[0]] = value

    def attribute(self, name: str, default: Any) -> Any:
        """An attribute, of the default's type."""
        value: Any = self.node.attributes.get(name, default)
        kind = float if isinstance(default, float) else type(default)
        if not isinstance(value, kind if kind is not list else (list, tuple)):
            raise self.refuse(f"its attribute {name} is {str(value)[:40]!r}")
        return value

    # --- constants --------------------------------------------------------------------------------

    def array(self, position: int, what: str) -> Array:
        """A constant input."""
        value = self.value(position)
        if isinstance(value, Constant):
            return value.array
        raise self.refuse(f"its {what} must be a constant of the file")

    def integers_of(self, position: int, attribute: str, what: str) -> list[int] | None:
        """A list of integers that is a constant input, or an attribute in older files; None where neither is there."""
        if self.node.input(position):
            array = self.array(position, what)
            if array.dtype.kind not in "iu" or array.ndim > 1:
                raise self.refuse(f"its {what} are {array.dtype}{list(array.shape)}")
            return [int(value) for value in array.reshape(-1)]
        if attribute not in self.node.attributes:
            return None
        return [int(value) for value in self.attribute(attribute, [])]

    # --- values -----------------------------------------------------------------------------------

    def integers(self, position: int = 0) -> Integers:
        """The integers behind an input; a float one without a scale gets one, or is noted as a float edge."""
        return self.settled(self.value(position), self.node.input(position))

    def settled(self, value: Value | None, name: str) -> Integers:
        """The integers behind a value."""
        if isinstance(value, Real):
            return value.integers
        if isinstance(value, Pending):
            return self.builder.settled(value)
        if isinstance(value, Given):
            given = value
            finish = lambda scaling, _: self.builder.given(given, scaling)  # noqa: E731
            return self.builder.settled(Pending(given.name, given.index.shape, finish))
        if isinstance(value, Tail):
            raise self.refuse(f"it reads what {value.operator} gives, which is supported only at the model's end")
        kind = {Integers: "integers without DequantizeLinear", type(None): "nothing"}.get(type(value), "a constant")
        raise self.refuse(f"its input {printable(name)!r} is {kind}, and it takes a computed tensor")

    def unary(self, apply: Callable[[Integers], Integers], shape: tuple[int, ...]) -> None:
        """Give what an operation makes that chooses or moves values, and so may come behind QuantizeLinear as well."""
        value, output = self.value(0), self.node.outputs[0]
        if not isinstance(value, Pending):
            self.give(Real(apply(self.integers())))
            return
        finish = value.finish
        moved = replace(value, name=output, shape=shape, biased=None)
        self.give(replace(moved, finish=lambda scaling, bounds: apply(finish(scaling, bounds))))

    def shape(self, position: int = 0) -> tuple[int, ...]:
        """The shape of an input, without the batch."""
        return shape_of(self, self.value(position))

    def pending(self, shape: tuple[int, ...], finish: Callable[..., Integers], **more: Any) -> Pending:
        """A float result by the name of the node's output; ``finish(scaling, bounds)`` gives its integers once."""
        made: dict[tuple[Scaling, tuple[float, float]], Integers] = {}

        def once(scaling: Scaling, bounds: tuple[float, float]) -> Integers:
            if (scaling, bounds) not in made:
                made[scaling, bounds] = finish(scaling, bounds)
            return made[scaling, bounds]

        return Pending(self.node.outputs[0], shape, once, **more)


def shape_of(step: Step, value: Value | None) -> tuple[int, ...]:
    """The shape of a value, without the batch."""
    if isinstance(value, Real):
        return value.integers.shape
    if isinstance(value, Given):
        return value.index.shape
    if isinstance(value, (Pending, Integers)):
        return value.shape
    if isinstance(value, Tail):
        return value.integers.shape
    if isinstance(value, Constant):
        return value.array.shape[1:]
    if isinstance(value, Quantized):
        return np.shape(value.integers)[1:]
    raise step.refuse("an input is missing")
