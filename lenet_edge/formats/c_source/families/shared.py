"""What the families of fast kernels share: sizes, the tables of the tie-free requantisation, calls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.steps import Step, gaps_problem
from lenet_edge.formats.c_source.tables import Table, folded_bias
from lenet_edge.quantized.model import Weighted, channel_weights
from lenet_edge.quantized.tie_free import channel_q

__all__ = [
    "LARGEST_OFFSET",
    "OFF_THE_GRID",
    "PATCHES_HEADER",
    "Function",
    "Structure",
    "aligned",
    "bias_of",
    "fast_kernel",
    "function_of",
    "gaps_problem",
    "inputs_of",
    "largest_sum",
    "matrix_text",
    "multiplier_of",
    "offset_problem",
    "padded",
    "plus",
]

PATCHES_HEADER = "shared/le_patches.h"  # a convolution as a matrix at each position
OFF_THE_GRID = "the model is not on the tie-free grid"
LARGEST_OFFSET = 0xFFFF  # in scratch, in bytes, and sizes: the C structures have a uint16_t


def bias_of(layer: Weighted) -> npt.NDArray[np.int64]:
    """Per channel the folded bias + q + 2q z: added to the sum of raw products it is the n of le_kernels.h."""
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


# --- sizes ----------------------------------------------------------------------------------------


def aligned(size: int) -> int:
    """The next multiple of 4 bytes: tensors and scratch begin there, so that kernels can load words."""
    return -(-size // 4) * 4


def inputs_of(layer: Weighted) -> int:
    """How many inputs one output has; of a convolution those of a patch."""
    return math.prod(layer.weights.shape[1:])


def padded(array: npt.NDArray[np.int64], multiple: int, axis: int = 0) -> npt.NDArray[np.int64]:
    """Zeros behind an axis, up to a multiple."""
    missing = [(0, 0)] * array.ndim
    missing[axis] = (0, -array.shape[axis] % multiple)
    return np.pad(array, missing)


def offset_problem(outputs_offset: int) -> str:
    """Why a matrix by patches, with outputs in scratch after the patch, is impossible; empty where it is possible."""
    if outputs_offset > LARGEST_OFFSET:
        return f"its patch takes {outputs_offset} bytes of scratch, more than {LARGEST_OFFSET}"
    return ""


# --- kernels --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Function:
    """A C function that computes a step.

    Attributes:
        label: for the reader of `bench`: the family, and which of its functions.
        call: a statement with {structure}, {source}, {scratch} and {target} in it.
        structure: the C type of what {structure} points to.
        folder: of `firmware/kernels`.
        files: all that it needs, in that folder or FOLDER/FILE.
        headers: of the files, those that define the structure.
    """

    label: str
    call: str
    structure: str
    folder: str
    files: tuple[str, ...]
    headers: tuple[str, ...]


def function_of(folder: str, suffix: str, label: str, operator: str, structure: str, *files: str) -> Function:
    """The function le_OPERATOR_SUFFIX_s8, which takes (structure, input, scratch, output).

    Args:
        folder, files: as `Function` has them.
        suffix: of the family's names in C.
        label: what follows the suffix in the function's own.
        operator, structure: their names, without prefix and suffix.
    """
    call = f"le_{operator}_{suffix}_s8(&{{structure}}, {{source}}, {{scratch}}, {{target}});"
    headers = tuple(file for file in files if file.endswith(".h") and "/" not in file)
    return Function(f"{suffix} {label}", call, f"le_{suffix}_{structure}", folder, files, headers)


@dataclass(frozen=True)
class Structure:
    """What a call of a function gets: of all the outputs, or of those from channel `first` on."""

    name: str
    values: str
    first: int = 0


def fast_kernel(
    function: Function,
    step: Step,
    structures: Sequence[Structure],
    tables: Sequence[Table],
    scratch_bytes: int = 0,
    *,
    clamps: bool = False,
    rows_at_once: int = 0,
) -> Kernel:
    """One call for each structure, each of which writes its channels of every position; then the clamp.

    Args:
        clamps: the function does it itself.
        rows_at_once: as `Kernel` has it, of a single call.
    """
    clamping = () if clamps else _clamp_calls(step, "")

    def calls(sources: tuple[str, ...], target: str, scratch: str) -> tuple[str, ...]:
        (source,) = sources
        texts = []
        for part in structures:
            where = f"{target}{plus(part.first)}"
            texts.append(function.call.format(structure=part.name, source=source, scratch=scratch, target=where))
        return (*texts, *(_clamp_calls(step, target) if clamping else ()))

    clamp = ("shared/le_clamp.c",) if clamping else ()
    return Kernel(
        name=function.label,
        sources=(*(file if "/" in file else f"{function.folder}/{file}" for file in function.files), *clamp),
        headers=function.headers,
        tables=tuple(tables),
        definitions="".join(
            f"static LE_TABLE {function.structure} {part.name} = {{{part.values}}};\n" for part in structures
        ),
        calls=calls,
        scratch_bytes=scratch_bytes,
        rows_at_once=rows_at_once if len(structures) == 1 else 0,
    )


def _clamp_calls(step: Step, target: str) -> tuple[str, ...]:
    """What clamps a step's output further than int8 itself does: nothing for most layers."""
    if step.clamp == (-128, 127):
        return ()
    return (f"le_clamp_s8({target}, {step.output_bytes}, {step.clamp[0]}, {step.clamp[1]});",)


def plus(offset: int) -> str:
    """What goes behind a pointer in C to one so many elements further on."""
    return f" + {offset}" if offset else ""


def matrix_text(layer: Weighted, name: str) -> str:
    """Inputs, outputs, steps of four inputs, table: how the structures of several families begin."""
    return f"{inputs_of(layer)}, {len(layer.bias)}, {-(-inputs_of(layer) // 4)}, {name}_table"
