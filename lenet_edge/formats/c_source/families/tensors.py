"""Kernels of the operators on tensors of any shape, for every family: structures for le_tensors.h.

Axes that can be counted as one are, so that the loops of the C are as long as they can be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from types import MappingProxyType

from lenet_edge.errors import BadInputError
from lenet_edge.formats.c_source.families.shared import plus
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.steps import Step
from lenet_edge.quantized.elementwise import LEFT_SHIFT, product_multiplier, sum_parameters
from lenet_edge.quantized.mean import parameters as mean_parameters
from lenet_edge.quantized.model import (
    Add,
    Concatenate,
    Constant,
    Layer,
    Mean,
    Multiply,
    Pad,
    Reshape,
    Slice,
    Subtract,
    Transpose,
)
from lenet_edge.quantized.requantize import Multiplier

__all__ = ["KINDS", "initialiser", "kernel", "mean_axes", "mean_kernel", "pairs_of", "regions_of", "structured"]

KINDS: Mapping[type[Layer], str] = MappingProxyType(
    {
        Add: "add",
        Subtract: "subtract",
        Multiply: "multiply",
        Mean: "mean",
        Concatenate: "concatenate",
        Pad: "pad",
        Slice: "slice",
        Transpose: "transpose",
        Reshape: "copy",
    }
)
"""The names of the operators by the type of their layer; a `Reshape` is a step only where it copies."""

_AXES = 4  # LE_AXES
_HEADER = "le_tensors.h"
_SOURCES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "le_add": ("le_add.c", "le_pairs.c", "le_pairs.h"),
        "le_multiply": ("le_multiply.c", "le_pairs.c", "le_pairs.h"),
        "le_mean": ("le_mean.c", "le_fours.h", "le_scaled.c"),
        "le_region": ("le_move.c",),
    }
)
"""The files that a structure's functions need besides the header."""
_MOVING, _MOVING_WORDS = "shared/le_move.c", "shared/le_move_words.c"
_FAST_MEAN = ("le_mean_fours.c", "le_pairs.h", "le_sums.h", "le_sums_mve.h", "le_sums_words.h")


def kernel(step: Step, name: str, *, small: bool = True) -> Kernel:
    """The kernel of a step whose layer is one of `KINDS`, with C identifiers that begin with `name`.

    Args:
        small: fewer bytes before fewer instructions; a mean and what only moves values have both.

    Raises:
        BadInputError: its axes need more loops than the C has.
    """
    if isinstance(step.layer, Mean) and not small and _takes_fast_mean(step):
        return _mean(step, name, _FAST_MEAN)
    made = _KERNELS[type(step.layer)](step, name)
    return made if small else _in_words(made)


def _in_words(kernel: Kernel) -> Kernel:
    """The same with the functions of le_move_words.c, if it has that of le_move.c."""
    if _MOVING not in kernel.sources:
        return kernel
    sources = tuple(_MOVING_WORDS if source == _MOVING else source for source in kernel.sources)

    def calls(read: tuple[str, ...], target: str, scratch: str) -> tuple[str, ...]:
        texts = kernel.calls(read, target, scratch)
        return tuple(
            text.replace("memset(", "le_fill_s8(").replace("le_move_s8(", "le_move_words_s8(") for text in texts
        )

    return replace(kernel, sources=sources, calls=calls)


def structured(
    structure: str,
    definitions: Mapping[str, str],
    calls: Callable[..., tuple[str, ...]],
    files: Sequence[str] = (),
    header: str = _HEADER,
) -> Kernel:
    """A kernel with structures of one type: identifier -> initialiser; it needs the `files` of shared/."""
    return Kernel(
        name="plain",
        sources=tuple(f"shared/{file}" for file in dict.fromkeys((_HEADER, header, *(files or _SOURCES[structure])))),
        headers=(header,),
        definitions="".join(f"static LE_TABLE {structure} {name} = {text};\n" for name, text in definitions.items()),
        calls=calls,
    )


# --- axes ---------------------------------------------------------------------------------------------


def _contiguous(shape: Sequence[int]) -> list[int]:
    """Bytes from one value to the next along each axis."""
    return [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]


