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
        sums = table.int8(size, 16) @ end
        for step in range(before):
            sums = sums + table.int8(size, 16) @ load(x, 16 * step)
        if size == 8:
            both = table.words(8 * count).reshape(count, 2, 4)
            of_group = np.empty(8, np.int64)
            of_group[::2] = outputs_of(sums[::2], *both[:, 0])
            of_group[1::2] = outputs_of(sums[1::2], *both[:, 1])
        else:
            of_group = outputs_of(sums, *table.words(4 * count).reshape(count, 4))
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


def band_of(by, image, top, columns, size, padding_value):
    """le_conv2d_one_mve.c: int8 [columns][6] in scratch, and whatever lies behind it."""
    band = np.full(size, 77, np.int8)
    inside = band[: columns * 6].reshape(columns, 6)
    inside[:] = padding_value
    height, width = image.shape
    for row in range(6):
        is_inside = 0 <= top + row < height
        inside[by.padding[1] : by.padding[1] + width, row] = image[top + row] if is_inside else padding_value
    return band


def one_row_model(table, channels, pairs, band, output, at, count):
    """le_one_row_mve_s8: a row of windows, whose outputs begin at output[at]."""
    table = Reader(table)
    offsets = table.words(8, "<u4").astype("<u4").view("<u2").astype(np.int64).reshape(2, 4, 2)  # [eight][lane][A, B]
    starts = [0, *(table.words(3) // 4).tolist()]
    for first in range(0, channels, 3):
        weights = table.int8(3, 32)
        sums = np.full((4, 3, 16), 2**30, np.int64)  # [position][channel][window]; what is not written is large
        for window in range(2 * pairs):
            for position, (row, column) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
                sums[position, :, window] = weights @ load(band, 6 * (2 * window + column) + row, 32)
        largest = sums.max(axis=0)
        for channel in range(min(3, channels - first)):
            requantization = table.words(count)
            for vector, start in enumerate(starts):
                values = outputs_of(largest[channel, start : start + 4], *requantization)
                assert values.shape == (4,)
                output[at + first + channel + offsets[vector // 2, :, vector % 2]] = values


def one_model(chain, kernel, image, count):
    step = only_step(chain)
    height, windows, channels = step.output.shape
    by = windows_of(step.layer, step.pool)
    listed, pairs, columns = numbers_behind("{it_table,", kernel.definitions)
    assert (listed, pairs) == (channels, -(-windows // 2))
    assert columns <= 255
    (table,) = kernel.tables
    output = np.full(height * windows * channels, 99)
    for row in range(height):
        at = 2 * row - by.padding[0]
        band = band_of(by, image[..., 0], at, columns, kernel.scratch_bytes - 4 * 3 * 16 * 4, step.input.zero_point)
        one_row_model(table.values, channels, pairs, band, output, row * windows * channels, count)
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
    halves = vectors[[0, 1, 2, 6, 7]], vectors[[3, 4, 5, 8, 9]]  # of a row of the kernel the first, the last 16 bytes
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
        sums[begin : begin + 10] = of_column
    return table.words(count)


def columns_outputs_model(sums, stage, offsets, requantization, output, to):
    """le_columns_outputs_mve.h; stage: whole eights, back and odd_columns as in le_mve_stage."""
    whole, back, odd = stage
    order = np.asarray(offsets).astype("<u4").view("<u2").astype(np.int64).reshape(-1, 4, 2)  # [eight][lane][A, B]
    assert whole >= 1
    assert len(order) == whole + 1
    at = 0
    for eight in range(whole + 1):
        if eight == whole:
            assert back % 4 == 0
            at -= back // 4
        both = np.stack([load(sums, at + first, 16).reshape(2, 4, 2) for first in (0, odd // 4)])
        largest = both.max(axis=(0, 3))  # [A, B][lane]
        values = outputs_of(largest, *requantization)
        places = to + order[eight].T
        output[places.ravel()] = values.ravel()
        at += 16


def columns_model(chain, kernel, image):
    step = only_step(chain)
    _, windows, channels = step.output.shape
    _, width, inputs = step.input.shape
    table, offsets = kernel.tables
    loop = re.match(r"LE_COLUMNS_MVE\(it_sums, (\d+), (\d+), (\d+)\)\n", kernel.definitions)
    steps = [int(number) for number in loop.groups()]
    strips, last_strip, *stage = numbers_behind("it_sums, it_table,", kernel.definitions)
    count = numbers_behind("},\n", kernel.definitions)[0] - 40
    x, output = image.ravel(), np.full(step.output_bytes, 99)
    for strip in range(strips):
        row = last_strip if strip == strips - 1 else 5 * strip
        reader = Reader(table.values)
        for channel in range(channels):
            sums = np.full(kernel.scratch_bytes // 4, 2**30)
            at = 2 * row * width * inputs
            requantization = columns_sums_model(x, at, reader, sums, stage[2], windows, steps, count)
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
