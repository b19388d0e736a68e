"""The tensors of a .tflite as layers need them: activations, weights and other constants."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lenet_edge.errors import BadInputError
from lenet_edge.formats.tflite.schema import S
from lenet_edge.quantized.model import QTensor

__all__ = ["Tensor", "Tensors", "activation", "printable", "require_type", "scaling"]

# Tables of a file may share their parts, so what is copied is bounded too, not only the file.
_MAX_CONSTANTS = 64 << 20
_MAX_CHANNELS = 1 << 16
_MAX_NAME = 1 << 12
_MAX_AXES = 8


@dataclass(frozen=True)
class Tensor:
    """A tensor of the file: shape with the batch, type number, quantisation, constant bytes or None."""

    name: str
    shape: tuple[int, ...]
    type: int
    scales: npt.NDArray[np.float32]
    zero_points: npt.NDArray[np.int64]
    axis: int
    content: Any

    @property
    def batch(self) -> bool:
        """Whether its first axis is the batch, 1, which layers leave away; otherwise they keep the whole shape."""
        return len(self.shape) > 1 and self.shape[0] == 1

    @property
    def type_name(self) -> str:
        return type_name(self.type)


class Tensors:
    """The tensors of the first subgraph, by index."""

    def __init__(self, root: Any) -> None:
        self.buffers = root.buffers or []
        self.tables = root.subgraphs[0].tensors or []
        self.known: dict[int, Tensor] = {}
        self.bytes_left = _MAX_CONSTANTS

    def __getitem__(self, index: int) -> Tensor:
        if index not in self.known:
            if not 0 <= index < len(self.tables):
                raise BadInputError(f"tensor {index} does not exist")
            self.known[index] = _read(self.tables[index], self.buffers)
        return self.known[index]

    def constant(self, tensor: Tensor, dtype: str) -> npt.NDArray[Any]:
        """The values of a constant tensor, with its shape."""
        if tensor.content is None:
            raise BadInputError(f"tensor {tensor.name} is not a constant")
        size = math.prod(tensor.shape) * np.dtype(dtype).itemsize
        if len(tensor.content) != size:
            raise BadInputError(
                f"tensor {tensor.name} has {len(tensor.content)} bytes, its shape {tensor.shape} needs {size}"
            )
        self.bytes_left -= size
        if self.bytes_left < 0:
            raise BadInputError(f"its constants are more than {_MAX_CONSTANTS} bytes")
        values = np.frombuffer(tensor.content.tobytes(), np.dtype(dtype).newbyteorder("<"))
        return values.astype(dtype).reshape(tensor.shape)


def _read(table: Any, buffers: list[Any]) -> Tensor:
    shape = () if table.shape is None else table.shape
    if len(shape) > _MAX_AXES:
        raise BadInputError(f"a tensor has {len(shape)} axes")
    scales, zero_points, axis = np.empty(0, np.float32), np.empty(0, np.int64), 0
    if table.quantization is not None:
        axis = table.quantization.quantized_dimension
        scales = _vector(table.quantization.scale, np.float32)
        zero_points = _vector(table.quantization.zero_point, np.int64)
    name = table.name or b""
    if len(name) > _MAX_NAME:
        raise BadInputError(f"a tensor has a name of {len(name)} bytes")
    if table.buffer >= len(buffers):
        raise BadInputError(f"tensor {printable(name)} has buffer {table.buffer}, which does not exist")
    content = buffers[table.buffer].data
    return Tensor(printable(name), tuple(map(int, shape)), table.type, scales, zero_points, axis, content)


def _vector(values: Any, dtype: Any) -> Any:
    if values is None:
        return np.empty(0, dtype)
    if len(values) > _MAX_CHANNELS:
        raise BadInputError(f"a tensor has {len(values)} scales or zero points; {_MAX_CHANNELS} are read at most")
    return values.astype(dtype)


def printable(name: bytes) -> str:
    """The name as text without what a terminal would obey: a name says nothing about the integers."""
    text = name.decode("utf-8", "replace")
    return "".join(character if character.isprintable() else "�" for character in text)


def type_name(number: int) -> str:
    """The schema's name of a type."""
    return next((name for name, value in vars(S.TensorType).items() if value == number), f"type {number}")


def require_type(tensor: Tensor, number: int) -> None:
    """Raises `BadInputError` where the tensor is of another type."""
    if tensor.type != number:
        raise BadInputError(
            f"tensor {tensor.name} is {tensor.type_name}, not {type_name(number)}: "
            "only models that are int8 throughout are supported"
        )


def activation(tensor: Tensor) -> QTensor:
    """A tensor that the model computes or takes: int8, one scale and zero point, not a constant."""
    require_type(tensor, S.TensorType.INT8)
    if not tensor.shape:
        raise BadInputError(f"tensor {tensor.name} has no axes; of a tensor that is computed at least one is needed")
    if tensor.content is not None:
        raise BadInputError(f"tensor {tensor.name} is an operator's input or output and has constant data as well")
    return scaling(tensor)


def scaling(tensor: Tensor, *, zero_point_less: int = 0) -> QTensor:
    """The tensor's shape without the batch, its scale, and its zero point less that number."""
    if len(tensor.scales) != 1 or len(tensor.zero_points) != 1:
        raise BadInputError(f"tensor {tensor.name} must have one scale and one zero point")
    scale = float(tensor.scales[0])
    if not 0 < scale < math.inf:  # here and not in `verify` alone: clamps and tables are quotients of scales
        raise BadInputError(f"tensor {tensor.name} has the scale {scale}; it must be a positive number")
    shape = tensor.shape[1:] if tensor.batch else tensor.shape or (1,)
    return QTensor(shape, scale, int(tensor.zero_points[0]) - zero_point_less)
