"""Which part of a tensor STRIDED_SLICE takes."""

from __future__ import annotations

from dataclasses import dataclass

from lenet_edge.errors import BadInputError
from lenet_edge.formats.tflite.wiring import Step

__all__ = ["Part", "taken"]


@dataclass(frozen=True)
class Part:
    """Along one axis `count` values from `begin` in steps of `stride`; whether the axis is dropped then."""

    begin: int
    stride: int
    count: int
    dropped: bool


def taken(step: Step) -> list[Part]:
    """What the operator takes along each axis of its first input.

    Raises:
        BadInputError: masks that TFLM does not take, or a part that is empty.

    Source: ``StridedSliceStartForAxis``, ``StridedSliceEndForAxis`` (kernels/internal/reference/strided_slice.h).
    """
    options, shape = step.required_options(), step.tensor(0).shape
    if options.ellipsis_mask or options.new_axis_mask or options.offset:
        raise BadInputError(f"{step.where} has an ellipsis, a new axis or an offset, which is not supported")
    lists = [step.integers(position) for position in (1, 2, 3)]
    if any(values.shape != (len(shape),) for values in lists):
        raise BadInputError(f"{step.where} names a part along {lists[0].size} axes of {len(shape)}; all are needed")
    parts = []
    for axis, size in enumerate(shape):
        begin, end, stride = (int(values[axis]) for values in lists)
        masked = [bool(mask >> axis & 1) for mask in (options.begin_mask, options.end_mask, options.shrink_axis_mask)]
        part = _part(begin, end, stride, size, *masked)
        if part is None:
            raise BadInputError(f"{step.where} takes {begin}:{end}:{stride} of axis {axis}, which has {size} values")
        parts.append(part)
    return parts


def _part(begin: int, end: int, stride: int, size: int, open_begin: bool, open_end: bool, shrink: bool) -> Part | None:
    """Python's rule of slices; None where nothing is left, or a dropped axis does not name one value."""
    if shrink:
        index = begin + size if begin < 0 else begin
        return Part(index, 1, 1, True) if 0 <= index < size and stride == 1 and not open_begin else None
    if stride == 0:
        return None
    found = range(size)[slice(None if open_begin else begin, None if open_end else end, stride)]
    return Part(found[0], stride, len(found), False) if len(found) else None
