"""A .tflite, ours or from elsewhere, to `QuantizedModel`; any damage is an error message.

The file is read field by field through the schema's accessors instead of being
unpacked as a whole, so that a damaged length cannot make the reader build
millions of objects: what is read is bounded by the operators of the chain.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lenet_edge import strict_json
from lenet_edge.errors import BadInputError
from lenet_edge.files import read_bytes
from lenet_edge.formats.tflite.schema import ACTIVATIONS, IDENTIFIER, METADATA_NAME, S, activation_clamp, operator_name
from lenet_edge.quantized.lookup import OUTPUT_SCALING, reference_table, with_ideal_tables
from lenet_edge.quantized.model import (
    AveragePool2d,
    Conv2d,
    DepthwiseConv2d,
    Flatten,
    FullyConnected,
    Layer,
    Lookup,
    MaxPool2d,
    Padding,
    QTensor,
    QuantizedModel,
    Softmax,
)
from lenet_edge.quantized.verify import verify

__all__ = ["from_bytes", "read"]

_MAX_BYTES = 64 << 20
_MAX_OPERATORS = 1000
# Tables of a file may share their parts, so what is copied is bounded too, not only the file.
_MAX_CHANNELS = 1 << 16
_MAX_NAME = 1 << 12
_MAX_METADATA = 1 << 20
# What the flatbuffers runtime and numpy raise when offsets, lengths or types make no sense.
_DAMAGE = (struct.error, ValueError, TypeError, LookupError, AttributeError, OverflowError, MemoryError, RecursionError)


def read(path: Path) -> QuantizedModel:
    """Read and verify a .tflite file.

    Raises:
        BadInputError: missing, truncated, damaged, not int8, or with an operator
            that is not known; the message names what and where.
    """
    return load(path)[0]


def load(path: Path) -> tuple[QuantizedModel, bytes]:
    """The model of a .tflite file, and the very bytes that it was read from, for runtimes; errors as in `read`."""
    hint = "`lenet-edge quantize` makes build/lenet5-int8.tflite."
    data = read_bytes(path, "the model", hint, limit=_MAX_BYTES)
    try:
        return from_bytes(data), data
    except BadInputError as error:
        raise BadInputError(f"{path}: {error}") from error


def from_bytes(data: bytes) -> QuantizedModel:
    """Read and verify the bytes of a .tflite; errors as in `read`."""
    if len(data) < 32 or data[4:8] != IDENTIFIER:
        raise BadInputError("not a .tflite file (its identifier TFL3 is missing)")
    if len(data) > _MAX_BYTES:
        raise BadInputError(f"{len(data):,} bytes are more than the {_MAX_BYTES:,} that are read")
    try:
        reader = _Reader(data)
        with np.errstate(all="ignore"):  # absurd scales are for `verify` to refuse
            model = verify(QuantizedModel(tuple(reader.layers()), reader.metadata()))
    except _DAMAGE as error:
        raise BadInputError(f"the .tflite is damaged ({type(error).__name__}: {error})") from error
    _check_fingerprint(model)
    return model


def _check_fingerprint(model: QuantizedModel) -> None:
    """The one that the file states; files from before tables were TFLM's state that of the ideal ones."""
    written = model.metadata.get("fingerprint")
    if written not in (None, model.fingerprint, with_ideal_tables(model).fingerprint):
        raise BadInputError(
            f"the layers have fingerprint {model.fingerprint[:16]}, the file says {str(written)[:16]}: "
            "it was damaged or changed after lenet-edge wrote it; quantize again"
        )


