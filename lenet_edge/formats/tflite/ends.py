"""QUANTIZE and DEQUANTIZE: inside a model, and at its ends, where layers see the int8 view of uint8 or float.

The int8 view of a uint8 tensor is each value less 128, and so is its zero point. That of a float tensor is the int8
tensor behind QUANTIZE or before DEQUANTIZE: a runtime that is given floats computes it first.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from lenet_edge.errors import BadInputError
from lenet_edge.formats.tflite.schema import S
from lenet_edge.formats.tflite.tensors import Tensor, scaling
from lenet_edge.formats.tflite.wiring import Graph, Step
from lenet_edge.quantized.model import Layer, QTensor, Rescale
from lenet_edge.quantized.rescale import table

__all__ = ["ends_of", "read_dequantize", "read_quantize", "view"]

_TYPES: Mapping[int, str] = MappingProxyType(
    {S.TensorType.INT8: "int8", S.TensorType.UINT8: "uint8", S.TensorType.FLOAT32: "float32"}
)


def ends_of(graph: Graph) -> dict[str, list[str]]:
    """The types of the model's inputs and outputs."""
    found = {}
    for which, indices in (("inputs", graph.inputs), ("outputs", graph.outputs)):
        tensors = [graph.tensors[index] for index in indices]
        for tensor in tensors:
            _check_end(tensor)
        found[which] = [_TYPES[tensor.type] for tensor in tensors]
    return found


def _check_end(tensor: Tensor) -> None:
    if tensor.type not in _TYPES:
        known = ", ".join(_TYPES.values())
        raise BadInputError(f"tensor {tensor.name} is the model's input or output, and of none of the types {known}")
    if tensor.content is not None:
        raise BadInputError(f"tensor {tensor.name} is the model's input or output and has constant data as well")


def view(tensor: Tensor) -> QTensor:
    """An int8 tensor, or the int8 view of a uint8 tensor."""
    return scaling(tensor, zero_point_less=128 if tensor.type == S.TensorType.UINT8 else 0)


def _rescaled(step: Step, x: QTensor, y: QTensor) -> list[Layer]:
    """The layer that brings `x` to the scaling of `y`, if one is needed."""
    if x == y:
        return []
    return [Rescale(step.layer_name, x, y, "QUANTIZE", table("QUANTIZE", x, y))]


def read_quantize(step: Step) -> None:
    """From float or uint8 where the model begins, to uint8 where it ends, else from int8 to int8."""
    step.require_inputs(1)
    source, target = step.tensor(0), step.target
    begins, ends = step.inputs[0] in step.graph.inputs, step.outputs[0] in step.graph.outputs
    types = source.type, target.type
    int8, uint8, float32 = S.TensorType.INT8, S.TensorType.UINT8, S.TensorType.FLOAT32
    if types == (int8, int8):
        step.give(*_rescaled(step, step.input(), step.output()))
    elif types == (uint8, int8) and begins:
        step.give(*_rescaled(step, view(source), step.output()))
    elif types == (int8, uint8) and ends:
        _refuse_readers(step)
        step.give(*_rescaled(step, step.input(), view(target)))
    elif types == (float32, int8) and begins:
        _check_one_view(step)
        step.give()
    else:
        raise BadInputError(
            f"{step.where} from {source.type_name} to {target.type_name} inside the model is not supported: "
            "parts of it are not int8; quantize it as a whole"
        )
    _require_same_shape(step)


def read_dequantize(step: Step) -> None:
    step.require_inputs(1)
    types = step.tensor(0).type, step.target.type
    if types != (S.TensorType.INT8, S.TensorType.FLOAT32) or step.outputs[0] not in step.graph.outputs:
        raise BadInputError(
            f"{step.where} from {step.tensor(0).type_name} to {step.target.type_name}, where the model does not end: "
            "parts of it are not int8; quantize it as a whole"
        )
    step.input()  # checks it
    _refuse_readers(step)
    _require_same_shape(step)
    step.give()


def _require_same_shape(step: Step) -> None:
    if step.tensor(0).shape != step.target.shape:
        raise BadInputError(f"{step.where} reads shape {step.tensor(0).shape} and gives {step.target.shape}")


def _refuse_readers(step: Step) -> None:
    if step.outputs[0] in step.graph.read:
        raise BadInputError(f"{step.where} gives an output of the model that an operator reads too")


def _check_one_view(step: Step) -> None:
    """A float input has one int8 view: all operators that quantize it do the same."""
    output, known = step.output(), step.graph.views.setdefault(step.inputs[0], step.output())
    if output != known:
        raise BadInputError(f"{step.where} quantizes the model's input once more, and differently")
