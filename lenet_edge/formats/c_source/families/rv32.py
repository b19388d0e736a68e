"""Kernels for 32-bit RISC-V with multiplication (RV32IM): lanes.py with the assembly of firmware/arch/riscv/kernels."""

from __future__ import annotations

from lenet_edge.formats.c_source.families import lanes
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.steps import Step

__all__ = ["kernel"]


def kernel(step: Step, name: str) -> Kernel | str:
    """The fast kernel of a step with weights, or why there is none; see `families`."""
    return lanes.kernel(step, name, folder="arch/riscv/kernels", suffix="rv32")
