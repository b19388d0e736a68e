"""Behind the reading: activations join the layer before them, and what nothing reads goes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lenet_edge.quantized.layers import ELEMENTWISE, WEIGHTED, AveragePool2d, Layer, MaxPool2d, Rescale, clamp_of

__all__ = ["Wiring", "tidied"]

_CLAMPED = (*WEIGHTED, *ELEMENTWISE, MaxPool2d, AveragePool2d)


@dataclass
class Wiring:
    """Layers, what each reads, and which of them the model gives."""

    layers: list[Layer]
    reads: list[tuple[int, ...]]
    results: list[int]


def tidied(wiring: Wiring) -> tuple[Wiring, dict[int, int]]:
    """The wiring with less in it, and for each layer that is left, by its old index, the new one."""
    wiring = Wiring(list(wiring.layers), list(wiring.reads), list(wiring.results))
    gone = _join_activations(wiring)
    alive = _alive(wiring)
    numbers = {old: new for new, old in enumerate(sorted(alive))}
    kept = Wiring(
        [wiring.layers[old] for old in sorted(alive)],
        [tuple(numbers.get(place, place) for place in wiring.reads[old]) for old in sorted(alive)],
        [numbers[place] for place in wiring.results],
    )
    places = dict(numbers)
    for activation, source in gone.items():
        places.pop(source, None)  # it gives something else now
        if source in numbers:
            places[activation] = numbers[source]
    return kept, places


def _alive(wiring: Wiring) -> set[int]:
    found, todo = set(), list(wiring.results)
    while todo:
        place = todo.pop()
        if place >= 0 and place not in found:
            found.add(place)
            todo += wiring.reads[place]
    return found


def _join_activations(wiring: Wiring) -> dict[int, int]:
    """Make RELU and RELU6 on one scale the clamp of a layer that nothing else reads; activation -> that layer."""
    joined: dict[int, int] = {}
    for index, layer in enumerate(wiring.layers):
        if not isinstance(layer, Rescale) or layer.operator not in ("RELU", "RELU6") or layer.input != layer.output:
            continue
        (source,) = wiring.reads[index]
        before = wiring.layers[source] if source >= 0 else None
        if not isinstance(before, _CLAMPED) or source in wiring.results or _alive_readers(wiring, source) != {index}:
            continue
        if clamp_of(before) != (-128, 127):
            continue
        low, high = int(layer.table.min()), int(layer.table.max())
        wiring.layers[source] = replace(before, clamp_min=low, clamp_max=high)
        for reader, places in enumerate(wiring.reads):
            wiring.reads[reader] = tuple(source if place == index else place for place in places)
        wiring.results = [source if place == index else place for place in wiring.results]
        joined[index] = source
    return joined


def _alive_readers(wiring: Wiring, place: int) -> set[int]:
    alive = _alive(wiring)
    return {reader for reader, places in enumerate(wiring.reads) if place in places and reader in alive}
