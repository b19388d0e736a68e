"""The tables for MVE, read by models of the kernels' loops, give the reference's integers; and which kernel takes what.

The models step through tables, inputs and sums as the assembly does: an address is an index, and a load beyond an array
is an error.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mve_models import (
    Reader,
    chain_of,
    expected_of,
    images_of,
    load,
    numbers_behind,
    only_step,
    outputs_of,
    words_of,
)

from lenet_edge.formats.c_source.families import cortex_m_mve as mve
from lenet_edge.formats.c_source.steps import windows_of
from lenet_edge.quantized.requantize import Multipliers, round_tflm
from lenet_edge.quantized.tie_free import ADMISSIBLE_Q

FULL = (-128, 127)
SEEDS = st.integers(0, 2**32 - 1)
FEW = settings(max_examples=50, deadline=None)


# --- requantisation -------------------------------------------------------------------------------


@pytest.mark.parametrize("z", [-128, 0, 127])
def test_the_outputs_are_quotients(z):
    """Saturation in two steps, of odd n next to every multiple of 2q that counts, and at the ends of what n can be."""
    q = np.array([q for q in ADMISSIBLE_Q if q > 1])
    multiples = np.concatenate([np.arange(-260, 261), [-(2**15) - 1, -(2**15), 2**15 - 1, 2**15]])
    near = 2 * q * multiples[:, None, None] + np.array([-1, 1])[:, None]
    ends = np.broadcast_to(np.array([-(2**31) + 1, -(2**24) + 1, 2**24 - 1, 2**31 - 1])[:, None, None], (4, 1, len(q)))
    for n in (near, ends):
        np.testing.assert_array_equal(
            outputs_of(n - 2 * q * z, 2 * q * z, 2**32 // (2 * q)), np.clip(n // (2 * q), -128, 127)
        )


@pytest.mark.parametrize("z", [-128, 0, 127])
@pytest.mark.parametrize("m", [2**30, 2**30 + 1, 1_431_655_765, 2**31 - 1, 0])
def test_the_outputs_are_rounded_as_by_tflm(m, z):
    """Of all shifts, n at each residue of small shifts, next to every threshold of an output, and at its ends."""
    for shift in range(1, 32):
        thresholds = (2 * np.arange(-260, 261) + 1) * 2 ** (30 + shift) // max(m, 1)
        near = np.clip(thresholds[:, None] + np.arange(-4, 5), -(2**31) + 200, 2**31 - 200).ravel()
        n = np.concatenate([near, np.arange(-4096, 4096), [-(2**31), -(2**31) + 1, 2**31 - 1]])
        by = Multipliers(np.array([m]), np.array([-shift]), np.zeros(1, np.float32))
        expected = np.clip(round_tflm(n, by) + z, -128, 127)
        np.testing.assert_array_equal(outputs_of(n, 0, m, np.array(z << 16 | -shift & 0xFF)), expected)


# --- matrix ---------------------------------------------------------------------------------------


def matrix_model(inputs, outputs, words, x, count):
    """le_matrix_mve.h; count: words of the requantization."""
    assert len(x) == inputs
    table, found = Reader(words), np.full(outputs, 99)
    before, last = divmod(inputs - 1, 16)  # whole steps, and one input less than the last step has
    first = 0
    while first < outputs:
        size = 8 if outputs - first > 4 else 4
        end = np.zeros(16, np.int64)
        end[: last + 1] = load(x, 16 * before, last + 1)  # predicated
        sums = table.words(size)  # biases
        for step in range(before):
            sums = sums + table.int8(size, 16) @ load(x, 16 * step)
        sums = sums + table.int8(size, 16) @ end
        if size == 8:
            both = table.words(8 * (count - 1)).reshape(count - 1, 2, 4)
            of_group = np.empty(8, np.int64)
            of_group[::2] = outputs_of(sums[::2], 0, *both[:, 0])
            of_group[1::2] = outputs_of(sums[1::2], 0, *both[:, 1])
        else:
            of_group = outputs_of(sums, 0, *table.words(4 * (count - 1)).reshape(count - 1, 4))
        stored = min(size, outputs - first)  # the store is predicated
        found[first : first + stored] = of_group[:stored]
        first += size
    assert table.is_at_end
    return found


@FEW
@given(inputs=st.integers(1, 300), outputs=st.integers(1, 21), divisible=st.booleans(), seed=SEEDS)
def test_matrix(inputs, outputs, divisible, seed):
    chain = chain_of(seed, (1, 1, inputs), divisible).flatten().fully_connected(outputs, FULL)
    images = images_of(chain, seed)
    kernel = mve.kernels(only_step(chain), "it", divisible=divisible)[0]
    assert kernel.name == "mve matrix"
    assert kernel.scratch_bytes == 0
    assert numbers_behind("it = {", kernel.definitions) == [inputs, outputs]
    (table,) = kernel.tables
    found = [matrix_model(inputs, outputs, table.values, image.ravel(), words_of(divisible)) for image in images]
    np.testing.assert_array_equal(found, expected_of(chain, images))


# --- one channel ----------------------------------------------------------------------------------


WINDOW_BYTES, PADDING_BYTES = 24, 32


def put_model(memory, at, image, y, padding_value):
    """A row of the input to a band, [column][5] from memory[at] on, and padding to the column in front."""
    row = image[y] if 0 <= y < len(image) else np.full(image.shape[1], padding_value)
    memory[at - 5] = padding_value
    memory[at : at + 5 * len(row) : 5] = row


def row_of_sums_model(weights, memory, band, pairs, sums):
    """int32 [16 windows][3 channels][left, right], of a row of the convolution; each vector serves two positions."""
    for position in range(4 * pairs):
        found = weights[:, 0] @ load(memory, band + 5 * position) + weights[:, 1] @ load(
            memory, band + 5 * position + 10
        )
        sums[position // 2, :, position % 2] = found


def one_row_model(table, channels, pairs, memory, bands, output, at, count):
    """le_one_row_mve.h: a row of windows, whose outputs begin at output[at]."""
    table = Reader(table)
    offsets = table.words(8, "<u4").astype("<u4").view("<u2").astype(np.int64).reshape(2, 4, 2)  # [eight][lane][A, B]
    predicate, start, both = table.words(3)
    steps = table.words(4)
    lanes = [
        [1, 1] if eight == 0 else [predicate >> 4 * lane & 3 == 3, predicate >> 4 * lane + 2 & 3 == 3]
        for eight in range(2)
        for lane in range(4)
    ]
    begin, at_once = at, min(3, channels)
    for _ in range(-(-channels // 3)):
        weights = table.int8(3, 2, 16)
        sums = np.full((2, 16, 3, 2), 2**30, np.int64)  # what is not written is large
        for band, of_row in zip(bands, sums, strict=True):
            row_of_sums_model(weights, memory, band, pairs, of_row)
        for channel in range(at_once):
            requantization = table.words(count)
            for eight in range(0 if both else 1, 2):
                for vector in range(2):
                    places = start + steps + 8 * channel + 24 * (8 * eight + 4 * vector) - 352
                    largest = np.max([sums.ravel()[(places + more) // 4] for more in (0, 4, 384, 388)], axis=0)
                    values = outputs_of(largest, *requantization)
                    for lane in range(4):
                        if lanes[4 * eight + lane][vector]:
                            output[at + channel + offsets[eight, lane, vector]] = values[lane]
        at += at_once - 1 + int(table.words(1)[0])
    assert table.is_at_end
    return at - begin


def one_model(chain, kernel, image, count):
    """le_conv2d_one_mve.c: bands that move on by two bytes for each row of windows."""
    step = only_step(chain)
    height, windows, channels = step.output.shape
    by, value = windows_of(step.layer, step.pool), step.input.zero_point
    (apart,) = numbers_behind("it_table,", kernel.definitions)
    (table,) = kernel.tables
    memory, output = np.full(kernel.scratch_bytes, 77, np.int8), np.full(height * windows * channels, 99)
    sums_bytes = (16 + windows + windows % 2) * WINDOW_BYTES
    memory[sums_bytes:] = value
    upper = sums_bytes + PADDING_BYTES + 5
    assert kernel.scratch_bytes == max(sums_bytes + PADDING_BYTES + 2 * apart, 2 * 16 * WINDOW_BYTES)
    for row in range(height):
        bands = [upper + 2 * row, upper + apart + 2 * row]
        for line in range(0 if row == 0 else 3, 5):
            for band, more in zip(bands, range(2), strict=True):
                y = 2 * row - by.padding[0] + line + more
                put_model(memory, band + 5 * by.padding[1] + line, image[..., 0], y, value)
        pairs = -(-windows // 2)
        at = row * windows * channels
        assert one_row_model(table.values, channels, pairs, memory, bands, output, at, count) == windows * channels
    return output


@FEW
@given(
    padding_width=st.one_of(
        st.tuples(st.just("valid"), st.integers(12, 32)), st.tuples(st.just("same"), st.integers(8, 32))
    ),
    height=st.integers(6, 11),
    channels=st.integers(1, 9),
    zero_point=st.sampled_from([-128, 0, 127]),
    divisible=st.booleans(),
    seed=SEEDS,
)
def test_one_channel(padding_width, height, channels, zero_point, divisible, seed):
    padding, width = padding_width
    chain = chain_of(seed, (height, width, 1), divisible, zero_point)
    chain.conv(channels, (5, 5), (1, 1), padding, FULL).pool((2, 2))
    images = images_of(chain, seed)
    kernel = mve.kernels(only_step(chain), "it", divisible=divisible)[0]
    assert kernel.name == "mve one channel"
    found = [one_model(chain, kernel, image, words_of(divisible)) for image in images]
    np.testing.assert_array_equal(found, expected_of(chain, images))


# --- columns --------------------------------------------------------------------------------------


def columns_sums_model(x, at, table, sums, odd, pairs, steps, count):
    """LE_COLUMNS_MVE: from x[at] on, each column down with one half of the weights' vectors and up with the other."""
    line, pixel, last = steps
    assert all(0 <= step <= 127 for step in steps)
    vectors = table.int8(10, 16)
    halves = vectors[[3, 4, 5, 6, 7]], vectors[[0, 1, 2, 8, 9]]  # of a row of the kernel the first, the last 16 bytes
    for column in range(2 * pairs):
        of_column = np.zeros(10, np.int64)
        for way in range(2):
            weights = halves[(column + way) % 2]
            for row in range(14) if way == 0 else range(13, -1, -1):
                products = weights @ load(x, at)
                for tap in range(5):
                    if 0 <= row - tap < 10:
                        of_column[row - tap] += products[tap]
                at += line if way == 0 else -line
            at += -line if way == 0 else line  # the step behind the last of the rows is another one
            at += pixel if way == 1 else last if column % 2 == 0 else -last
        begin = (odd if column % 2 else 0) // 4 + 10 * (column // 2)
        assert begin + 10 <= len(sums)
        sums[begin : begin + 10] = np.roll(of_column, 2)  # the last two are stored first
    return table.words(count)


