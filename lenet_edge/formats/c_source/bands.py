"""A depthwise convolution with the 1x1 convolution that alone reads it, by bands of rows.

The map between the two is never stored whole: the depthwise convolution computes a few of its rows, the other one reads
them, and so on. A band is the same layer on fewer rows, with the padding above or below only where it touches the edge,
so that every kernel computes it as it is. And since rows of the input above a band are done with, the output may grow
over them (`in_place`), as it can for no kernel that goes through its map channel by channel.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

import numpy as np

from lenet_edge.formats.c_source.choice import need_of, same_kernel
from lenet_edge.formats.c_source.families.shared import aligned
from lenet_edge.formats.c_source.in_place import rows_of
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.packing import BYTES
from lenet_edge.formats.c_source.steps import Step, gaps_problem, windows_of
from lenet_edge.quantized.model import Conv2d, DepthwiseConv2d, QTensor, positions

__all__ = ["Banded", "Bands", "banded", "bands_of", "height_of", "least_bytes", "pairs_of", "with_pairs"]


@dataclass(frozen=True)
class Bands:
    """A band, and how many that are like it follow each other.

    Attributes:
        first: row of the output.
        count: of bands.
        rows: of the output in each.
        source_row: of the input, the first one that the first band sees; a stride of `rows` further on with each.
        upper, lower: the depthwise and the 1x1 convolution on a band.
    """

    first: int
    count: int
    rows: int
    source_row: int
    upper: Step
    lower: Step


@dataclass(frozen=True, eq=False)
class Banded:
    """A pair of steps as one.

    Attributes:
        step, kernel: what computes both.
    """

    step: Step
    kernel: Kernel


def pairs_of(steps: Sequence[Step]) -> list[int]:
    """The steps that are a depthwise convolution whose only reader is the 1x1 convolution that follows."""
    readers: dict[object, int] = {}
    for step in steps:
        for source in step.reads:
            readers[source] = readers.get(source, 0) + 1
    return [
        index
        for index, (upper, lower) in enumerate(pairwise(steps))
        if _is_pair(upper, lower) and lower.reads == (index,) and readers[index] == 1
    ]


def _is_pair(upper: Step, lower: Step) -> bool:
    first, second = upper.layer, lower.layer
    if not isinstance(first, DepthwiseConv2d) or not isinstance(second, Conv2d) or upper.pool or lower.pool:
        return False
    mixes = second.weights.shape[1:3] == (1, 1) == second.stride and not gaps_problem(second)
    whole = all(margins[1:] == (0, 0) for margins in positions(second))
    return mixes and whole and not gaps_problem(first) and upper.output.shape == lower.input.shape


def bands_of(upper: Step, lower: Step, rows: int) -> list[Bands]:
    """The pair in bands of so many rows of the output, the last one of what is left."""
    height = lower.output.shape[0]
    each = [_band(upper, lower, first, min(rows, height - first)) for first in range(0, height, rows)]
    runs = (list(run) for _, run in groupby(each, key=_likeness))
    return [replace(run[0], count=len(run)) for run in runs]


def _band(upper: Step, lower: Step, first: int, rows: int) -> Bands:
    layer, across = upper.layer, lower.layer
    assert isinstance(layer, DepthwiseConv2d)
    windows, height = windows_of(layer), layer.input.shape[0]
    top = first * windows.step[0] - windows.padding[0]
    bottom = top + (rows - 1) * windows.step[0] + windows.patch[0]
    begin, end = max(top, 0), min(bottom, height)
    margins = (begin - top, bottom - end), positions(layer)[1][1:]
    source, middle = _of_rows(layer.input, end - begin), _of_rows(layer.output, rows)
    target = _of_rows(lower.output, rows)
    part = replace(layer, input=source, output=middle, padding=margins)
    assert isinstance(across, Conv2d)
    mixed = replace(across, input=middle, output=_of_rows(across.output, rows))
    return Bands(
        first,
        1,
        rows,
        begin,
        replace(upper, layer=part, inputs=(source,), output=middle),
        replace(lower, layer=mixed, inputs=(_of_rows(lower.input, rows),), output=target),
    )


def _of_rows(tensor: QTensor, rows: int) -> QTensor:
    return replace(tensor, shape=(rows, *tensor.shape[1:]))


def _likeness(band: Bands) -> tuple[object, ...]:
    """Bands with the same are computed by the same calls."""
    layer = band.upper.layer
    assert isinstance(layer, DepthwiseConv2d)
    return band.rows, layer.input.shape, layer.padding


def with_pairs(
    steps: Sequence[Step], names: Sequence[str], kernels: Sequence[Kernel], pairs: Mapping[int, Banded]
) -> tuple[list[Step], list[str], list[Kernel]]:
    """The steps with their names and kernels, those at `pairs` and behind them as one step each."""
    kept = [index for index in range(len(steps)) if index - 1 not in pairs]
    number = {old: new for new, old in enumerate(kept)} | {index + 1: kept.index(index) for index in pairs}
    found = []
    for index in kept:
        step = pairs[index].step if index in pairs else steps[index]
        reads = tuple(number[read] if isinstance(read, int) and read >= 0 else read for read in step.reads)
        found.append(replace(step, reads=reads))
    chosen = [pairs[index].kernel if index in pairs else kernels[index] for index in kept]
    return found, [names[index] for index in kept], chosen


# --- kernels --------------------------------------------------------------------------------------


def height_of(
    family: str, pair: tuple[Step, Step], kernels: tuple[Kernel, Kernel], most_more: float, *, divisible: bool
) -> int | None:
    """The rows of the lowest bands, which take the least memory, for at most `most_more` instructions; None: of none.

    Args:
        family: of the kernels, as of `choice.choose`.
        pair, kernels: a depthwise and a 1x1 convolution, and what computes them.
        most_more: beyond what the two take one after the other.
        divisible: as of `choice.choose`.
    """
    needs = [need_of(family, step, kernel, divisible=divisible) for step, kernel in zip(pair, kernels, strict=True)]
    if any(kernel.packing != BYTES for kernel in kernels):
        return None
    usual = sum(math.inf if need is None else need for need in needs)
    for rows in _heights(pair[1].output.shape[0]):
        bands = bands_of(*pair, rows)
        needed = _need(family, bands, kernels, divisible=divisible)
        if needed < math.inf and needed - usual <= most_more and _begin_at_words(*pair, bands):
            return rows
    return None


def least_bytes(pair: tuple[Step, Step], rows: int) -> int:
    """No workspace is smaller in which a pair is computed by bands of so many rows."""
    upper, lower = pair
    step = replace(lower, inputs=upper.inputs, reads=upper.reads, ahead=upper)
    source = 0 if isinstance(upper.reads[0], int) and upper.reads[0] < 0 else upper.input_bytes
    ahead = max(each.written - each.dead for each in rows_of(step, rows))
    middle = rows * upper.output_bytes // upper.output.shape[0]
    return middle + max(source + min(max(ahead, 0), lower.output_bytes), lower.output_bytes)


def banded(
    family: str,
    pair: tuple[Step, Step],
    names: tuple[str, str],
    kernels: tuple[Kernel, Kernel],
    rows: int,
    *,
    divisible: bool,
) -> Banded | None:
    """The pair as one step in bands of so many rows; None where the kernels do not compute these.

    Args:
        names: what the C identifiers of the two begin with.
        family, pair, kernels, divisible: as of `height_of`.
    """
    upper, lower = pair
    bands = bands_of(upper, lower, rows)
    of_bands = _kernels(family, bands, names, kernels, divisible=divisible)
    if of_bands is None:
        return None
    both = (*upper.names, *lower.names)
    step = replace(lower, inputs=upper.inputs, reads=upper.reads, names=both, ahead=upper)
    return Banded(step, _kernel(kernels, bands, of_bands))


def _heights(height: int) -> list[int]:
    """Of bands that are about equally high."""
    return sorted({-(-height // pieces) for pieces in range(2, height + 1)})


def _need(family: str, bands: Sequence[Bands], pair: tuple[Kernel, Kernel], *, divisible: bool) -> float:
    """What the bands take; without end where that is not known."""
    total = 0.0
    for band in bands:
        for step, kernel in zip((band.upper, band.lower), pair, strict=True):
            need = need_of(family, step, kernel, divisible=divisible)
            total += math.inf if need is None else band.count * need
    return total


def _kernels(
    family: str, bands: Sequence[Bands], names: tuple[str, str], pair: tuple[Kernel, Kernel], *, divisible: bool
) -> list[tuple[Kernel, Kernel]] | None:
    """Those of each band: the functions and the tables of the whole; None where a band has none such."""
    made: dict[tuple[object, ...], tuple[Kernel, Kernel]] = {}
    for band in bands:
        if _likeness(band) in made:
            continue
        found = []
        for step, name, whole in zip((band.upper, band.lower), names, pair, strict=True):
            kernel = same_kernel(family, step, f"{name}_band_{len(made)}", whole, divisible=divisible)
            kernel = None if kernel is None else _with_tables(kernel, whole)
            if kernel is None:
                return None
            found.append(kernel)
        made[_likeness(band)] = found[0], found[1]
    return [made[_likeness(band)] for band in bands]


def _begin_at_words(upper: Step, lower: Step, bands: Sequence[Bands]) -> bool:
    """Whether all bands do, as kernels expect of tensors."""
    source, target = (math.prod(tensor.shape[1:]) for tensor in (upper.input, lower.output))
    stride = windows_of(upper.layer).step[0] if isinstance(upper.layer, DepthwiseConv2d) else 1
    begin = [band.source_row * source for band in bands] + [band.first * target for band in bands]
    steps = [band.rows * each for band in bands if band.count > 1 for each in (stride * source, target)]
    return not any(offset % 4 for offset in (*begin, *steps))


def _with_tables(kernel: Kernel, whole: Kernel) -> Kernel | None:
    """A band's kernel with the tables of the whole; None where they are others."""
    text = kernel.definitions
    if len(kernel.tables) != len(whole.tables):
        return None
    for own, shared in zip(kernel.tables, whole.tables, strict=True):
        if own.c_type != shared.c_type or not np.array_equal(own.values, shared.values):
            return None
        text = re.sub(rf"\b{own.name}\b", shared.name, text)
    return replace(kernel, definitions=text, tables=whole.tables)


