"""`QuantizedModel` to .tflite bytes: the same bytes for the same model and metadata, always."""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt

from lenet_edge import __version__
from lenet_edge.errors import BadInputError
from lenet_edge.files import to_json
from lenet_edge.formats.tflite.schema import (
    ACTIVATIONS,
    IDENTIFIER,
    METADATA_NAME,
    OPERATOR_VERSIONS,
    S,
    activation_clamp,
)
from lenet_edge.quantized.lookup import reference_table
from lenet_edge.quantized.model import (
    AveragePool2d,
    Conv2d,
    DepthwiseConv2d,
    Flatten,
    FullyConnected,
    Layer,
    Lookup,
    MaxPool2d,
    Pool2d,
    QTensor,
    QuantizedModel,
    Softmax,
    Weighted,
    is_chain,
)
from lenet_edge.quantized.verify import verify

__all__ = ["operator_names", "to_bytes"]

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


def operator_names(model: QuantizedModel) -> list[str]:
    """The builtin operators that the file uses, each once, in order of first use."""
    return list(dict.fromkeys(_OPERATORS[type(layer)][0](layer) for layer in model.layers if type(layer) in _OPERATORS))


def to_bytes(model: QuantizedModel) -> bytes:
    """The model as an int8 .tflite.

    The metadata of the model goes into the file's metadata entry ``lenet_edge``
    as JSON, with the fingerprint and the toolkit's version.

    Raises:
        BadInputError: a layer cannot be expressed (a clamp that no fused activation is).
    """
    writer = _Writer(model.input)
    for layer in verify(model).layers:
        if type(layer) not in _OPERATORS or not is_chain(model):
            raise BadInputError(f"layer {layer.name}: models that are not a chain are not written yet")
        _, write = _OPERATORS[type(layer)]
        write(writer, layer)
    return writer.finish({**model.metadata, "fingerprint": model.fingerprint, "lenet_edge": __version__})


class _Writer:
    """The file under construction: buffers, tensors, operators."""

    def __init__(self, image: QTensor) -> None:
        self.model = S.ModelT()
        self.model.version = 3
        self.model.description = "lenet-edge"
        self.model.buffers = [_AlignedBuffer()]  # buffer 0 is empty by convention
        self.model.operatorCodes = []
        self.graph = S.SubGraphT()
        self.graph.name = "main"
        self.graph.tensors, self.graph.operators = [], []
        self.model.subgraphs = [self.graph]
        self.current = self.activation("image", image)  # index of the tensor that the next layer reads
        self.graph.inputs = [self.current]

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

    def operator(
        self, name: str, layer: Layer, options: Any, *, constants: tuple[int, ...] = (), version: int = 0
    ) -> None:
        """Add an operator that reads the current tensor and the constants, and writes the layer's output."""
        operator = S.OperatorT()
        operator.opcodeIndex = self.operator_code(name, version or OPERATOR_VERSIONS[name])
        operator.inputs = [self.current, *constants]
        self.current = self.activation(layer.name, layer.output)
        operator.outputs = [self.current]
        if options is not None:
            kind = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(S.BuiltinOptions, kind)
            operator.builtinOptions = options
        self.graph.operators.append(operator)

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

    def finish(self, metadata: dict[str, Any]) -> bytes:
        self.graph.outputs = [self.current]
        entry = S.MetadataT()
        entry.name, entry.buffer = METADATA_NAME, self.buffer(to_json(metadata).encode())
        self.model.metadata = [entry]
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(self.model.Pack(builder), IDENTIFIER)
        return bytes(builder.Output())


def _little_endian(data: npt.NDArray[np.generic]) -> bytes:
    return np.ascontiguousarray(data, dtype=data.dtype.newbyteorder("<")).tobytes()


def _activation(layer: Weighted | Pool2d) -> int:
    """The fused activation whose clamp is the layer's."""
    clamp = (layer.clamp_min, layer.clamp_max)
    # On a pooling layer no activation is the plain reading; on the others a
    # clamp at the zero point is a ReLU, also where -128 makes it a no-op.
    order = ("NONE", "RELU") if isinstance(layer, (MaxPool2d, AveragePool2d)) else ("RELU", "NONE")
    for name in (*order, "RELU6", "RELU_N1_TO_1"):
        if activation_clamp(name, layer.output) == clamp:
            return ACTIVATIONS[name]
    raise BadInputError(f"layer {layer.name}: no fused activation of TFLite clamps to {clamp[0]}..{clamp[1]}")


