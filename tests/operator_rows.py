"""Many operators without weights, and convolutions with gaps or groups, side by side in one model: what runtimes are
asked at once.

Scales are such that results lie on ties and next to them, where rules part.
"""

from __future__ import annotations

import numpy as np

from lenet_edge.quantized import rescale
from lenet_edge.quantized.clamps import activation_clamp
from lenet_edge.quantized.model import (
    Add,
    Constant,
    Conv2d,
    DepthwiseConv2d,
    Mean,
    Multiply,
    QTensor,
    QuantizedModel,
    Rescale,
    Subtract,
    expected_output_shape,
)
from lenet_edge.quantized.verify import verify

IMAGES = 64
PAIRS = 1024  # values of an image: all pairs of int8 in 64 images
# In which the runtimes repeat one value, a row, a plane, on either side; blocks of 16 and a rest.
BROADCASTS = [((7, 9, 5), (1, 1, 5)), ((5,), (7, 9, 5)), ((1,), (7, 9, 5)), ((1, 1, 37), (6, 5, 37)), ((33,), (33,))]
BROADCASTS += [((4, 5, 19), (4, 1, 19)), ((4, 5, 1), (4, 5, 19)), ((3, 33), (33,)), ((4, 1, 3), (1, 5, 3))]
MEANS = [((5, 7, 9), (0, 1)), ((8, 8, 16), (0, 1)), ((3, 3, 44), (0, 1)), ((1, 49, 8), (0, 1)), ((5, 7, 9), (2,))]
MEANS += [((5, 7, 9), (0,)), ((5, 7, 9), (1,)), ((5, 7, 9), (1, 2)), ((33, 5), (0,)), ((33, 5), (1,)), ((50,), (0,))]
CONVOLUTIONS = [  # kernel, input shape, outputs, window, stride, dilation, padding, groups
    (Conv2d, (9, 11, 4), 9, (3, 3), (1, 1), (2, 2), "same", 1),
    (Conv2d, (10, 9, 3), 8, (3, 2), (2, 2), (2, 3), "valid", 1),
    (Conv2d, (8, 8, 4), 8, (3, 3), (1, 1), (1, 1), "same", 2),
    (Conv2d, (7, 7, 9), 27, (3, 3), (2, 2), (1, 1), "valid", 3),
    (Conv2d, (9, 9, 4), 8, (3, 3), (1, 1), (2, 2), "same", 4),
    (DepthwiseConv2d, (9, 11, 9), 9, (3, 3), (1, 1), (2, 2), "same", 1),
    (DepthwiseConv2d, (1, 30, 8), 16, (1, 3), (1, 1), (1, 4), "valid", 1),
]


