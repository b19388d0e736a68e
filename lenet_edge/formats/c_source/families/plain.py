"""The plain kernels, in portable C99: for every step, every geometry and both requantisations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from lenet_edge.formats.c_source import tables
from lenet_edge.formats.c_source.families import float32, tensors
from lenet_edge.formats.c_source.families.shared import gaps_problem, plus
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.steps import Step, windows_of
from lenet_edge.quantized.like import USUAL
from lenet_edge.quantized.mean import ONNXRUNTIME
from lenet_edge.quantized.model import (
    WEIGHTED,
    AveragePool2d,
    Conv2d,
    DepthwiseConv2d,
    FullyConnected,
    Layer,
    Lookup,
    MaxPool2d,
    Rescale,
    Softmax,
    groups_of,
)

__all__ = ["kernel", "kind_of", "patch_bytes", "requantization_text", "requantizer", "structure", "windows_text"]

_KINDS: Mapping[type, str] = {
    Conv2d: "conv2d",
    DepthwiseConv2d: "depthwise_conv2d",
    FullyConnected: "fully_connected",
    MaxPool2d: "max_pool2d",
    AveragePool2d: "average_pool2d",
    Lookup: "lookup",
    Rescale: "rescale",
    Softmax: "softmax",
    **tensors.KINDS,
}
_SOURCES: Mapping[type, tuple[str, ...]] = {
    Conv2d: ("plain/le_conv2d.c", "plain/le_windows.c", "plain/le_windows.h"),
    DepthwiseConv2d: ("plain/le_depthwise_conv2d.c", "plain/le_windows.c", "plain/le_windows.h"),
    FullyConnected: ("plain/le_fully_connected.c",),
    MaxPool2d: ("shared/le_pool2d.c", "shared/le_area.h"),
    AveragePool2d: ("shared/le_pool2d.c", "shared/le_area.h"),
    Lookup: ("shared/le_lookup.c",),
    Rescale: ("shared/le_lookup.c",),
    Softmax: ("shared/le_softmax.c",),
}
_FAST_POOLING = (
    *(f"shared/le_pool2d_{name}" for name in ("fours.c", "fours.h", "mve.h", "words.h")),
    *(f"shared/le_sums{name}.h" for name in ("", "_mve", "_words")),
)
_DILATED = "le_dilated.h"
_DILATED_SOURCES = (f"plain/{_DILATED}", "plain/le_dilated.c")


def kernel(step: Step, name: str, *, divisible: bool, small: bool = True) -> Kernel:
    """The plain kernel of any step; `divisible` as in `families.choose`.

    Args:
        small: fewer bytes before fewer instructions; a pooling by itself and a mean have both.
    """
    layer = step.layer
    if step.rule != USUAL and not isinstance(layer, WEIGHTED):
        return _of_rule(step, name)
    if type(layer) in tensors.KINDS:
        return tensors.kernel(step, name, small=small)
    sources, headers = _SOURCES[type(layer)], tuple[str, ...]()
    if not small and isinstance(layer, (MaxPool2d, AveragePool2d)):
        sources = _FAST_POOLING
    if is_dilated := _is_dilated(layer):
        sources, headers = (*_DILATED_SOURCES, f"plain/le_{kind_of(layer)}_dilated.c"), (_DILATED,)
    if isinstance(layer, WEIGHTED):
        sources = (*sources, *requantizer(step, divisible=divisible))
    return Kernel(
        name="plain",
        sources=sources,
        headers=headers,
        calls=lambda sources, target, scratch: _calls(step, name, sources, target, scratch),
        tables=tuple(tables.layer_tables(layer, name, divisible=divisible, rule=step.rule)),
        definitions=_structures(name, step, divisible=divisible),
        scratch_bytes=0 if is_dilated else patch_bytes(step),
        rows_at_once=0 if is_dilated else _rows_at_once(layer),
    )


def _rows_at_once(layer: Layer) -> int:
    """One where a function goes through the rows once, for all channels; see `Kernel`."""
    if isinstance(layer, (MaxPool2d, AveragePool2d)):
        return 1
    return int(isinstance(layer, (Conv2d, DepthwiseConv2d)) and len(tables.slices_of(layer)) == 1)


def _of_rule(step: Step, name: str) -> Kernel:
    """The kernel of a step without weights that rounds in another way than TFLM."""
    layer = step.layer
    if not isinstance(layer, AveragePool2d) or step.rule != ONNXRUNTIME or float32.is_whole(layer):
        return float32.kernel(step, name)
    body = f"{windows_text(step)},\n    {float32.factor_of(layer.input.scale)[0]}, {step.clamp[0]}, {step.clamp[1]}"
    stem = "le_average_pool2d_float32"
    return Kernel(
        name="plain",
        sources=tuple(f"shared/{file}" for file in (f"{stem}.c", f"{stem}.h", "le_area.h", "le_float32.h")),
        headers=(f"{stem}.h",),
        calls=lambda sources, target, _scratch: (f"{stem}_s8(&{name}, {sources[0]}, {target});",),
        definitions=f"static LE_TABLE {stem} {name} = {{\n    {body}\n}};\n",
    )


def requantizer(step: Step, *, divisible: bool) -> tuple[str, ...]:
    """The files that define le_requantize_s8 for the step."""
    if divisible:
        return ("plain/le_requantize_tie_free.c",)
    if step.rule == tables.FLOAT32:
        return ("plain/le_requantize_float32.c", "shared/le_float32.h")
    return ("plain/le_requantize_double.c",)


def kind_of(layer: Layer) -> str:
    """The name of the operator, as it is in the names of most C functions."""
    return _KINDS[type(layer)]


def _is_dilated(layer: Layer) -> bool:
    """Whether the layer is one for le_dilated.h."""
    return isinstance(layer, WEIGHTED) and gaps_problem(layer) != ""


def patch_bytes(step: Step) -> int:
    """What a window that hangs over the edge needs; a pooling by itself needs nothing."""
    layer = step.layer
    if not isinstance(layer, (Conv2d, DepthwiseConv2d)):
        return 0
    windows = windows_of(layer, step.pool)
    ends = [
        (size - 1) * pace - before + patch
        for size, pace, before, patch in zip(
            step.output.shape[:2], windows.step, windows.padding, windows.patch, strict=True
        )
    ]
    overhangs = any(windows.padding) or any(end > size for end, size in zip(ends, step.input.shape[:2], strict=True))
    return math.prod(windows.patch) * step.input.shape[2] if overhangs else 0


def _structures(name: str, step: Step, *, divisible: bool) -> str:
    """The structures of a step, one for each of its tables of weights."""
    layer = step.layer
    if isinstance(layer, (MaxPool2d, AveragePool2d)):
        body = f"{windows_text(step)}, {step.clamp[0]}, {step.clamp[1]}"
        return f"static LE_TABLE le_pool2d {name} = {{\n    {body}\n}};\n"
    if not isinstance(layer, (Conv2d, DepthwiseConv2d, FullyConnected)):
        return ""
    runs = tables.slices_of(layer)
    texts = []
    for index, run in enumerate(runs):
        part = "" if len(runs) == 1 else f"_{index}"
        requantization = requantization_text(step, name, run.start, divisible=divisible)
        texts.append(f"static LE_TABLE {_structure(step, name, part, run, requantization)}")
    return "".join(texts)


def structure(step: Step, name: str, part: str, rows: range, *, divisible: bool) -> str:
    """The structure NAME PART of a convolution that is one table, for some rows of its output."""
    layer = step.layer
    assert isinstance(layer, (Conv2d, DepthwiseConv2d))
    requantization = requantization_text(step, name, 0, divisible=divisible)
    body = f"{_convolution_text(step, layer, len(layer.bias), rows)}{name}_weights,\n    {requantization}"
    return f"static LE_TABLE le_{kind_of(layer)} {name}{part} = {{\n    {body}\n}};\n"


def _convolution_text(step: Step, layer: Conv2d | DepthwiseConv2d, channels: int, rows: range | None = None) -> str:
    """How the structure of a convolution begins: windows, output channels, and of a depthwise one its multiplier."""
    multiplier = f"{len(layer.bias) // layer.input.shape[2]}, " if isinstance(layer, DepthwiseConv2d) else ""
    return f"{windows_text(step, rows)},\n    {channels}, {multiplier}"


def _structure(step: Step, name: str, part: str, run: range, requantization: str) -> str:
    layer = step.layer
    weights = f"{name}_weights{part}"
    if isinstance(layer, FullyConnected):
        head = f"{layer.weights.shape[1]}, {len(run)}, {weights}"
    else:
        assert isinstance(layer, (Conv2d, DepthwiseConv2d))
        head = _convolution_text(step, layer, len(run)) + weights
    kind, body = f"le_{kind_of(layer)}", f"\n    {head},\n    {requantization}\n"
    if _is_dilated(layer):
        kind, body = f"{kind}_dilated", f"{{{body}}}, {_gaps(layer, run)}"
    return f"{kind} {name}{part} = {{{body}}};\n"


def _gaps(layer: Layer, run: range) -> str:
    """The rest of a structure of le_dilated.h."""
    assert isinstance(layer, (Conv2d, DepthwiseConv2d))
    texts = list(layer.dilation)
    if isinstance(layer, Conv2d):
        texts += [layer.weights.shape[3], len(layer.bias) // groups_of(layer), run.start]
    return ", ".join(map(str, texts))


def requantization_text(step: Step, name: str, first: int, *, divisible: bool) -> str:
    """The initialiser of the step's le_requantization, for its channels from `first` on."""
    at = plus(first)
    shift = "NULL" if divisible else f"{name}_shift{at}"
    low, high = step.clamp
    return f"{{{name}_bias{at}, {name}_multiplier{at}, {shift}, {step.layer.output.zero_point}, {low}, {high}}}"


