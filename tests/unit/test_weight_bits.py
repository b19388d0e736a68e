"""`--weight-bits`: what it names, and what is refused."""

from __future__ import annotations

import re

import pytest

from lenet_edge.errors import BadInputError
from lenet_edge.networks import reader
from lenet_edge.networks.weight_bits import few_bits, parse_weight_bits

LENET5 = reader.load("lenet5")
ALL = ("C1", "C3", "C5", "F6", "OUTPUT")


@pytest.mark.parametrize(
    ("spec", "bits"),
    [
        ("8", (8, 8, 8, 8, 8)),
        ("2", (2, 2, 2, 2, 2)),
        ("C5=2,F6=4", (8, 8, 2, 4, 8)),
        (" F6 = 4 , C5=2", (8, 8, 2, 4, 8)),
        ("2,C1=8", (8, 2, 2, 2, 2)),
        ("OUTPUT=4,2", (2, 2, 2, 2, 4)),
    ],
)
def test_bits_of_every_layer(spec: str, bits: tuple[int, ...]) -> None:
    assert parse_weight_bits(spec, LENET5) == dict(zip(ALL, bits, strict=True))


def test_few_bits_are_those_below_8() -> None:
    assert few_bits("8", LENET5) == {}
    assert few_bits("2,C1=8", LENET5) == {"C3": 2, "C5": 2, "F6": 2, "OUTPUT": 2}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("3", "'3' is not 8, 4 or 2"),
        ("", "'' is not 8, 4 or 2"),
        ("C5=", "'' is not 8, 4 or 2"),
        ("C5=1", "'1' is not 8, 4 or 2"),
        ("C5=2,", "'' is not 8, 4 or 2"),
        ("4,2", "two numbers for the layers that are not named"),
        ("C5=2,C5=4", "layer C5 is named twice"),
        ("S2=2", "'S2'"),
        ("c5=2", "do you mean C5?"),
        ("=2", "no layer with weights is called ''"),
    ],
)
def test_what_means_nothing_is_refused(spec: str, message: str) -> None:
    with pytest.raises(BadInputError, match=re.escape(message)):
        parse_weight_bits(spec, LENET5)
