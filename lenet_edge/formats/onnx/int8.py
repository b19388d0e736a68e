"""`QuantizedModel` to int8 ONNX bytes: the same bytes for the same model and metadata, always."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lenet_edge.errors import BadInputError
from lenet_edge.formats.onnx import unweighted, weighted
from lenet_edge.formats.onnx.writer import Form, Writer
from lenet_edge.quantized.model import (
    Add,
    AveragePool2d,
    Concatenate,
    Constant,
    Conv2d,
    DepthwiseConv2d,
    Flatten,
    FullyConnected,
    Lookup,
    MaxPool2d,
    Mean,
    Multiply,
    Pad,
    QuantizedModel,
    Rescale,
    Reshape,
    Slice,
    Softmax,
    Subtract,
    Transpose,
)
from lenet_edge.quantized.verify import verify

__all__ = ["Form", "to_bytes"]


def to_bytes(model: QuantizedModel, form: Form = "qdq") -> bytes:
    """The model as int8 ONNX: ``image`` int8 ``[n, c, h, w]`` to ``logits`` int8 ``[n, classes]``.

    Several inputs are ``image``, ``image_1``, ...; several outputs ``logits``, ``logits_1``, ...

    Each layer is one named node with an int8 output (and the nodes that prepare
    its inputs), so that a runtime can be asked for every layer's integers. In
    the standard operators only:

    * "qdq": float Conv and Gemm between DequantizeLinear and QuantizeLinear,
      which is what most converters read; whether a runtime accumulates in integers is up to it.
    * "qoperator": QLinearConv and QLinearMatMul, which accumulate in integers.

    The model's flatten order is (row, column, channel), ONNX's is (channel, row,
    column): the columns of the weights behind it are permuted, so there is no Transpose.

    Raises:
        BadInputError: a layer cannot be expressed, or there is no such form.
    """
    if form not in ("qdq", "qoperator"):
        raise BadInputError(f"there is no ONNX form {form!r}; choose one of: qdq, qoperator")
    writer = Writer(verify(model), form)
    for index, layer in enumerate(model.layers):
        writer.begin(index)
        _WRITE[type(layer)](writer, layer)
    return writer.finish()


def _nothing(_writer: Writer, _layer: Constant) -> None:
    """A constant is written where it is read."""


_WRITE: Mapping[type, Callable[..., None]] = {
    Conv2d: weighted.convolution,
    DepthwiseConv2d: weighted.convolution,
    FullyConnected: weighted.fully_connected,
    MaxPool2d: unweighted.max_pool,
    AveragePool2d: unweighted.average_pool,
    Lookup: unweighted.lookup,
    Rescale: unweighted.rescale,
    Softmax: unweighted.softmax,
    Mean: unweighted.mean,
    Add: unweighted.elementwise,
    Subtract: unweighted.elementwise,
    Multiply: unweighted.elementwise,
    Concatenate: unweighted.concatenate,
    Constant: _nothing,
    Flatten: unweighted.flatten,
    Reshape: unweighted.reshape,
    Transpose: unweighted.transpose,
    Pad: unweighted.pad,
    Slice: unweighted.slice_,
}
