"""Moves an ordinary int8 model onto the tie-free grid: scales move by a little, weights are rounded again."""

from __future__ import annotations

import numpy as np

from lenet_edge.errors import BadInputError
from lenet_edge.quantized.layers import WEIGHTED, Layer, Rescale, Reshape
from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.quantized.tie_free import smallest_output_scale
from lenet_edge.quantized.verify import verify
from lenet_edge.retie.comparison import LayerMove, moves
from lenet_edge.retie.layers import between, real_weights
from lenet_edge.retie.moved import Retied
from lenet_edge.retie.scales import Scales, choose_scales
from lenet_edge.retie.tuning import tune

__all__ = ["LayerMove", "Retied", "moves", "retie", "tune"]

_MOST_ROUNDS = 50


def retie(model: QuantizedModel) -> Retied:
    """The model on the tie-free grid, with the same inputs.

    Raises:
        BadInputError: a layer does not fit the grid.
    """
    least: dict[int, float] = {}
    for _ in range(_MOST_ROUNDS):
        scales = choose_scales(model, least)
        narrow = _too_narrow(model, scales)
        if not narrow:
            return _built(model, scales)
        if all(least.get(source, 0) >= need for source, need in narrow.items()):
            break
        least |= narrow
    source, need = next(iter(narrow.items()))
    raise BadInputError(
        f"layer {model.layers[source].name}: its weights need an output scale of at least {need:.6g}, and it is given: "
        f"{scales.tensor(source).scale:.6g}, that of the model's input or of a table"
    )


def _too_narrow(model: QuantizedModel, scales: Scales) -> dict[int, float]:
    """Source -> the scale that its weights need at least, where it has a smaller one."""
    needs: dict[int, float] = {}
    for index, layer in enumerate(model.layers):
        if isinstance(layer, WEIGHTED):
            largest = float(abs(real_weights(layer)).max())
            need = smallest_output_scale(largest, scales.tensor(model.reads[index][0]).scale) * (1 + 1e-6)
            need = float(np.nextafter(np.float32(need), np.float32(np.inf)))
            if need > scales.tensor(index).scale:
                needs[index] = need
    return needs


def _is_identity(layer: Layer) -> bool:
    """Whether it gives every value as it is: between two scales that are now one."""
    if not isinstance(layer, Rescale) or not (layer.table == np.arange(-128, 128)).all():
        return False
    return (layer.input.scale, layer.input.zero_point) == (layer.output.scale, layer.output.zero_point)


def _built(model: QuantizedModel, scales: Scales) -> Retied:
    layers: list[Layer] = []
    reads: list[tuple[int, ...]] = []
    place: dict[int, int] = {}
    left = dict(scales.left)
    for index, (layer, sources) in enumerate(zip(model.layers, model.reads, strict=True)):
        inputs = [scales.tensor(source) for source in sources]
        where = tuple(source if source < 0 else place[source] for source in sources)
        try:
            found = between(layer, inputs, scales.tensor(index), scales.q.get(index))
        except BadInputError as error:
            raise BadInputError(f"layer {layer.name}: {error}") from error
        if _is_identity(found[-1]):
            place[index] = where[0]
            continue
        for part in found:
            reads.append(where)
            where = (len(layers),)
            layers.append(part)
        place[index] = len(layers) - 1
    results: list[int] = []
    for index in model.results:
        if place[index] < 0 or place[index] in results:  # an output has a layer of its own
            reads.append((place[index],))
            tensor = scales.tensor(index)
            layers.append(Reshape(model.layers[index].name, tensor, tensor))
            place[index] = len(layers) - 1
        results.append(place[index])
    return Retied(verify(QuantizedModel(tuple(layers), model.metadata, tuple(reads), tuple(results))), place, left)
