"""Models for the kernels of hosts (x86, neon): many windows and channels, depthwise, single layers; both roundings."""

from __future__ import annotations

import dataclasses

import kernel_models
import numpy as np
import sample_models
from random_chains import Chain

from lenet_edge.errors import BadInputError
from lenet_edge.quantized.model import QuantizedModel

FULL = (-128, 127)


def wide(*, tie_free: bool = True) -> QuantizedModel:
    """More windows in a row, and more channels, than any kernel takes at once."""
    chain = Chain(31, (10, 46, 1), tie_free=tie_free).conv(7, (5, 5), padding="same", clamp=FULL).pool((2, 2))
    chain.conv(21, (3, 3), padding="same", clamp=FULL).pool((2, 2)).conv(37, (3, 3), padding="same", clamp=FULL)
    chain.pool((2, 2)).conv(9, (1, 5), padding="same", clamp=FULL).flatten()
    return chain.fully_connected(70, FULL).fully_connected(10).build()


def strided_pooling(*, tie_free: bool) -> QuantizedModel:
    """Poolings of 1 x 1 with strides: they only leave positions out."""
    chain = Chain(33, (13, 15, 3), tie_free=tie_free).conv(9, (3, 3), padding="same", clamp=FULL).pool((1, 1), (1, 2))
    chain.depthwise(1, (3, 3), padding="same", clamp=FULL).pool((1, 1), (2, 1))
    return chain.conv(20, (1, 1), clamp=FULL).pool((1, 1), (2, 3)).flatten().fully_connected(6).build()


def padded(seed: int, *, tie_free: bool) -> QuantizedModel:
    """Pads in front of a layer for each kernel, on each side others, which become the layers' own padding."""
    chain = Chain(seed, (40, 41, 1), tie_free=tie_free, zero_point=40 * seed - 128)

    def pad(height: int, width: int) -> Chain:
        """Less than the window on each side."""
        before, after = (tuple(int(chain.random.integers(size)) for size in (height, width)) for _ in range(2))
        return chain.pad(before, after)

    pad(5, 5).conv(6, (5, 5), clamp=FULL).pool((2, 2))
    pad(3, 3).conv(9, (3, 3), clamp=FULL).pool((2, 2))
    pad(2, 3).conv(17, (2, 3), (2, 1))
    pad(3, 3).depthwise(1, (3, 3), (1, 2), clamp=FULL)
    return pad(1, 2).depthwise(1, (1, 2), clamp=FULL).flatten().fully_connected(5).build()


def depthwise(seed: int, *, tie_free: bool) -> QuantizedModel:
    """Any window, stride, padding and clamp, with and without pooling behind it; then 1 x 1."""
    random = np.random.default_rng(seed)
    while True:
        shape = (int(random.integers(6, 13)), int(random.integers(6, 13)), int(random.choice([1, 3, 16, 17, 40])))
        window = (int(random.choice([1, 2, 3, 5])), int(random.choice([1, 3, 5])))
        stride = (int(random.integers(1, 3)), int(random.integers(1, 3)))
        chain = Chain(seed, shape, tie_free=tie_free, zero_point=int(random.integers(-128, 128)))
        chain.depthwise(1, window, stride, str(random.choice(["same", "valid"])), clamp=FULL if seed % 2 else None)
        if min(chain.current.shape[:2]) >= 2 and seed % 3 == 0:
            chain.pool((2, 2))
        try:
            return chain.conv(int(random.integers(1, 40)), (1, 1)).build()
        except BadInputError:  # an accumulator that is too large
            seed += 1_000_003


def single_layer(seed: int, *, tie_free: bool) -> QuantizedModel:
    """One layer, and a pooling behind it: input and output are the model's own, of any size beside a register's."""
    random = np.random.default_rng(seed)
    while True:
        channels = int(random.choice([1, 2, 3, 4, 5, 8, 15, 16, 32, 33]))
        shape = (int(random.integers(3, 10)), int(random.integers(3, 10)), channels)
        chain = Chain(seed, shape, tie_free=tie_free, zero_point=int(random.integers(-128, 128)))
        window = (int(random.integers(1, 6)), int(random.integers(1, 6)))
        stride = (int(random.integers(1, 4)), int(random.integers(1, 4)))
        padding = "valid" if window[0] <= shape[0] and window[1] <= shape[1] and random.random() < 0.6 else "same"
        kind = seed % 4
        if kind == 0:
            chain.flatten().fully_connected(int(random.integers(1, 40)))
        elif kind == 1:
            chain.depthwise(1, window, stride, padding)
        else:
            chain.conv(int(random.integers(1, 36)), window, stride, padding)
        if kind and random.random() < 0.5:
            pool = (int(random.integers(1, 4)), int(random.integers(1, 4)))
            if all(extent <= size for extent, size in zip(pool, chain.current.shape, strict=False)):
                chain.pool(pool, (int(random.integers(1, 3)), int(random.integers(1, 3))))
        if not tie_free:  # with -128 next to each other
            layer = next(layer for layer in chain.layers if hasattr(layer, "weights"))
            lower = np.where(random.random(layer.weights.shape) < random.choice([0, 0.1, 1]), -128, layer.weights)
            at = chain.layers.index(layer)
            chain.layers[at] = dataclasses.replace(layer, weights=lower.astype(np.int8))
        try:
            return chain.build()
        except BadInputError:  # an accumulator that is too large
            seed += 1_000_000


def whole_extremes() -> QuantizedModel:
    """Off the tie-free grid: weights of -128 and 127, the largest that two products of unsigned inputs add up to."""
    layers = []
    for layer in kernel_models.extremes().layers:
        if (weights := getattr(layer, "weights", None)) is not None:
            filled = np.where(weights > 0, 127, -128).astype(np.int8)
            layer = dataclasses.replace(layer, weights=filled, weight_scales=layer.weight_scales * np.float32(0.9))
        layers.append(layer)
    return QuantizedModel(tuple(layers))


SEEDS = range(4)
MODELS = {
    **kernel_models.MODELS,
    "wide": wide,
    "wide ordinary": lambda: wide(tie_free=False),
    "lenet5 ordinary": lambda: sample_models.lenet5(51, "ordinary"),
    "extremes ordinary": whole_extremes,
    "strided pooling": lambda: strided_pooling(tie_free=True),
    "strided pooling ordinary": lambda: strided_pooling(tie_free=False),
    **{f"padded {seed}": (lambda seed=seed: padded(seed, tie_free=seed == 0)) for seed in range(2)},
    **{f"depthwise {seed}": (lambda seed=seed: depthwise(seed, tie_free=True)) for seed in SEEDS},
    **{f"depthwise ordinary {seed}": (lambda seed=seed: depthwise(seed, tie_free=False)) for seed in SEEDS},
}
SINGLE_LAYERS = {
    **{f"single layer {seed}": (lambda seed=seed: single_layer(seed, tie_free=True)) for seed in range(12)},
    **{f"single layer ordinary {seed}": (lambda seed=seed: single_layer(seed, tie_free=False)) for seed in range(12)},
}