@dataclass(frozen=True)
class _Tensor:
    """A tensor of the file: shape with the batch, type number, quantisation, constant bytes."""

    name: str
    shape: tuple[int, ...]
    type: int
    scales: npt.NDArray[np.float32]
    zero_points: npt.NDArray[np.int64]
    axis: int
    buffer: int


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.root = S.Model.GetRootAs(data, 0)
        if self.root.SubgraphsLength() != 1:
            raise BadInputError(f"the model has {self.root.SubgraphsLength()} subgraphs; one is supported")
        self.graph = self.root.Subgraphs(0)
        if self.graph.InputsLength() != 1 or self.graph.OutputsLength() != 1:
            raise BadInputError("the model must have one input and one output")
        if not 1 <= self.graph.OperatorsLength() <= _MAX_OPERATORS:
            raise BadInputError(f"the model has {self.graph.OperatorsLength()} operators")
        self.known: dict[int, _Tensor] = {}
        self.bytes_left = _MAX_BYTES  # of constants

    def layers(self) -> list[Layer]:
        """The chain of layers, from the graph's input to its output."""
        layers: list[Layer] = []
        current = self.graph.Inputs(0)
        for index in range(self.graph.OperatorsLength()):
            operator = self.graph.Operators(index)
            name = self.operator_name(operator.OpcodeIndex())
            if name not in _READ:
                raise BadInputError(f"operator {index} is {name}, which is not supported; known: {', '.join(_READ)}")
            inputs = [operator.Inputs(j) for j in range(min(operator.InputsLength(), 8))]
            if not inputs or inputs[0] != current:
                raise BadInputError(f"operator {index} ({name}) does not read the operator before: not a chain")
            if operator.OutputsLength() != 1:
                raise BadInputError(f"operator {index} ({name}) has {operator.OutputsLength()} outputs")
            current = operator.Outputs(0)
            constants = [self.tensor(j) if j >= 0 else None for j in inputs[1:]]
            layers += _READ[name](self, operator, self.tensor(inputs[0]), constants, self.tensor(current))
        if current != self.graph.Outputs(0):
            raise BadInputError("the last operator does not write the model's output: not a chain")
        return layers

    def operator_name(self, index: int) -> str:
        if not 0 <= index < self.root.OperatorCodesLength():
            raise BadInputError(f"operator code {index} does not exist")
        code = self.root.OperatorCodes(index)
        return operator_name(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()))

    def tensor(self, index: int) -> _Tensor:
        if index not in self.known:
            if not 0 <= index < self.graph.TensorsLength():
                raise BadInputError(f"tensor {index} does not exist")
            self.known[index] = _read_tensor(self.graph.Tensors(index))
        return self.known[index]

    def constant(self, tensor: _Tensor, dtype: str) -> npt.NDArray[Any]:
        """The values of a constant tensor, with its shape."""
        if not 0 < tensor.buffer < self.root.BuffersLength():
            raise BadInputError(f"tensor {tensor.name} is not a constant")
        data = self.root.Buffers(tensor.buffer).DataAsNumpy()
        content = b"" if isinstance(data, int) else bytes(data)
        size = int(np.prod(tensor.shape, dtype=object)) * np.dtype(dtype).itemsize
        if len(content) != size:
            raise BadInputError(f"tensor {tensor.name} has {len(content)} bytes, its shape {tensor.shape} needs {size}")
        self.bytes_left -= size
        if self.bytes_left < 0:
            raise BadInputError(f"its constants are more than {_MAX_BYTES} bytes")
        return np.frombuffer(content, np.dtype(dtype).newbyteorder("<")).astype(dtype).reshape(tensor.shape)

    def metadata(self) -> dict[str, Any]:
        """What lenet-edge wrote about the model; empty for a model from elsewhere."""
        for index in range(min(self.root.MetadataLength(), 64)):
            entry = self.root.Metadata(index)
            if entry.Name() == METADATA_NAME.encode():
                buffer = self.root.Buffers(entry.Buffer())
                if buffer.DataLength() > _MAX_METADATA:
                    raise BadInputError(f"its lenet_edge metadata has {buffer.DataLength()} bytes")
                content = strict_json.parse(bytes(buffer.DataAsNumpy()))
                if not isinstance(content, dict):
                    raise BadInputError("its lenet_edge metadata is not a JSON object")
                return content
        return {}


def _read_tensor(table: Any) -> _Tensor:
    if table.ShapeLength() > 8:
        raise BadInputError(f"a tensor has {table.ShapeLength()} axes")
    quantization = table.Quantization()
    scales, zero_points, axis = np.empty(0, np.float32), np.empty(0, np.int64), 0
    if quantization is not None:
        if max(quantization.ScaleLength(), quantization.ZeroPointLength()) > _MAX_CHANNELS:
            raise BadInputError(f"a tensor has {quantization.ScaleLength()} scales; {_MAX_CHANNELS} are read at most")
        if quantization.ScaleLength():
            scales = quantization.ScaleAsNumpy().astype(np.float32)
        if quantization.ZeroPointLength():
            zero_points = quantization.ZeroPointAsNumpy().astype(np.int64)
        axis = quantization.QuantizedDimension()
    name = table.Name() or b""
    if len(name) > _MAX_NAME:
        raise BadInputError(f"a tensor has a name of {len(name)} bytes")
    return _Tensor(
        name=name.decode("utf-8", "replace"),
        shape=tuple(table.Shape(j) for j in range(table.ShapeLength())),
        type=table.Type(),
        scales=scales,
        zero_points=zero_points,
        axis=axis,
        buffer=table.Buffer(),
    )


# --- tensors and options as the layers need them ------------------------------------------------


def _type_name(number: int) -> str:
    return next((name for name, value in vars(S.TensorType).items() if value == number), f"type {number}")