class Rows:
    """Draws layers that read inputs of their own."""

    def __init__(self, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.layers: list = []
        self.reads: list[tuple[int, ...]] = []
        self.results: list[int] = []
        self.inputs = 0

    def scale(self) -> float:
        return float(np.float32(10 ** self.random.uniform(-2, 0)))

    def near(self, scale: float) -> float:
        """A scale that is a simple multiple of the given one, so that there are ties, or anything near."""
        ratios = [2.0 ** self.random.integers(-2, 3), *self.random.integers(1, 9, 2) / self.random.integers(1, 9, 2)]
        return float(np.float32(scale * self.random.choice([*ratios, 10 ** self.random.uniform(-0.5, 0.5)])))

    def tensor(self, shape: tuple[int, ...], scale: float) -> QTensor:
        return QTensor(shape, float(np.float32(scale)), int(self.random.integers(-128, 128)))

    def add(self, layer, constants: dict[int, QTensor] | None = None) -> None:
        """The layer, its operands inputs of the model but for those that `constants` names."""
        sources = []
        for index in range(len(getattr(layer, "inputs", (0,)))):
            if constants and index in constants:
                tensor = constants[index]
                values = self.random.integers(-128, 128, tensor.shape).astype(np.int8)
                self.layers.append(Constant(f"constant {len(self.layers)}", tensor, values))
                self.reads.append(())
                sources.append(len(self.layers) - 1)
            else:
                self.inputs += 1
                sources.append(-self.inputs)
        self.layers.append(layer)
        self.reads.append(tuple(sources))
        self.results.append(len(self.layers) - 1)

    def name(self, kind: type) -> str:
        return f"{kind.__name__} {len(self.layers)}"

    def elementwise(self, kind, shapes, activation="NONE", *, ratio=0.0, constant=False) -> None:
        """With `ratio` that of the scales of the operands, and ties where the second is its zero point."""
        first = self.scale()
        second = float(np.float32(first * ratio)) if ratio else self.near(first)
        widest = first * second * 32 if kind is Multiply else max(first, second)
        output_scale = 2 * widest if ratio else self.near(widest)
        inputs = self.tensor(shapes[0], first), self.tensor(shapes[1], second)
        output = self.tensor(np.broadcast_shapes(*shapes), output_scale)
        if activation in ("RELU6", "RELU_N1_TO_1"):  # its bound half way between two integers
            bound = 6 if activation == "RELU6" else 1
            output = self.tensor(output.shape, bound / (int(self.random.integers(1, 20)) + 0.5))
        layer = kind(self.name(kind), inputs, output, *activation_clamp(activation, output))
        self.add(layer, {1: inputs[1]} if constant else None)

    def mean(self, shape, axes, *, keep: bool) -> None:
        kept = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
        gone = tuple(size for axis, size in enumerate(shape) if axis not in axes) or (1,)
        source = self.tensor(shape, self.scale())
        target = self.tensor(kept if keep else gone, self.near(source.scale))
        if self.random.random() < 0.3:
            target = QTensor(target.shape, source.scale, source.zero_point)
        self.add(Mean(self.name(Mean), source, target, axes))

    def rescale(self, operator: str, values: int, *, ratio: float = 0.0) -> None:
        source = self.tensor((values,), self.scale())
        target = self.tensor((values,), source.scale / ratio if ratio else self.near(source.scale))
        if operator == "RELU6":
            target = source
        slope = 1.0
        if operator == "LEAKY_RELU":
            slope = float(np.float32(self.random.choice([0.1, 0.25, -0.5, self.random.uniform(0, 2)])))
        table = rescale.table(operator, source, target, slope)
        self.add(Rescale(self.name(Rescale), source, target, operator, table, slope))

    def convolution(self, kind, shape, outputs, window, stride, dilation, padding, groups) -> None:
        """Its accumulators are small, and its multipliers powers of two: ties are common."""
        inputs = (shape[2] // groups,) if kind is Conv2d else ()
        weights = self.random.integers(-9, 10, (outputs, *window, *inputs) if inputs else (*window, outputs))
        scales = 2.0 ** self.random.integers(-5, -2, outputs)
        bias = self.random.integers(-200, 200, outputs).astype(np.int32)
        source, output = self.tensor(shape, 0.5), self.tensor((1, 1, 1), 0.5)
        arrays = weights.astype(np.int8), bias, scales.astype(np.float32)
        draft = kind(self.name(kind), source, output, *arrays, stride, padding, dilation=dilation)
        output = QTensor(expected_output_shape(draft), output.scale, output.zero_point)
        self.add(kind(draft.name, source, output, *arrays, stride, padding, dilation=dilation))

    def model(self) -> QuantizedModel:
        return verify(QuantizedModel(tuple(self.layers), {}, tuple(self.reads), tuple(self.results)))


def rows() -> QuantizedModel:
    """The model: every operator at several scales, shapes and activations."""
    made = Rows()
    for kind in (Add, Subtract, Multiply):
        for _ in range(4):
            made.elementwise(kind, ((PAIRS,), (PAIRS,)))
        for activation in ("RELU", "RELU6", "RELU_N1_TO_1"):
            made.elementwise(kind, ((33,), (33,)), activation)
        for index, shapes in enumerate(BROADCASTS):
            made.elementwise(kind, shapes, constant=index % 3 == 0)
        made.elementwise(kind, ((400,), (400,)), ratio=2.0**-12)  # XNNPACK does not take such a sum
    for shape, axes in MEANS:
        made.mean(shape, axes, keep=True)
        made.mean(shape, axes, keep=False)
    for operator in rescale.OPERATORS:
        for values in (256, 256, 37):
            made.rescale(operator, values)
        for values in (256, 44):
            made.rescale(operator, values, ratio=0.25)  # every fourth value lies on a tie
        made.rescale(operator, 256, ratio=1.0 if operator == "RELU6" else 2.0**-9)  # XNNPACK does not take such a ratio
    for settings in CONVOLUTIONS:
        made.convolution(*settings)
    return made.model()


def images(model: QuantizedModel) -> np.ndarray:
    """int8 ``[64, values]``: all pairs for operands of `PAIRS` values, all integers for tables, noise and extremes."""
    random = np.random.default_rng(1)
    values = np.arange(-128, 128, dtype=np.int8)
    pairs = np.stack(np.meshgrid(values, values, indexing="ij")).reshape(2, IMAGES, PAIRS)
    parts, turn = [], 0
    for tensor in model.inputs:
        if tensor.shape == (PAIRS,):
            parts.append(pairs[turn])
            turn = 1 - turn
            continue
        noise = random.integers(-128, 128, (IMAGES, int(np.prod(tensor.shape)))).astype(np.int8)
        noise[0], noise[1] = -128, 127
        noise[2:8] = np.clip(np.rint(random.normal(tensor.zero_point, 9, noise[2:8].shape)), -128, 127)
        if tensor.shape == (256,):
            noise[:] = values
        parts.append(noise)
    return np.concatenate(parts, axis=1)
