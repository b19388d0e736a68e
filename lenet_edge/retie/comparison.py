"""What moving a model onto the grid cost, layer by layer, on given images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lenet_edge.quantized.layers import WEIGHTED, Int8Array, Layer
from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.quantized.reference import layer_outputs
from lenet_edge.quantized.tie_free import channel_q
from lenet_edge.retie.moved import Retied

__all__ = ["LayerMove", "moves"]

_AT_ONCE = 16  # images


@dataclass(frozen=True)
class LayerMove:
    """What became of a layer.

    Attributes:
        name: of the layer.
        kind: of layer, before.
        scale, new_scale: of its output.
        q_min, q_max: of its channels; None of a layer that has no weights now.
        sqnr_db: its real output against that of the original: signal to noise; None where they are equal, or there
            is no signal.
    """

    name: str
    kind: str
    scale: float
    new_scale: float
    q_min: int | None
    q_max: int | None
    sqnr_db: float | None


def moves(model: QuantizedModel, retied: Retied, images: Int8Array) -> list[LayerMove]:
    """What became of every layer of `model`; the noise of all layers before it is in a layer's own."""
    signal, noise = np.zeros(len(model.layers)), np.zeros(len(model.layers))
    for start in range(0, len(images), _AT_ONCE):
        for index, (before, after) in enumerate(_both(model, retied, images[start : start + _AT_ONCE])):
            signal[index] += np.square(before).sum()
            noise[index] += np.square(before - after).sum()
    pairs = enumerate(zip(signal.tolist(), noise.tolist(), strict=True))
    return [_move(model, retied, index, *energies) for index, energies in pairs]


def _both(
    model: QuantizedModel, retied: Retied, images: Int8Array
) -> Iterator[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
    """For each layer of the original its real output, and that of the one that took its place."""
    moved = [
        _real(layer, values)
        for layer, values in zip(retied.model.layers, layer_outputs(retied.model, images), strict=True)
    ]
    for index, (layer, values) in enumerate(zip(model.layers, layer_outputs(model, images), strict=True)):
        before, place = _real(layer, values), retied.place[index]
        yield before, moved[place].reshape(before.shape) if place >= 0 else before


def _real(layer: Layer, values: Int8Array) -> npt.NDArray[np.float64]:
    real: npt.NDArray[np.float64] = (values.astype(np.float64) - layer.output.zero_point) * layer.output.scale
    return real


def _move(model: QuantizedModel, retied: Retied, index: int, signal: float, noise: float) -> LayerMove:
    layer, place = model.layers[index], retied.place[index]
    parts = [part for part in retied.model.layers if isinstance(part, WEIGHTED) and part.name == layer.name]
    q = channel_q(parts[0]) if len(parts) == 1 else None
    return LayerMove(
        layer.name,
        type(layer).__name__,
        layer.output.scale,
        retied.model.layers[place].output.scale if place >= 0 else layer.output.scale,
        None if q is None else int(q.min()),
        None if q is None else int(q.max()),
        10 * float(np.log10(signal / noise)) if signal and noise else None,
    )
