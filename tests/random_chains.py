"""Random chains of layers for the tests of the C exporter: any geometry, clamps and zero points."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from lenet_edge.errors import BadInputError
from lenet_edge.quantized.lookup import OUTPUT_SCALING, reference_table
from lenet_edge.quantized.model import (
    AveragePool2d,
    Conv2d,
    DepthwiseConv2d,
    Flatten,
    FullyConnected,
    Layer,
    Lookup,
    MaxPool2d,
    Pad,
    QTensor,
    QuantizedModel,
    Softmax,
    expected_output_shape,
)
from lenet_edge.quantized.tie_free import ADMISSIBLE_Q, grid_scale
from lenet_edge.quantized.verify import verify

_PLANE_LAYERS = ("conv", "conv", "depthwise", "max_pool", "max_pool", "average_pool", "lookup")


def on_one_image(*models: QuantizedModel) -> QuantizedModel:
    """Several chains next to each other, each with its own output; they share the image of the first."""
    layers: list[Layer] = []
    reads: list[tuple[int, ...]] = []
    outputs = []
    for index, model in enumerate(models):
        for number, layer in enumerate(model.layers):
            reads.append((len(layers) - 1,) if number else (-1,))
            layers.append(replace(layer, name=f"{layer.name} of {index}"))
        outputs.append(len(layers) - 1)
    return verify(QuantizedModel(tuple(layers), {}, tuple(reads), tuple(outputs)))


class Chain:
    """Adds layers with random integers; every choice that is not given is drawn."""

    def __init__(
        self, seed: int, shape: tuple[int, int, int], *, tie_free: bool = False, zero_point: int = -128
    ) -> None:
        self.random = np.random.default_rng(seed)
        self.tie_free = tie_free
        self.current = QTensor(shape, float(np.float32(1 / 255)), zero_point)
        self.layers: list[Layer] = []

    def _add(self, layer: Layer) -> Chain:
        self.layers.append(layer)
        self.current = layer.output
        return self

    def _name(self, name: str | None) -> str:
        return f"layer {len(self.layers)}" if name is None else name

    def pick(self, *choices):
        return choices[self.random.integers(len(choices))]

    def clamp(self) -> tuple[int, int]:
        low, high = sorted(int(value) for value in self.random.integers(-128, 128, 2))
        return self.pick((-128, 127), (-128, 127), (low, high))

    def _integers(self, shape, fan_in: int, multiplier: float | None):
        """(output tensor without shape, weights, bias, weight scales) whose outputs fill the int8 range."""
        channels = math.prod(shape) // fan_in
        step = 2 if self.tie_free else 1
        weights = (step * self.random.integers(-126 // step, 126 // step + 1, shape)).astype(np.int8)
        real = multiplier or 60 / (74 * 72 * math.sqrt(fan_in))
        bias = (2 * self.random.normal(0, 10 / real, channels)).astype(np.int32) // 2 * step
        output_scale = float(np.float32(self.random.uniform(0.01, 0.1)))
        if self.tie_free:
            wanted = self.random.uniform(0.5, 1.5, channels) / (2 * real)
            q = [
                ADMISSIBLE_Q[min(int(np.searchsorted(ADMISSIBLE_Q, value)), len(ADMISSIBLE_Q) - 1)] for value in wanted
            ]
            scales = [grid_scale(self.current.scale, output_scale, value) for value in q]
        else:
            scales = real * self.random.lognormal(0, 0.5, channels) * output_scale / self.current.scale
        return output_scale, weights, bias, np.array(scales, np.float32)

    def _windowed(self, kind, name, shape, fan_in, stride, padding, clamp, multiplier=None, zero_point=None) -> Chain:
        output_scale, weights, bias, scales = self._integers(shape, fan_in, multiplier)
        low, high = clamp or self.clamp()
        drawn = int(self.random.integers(-128, 128))
        output = QTensor((1, 1, 1), output_scale, drawn if zero_point is None else zero_point)
        draft = kind(self._name(name), self.current, output, weights, bias, scales, stride, padding, low, high)
        output = QTensor(expected_output_shape(draft), output.scale, output.zero_point)
        return self._add(kind(draft.name, self.current, output, weights, bias, scales, stride, padding, low, high))

    def conv(
        self, channels, kernel, stride=(1, 1), padding="valid", clamp=None, name=None, multiplier=None, zero_point=None
    ) -> Chain:
        inputs = self.current.shape[2]
        shape, fan_in = (channels, *kernel, inputs), math.prod(kernel) * inputs
        return self._windowed(Conv2d, name, shape, fan_in, stride, padding, clamp, multiplier, zero_point)

    def depthwise(self, multiplier, kernel, stride=(1, 1), padding="valid", clamp=None, name=None) -> Chain:
        shape = (*kernel, self.current.shape[2] * multiplier)
        return self._windowed(DepthwiseConv2d, name, shape, math.prod(kernel), stride, padding, clamp)

    def pool(self, window, stride=None, padding="valid", kind=MaxPool2d, clamp=(-128, 127), name=None) -> Chain:
        draft = kind(self._name(name), self.current, self.current, window, stride or window, padding, *clamp)
        output = QTensor(expected_output_shape(draft), self.current.scale, self.current.zero_point)
        return self._add(kind(draft.name, self.current, output, window, stride or window, padding, *clamp))

    def pad(self, before, after, value=None, name=None) -> Chain:
        """Rows above and below, columns to the left and right: of the zero point, where no value is given."""
        value = self.current.zero_point if value is None else value
        shape = tuple(sum(sizes) for sizes in zip((*before, 0), self.current.shape, (*after, 0), strict=True))
        output = QTensor(shape, self.current.scale, self.current.zero_point)
        return self._add(Pad(self._name(name), self.current, output, (*before, 0), (*after, 0), value))

    def lookup(self, function="sigmoid", name=None, table=None) -> Chain:
        output = QTensor(self.current.shape, *OUTPUT_SCALING[function])
        table = reference_table(function, self.current) if table is None else table
        return self._add(Lookup(self._name(name), self.current, output, function, table))

    def scrambled(self) -> Chain:
        """A table that is not monotone, so that no pooling may move in front of it."""
        return self.lookup("tanh", table=self.random.integers(-128, 128, 256).astype(np.int8))

    def flatten(self) -> Chain:
        flat = QTensor((math.prod(self.current.shape),), self.current.scale, self.current.zero_point)
        return self._add(Flatten(self._name(None), self.current, flat))

    def fully_connected(self, channels, clamp=None, name=None, multiplier=None) -> Chain:
        inputs = self.current.shape[0]
        output_scale, weights, bias, scales = self._integers((channels, inputs), inputs, multiplier)
        output = QTensor((channels,), output_scale, int(self.random.integers(-128, 128)))
        low, high = clamp or self.clamp()
        return self._add(FullyConnected(self._name(name), self.current, output, weights, bias, scales, low, high))

    def softmax(self) -> Chain:
        return self._add(Softmax(self._name(None), self.current, QTensor(self.current.shape, 1 / 256, -128)))

    def build(self, **metadata) -> QuantizedModel:
        return verify(QuantizedModel(tuple(self.layers), metadata))


def random_chain(seed: int, *, tie_free: bool) -> QuantizedModel:
    """One to six random layers on a random image, then perhaps a flattening and up to two FULLY_CONNECTED."""
    while True:
        try:
            return _random_chain(seed, tie_free=tie_free)
        except BadInputError:  # an accumulator that is too large; rare
            seed += 1_000_003


def _random_chain(seed: int, *, tie_free: bool) -> QuantizedModel:
    random = np.random.default_rng(seed)
    shape = tuple(int(size) for size in random.integers(1, (12, 12, 4)))
    chain = Chain(seed, shape, tie_free=tie_free, zero_point=int(random.integers(-128, 128)))  # type: ignore[arg-type]
    for _ in range(random.integers(1, 7)):
        _random_layer(chain)
    if chain.pick(True, True, False):
        chain.flatten()
        for _ in range(random.integers(0, 3)):
            chain.fully_connected(int(random.integers(1, 11)))
        if chain.pick(True, False, False):
            chain.lookup()
        if chain.pick(True, False, False) and not tie_free:
            chain.softmax()
    return chain.build()


def _random_layer(chain: Chain) -> None:
    """A random layer; kernels are at most as large as the plane."""
    height, width, channels = chain.current.shape
    kind = chain.pick(*_PLANE_LAYERS)
    kernel = (int(chain.random.integers(1, min(height, 5) + 1)), int(chain.random.integers(1, min(width, 5) + 1)))
    stride = (chain.pick(1, 1, 2, 3), chain.pick(1, 1, 2, 3))
    padding = chain.pick("same", "valid")
    if kind == "conv":
        chain.conv(int(chain.random.integers(1, 6)), kernel, stride, padding)
    elif kind == "depthwise":
        chain.depthwise(chain.pick(1, 2) if channels < 6 else 1, kernel, stride, padding)
    elif kind == "lookup":
        chain.scrambled() if chain.pick(True, False, False) else chain.lookup(chain.pick("sigmoid", "tanh"))
    else:
        window = (min(height, chain.pick(1, 2, 2, 3)), min(width, chain.pick(1, 2, 2, 3)))
        stride = chain.pick(window, window, stride)
        kind = MaxPool2d if kind == "max_pool" else AveragePool2d
        chain.pool(window, stride, padding, kind, chain.clamp())
