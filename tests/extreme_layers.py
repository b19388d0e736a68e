"""Single layers on the tie-free grid at the ends of what it admits, as a Hypothesis strategy; and generated C, read."""

from __future__ import annotations

import re

import numpy as np
from hypothesis import strategies as st

from lenet_edge.formats.c_source.tables import bytes_of
from lenet_edge.quantized.model import Conv2d, FullyConnected, MaxPool2d, QTensor, QuantizedModel, expected_output_shape
from lenet_edge.quantized.tie_free import ADMISSIBLE_Q, LARGEST_Q, grid_scale
from lenet_edge.quantized.verify import verify

INPUT_SCALE, OUTPUT_SCALE = float(np.float32(1 / 255)), float(np.float32(0.05))
LARGEST_ACCUMULATOR = 2**24 - 2  # of the grid, and even
Q = st.sampled_from([ADMISSIBLE_Q[1], LARGEST_Q]) | st.sampled_from(ADMISSIBLE_Q[1:])  # q = 1 has no fast path
ZERO_POINTS = st.sampled_from([-128, 127, 0]) | st.integers(-128, 127)
CLAMPS = st.just((-128, 127)) | st.tuples(st.integers(-128, 0), st.integers(0, 127))
BRIM = (63, 63, 63, 63, 5)  # halves of weights in a row of the kernel: 255 * 257 is the most that 16 bits hold


def _weights(random, kind, shape):
    """Even weights int64 ``[kernel_h, kernel_w, inputs]``."""
    signs = random.choice([-1, 1], shape)
    if kind == "noise":
        return 2 * random.integers(-63, 64, shape)
    if kind == "small":  # most results are inside int8
        return 2 * random.integers(-4, 5, shape)
    if kind == "sparse":
        return 126 * signs * (random.random(shape) < 0.2)
    if kind in ("most", "least"):
        return np.full(shape, 126 if kind == "most" else -126)
    brim = np.empty(shape, np.int64)
    brim[:] = np.resize(BRIM, shape[1])[:, np.newaxis]
    brim = random.permuted(brim, axis=1)
    return 2 * brim * {"brim": signs, "brim above": 1, "brim below": -1}[kind]


KINDS = st.sampled_from(
    [("brim", "brim above", "brim below", "small"), ("noise", "sparse", "small", "most", "least", "brim below")]
)


def _biases(random, weights, q, zero_points, *, int24):
    """Even biases: next to results of int8, or as far out as the grid, or the int24 of le_avr.h, admits."""
    flat, (source, target) = weights.reshape(len(weights), -1), zero_points
    ends = np.stack([flat * (-128 - source), flat * (127 - source)])
    lowest, highest = ends.min(axis=0).sum(axis=1), ends.max(axis=0).sum(axis=1)
    largest, added = (2**23 - 1, q + 2 * q * target) if int24 else (LARGEST_ACCUMULATOR, 0)
    low, high = -largest - added - lowest, largest - added - highest
    inside = -flat.sum(axis=1) * random.integers(-128, 128, len(q)) + 2 * q * (
        random.integers(-128, 128, len(q)) - target
    )
    bias = np.where(random.random(len(q)) < 0.7, inside, np.where(random.random(len(q)) < 0.5, low, high))
    return np.where(low <= high, np.clip(bias, low, high), 0)


