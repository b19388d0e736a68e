"""What a float model computes, written with operators that int8 has exactly: the same real numbers.

Constant factors and terms go into the weights before or behind them, into a depthwise convolution, or, at the model's
input, into the range of its pixels; activations go into the operator before; a SOFTMAX at the end goes away, since
logits say the same class, and every runtime rounds probabilities in its own way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt

from lenet_edge.errors import BadInputError
from lenet_edge.formats.tflite.floating.graph import FloatGraph, Operator
from lenet_edge.formats.tflite.reader import damage_is_bad_input
from lenet_edge.formats.tflite.schema import ACTIVATIONS, S

__all__ = ["Entering", "picture_shape", "rewrite"]

FloatArray = npt.NDArray[np.float64]

_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_FUSING = (*_WEIGHTED, "ADD", "SUB", "MUL")
_COLOURS = (1, 3)  # channels of pictures
_SHAPES = ("RESHAPE", "EXPAND_DIMS", "SQUEEZE")


@dataclass(frozen=True)
class Entering:
    """How pictures become the numbers that the float file takes, and those that the rewritten model takes.

    Attributes:
        shape: of the file's input, with the batch.
        order: the axes of the model's input, in the order of the file's; with the batch.
        gain, offset: the rewritten model takes gain x + offset where the file takes x.
    """

    shape: tuple[int, ...]
    order: tuple[int, ...]
    gain: float = 1.0
    offset: float = 0.0

    def fed(self, pictures: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Pictures ``[n, h, w, c]`` as the file takes them, ``[n, *shape without the batch]``."""
        turned = pictures.transpose(self.order) if len(self.order) == pictures.ndim else pictures
        return np.ascontiguousarray(turned).reshape(-1, *self.shape[1:])

    def entered(self, low: float, high: float) -> tuple[float, float]:
        """What black and white are to the rewritten model, where they are `low` and `high` to the file's."""
        return self.gain * low + self.offset, self.gain * high + self.offset


@damage_is_bad_input()
def rewrite(graph: FloatGraph, image_shape: tuple[int, int, int]) -> Entering:
    """Change the graph, and say how pictures of height, width and channels enter it.

    Raises:
        BadInputError: the model takes no such pictures, or holds weights that are no numbers.
    """
    _unpack_halves(graph)
    _settle_shapes(graph)
    entering = _enter(graph, image_shape)
    while any(_replace_affine(graph, operator) for operator in list(graph.operators)):
        pass  # one that is gone may let another go
    for operator in list(graph.operators):
        _fuse_activation(graph, operator)
    last = graph.writer(graph.output)
    if last is not None and last.name == "SOFTMAX" and last.inputs[0] != graph.input:
        graph.operators.remove(last)
        graph.output = last.inputs[0]
    return entering


def _unpack_halves(graph: FloatGraph) -> None:
    for operator in list(graph.operators):
        if operator.name == "DEQUANTIZE" and graph.is_constant(operator.inputs[0]):
            tensor = graph.tensor(operator.inputs[0])
            content = graph.root.buffers[tensor.buffer].data.tobytes()
            values = np.frombuffer(content, "<f2").reshape(graph.shape(operator.inputs[0]))
            graph.set_values(operator.outputs[0], values.astype(np.float32))
            graph.operators.remove(operator)


def _settle_shapes(graph: FloatGraph) -> None:
    """Let every RESHAPE have its shape as a constant, and leave out what computed it from the shape of the batch."""
    for operator in graph.operators:
        if operator.name == "RESHAPE":
            operator.inputs = operator.inputs[:1]
            new_shape = np.array(graph.shape(operator.outputs[0]), np.int32)
            operator.options_type = S.BuiltinOptions.ReshapeOptions
            operator.options = SimpleNamespace(new_shape=new_shape)
    for operator in reversed(list(graph.operators)):
        read = {index for other in graph.operators for index in other.inputs} | {graph.output}
        if not read & set(operator.outputs):
            graph.operators.remove(operator)


# --- where pictures enter -----------------------------------------------------------------------------


