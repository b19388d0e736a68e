"""One random operator of a .tflite for a graph that grows: for `random_graphs`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from graph_files import GraphFile
from random_operators import Drawer

__all__ = ["OPERATORS", "RandomGraph", "Value", "conv2d", "pool", "weights"]

_MOST_VALUES = 600  # of a tensor
_VERSIONS = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4}  # all others have int8 from 2 on, or 1
_OF_SHAPES = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")


@dataclass(frozen=True)
class Value:
    """An int8 tensor of the file: its index, its shape with the batch, and its scaling."""

    index: int
    shape: tuple[int, ...]
    scale: float
    zero_point: int

    @property
    def is_map(self) -> bool:
        return len(self.shape) == 4


class RandomGraph:
    """The graph while it grows; `values` are the tensors that operators may read, `read` those that one does."""

    def __init__(self, seed: int) -> None:
        self.draw = Drawer(seed)
        self.file = GraphFile()
        self.values: list[Value] = []
        self.read: set[int] = set()
        self.inputs: list[int] = []
        self.names: list[str] = []

    def value(self, suits: Callable[[Value], bool] = lambda _: True) -> Value | None:
        """One of several axes that suits, mostly a late one; None where none does."""
        found = [value for value in self.values if len(value.shape) > 1 and suits(value)]
        if not found:
            return None
        return self.draw.pick(found[-1], self.draw.pick(*found))

    def new(self, shape, scale: float | None = None, zero_point: int | None = None) -> Value:
        scale = self.draw.scale() if scale is None else scale
        zero_point = self.draw.integer(-128, 127) if zero_point is None else zero_point
        shape = tuple(int(size) for size in shape)
        return Value(self.file.tensor(shape, scale, zero_point), shape, scale, zero_point)

    def like(self, value: Value, shape) -> Value:
        """A new tensor of another shape and the same scaling."""
        return self.new(shape, value.scale, value.zero_point)

    def constant(self, shape, scale=None, zero_point=None) -> Value:
        scale = self.draw.scale() if scale is None else scale
        zero_point = self.draw.integer(-128, 127) if zero_point is None else zero_point
        index = self.file.tensor(shape, scale, zero_point, values=self.draw.values(shape))
        return Value(index, tuple(shape), scale, zero_point)

    def add(self, name: str, sources: list[Value | int], targets: list[Value], options=None, **fields) -> None:
        indices = [source.index if isinstance(source, Value) else source for source in sources]
        version = _VERSIONS.get(name, 1 if name in _OF_SHAPES else 2)
        self.file.operator(name, indices, [target.index for target in targets], options, version, **fields)
        self.read |= set(indices)
        self.names.append(name)
        self.values += targets


# --- weights ------------------------------------------------------------------------------------------


def _activation(graph: RandomGraph) -> int:
    """NONE, RELU, RELU_N1_TO_1, RELU6."""
    return graph.draw.pick(0, 0, 1, 2, 3)


def weights(graph: RandomGraph, source: Value, shape, axis: int) -> tuple[Value, list[int], float]:
    """(output without shape, indices of weights and bias): scales that give outputs that vary."""
    draw, channels = graph.draw, shape[axis]
    scales = (0.004 * draw.random.uniform(0.5, 2, channels)).astype(np.float32)
    values = graph.file.tensor(shape, scales, values=draw.values(shape))
    graph.file.graph.tensors[values].quantization.quantizedDimension = axis
    bias_scales = np.float32(source.scale) * scales
    bias = draw.random.integers(-1000, 1000, channels).astype(np.int32)
    index = graph.file.tensor((channels,), bias_scales, kind=2, values=bias)  # INT32
    fan_in = math.prod(shape) // channels
    scale = float(np.float32(source.scale * 0.25 * math.sqrt(fan_in) * draw.random.uniform(0.3, 2)))
    return [values, index], scale


def conv2d(graph: RandomGraph, source: Value | None = None, least=(1, 1), *, depthwise: bool = False) -> None:
    """A convolution of a map; of any, where none is given. Its window is `least` or larger, if the map is."""
    source = source or graph.value(lambda value: value.is_map)
    if source is None:
        return
    draw, (height, width, inputs) = graph.draw, source.shape[1:]
    lows = [min(low, size) for low, size in zip(least, (height, width), strict=True)]
    window = tuple(draw.integer(low, max(low, min(3, size))) for low, size in zip(lows, (height, width), strict=True))
    dilation = tuple(
        draw.pick(1, draw.integer(1, max((size - 1) // max(taps - 1, 1), 1)), 2) if taps > 1 else 1
        for size, taps in zip((height, width), window, strict=True)
    )
    spans = [(taps - 1) * gap + 1 for taps, gap in zip(window, dilation, strict=True)]
    same = draw.pick(True, False) or spans[0] > height or spans[1] > width
    stride = (draw.pick(1, 1, 2), draw.pick(1, 1, 2)) if dilation == (1, 1) else (1, 1)
    if depthwise:
        outputs = inputs * (draw.integer(1, 2) if inputs < 5 else 1)
        shape, axis, extra = (1, *window, outputs), 3, {"depthMultiplier": outputs // inputs}
        stride = (stride[0], stride[0])
    else:
        groups = draw.pick(1, 1, *(count for count in (2, 3) if inputs % count == 0))
        outputs = groups * draw.integer(1, 6 // groups)
        shape, axis, extra = (outputs, *window, inputs // groups), 0, {}
    constants, scale = weights(graph, source, shape, axis)
    sizes = zip((height, width), spans, stride, strict=True)
    plane = [-(-size // pace) if same else (size - span) // pace + 1 for size, span, pace in sizes]
    name, options = ("DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions") if depthwise else ("CONV_2D", "Conv2DOptions")
    fields = {"padding": 0 if same else 1, "strideH": stride[0], "strideW": stride[1], "dilationHFactor": dilation[0]}
    fields |= {"dilationWFactor": dilation[1], "fusedActivationFunction": _activation(graph), **extra}
    graph.add(name, [source, *constants], [graph.new((1, *plane, outputs), scale)], options, **fields)


def _depthwise(graph: RandomGraph) -> None:
    conv2d(graph, depthwise=True)


def _fully_connected(graph: RandomGraph) -> None:
    source = graph.value()
    count, outputs = math.prod(source.shape), graph.draw.integer(1, 12)
    constants, scale = weights(graph, source, (outputs, count), 0)
    if graph.draw.pick(True, False):  # one scale for the whole matrix
        matrix, bias = (graph.file.graph.tensors[index].quantization for index in constants)
        matrix.scale, matrix.zeroPoint = matrix.scale[:1], [0]
        bias.scale, bias.zeroPoint = [float(np.float32(source.scale) * np.float32(matrix.scale[0]))], [0]
    target = graph.new((1, outputs), scale)
    options = {"fusedActivationFunction": _activation(graph)}
    graph.add("FULLY_CONNECTED", [source, *constants], [target], "FullyConnectedOptions", **options)


def pool(graph: RandomGraph, source: Value | None = None, least=(1, 1)) -> None:
    """A pooling of a map; as `conv2d`."""
    source = source or graph.value(lambda value: value.is_map)
    if source is None:
        return
    draw, (height, width, channels) = graph.draw, source.shape[1:]
    lows = [min(low, size) for low, size in zip(least, (height, width), strict=True)]
    window = tuple(draw.integer(low, max(low, min(4, size))) for low, size in zip(lows, (height, width), strict=True))
    stride = draw.pick(window, (draw.integer(1, 3), draw.integer(1, 3)))
    same = draw.pick(True, False)
    sizes = zip((height, width), window, stride, strict=True)
    plane = [-(-size // pace) if same else (size - taps) // pace + 1 for size, taps, pace in sizes]
    fields = {"padding": 0 if same else 1, "strideH": stride[0], "strideW": stride[1], "filterHeight": window[0]}
    fields |= {"filterWidth": window[1], "fusedActivationFunction": _activation(graph)}
    name = draw.pick("MAX_POOL_2D", "AVERAGE_POOL_2D")
    graph.add(name, [source], [graph.like(source, (1, *plane, channels))], "Pool2DOptions", **fields)


# --- each value by itself ---------------------------------------------------------------------------


def _table(graph: RandomGraph) -> None:
    source, name = graph.value(), graph.draw.pick("LOGISTIC", "TANH", "RELU", "RELU6", "LEAKY_RELU", "QUANTIZE")
    fixed = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0), "RELU6": (source.scale, source.zero_point)}
    target = graph.new(source.shape, *fixed.get(name, (None, None)))
    if name == "LEAKY_RELU":
        slope = float(np.float32(graph.draw.random.uniform(-0.5, 1)))
        graph.add(name, [source], [target], "LeakyReluOptions", alpha=slope)
        return
    graph.add(name, [source], [target], "QuantizeOptions" if name == "QUANTIZE" else None)


def _softmax(graph: RandomGraph) -> None:
    source = graph.value()
    beta = graph.draw.pick(1.0, float(np.float32(graph.draw.random.uniform(0.1, 4))))
    graph.add("SOFTMAX", [source], [graph.new(source.shape, 1 / 256, -128)], "SoftmaxOptions", beta=beta)


def _elementwise(graph: RandomGraph) -> None:
    draw, first = graph.draw, graph.value()
    second = graph.value(lambda value: _broadcast(first.shape, value.shape))
    if draw.pick(True, False):
        shape = tuple(draw.pick(1, size, size) for size in first.shape)
        second = graph.constant(draw.pick(shape, shape[-1:], (1,)))
    if second is None:
        return
    operands = draw.pick([first, second], [second, first])
    shape = np.broadcast_shapes(first.shape, second.shape)
    name = draw.pick("ADD", "ADD", "SUB", "MUL")
    scales = [value.scale for value in operands]
    widest = scales[0] * scales[1] * 128 if name == "MUL" else max(scales)
    target = graph.new(shape, float(np.float32(widest * draw.random.uniform(0.4, 2.5))))
    options = f"{name[0]}{name[1:].lower()}Options"
    graph.add(name, operands, [target], options, fusedActivationFunction=_activation(graph))


def _broadcast(first: tuple[int, ...], second: tuple[int, ...]) -> bool:
    """Whether the shapes fit each other, with a batch of 1."""
    try:
        shape = np.broadcast_shapes(first, second)
    except ValueError:
        return False
    return shape[0] == 1 and math.prod(shape) <= _MOST_VALUES and len(first) == len(second)


def _mean(graph: RandomGraph) -> None:
    source = graph.value(lambda value: len(value.shape) > 2)
    if source is None:
        return
    draw, rank = graph.draw, len(source.shape)
    axes = [1 + int(axis) for axis in draw.random.permutation(rank - 1)[: draw.integer(1, 2)]]
    kept = draw.pick(True, False)
    shape = [1 if axis in axes else size for axis, size in enumerate(source.shape) if kept or axis not in axes]
    target = draw.pick(graph.like, lambda _, shape: graph.new(shape, source.scale * draw.random.uniform(0.3, 2)))
    named = [axis - draw.pick(0, rank) for axis in axes]
    graph.add("MEAN", [source, graph.file.integers(named)], [target(source, shape)], "ReducerOptions", keepDims=kept)


# --- moves ------------------------------------------------------------------------------------------


def _concatenation(graph: RandomGraph) -> None:
    """Of tensors that get the scaling of the first, where they do not have it."""
    draw, first = graph.draw, graph.value()
    axis, parts = draw.integer(1, len(first.shape) - 1), [first]
    for _ in range(draw.integer(1, 3)):
        suits = [value for value in graph.values if len(value.shape) == len(first.shape)]
        suits = [value for value in suits if _but(value.shape, axis) == _but(first.shape, axis)]
        part = draw.pick(*suits)
        if (part.scale, part.zero_point) != (first.scale, first.zero_point):
            same = graph.like(first, part.shape)
            graph.add("QUANTIZE", [part], [same], "QuantizeOptions")
            part = same
        if draw.pick(True, False, False):
            part = graph.constant(part.shape, first.scale, first.zero_point)
        parts.insert(draw.integer(0, len(parts)), part)
    shape = list(first.shape)
    shape[axis] = sum(part.shape[axis] for part in parts)
    if math.prod(shape) <= _MOST_VALUES:
        target = graph.like(first, shape)
        named = draw.pick(axis, axis - len(shape))
        graph.add("CONCATENATION", parts, [target], "ConcatenationOptions", axis=named)


def _but(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return (*shape[:axis], 0, *shape[axis + 1 :])


def _pad(graph: RandomGraph) -> None:
    draw, source = graph.draw, graph.value(lambda value: len(value.shape) <= 4)
    widths = [(0, 0), *((draw.integer(0, 2), draw.integer(0, 2)) for _ in source.shape[1:])]
    shape = [size + sum(pair) for size, pair in zip(source.shape, widths, strict=True)]
    if math.prod(shape) > _MOST_VALUES:
        return
    name, extra = draw.pick(("PAD", []), ("PADV2", [graph.constant((1,), source.scale, source.zero_point)]))
    sources = [source, graph.file.integers(widths), *extra]
    graph.add(name, sources, [graph.like(source, shape)], "PadOptions" if name == "PAD" else "PadV2Options")


def _strided_slice(graph: RandomGraph) -> None:
    draw, source = graph.draw, graph.value()
    begin, end, stride, shape, shrink = [0], [1], [1], [1], 0
    for axis, size in enumerate(source.shape[1:], 1):
        first, pace = draw.integer(0, size - 1), draw.pick(1, 1, 2, 3, -1, -2)
        if draw.pick(*[False] * 5, True):
            begin.append(first - draw.pick(0, size)), end.append(first + 1), stride.append(1)
            shrink |= 1 << axis
            continue
        begin.append(first)
        stride.append(pace)
        past = draw.integer(first + 1, size + 2) if pace > 0 else draw.integer(-1, first - 1)
        end.append(past if past >= 0 else -size - 1)
        shape.append(len(range(size)[slice(first, end[-1], pace)]))
    arrays = [graph.file.integers(values) for values in (begin, end, stride)]
    target = graph.like(source, shape)
    graph.add("STRIDED_SLICE", [source, *arrays], [target], "StridedSliceOptions", shrinkAxisMask=shrink)


def _split(graph: RandomGraph) -> None:
    draw, source = graph.draw, graph.value()
    axis = draw.integer(1, len(source.shape) - 1)
    counts = [count for count in range(1, 5) if source.shape[axis] % count == 0]
    count = draw.pick(counts[-1], draw.pick(*counts))
    shape = list(source.shape)
    shape[axis] //= count
    parts = [graph.like(source, shape) for _ in range(count)]
    graph.add("SPLIT", [graph.file.integers(axis), source], parts, "SplitOptions", numSplits=count)


def _shape(graph: RandomGraph) -> None:
    draw, source = graph.draw, graph.value()
    name, ones = draw.pick(*_OF_SHAPES), [axis for axis, size in enumerate(source.shape[1:], 1) if size == 1]
    if name == "SQUEEZE" and ones and len(source.shape) > 2:
        axis = draw.pick(*ones)
        shape = source.shape[:axis] + source.shape[axis + 1 :]
        graph.add(name, [source], [graph.like(source, shape)], "SqueezeOptions", squeezeDims=[axis])
    elif name == "EXPAND_DIMS" and len(source.shape) < 4:
        axis = draw.integer(1, len(source.shape))
        shape = (*source.shape[:axis], 1, *source.shape[axis:])
        graph.add(name, [source, graph.file.integers(axis)], [graph.like(source, shape)], "ExpandDimsOptions")
    else:
        shape = _factors(draw, math.prod(source.shape))
        sources = [source, graph.file.integers(shape)]
        graph.add("RESHAPE", sources, [graph.like(source, shape)], "ReshapeOptions", newShape=shape)


def _factors(draw: Drawer, count: int) -> list[int]:
    """A shape of so many values."""
    shape = [1]
    for _ in range(draw.integer(0, 2)):
        size = draw.pick(*(size for size in range(1, count + 1) if count % size == 0))
        shape.append(size)
        count //= size
    return [*shape, count]


def _transpose(graph: RandomGraph) -> None:
    source = graph.value()
    order = [0, *(1 + int(axis) for axis in graph.draw.random.permutation(len(source.shape) - 1))]
    target = graph.like(source, [source.shape[axis] for axis in order])
    graph.add("TRANSPOSE", [source, graph.file.integers(order)], [target], "TransposeOptions")


OPERATORS: Mapping[Callable[[RandomGraph], None], int] = {
    conv2d: 3,
    _depthwise: 2,
    _fully_connected: 1,
    pool: 2,
    _table: 2,
    _softmax: 1,
    _elementwise: 4,
    _mean: 2,
    _concatenation: 2,
    _pad: 2,
    _strided_slice: 2,
    _split: 1,
    _shape: 2,
    _transpose: 2,
}
"""The functions that add one operator, or nothing where no tensor suits it, and how often each is taken."""
