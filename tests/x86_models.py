"""Models for the kernels of hosts: more windows and channels than a kernel takes at once, depthwise, both roundings."""

from __future__ import annotations

import dataclasses

import kernel_models
import numpy as np
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


def whole_extremes() -> QuantizedModel:
    """Off the tie-free grid: weights of -128 and 127, the largest that two products of unsigned inputs add up to."""
    layers = []
    for layer in kernel_models.extremes().layers:
        if (weights := getattr(layer, "weights", None)) is not None:
            filled = np.where(weights > 0, 127, -128).astype(np.int8)
            layer = dataclasses.replace(layer, weights=filled, weight_scales=layer.weight_scales * np.float32(0.9))
        layers.append(layer)
    return QuantizedModel(tuple(layers))
