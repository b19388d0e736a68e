"""What the families of fast kernels share: the tables of the tie-free requantisation, and clamps."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from lenet_edge.formats.c_source.steps import Step
from lenet_edge.formats.c_source.tables import folded_bias
from lenet_edge.quantized.model import Weighted, channel_weights
from lenet_edge.quantized.tie_free import channel_q

__all__ = [
    "LARGEST_OFFSET",
    "bias_of",
    "clamp_calls",
    "clamp_sources",
    "largest_sum",
    "multiplier_of",
    "offset_problem",
    "sources_of",
]

LARGEST_OFFSET = 0xFFFF  # in scratch, in bytes, and sizes: the C structures have a uint16_t


def bias_of(layer: Weighted) -> npt.NDArray[np.int64]:
    """Per channel the folded bias + q + 2q z: added to the sum of raw products it is the n of le_tie_free.h."""
    q = channel_q(layer)
    return folded_bias(layer) + q + 2 * q * layer.output.zero_point


def multiplier_of(layer: Weighted) -> npt.NDArray[np.int64]:
    """Per channel floor(2^32 / 2q), which fits an int32 from q = 3 on."""
    multiplier: npt.NDArray[np.int64] = 2**31 // channel_q(layer)
    return multiplier


def largest_sum(layer: Weighted) -> npt.NDArray[np.int64]:
    """Per channel the largest |sum of raw products| that any int8 input reaches: what a packing may have to hold."""
    sums: npt.NDArray[np.int64] = 128 * np.abs(channel_weights(layer).astype(np.int64)).sum(axis=1)
    return sums


def clamp_calls(step: Step, target: str) -> tuple[str, ...]:
    """What clamps a step's output further than int8 itself does: nothing for most layers."""
    if step.clamp == (-128, 127):
        return ()
    return (f"le_clamp_s8({target}, {step.output_bytes}, {step.clamp[0]}, {step.clamp[1]});",)


def clamp_sources(step: Step) -> tuple[str, ...]:
    """The file of `clamp_calls`, where there is a call."""
    return ("shared/le_clamp.c",) if clamp_calls(step, "") else ()


def sources_of(folder: str, files: Iterable[str], step: Step) -> tuple[str, ...]:
    """Files of one folder of `firmware/kernels`, with those of the step's clamp, as `Kernel.sources` has them."""
    return (*(f"{folder}/{file}" for file in files), *clamp_sources(step))


def offset_problem(outputs_offset: int) -> str:
    """Why a matrix by patches cannot be, whose outputs lie there in scratch, behind the patch; empty where it can."""
    if outputs_offset > LARGEST_OFFSET:
        return f"its patch takes {outputs_offset} bytes of scratch, more than {LARGEST_OFFSET}"
    return ""