def _merged(step: Step, most: int, counts: Sequence[int], *strides: Sequence[int]) -> list[list[int]]:
    """The counts and the strides of each operand, with as few axes as can be, filled up in front to `most`.

    Two neighbours are one axis where each operand goes from the end of the inner one to its next beginning.
    """
    axes: list[list[int]] = []  # count, strides
    for count, *by in zip(counts, *strides, strict=True):
        if count == 1:
            continue
        if axes and all(outer == inner * count for outer, inner in zip(axes[-1][1:], by, strict=True)):
            axes[-1] = [axes[-1][0] * count, *by]
        else:
            axes.append([count, *by])
    if len(axes) > most:
        raise BadInputError(
            f"layer {step.layer.name}: its values lie along {len(axes)} axes that cannot be counted as one; the C "
            f"kernels have loops for {most}"
        )
    filled = [[1, *[0] * len(strides)]] * (most - len(axes)) + axes
    return [list(column) for column in zip(*filled, strict=True)]


def initialiser(*parts: object) -> str:
    """A structure's values; a list is an array."""
    return f"{{{', '.join(initialiser(*part) if isinstance(part, list) else str(part) for part in parts)}}}"


def _factor(by: Multiplier) -> str:
    """Shifts beyond 31 are where the value is always 0. A multiplier of 0 has any; le_add.c wants it to the right."""
    return initialiser(by.mantissa, min(by.shift, 31) if by.mantissa else -1)


def _scaling(step: Step, by: Multiplier) -> str:
    return initialiser(_factor(by), step.output.zero_point, *step.clamp)


# --- two operands ---------------------------------------------------------------------------------------


def pairs_of(step: Step, order: Sequence[int]) -> str:
    """The initialiser of le_pairs, the operands in that order.

    An axis of 1, or one that is missing in front, serves the output's whole axis.
    """
    shape, strides = step.output.shape, []
    for tensor in (step.inputs[at] for at in order):
        filled = (1,) * (len(shape) - len(tensor.shape)) + tensor.shape
        own = zip(_contiguous(filled), filled, strict=True)
        strides.append([0 if size == 1 else stride for stride, size in own])
    return initialiser(*_merged(step, _AXES, shape, *strides))


def _elementwise(step: Step, name: str) -> Kernel:
    """A product, or a sum whose first operand is the one with the larger scale."""
    layer = step.layer
    assert isinstance(layer, (Add, Subtract, Multiply))
    order = [0, 1] if isinstance(layer, Multiply) or layer.inputs[0].scale >= layer.inputs[1].scale else [1, 0]
    values: list[object] = [pairs_of(step, order), *(layer.inputs[at].zero_point for at in order)]
    if isinstance(layer, Multiply):
        structure, function = "le_multiply", "le_multiply_s8"
        values.append(_scaling(step, product_multiplier(layer)))
    else:
        structure, function = "le_add", "le_add_s8"
        values += _sum(step, layer, order)

    def calls(sources: tuple[str, ...], target: str, _scratch: str) -> tuple[str, ...]:
        return (f"{function}(&{name}, {', '.join(sources[at] for at in order)}, {target});",)

    return structured(structure, {name: initialiser(*values)}, calls)


def _sum(step: Step, layer: Add | Subtract, order: Sequence[int]) -> list[object]:
    """What le_add has behind the zero points; the operands are in the order of the C."""
    by = sum_parameters(layer)
    signs = (1, -1 if isinstance(layer, Subtract) else 1)
    narrow, left = (by.first, by.second)[order[1]], LEFT_SHIFT
    if narrow.shift == 0:  # exactly 1/2: twice the value, of which nothing is rounded, and a shift to the right
        narrow, left = narrow._replace(shift=-1), LEFT_SHIFT + 1
    return [*(signs[at] for at in order), left, _factor(narrow), _scaling(step, by.output)]


# --- means ----------------------------------------------------------------------------------------------


def _mean(step: Step, name: str, files: Sequence[str] = ()) -> Kernel:
    assert isinstance(step.layer, Mean)
    return mean_kernel(step, name, _scaling(step, mean_parameters(step.layer).multiplier), files)


def _takes_fast_mean(step: Step) -> bool:
    """Whether le_mean_fours.c computes it: its input is in RAM, and its sums and axes are small enough."""
    layer = step.layer
    assert isinstance(layer, Mean)
    found, zero_point = mean_parameters(layer), step.input.zero_point
    largest = found.count * max(127 - zero_point, zero_point + 128) << max(found.multiplier.shift, 0)
    return not isinstance(step.reads[0], Constant) and found.count < 1 << 16 and largest < 1 << 28