def windows_text(step: Step, rows: range | None = None) -> str:
    """The initialiser of the step's le_windows; of some `rows` of the output, as if the input began where they do."""
    layer = step.layer
    assert isinstance(layer, (Conv2d, DepthwiseConv2d, MaxPool2d, AveragePool2d))
    by, source, target = windows_of(layer, step.pool), step.input.shape, step.output.shape
    if rows is not None:
        target = (len(rows), *target[1:])
        if rows.start:
            above = rows.start * by.step[0] - by.padding[0]
            source, by = (source[0] - above, *source[1:]), replace(by, padding=(0, by.padding[1]))
    shapes = [", ".join(map(str, shape)) for shape in (source, target)]
    pairs = [f"{down}, {across}" for down, across in (by.window, by.stride, by.pool, by.step, by.padding, by.patch)]
    return f"{{{{{shapes[0]}}}, {{{shapes[1]}}}, {', '.join(pairs)}, {step.input.zero_point}}}"


def _calls(step: Step, name: str, sources: tuple[str, ...], target: str, scratch: str) -> tuple[str, ...]:
    layer, source = step.layer, sources[0]
    function = f"le_{'lookup' if isinstance(layer, Rescale) else kind_of(layer)}_s8"
    if isinstance(layer, (Lookup, Rescale, Softmax)):
        copy = () if source == target else (f"memcpy({target}, {source}, {step.output_bytes});",)
        table = f"{name}_exponentials" if isinstance(layer, Softmax) else f"{name}_table"
        at_once = step.output.shape[-1] if isinstance(layer, Softmax) else step.output_bytes  # its sum is over the last
        starts = range(0, step.output_bytes, at_once)
        return (*copy, *(f"{function}({table}, {target}{plus(start)}, {at_once});" for start in starts))
    if isinstance(layer, (MaxPool2d, AveragePool2d)):
        return (f"{function}(&{name}, {source}, {target});",)
    assert isinstance(layer, WEIGHTED)
    runs = tables.slices_of(layer)
    parts = [""] if len(runs) == 1 else [f"_{index}" for index in range(len(runs))]
    patch = "" if isinstance(layer, FullyConnected) else f"{scratch}, "
    if _is_dilated(layer):
        function, patch = f"le_{kind_of(layer)}_dilated_s8", ""
    return tuple(
        f"{function}(&{name}{part}, {source}, {patch}{target}{plus(run.start)});"
        for part, run in zip(parts, runs, strict=True)
    )