@st.composite
def _integers(draw, outputs, shape, input_zero_point, int24):
    """(output zero point, weights, biases, scales, clamp) of a layer."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kinds = draw(st.lists(st.sampled_from(draw(KINDS)), min_size=outputs, max_size=outputs))
    weights = np.stack([_weights(random, kind, shape) for kind in kinds])
    q = np.array(draw(st.lists(Q, min_size=outputs, max_size=outputs)))
    zero_point = draw(ZERO_POINTS)
    bias = _biases(random, weights, q, (input_zero_point, zero_point), int24=int24)
    scales = [grid_scale(INPUT_SCALE, OUTPUT_SCALE, int(value)) for value in q]
    return zero_point, weights.astype(np.int8), bias.astype(np.int32), np.array(scales, np.float32), draw(CLAMPS)


@st.composite
def matrices(draw, *, int24=False):
    """A fully-connected layer as a model.

    Args:
        int24: the accumulators end just within an int24, as le_avr.h has them; else where the grid ends.
    """
    inputs, outputs = draw(st.integers(1, 33) | st.integers(1, 130)), draw(st.integers(1, 17))
    source = QTensor((inputs,), INPUT_SCALE, draw(ZERO_POINTS))
    zero_point, weights, *rest, clamp = draw(_integers(outputs, (1, 1, inputs), source.zero_point, int24))
    target = QTensor((outputs,), OUTPUT_SCALE, zero_point)
    return verify(QuantizedModel((FullyConnected("layer", source, target, weights[:, 0, 0], *rest, *clamp),)))


@st.composite
def convolutions(draw, *, tiled, int24=False):
    """A convolution, perhaps with a max-pooling behind it, as a model.

    Args:
        tiled: square kernels of 1, 3, 5 with stride 1 and at most a pooling of 2 x 2; else anything.
        int24: as in `matrices`.
    """
    taps = draw(st.sampled_from([1, 3, 5]))
    kernel = (taps, taps) if tiled else (taps, draw(st.integers(1, 5)))
    stride = (1, 1) if tiled else draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    padding = draw(st.sampled_from(["valid", "same"]))
    least = kernel if padding == "valid" else (1, 1)
    height, width = (draw(st.integers(size, 12) | st.integers(size, 33)) for size in least)
    channels, outputs = draw(st.integers(1, 4) | st.integers(1, 16)), draw(st.integers(1, 9))
    source = QTensor((height, width, channels), INPUT_SCALE, draw(ZERO_POINTS))
    zero_point, *rest, clamp = draw(_integers(outputs, (*kernel, channels), source.zero_point, int24))
    draft = QTensor((1, 1, 1), OUTPUT_SCALE, zero_point)
    target = QTensor(expected_output_shape(Conv2d("", source, draft, *rest, stride, padding)), OUTPUT_SCALE, zero_point)
    layers = [Conv2d("layer", source, target, *rest, stride, padding, *clamp)]
    window = draw(st.sampled_from([None, (2, 2)] if tiled else [None, (2, 2), (3, 1)]))
    if window is not None and all(size >= pool for size, pool in zip(target.shape[:2], window, strict=True)):
        pooled = (target.shape[0] // window[0], target.shape[1] // window[1], outputs)
        layers.append(MaxPool2d("pool", target, QTensor(pooled, OUTPUT_SCALE, zero_point), window, window))
    return verify(QuantizedModel(tuple(layers)))


def images(model, seed=0):
    """int8 ``[8, ...]``: noise, extremes, flat ones; and what makes an output of some channel largest and smallest."""
    random = np.random.default_rng(seed)
    shape = model.input.shape
    found = random.integers(-128, 128, (8, *shape))
    found[1] = random.choice([-128, 127], shape)
    found[2], found[3] = -128, 127
    weights = model.layers[0].weights
    for index in range(4, 8):
        sign = weights[random.integers(len(weights))] > 0
        if len(shape) == 3:
            place = [
                int(random.integers(max(1, size - taps + 1))) for size, taps in zip(shape, sign.shape, strict=True)
            ]
            region = tuple(slice(at, at + taps) for at, taps in zip(place, sign.shape, strict=True))
            sign = sign[: shape[0], : shape[1]]
        else:
            region = (slice(None),)
        found[index] = random.choice([-128, 127], shape)
        found[index][region] = np.where(sign == (index % 2 == 0), 127, -128)
    return found.astype(np.int8)


# --- generated C ----------------------------------------------------------------------------------

_WINDOWS = (
    *("height", "width", "channels", "rows", "columns", "outputs"),
    *("kernel_h", "kernel_w", "stride_h", "stride_w", "pool_h", "pool_w"),
    *("step_h", "step_w", "pad_top", "pad_left", "patch_h", "patch_w", "padding_value"),
)


def fields(kernel, *names, windows=False):
    """The numbers in the initialiser of the kernel's one structure: le_windows, if there is one, then `names`."""
    (initialiser,) = re.findall(r"= \{(.*)\};", kernel.definitions, re.DOTALL)
    numbers = [int(number) for number in re.findall(r"-?\b\d+\b", re.sub(r"\b[a-z_]\w*", "", initialiser))]
    return dict(zip((*_WINDOWS, *names) if windows else names, numbers, strict=True))


def words(kernel):
    """The one table of the kernel as uint32 in int64, as they lie in memory."""
    (table,) = kernel.tables
    return np.frombuffer(bytes_of(table), "<u4").astype(np.int64)


def clamped(kernel, outputs):
    """What the call of le_clamp_s8 leaves, if there is one."""
    calls = "".join(kernel.calls(("source",), "target", "scratch"))
    found = re.search(r"le_clamp_s8\(target, \d+, (-?\d+), (-?\d+)\)", calls)
    return np.clip(outputs, *map(int, found.groups())) if found else outputs


def patches(by, batch):
    """What each position sees, int64 ``[images, place in the window, rows, columns, kernel_h, kernel_w, channels]``.

    Args:
        by: `fields` with windows.
        batch: int8 ``[images, height, width, channels]``.
    """
    shape = (by["pool_h"] * by["pool_w"], by["rows"], by["columns"], by["kernel_h"], by["kernel_w"])
    place, row, column, y, x = np.indices(shape)
    top = row * by["step_h"] - by["pad_top"] + place // by["pool_w"] * by["stride_h"] + y
    left = column * by["step_w"] - by["pad_left"] + place % by["pool_w"] * by["stride_w"] + x
    inside = (top >= 0) & (top < by["height"]) & (left >= 0) & (left < by["width"])
    seen = batch.astype(np.int64)[:, top.clip(0, by["height"] - 1), left.clip(0, by["width"] - 1)]
    return np.where(inside[..., np.newaxis], seen, by["padding_value"])
