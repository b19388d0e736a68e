"""Families of kernels: for each instruction set, which of its functions computes a step, with which tables.

`FAMILIES` is the one list of them: `export --kernels`, the boards' `cpu.kernels`, the engines `host_c-x86` and
`host_c-neon`, and the exported projects take from it which families there are, and where they run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from lenet_edge.formats.c_source.families import avr, avr_packed, compact, cortex_m_dsp, cortex_m_mve, lanes, neon, x86
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.steps import Step

__all__ = ["FAMILIES", "PLAIN", "Family"]

PLAIN = "plain"


class Kernels(Protocol):
    """What a family has for a step with weights."""

    def __call__(self, step: Step, name: str, *, divisible: bool) -> Sequence[Kernel] | str:
        """The kernels, or why there is none.

        Args:
            step: its windows have no gaps, its channels are not in groups, a depthwise one has an output for each.
            name: what its C identifiers begin with.
            divisible: the model is on the tie-free grid: requantisation is one division (`shared.bias_of`,
                `multiplier_of`), and no weight is odd; otherwise it is TFLM's (`tables.double_rounding_of`).
        """


class PackedKernels(Protocol):
    """What a family has for a step whose weights are packed."""

    def __call__(self, step: Step, name: str, packing: str, *, divisible: bool) -> Kernel | None:
        """The kernel; None: the portable one of `families.packed` serves.

        Args:
            step, name, divisible: as of `Kernels`.
            packing: of `packing.PACKINGS`, one that the layer admits.
        """


@dataclass(frozen=True)
class Family:
    """Kernels for one instruction set.

    Attributes:
        name: as `--kernels` and a board's TOML have it.
        folder: of `firmware/kernels`; the module that makes its tables has the same name.
        cpus: what it runs on, as GCC's -mcpu and -march, or the machine, name it; empty: everything.
        fast: the kernels that can compute a step, those that are usually best first, or why none can, so that the plain
            one serves; None: it has none at all.
        packed: the kernels of packed weights; None: it has none of its own.
        is_small: its kernels are there for their few bytes, so they are taken however many instructions others take.
    """

    name: str
    folder: str
    cpus: frozenset[str] = frozenset()
    fast: Kernels | None = None
    packed: PackedKernels | None = None
    is_small: bool = False

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
        Family("avr", "avr", frozenset({"avr5", "avr51", "avr6"}), avr.kernels, avr_packed.kernel),
        Family("cortex_m_base", "lanes", _CORTEX_M, partial(lanes.kernels, assembly="cortex_m")),
        Family("cortex_m_dsp", "cortex_m_dsp", _DSP, cortex_m_dsp.kernels),
        Family("cortex_m_mve", "cortex_m_mve", _MVE, cortex_m_mve.kernels),
        Family("neon", "neon", frozenset({"aarch64", "arm64"}), neon.kernels),
        Family("rv32", "lanes", _RV32, partial(lanes.kernels, assembly="rv32")),
        Family("rv32e", "compact", frozenset({"rv32e", "rv32ec"}), compact.kernels, compact.packed, is_small=True),
        Family("x86", "x86", frozenset({"x86_64", "amd64"}), x86.kernels),
    )
}
"""By name; the plain kernels, which every other family falls back to, come first."""
