"""The graph while it is read: where the values of each tensor come from, and its operators, one `Step` each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lenet_edge.errors import BadInputError
from lenet_edge.formats.tflite.schema import S
from lenet_edge.formats.tflite.tensors import Tensor, Tensors, activation, require_type, scaling
from lenet_edge.quantized.model import Constant, Flatten, Layer, QTensor, Reshape

__all__ = ["Graph", "Step"]


class Graph:
    """What has been read so far.

    Attributes:
        tensors: those of the file, by index.
        inputs, outputs: the indices of the tensors that the model takes and gives.
        layers, reads: as of `QuantizedModel`.
        places: where the values of a tensor are: the index of a layer, or -1, -2, ... for the model's inputs. A uint8
            or float tensor at an end has the place of its int8 view.
        integers: the values of int32 tensors that follow from shapes.
        written: the tensors that have values now: the model's inputs, and what operators gave.
        read: the tensors that any operator reads.
        views: the int8 tensor that a float input is for the layers.
        blocks: what is known of tensors between SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND, see `dilated`.
    """

    def __init__(self, root: Any, inputs: tuple[int, ...], outputs: tuple[int, ...], read: Iterable[int]) -> None:
        self.tensors = Tensors(root)
        self.inputs, self.outputs, self.read = inputs, outputs, frozenset(read)
        self.layers: list[Layer] = []
        self.reads: list[tuple[int, ...]] = []
        self.places: dict[int, int] = {index: -1 - number for number, index in enumerate(inputs)}
        self.integers: dict[int, npt.NDArray[np.int32]] = {}
        self.written: set[int] = set(inputs)
        self.views: dict[int, QTensor] = {}
        self.blocks: dict[int, Any] = {}

    def append(self, layer: Layer, reads: tuple[int, ...]) -> int:
        """Add a layer that reads those places; its own place."""
        self.layers.append(layer)
        self.reads.append(reads)
        return len(self.layers) - 1

    def drop_unread_moves(self, results: tuple[int, ...]) -> tuple[int, ...]:
        """Leave out layers that only move values which nothing reads: of those a converter wanted the shape alone.

        Returns:
            `results`, the layers that give the model's outputs, as they are counted then.
        """
        kept = set(range(len(self.layers)))
        for index in reversed(range(len(self.layers))):
            read = {source for other in kept for source in self.reads[other]}
            if index not in read and index not in results and isinstance(self.layers[index], (Reshape, Flatten)):
                kept.remove(index)
        numbers = {index: number for number, index in enumerate(sorted(kept))}
        self.layers = [self.layers[index] for index in sorted(kept)]
        self.reads = [tuple(numbers.get(source, source) for source in self.reads[index]) for index in sorted(kept)]
        return tuple(numbers[index] for index in results)

    def place(self, index: int) -> int:
        """The place of an int8 tensor; a constant becomes a layer where it is first read."""
        if index not in self.places:
            tensor = self.tensors[index]
            if index in self.blocks:
                raise BadInputError(f"tensor {tensor.name} is in blocks, of which only one convolution is supported")
            if tensor.content is None:
                raise BadInputError(f"tensor {tensor.name} is read before an operator writes it")
            output = scaling(tensor)
            values = self.tensors.constant(tensor, "int8").reshape(output.shape)
            self.places[index] = self.append(Constant(tensor.name, output, values), ())
        return self.places[index]


@dataclass(frozen=True)
class Step:
    """An operator.

    Attributes:
        name: of the operator.
        where: for messages: its index and name.
        options: its table of options, or None.
        graph: what was read before it.
        inputs, outputs: indices of the tensors that it reads (-1: none) and writes.
    """

    name: str
    where: str
    options: Any
    graph: Graph
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def tensor(self, position: int) -> Tensor:
        """The file's tensor that it reads there."""
        return self.graph.tensors[self.inputs[position]]

    @property
    def target(self) -> Tensor:
        """The file's tensor that it writes first."""
        return self.graph.tensors[self.outputs[0]]

    def input(self, position: int = 0) -> QTensor:
        """The int8 tensor that it reads there, which the model computes or takes."""
        return activation(self.tensor(position))

    def operand(self, position: int) -> QTensor:
        """As `input`, and constants too."""
        if self.is_constant(position):
            require_type(self.tensor(position), S.TensorType.INT8)
            return scaling(self.tensor(position))
        return self.input(position)

    def output(self, target: int = 0) -> QTensor:
        return activation(self.graph.tensors[self.outputs[target]])

    def map(self, position: int = 0) -> QTensor:
        """As `input`, of an operator that slides a window over ``[1, h, w, c]``."""
        tensor = self.tensor(position)
        if len(tensor.shape) != 4 or not tensor.batch:
            raise BadInputError(f"tensor {tensor.name} has shape {tensor.shape}; {self.where} reads [1, h, w, c]")
        return self.input(position)

    def is_constant(self, position: int) -> bool:
        index = self.inputs[position]
        return index not in self.graph.written and self.tensor(position).content is not None

    def integers(self, position: int) -> npt.NDArray[np.int32]:
        """The int32 values that it reads there: a constant, or what followed from shapes."""
        index, tensor = self.inputs[position], self.tensor(position)
        require_type(tensor, S.TensorType.INT32)
        if index in self.graph.integers:
            return self.graph.integers[index]
        if tensor.content is None:
            raise BadInputError(f"{self.where} reads tensor {tensor.name}, whose values are not known in advance")
        return self.graph.tensors.constant(tensor, "int32")

    @property
    def layer_name(self) -> str:
        return self.target.name

    def required_options(self) -> Any:
        if self.options is None:
            raise BadInputError(f"{self.where} has no options")
        return self.options

    def require_inputs(self, *counts: int, optional: int | None = None) -> None:
        """LiteRT refuses other numbers of inputs, TFLM does not look; at position `optional` -1 is none."""
        if len(self.inputs) not in counts:
            expected = " or ".join(map(str, counts))
            raise BadInputError(f"{self.where} has {len(self.inputs)} inputs, not {expected}")
        for position, index in enumerate(self.inputs):
            if index < 0 and (index, position) != (-1, optional):
                raise BadInputError(f"{self.where} needs its input {position}, the file has tensor {index}")

    def give(self, *layers: Layer, reads: tuple[int, ...] = (0,), target: int = 0) -> None:
        """Its output `target` comes from these layers, each of which reads the one before, the first the inputs at the
        positions `reads`; without layers it is the input itself."""
        places = tuple(self.graph.place(self.inputs[position]) for position in reads)
        for layer in layers:
            places = (self.graph.append(layer, places),)
        self.graph.places[self.outputs[target]] = places[0]

    def give_from(self, first: Step, *layers: Layer) -> None:
        """As `give`, of layers that read what the operator `first` reads."""
        step = Step(self.name, self.where, self.options, self.graph, first.inputs, self.outputs)
        step.give(*layers)

    def give_integers(self, values: Any) -> None:
        """Its output is int32 values that are known now."""
        require_type(self.target, S.TensorType.INT32)
        found = np.asarray(values, np.int64)
        if found.shape != self.target.shape:
            raise BadInputError(f"{self.where} gives shape {found.shape}, but its output has {self.target.shape}")
        if (found != found.astype(np.int32)).any():
            raise BadInputError(f"{self.where} gives numbers that int32 does not hold")
        self.graph.integers[self.outputs[0]] = found.astype(np.int32)
