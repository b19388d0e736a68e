"""Models whose weights have few bits: those of another model, with few levels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lenet_edge.quantized.model import WEIGHTED, QuantizedModel
from lenet_edge.quantized.tie_free import ADMISSIBLE_Q, grid_scale

__all__ = ["with_levels"]


def with_levels(model: QuantizedModel, largest: int, seed: int = 0) -> QuantizedModel:
    """Weights ``2 k`` with random k, ``|k| <= largest``; about four in ten of those with one level are 0."""
    random, layers = np.random.default_rng(seed), []
    for layer in model.layers:
        if isinstance(layer, WEIGHTED):
            halves = random.integers(-largest, largest + 1, layer.weights.shape)
            halves[random.random(halves.shape) < 0.1] = 0
            inputs = halves.size // len(layer.bias)  # of an output of a convolution or dense layer
            q = ADMISSIBLE_Q[int(np.searchsorted(ADMISSIBLE_Q, np.sqrt(inputs) * largest))]  # so that outputs spread
            scale = grid_scale(layer.input.scale, layer.output.scale, int(q))
            bias = 2 * random.integers(-30 * q, 30 * q, len(layer.bias))
            layer = replace(
                layer,
                weights=(2 * halves).astype(np.int8),
                weight_scales=np.full(len(layer.bias), scale, np.float32),
                bias=bias.astype(np.int32),
            )
        layers.append(layer)
    return replace(model, layers=tuple(layers))
