"""Kernels for Cortex-M without DSP (M0, M0+, M3): lanes.py with the assembly of firmware/arch/cortex_m/kernels."""

from __future__ import annotations

from lenet_edge.formats.c_source.families import lanes
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.steps import Step

__all__ = ["kernel"]


def kernel(step: Step, name: str) -> Kernel | str:
    """The fast kernel of a step with weights, or why there is none; see `families`."""
    return lanes.kernel(step, name, folder="arch/cortex_m/kernels", suffix="cortex_m")
