"""A .tflite under construction: its buffers, tensors and operators, by LiteRT's object API."""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt

from lenet_edge.files import to_json
from lenet_edge.formats.tflite.schema import IDENTIFIER, METADATA_NAME, OPERATOR_VERSIONS, S
from lenet_edge.quantized.model import Layer, QTensor

__all__ = ["Assembly"]

# FlatBuffers' object API packs any object with these methods; the schema's
# `force_align: 16` on the data of a buffer is lost in the generated Python, so
# buffers pack themselves.
_ALIGNMENT = 16


class _AlignedBuffer:
    def __init__(self, data: bytes = b"") -> None:
        self.data = data

    def Pack(self, builder: Any) -> int:  # noqa: N802 - the object API's name
        offset = None
        if self.data:
            builder.StartVector(1, len(self.data), _ALIGNMENT)
            head = builder.head - len(self.data)
            builder.head = head
            builder.Bytes[head : head + len(self.data)] = self.data
            offset = builder.EndVector()
        S.BufferStart(builder)
        if offset is not None:
            S.BufferAddData(builder, offset)
        return int(S.BufferEnd(builder))


class Assembly:
    """The file under construction.

    Attributes:
        places: the index of the tensor that each layer gives; -1, -2, ... are the model's inputs.
        sources: the tensors that the next layer reads.
    """

    def __init__(self, inputs: tuple[QTensor, ...]) -> None:
        self.model = S.ModelT()
        self.model.version = 3
        self.model.description = "lenet-edge"
        self.model.buffers = [_AlignedBuffer()]  # buffer 0 is empty by convention
        self.model.operatorCodes = []
        self.graph = S.SubGraphT()
        self.graph.name = "main"
        self.graph.tensors, self.graph.operators = [], []
        self.model.subgraphs = [self.graph]
        names = ["image", *(f"image_{number}" for number in range(1, len(inputs)))]
        self.graph.inputs = [self.activation(name, tensor) for name, tensor in zip(names, inputs, strict=True)]
        self.places = {-1 - number: index for number, index in enumerate(self.graph.inputs)}
        self.sources: list[int] = []

    def buffer(self, data: bytes) -> int:
        self.model.buffers.append(_AlignedBuffer(data))
        return len(self.model.buffers) - 1

    def tensor(
        self, name: str, shape: tuple[int, ...], scales: Any, zero_point: int = 0, axis: int = 0, data: Any = None
    ) -> int:
        """Add a tensor; `data` is a constant's array, `scales` one scale, one per channel, or None."""
        tensor = S.TensorT()
        tensor.name, tensor.shape = name, list(shape)
        tensor.type = S.TensorType.INT32 if data is not None and data.dtype == np.int32 else S.TensorType.INT8
        tensor.buffer = 0 if data is None else self.buffer(_little_endian(data))
        if scales is not None:
            quantization = S.QuantizationParametersT()
            quantization.scale = [float(scale) for scale in np.atleast_1d(scales)]
            quantization.zeroPoint = [zero_point] * len(quantization.scale)
            quantization.quantizedDimension = axis
            tensor.quantization = quantization
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def activation(self, name: str, tensor: QTensor) -> int:
        return self.tensor(name, (1, *tensor.shape), tensor.scale, tensor.zero_point)

    def integers(self, name: str, values: Any) -> int:
        """Add a constant of int32 values."""
        data = np.array(values, np.int32)
        return self.tensor(name, data.shape, None, data=data)

    def operator(
        self,
        name: str,
        layer: Layer,
        options: Any,
        *,
        constants: tuple[int, ...] = (),
        version: int = 0,
        target: int | None = None,
    ) -> int:
        """Add an operator that reads the layer's sources and the constants; the tensor that it writes.

        That is `target`, or a new one of the layer's output.
        """
        operator = S.OperatorT()
        operator.opcodeIndex = self.operator_code(name, version or OPERATOR_VERSIONS[name])
        operator.inputs = [*self.sources, *constants]
        target = self.activation(layer.name, layer.output) if target is None else target
        operator.outputs = [target]
        if options is not None:
            kind = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(S.BuiltinOptions, kind)
            operator.builtinOptions = options
        self.graph.operators.append(operator)
        return target

    def operator_code(self, name: str, version: int) -> int:
        builtin = getattr(S.BuiltinOperator, name)
        for index, known in enumerate(self.model.operatorCodes):
            if (known.builtinCode, known.version) == (builtin, version):
                return index
        code = S.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = builtin
        code.version = version
        self.model.operatorCodes.append(code)
        return len(self.model.operatorCodes) - 1

    def finish(self, results: tuple[int, ...], metadata: dict[str, Any]) -> bytes:
        """The bytes, with these layers as the model's outputs."""
        self.graph.outputs = [self.places[index] for index in results]
        entry = S.MetadataT()
        entry.name, entry.buffer = METADATA_NAME, self.buffer(to_json(metadata).encode())
        self.model.metadata = [entry]
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(self.model.Pack(builder), IDENTIFIER)
        return bytes(builder.Output())


def _little_endian(data: npt.NDArray[np.generic]) -> bytes:
    return np.ascontiguousarray(data, dtype=data.dtype.newbyteorder("<")).tobytes()
