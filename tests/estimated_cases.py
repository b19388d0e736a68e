"""Firmware that was built, run and counted (tests/unit/estimated_counts.json); none of it was measured for `fits`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import packed_models
from estimated_few_bits import connected, few_bits, tested_few_bits, together
from estimated_networks import Three, Two, made_up, ordinary, separable, tested
from random_chains import Chain

from lenet_edge.networks import reader
from lenet_edge.networks.description import Convolution, FullyConnected, Network
from lenet_edge.quantized.model import QuantizedModel

COUNTS = Path(__file__).parent / "unit" / "estimated_counts.json"
"""Board -> case -> instructions or cycles; benchmarks/estimated_counts.py writes it."""

BOARDS = ("atmega2560", "ch32v003", "mps2-an386", "mps3-an547", "pico", "riscv-virt", "uno")


@dataclass(frozen=True)
class Case:
    """A firmware; options as of `estimate`."""

    model: QuantizedModel
    optimize: str = "speed"
    packings: dict[str, str] = field(default_factory=dict)


def _small(packing: str, window: tuple[int, int] = Three, channels: int = 4) -> Case:
    """8 x 8 pixels by a convolution of few channels, pooled, and one layer more."""
    chain = Chain(11, (8, 8, 1), tie_free=True).conv(channels, window, name="c").pool(Two).flatten()
    model = chain.fully_connected(3, name="f").build()
    found, packings = few_bits(model, ("4", "2", "trits").index(packing))
    return Case(found, packings=packings)


def _one_convolution() -> QuantizedModel:
    features = (Convolution("c", 6, Three, (1, 1), "valid", "relu"),)
    return made_up(Network("one", "one convolution", features, (FullyConnected("out", None),)), (12, 12, 1), 4)


def _of(name: str) -> QuantizedModel:
    return made_up(reader.load(name), (28, 28, 1), 10)


def cases() -> dict[str, Case]:
    """By name; a board runs those that fit it."""
    small = {f"small, {packing}": _small(packing) for packing in ("4", "2", "trits")}
    one, lenet5, original, others = _one_convolution(), _of("lenet5"), _of("lenet5-1998"), tested()
    packed = {
        **tested_few_bits(),
        "together": together(),
        "one convolution, 4": few_bits(one, 0),
        "one convolution, trits": few_bits(one, 2),
        "lenet5, few bits": few_bits(lenet5, 0),
        "separable, few bits": few_bits(made_up(separable(6), (18, 18, 1), 6), 1),
    }
    largest = {"C5": 1, "F6": 7, "OUTPUT": 7}
    for_uno = Case(packed_models.few_bits(original, largest), "size", {"C5": "trits", "F6": "4", "OUTPUT": "4"})
    return {
        **small,
        "small, ordinary": Case(ordinary(small["small, 4"].model), packings=small["small, 4"].packings),
        "small, 5 x 5": _small("4", (5, 5), 7),
        **{name: Case(model, packings=packings) for name, (model, packings) in packed.items()},
        "one convolution": Case(one, "size"),
        "lenet5": Case(lenet5),
        "lenet5, size": Case(lenet5, "size"),
        "connected, size": Case(connected((4, 7), 2, (16, 16, 1), 5), "size"),
        "lenet5-1998": Case(original),
        "lenet5-1998, size": Case(original, "size"),
        "lenet5-1998, few bits, size": for_uno,
        **{name: Case(others[name]) for name in ("unseen", "separable", "ordinary", "in a row", "drawn 100")},
        **{f"{name}, size": Case(others[name], "size") for name in ("unseen", "ordinary", "drawn 101")},
    }
