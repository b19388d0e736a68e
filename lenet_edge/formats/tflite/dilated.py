"""A dilated convolution as some converters write it: SPACE_TO_BATCH_ND, a plain one on each part, BATCH_TO_SPACE_ND.

The map is dealt into as many parts as taps are apart, so that the neighbours of a part are those that the
dilated window sees. Together the three operators are one layer, with the same products in each sum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lenet_edge.errors import BadInputError
from lenet_edge.formats.tflite.schema import S
from lenet_edge.formats.tflite.tensors import activation
from lenet_edge.formats.tflite.wiring import Step
from lenet_edge.quantized.model import Conv2d, DepthwiseConv2d, Padding, QTensor, window_size

__all__ = ["Convolve", "read_batch_to_space", "read_in_blocks", "read_space_to_batch"]

Convolve = Callable[[Step, QTensor, QTensor, Padding, tuple[int, int]], Conv2d | DepthwiseConv2d]
"""(operator, input, output, padding, dilation) -> layer."""
_Sides = tuple[tuple[int, int], tuple[int, int]]

# With an open batch TensorFlow's converter writes these operators, with shapes of one part; TFLM follows the shapes.
_FIXED_BATCH = (
    "give the model a batch of 1, as in keras.Input(shape, batch_size=1), and convert it again: "
    "a dilated convolution is one operator then"
)


@dataclass(frozen=True)
class _Blocks:
    """What was dealt into parts: the operator that did it, and the convolution of the parts once that is read."""

    step: Step
    block: tuple[int, int]
    pads: _Sides
    convolution: Step | None = None
    convolve: Convolve | None = None


def _geometry(step: Step) -> tuple[tuple[int, int], _Sides]:
    """The block, and what is put around the map or cut off it, both along height and width."""
    step.require_inputs(3)
    block, around = step.integers(1), step.integers(2)
    if block.shape != (2,) or around.shape != (2, 2) or (block < 1).any() or (around < 0).any():
        raise BadInputError(
            f"{step.where} has a block of shape {block.shape} and {around.shape} paddings or crops, not of two axes: "
            + _FIXED_BATCH
        )
    (top, bottom), (left, right) = around.tolist()
    return (int(block[0]), int(block[1])), ((top, bottom), (left, right))


def read_space_to_batch(step: Step) -> None:
    block, pads = _geometry(step)
    x = step.map()
    padded = [size + sum(around) for size, around in zip(x.shape, pads, strict=False)]
    parts = (block[0] * block[1], padded[0] // block[0], padded[1] // block[1], x.shape[2])
    if padded[0] % block[0] or padded[1] % block[1] or step.target.shape != parts:
        raise BadInputError(
            f"{step.where} deals {x.shape} out to {step.target.shape} in blocks of {block}, not to {parts}: "
            + _FIXED_BATCH
        )
    _require_scaling(step, x, step.output())
    step.graph.blocks[step.outputs[0]] = _Blocks(step, block, pads)


def read_in_blocks(step: Step, convolve: Convolve) -> bool:
    """Whether the convolution is one of such parts; it waits for BATCH_TO_SPACE_ND then."""
    blocks = step.graph.blocks.get(step.inputs[0])
    if blocks is None:
        return False
    options = step.required_options()
    factors = options.stride_h, options.stride_w, options.dilation_h_factor, options.dilation_w_factor
    if blocks.convolution or factors != (1, 1, 1, 1) or options.padding != S.Padding.VALID:
        raise BadInputError(f"{step.where} in blocks must be the only one, with strides of 1 and VALID padding")
    step.graph.blocks[step.outputs[0]] = _Blocks(blocks.step, blocks.block, blocks.pads, step, convolve)
    return True


def read_batch_to_space(step: Step) -> None:
    block, crops = _geometry(step)
    blocks, y = step.graph.blocks.get(step.inputs[0]), step.output()
    if blocks is None or blocks.convolution is None or blocks.convolve is None or blocks.block != block:
        raise BadInputError(f"{step.where} does not follow SPACE_TO_BATCH_ND of the same block and one convolution")
    if not step.target.batch or len(y.shape) != 3:
        raise BadInputError(f"{step.where} gives shape {step.target.shape}, not [1, h, w, c]")
    parts = activation(step.tensor(0))
    _require_scaling(step, parts, y)
    x = blocks.step.map()
    plain = blocks.convolve(blocks.convolution, x, y, "valid", block)
    expected = _parts(blocks, x, plain)
    joined = [block[axis] * expected[1 + axis] - sum(crops[axis]) for axis in (0, 1)]
    if parts.shape != expected or y.shape[:2] != tuple(joined):
        raise BadInputError(f"{step.where} joins parts of shape {parts.shape} to {y.shape}, not {expected} to {joined}")
    _refuse_what_was_put_around(blocks, plain, crops)
    step.give_from(blocks.step, plain)


def _parts(blocks: _Blocks, x: QTensor, plain: Conv2d | DepthwiseConv2d) -> tuple[int, ...]:
    """The shape that the convolution of the parts has."""
    padded = [size + sum(around) for size, around in zip(x.shape, blocks.pads, strict=False)]
    height, width = (
        total // each - window + 1 for total, each, window in zip(padded, blocks.block, window_size(plain), strict=True)
    )
    return blocks.block[0] * blocks.block[1], height, width, len(plain.bias)


def _refuse_what_was_put_around(blocks: _Blocks, plain: Conv2d | DepthwiseConv2d, crops: _Sides) -> None:
    """Of values around the input TFLM takes what lies in its memory (tried), so none may reach an output."""
    spans = [(taps - 1) * each + 1 for taps, each in zip(window_size(plain), blocks.block, strict=True)]
    before = [around[0] - cut[0] for around, cut in zip(blocks.pads, crops, strict=True)]
    seen = [size + span - 1 for size, span in zip(plain.output.shape, spans, strict=False)]
    if any(before) or any(size > most for size, most in zip(seen, plain.input.shape, strict=False)):
        raise BadInputError(
            f"{blocks.step.where} puts values around its input that reach the output: TFLM does not set them; "
            + _FIXED_BATCH
        )


def _require_scaling(step: Step, x: QTensor, y: QTensor) -> None:
    if (x.scale, x.zero_point) != (y.scale, y.zero_point):
        raise BadInputError(f"{step.where} only moves values, but its input and output differ in scale or zero point")
