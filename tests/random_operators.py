"""Models of one random operator: on tensors, or a convolution with gaps or groups; any geometry and scales."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from lenet_edge.quantized import rescale
from lenet_edge.quantized.model import (
    Add,
    Concatenate,
    Constant,
    Conv2d,
    DepthwiseConv2d,
    Layer,
    Mean,
    Multiply,
    Pad,
    QTensor,
    QuantizedModel,
    Rescale,
    Slice,
    Subtract,
    Transpose,
    expected_output_shape,
)
from lenet_edge.quantized.verify import verify

__all__ = ["KINDS", "random_operator"]


class Drawer:
    """Random numbers, shapes and tensors."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def integer(self, low: int, high: int) -> int:
        """From `low` to `high`, both included."""
        return int(self.random.integers(low, high + 1))

    def pick(self, *choices):
        return choices[self.integer(0, len(choices) - 1)]

    def shape(self, fewest: int = 1, most: int = 4, largest: int = 6) -> tuple[int, ...]:
        return tuple(self.integer(1, largest) for _ in range(self.integer(fewest, most)))

    def tensor(self, shape: tuple[int, ...]) -> QTensor:
        return QTensor(shape, self.scale(), self.integer(-128, 127))

    def scale(self) -> float:
        return float(np.float32(np.exp(self.random.uniform(np.log(0.005), np.log(0.5)))))

    def clamp(self) -> tuple[int, int]:
        low, high = sorted((self.integer(-128, 127), self.integer(-128, 127)))
        return self.pick((-128, 127), (-128, 127), (low, high))

    def values(self, shape: tuple[int, ...]) -> np.ndarray:
        return self.random.integers(-128, 128, shape).astype(np.int8)


def random_operator(kind: str, seed: int) -> QuantizedModel:
    """A model of one operator of a name of `KINDS`, and of the constants that it reads."""
    return verify(KINDS[kind](Drawer(seed)))


def _of_one_input(layer: Layer) -> QuantizedModel:
    return QuantizedModel((layer,))


def _of_several(draw: Drawer, layer: Layer, inputs: tuple[QTensor, ...]) -> QuantizedModel:
    """At least one operand is an input of the model; the others may be constants, or the same tensor again."""
    layers, reads, count = [], [], 0
    for index, tensor in enumerate(inputs):
        again = [source for source, other in zip(reads, inputs, strict=False) if other == tensor]
        if again and draw.pick(True, False):
            reads.append(draw.pick(*again))
        elif index and draw.pick(True, False, False):
            layers.append(Constant(f"constant {index}", tensor, draw.values(tensor.shape)))
            reads.append(len(layers) - 1)
        else:
            count += 1
            reads.append(-count)
    return QuantizedModel((*layers, layer), {}, (*[()] * len(layers), tuple(reads)), (len(layers),))


# --- two operands -----------------------------------------------------------------------------------


def _elementwise(kind: type[Layer]) -> Callable[[Drawer], QuantizedModel]:
    def model(draw: Drawer) -> QuantizedModel:
        shape = draw.shape()
        shapes = [shape, shape]
        if draw.pick(True, False):  # axes of 1, or missing in front, on either side
            shapes = [tuple(draw.pick(1, size, size) for size in shape) for _ in shapes]
            cut = draw.integer(0, len(shape) - 1)
            shapes = [shapes[0], shapes[1][cut:]] if draw.pick(True, False) else [shapes[0][cut:], shapes[1]]
        inputs = tuple(map(draw.tensor, shapes))
        output = QTensor(np.broadcast_shapes(*shapes), _output_scale(draw, kind, inputs), draw.integer(-128, 127))
        return _of_several(draw, kind("operator", inputs, output, *draw.clamp()), inputs)

    return model


def _output_scale(draw: Drawer, kind: type[Layer], inputs: tuple[QTensor, ...]) -> float:
    """One that TFLM takes, and with which the outputs vary."""
    first, second = (tensor.scale for tensor in inputs)
    widest = first * second * 128 if kind is Multiply else max(first, second)
    return float(np.float32(widest * draw.random.uniform(0.3, 3)))


# --- means and tables --------------------------------------------------------------------------------


def _mean(draw: Drawer) -> QuantizedModel:
    shape = draw.shape(2, 4)
    chosen = draw.random.permutation(len(shape))[: draw.integer(1, 2)]  # TFLM has room for two
    axes = tuple(sorted(int(axis) for axis in chosen))
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    gone = tuple(size for axis, size in enumerate(shape) if axis not in axes) or (1,)
    source = draw.tensor(shape)
    same = (source.scale, source.zero_point)
    scaling = draw.pick(same, (float(np.float32(source.scale * draw.random.uniform(0.2, 4))), draw.integer(-128, 127)))
    return _of_one_input(Mean("operator", source, QTensor(draw.pick(kept, gone), *scaling), axes))


def _rescale(draw: Drawer) -> QuantizedModel:
    shape, operator = draw.shape(), draw.pick(*rescale.OPERATORS)
    source = draw.tensor(shape)
    target = source if operator == "RELU6" else draw.tensor(shape)
    slope = float(np.float32(draw.random.uniform(0.01, 1))) if operator == "LEAKY_RELU" else 1.0
    table = rescale.table(operator, source, target, slope)
    return _of_one_input(Rescale("operator", source, target, operator, table, slope))


