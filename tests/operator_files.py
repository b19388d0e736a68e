"""Small .tflite files of one operator each: what is read, and what is refused with the reason."""

from __future__ import annotations

import math

import numpy as np
from graph_files import INT32, GraphFile, one_operator

__all__ = ["READ", "REFUSED"]

MAP = (1, 4, 5, 3)
X, SAME = (MAP, 0.5, 1), (0.5, 1)


def constant(*shape, scaling=(0.25, 3)):
    return (shape, *scaling, np.arange(math.prod(shape)) % 200 - 100)


def elementwise(name, first, second, output):
    options = {"ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions"}[name]
    scale = 9.0 if name == "MUL" else 0.6
    return one_operator(name, [(first, 0.5, 1), constant(*second)], (output, scale, 2), options)


def mean(shape, axes, output, keep=False):
    return one_operator("MEAN", [(shape, 0.5, 1), axes], (output, 0.4, 2), "ReducerOptions", keepDims=keep)


def pad(shape, name="PAD"):
    widths = [[0, 0]] * (len(shape) - 1) + [[1, 2]]
    fill = [((), *SAME, [7])] if name == "PADV2" else []
    output = ((*shape[:-1], shape[-1] + 3), *SAME)
    return one_operator(name, [(shape, *SAME), widths, *fill], output, "PadV2Options" if fill else "PadOptions")


def join(shape, axis, count=2, scaling=SAME):
    output = list(shape)
    output[axis] *= count
    others = [constant(*shape, scaling=scaling)] * (count - 1)
    return one_operator("CONCATENATION", [(shape, *SAME), *others], (output, *SAME), "ConcatenationOptions", axis=axis)


def part(shape, begin, end, stride, output, **masks):
    inputs = [(shape, *SAME), begin, end, stride]
    return one_operator("STRIDED_SLICE", inputs, (output, *SAME), "StridedSliceOptions", **masks)


def transpose(shape, order):
    output = [shape[axis] for axis in order]
    return one_operator("TRANSPOSE", [(shape, *SAME), order], (output, *SAME), "TransposeOptions")


def expand(shape, axis, output):
    return one_operator("EXPAND_DIMS", [(shape, *SAME), [axis]], (output, *SAME), "ExpandDimsOptions", 1)


def squeeze(axes, output):
    return one_operator("SQUEEZE", [((1, 1, 5, 3), *SAME)], (output, *SAME), "SqueezeOptions", 1, squeezeDims=axes)


def rescale(name, shape, output=(0.05, -128), options=None, **fields):
    return one_operator(name, [(shape, 0.1, 1)], (shape, *output), options, **fields)


def weights(file, shape, channels, axis=0):
    random = np.random.default_rng(1)
    scales = np.full(channels, 0.01, np.float32)
    values = file.tensor(shape, scales, values=random.integers(-127, 128, shape).astype(np.int8))
    file.graph.tensors[values].quantization.quantizedDimension = axis
    bias = random.integers(-500, 500, channels).astype(np.int32)
    return [values, file.tensor((channels,), np.float32(0.5) * scales, kind=INT32, values=bias)]


def fully_connected(shape, output, keep=False):
    file = GraphFile()
    x, y = file.tensor(shape, 0.5, 3), file.tensor(output, 0.4, -5)
    constants = weights(file, (4, 6), 4)
    file.operator("FULLY_CONNECTED", [x, *constants], [y], "FullyConnectedOptions", 5, keepNumDims=keep)
    return file.data([x], [y])


