"""Networks with weights of a few bits, or with connections that are not there: measured, and tested, as the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeAlias

import packed_models
from estimated_networks import (
    Two,
    drawn,
    lenet5,
    made_up,
    measured,
    ordinary,
    pooled_depthwise,
    unseen,
)
from random_chains import Chain

from lenet_edge.formats.c_source.packing import PACKINGS, packing_problem
from lenet_edge.networks.description import Convolution
from lenet_edge.quantized.model import WEIGHTED, QuantizedModel

Packed: TypeAlias = tuple[QuantizedModel, dict[str, str]]
"""A model, and layer -> how its weights are packed."""

_PACKINGS = tuple(PACKINGS)
_FULL = (-128, 127)


def few_bits(model: QuantizedModel, turn: int) -> Packed:
    """With weights that admit packing, and how they are packed: each layer in another way, beginning at `turn`."""
    names = [layer.name for layer in model.layers if isinstance(layer, WEIGHTED) and layer.name != "mean"]
    packings = {name: _PACKINGS[(turn + index) % len(_PACKINGS)] for index, name in enumerate(names)}
    largest = {name: packed_models.LARGEST[packing] for name, packing in packings.items()}
    found = packed_models.few_bits(model, largest)
    layers = {layer.name: layer for layer in found.layers}
    return found, {name: packing for name, packing in packings.items() if not packing_problem(layers[name], packing)}


def measured_few_bits() -> Iterator[Packed]:
    """(model, packings) on the tie-free grid, then off it."""
    pooled = [made_up(pooled_depthwise(width), (14, 10 + width, 1), 4) for width in (4, 7, 12, 20)]
    for index, model in enumerate(measured() + pooled):
        found, packings = few_bits(model, index)
        if index % 2 == 0:
            yield found, packings
        elif index % 4 == 1:
            yield ordinary(found), packings
    for turn in range(len(_PACKINGS)):
        for index, model in enumerate(_small()):
            found, packings = few_bits(model, index + turn)
            yield (ordinary(found) if (turn + index) % 2 else found), packings
        for model in _convolved():
            found, packings = few_bits(model, turn)
            yield found, packings
            yield ordinary(found), packings


def _small() -> Iterator[QuantizedModel]:
    """Of so few sums that what a call takes is seen, with a layer of few outputs that is not the last."""
    for index in range(6):
        chain = Chain(400 + index, (7 + index, 8 + 2 * index, 1 + index % 3), tie_free=True)
        chain.conv(3 + 2 * index, ((3, 3), (2, 3), (5, 5))[index % 3], clamp=_FULL).pool((2, 2))
        if index not in (0, 2):
            chain.depthwise(1, (2, 3), clamp=_FULL)
        if index == 4:
            chain.pool((2, 2))
        yield chain.flatten().fully_connected(8 + 3 * index, _FULL).fully_connected(2 + index, _FULL).build()


def _convolved() -> Iterator[QuantizedModel]:
    """Two convolutions of one window, of one to three maps and of more, pooled or not."""
    for index in range(18):
        window = ((3, 3), (5, 5), ((1, 1), (2, 3))[index % 2])[index % 3]
        chain = Chain(500 + index, (9 + 5 * index % 8, 8 + 3 * index % 9, 1 + index // 3 % 3), tie_free=True)
        chain.conv(4 + index // 2, window, padding="same" if index % 2 else "valid", clamp=_FULL)
        if index // 3 in (0, 3, 5):
            chain.pool((2, 2))
        chain.conv(13 - index // 2, window, padding="same", clamp=_FULL)
        if index // 3 in (1, 3):
            chain.pool((2, 2))
        yield chain.flatten().fully_connected(24 + 2 * index, _FULL).fully_connected(3, _FULL).build()
    for index in range(6):  # of which a call is a larger part
        chain = Chain(600 + index, (8, 8 + index % 3, 1 + index % 2), tie_free=True)
        chain.conv(2 + 2 * index, ((3, 3), (5, 5), (1, 1))[index % 3], clamp=_FULL).pool((2, 2))
        yield chain.flatten().fully_connected(2 + 3 * index, _FULL).fully_connected(2, _FULL).build()


def connected(
    maps: tuple[int, int], seen: int, image: tuple[int, int, int], classes: int, *, pooled: bool = True
) -> QuantizedModel:
    """LeNet-5 whose C3 sees so many maps in each channel; or with tanh, and a stride in the place of poolings."""
    network = lenet5("relu" if pooled else "tanh", maps)
    each = tuple(tuple(sorted((channel + step) % maps[0] for step in range(seen))) for channel in range(maps[1]))
    features = tuple(
        replace(layer, connections=each) if isinstance(layer, Convolution) and layer.name == "C3" else layer
        for layer in network.features
    )
    if not pooled:
        features = (replace(features[0], stride=Two), features[2])  # type: ignore[arg-type]
    return made_up(replace(network, features=features), image, classes)


def measured_connected() -> list[QuantizedModel]:
    """On the tie-free grid, then off it."""
    found = [
        connected((6, 16), 3, (28, 28, 1), 10),
        connected((6, 9), 2, (32, 30, 1), 4),
        connected((8, 12), 4, (24, 28, 1), 5),
        connected((5, 8), 1, (30, 22, 1), 3),
        connected((4, 20), 2, (26, 36, 1), 7),
        connected((10, 10), 5, (20, 20, 1), 6),
        connected((7, 15), 3, (34, 24, 1), 4),
        connected((12, 6), 3, (28, 24, 1), 2),
        connected((3, 30), 1, (22, 22, 1), 9),
        connected((6, 12), 3, (16, 18, 1), 5, pooled=False),
        connected((4, 9), 2, (20, 15, 1), 4, pooled=False),
        connected((8, 7), 5, (14, 20, 1), 6, pooled=False),
        connected((6, 12), 3, (12, 14, 1), 5, pooled=False),
    ]
    return [*found, *map(ordinary, found[::2])]


def tested_few_bits() -> dict[str, Packed]:
    """As `tested`, with packings: few bits in each layer, and a table of connections."""
    odd = ordinary(made_up(unseen(), (20, 20, 1), 5))
    return {
        **{f"few bits {turn}": few_bits(made_up(unseen(), (22, 24, 1), 12), turn) for turn in range(3)},
        "few bits, drawn": few_bits(made_up(*drawn(102), 5), 1),
        "few bits, ordinary": few_bits(odd, 2),
        "connected": (connected((6, 14), 3, (30, 26, 1), 8), {}),
    }


def together() -> Packed:
    """A table of connections with a byte for each weight, and around it each packing: what a single build can have."""
    packings = {"C1": "trits", "C5": "trits", "F6": "4", "OUTPUT": "2"}
    largest = {name: packed_models.LARGEST[packing] for name, packing in packings.items()}
    return packed_models.few_bits(connected((6, 14), 3, (22, 20, 1), 8), largest), packings
