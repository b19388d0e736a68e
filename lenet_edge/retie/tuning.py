"""Fine-tuning on images, without labels: each channel gets the gain and the offset that bring its sums nearest to the
original's.

Layer by layer in their order, so that each also makes up for what those before it lost: Nagel et al. 2021, "A White
Paper on Neural Network Quantization", section 3.2 (bias correction), with a gain as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from lenet_edge.errors import BadInputError
from lenet_edge.quantized.layers import WEIGHTED, Constant, Int8Array, Int32Array, Weighted
from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.quantized.reference import accumulators, given_inputs, layer_output, layer_outputs
from lenet_edge.quantized.verify import verify
from lenet_edge.retie.layers import rounded_between
from lenet_edge.retie.moved import Retied

__all__ = ["tune"]

FloatArray = npt.NDArray[np.float64]

_STEPS = 12
_LEAST_SHARE = 0.05  # of the sums between the bounds: where fewer are, a step would go far beyond
_LARGEST_GAIN = 1.05  # and its inverse: more is not what rounding lost


def tune(
    model: QuantizedModel, retied: Retied, images: Int8Array, real: Mapping[int, npt.NDArray[np.float32]] | None = None
) -> Retied:
    """The moved model with tuned weights, biases and scales of weights; the tensors' scales stay.

    Args:
        model: the original.
        retied: what `retie` made of it.
        images: int8 ``[n, *model.input.shape]``, typical ones; all of their activations are in memory at once.
        real: index of a layer of the original -> what it gives in the float model that the original was made from, for
            the same images; where that is known, the layer comes near to it, not to the original.
    """
    before, given = list(layer_outputs(model, images)), given_inputs(model, images)
    original = {place: index for index, place in retied.place.items() if isinstance(model.layers[index], WEIGHTED)}
    layers, values = list(retied.model.layers), list[Int8Array]()
    for index, (layer, sources) in enumerate(zip(layers, retied.model.reads, strict=True)):
        operands = [given[-1 - source] if source < 0 else values[source] for source in sources]
        if isinstance(layer, WEIGHTED) and index in original:
            (source,) = model.reads[original[index]]
            old = model.layers[original[index]]
            assert isinstance(old, WEIGHTED)
            wanted = _real_sums(old, given[-1 - source] if source < 0 else before[source])
            layers[index] = layer = _tuned(old, layer, operands[0], wanted, (real or {}).get(original[index]))
        values.append(layer_output(layer, [images] if isinstance(layer, Constant) else operands))
    changed = QuantizedModel(tuple(layers), retied.model.metadata, retied.model.reads, retied.model.results)
    return replace(retied, model=verify(changed))


def _real_sums(layer: Weighted, values: Int8Array) -> FloatArray:
    """What the layer requantises, as real values ``[positions, channels]``."""
    sums = accumulators(layer, values).reshape(-1, len(layer.bias))
    real: FloatArray = sums * (layer.input.scale * layer.weight_scales.astype(np.float64))
    return real


def _tuned(
    old: Weighted, layer: Weighted, values: Int8Array, wanted: FloatArray, real: npt.NDArray[np.float32] | None
) -> Weighted:
    """The layer with the gains and offsets that fit best; itself where they make nothing better."""
    found = _real_sums(layer, values)
    outputs = _clamped(layer, wanted) if real is None else real.astype(np.float64).reshape(found.shape)
    trials = [layer]
    with suppress(BadInputError):  # a gain with which the weights no longer fit
        trials.append(rounded_between(old, layer, _gain(found, wanted)))
    best, least = layer, _error(layer, found, outputs)
    for trial in trials:
        sums = _real_sums(trial, values)
        offset = (wanted - sums).mean(axis=0) if real is None else _offset(trial, sums, outputs)
        changed = replace(trial, bias=_shifted(trial, offset))
        error = _error(changed, _real_sums(changed, values), outputs)
        if error < least:
            best, least = changed, error
    return best


def _offset(layer: Weighted, sums: FloatArray, outputs: FloatArray) -> FloatArray:
    """Per channel the one with which what the clamp lets through has the mean of the outputs: a Newton iteration, since
    only sums between the bounds move the mean."""
    offset = np.zeros(sums.shape[1])
    for _ in range(_STEPS):
        moved = sums + offset
        clamped = _clamped(layer, moved)
        share = np.maximum((clamped == moved).mean(axis=0), _LEAST_SHARE)
        offset += (outputs.mean(axis=0) - clamped.mean(axis=0)) / share
    return offset


def _gain(found: FloatArray, wanted: FloatArray) -> FloatArray:
    """Per channel that of least squares, with an offset."""
    centred = found - found.mean(axis=0)
    spread = np.square(centred).sum(axis=0)
    gain = (centred * wanted).sum(axis=0) / np.maximum(spread, np.finfo(np.float64).tiny)
    return np.where(spread > 0, np.clip(gain, 1 / _LARGEST_GAIN, _LARGEST_GAIN), 1.0)


def _shifted(layer: Weighted, by: FloatArray) -> Int32Array:
    """The biases, moved by real values; they stay even."""
    steps = 2 * np.rint(by / (2 * layer.input.scale * layer.weight_scales.astype(np.float64)))
    shifted: Int32Array = np.clip(layer.bias + steps, -(2**31) + 2, 2**31 - 2).astype(np.int32)
    return shifted


def _clamped(layer: Weighted, sums: FloatArray) -> FloatArray:
    """What the clamp lets through: beyond it nothing counts."""
    ends = (np.array([layer.clamp_min, layer.clamp_max]) - layer.output.zero_point) * layer.output.scale
    clamped: FloatArray = np.clip(sums, *ends)
    return clamped


def _error(layer: Weighted, sums: FloatArray, outputs: FloatArray) -> float:
    return float(np.square(_clamped(layer, sums) - outputs).sum())
