"""Models for the tests of fast kernels: every geometry for which a family may have a path, and their neighbours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import sample_models
from random_chains import Chain

from lenet_edge.errors import BadInputError
from lenet_edge.quantized.model import DepthwiseConv2d, Flatten, QuantizedModel, Weighted

FULL = (-128, 127)


def _lenet_like(seed: int, *, tie_free: bool = True) -> QuantizedModel:
    """Two convolutions of 1, 3 or 5 taps a side, stride 1 or 2, with and without pooling; odd sizes."""
    random = np.random.default_rng(seed)
    size = (int(random.integers(11, 19)), int(random.integers(11, 19)), int(random.choice([1, 1, 2, 3, 4])))
    chain = Chain(seed, size, tie_free=tie_free, zero_point=int(random.choice([-128, -128, 0, 17])))
    for last in (False, True):
        taps = int(random.choice([1, 3, 5]))
        if min(chain.current.shape[:2]) < taps:
            taps = 1
        stride = int(random.choice([1, 1, 2]))
        clamp = FULL if random.random() < 0.7 else None
        channels = int(random.integers(1, 17) if last else random.integers(1, 9))
        chain.conv(channels, (taps, taps), (stride, stride), str(random.choice(["same", "valid"])), clamp)
        if min(chain.current.shape[:2]) >= 2 and random.random() < 0.7:
            chain.pool((2, 2))
    chain.flatten()
    chain.fully_connected(int(random.integers(1, 40)), FULL)
    return chain.fully_connected(int(random.integers(2, 14))).build()


def lenet_like(seed: int, *, tie_free: bool = True) -> QuantizedModel:
    """A random model in the shape of LeNet-5; the next one where an accumulator is too large."""
    while True:
        try:
            return _lenet_like(seed, tie_free=tie_free)
        except BadInputError:
            seed += 1_000_003


def extremes(*, tie_free: bool = True) -> QuantizedModel:
    """Every weight at +-126, off the grid at +-127, so that the accumulators reach what the sizes allow."""
    largest = 126 if tie_free else 127
    chain = Chain(3, (12, 12, 1), tie_free=tie_free)
    chain.conv(6, (5, 5), clamp=FULL).pool((2, 2)).conv(4, (3, 3), clamp=FULL).flatten().fully_connected(10, FULL)
    layers = []
    for layer in chain.layers:
        weights = getattr(layer, "weights", None)
        if weights is not None:
            signs = np.where(np.random.default_rng(7).random(weights.shape) < 0.5, -largest, largest)
            signs[: len(signs) // 2] = largest  # half of the channels: nothing cancels
            layer = type(layer)(**{**vars(layer), "weights": signs.astype(np.int8)})
        layers.append(layer)
    return QuantizedModel(tuple(layers))


def _depthwise_chain(seed: int, *, tie_free: bool) -> QuantizedModel:
    """Depthwise layers of any window, stride and pooling, every other one 3 x 3, until the map is too small."""
    random = np.random.default_rng(seed)
    size = (int(random.integers(13, 27)), int(random.integers(13, 27)), 1 + seed % 9)
    chain = Chain(seed, size, tie_free=tie_free, zero_point=int(random.choice([-128, 0, 17, 127])))
    while min(chain.current.shape[:2]) > 2 and len(chain.layers) < 9:
        usual = len(chain.layers) % 2 == seed % 2
        window = (3, 3) if usual else tuple(int(taps) for taps in random.integers(1, 7, 2))
        padding = str(random.choice(["same", "same", "valid"]))
        if any(taps > extent for taps, extent in zip(window, chain.current.shape, strict=False)):
            padding = "same"
        stride = (1, 1) if random.random() < 0.5 else tuple(int(step) for step in random.choice([1, 2, 2, 3], 2))
        times = 2 + seed % 2 if seed % 3 == 0 and not chain.layers else 1
        chain.depthwise(times, window, stride, padding, FULL if random.random() < 0.7 else None)
        if min(chain.current.shape[:2]) > 6 and random.random() < 0.3:
            pool = (2, 2) if usual else tuple(int(extent) for extent in random.integers(1, 4, 2))
            chain.pool(pool, tuple(int(step) for step in random.integers(1, 4, 2)) if random.random() < 0.3 else None)
    return chain.flatten().fully_connected(7, FULL).build()


def depthwise_chain(seed: int, *, tie_free: bool = True) -> QuantizedModel:
    """A random model of depthwise layers; the next one where an accumulator is too large."""
    while True:
        try:
            return _depthwise_chain(seed, tie_free=tie_free)
        except BadInputError:
            seed += 1_000_003


def dead_filters() -> QuantizedModel:
    """An ordinary model in each of whose layers some filters died: biases up to 2^30, and scales to match."""
    chain = Chain(11, (9, 10, 3), zero_point=17).conv(8, (3, 3), clamp=FULL, zero_point=-128)
    chain.conv(7, (1, 1), clamp=FULL).depthwise(1, (3, 3), clamp=FULL).flatten().fully_connected(9, FULL)
    layers = [layer if isinstance(layer, Flatten) else with_dead_filters(layer) for layer in chain.layers]
    return QuantizedModel(tuple(layers))


def with_dead_filters(layer: Weighted) -> Weighted:
    """The first four channels give one output whatever the input, or one of two: with weights, and without."""
    weights, bias, scales = layer.weights.copy(), layer.bias.copy(), layer.weight_scales.copy()
    channels = weights.transpose(2, 0, 1) if isinstance(layer, DepthwiseConv2d) else weights  # a view
    channels[[0, 1]], channels[[2, 3]] = 0, np.sign(channels[[2, 3]])
    bias[:4] = -(2**30), 2**30, -(2**30), 3 << 24  # the last is 1.5 of the output: sums around it give 1 or 2
    scales[:4] = 2.0 ** -np.array([26, 27, 24, 25]) * layer.output.scale / layer.input.scale
    return replace(layer, weights=weights, bias=bias, weight_scales=scales)


MODELS = {
    "lenet5": lambda: sample_models.lenet5(51),
    "lenet5_sigmoid": lambda: sample_models.lenet5_sigmoid(51),
    "extremes": extremes,
    **{f"lenet-like {seed}": (lambda seed=seed: lenet_like(seed)) for seed in range(24)},
    **{f"depthwise {seed}": (lambda seed=seed: depthwise_chain(seed)) for seed in range(24)},
    **{f"ordinary depthwise {seed}": (lambda seed=seed: depthwise_chain(seed, tie_free=False)) for seed in range(24)},
    "dead filters": dead_filters,
    "ordinary extremes": lambda: extremes(tie_free=False),
    **{f"ordinary {seed}": (lambda seed=seed: lenet_like(seed, tie_free=False)) for seed in range(8)},
}


def images(model: QuantizedModel, count: int, seed: int = 0) -> np.ndarray:
    """int8 ``[count, h, w, c]``: noise, extremes, sparse ones, and flat ones in turn."""
    random = np.random.default_rng(seed)
    shape = (count, *model.input.shape)
    values = random.integers(-128, 128, shape)
    values[1::4] = random.choice([-128, 127], values[1::4].shape)
    values[2::4][random.random(values[2::4].shape) < 0.85] = -128
    values[3::8] = random.integers(-128, 128, (len(values[3::8]), *(1,) * len(model.input.shape)))
    values[7::16], values[15::16] = -128, 127
    return values.astype(np.int8)