def columns_outputs_model(sums, stage, offsets, requantization, output, to):
    """le_columns_outputs_mve.h; stage: whole eights, fours, back and odd_columns as in le_mve_columns."""
    whole, fours, back, odd = stage
    order = np.asarray(offsets).astype("<u4").view("<u2").astype(np.int64)
    assert whole >= 1
    assert len(order) == 8 * whole + 4 * fours
    assert back % 8 == 0
    at = 0
    for first in [*range(0, 8 * whole, 8), *range(8 * whole, len(order), 4)]:
        if first == 8 * whole:
            at -= back // 4
        count = 8 if first < 8 * whole else 4
        both = np.stack([load(sums, at + where, 2 * count).reshape(-1, 4, 2) for where in (0, odd // 4)])
        values = outputs_of(both.max(axis=(0, 3)), *requantization)  # [A, B][lane]
        places = to + order[first : first + count].reshape(4, -1).T
        output[places.ravel()] = values.ravel()
        at += 2 * count


def columns_model(chain, kernel, image):
    step = only_step(chain)
    _, windows, channels = step.output.shape
    _, width, inputs = step.input.shape
    table, offsets = kernel.tables
    loop = re.match(r"LE_COLUMNS_MVE\(it_channels, (\d+), (\d+), (\d+)\)\n", kernel.definitions)
    steps = [int(number) for number in loop.groups()]
    strips, last_strip, *stage = numbers_behind("it_channels, it_table,", kernel.definitions)
    count = table.values.size // channels - 40
    x, output = image.ravel(), np.full(step.output_bytes, 99)
    for strip in range(strips):
        row = last_strip if strip == strips - 1 else 5 * strip
        reader = Reader(table.values)
        for channel in range(channels):
            sums = np.full(kernel.scratch_bytes // 4, 2**30)
            at = 2 * row * width * inputs
            requantization = columns_sums_model(x, at, reader, sums, stage[3], windows, steps, count)
            to = row * windows * channels + channel
            columns_outputs_model(sums, stage, offsets.values, requantization, output, to)
        assert reader.is_at_end
    return output


@FEW
@given(
    inputs_width=st.integers(4, 6).flatmap(lambda inputs: st.tuples(st.just(inputs), st.integers(8, 127 // inputs))),
    height=st.integers(14, 27),
    channels=st.integers(1, 3),
    divisible=st.booleans(),
    seed=SEEDS,
)
def test_columns(inputs_width, height, channels, divisible, seed):
    inputs, width = inputs_width
    chain = chain_of(seed, (height, width, inputs), divisible).conv(channels, (5, 5), clamp=FULL).pool((2, 2))
    images = images_of(chain, seed)[:1]
    kernel = mve.kernels(only_step(chain), "it", divisible=divisible)[0]
    assert kernel.name == "mve columns"
    np.testing.assert_array_equal([columns_model(chain, kernel, images[0])], expected_of(chain, images))


# --- patches --------------------------------------------------------------------------------------


def patches_model(chain, kernel, image, count):
    """le_conv2d_patches_mve.c."""
    step = only_step(chain)
    by = windows_of(step.layer, step.pool)
    inputs, outputs, offset = numbers_behind("},\n    {", kernel.definitions)
    assert offset >= inputs
    assert kernel.scratch_bytes == offset + (0 if step.pool is None else -(-outputs // 4) * 4)
    (table,) = kernel.tables
    kernel_h, kernel_w = by.window
    rows, columns, _ = step.output.shape
    wide = np.full([size + 2 * 99 for size in image.shape[:2]] + [image.shape[2]], step.input.zero_point)
    wide[99:-99, 99:-99] = image
    found = []
    for row in range(rows):
        for column in range(columns):
            positions = []
            for i in range(by.pool[0] * by.pool[1]):
                top = 99 + row * by.step[0] - by.padding[0] + i // by.pool[1] * by.stride[0]
                left = 99 + column * by.step[1] - by.padding[1] + i % by.pool[1] * by.stride[1]
                patch = wide[top : top + kernel_h, left : left + kernel_w].ravel()
                positions.append(matrix_model(inputs, outputs, table.values, patch, count))
            found.append(np.max(positions, axis=0))
    return np.clip(np.ravel(found), *step.clamp)


@FEW
@given(
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    pool=st.none() | st.tuples(st.integers(1, 3), st.integers(1, 3)),
    more=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    padding=st.sampled_from(["same", "valid"]),
    channels=st.tuples(st.integers(2, 5), st.integers(1, 9)),
    divisible=st.booleans(),
    seed=SEEDS,
)
def test_patches(kernel, stride, pool, more, padding, channels, divisible, seed):
    size = [k + s * p + m for k, s, p, m in zip(kernel, stride, pool or (1, 1), more, strict=True)]
    chain = chain_of(seed, (*size, channels[0]), divisible).conv(channels[1], kernel, stride, padding)
    if pool is not None:
        chain.pool(pool)
    images = images_of(chain, seed)
    made = mve.kernels(only_step(chain), "it", divisible=divisible)[-1]
    assert made.name == "mve matrix, by patches"
    found = [patches_model(chain, made, image, words_of(divisible)) for image in images]
    np.testing.assert_array_equal(found, expected_of(chain, images))
