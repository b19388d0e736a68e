"""How many bits the weights of each layer take: ``4``, or ``C5=2,F6=4``.

On the tie-free grid a weight is ``2 k``. With 8 bits k is -63..63, with 4 bits -7..7, with 2 bits -1..1 (ternary). All
of these are even int8 values, so a model with few bits is an ordinary int8 model to every runtime.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from lenet_edge.errors import BadInputError
from lenet_edge.networks.description import AveragePooling, Convolution, DepthwiseConvolution, FullyConnected, Network

__all__ = ["LEVELS", "few_bits", "few_bits_of", "named_bits", "parse_weight_bits", "weighted_layers"]

LEVELS: Mapping[int, int] = {8: 63, 4: 7, 2: 1}
"""Bits of a weight to the largest k of its values ``2 k``."""


def weighted_layers(network: Network) -> tuple[str, ...]:
    """The layers that have weights of their own, in their order; averages have none."""
    kinds = (Convolution, DepthwiseConvolution, FullyConnected)
    layers = (*network.features, *network.classifier)
    return tuple(layer.name for layer in layers if isinstance(layer, kinds) and not isinstance(layer, AveragePooling))


def parse_weight_bits(spec: str, network: Network) -> dict[str, int]:
    """The bits of every layer with weights.

    Args:
        spec: one number for all layers, or ``LAYER=BITS`` with commas between; a number among these is for the layers
            that are not named, 8 without it.

    Raises:
        BadInputError: a part of it is neither, names no layer with weights or names one twice.
    """
    others, named = _parts(spec, network)
    return {name: named.get(name, others or 8) for name in weighted_layers(network)}


def named_bits(spec: str, network: Network) -> dict[str, int]:
    """The bits of the layers that are named, where the others are to be found.

    Raises:
        BadInputError: as of `parse_weight_bits`; also where a number is for the layers that are not named.
    """
    others, named = _parts(spec, network)
    if others is not None:
        raise BadInputError(
            f"weight bits {spec!r}: {others} is for all layers that are not named, which leaves --fit-board nothing to "
            "find; name layers only, such as F6=4"
        )
    return named


def _parts(spec: str, network: Network) -> tuple[int | None, dict[str, int]]:
    """The bits of the layers that are not named, if anything says so, and those of the named ones."""
    names = weighted_layers(network)
    others: int | None = None
    named: dict[str, int] = {}
    for part in spec.split(","):
        name, equals, number = (text.strip() for text in part.partition("="))
        if not equals:
            if others is not None:
                raise BadInputError(f"weight bits {spec!r}: two numbers for the layers that are not named")
            others = _bits(name, spec)
        elif name not in names:
            raise BadInputError(f"weight bits {spec!r}: {_no_such_layer(name, names)}")
        elif name in named:
            raise BadInputError(f"weight bits {spec!r}: layer {name} is named twice")
        else:
            named[name] = _bits(number, spec)
    return others, named


def few_bits(spec: str, network: Network) -> dict[str, int]:
    """The layers of `parse_weight_bits` that have fewer than 8 bits, and how many."""
    return few_bits_of(parse_weight_bits(spec, network))


def few_bits_of(bits: Mapping[str, int]) -> dict[str, int]:
    """Those of the layers that have fewer than 8."""
    return {name: each for name, each in bits.items() if each < 8}


def _bits(text: str, spec: str) -> int:
    if text not in map(str, LEVELS):
        raise BadInputError(f"weight bits {spec!r}: {text!r} is not 8, 4 or 2; write 4, or C5=2,F6=4")
    return int(text)


def _no_such_layer(name: str, names: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"do you mean {near[0]}?" if near else f"there are {', '.join(names)}"
    return f"no layer with weights is called {name!r}; {hint}"