def convolution(kernel, channels, groups, output, **options):
    file = GraphFile()
    x, y = file.tensor((1, 9, 8, 4), 0.5, 3), file.tensor(output, 0.4, -5)
    constants = weights(file, (channels, *kernel, 4 // groups), channels)
    fields = {"strideW": 1, "strideH": 1, "padding": 1, **options}
    file.operator("CONV_2D", [x, *constants], [y], "Conv2DOptions", 3, **fields)
    return file.data([x], [y])


def in_blocks(height, pads, crops, depthwise=False):
    """A convolution with a dilation of 2 as older converters write it."""
    file = GraphFile()
    x = file.tensor((1, height, 8, 2), 0.5, 3)
    down, across = height + sum(pads[0]), 8 + sum(pads[1])
    parts = file.tensor((4, down // 2, across // 2, 2), 0.5, 3)
    file.operator(
        "SPACE_TO_BATCH_ND", [x, file.integers([2, 2]), file.integers(pads)], [parts], "SpaceToBatchNDOptions"
    )
    results = file.tensor((4, down // 2 - 2, across // 2 - 2, 4), 0.4, -5)
    fields = {"strideW": 1, "strideH": 1, "padding": 1}
    if depthwise:
        constants = weights(file, (1, 3, 3, 4), 4, 3)
        fields["depthMultiplier"] = 2
        file.operator("DEPTHWISE_CONV_2D", [parts, *constants], [results], "DepthwiseConv2DOptions", 3, **fields)
    else:
        file.operator("CONV_2D", [parts, *weights(file, (4, 3, 3, 2), 4)], [results], "Conv2DOptions", 3, **fields)
    output = (1, 2 * (down // 2 - 2) - sum(crops[0]), 2 * (across // 2 - 2) - sum(crops[1]), 4)
    y = file.tensor(output, 0.4, -5)
    inputs = [results, file.integers([2, 2]), file.integers(crops)]
    file.operator("BATCH_TO_SPACE_ND", inputs, [y], "BatchToSpaceNDOptions")
    return file.data([x], [y])


def folded(name=None):
    """The shape of a Flatten as Keras writes it while the batch is open; `name` computes one of its numbers."""
    file = GraphFile()
    x, y = file.tensor((1, 4, 6), *SAME), file.tensor((1, 24), *SAME)
    shape = file.operator("SHAPE", [x], [file.tensor((3,), None, kind=INT32)], "ShapeOptions", 1, outType=INT32)

    def number(at):
        found = file.tensor((), None, kind=INT32)
        inputs = [shape, file.integers([at]), file.integers([at + 1]), file.integers([1])]
        return file.operator("STRIDED_SLICE", inputs, [found], "StridedSliceOptions", 1, shrinkAxisMask=1)

    count = file.integers(24)
    if name:
        options = {"MUL": "MulOptions", "ADD": "AddOptions"}[name]
        count = file.operator(name, [number(1), number(2)], [file.tensor((), None, kind=INT32)], options, 1)
    wanted = file.tensor((2,), None, kind=INT32)
    file.operator("PACK", [number(0), count], [wanted], "PackOptions", 1, valuesCount=2)
    file.operator("RESHAPE", [x, wanted], [y], None, 1)
    return file.data([x], [y])


SHAPES = [(5,), (1, 5), (1, 5, 3), MAP, (1, 2, 3, 2, 2), (4, 5)]
BROADCAST = [
    *(((*MAP,), second, MAP) for second in ((3,), (1, 1, 1, 3), (), (1,), (4, 5, 3), MAP)),
    ((1, 4, 1, 3), (1, 1, 5, 3), MAP),
    ((1, 1, 1, 3), MAP, MAP),
    ((3,), MAP, MAP),
    ((5,), (5,), (5,)),
    ((1, 5), (4, 5), (4, 5)),
    ((1, 2, 3, 4, 2), (1, 2, 1, 4, 1), (1, 2, 3, 4, 2)),
]
READ = {
    **{f"{name} {a} {b}": elementwise(name, a, b, y) for name in ("ADD", "SUB", "MUL") for a, b, y in BROADCAST},
    "MEAN of maps": mean(MAP, [1, 2], (1, 3)),
    "MEAN, the other order": mean(MAP, [2, 1], (1, 3)),
    "MEAN, counted from the end": mean(MAP, [-2, -3], (1, 3)),
    "MEAN, axes stay": mean(MAP, [1, 2], (1, 1, 1, 3), keep=True),
    "MEAN of one axis": mean(MAP, [3], (1, 4, 5)),
    "MEAN of a line": mean((1, 5, 3), [1], (1, 3)),
    "MEAN of all": mean((1, 5), [1], (1,)),
    "MEAN of five axes": mean((1, 2, 3, 2, 2), [3], (1, 2, 3, 2)),
    **{f"{name} {shape}": pad(shape, name) for name in ("PAD", "PADV2") for shape in SHAPES if shape[0] == 1},
    **{f"CONCATENATION {shape}": join(shape, -1) for shape in SHAPES if shape[0] == 1},
    "CONCATENATION of ten": join((1, 5), 1, 10),
    "STRIDED_SLICE": part(MAP, [0, 1, 0, 0], [1, 3, 5, 3], [1, 1, 2, 1], (1, 2, 3, 3)),
    "STRIDED_SLICE beyond the end": part((1, 5), [0, -3], [1, 99], [1, 1], (1, 3)),
    "STRIDED_SLICE backwards": part((1, 5), [0, 4], [1, -9], [1, -2], (1, 3)),
    "STRIDED_SLICE with open ends": part((1, 5), [0, 4], [1, 0], [1, 1], (1, 5), beginMask=2, endMask=2),
    "STRIDED_SLICE of one row": part((1, 4, 5), [0, -1, 0], [1, 0, 5], [1, 1, 1], (1, 5), shrinkAxisMask=2),
    "STRIDED_SLICE of the batch": part((1, 4, 5), [0, 0, 0], [1, 4, 5], [1, 1, 1], (4, 5), shrinkAxisMask=1),
    "TRANSPOSE": transpose(MAP, [0, 3, 1, 2]),
    "TRANSPOSE of a line": transpose((1, 5, 3), [0, 2, 1]),
    "TRANSPOSE of axes of 1": transpose((1, 5), [1, 0]),
    "EXPAND_DIMS": expand((1, 5, 3), -1, (1, 5, 3, 1)),
    "EXPAND_DIMS before the batch": expand((1, 5, 3), 0, (1, 1, 5, 3)),
    "SQUEEZE": squeeze([-3], (1, 5, 3)),
    "SQUEEZE all": squeeze([], (5, 3)),
    **{f"RELU {shape}": rescale("RELU", shape) for shape in SHAPES},
    **{f"RELU6 {shape}": rescale("RELU6", shape, (0.1, 1)) for shape in SHAPES},
    **{f"QUANTIZE {shape}": rescale("QUANTIZE", shape, options="QuantizeOptions") for shape in SHAPES},
    **{
        f"LEAKY_RELU {alpha}": rescale("LEAKY_RELU", MAP, options="LeakyReluOptions", alpha=alpha)
        for alpha in (0.1, -0.1, 2.0, 0.0)
    },
    "FULLY_CONNECTED of a map": fully_connected((1, 1, 2, 3), (1, 4)),
    "FULLY_CONNECTED of one axis": fully_connected((6,), (1, 4)),
    "FULLY_CONNECTED, axes stay": fully_connected((1, 1, 6), (1, 1, 4), keep=True),
    "CONV_2D, dilated": convolution((3, 3), 4, 1, (1, 5, 4, 4), dilationHFactor=2, dilationWFactor=2),
    "CONV_2D, dilated, same": convolution((3, 2), 4, 1, (1, 9, 8, 4), padding=0, dilationHFactor=2, dilationWFactor=3),
    "CONV_2D in two groups": convolution((3, 3), 6, 2, (1, 7, 6, 6)),
    "CONV_2D in four groups, dilated": convolution((3, 3), 8, 4, (1, 5, 6, 8), dilationHFactor=2),
    "in blocks": in_blocks(8, [[0, 0], [0, 0]], [[0, 0], [0, 0]]),
    "in blocks, odd": in_blocks(7, [[0, 1], [0, 0]], [[0, 1], [0, 0]]),
    "in blocks, depthwise": in_blocks(8, [[0, 0], [0, 0]], [[0, 0], [0, 0]], depthwise=True),
    "a folded shape": folded(),
    "a folded shape with a product": folded("MUL"),
}

REFUSED = {
    "TFLM takes up to 5 axes": pad((1, 2, 3, 2, 2, 2)),
    "pads with a value of another scale": one_operator(
        "PADV2", [((1, 5), *SAME), [[0, 0], [1, 1]], ((), 0.25, 1, [7])], ((1, 7), *SAME), "PadV2Options"
    ),
    "joins 11 tensors; TFLM takes 10": join((1, 5), 1, 11),
    "joins tensors of different scales": join((1, 5), 1, scaling=(0.25, 1)),
    "TFLM takes up to 4 axes": part((1, 2, 3, 2, 2), [0] * 5, [1, 2, 2, 2, 2], [1] * 5, (1, 2, 2, 2, 2)),
    "names a part along 2 axes of 4": part(MAP, [0, 1], [1, 3], [1, 1], (1, 2, 5, 3)),
    "takes 3:3:1 of axis 1": part((1, 5), [0, 3], [1, 3], [1, 1], (1, 0)),
    "takes 3:4:0 of axis 1": part((1, 5), [0, 3], [1, 4], [1, 0], (1, 1)),
    "an ellipsis, a new axis or an offset": part(
        (1, 4, 5), [0] * 4, [1, 1, 4, 5], [1] * 4, (1, 1, 4, 5), newAxisMask=2
    ),
    "TFLM takes each axis from 0 on": transpose(MAP, [0, -1, 1, 2]),
    "has the fused activation 1|a fused activation": one_operator(
        "CONCATENATION",
        [((1, 5), *SAME), constant(1, 5, scaling=SAME)],
        ((1, 10), *SAME),
        "ConcatenationOptions",
        axis=1,
        fusedActivationFunction=1,
    ),
    "TFLM does not set them": in_blocks(8, [[2, 2], [2, 2]], [[0, 0], [0, 0]]),
    r"asks for shape \(1, 10\)": folded("ADD"),
}
