"""Convolutions of few inputs on MVE: a model of the kernel's loops gives the reference's integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mve_models import Reader, chain_of, expected_of, images_of, int32, load, numbers_behind, only_step, words_of

from lenet_edge.formats.c_source.families import cortex_m_mve as mve
from lenet_edge.formats.c_source.steps import windows_of
from lenet_edge.quantized.tie_free import ADMISSIBLE_Q


def saturated(values, low, high):
    return np.clip(values, low, high)


def pair_model(reader, x, rounding):
    """Two channels at four positions, int16 ``[2, 4]``, and what stands in r11."""
    weights, names = reader.int8(2, 16), "m b b s b M B S B e B B" if rounding != "even" else "m b b b M B B e B B"
    found = {"b": {int(reader.words(1)[0])}, "B": set()}
    for name in names.split():
        found.setdefault(name, set()).add(int(reader.words(1, "<u4" if name == "e" else "<i4")[0]))
    outputs = []
    for row, bias, multiplier, shift in zip(weights, "bB", "mM", "sS", strict=True):
        (bias,), (multiplier,), shift = found[bias], found[multiplier], found.get(shift, {0})
        n = int32(x @ row + bias)
        if rounding == "even":
            outputs.append(saturated(2 * n * multiplier >> 32, -(2**15), 2**15 - 1))  # VQDMULH.S32
            continue
        right = -int(np.uint8(min(shift) & 0xFF).astype(np.int8))
        scaled = int32(n * multiplier + 2**30 >> 31)  # VQRDMULH.S32
        scaled = scaled - (scaled < 0) if rounding == "double" else scaled
        assert 1 <= right <= 31 or multiplier == 0
        outputs.append(saturated(scaled + (1 << right >> 1) >> right, -(2**15), 2**15 - 1))
    (ending,) = found["e"]
    return np.array(outputs), ending


def quad_model(table, outputs, memory, places, rounding):
    """le_few_mve.h: int8 ``[4, outputs]``, of windows that begin at those places."""
    reader, found = Reader(table), np.full((4, outputs), 99)
    at = 0
    offsets = reader.int8(16).astype(np.uint8).astype(int)
    x = np.array([[load(memory, place + offset, 1)[0] for offset in offsets] for place in places])
    while True:
        (even, _), (odd, ending) = (pair_model(reader, x, rounding) for _ in range(2))
        group = np.stack([even[0], odd[0], even[1], odd[1]], axis=1)
        zero = int(np.uint16(ending & 0xFFFF).astype(np.int16))
        if rounding == "up":
            group = saturated(group, 0, 255) - zero
        elif rounding == "double":
            group = saturated(saturated(group + zero, -(2**15), 2**15 - 1), -128, 127)
        group, where = saturated(group, -128, 127), at + np.minimum(np.arange(4), outputs - 1)
        found[:, where] = group
        at += ending >> 16 & 0x7FFF
        if ending >> 31:
            assert reader.is_at_end
            assert at == 4 * outputs
            return found


def positions_model(table, outputs, memory, places, rounding):
    """`multiply`: positions in order, in quads, of which the last overlaps, or has the last position again."""
    found = np.full((len(places), outputs), 99)
    firsts = [*range(0, len(places) - 3, 4), *([max(len(places) - 4, 0)] if len(places) % 4 else [])]
    for first in firsts:
        quad = np.minimum(np.arange(first, first + 4), len(places) - 1)
        found[quad] = quad_model(table, outputs, memory, np.array(places)[quad], rounding)
    return found


def kernel_model(step, kernel, image, rounding):
    """le_conv2d_few_mve.c: int8 ``[height * width * channels]``."""
    by, layer = windows_of(step.layer, step.pool), step.layer
    (height, width, channels), inputs = step.output.shape, step.input.shape[2]
    image = image.reshape(step.input.shape)
    rows, columns, pitch, at = numbers_behind("_mve_s8, ", kernel.definitions)
    (table,) = kernel.tables
    found = np.full(step.output.shape, 99)
    for row in range(0, height, rows):
        for column in range(0, width, columns):
            high, wide = min(rows, height - row), min(columns, width - column)
            top, left = row * by.step[0] - by.padding[0], column * by.step[1] - by.padding[1]
            memory, line, first = image.ravel(), image.shape[1] * inputs, (top * image.shape[1] + left) * inputs
            if pitch:
                memory = copy_model(by, image, layer.input.zero_point, (top, left), (high, wide), pitch)
                line, first = pitch, 0
                assert len(memory) <= at
            largest = np.full((high * wide, channels), -128)
            for y, x in np.ndindex(*by.pool):
                begin = first + y * by.stride[0] * line + x * by.stride[1] * inputs
                places = [begin + r * by.step[0] * line + c * by.step[1] * inputs for r, c in np.ndindex(high, wide)]
                part = positions_model(table.values, channels, memory, places, rounding)
                largest = np.maximum(largest, part)
            found[row : row + high, column : column + wide] = largest.reshape(high, wide, channels)
    more = -(-rows * columns * channels // 4) * 4 if step.pool is not None else 0
    assert kernel.scratch_bytes == at + more
    return np.clip(found, *step.clamp).ravel()


def copy_model(by, image, padding, begin, size, pitch):
    """`copy_input`: rows of `pitch` bytes."""
    (top, left), (high, wide) = begin, size
    rows, columns = (high - 1) * by.step[0] + by.patch[0], (wide - 1) * by.step[1] + by.patch[1]
    padded = np.pad(image, ((99, 99), (99, 99), (0, 0)), constant_values=padding)
    tile = padded[top + 99 : top + 99 + rows, left + 99 : left + 99 + columns].reshape(rows, -1)
    memory = np.full((rows, pitch), 77, np.int8)
    memory[:, : tile.shape[1]] = tile
    return memory.ravel()


@settings(max_examples=60, deadline=None)
@given(data=st.data(), divisible=st.booleans(), seed=st.integers(0, 2**32 - 1))
def test_few_inputs(data, divisible, seed):
    """Windows of 1 to 16 inputs of any shape, narrow and wide maps, any stride, padding and pooling."""
    inputs = data.draw(st.integers(1, 16))
    tall = data.draw(st.integers(1, 16 // inputs))
    kernel = (tall, data.draw(st.integers(1, 16 // inputs // tall)))
    pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
    stride, pool = data.draw(pairs), data.draw(st.none() | pairs)
    more = data.draw(st.tuples(st.integers(0, 5), st.sampled_from([0, 1, 3, 6, 90 // inputs])))
    size = [k + s * (p - 1) + m for k, s, p, m in zip(kernel, stride, pool or (1, 1), more, strict=True)]
    zero_point = data.draw(st.sampled_from([-128, 0, 127]))
    chain = chain_of(seed, (*size, inputs), divisible, zero_point)
    chain.conv(data.draw(st.integers(1, 9)), kernel, stride, data.draw(st.sampled_from(["same", "valid"])))
    if pool is not None:
        chain.pool(pool)
    images, step = images_of(chain, seed), only_step(chain)
    made = mve.kernels(step, "it", divisible=divisible)[0]
    assert made.name == "mve few inputs"
    rounding = "even" if words_of(divisible) == 2 else "up" if "few_up" in made.definitions else "double"
    found = [kernel_model(step, made, image, rounding) for image in images]
    np.testing.assert_array_equal(found, expected_of(chain, images))


@pytest.mark.parametrize("q", [int(q) for q in ADMISSIBLE_Q if q < 8 or q % 97 == 0 or q > 1000])
def test_the_doubling_multiply_divides(q):
    """VQDMULH by round(2^30 / q) gives the floor of an odd n by 2q, for all n up to where an int8 is saturated."""
    n = np.arange(-256 * 2 * q + 1, 256 * 2 * q, 2)
    assert (2 * n * round(2**30 / q) >> 32 == n // (2 * q)).all()
