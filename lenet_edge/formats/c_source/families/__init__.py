"""Families of kernels: for each instruction set, which of its functions computes a step, with which tables.

`FAMILIES` is the one list of them: `export --kernels`, the boards' `cpu.kernels`, the engine `host_c-x86` and the
exported projects take from it which families there are, and where they run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from lenet_edge.formats.c_source.families import avr, cortex_m_dsp, cortex_m_mve, lanes, plain, x86
from lenet_edge.formats.c_source.families.shared import gaps_problem, multiplier_of
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.steps import Step
from lenet_edge.quantized.model import WEIGHTED

__all__ = ["FAMILIES", "PLAIN", "Family", "choose"]

PLAIN = "plain"


@dataclass(frozen=True)
class Family:
    """Kernels for one instruction set.

    Attributes:
        name: as `--kernels` and a board's TOML have it.
        folder: of `firmware/kernels`; the module that makes its tables has the same name.
        cpus: what it runs on, as GCC's -mcpu and -march, or the machine, name it; empty: everything.
        fast: (step, C identifier) -> its kernel, or why it has no fast path for that step, so that the plain one
            serves; None: it has none at all. It is only asked for layers on the tie-free grid, whose requantisation is
            one division.
    """

    name: str
    folder: str
    cpus: frozenset[str] = frozenset()
    fast: Callable[[Step, str], Kernel | str] | None = None

    def runs_on(self, cpu: str) -> bool:
        """Whether a processor of this name runs its kernels."""
        return not self.cpus or cpu.lower() in self.cpus


_MVE = frozenset({"cortex-m52", "cortex-m55", "cortex-m85"})
_DSP = _MVE | {"cortex-m4", "cortex-m7", "cortex-m33", "cortex-m35p"}
_CORTEX_M = _DSP | {"cortex-m0", "cortex-m0plus", "cortex-m1", "cortex-m3", "cortex-m33+nodsp"}  # M23: no Thumb-2
_RV32 = frozenset({"rv32im", "rv32imc", "rv32imac", "rv32imafc", "rv32gc"})

FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        Family(PLAIN, "plain"),
        Family("avr", "avr", frozenset({"avr51", "avr6"}), avr.kernel),
        Family("cortex_m_base", "lanes", _CORTEX_M, partial(lanes.kernel, assembly="cortex_m")),
        Family("cortex_m_dsp", "cortex_m_dsp", _DSP, cortex_m_dsp.kernel),
        Family("cortex_m_mve", "cortex_m_mve", _MVE, cortex_m_mve.kernel),
        Family("rv32", "lanes", _RV32, partial(lanes.kernel, assembly="rv32")),
        Family("x86", "x86", frozenset({"x86_64", "amd64"}), x86.kernel),
    )
}
"""By name; the plain kernels, which every other family falls back to, come first."""


def choose(family: str, step: Step, name: str, *, divisible: bool) -> Kernel:
    """The kernel of a step, whose C identifiers begin with `name`.

    Args:
        family: a name of `FAMILIES`.
        step: the step.
        name: a C identifier.
        divisible: the model is on the tie-free grid (`tables.is_divisible`).
    """
    fast = FAMILIES[family].fast
    if fast is None or not isinstance(step.layer, WEIGHTED):
        return plain.kernel(step, name, divisible=divisible)
    if not divisible:
        found: Kernel | str = "the model is not on the tie-free grid"
    elif (multiplier_of(step.layer) >= 2**31).any():
        found = "a channel has q = 1, whose multiplier no int32 holds"
    else:
        found = gaps_problem(step.layer) or fast(step, name)
    if isinstance(found, Kernel):
        return found
    return replace(plain.kernel(step, name, divisible=divisible), why_plain=found)
