"""Models whose layers have weights ``2 k`` with a small k, made of other models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import sample_models

from lenet_edge.quantized.model import WEIGHTED, QuantizedModel
from lenet_edge.quantized.tie_free import ADMISSIBLE_Q, channel_q, grid_scale, off_grid_problem
from lenet_edge.quantized.verify import verify

LARGEST = {"4": 7, "2": 1, "trits": 1}
"""Packing -> the largest k that it holds, as the issue has it."""

MIXED = {"C3": "4", "C5": "trits", "F6": "2"}
"""Of `lenet5_mixed`: C1 and OUTPUT keep a byte for each weight."""


def few_bits(model: QuantizedModel, largest: Mapping[str, int]) -> QuantizedModel:
    """The model with weights of up to ``2 largest`` in these layers, and outputs of about the same range."""
    layers = list(model.layers)
    for index, layer in enumerate(layers):
        if not isinstance(layer, WEIGHTED) or layer.name not in largest:
            continue
        most = largest[layer.name]
        k = np.rint(layer.weights / 126 * most * (2 if most == 1 else 1))  # of a bell: else nearly all would be 0
        bias = 2 * np.rint(layer.bias / 2 * most / 63).astype(np.int32)
        if off_grid_problem(layer, -128, 127) is None:
            near = [min(ADMISSIBLE_Q, key=lambda q: abs(q - wanted)) for wanted in channel_q(layer) * most / 63]
            scales = [grid_scale(layer.input.scale, layer.output.scale, q) for q in near]
        else:
            scales = layer.weight_scales * (63 / most)
        weights = (2 * np.clip(k, -most, most)).astype(np.int8)
        layers[index] = replace(layer, weights=weights, bias=bias, weight_scales=np.array(scales, np.float32))
    return verify(QuantizedModel(tuple(layers), model.metadata))


def lenet5_mixed(seed: int = 0, grid: str = "tie-free") -> QuantizedModel:
    """LeNet-5 whose C3, C5 and F6 admit the packings of `MIXED`."""
    return few_bits(sample_models.lenet5(seed, grid), {name: LARGEST[packing] for name, packing in MIXED.items()})
