"""Models whose weights have few bits: those of another model, with few levels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lenet_edge.quantized.model import WEIGHTED, QuantizedModel

__all__ = ["with_levels"]


def with_levels(model: QuantizedModel, largest: int, seed: int = 0) -> QuantizedModel:
    """Weights ``2 k`` with random k, ``|k| <= largest``; about four in ten of those with one level are 0."""
    random, layers = np.random.default_rng(seed), []
    for layer in model.layers:
        if isinstance(layer, WEIGHTED):
            halves = random.integers(-largest, largest + 1, layer.weights.shape)
            halves[random.random(halves.shape) < 0.1] = 0
            layer = replace(layer, weights=(2 * halves).astype(np.int8))
        layers.append(layer)
    return replace(model, layers=tuple(layers))
