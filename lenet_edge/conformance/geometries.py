"""The layers with weights, one a case: every geometry that kernels have a path of their own for, and the extremes."""

from __future__ import annotations

from functools import partial
from typing import Any

from lenet_edge.conformance.case import Case
from lenet_edge.conformance.weighted import Settings, case_of
from lenet_edge.quantized.model import Conv2d, DepthwiseConv2d, FullyConnected

__all__ = ["geometry_cases"]

_conv = partial(Settings, Conv2d)
_depthwise = partial(Settings, DepthwiseConv2d)
_matrix = partial(Settings, FullyConnected)

_CONVOLUTIONS = {
    "conv-1x1": ("one tap, channels a multiple of 8", _conv((5, 5, 8), 16, (1, 1))),
    "conv-1x1-stride-2": ("one tap, every other pixel", _conv((6, 7, 5), 7, (1, 1), (2, 2))),
    "conv-1x1-wide": ("64 channels in and out", _conv((4, 4, 64), 64, (1, 1))),
    "conv-1x1-channels-17-19": ("channels that no vector length divides", _conv((3, 5, 17), 19, (1, 1))),
    "conv-3x3": ("no padding", _conv((8, 9, 3), 8, (3, 3))),
    "conv-3x3-same": ("one pixel of padding on each side", _conv((7, 9, 4), 5, (3, 3), padding="same")),
    "conv-3x3-same-stride-2": (
        "padding after but not before, and an even map",
        _conv((8, 8, 3), 8, (3, 3), (2, 2), "same"),
    ),
    "conv-3x3-same-stride-2-odd": ("the same stride on an odd map", _conv((9, 7, 3), 6, (3, 3), (2, 2), "same")),
    "conv-2x2-same": ("an even window: more padding after than before", _conv((5, 6, 2), 4, (2, 2), padding="same")),
    "conv-4x4-same": ("1 before, 2 after", _conv((6, 5, 2), 4, (4, 4), padding="same")),
    "conv-5x5-same": ("two pixels of padding, one channel", _conv((6, 6, 1), 3, (5, 5), padding="same")),
    "conv-1x5": ("a row of taps", _conv((4, 9, 3), 4, (1, 5))),
    "conv-5x1": ("a column of taps", _conv((9, 4, 3), 4, (5, 1))),
    "conv-3x2-stride-2x3": ("strides that differ, pixels left over", _conv((10, 12, 3), 5, (3, 2), (2, 3))),
    "conv-2x3-stride-3x1-same": (
        "strides that differ, with padding",
        _conv((8, 7, 2), 3, (2, 3), (3, 1), "same"),
    ),
    "conv-stride-beyond-window": ("pixels that no window reads", _conv((9, 10, 2), 4, (2, 2), (3, 3))),
    "conv-whole-map": ("a window as large as the map", _conv((6, 5, 3), 7, (6, 5))),
    "conv-window-larger-than-map": ("every window hangs over each edge", _conv((2, 3, 4), 5, (5, 5), padding="same")),
    "conv-one-pixel": ("a map of one pixel", _conv((1, 1, 16), 8, (1, 1))),
    "conv-one-pixel-same": ("one pixel, padding around it", _conv((1, 1, 5), 6, (3, 3), padding="same")),
    "conv-one-row": ("a map of one row", _conv((1, 30, 4), 6, (1, 3), padding="same")),
    "conv-one-column": ("a map of one column", _conv((30, 1, 4), 6, (3, 1), padding="same")),
    "conv-one-channel": ("one channel in, one out", _conv((12, 11, 1), 1, (3, 3))),
    "conv-channels-17-19": ("channels that no vector length divides", _conv((5, 5, 17), 19, (3, 3))),
    "conv-channels-33-40": ("many taps, one more than a vector", _conv((4, 4, 33), 40, (3, 3))),
    "conv-dilation-2": ("gaps between the taps, padding", _conv((9, 11, 4), 6, (3, 3), (1, 1), "same", (2, 2))),
    "conv-dilation-2x3": ("gaps that differ", _conv((8, 10, 3), 4, (3, 2), (1, 1), "valid", (2, 3))),
    "conv-groups-2": ("two groups of channels", _conv((6, 6, 4), 8, (3, 3), padding="same", groups=2)),
    "conv-groups-3": ("three groups, a stride", _conv((7, 7, 9), 12, (3, 3), (2, 2), groups=3)),
}
_DEPTHWISE = {
    "depthwise-3x3-same": ("8 channels", _depthwise((8, 8, 8), 8, (3, 3), padding="same")),
    "depthwise-3x3": ("16 channels, no padding", _depthwise((6, 7, 16), 16, (3, 3))),
    "depthwise-3x3-stride-2": ("asymmetric padding", _depthwise((8, 8, 16), 16, (3, 3), (2, 2), "same")),
    "depthwise-3x3-stride-2-odd": ("an odd map", _depthwise((9, 7, 8), 8, (3, 3), (2, 2))),
    "depthwise-3x3-stride-1x2": ("strides that differ", _depthwise((7, 9, 6), 6, (3, 3), (1, 2), "same")),
    "depthwise-dilation-1x2": ("gaps that differ", _depthwise((7, 9, 6), 6, (3, 3), (1, 1), "same", (1, 2))),
    "depthwise-channels-1": ("one channel", _depthwise((9, 10, 1), 1, (3, 3), padding="same")),
    "depthwise-channels-19": ("19: a rest beside whole vectors", _depthwise((6, 6, 19), 19, (3, 3), padding="same")),
    "depthwise-channels-64": ("many channels", _depthwise((4, 5, 64), 64, (3, 3), padding="same")),
    "depthwise-multiplier-2": ("two outputs of each channel", _depthwise((6, 6, 3), 6, (3, 3), padding="same")),
    "depthwise-multiplier-3": ("three of each of five", _depthwise((6, 5, 5), 15, (3, 3))),
    "depthwise-multiplier-8-of-1": ("eight of the only channel", _depthwise((7, 6, 1), 8, (3, 3), padding="same")),
    "depthwise-5x5": ("25 taps", _depthwise((8, 7, 9), 9, (5, 5), padding="same")),
    "depthwise-1x1": ("one tap", _depthwise((5, 4, 12), 12, (1, 1))),
    "depthwise-1x3": ("a row of taps", _depthwise((4, 9, 10), 10, (1, 3), padding="same")),
    "depthwise-3x1": ("a column of taps", _depthwise((9, 4, 10), 10, (3, 1), padding="same")),
    "depthwise-2x2-same": ("an even window", _depthwise((5, 6, 7), 7, (2, 2), padding="same")),
    "depthwise-dilation-2": ("gaps between the taps", _depthwise((9, 9, 8), 8, (3, 3), (1, 1), "same", (2, 2))),
    "depthwise-whole-map": ("as large as the map, as averages are", _depthwise((7, 7, 6), 6, (7, 7))),
    "depthwise-window-larger-than-map": ("over each edge", _depthwise((2, 2, 11), 11, (5, 5), padding="same")),
    "depthwise-one-pixel": ("one pixel, padding around it", _depthwise((1, 1, 24), 24, (3, 3), padding="same")),
}
_MATRICES = {
    "matrix-1x1": ("one value in, one out", _matrix((1,), 1)),
    "matrix-3-2": ("shorter than any vector", _matrix((3,), 2)),
    "matrix-37-11": ("a rest beside whole vectors", _matrix((37,), 11)),
    "matrix-512-10": ("long rows", _matrix((512,), 10)),
    "matrix-8-130": ("many outputs of short rows", _matrix((8,), 130)),
    "matrix-64-1": ("one output", _matrix((64,), 1)),
    "matrix-one-scale": ("one scale for the whole matrix", _matrix((50,), 20, one_scale=True)),
    "matrix-one-scale-33-7": ("the same, odd sizes", _matrix((33,), 7, one_scale=True, zero_points=(3, 5))),
}
_EXAMPLES = {
    "conv": _conv((6, 7, 5), 9, (3, 3), padding="same"),
    "depthwise": _depthwise((6, 7, 11), 11, (3, 3), padding="same"),
    "matrix": _matrix((40,), 18),
}
_ZERO_POINTS = {"lowest": -128, "middle": 0, "highest": 127}
_VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "relu": ("a clamp at the zero point", {"activation": "RELU", "zero_points": (-128, -20)}),
    "relu6": ("a clamp on both sides", {"activation": "RELU6", "zero_points": (-128, -100)}),
    "relu-n1-to-1": ("a narrow clamp on both sides", {"activation": "RELU_N1_TO_1", "zero_points": (0, 30)}),
    "weights-126": ("weights of -126 and 126 only", {"weights": "ends"}),
    "weights-126-alike": ("the largest accumulators that so many taps have", {"weights": "same"}),
    "weights-none": ("channels without weights: only the bias counts", {"weights": "nothing"}),
    "bias-limits": ("accumulators up to 2^24, far beyond the clamp", {"bias": "limits"}),
    **{
        f"zero-points-{source}-{target}": (
            "padding and corrections of the zero point",
            {"zero_points": (_ZERO_POINTS[source], _ZERO_POINTS[target])},
        )
        for source in _ZERO_POINTS
        for target in _ZERO_POINTS
    },
}


def geometry_cases() -> list[Case]:
    """Of each kind every geometry, and an example with every activation, extreme and pair of zero points."""
    found = [
        case_of(name, purpose, settings)
        for kind in (_CONVOLUTIONS, _DEPTHWISE, _MATRICES)
        for name, (purpose, settings) in kind.items()
    ]
    for kind, example in _EXAMPLES.items():
        for variant, (purpose, changes) in _VARIANTS.items():
            found.append(case_of(f"{kind}-{variant}", purpose, Settings(**{**vars(example), **changes})))
    return found
