"""Which layers each layer of a description reads.

The modules begin with what their first layers read by default: "image" is the input of the features, "flatten" that of
the classifier, which is the last map of the features as a vector.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lenet_edge.networks.description import Addition, Dropout, LayerDescription, MaxPooling, Network

__all__ = ["FLATTEN", "IMAGE", "is_chain", "named_inputs", "origins", "readers", "reads"]

IMAGE, FLATTEN = "image", "flatten"


def named_inputs(layer: LayerDescription) -> tuple[str, ...]:
    """The layers that a layer names; none where it reads the one before."""
    if isinstance(layer, Addition):
        return layer.inputs
    return () if layer.input is None else (layer.input,)


def reads(network: Network) -> dict[str, tuple[str, ...]]:
    """The names of what each layer reads, in the order of its operands, for a network that `checks.validate` passed."""
    found = dict(_reads_within(network.features, IMAGE))
    return found | dict(_reads_within(network.classifier, FLATTEN))


def readers(network: Network) -> dict[str, set[str]]:
    """The layers that read each layer, "flatten" among them; nothing for what nobody reads."""
    found: dict[str, set[str]] = {}
    for name, sources in reads(network).items():
        for source in sources:
            found.setdefault(source, set()).add(name)
    found.setdefault(network.features[-1].name if network.features else IMAGE, set()).add(FLATTEN)
    return found


def is_chain(layers: Sequence[LayerDescription], begin: str) -> bool:
    """Whether each layer of a module reads the one before; `begin` is `IMAGE` or `FLATTEN`."""
    before = (begin, *(layer.name for layer in layers))
    return all(sources == (name,) for (_, sources), name in zip(_reads_within(layers, begin), before, strict=False))


def origins(network: Network) -> Mapping[str, str]:
    """For each layer the one whose scale its output has on int8: itself, unless it only moves values."""
    last = network.features[-1].name if network.features else IMAGE
    found = {IMAGE: IMAGE}
    sources = reads(network)
    for layer in (*network.features, None, *network.classifier):
        if layer is None:
            found[FLATTEN] = found[last]
        else:
            moves = isinstance(layer, (MaxPooling, Dropout))
            found[layer.name] = found[sources[layer.name][0]] if moves else layer.name
    return found


def _reads_within(layers: Sequence[LayerDescription], begin: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    before = begin
    for layer in layers:
        yield layer.name, named_inputs(layer) or (before,)
        before = layer.name