def _require_type(tensor: _Tensor, number: int) -> None:
    if tensor.type != number:
        raise BadInputError(
            f"tensor {tensor.name} is {_type_name(tensor.type)}, not {_type_name(number)}: "
            "only models that are int8 throughout are supported"
        )


def _activation_tensor(tensor: _Tensor) -> QTensor:
    """An activation: int8, batch 1, one scale and zero point."""
    _require_type(tensor, S.TensorType.INT8)
    if len(tensor.shape) not in (2, 4) or tensor.shape[0] != 1:
        raise BadInputError(f"tensor {tensor.name} has shape {tensor.shape}; [1, h, w, c] and [1, n] are supported")
    if len(tensor.scales) != 1 or len(tensor.zero_points) != 1:
        raise BadInputError(f"tensor {tensor.name} must have one scale and one zero point")
    return QTensor(tensor.shape[1:], float(tensor.scales[0]), int(tensor.zero_points[0]))


def _options(operator: Any, kind: Any) -> Any:
    """The operator's options as the schema class `kind`, defaults where the file has none."""
    options = kind()
    table = operator.BuiltinOptions()
    if table is not None:
        options.Init(table.Bytes, table.Pos)
        return options
    raise BadInputError(f"an operator has no {kind.__name__}")


def _clamp(options: Any, output: QTensor) -> tuple[int, int]:
    number = options.FusedActivationFunction()
    for name, value in ACTIVATIONS.items():
        if value == number:
            return activation_clamp(name, output)
    raise BadInputError(f"fused activation {number} is not supported; known: {', '.join(ACTIVATIONS)}")


def _padding(options: Any) -> Padding:
    return "same" if options.Padding() == S.Padding.SAME else "valid"


