"""The network that remains when what training alone needs has gone into the weights.

Batch normalisations go into the weights before them. The squashing ``1.7159 tanh(2/3 x)`` becomes a plain tanh: 2/3
goes into the weights and the bias before it, 1.7159 into the weights behind it; so int8 has the table that every
runtime has.

Source: LeCun, Bottou, Bengio, Haffner 1998, "Gradient-based learning applied to document recognition", section II.B,
equation 6, and appendix A: with these constants f(1) = 1 and f(-1) = -1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lenet_edge.networks import wiring
from lenet_edge.networks.description import (
    Convolution,
    DepthwiseConvolution,
    Dropout,
    FullyConnected,
    LayerDescription,
    MaxPooling,
    Network,
    Rbf,
    Subsampling,
)

__all__ = ["AMPLITUDE", "SLOPE", "factors", "folded", "squashing_problems"]

AMPLITUDE, SLOPE = 1.7159, 2 / 3
"""A and S of the paper's ``A tanh(S x)``."""

_WEIGHTED = (Convolution, DepthwiseConvolution, Subsampling, FullyConnected, Rbf)


def folded(network: Network) -> Network:
    """What is left of a network: no batch normalisation, and tanh for its scaled form."""

    def plain(layer: LayerDescription) -> LayerDescription:
        if isinstance(layer, (Convolution, DepthwiseConvolution, FullyConnected)):
            layer = replace(layer, batch_norm=False)
        if _is_scaled(layer):
            layer = replace(layer, activation="tanh")  # type: ignore[arg-type]
        return layer

    features, classifier = (tuple(map(plain, layers)) for layers in (network.features, network.classifier))
    return replace(network, features=features, classifier=classifier)


def factors(network: Network) -> dict[str, tuple[float, float]]:
    """What the weights, and what the biases, of each layer are multiplied by where the squashing becomes a tanh.

    Layers that keep both are left out.
    """
    found: dict[str, tuple[float, float]] = {}
    squashed = _squashed(network)
    reads = wiring.reads(network)
    for layer in _layers(network):
        if isinstance(layer, _WEIGHTED):
            before = AMPLITUDE if reads[layer.name][0] in squashed else 1.0
            own = SLOPE if _is_scaled(layer) else 1.0
            if (before, own) != (1.0, 1.0):
                found[layer.name] = (before * own, own)
    return found


def squashing_problems(network: Network) -> Iterator[str]:
    """Why a scaled tanh cannot be folded, for a network whose layers read what there is."""
    squashed, reads = _squashed(network), wiring.reads(network)
    for layer in _layers(network):
        if _is_scaled(layer) and not isinstance(layer, _WEIGHTED):
            yield (
                f"layer {layer.name}: a scaled-tanh needs weights before it, which take its 2/3; put it behind a "
                "convolution, a subsampling or a fully connected layer"
            )
        elif not isinstance(layer, (*_WEIGHTED, MaxPooling, Dropout)) and squashed & set(reads[layer.name]):
            yield (
                f"layer {layer.name}: what it reads ends in a scaled-tanh, whose 1.7159 goes into the weights that "
                'read it, and it has none; take "tanh" there'
            )


def _squashed(network: Network) -> set[str]:
    """The names of what gives values of a scaled tanh: layers, what only moves or drops their values, and "flatten"."""
    reads, found = wiring.reads(network), set[str]()
    last = network.features[-1].name if network.features else wiring.IMAGE
    for layer in _layers(network):
        moved = isinstance(layer, (MaxPooling, Dropout)) and reads[layer.name][0] in found
        if moved or _is_scaled(layer):
            found.add(layer.name)
        if layer.name == last and layer.name in found:
            found.add(wiring.FLATTEN)
    return found


def _is_scaled(layer: LayerDescription) -> bool:
    return getattr(layer, "activation", "none") == "scaled-tanh"


def _layers(network: Network) -> tuple[LayerDescription, ...]:
    return (*network.features, *network.classifier)