# --- moves ------------------------------------------------------------------------------------------


def _concatenate(draw: Drawer) -> QuantizedModel:
    shape = draw.shape()
    axis = draw.integer(0, len(shape) - 1)
    first = draw.tensor(shape)
    sizes = [draw.pick(shape[axis], draw.integer(1, 6)) for _ in range(draw.integer(2, 5))]
    inputs = tuple(_with_shape(first, (*shape[:axis], size, *shape[axis + 1 :])) for size in sizes)
    draft = Concatenate("operator", inputs, first, axis)
    return _of_several(
        draw, Concatenate("operator", inputs, _with_shape(first, expected_output_shape(draft)), axis), inputs
    )


def _pad(draw: Drawer) -> QuantizedModel:
    source = draw.tensor(draw.shape())
    before, after = (tuple(draw.pick(0, 0, draw.integer(0, 3)) for _ in source.shape) for _ in range(2))
    value = draw.pick(source.zero_point, draw.integer(-128, 127))
    draft = Pad("operator", source, source, before, after, value)
    return _of_one_input(
        Pad("operator", source, _with_shape(source, expected_output_shape(draft)), before, after, value)
    )


def _slice(draw: Drawer) -> QuantizedModel:
    source = draw.tensor(draw.shape(most=3, largest=9))  # TFLM takes four axes with the batch
    begin, stride, sizes = [], [], []
    for size in source.shape:
        first, pace = draw.integer(0, size - 1), draw.pick(1, 1, 2, 3, -1, -2)
        room = (size - 1 - first) // pace if pace > 0 else first // -pace
        sizes.append(draw.pick(room + 1, draw.integer(1, room + 1)))
        begin.append(first)
        stride.append(pace)
    return _of_one_input(Slice("operator", source, _with_shape(source, tuple(sizes)), tuple(begin), tuple(stride)))


def _transpose(draw: Drawer) -> QuantizedModel:
    source = draw.tensor(draw.shape(2))
    order = tuple(int(axis) for axis in draw.random.permutation(len(source.shape)))
    return _of_one_input(
        Transpose("operator", source, _with_shape(source, tuple(source.shape[axis] for axis in order)), order)
    )


def _with_shape(tensor: QTensor, shape: tuple[int, ...]) -> QTensor:
    return QTensor(shape, tensor.scale, tensor.zero_point)


# --- convolutions -----------------------------------------------------------------------------------


def _conv2d(draw: Drawer) -> QuantizedModel:
    groups = draw.integer(1, 3)
    inputs, outputs = groups * draw.integer(1, 4), groups * draw.integer(1, 3)
    window, dilation = _window(draw)
    return _convolution(draw, Conv2d, inputs, (outputs, *window, inputs // groups), dilation)


def _depthwise(draw: Drawer) -> QuantizedModel:
    inputs = draw.integer(1, 4)
    window, dilation = _window(draw)
    return _convolution(draw, DepthwiseConv2d, inputs, (*window, inputs * draw.integer(1, 3)), dilation)


def _window(draw: Drawer) -> tuple[tuple[int, int], tuple[int, int]]:
    return (draw.integer(1, 4), draw.integer(1, 4)), (draw.integer(1, 3), draw.integer(1, 3))


def _convolution(draw, kind, inputs, shape, dilation) -> QuantizedModel:
    """With windows that fit, or with padding; some of the channels need a shift to the left."""
    window = shape[:2] if kind is DepthwiseConv2d else shape[1:3]
    spans = [(taps - 1) * gap + 1 for taps, gap in zip(window, dilation, strict=True)]
    padding = draw.pick("same", "valid")
    size = [draw.integer(1 if padding == "same" else span, 10) for span in spans]
    source, channels = draw.tensor((*size, inputs)), shape[-1] if kind is DepthwiseConv2d else shape[0]
    scales = (draw.random.uniform(0.2, 2, channels) * 0.004).astype(np.float32)
    bias = draw.random.integers(-2000, 2000, channels).astype(np.int32)
    target = QTensor((1, 1, 1), float(np.float32(source.scale * draw.random.uniform(0.2, 2))), draw.integer(-128, 127))
    rest = (
        draw.values(shape),
        bias,
        scales,
        (draw.integer(1, 3), draw.integer(1, 3)),
        padding,
        *draw.clamp(),
        dilation,
    )
    draft = kind("operator", source, target, *rest)
    return _of_one_input(kind("operator", source, _with_shape(target, expected_output_shape(draft)), *rest))


KINDS: Mapping[str, Callable[[Drawer], QuantizedModel]] = {
    "add": _elementwise(Add),
    "subtract": _elementwise(Subtract),
    "multiply": _elementwise(Multiply),
    "mean": _mean,
    "rescale": _rescale,
    "concatenate": _concatenate,
    "pad": _pad,
    "slice": _slice,
    "transpose": _transpose,
    "conv2d": _conv2d,
    "depthwise_conv2d": _depthwise,
}
"""A function for each operator, by its name in C: from random numbers to a model."""