def _parameters(
    reader: _Reader, source: QTensor, constants: list[_Tensor | None], channel_axis: int
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """(weights int8, bias int32, weight scales float32 ``[channels]`` or ``[1]``) of a weighted operator."""
    weights_tensor = constants[0] if constants else None
    if weights_tensor is None:
        raise BadInputError("an operator has no weights")
    _require_type(weights_tensor, S.TensorType.INT8)
    weights = reader.constant(weights_tensor, "int8")
    if not -len(weights.shape) <= channel_axis < len(weights.shape) or len(weights.shape) < 2:
        raise BadInputError(f"weights {weights_tensor.name} have shape {weights.shape}")
    channels = weights.shape[channel_axis]
    if (weights_tensor.zero_points != 0).any():
        raise BadInputError(f"weights {weights_tensor.name} have a zero point that is not 0")
    scales = weights_tensor.scales
    if len(scales) not in (1, channels):
        raise BadInputError(f"weights {weights_tensor.name} have {len(scales)} scales for {channels} channels")
    if len(scales) > 1 and weights_tensor.axis != channel_axis % len(weights.shape):
        raise BadInputError(f"weights {weights_tensor.name} have scales along axis {weights_tensor.axis}")
    bias_tensor = constants[1] if len(constants) > 1 else None
    if bias_tensor is None:
        return weights, np.zeros(channels, np.int32), scales
    _require_type(bias_tensor, S.TensorType.INT32)
    expected = np.float32(source.scale) * scales
    if len(bias_tensor.scales) not in (0, len(expected)):
        raise BadInputError(f"bias {bias_tensor.name} has {len(bias_tensor.scales)} scales, not {len(expected)}")
    if len(bias_tensor.scales) and not np.allclose(bias_tensor.scales, expected, rtol=1e-3, atol=0):
        raise BadInputError(f"bias {bias_tensor.name} has not the scale input scale * weight scale")
    return weights, reader.constant(bias_tensor, "int32"), scales


# --- one function per operator: (reader, operator, input, constants, output) -> layers -----------


def _read_conv2d(
    reader: _Reader, operator: Any, source: _Tensor, constants: list[_Tensor | None], target: _Tensor
) -> list[Layer]:
    options = _options(operator, S.Conv2DOptions)
    _refuse_dilation(options)
    x, y = _activation_tensor(source), _activation_tensor(target)
    weights, bias, scales = _parameters(reader, x, constants, 0)
    stride = (options.StrideH(), options.StrideW())
    scales = np.broadcast_to(scales, bias.shape).copy()
    return [Conv2d(target.name, x, y, weights, bias, scales, stride, _padding(options), *_clamp(options, y))]


def _read_depthwise(
    reader: _Reader, operator: Any, source: _Tensor, constants: list[_Tensor | None], target: _Tensor
) -> list[Layer]:
    options = _options(operator, S.DepthwiseConv2DOptions)
    _refuse_dilation(options)
    x, y = _activation_tensor(source), _activation_tensor(target)
    weights, bias, scales = _parameters(reader, x, constants, 3)
    if weights.ndim != 4 or weights.shape[0] != 1:
        raise BadInputError(f"depthwise weights have shape {weights.shape}, not [1, h, w, c]")
    stride = (options.StrideH(), options.StrideW())
    scales = np.broadcast_to(scales, bias.shape).copy()
    layer = DepthwiseConv2d(target.name, x, y, weights[0], bias, scales, stride, _padding(options), *_clamp(options, y))
    return [layer]


def _refuse_dilation(options: Any) -> None:
    if (options.DilationHFactor(), options.DilationWFactor()) != (1, 1):
        raise BadInputError("dilated convolutions are not supported")


def _read_fully_connected(
    reader: _Reader, operator: Any, source: _Tensor, constants: list[_Tensor | None], target: _Tensor
) -> list[Layer]:
    options = _options(operator, S.FullyConnectedOptions)
    if options.WeightsFormat() != 0:
        raise BadInputError("FULLY_CONNECTED with shuffled weights is not supported")
    x, y = _activation_tensor(source), _activation_tensor(target)
    layers: list[Layer] = []
    if len(x.shape) > 1:  # the operator flattens by itself
        flat = QTensor((int(np.prod(x.shape, dtype=object)),), x.scale, x.zero_point)
        layers.append(Flatten(f"{target.name}/flatten", x, flat))
        x = flat
    weights, bias, scales = _parameters(reader, x, constants, 0)
    per_channel = len(scales) > 1 or len(bias) == 1
    scales = np.broadcast_to(scales, bias.shape).copy()
    layers.append(FullyConnected(target.name, x, y, weights, bias, scales, *_clamp(options, y), per_channel))
    return layers


def _read_pool(
    _reader: _Reader, operator: Any, source: _Tensor, _constants: list[_Tensor | None], target: _Tensor, kind: Any
) -> list[Layer]:
    options = _options(operator, S.Pool2DOptions)
    window = (options.FilterHeight(), options.FilterWidth())
    stride = (options.StrideH(), options.StrideW())
    x, y = _activation_tensor(source), _activation_tensor(target)
    return [kind(target.name, x, y, window, stride, _padding(options), *_clamp(options, y))]


def _read_lookup(
    _reader: _Reader, _operator: Any, source: _Tensor, _constants: list[_Tensor | None], target: _Tensor, function: Any
) -> list[Layer]:
    x, y = _activation_tensor(source), _activation_tensor(target)
    if (y.scale, y.zero_point) != OUTPUT_SCALING[function]:
        raise BadInputError(f"{target.name}: an int8 {function} has output scaling {OUTPUT_SCALING[function]}")
    return [Lookup(target.name, x, y, function, reference_table(function, x))]


def _read_reshape(
    _reader: _Reader, _operator: Any, source: _Tensor, _constants: list[_Tensor | None], target: _Tensor
) -> list[Layer]:
    x, y = _activation_tensor(source), _activation_tensor(target)
    if x == y:
        return []
    if len(y.shape) != 1:
        raise BadInputError(f"RESHAPE from {source.shape} to {target.shape}: only flattening is supported")
    return [Flatten(target.name, x, y)]


def _read_softmax(
    _reader: _Reader, operator: Any, source: _Tensor, _constants: list[_Tensor | None], target: _Tensor
) -> list[Layer]:
    x, y = _activation_tensor(source), _activation_tensor(target)
    if (y.scale, y.zero_point) != (1 / 256, -128):
        raise BadInputError(f"{target.name}: an int8 SOFTMAX has output scale 1/256 and zero point -128")
    beta = _options(operator, S.SoftmaxOptions).Beta()
    if not 0 < beta < 1e6:
        raise BadInputError(f"{target.name}: its beta is {beta}")
    return [Softmax(target.name, x, y, float(beta))]


def _with(function: Any, argument: Any) -> Any:
    return lambda *args: function(*args, argument)


_READ: dict[str, Any] = {
    "CONV_2D": _read_conv2d,
    "DEPTHWISE_CONV_2D": _read_depthwise,
    "FULLY_CONNECTED": _read_fully_connected,
    "MAX_POOL_2D": _with(_read_pool, MaxPool2d),
    "AVERAGE_POOL_2D": _with(_read_pool, AveragePool2d),
    "LOGISTIC": _with(_read_lookup, "sigmoid"),
    "TANH": _with(_read_lookup, "tanh"),
    "RESHAPE": _read_reshape,
    "SOFTMAX": _read_softmax,
}
