"""Where windows lie: ONNX's pads, auto_pad and ceil_mode as TFLite's "same" and "valid" with a Pad before them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from lenet_edge.formats.onnx.reader.step import Step
from lenet_edge.formats.onnx.reader.values import stored_shape
from lenet_edge.quantized.layers import INT8_MIN, Pad, Padding
from lenet_edge.quantized.model import window_padding

__all__ = ["Windows", "windows_of"]

_MOST, _MOST_TAPS = 1 << 15, 1 << 16


@dataclass(frozen=True)
class Windows:
    """Windows over a map, all as (vertical, horizontal).

    Attributes:
        window, stride, dilation: sizes.
        pads: (before, after) of each axis.
        outputs: how many windows.
        padding: how TFLite calls it where no `Pad` is needed; None where one is.
        is_ceiled: whether ceil_mode made pads longer.
    """

    window: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    pads: tuple[tuple[int, int], tuple[int, int]]
    outputs: tuple[int, int]
    padding: Padding | None
    is_ceiled: bool

    def padded(self, step: Step, place: int, value: int | None) -> tuple[int, Padding]:
        """A place that holds the input as the layer reads it, and the layer's padding.

        Args:
            value: what stands for the padding; None for -128, which no maximum chooses.
        """
        if self.padding is not None:
            return place, self.padding
        source = step.builder.tensor(place)
        before, after = ((*(pads[side] for pads in self.pads), 0) for side in (0, 1))
        shape = tuple(size + sum(pads) for size, pads in zip(source.shape, (*self.pads, (0, 0)), strict=True))
        fill = INT8_MIN if value is None else value
        pad = Pad(f"{step.name}_pad", source, replace(source, shape=shape), before, after, fill)
        return step.builder.add(pad, place), "valid"


def windows_of(step: Step, window: tuple[int, ...], shape: tuple[int, ...]) -> Windows:
    """The windows of a convolution or pooling over a map ``[c, h, w]``."""
    if len(shape) != 3 or len(window) != 2:
        raise step.refuse(f"its window is {window} on {1 + len(shape)} axes; windows of 2 on 4 are supported")
    stride, dilation = (_pair(step, name) for name in ("strides", "dilations"))
    if not all(1 <= size <= _MOST for size in (*window, *stride, *dilation)):
        raise step.refuse(f"its window {window}, strides {stride} and dilations {dilation} are not 1 to {_MOST}")
    if math.prod(window) > _MOST_TAPS:
        raise step.refuse(f"its window {window} is not for a microcontroller")
    sizes = stored_shape(shape)[:2]
    spans = [(taps - 1) * gap + 1 for taps, gap in zip(window, dilation, strict=True)]
    auto = step.attribute("auto_pad", "NOTSET")
    pads = _pads(step, auto, sizes, spans, stride)
    found = [
        _outputs(step, size, span, by, pad) for size, span, by, pad in zip(sizes, spans, stride, pads, strict=True)
    ]
    outputs, given, pads = [count for count, _ in found], pads, [pad for _, pad in found]
    padding: Padding | None = None
    for known in ("valid", "same"):
        wanted = [(count, *pad) for count, pad in zip(outputs, pads, strict=True)]
        axes = zip(sizes, spans, stride, strict=True)
        if [window_padding(size, span, by, known) for size, span, by in axes] == wanted:
            padding = known
            break
    sizes_of = ((window[0], window[1]), stride, dilation, (pads[0], pads[1]), (outputs[0], outputs[1]))
    return Windows(*sizes_of, padding, pads != given)


def _pair(step: Step, name: str) -> tuple[int, int]:
    sizes = step.attribute(name, [1, 1])
    if len(sizes) != 2 or not all(isinstance(size, int) for size in sizes):
        raise step.refuse(f"its {name} are {sizes[:8]}")
    return sizes[0], sizes[1]


def _pads(
    step: Step, auto: str, sizes: tuple[int, ...], spans: list[int], stride: tuple[int, int]
) -> list[tuple[int, int]]:
    """(before, after) of each axis."""
    if auto in ("NOTSET", "", "VALID"):
        pads = step.attribute("pads", [0, 0, 0, 0]) if auto != "VALID" else [0, 0, 0, 0]
        if len(pads) != 4 or not all(isinstance(pad, int) and 0 <= pad <= _MOST for pad in pads):
            raise step.refuse(f"its pads are {pads[:8]}")
        return [(pads[0], pads[2]), (pads[1], pads[3])]
    if auto not in ("SAME_UPPER", "SAME_LOWER"):
        raise step.refuse(f"its auto_pad is {auto[:40]!r}")
    found = []
    for size, span, by in zip(sizes, spans, stride, strict=True):
        _, before, after = window_padding(size, span, by, "same")
        found.append((before, after) if auto == "SAME_UPPER" else (after, before))
    return found


def _outputs(step: Step, size: int, span: int, by: int, pads: tuple[int, int]) -> tuple[int, tuple[int, int]]:
    """How many windows there are along an axis, and the pads with what ceil_mode adds behind."""
    whole = size + sum(pads)
    if span > whole:
        raise step.refuse(f"its window spans {span} on an input of {size}")
    count, rest = divmod(whole - span, by)
    if step.attribute("ceil_mode", 0) and rest and (count + 1) * by < size + pads[0]:
        return count + 2, (pads[0], pads[1] + by - rest)
    return count + 1, pads