def _kernel(
    pair: tuple[Kernel, Kernel],
    bands: Sequence[Bands],
    kernels: Sequence[tuple[Kernel, Kernel]],
) -> Kernel:
    rows = max(band.rows for band in bands)
    middle = max(aligned(band.upper.output_bytes) for band in bands)
    scratch = max(aligned(kernel.scratch_bytes) for both in kernels for kernel in both)

    def calls(sources: tuple[str, ...], target: str, scratch: str) -> tuple[str, ...]:
        lines = [f"int8_t *const rows = {scratch};"]
        for band, (upper, lower) in zip(bands, kernels, strict=True):
            lines += _calls(band, upper, lower, sources[0], target, f"rows + {middle}")
        return ("{", *(f"    {line}" for line in lines), "}")

    return Kernel(
        name=f"{pair[0].name} + {pair[1].name}, {rows} rows",
        sources=tuple(dict.fromkeys((*pair[0].sources, *pair[1].sources))),
        headers=tuple(dict.fromkeys((*pair[0].headers, *pair[1].headers))),
        calls=calls,
        tables=(*pair[0].tables, *pair[1].tables),
        definitions="".join(dict.fromkeys(kernel.definitions for both in kernels for kernel in both)),
        scratch_bytes=middle + scratch,
        rows_at_once=rows,
        why_plain="; ".join(dict.fromkeys(filter(None, (each.why_plain for each in pair)))),
        parts=tuple(
            (step, kernel, band.count)
            for band, both in zip(bands, kernels, strict=True)
            for step, kernel in zip((band.upper, band.lower), both, strict=True)
        ),
    )


def _calls(band: Bands, upper: Kernel, lower: Kernel, source: str, target: str, scratch: str) -> list[str]:
    line, row = math.prod(band.upper.input.shape[1:]), math.prod(band.lower.output.shape[1:])
    assert isinstance(band.upper.layer, DepthwiseConv2d)
    stride = windows_of(band.upper.layer).step[0]
    source, target = f"{source} + {band.source_row * line}", f"{target} + {band.first * row}"
    if band.count > 1:
        source += f" + band * {band.rows * stride * line}"
        target += f" + band * {band.rows * row}"
    lines = [*upper.calls((source,), "rows", scratch), *lower.calls(("rows",), target, scratch)]
    if band.count == 1:
        return lines
    return [
        f"for (size_t band = 0; band < {band.count}; band++) {{",
        *(f"    {text}" for text in lines),
        "}",
    ]
