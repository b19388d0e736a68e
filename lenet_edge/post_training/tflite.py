"""A float .tflite: calibrated in LiteRT, quantised by `formats.tflite.floating`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lenet_edge.engines import float_litert
from lenet_edge.errors import BadInputError
from lenet_edge.formats.tflite import floating
from lenet_edge.formats.tflite.floating.int8 import observed_tensors
from lenet_edge.post_training.float_model import FloatModel, PixelRange
from lenet_edge.post_training.ranges import Method, chosen_ranges
from lenet_edge.quantized.model import QuantizedModel

__all__ = ["load_tflite", "picture_shape"]

Float32Array = npt.NDArray[np.float32]

_BYTES_AT_ONCE = 128 << 20  # of tensors


def load_tflite(data: bytes, image_shape: tuple[int, int, int], method: Method = "least error") -> FloatModel:
    """The float model in the bytes of a .tflite.

    Args:
        image_shape: height, width and channels of the pictures that it is given.
        method: how ranges are chosen.

    Raises:
        BadInputError: it cannot be quantised, or takes no such pictures; the message says what and where.
    """
    file = _File(data, image_shape, method)
    return FloatModel(file.logits, file.layers, file.int8, lambda pixels: file.entering.entered(*pixels))


def picture_shape(data: bytes) -> tuple[int, int, int] | None:
    """Height, width and channels of the pictures that a float .tflite takes; None where its input does not say it.

    Raises:
        BadInputError: as of `load_tflite`.
    """
    graph = floating.read_graph(data)
    return floating.picture_shape(graph)


@dataclass
class _File:
    data: bytes
    image_shape: tuple[int, int, int]
    method: Method

    def __post_init__(self) -> None:
        graph, self.entering = self._read()
        self._observed = observed_tensors(graph)
        self._names = {index: graph.name(index) for index in self._observed}
        self._sizes = {index: math.prod(graph.shape(index)) for index in self._observed}

    def _read(self) -> tuple[floating.FloatGraph, floating.Entering]:
        graph = floating.read_graph(self.data)
        return graph, floating.rewrite(graph, self.image_shape)

    def logits(self, pictures: Float32Array) -> Float32Array:
        return float_litert.run(self.data, self.entering.fed(pictures))[0]

    def layers(self, pictures: Float32Array) -> Mapping[str, Float32Array]:
        """By name; where two tensors share one, neither."""
        tensors = self.held(self.entering.fed(pictures))
        names = list(self._names.values())
        return {self._names[index]: values for index, values in tensors.items() if names.count(self._names[index]) == 1}

    def held(self, inputs: Float32Array) -> dict[int, Float32Array]:
        """What the tensors held."""
        found = float_litert.run(self.data, inputs, self._observed)[1]
        for index, values in found.items():
            if values.size != len(inputs) * self._sizes[index]:
                raise BadInputError(
                    f"LiteRT computes {values.size // len(inputs)} values for tensor {self._names[index]}, and "
                    f"the file says {self._sizes[index]}"
                )
        return found

    def int8(self, pictures: Float32Array, pixels: PixelRange) -> QuantizedModel:
        parts = self._parts(self.entering.fed(pictures))
        found = chosen_ranges(parts, self.method, self._names.__getitem__)
        graph, _ = self._read()
        ranges = {index: floating.Range(*ends) for index, ends in found.items()}
        return floating.to_int8(graph, ranges, floating.Range(*self.entering.entered(*pixels)))

    def _parts(self, inputs: Float32Array) -> _Parts:
        at_once = max(1, _BYTES_AT_ONCE // max(1, 4 * sum(self._sizes.values())))
        return _Parts(self.held, [inputs[start : start + at_once] for start in range(0, len(inputs), at_once)])


@dataclass
class _Parts:
    """What tensors held, a part of the pictures after the other; what fits into memory is run once."""

    held: Callable[[Float32Array], dict[int, Float32Array]]
    inputs: Sequence[Float32Array]

    def __post_init__(self) -> None:
        self._kept: dict[int, Float32Array] | None = None

    def __call__(self) -> Iterator[dict[int, Float32Array]]:
        for part in self.inputs:
            found = self._kept or self.held(part)
            self._kept = found if len(self.inputs) == 1 else None
            yield found
