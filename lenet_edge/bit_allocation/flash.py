"""What the weights take in the flash of a board, by layer and bits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from lenet_edge.errors import CheckFailedError
from lenet_edge.estimate import Estimate, estimate, with_sizes
from lenet_edge.formats.c_source.packing import densest, densest_packings, packed_bytes
from lenet_edge.hardware.boards import Board
from lenet_edge.networks.weight_bits import LEVELS
from lenet_edge.quantized.model import WEIGHTED, QuantizedModel
from lenet_edge.records import Sizes

__all__ = ["BITS", "FlashCosts", "costs_on", "estimate_on", "fewest", "require_possible", "with_bits"]

BITS = tuple(LEVELS)
"""What a layer's weights may have, most first."""


Build: TypeAlias = Callable[[QuantizedModel], tuple[Sizes, str] | None]


@dataclass(frozen=True)
class FlashCosts:
    """What a network takes on a board.

    Attributes:
        board: with its budgets.
        model: the network with 8 bits, whose shapes count.
        layers: those with weights of their own, in their order.
        base: bytes of flash without the tables of these layers.
        tables: layer -> bits -> bytes of the layer's weights, and of what else its kernel then keeps in tables.
        once: bits -> bytes of code that come on top as soon as any layer has them.
        build: a model -> the sizes of its firmware as a compiler makes it, and which; None without a compiler.
        optimize: "speed" or "size", as of `estimate`.
    """

    board: Board
    model: QuantizedModel
    layers: tuple[str, ...]
    base: int
    tables: Mapping[str, Mapping[int, int]]
    once: Mapping[int, int]
    build: Build = lambda _: None
    optimize: str = "speed"

    def of(self, bits: Mapping[str, int]) -> Estimate:
        """What the network takes with so many bits."""
        return estimate_on(self.board, with_bits(self.model, bits), self.optimize)

    def exactly(self, model: QuantizedModel) -> Estimate:
        """What a model takes as it is built, or else estimated."""
        found = estimate_on(self.board, model, self.optimize)
        built = None if found.flash_bytes is None else self.build(model)
        return found if built is None else with_sizes(found, self.board, *built)


def estimate_on(board: Board, model: QuantizedModel, optimize: str = "speed") -> Estimate:
    """What the firmware of a model takes, each layer's weights in the densest way that it admits."""
    return estimate(model, board, optimize, densest_packings(model))


def with_bits(model: QuantizedModel, bits: Mapping[str, int]) -> QuantizedModel:
    """The model with the weights of some layers cut off at the levels of so many bits: a stand-in for its size.

    What it computes means nothing; what is trained with these bits has the same shapes, and weights of the same levels.
    """
    layers = tuple(
        replace(layer, weights=np.clip(layer.weights, -2 * LEVELS[bits[layer.name]], 2 * LEVELS[bits[layer.name]]))
        if isinstance(layer, WEIGHTED) and bits.get(layer.name, 8) < 8
        else layer
        for layer in model.layers
    )
    return replace(model, layers=layers)


def costs_on(
    board: Board, model: QuantizedModel, choices: Mapping[str, Sequence[int]], optimize: str = "speed"
) -> FlashCosts:
    """What each choice takes; bits that take a layer no fewer bytes than more bits do are left out.

    Args:
        model: the network with 8 bits.
        choices: layer -> the bits that it may have.
        optimize: "speed" or "size", as of `estimate`.

    Raises:
        CheckFailedError: the firmware of the board cannot hold the network at all.
    """
    whole = estimate_on(board, model, optimize)
    require_possible(board, whole)
    tables: dict[str, dict[int, int]] = {}
    once: dict[int, int] = {}
    least = 0
    for name, allowed in choices.items():
        few = {bits: with_bits(model, {name: bits}) for bits in BITS if bits < 8}
        found = {bits: estimate_on(board, each, optimize) for bits, each in few.items()}
        for bits, each in found.items():
            once[bits] = max(once.get(bits, 0), _code(each) - _code(whole))
        saved = {8: 0, **{bits: _tables(whole) - _tables(each) for bits, each in found.items()}}
        most = _weight_bytes(few[min(few)], name) + saved[min(few)]
        tables[name] = _worthwhile({bits: most - each for bits, each in saved.items()}, allowed)
        least += most
    base = _code(whole) + _tables(whole) - least
    return FlashCosts(board, model, tuple(choices), base, tables, once, optimize=optimize)


def _weight_bytes(model: QuantizedModel, name: str) -> int:
    return sum(
        packed_bytes(each, densest(each)) for each in model.layers if each.name == name and isinstance(each, WEIGHTED)
    )


def _tables(found: Estimate) -> int:
    assert found.tables_bytes is not None
    return found.tables_bytes


def _code(found: Estimate) -> int:
    assert found.flash_bytes is not None
    return found.flash_bytes - _tables(found)


def _worthwhile(found: Mapping[int, int], allowed: Sequence[int]) -> dict[int, int]:
    """The bits that are allowed and take fewer bytes than all that are more; the most of them in any case."""
    kept: dict[int, int] = {}
    for bits in BITS:
        if bits in allowed and bits in found and all(found[bits] < size for size in kept.values()):
            kept[bits] = found[bits]
    return kept


def fewest(costs: FlashCosts) -> dict[str, int]:
    """For each layer the bits that take the fewest bytes."""
    return {name: min(sizes, key=lambda bits: sizes[bits]) for name, sizes in costs.tables.items()}


def require_possible(board: Board, found: Estimate) -> None:
    """Refuse what fewer bits of weights cannot help.

    Raises:
        CheckFailedError: the firmware cannot hold the network.
    """
    if found.flash_bytes is None:
        raise CheckFailedError(f"the firmware of {board.name} cannot hold the network: {found.problem}")