@damage_is_bad_input()
def picture_shape(graph: FloatGraph) -> tuple[int, int, int] | None:
    """Height, width and channels of the pictures that the model takes; None where its input has no such axes."""
    _, *shape = graph.shape(graph.input)
    if len(shape) == 2:
        return shape[0], shape[1], 1
    if len(shape) != 3:
        return None
    if shape[2] not in _COLOURS and shape[0] in _COLOURS:  # channels first
        return shape[1], shape[2], shape[0]
    return (shape[0], shape[1], shape[2]) if shape[2] in _COLOURS else None


def _enter(graph: FloatGraph, image_shape: tuple[int, int, int]) -> Entering:
    shape, wanted = graph.shape(graph.input), (1, *image_shape)
    order, gain, offset = tuple(range(len(shape))), 1.0, 0.0
    while (reader := graph.only_reader(graph.input)) is not None:
        found = graph.shape(reader.outputs[0])
        if reader.name in _SHAPES and wanted in (graph.shape(graph.input), found) and found != graph.shape(graph.input):
            if found != wanted:
                break
            order = tuple(range(4))  # the same values in the same order
        elif reader.name == "TRANSPOSE" and graph.shape(graph.input) != wanted:
            turn = _integers(graph, reader.inputs[1])
            order = tuple(order[turn.index(axis)] for axis in range(len(turn)))
        elif (step := _scalar(graph, reader)) is not None:
            gain, offset = gain * step[0], offset * step[0] + step[1]
        else:
            break
        graph.operators.remove(reader)
        graph.input = reader.outputs[0]
    _take(graph, wanted, shape)
    return Entering(shape, order, gain, offset)


def _integers(graph: FloatGraph, index: int) -> list[int]:
    content = graph.root.buffers[graph.tensor(index).buffer].data
    return [] if content is None else [int(value) for value in np.frombuffer(content.tobytes(), "<i4")]


def _scalar(graph: FloatGraph, operator: Operator) -> tuple[float, float] | None:
    """(gain, offset) of an operator that multiplies or adds one number to everything."""
    found = _affine(graph, operator)
    if found is None or operator.activation or not all((each == each[0]).all() for each in found[1:]):
        return None
    return float(found[1][0]), float(found[2][0])


def _take(graph: FloatGraph, wanted: tuple[int, ...], original: tuple[int, ...]) -> None:
    """Let the model's input have the shape of the pictures: where what reads it takes the same values in any shape."""
    shape, readers = graph.shape(graph.input), graph.readers(graph.input)
    takes_any = all(reader.name in ("RESHAPE", "FULLY_CONNECTED") for reader in readers)
    if shape == wanted:
        return
    if math.prod(shape) != math.prod(wanted) or not takes_any:
        taken, given = (" x ".join(map(str, sizes[1:])) for sizes in (original, wanted))
        raise BadInputError(f"the model takes {taken} values, and the pictures have {given}")
    graph.tensor(graph.input).shape = np.array(wanted, np.int32)
    graph.tensor(graph.input).shape_signature = None
    for reader in readers:
        if reader.name == "FULLY_CONNECTED":
            reader.options = SimpleNamespace(**vars(reader.options) | {"keep_num_dims": 0})


# --- constant factors and terms -----------------------------------------------------------------------


def _affine(graph: FloatGraph, operator: Operator) -> tuple[int, FloatArray, FloatArray] | None:
    """The tensor that an operator maps to gain x + offset, and both, one for each channel; None where it does not."""
    if operator.name not in ("MUL", "ADD", "SUB") or len(operator.inputs) != 2 or len(operator.outputs) != 1:
        return None
    constant = [graph.is_constant(index) for index in operator.inputs]
    if sum(constant) != 1:
        return None
    x, other = (operator.inputs[constant.index(which)] for which in (False, True))
    shape = graph.shape(x)
    values = graph.values(other).astype(np.float64)
    channels = shape[-1] if shape else 1
    per_channel = values.size == 1 or values.shape[-1:] == (channels,) == (values.size,)
    if graph.shape(operator.outputs[0]) != shape or not per_channel:
        return None
    values = np.broadcast_to(values.reshape(-1), channels)
    one, zero = np.ones(channels), np.zeros(channels)
    if operator.name == "MUL":
        return x, values, zero
    if operator.name == "ADD":
        return x, one, values
    return (x, one, -values) if constant[1] else (x, -one, values)


