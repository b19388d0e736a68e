"""Depthwise convolutions with several outputs for each input channel, by the kernels that have one for each.

The input is repeated in scratch first, so that each output has a channel of its own.
"""

from __future__ import annotations

from dataclasses import replace

from lenet_edge.formats.c_source.families.shared import aligned
from lenet_edge.formats.c_source.kernel import Kernel
from lenet_edge.formats.c_source.steps import Step
from lenet_edge.quantized.model import DepthwiseConv2d

__all__ = ["FILES", "repeated", "repeated_bytes", "repeating", "repeating_problem"]

FILES = ("shared/le_repeat.c", "shared/le_repeat.h")
_MOST = 2  # as many times the larger of input and output


def multiplier_of(step: Step) -> int:
    """The outputs for each input channel of a depthwise convolution, 1 of any other step."""
    layer = step.layer
    return len(layer.bias) // layer.input.shape[2] if isinstance(layer, DepthwiseConv2d) else 1


def repeated_bytes(step: Step) -> int:
    """Of the input when it is repeated; 0 for a step that needs no repetition."""
    times = multiplier_of(step)
    return step.input_bytes * times if times > 1 else 0


def repeating_problem(step: Step) -> str:
    """Why the input is not to be repeated; empty where it can be, or need not be."""
    size, most = repeated_bytes(step), _MOST * max(step.input_bytes, step.output_bytes)
    return f"its input, repeated for each output, takes {size} bytes, more than {most}" if size > most else ""


def repeated(step: Step) -> Step:
    """The step on the repeated input: a depthwise convolution of one output for each input channel, or it itself."""
    times, layer = multiplier_of(step), step.layer
    if times == 1:
        return step
    assert isinstance(layer, DepthwiseConv2d)
    height, width, channels = layer.input.shape
    source = replace(layer.input, shape=(height, width, channels * times))
    return replace(step, layer=replace(layer, input=source), inputs=(source,))


def repeating(step: Step, kernel: Kernel) -> Kernel:
    """The kernel of a step, made of that of the `repeated` one."""
    times = multiplier_of(step)
    if times == 1:
        return kernel
    size, ahead = step.input_bytes, aligned(repeated_bytes(step))

    def calls(sources: tuple[str, ...], target: str, scratch: str) -> tuple[str, ...]:
        repetition = f"le_repeat_s8({sources[0]}, {size}, {times}, {scratch});"
        return (repetition, *kernel.calls((scratch,), target, f"{scratch} + {ahead}"))

    return replace(
        kernel,
        sources=(*kernel.sources, *FILES),
        headers=(*kernel.headers, "le_repeat.h"),
        calls=calls,
        scratch_bytes=ahead + kernel.scratch_bytes,
        rows_at_once=0,
    )
