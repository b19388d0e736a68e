"""Which layers are packed so that a model fits a board: as few as will do, those that save most first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set

from lenet_edge.formats.c_source.packing import BYTES, densest, packed_bytes
from lenet_edge.quantized.model import WEIGHTED, QuantizedModel

__all__ = ["largest_savings", "packings_that_fit"]


def packings_that_fit(
    model: QuantizedModel,
    budget_bytes: int,
    bytes_of: Callable[[Mapping[str, str]], int],
    packed_anyway: Set[str] = frozenset(),
) -> dict[str, str]:
    """Layer -> packing, of as few layers as it takes; of all that can be packed where even that does not fit.

    Args:
        model: whose layers may admit packings.
        budget_bytes: of flash.
        bytes_of: packings -> bytes of flash. It is called last with what is returned, and first with no packings,
            unless the weights alone do not fit so.
        packed_anyway: layers that are not to be chosen, since the family's kernels pack them without being asked to.
    """
    left = {name: found for name, found in largest_savings(model).items() if name not in packed_anyway}
    chosen: dict[str, str] = {}
    weighted = [layer for layer in model.layers if isinstance(layer, WEIGHTED) and layer.name not in packed_anyway]
    weights = sum(layer.weights.size for layer in weighted)
    over = (weights if left and weights > budget_bytes else bytes_of(chosen)) - budget_bytes
    while over > 0 and left:
        while over > 0 and left:
            name, (packing, saved) = next(iter(left.items()))
            del left[name]
            chosen[name] = packing
            over -= saved
        over = bytes_of(chosen) - budget_bytes
    return chosen


def largest_savings(model: QuantizedModel) -> dict[str, tuple[str, int]]:
    """Layer -> its densest packing and the bytes that it saves, of layers that admit one; the largest saving first.

    Layers that share a name share a packing, the densest that all of them admit.
    """
    found: dict[str, tuple[str, int]] = {}
    names = dict.fromkeys(layer.name for layer in model.layers if isinstance(layer, WEIGHTED))
    for name in names:
        layers = [layer for layer in model.layers if isinstance(layer, WEIGHTED) and layer.name == name]
        packings = {densest(layer) for layer in layers}
        if len(packings) == 1 and packings != {BYTES}:
            (packing,) = packings
            found[name] = packing, sum(layer.weights.size - packed_bytes(layer, packing) for layer in layers)
    return dict(sorted(found.items(), key=lambda item: -item[1][1]))