def _padding(layer: Conv2d | DepthwiseConv2d | Pool2d) -> int:
    return int(S.Padding.SAME if layer.padding == "same" else S.Padding.VALID)


def _constants(writer: _Writer, layer: Weighted, weights: npt.NDArray[np.int8], axis: int) -> tuple[int, int]:
    """The tensors of weights and bias; a weight axis `axis` is that of the scales."""
    scales = layer.weight_scales
    if isinstance(layer, FullyConnected) and not layer.per_channel:
        scales = scales[:1]
    weights_tensor = writer.tensor(f"{layer.name}/weights", weights.shape, scales, axis=axis, data=weights)
    bias_scales = np.float32(layer.input.scale) * scales
    bias_tensor = writer.tensor(f"{layer.name}/bias", layer.bias.shape, bias_scales, data=layer.bias)
    return weights_tensor, bias_tensor


def _write_conv2d(writer: _Writer, layer: Conv2d) -> None:
    options = S.Conv2DOptionsT()
    options.padding, options.fusedActivationFunction = _padding(layer), _activation(layer)
    options.strideH, options.strideW = layer.stride
    writer.operator("CONV_2D", layer, options, constants=_constants(writer, layer, layer.weights, 0))


def _write_depthwise(writer: _Writer, layer: DepthwiseConv2d) -> None:
    options = S.DepthwiseConv2DOptionsT()
    options.padding, options.fusedActivationFunction = _padding(layer), _activation(layer)
    options.strideH, options.strideW = layer.stride
    options.depthMultiplier = layer.weights.shape[-1] // layer.input.shape[-1]
    constants = _constants(writer, layer, layer.weights[np.newaxis], 3)
    writer.operator("DEPTHWISE_CONV_2D", layer, options, constants=constants)


def _write_fully_connected(writer: _Writer, layer: FullyConnected) -> None:
    options = S.FullyConnectedOptionsT()
    options.fusedActivationFunction = _activation(layer)
    version = OPERATOR_VERSIONS["FULLY_CONNECTED"] if layer.per_channel else 4
    constants = _constants(writer, layer, layer.weights, 0)
    writer.operator("FULLY_CONNECTED", layer, options, constants=constants, version=version)


def _write_pool(writer: _Writer, layer: Pool2d) -> None:
    options = S.Pool2DOptionsT()
    options.padding, options.fusedActivationFunction = _padding(layer), _activation(layer)
    options.filterHeight, options.filterWidth = layer.window
    options.strideH, options.strideW = layer.stride
    writer.operator(_pool_name(layer), layer, options)


def _write_lookup(writer: _Writer, layer: Lookup) -> None:
    """The file names the function and each runtime fills in the table, so only TFLM's own can be expressed."""
    if (layer.table != reference_table(layer.function, layer.input)).any():
        raise BadInputError(f"layer {layer.name}: its table is not the one that TFLM computes for a {layer.function}")
    writer.operator(_lookup_name(layer), layer, None)


def _write_flatten(writer: _Writer, layer: Flatten) -> None:
    shape = np.array([1, *layer.output.shape], np.int32)
    options = S.ReshapeOptionsT()
    options.newShape = shape.tolist()
    constant = writer.tensor(f"{layer.name}/shape", shape.shape, None, data=shape)
    writer.operator("RESHAPE", layer, options, constants=(constant,))


def _write_softmax(writer: _Writer, layer: Softmax) -> None:
    options = S.SoftmaxOptionsT()
    options.beta = layer.beta
    writer.operator("SOFTMAX", layer, options)


def _pool_name(layer: Pool2d) -> str:
    return "MAX_POOL_2D" if isinstance(layer, MaxPool2d) else "AVERAGE_POOL_2D"


def _lookup_name(layer: Lookup) -> str:
    return "LOGISTIC" if layer.function == "sigmoid" else "TANH"


_OPERATORS: dict[type[Layer], tuple[Any, Any]] = {
    Conv2d: (lambda _: "CONV_2D", _write_conv2d),
    DepthwiseConv2d: (lambda _: "DEPTHWISE_CONV_2D", _write_depthwise),
    FullyConnected: (lambda _: "FULLY_CONNECTED", _write_fully_connected),
    MaxPool2d: (_pool_name, _write_pool),
    AveragePool2d: (_pool_name, _write_pool),
    Lookup: (_lookup_name, _write_lookup),
    Flatten: (lambda _: "RESHAPE", _write_flatten),
    Softmax: (lambda _: "SOFTMAX", _write_softmax),
}
"""Layer type to (layer -> operator's name, function that writes it)."""