def _replace_affine(graph: FloatGraph, operator: Operator) -> bool:
    """Let the operator go into another one, if it is such a factor or term."""
    found = _affine(graph, operator)
    if found is None:
        return False
    x, gain, offset = found
    writer, reader = graph.writer(x), graph.only_reader(operator.outputs[0])
    if writer is not None and writer.name in _WEIGHTED and not writer.activation and graph.only_reader(x) is operator:
        _scale_outputs(graph, writer, gain, offset)
        writer.outputs = operator.outputs
        _set_activation(writer, operator.activation)
        graph.operators.remove(operator)
    elif reader is not None and _is_dense_of(graph, reader, operator, len(gain)) and not operator.activation:
        _scale_inputs(graph, reader, gain, offset)
        graph.operators.remove(operator)
        graph.replace(operator.outputs[0], x)
    elif len(graph.shape(x)) == 4:
        graph.operators[graph.operators.index(operator)] = _depthwise(graph, operator, x, gain, offset)
    else:
        return False
    return True


def _is_dense_of(graph: FloatGraph, reader: Operator, operator: Operator, channels: int) -> bool:
    """Whether it is a dense layer with a weight for each channel, and reads these values only as its input."""
    if reader.name != "FULLY_CONNECTED" or reader.inputs[0] != operator.outputs[0]:
        return False
    return graph.is_constant(reader.inputs[1]) and graph.shape(reader.inputs[1])[1:] == (channels,)


def _parameters(graph: FloatGraph, operator: Operator) -> tuple[FloatArray, FloatArray]:
    """Weights and biases; biases that are not there are 0."""
    weights = graph.values(operator.inputs[1]).astype(np.float64)
    channels = weights.shape[-1 if operator.name == "DEPTHWISE_CONV_2D" else 0]
    bias = operator.inputs[2] if len(operator.inputs) > 2 else -1
    return weights, np.zeros(channels) if bias < 0 else graph.values(bias).astype(np.float64)


def _set_parameters(graph: FloatGraph, operator: Operator, weights: FloatArray, bias: FloatArray) -> None:
    """New tensors: another operator may read the old ones."""
    name = graph.name(operator.outputs[0])
    added = [graph.add_constant(f"{name}/{what}", each) for what, each in (("weights", weights), ("bias", bias))]
    operator.inputs = [operator.inputs[0], *added]


def _scale_outputs(graph: FloatGraph, operator: Operator, gain: FloatArray, offset: FloatArray) -> None:
    weights, bias = _parameters(graph, operator)
    by_channel = gain if operator.name == "DEPTHWISE_CONV_2D" else gain.reshape(-1, *[1] * (weights.ndim - 1))
    _set_parameters(graph, operator, weights * by_channel, bias * gain + offset)


def _scale_inputs(graph: FloatGraph, operator: Operator, gain: FloatArray, offset: FloatArray) -> None:
    weights, bias = _parameters(graph, operator)
    _set_parameters(graph, operator, weights * gain, bias + weights @ offset)


def _depthwise(graph: FloatGraph, operator: Operator, x: int, gain: FloatArray, offset: FloatArray) -> Operator:
    """A convolution of one pixel, and of each channel by itself."""
    options = {"padding": S.Padding.VALID, "stride_w": 1, "stride_h": 1, "depth_multiplier": 1}
    options |= {"dilation_w_factor": 1, "dilation_h_factor": 1, "fused_activation_function": operator.activation}
    kind = S.BuiltinOptions.DepthwiseConv2DOptions
    found = Operator("DEPTHWISE_CONV_2D", operator.number, [x], operator.outputs, kind, SimpleNamespace(**options))
    _set_parameters(graph, found, gain.reshape(1, 1, 1, -1), offset)
    return found


# --- activations --------------------------------------------------------------------------------------


def _set_activation(operator: Operator, activation: int) -> None:
    options = SimpleNamespace(**vars(operator.options))
    options.fused_activation_function = activation
    operator.options = options


def _fuse_activation(graph: FloatGraph, operator: Operator) -> None:
    if operator.name not in ("RELU", "RELU6"):
        return
    writer = graph.writer(operator.inputs[0])
    if writer is None or writer.name not in _FUSING or writer.activation or writer.options is None:
        return
    if graph.only_reader(operator.inputs[0]) is operator:
        writer.outputs = operator.outputs
        _set_activation(writer, ACTIVATIONS[operator.name])
        graph.operators.remove(operator)
