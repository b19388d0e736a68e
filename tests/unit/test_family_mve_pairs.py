"""Convolutions on MVE, two positions at a time: a model of the kernel's loops gives the reference's integers."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mve_models import Reader, chain_of, expected_of, images_of, load, numbers_behind, only_step, outputs_of, words_of

from lenet_edge.formats.c_source.families import cortex_m_mve as mve
from lenet_edge.formats.c_source.families.mve_pairs import as_one_row
from lenet_edge.formats.c_source.steps import windows_of


def multiply_model(matrix, block, x, at, output, to):
    """le_pairs_mve.h; matrix: vectors, outputs, table, words of a requantization."""
    vectors, outputs, table, count = matrix
    apart, step, outputs_apart, output_step, pairs = block
    for pair in range(pairs):
        reader = Reader(table)
        places = [at + pair * step, at + pair * step + apart]
        for first in range(0, outputs, 4):
            sums = np.zeros((2, 4), np.int64)
            for vector in range(vectors):
                weights = reader.int8(4, 16)
                sums += [weights @ load(x, place + 16 * vector) for place in places]
            requantization = [reader.words(4) for _ in range(count)]
            found = outputs_of(sums, *requantization)
            left = min(4, outputs - first)
            for other in range(2):
                begin = to + pair * output_step + other * outputs_apart + first
                output[begin : begin + left] = found[other, :left]
        assert reader.is_at_end


def band_of(by, image, padding, top, left, columns):
    """Columns of the input, ``[columns, window_h, channels]``, with padding outside."""
    wide = np.pad(image, ((99, 99), (99, 99), (0, 0)), constant_values=padding)
    rows = slice(top + 99, top + 99 + by.window[0])
    return wide[rows, left + 99 : left + 99 + columns].transpose(1, 0, 2).ravel()


def strip_model(step, by, matrix, sizes, image, row, rows, column, positions):
    """put_strip: int8 [rows][positions][channels], the largest of each window."""
    column_bytes = by.window[0] * image.shape[2]
    columns = (positions - 1) * by.step[1] + (by.pool[1] - 1) * by.stride[1] + by.window[1]
    channels, largest = matrix[1], np.full((rows, positions, matrix[1]), -128)
    for y in range(by.pool[0]):
        scratch = np.full(rows * sizes[1], 77, np.int8)
        for line in range(rows):
            top = (row + line) * by.step[0] - by.padding[0] + y * by.stride[0]
            left = column * by.step[1] - by.padding[1]
            band = band_of(by, image, step.input.zero_point, top, left, columns)
            scratch[line * sizes[1] : line * sizes[1] + len(band)] = band
        for x in range(by.pool[1]):
            at, inputs, found = x * by.stride[1] * column_bytes, by.step[1] * column_bytes, np.full(largest.size, 99)
            if rows == 2:
                block = (sizes[1], inputs, positions * channels, channels, positions)
                multiply_model(matrix, block, scratch, at, found, 0)
            else:
                pairs_model(matrix, inputs, positions, scratch, at, found)
            largest = np.maximum(largest, found.reshape(largest.shape))
    return largest


def pairs_model(matrix, inputs, positions, x, at, found):
    """Of one row: neighbours, and the last by itself."""
    channels = matrix[1]
    multiply_model(matrix, (inputs, 2 * inputs, channels, 2 * channels, positions // 2), x, at, found, 0)
    if positions % 2:
        last = positions - 1
        multiply_model(matrix, (0, 0, 0, 0, 1), x, at + last * inputs, found, last * channels)


def row_model(matrix, image, width, sizes, scratch_bytes):
    """1 x 1 on one row, of which the last positions are copied."""
    before, inputs, outputs = width - sizes[5], image.shape[2], matrix[1]
    found = np.full(width * outputs, 99)
    pairs_model(matrix, inputs, before, image.ravel(), 0, found)
    scratch, last = np.full(scratch_bytes, 77, np.int8), image.ravel()[before * inputs :]
    scratch[: len(last)] = last
    found_last = found[before * outputs :]
    if sizes[5]:
        pairs_model(matrix, inputs, sizes[5], scratch, 0, found_last)
    return found


def sliding_model(step, by, matrix, sizes, image):
    """`slide`: one band, of which a row of the output overwrites what it does not need any more."""
    height, width, outputs = step.output.shape
    tall, channels, value = by.window[0], image.shape[2], step.input.zero_point
    column = tall * channels
    scratch, found = np.full(sizes[1], value, np.int8), np.full((height, width * outputs), 99)
    done = -by.padding[0]
    for row in range(height):
        for y in range(done, row * by.step[0] - by.padding[0] + tall):
            at = column + by.padding[1] * column + (y + by.padding[0]) * channels
            line = image[y] if 0 <= y < len(image) else np.full(image.shape[1:], value)
            scratch[at - column : at - column + channels] = value
            for x, pixel in enumerate(line):
                assert at + x * column + channels <= len(scratch)
                scratch[at + x * column : at + x * column + channels] = pixel
            done = y + 1
        band = column + row * by.step[0] * channels
        pairs_model(matrix, by.step[1] * column, width, scratch, band, found[row])
    return found.ravel()


def pairs_kernel_model(step, kernel, image, count):
    """le_conv2d_pairs_mve.c: int8 ``[height, width, channels]``."""
    step, layer = as_one_row(step, step.layer)
    by = windows_of(layer, step.pool)
    height, width, channels = step.output.shape
    vectors, outputs = numbers_behind("},\n    {", kernel.definitions)[:2]
    sizes = numbers_behind("_mve_s8, ", kernel.definitions)  # strip, bytes of a band, rows, spread, slides, tail
    matrix = (vectors, outputs, kernel.tables[0].values, count)
    found = np.full(step.output.shape, 99)
    if sizes[0] == 0:
        return np.clip(row_model(matrix, image, width, sizes, kernel.scratch_bytes), *step.clamp)
    if sizes[4]:
        return np.clip(sliding_model(step, by, matrix, sizes, image.reshape(step.input.shape)), *step.clamp)
    assert kernel.scratch_bytes == sizes[2] * sizes[1] + (step.pool is not None) * (
        -(-sizes[2] * sizes[0] * channels // 4) * 4
    )
    image, row = image.reshape(step.input.shape), 0
    while row < height:
        rows = sizes[2] if row + sizes[2] <= height else 1
        for column in range(0, width, sizes[0]):
            positions = min(width - column, sizes[0])
            largest = strip_model(step, by, matrix, sizes, image, row, rows, column, positions)
            found[row : row + rows, column : column + positions] = largest
        row += rows
    return np.clip(found, *step.clamp).ravel()


SIZES = st.tuples(st.integers(1, 5), st.integers(1, 5))


@settings(max_examples=60, deadline=None)
@given(
    kernel=SIZES,
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    pool=st.none() | st.tuples(st.integers(1, 3), st.integers(1, 3)),
    more=st.tuples(st.integers(0, 5), st.integers(0, 5)),
    padding=st.sampled_from(["same", "valid"]),
    channels=st.tuples(st.integers(1, 40), st.integers(1, 9)),
    divisible=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_pairs(kernel, stride, pool, more, padding, channels, divisible, seed):
    assume(kernel[0] * kernel[1] * channels[0] > 16)
    size = [k + s * p + m for k, s, p, m in zip(kernel, stride, pool or (1, 1), more, strict=True)]
    chain = chain_of(seed, (*size, channels[0]), divisible).conv(channels[1], kernel, stride, padding)
    if pool is not None:
        chain.pool(pool)
    images = images_of(chain, seed)
    step = only_step(chain)
    (made,) = (
        kernel
        for kernel in mve.kernels(step, "it", divisible=divisible)
        if kernel.name.startswith("mve pairs of positions")
    )
    found = [pairs_kernel_model(step, made, image, words_of(divisible)) for image in images]
    np.testing.assert_array_equal(found, expected_of(chain, images))


@settings(max_examples=20, deadline=None)
@given(
    size=SIZES,
    channels=st.tuples(st.sampled_from([17, 24, 31, 32, 33, 48]), st.integers(1, 9)),
    divisible=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_windows_of_one_pixel(size, channels, divisible, seed):
    """They are of one row, so that an odd width does not matter; whole vectors of channels are not copied."""
    chain = chain_of(seed, (*size, channels[0]), divisible).conv(channels[1], (1, 1))
    images, step = images_of(chain, seed), only_step(chain)
    made = mve.kernels(step, "it", divisible=divisible)[0]
    assert (made.scratch_bytes == 0) == (channels[0] % 16 == 0)
    found = [pairs_kernel_model(step, made, image, words_of(divisible)) for image in images]
    np.testing.assert_array_equal(np.clip(found, *step.clamp), expected_of(chain, images))
