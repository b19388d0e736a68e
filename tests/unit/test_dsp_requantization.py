"""TFLM's rounding with one SMMLAR, as le_requantize_dsp.h has it: equal to the reference's rule, or refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_chains import Chain

from lenet_edge.formats.c_source.families import dsp_requantization as dsp
from lenet_edge.formats.c_source.families.shared import largest_sum
from lenet_edge.formats.c_source.tables import double_rounding_of
from lenet_edge.quantized import requantize


def wrapped(values):
    """As a register holds them."""
    return np.asarray(values, np.int64).astype(np.int32).astype(np.int64)


def to_int8(by, sums):
    """The macro to_int8_double for sums ``[..., channels]``, before SSAT."""
    multiplier, addend, shift = by.factors.T
    x = wrapped(by.times * sums + by.bias)
    high = wrapped((x * multiplier + (addend << 32) + 2**31) >> 32)
    return wrapped(high + (x >> 31)) >> shift


def layer_of(scales, zero_point, weights, bias):
    """A dense layer with a channel for each scale, as a part of the output's."""
    layer = Chain(1, (1, 1, 1)).flatten().fully_connected(len(scales), (-128, 127)).layers[1]
    return dataclasses.replace(
        layer,
        input=dataclasses.replace(layer.input, scale=1.0, zero_point=0),
        output=dataclasses.replace(layer.output, scale=1.0, zero_point=zero_point),
        weights=np.full((len(scales), 1), weights, np.int8),
        bias=np.full(len(scales), bias, np.int32),
        weight_scales=np.array(scales, np.float32),
    )


def some_sums(layer):
    """int64 ``[number, channels]``: the ends, around zero and around every threshold, and others."""
    by = double_rounding_of(layer)
    most = largest_sum(layer) + np.abs(by.bias)
    edges = np.arange(-260, 260)[:, None] / requantize.real_multipliers(layer)
    halves = (edges + np.array([[[0.0]], [[0.5]]]) / requantize.real_multipliers(layer)).reshape(-1, len(most))
    near = (np.clip(halves, -most, most).astype(np.int64)[:, None] + np.arange(-3, 4)[:, None]).reshape(-1, len(most))
    random = np.random.default_rng(1).integers(-most, most + 1, (500, len(most)))
    few = np.arange(-40, 41)[:, None] + np.zeros(len(most), np.int64)
    return np.clip(np.concatenate([near, random, few, -most[None], most[None]]), -most, most) - by.bias


scales = st.lists(st.floats(2.0**-34, 0.49), min_size=1, max_size=8)


@given(scales, st.integers(-128, 127), st.integers(-128, 127), st.integers(-(2**27), 2**27))
def test_it_is_tflm_s_rounding(scales, zero_point, weights, bias):
    layer = layer_of(scales, zero_point, weights, bias)
    assert dsp.requantization_problem(layer, divisible=False) == ""
    sums = some_sums(layer)
    tflm = requantize.RULES["tflm"](sums + layer.bias, requantize.multipliers(layer))
    expected = np.clip(tflm + zero_point, -128, 127)
    found = np.clip(to_int8(dsp.requantization_of(layer, divisible=False), sums), -128, 127)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("scale", "bias", "why"),
    [
        (0.4, 0, ""),
        (0.5, 0, "a channel multiplies its sums by a half or more"),
        (3.0, 0, "a channel multiplies its sums by a half or more"),
        (2.0**-31, 2**29, ""),
        (0.01, 2**30 - 128, "with TFLM's rounding its sums do not fit an int32"),
        (2.0**-26, 2**30 - 129, ""),
    ],
)
def test_what_it_cannot_have(scale, bias, why):
    assert dsp.requantization_problem(layer_of([scale], 3, 1, bias), divisible=False) == why
