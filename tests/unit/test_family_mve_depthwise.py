"""The tables of the depthwise kernels for MVE, read by a model of their loops, give the reference's integers."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from test_family_mve import (
    FULL,
    SEEDS,
    Reader,
    chain_of,
    expected_of,
    images_of,
    numbers_behind,
    only_step,
    outputs_of,
    words_of,
)

from lenet_edge.formats.c_source.families import cortex_m_mve as mve
from lenet_edge.formats.c_source.steps import windows_of

GROUPS = {"mve depthwise": 1, "mve depthwise, 3 x 3": 0, "mve depthwise, 3 x 3, one int16 sum": 9}
VECTORS = ([0, 4, 8, 12], [2, 6, 10, 14], [1, 5, 9, 13], [3, 7, 11, 15])  # channels of 16


def position_model(pixels, kernel, count):
    """Outputs of a position, or several, for int64 ``[taps, channels]``; count: words of the requantization."""
    taps, channels = pixels.shape
    (table,) = kernel.tables
    reader, found = Reader(table.values), np.zeros(-(-channels // 16) * 16, np.int64)
    group = GROUPS[kernel.name] or (3 if count == 2 else 2)
    doubled = 2 if count == 2 and kernel.name != "mve depthwise" else 1  # the weights are halved
    for first in range(0, channels, 16):
        inputs = np.zeros((taps, 16), np.int64)
        inputs[:, : min(16, channels - first)] = pixels[:, first : first + 16]  # predicated
        products = reader.int8(taps, 16) * inputs
        sums = np.zeros(16, np.int64)
        for start in range(0, taps, group):
            halves = products[start : start + group].sum(axis=0)
            assert (halves == halves.astype(np.int16)).all()
            sums += doubled * halves
        for vector in VECTORS:
            found[first + np.array(vector)] = outputs_of(sums[vector], *reader.words(4 * count).reshape(count, 4))
    assert reader.is_at_end
    return found[:channels]


def model_of(chain, kernel, image, count):
    """le_depthwise_conv2d_mve.c; the maximum over a pooling window is that of the outputs."""
    step = only_step(chain)
    by = windows_of(step.layer, step.pool)
    channels, taps, both, _, padding, outputs, several = numbers_behind("{it_table", kernel.definitions)
    assert both == several * channels
    assert padding == 4 * 4 * (-(-taps // 4) * 4)
    assert outputs == padding + -(-both // 4) * 4
    assert kernel.scratch_bytes == outputs + (0 if step.pool is None else -(-channels // 4) * 4)
    wide = np.full([size + 2 * 99 for size in image.shape[:2]] + [channels], step.input.zero_point)
    wide[99:-99, 99:-99] = image

    def pixels(row, column):
        patch = wide[99 + row : 99 + row + by.window[0], 99 + column : 99 + column + by.window[1]]
        return patch.reshape(taps, channels)

    last, found = image.shape[1] - by.window[1], np.full(step.output.shape, -128)
    for row, y in np.ndindex(step.output.shape[0], by.pool[0]):
        top, column = row * by.step[0] - by.padding[0] + y * by.stride[0], 0
        while column < step.output.shape[1]:
            left, now = column * by.step[1] - by.padding[1], 1
            if several > 1 and 0 <= left <= last - several + 1:
                now = several
            for x in range(by.pool[1]):
                seen = np.concatenate([pixels(top, left + x * by.stride[1] + p) for p in range(now)], axis=1)
                found[row, column : column + now] = np.maximum(
                    found[row, column : column + now], position_model(seen, kernel, count).reshape(now, channels)
                )
            column += now
    return np.clip(np.ravel(found), *step.clamp)


@settings(max_examples=25, deadline=None)
@given(
    window=st.one_of(st.just((3, 3)), st.tuples(st.integers(1, 5), st.integers(1, 5))),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    pool=st.none() | st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.sampled_from(["same", "valid"]),
    channels=st.integers(1, 35),
    more=st.integers(0, 5),
    divisible=st.booleans(),
    seed=SEEDS,
)
def test_depthwise(window, stride, pool, padding, channels, more, divisible, seed):
    size = [w + s * p + more for w, s, p in zip(window, stride, pool or (1, 1), strict=True)]
    chain = chain_of(seed, (*size, channels), divisible).depthwise(1, window, stride, padding, FULL)
    if pool is not None:
        chain.pool(pool)
    images = images_of(chain, seed)
    kernels = mve.kernels(only_step(chain), "it", divisible=divisible)
    expected = expected_of(chain, images)
    for kernel in kernels:
        found = [model_of(chain, kernel, image, words_of(divisible)) for image in images]
        np.testing.assert_array_equal(found, expected)
