"""The kernels with two output channels in the lanes of a word: their tables, read as le_lanes.h describes them and as
the assembly computes with them, give the reference's integers; and what goes to another kernel, with its reason."""

from __future__ import annotations

import dataclasses

import extreme_layers
import numpy as np
import pytest
import sample_models
from hypothesis import given, settings
from random_chains import Chain

from lenet_edge.formats.c_source.families import FAMILIES, lanes
from lenet_edge.formats.c_source.fusing import fuse
from lenet_edge.formats.c_source.plan import make_plan
from lenet_edge.quantized import reference
from lenet_edge.quantized.model import Conv2d, QTensor, QuantizedModel
from lenet_edge.quantized.tie_free import ADMISSIBLE_Q, LARGEST_Q

pytestmark = pytest.mark.usefixtures("families_order")

FULL = (-128, 127)
WORD = 1 << 32
BEGINNING = {1: 1, 3: 2, 5: 2}  # le_lanes.h: after the first tap of 1, the second of 3 or 5
EXAMPLES = settings(max_examples=150, deadline=None)


def int32(values):
    """What a register of 32 bits holds, as a signed number."""
    return (np.asarray(values) + WORD // 2) % WORD - WORD // 2


def requantized(k, limit, reciprocal, q):
    """The outputs for K, as le_lanes.h says; a product of more than 26 bits is an error."""
    inside = np.clip(k, 0, np.maximum(limit - 1, 0))
    product = inside * reciprocal
    assert product.max(initial=0) < 2**26
    t = product >> 18
    t = t + (inside - t * q >= q)
    return np.where(k < 0, 0, np.where(k >= limit, 255, t)) - 128


# --- the arithmetic by itself ---------------------------------------------------------------------


def test_the_division_is_exact_for_every_q():
    """Both t and floor(K / q) grow with K, so that the two ends of each quotient's range show all in between."""
    q = np.array(ADMISSIBLE_Q)[:, None, None]
    k = (q * np.arange(256)[:, None] + np.array([0, 1, -1]) * [[[0, 0, 1]]]) + np.array([0, 0, 1]) * q  # mq, mq, mq+q-1
    assert LARGEST_Q < 1024
    assert k.max() < 256 * LARGEST_Q <= 2**18
    np.testing.assert_array_equal(requantized(k, 256 * q, 2**18 // q, q) + 128, k // q)


@pytest.mark.parametrize("q", [3, LARGEST_Q])
def test_beyond_int8_the_division_saturates(q):
    k = np.array([-(2**23), -q, -1, 256 * q, 256 * q + 1, 2**24])
    assert requantized(k, 256 * q, 2**18 // q, q).tolist() == [-128] * 3 + [127] * 3


# --- the matrix -----------------------------------------------------------------------------------


def matrix(table, by, x):
    """le_fully_connected_lanes_s8: int8 ``[n, inputs]`` -> int ``[n, outputs]``."""
    u = np.zeros((len(x), 4 * by["steps"]), np.int64)
    u[:, : by["inputs"]] = x.astype(np.int64) + 128
    start = -64 * u.sum(axis=1)
    assert start.min() >= -WORD // 2  # an int32 of the C
    groups = table.reshape(-1, 8 * by["steps"] + 32)
    found = []
    for group in groups:
        weights = group[: 8 * by["steps"]].astype("<u4").view(np.uint8).reshape(-1, 8).astype(np.int64)
        offset, limit, reciprocal, q = group[8 * by["steps"] :].reshape(8, 4).T
        sums = int32(start[:, None] + u @ weights)
        k = sums + int32(offset)
        used = slice(0, min(8, by["outputs"] - 8 * len(found)))
        assert (k == int32(k))[:, used].all()  # the C adds them as int32
        found.append(requantized(k, limit, reciprocal, q))
    assert 8 * len(found) - by["outputs"] in range(8)
    return np.concatenate(found, axis=1)[:, : by["outputs"]]


def by_matrix(kernel, batch):
    by = extreme_layers.fields(kernel, "inputs", "outputs", "steps")
    assert kernel.scratch_bytes == 4 * by["steps"]
    return extreme_layers.clamped(kernel, matrix(extreme_layers.words(kernel), by, batch))


def by_patches(kernel, batch):
    """le_conv2d_patches_lanes_s8: the maximum is taken of the outputs."""
    names = ("inputs", "outputs", "steps", "patch_offset", "outputs_offset")
    by = extreme_layers.fields(kernel, *names, windows=True)
    assert by["patch_offset"] >= 4 * by["steps"]
    assert by["outputs_offset"] >= by["patch_offset"] + by["inputs"]
    assert kernel.scratch_bytes >= by["outputs_offset"] + by["outputs"]
    patches = extreme_layers.patches(by, batch)
    found = matrix(extreme_layers.words(kernel), by, patches.reshape(-1, by["inputs"]))
    outputs = found.reshape(*patches.shape[:4], -1).max(axis=1)
    return extreme_layers.clamped(kernel, outputs)


# --- tiles ----------------------------------------------------------------------------------------


def strip_of(by, batch, row, column, columns):
    """put_strip of le_conv2d_tiles_lanes.c: u ``[images, channel, row, column]``."""
    top, left = row - by["pad_top"], column - by["pad_left"]
    strip = np.full((len(batch), by["channels"], by["kernel_h"] + 1, columns), by["padding_value"] + 128)
    for y in range(by["kernel_h"] + 1):
        for x in range(columns):
            if 0 <= top + y < by["height"] and 0 <= left + x < by["width"]:
                strip[:, :, y, x] = batch[:, top + y, left + x].astype(np.int64) + 128
    assert strip.min() >= 0
    assert strip.max() <= 255
    return strip


def two_sums(chunks, u, taps):
    """Of both channels the sums with what the beginnings add, int32 ``[images, row, column]`` of positions.

    Args:
        chunks: words ``[input channel, row, tap]`` with the beginning among them.
        u: ``[images, input channel, row, column]``.
    """
    at = BEGINNING[taps]
    weights, beginning = np.delete(chunks, at, axis=2), chunks[..., at]
    seen = np.lib.stride_tricks.sliding_window_view(u, (taps, taps), axis=(2, 3))  # [..., row, column, y, x]
    words = (np.einsum("nirckt,ikt->nirck", seen, weights) + beginning[:, None, None, :]) % WORD
    total = words.sum(axis=(1, 4)) % WORD
    upper = (words >> 16).sum(axis=(1, 4))
    assert upper.max() < WORD // 2
    return int32(total - (upper << 16)), int32(upper)


def tile_outputs(by, table, u):
    """le_tile_*.S for all tiles of a strip, without pooling: ``[images, 2 rows, columns, output channels]``."""
    taps, chunk_words, found = by["kernel_h"], by["weights_bytes"] // 4, []
    pairs = table.reshape(-1, 2 + chunk_words + 6)
    assert len(pairs) == (by["outputs"] + 1) // 2
    for pair in pairs:
        chunks = pair[2 : 2 + chunk_words].reshape(by["channels"], taps, taps + 1)
        for offset, rest, total in zip(
            int32(pair[:2]), pair[-6:].reshape(2, 3), two_sums(chunks, u, taps), strict=True
        ):
            found.append((total + offset, rest))
    return found[: by["outputs"]]


def by_tiles(kernel, batch):
    """le_conv2d_tiles_lanes_s8: strip by strip; the maximum of a window is taken of K."""
    names = ("strip_tiles", "weights_bytes", "plane", "pooled")
    by = extreme_layers.fields(kernel, *names, windows=True)
    table, pace = extreme_layers.words(kernel), 1 if by["pooled"] else 2
    height, width = (by[size] * (3 - pace) for size in ("rows", "columns"))
    result = np.full((len(batch), height + 1, width + 1, by["outputs"]), 999)
    if by["pooled"]:
        result = result[:, : by["rows"], : by["columns"]]
    for row in range(0, height, 2):
        for first in range(0, width, 2 * by["strip_tiles"]):
            tiles = min((width - first + 1) // 2, by["strip_tiles"])
            u = strip_of(by, batch, row, first, 2 * tiles + by["kernel_w"] - 1)
            assert kernel.scratch_bytes >= u[0].size + (0 if by["pooled"] else 4 * by["plane"])
            for channel, (k, (limit, reciprocal, q)) in enumerate(tile_outputs(by, table, u)):
                to = np.s_[:, row : row + 2, first : first + 2 * tiles, channel]
                if by["pooled"]:
                    k = k.reshape(len(batch), 1, 2, tiles, 2).max(axis=(2, 4))
                    to = np.s_[:, row // 2 : row // 2 + 1, first // 2 : first // 2 + tiles, channel]
                result[to] = requantized(k, limit, reciprocal, q)
    return extreme_layers.clamped(kernel, result[:, : by["rows"], : by["columns"]])


BY = {"lanes matrix": by_matrix, "lanes matrix, by patches": by_patches, "lanes tiles": by_tiles}


def check(model, names):
    """The first step's kernel is one of `names`, and gives the reference's integers."""
    (placed,) = make_plan(model, "rv32").steps
    assert placed.kernel.name in names
    batch = extreme_layers.images(model)
    found = BY[placed.kernel.name](placed.kernel, batch)
    np.testing.assert_array_equal(found.reshape(len(batch), -1), reference.run(model, batch))


@EXAMPLES
@given(model=extreme_layers.matrices())
def test_a_matrix(model):
    check(model, {"lanes matrix"})


@EXAMPLES
@given(model=extreme_layers.convolutions(tiled=True))
def test_a_convolution(model):
    check(model, {"lanes tiles", "lanes matrix, by patches"})


@EXAMPLES
@given(model=extreme_layers.convolutions(tiled=False))
def test_any_convolution(model):
    check(model, {"lanes tiles", "lanes matrix, by patches"})


# --- bounds ---------------------------------------------------------------------------------------


def convolution(shape, weights, **changes):
    """A model of one convolution of an input ``[h, w, c]`` with weights ``[outputs, kernel_h, kernel_w, c]``."""
    chain = Chain(1, shape, tie_free=True).conv(len(weights), weights.shape[1:3], clamp=FULL, **changes)
    layer = dataclasses.replace(chain.layers[0], weights=weights.astype(np.int8), bias=np.zeros(len(weights), np.int32))
    return QuantizedModel((layer,))


def kernel_of(model, family="rv32"):
    (placed,) = make_plan(model, family).steps
    return placed.kernel


@pytest.mark.parametrize("signs", [(1, 1), (1, -1), (-1, 1), (-1, -1)])
@pytest.mark.parametrize(("last", "name"), [(5, "lanes tiles"), (6, "lanes matrix, by patches")])
def test_a_chunk_that_just_fits_a_lane(signs, last, name):
    """255 (4 x 63 + 5) = 65,535, next to 2^16; both lanes at either end at once."""
    row = 2 * np.array([63, 63, 63, 63, last])
    weights = np.array(signs)[:, None, None, None] * np.broadcast_to(row[:, None], (2, 5, 5, 1))
    model = convolution((7, 8, 1), weights)
    assert kernel_of(model).name == name
    check(model, {name})


def test_a_chunk_is_a_row_of_one_input_channel():
    """The whole kernel is far beyond a lane, and so is a column."""
    weights = np.zeros((1, 5, 5, 3))
    weights[..., :2, :] = 126
    assert kernel_of(convolution((7, 8, 3), weights)).name == "lanes tiles"
    assert kernel_of(convolution((7, 8, 3), weights.transpose(0, 2, 1, 3))).name == "lanes matrix, by patches"


def test_the_longest_matrix_stays_within_32_bits():
    """65,535 inputs, as large as the grid admits; `matrix` checks what the C adds as int32."""
    chain = Chain(1, (1, 1, 0xFFFF), tie_free=True).flatten().fully_connected(2, FULL)
    weights = np.zeros((2, 0xFFFF), np.int8)
    weights[:, :32_896] = [[2], [-2]]  # 255 times their sum is just below 2^24
    layer = dataclasses.replace(chain.layers[1], weights=weights, bias=np.zeros(2, np.int32))
    model = QuantizedModel((chain.layers[0], layer))
    kernel = kernel_of(model)
    assert kernel.name == "lanes matrix"
    batch = np.stack([np.full(0xFFFF, value, np.int8) for value in (-128, 0, 127)])
    np.testing.assert_array_equal(by_matrix(kernel, batch), reference.run(model, batch[:, None, None]))


# --- what goes where ------------------------------------------------------------------------------


@pytest.mark.parametrize(("family", "suffix"), [("cortex_m_base", "cortex_m"), ("rv32", "rv32")])
def test_each_instruction_set_has_its_assembly(family, suffix):
    kernels = [placed.kernel for placed in make_plan(sample_models.lenet5(51), family).steps]
    assert [kernel.name for kernel in kernels] == ["lanes tiles"] * 2 + ["lanes matrix"] * 3
    found = [file for kernel in kernels for file in kernel.sources if file.endswith(".S")]
    assert set(found) == {f"lanes/le_{part}_{suffix}.S" for part in ("tile", "matrix")}


@pytest.mark.parametrize(
    ("kernel", "changes", "name"),
    [
        ((3, 3), {}, "lanes tiles"),
        ((2, 2), {}, "lanes matrix, by patches"),
        ((3, 5), {}, "lanes matrix, by patches"),
        ((3, 3), {"stride": (1, 2)}, "lanes matrix, by patches"),
    ],
)
def test_only_some_geometries_have_tiles(kernel, changes, name):
    model = convolution((9, 9, 2), np.full((3, *kernel, 2), 2), **changes)
    assert kernel_of(model).name == name


@pytest.mark.parametrize(
    ("window", "stride", "name"),
    [
        ((2, 2), (2, 2), "lanes tiles"),
        ((2, 2), (3, 3), "lanes matrix, by patches"),
        ((3, 3), (3, 3), "lanes matrix, by patches"),
    ],
)
def test_only_some_poolings_have_tiles(window, stride, name):
    model = Chain(1, (10, 10, 2), tie_free=True).conv(3, (3, 3), clamp=FULL).pool(window, stride).build()
    assert kernel_of(model).name == name


@pytest.mark.parametrize(("taps", "most"), [(1, 8191), (3, 1365), (5, 546)])
def test_the_weights_of_a_pair_of_channels_fit_16_bits_or_go_by_patches(taps, most):
    """4 bytes for each of taps x (taps + 1) words of an input channel; 65,535 bytes at most."""
    for channels, name in ((most, "lanes tiles"), (most + 1, "lanes matrix, by patches")):
        weights = np.zeros((1, taps, taps, channels))
        weights[..., :2] = 2
        assert kernel_of(convolution((taps, taps, channels), weights)).name == name


@pytest.mark.parametrize(("channels", "tiled"), [(0xFFFE, True), (0xFFFF, False)])
def test_the_planes_of_a_tile_fit_16_bits(channels, tiled):
    """Pairs of channels are stored, so that 65,535 of them take a plane of 65,536 bytes."""
    layer = Conv2d(
        "wide",
        QTensor((1, 1, 1), 1.0, 0),
        QTensor((1, 1, channels), 1.0, 0),
        np.full((channels, 1, 1, 1), 2, np.int8),
        np.zeros(channels, np.int32),
        np.ones(channels, np.float32),
    )
    (step,) = fuse(QuantizedModel((layer,)))
    assert lanes._is_tiled(step, layer) == tiled


@pytest.mark.parametrize("family", ["cortex_m_base", "rv32"])
@pytest.mark.parametrize(("channels", "offset"), [(511, 65_408), (512, None), (1032, None)])
def test_a_patch_whose_scratch_16_bits_do_not_address_is_plain(family, channels, offset):
    """The structure has a uint16_t for where the outputs lie, behind twice the patch; the last has 66,048 inputs."""
    weights = np.zeros((2, 8, 8, channels))
    weights[:, 0, 0, :3] = 126
    kernel = kernel_of(convolution((8, 8, channels), weights), family)
    if offset is not None:
        assert kernel.name == "lanes matrix, by patches"
        assert kernel.definitions.endswith(f"}}, {8 * 8 * channels}, {offset}\n}};\n")
        return
    size = 2 * 8 * 8 * channels
    assert kernel.name == "plain"
    assert kernel.why_plain == f"its patch takes {size} bytes of scratch, more than 65535"


@pytest.mark.parametrize("family", ["cortex_m_base", "rv32"])
def test_what_is_plain_says_why(family):
    large = Chain(1, (9, 9, 3)).conv(2, (3, 3), clamp=FULL, multiplier=2.0).build()
    assert kernel_of(large, family).why_plain == "a channel's scale is a half or more"
    steep = Chain(1, (9, 9, 1), tie_free=True).conv(2, (1, 1), clamp=FULL, multiplier=0.9).build()
    assert kernel_of(steep, family).why_plain == "a channel has q = 1, whose multiplier no int32 holds"
    assert {"cortex_m_base", "rv32"} <= set(FAMILIES)
