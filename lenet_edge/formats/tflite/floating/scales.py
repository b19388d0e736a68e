"""Which tensors have one scale, and which scales are not ours to choose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from lenet_edge.formats.tflite.floating.graph import FloatGraph, Operator
from lenet_edge.formats.tflite.schema import S

__all__ = ["GIVEN", "Groups", "separate_given"]

_MOVES = (
    "MAX_POOL_2D",
    "AVERAGE_POOL_2D",
    "RESHAPE",
    "PAD",
    "PADV2",
    "STRIDED_SLICE",
    "SPLIT",
    "SQUEEZE",
    "EXPAND_DIMS",
    "TRANSPOSE",
    "SPACE_TO_BATCH_ND",
    "BATCH_TO_SPACE_ND",
)

GIVEN = MappingProxyType({"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0), "SOFTMAX": (1 / 256, -128)})
"""(scale, zero point) of what tables give, in every runtime."""


class Groups:
    """The groups of float tensors between which values only move."""

    def __init__(self, graph: FloatGraph, names: Iterable[str]) -> None:
        self._parent: dict[int, int] = {}
        for operator in graph.operators:
            floats = [index for index in (*operator.inputs, *operator.outputs) if graph.is_float(index)]
            if operator.name in names:
                for index in floats[1:]:
                    self._parent[self.of(index)] = self.of(floats[0])

    def of(self, index: int) -> int:
        """The group of a tensor: one of its tensors."""
        while self._parent.setdefault(index, index) != index:
            index = self._parent[index]
        return index

    @classmethod
    def all_of(cls, graph: FloatGraph) -> Groups:
        """With those that a concatenation makes one."""
        return cls(graph, (*_MOVES, "CONCATENATION"))

    def given(self, graph: FloatGraph) -> Mapping[int, tuple[float, int] | None]:
        """Group -> scale and zero point, where they are given; None of the model's input, which has that of pixels."""
        found: dict[int, tuple[float, int] | None] = {}
        for operator in graph.operators:
            if operator.name in GIVEN:
                found[self.of(operator.outputs[0])] = GIVEN[operator.name]
        found[self.of(graph.input)] = None
        return found


def separate_given(graph: FloatGraph) -> dict[int, int]:
    """Let a concatenation read tensors whose scales are given through a QUANTIZE, so that all can have one scale.

    Returns:
        new tensor -> the one with its values.
    """
    groups, copies = Groups(graph, _MOVES), dict[int, int]()
    given = groups.given(graph)
    for operator in [each for each in graph.operators if each.name == "CONCATENATION"]:
        kinds = {given.get(groups.of(index), groups.of(index)) for index in operator.inputs}
        for position, index in enumerate(operator.inputs):
            if groups.of(index) in given and len(kinds) > 1:
                copy = graph.add_tensor(f"{graph.name(index)}/rescaled", graph.shape(index))
                graph.operators.insert(graph.operators.index(operator), _quantize(operator.number, index, copy))
                operator.inputs[position], copies[copy] = copy, index
    return copies


def _quantize(number: int, source: int, target: int) -> Operator:
    return Operator("QUANTIZE", number, [source], [target], S.BuiltinOptions.NONE)
