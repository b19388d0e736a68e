"""Families of kernels: for each instruction set, which of its functions computes a step, with which tables.

A family is a function `(step, name) -> Kernel | str`, the text saying why it
has no fast path for that step; the plain kernel serves then. It is only asked
for layers on the tie-free grid, whose requantisation is one division.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from lenet_edge.formats.c_source.families import avr, cortex_m_dsp, cortex_m_mve, lanes, plain, x86
from lenet_edge.formats.c_source.families.shared import multiplier_of
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.steps import Step
from lenet_edge.quantized.model import WEIGHTED

__all__ = ["FAMILIES", "PLAIN", "choose"]

PLAIN = "plain"
Family = Callable[[Step, str], "Kernel | str"]


FAMILIES: Mapping[str, Family] = {
    "avr": avr.kernel,
    "cortex_m_base": partial(lanes.kernel, assembly="cortex_m"),
    "cortex_m_dsp": cortex_m_dsp.kernel,
    "cortex_m_mve": cortex_m_mve.kernel,
    "rv32": partial(lanes.kernel, assembly="rv32"),
    "x86": x86.kernel,
}
"""By name, as a board's TOML says it; next to these there is "plain"."""


def choose(family: str, step: Step, name: str, *, divisible: bool) -> Kernel:
    """The kernel of a step, whose C identifiers begin with `name`.

    Args:
        family: of `FAMILIES`, or `PLAIN`.
        step: the step.
        name: a C identifier.
        divisible: the model is on the tie-free grid (`tables.is_divisible`).
    """
    if family == PLAIN or not isinstance(step.layer, WEIGHTED):
        return plain.kernel(step, name, divisible=divisible)
    if not divisible:
        found: Kernel | str = "the model is not on the tie-free grid"
    elif (multiplier_of(step.layer) >= 2**31).any():
        found = "a channel has q = 1, whose multiplier no int32 holds"
    else:
        found = FAMILIES[family](step, name)
    if isinstance(found, Kernel):
        return found
    return replace(plain.kernel(step, name, divisible=divisible), why_plain=found)