def mean_kernel(step: Step, name: str, scaling: str, files: Sequence[str] = ()) -> Kernel:
    """That of a mean whose sum is scaled by what the initialiser of le_scaling says, in the files if not TFLM's."""
    layer = step.layer
    assert isinstance(layer, Mean)
    kept, meant = mean_axes(step)
    bias = -math.prod(meant[0]) * step.input.zero_point
    values = initialiser(kept[0], meant[0], kept[1], meant[1], bias, scaling)

    function = "le_mean_fours_s8" if files == _FAST_MEAN else "le_mean_s8"

    def calls(sources: tuple[str, ...], target: str, _scratch: str) -> tuple[str, ...]:
        return (f"{function}(&{name}, {sources[0]}, {target});",)

    return structured("le_mean", {name: values}, calls, files)


def mean_axes(step: Step) -> tuple[list[list[int]], list[list[int]]]:
    """The axes that a mean keeps and those that it is taken along, two each: how many values, bytes between them."""
    layer, shape = step.layer, step.input.shape
    assert isinstance(layer, Mean)
    strides = _contiguous(shape)
    kept, meant = (
        _merged(step, _AXES // 2, [shape[axis] for axis in axes], [strides[axis] for axis in axes])
        for axes in ([axis for axis in range(len(shape)) if axis not in layer.axes], list(layer.axes))
    )
    return kept, [meant[0], [stride or 4 for stride in meant[1]]]  # le_area.pixel is not 0, even if there is only one


# --- moves ----------------------------------------------------------------------------------------------


def regions_of(step: Step) -> list[list[list[int]]]:
    """What a step that only moves values moves, as le_region has it: for each source counts, strides from and to.

    Sources that are in their place already are left out.
    """
    layer, to = step.layer, _contiguous(step.output.shape)
    if isinstance(layer, (Concatenate, Pad)):
        moved = [tensor for number, tensor in enumerate(step.inputs) if number not in step.placed]
        return [_merged(step, _AXES, tensor.shape, _contiguous(tensor.shape), to) for tensor in moved]
    strides = _contiguous(step.input.shape)
    if isinstance(layer, Slice):
        strides = [pace * stride for pace, stride in zip(layer.stride, strides, strict=True)]
    elif isinstance(layer, Transpose):
        strides = [strides[axis] for axis in layer.order]
    return [_merged(step, _AXES, step.output.shape, strides, to)]


def _moved(step: Step, name: str) -> Kernel:
    """A part of the input, or its axes in another order; without either it is a copy."""
    layer, first, (region,) = step.layer, 0, regions_of(step)
    if isinstance(layer, Slice):
        strides = _contiguous(step.input.shape)
        first = sum(begin * stride for begin, stride in zip(layer.begin, strides, strict=True))

    def calls(sources: tuple[str, ...], target: str, _scratch: str) -> tuple[str, ...]:
        return (f"le_move_s8(&{name}, {sources[0]}{plus(first)}, {target});",)

    return structured("le_region", {name: initialiser(*region)}, calls)


def _pad(step: Step, name: str) -> Kernel:
    layer = step.layer
    assert isinstance(layer, Pad)
    strides = _contiguous(step.output.shape)
    first = sum(count * stride for count, stride in zip(layer.before, strides, strict=True))
    (region,) = regions_of(step)

    def calls(sources: tuple[str, ...], target: str, _scratch: str) -> tuple[str, ...]:
        return (
            f"memset({target}, {layer.value}, {step.output_bytes});",
            f"le_move_s8(&{name}, {sources[0]}, {target}{plus(first)});",
        )

    return structured("le_region", {name: initialiser(*region)}, calls)


def _concatenate(step: Step, name: str) -> Kernel:
    layer = step.layer
    assert isinstance(layer, Concatenate)
    strides = _contiguous(step.output.shape)
    begins = accumulate((tensor.shape[layer.axis] for tensor in step.inputs), initial=0)
    moved = [number for number in range(len(step.inputs)) if number not in step.placed]
    firsts = [begin * strides[layer.axis] for begin in begins]
    regions = {f"{name}_{number}": initialiser(*values) for number, values in zip(moved, regions_of(step), strict=True)}

    def calls(sources: tuple[str, ...], target: str, _scratch: str) -> tuple[str, ...]:
        return tuple(
            f"le_move_s8(&{name}_{number}, {sources[number]}, {target}{plus(firsts[number])});" for number in moved
        )

    return structured("le_region", regions, calls) if moved else Kernel("plain", (), calls)


_KERNELS: Mapping[type[Layer], Callable[[Step, str], Kernel]] = MappingProxyType(
    {
        Add: _elementwise,
        Subtract: _elementwise,
        Multiply: _elementwise,
        Mean: _mean,
        Concatenate: _concatenate,
        Pad: _pad,
        Slice: _moved,
        Transpose: _moved,
        Reshape: _moved,
    }
)
