"""Which of the kernels for MVE takes which layer, and what it says of those that none takes."""

from __future__ import annotations

import dataclasses

import kernel_models
import numpy as np
import pytest
import sample_models
from random_chains import Chain

from lenet_edge.formats import c_source
from lenet_edge.formats.c_source.families import cortex_m_mve as mve
from lenet_edge.formats.c_source.fusing import fuse
from lenet_edge.quantized.model import QuantizedModel

pytestmark = pytest.mark.usefixtures("families_order")

FULL = (-128, 127)


def only_step(chain):
    (step,) = fuse(QuantizedModel(tuple(chain.layers)))
    return step


def name_of(shape, channels=3, kernel=(5, 5), stride=(1, 1), padding="valid", pool=(2, 2), pool_stride=None):
    chain = Chain(1, shape, tie_free=True).conv(channels, kernel, stride, padding, FULL)
    if pool is not None:
        chain.pool(pool, pool_stride)
    found = mve.kernels(only_step(chain), "it", divisible=True)
    return found if isinstance(found, str) else found[0].name.removeprefix("mve ")


ONE, COLUMNS, PAIRS, FEW, PATCHES = (
    *("one channel", "columns", "pairs of positions", "few inputs", "matrix, by patches"),
)


@pytest.mark.parametrize(
    ("shape", "padding", "expected"),
    [
        ((12, 12, 1), "valid", ONE),  # 4 windows
        ((12, 11, 1), "valid", PAIRS),  # 3
        ((12, 32, 1), "valid", ONE),
        ((12, 33, 1), "valid", PAIRS),
        ((12, 8, 1), "same", ONE),
        ((12, 7, 1), "same", PAIRS),
        ((12, 32, 1), "same", ONE),  # 16 windows
        ((12, 33, 1), "same", PAIRS),
        ((6, 12, 1), "valid", ONE),  # any height
        ((2, 8, 1), "same", ONE),
    ],
)
def test_limits_of_one_channel(shape, padding, expected):
    assert name_of(shape, padding=padding) == expected


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((14, 20, 3), PAIRS),  # 15 bytes of a row of the kernel
        ((14, 20, 4), COLUMNS),
        ((14, 20, 5), COLUMNS),
        ((14, 20, 6), COLUMNS),
        ((14, 18, 7), PAIRS),  # 35
        ((14, 31, 4), COLUMNS),  # 124 bytes a line
        ((14, 32, 4), PAIRS),
        ((14, 25, 5), COLUMNS),
        ((14, 26, 5), PAIRS),
        ((14, 21, 6), COLUMNS),
        ((14, 22, 6), PAIRS),
        ((13, 20, 4), PAIRS),  # 4 rows of windows
        ((14, 8, 4), COLUMNS),  # 2 windows in a row
        ((14, 7, 4), PAIRS),
    ],
)
def test_limits_of_columns(shape, expected):
    assert name_of(shape) == expected


@pytest.mark.parametrize("shape", [(20, 20, 1), (20, 20, 4)])
@pytest.mark.parametrize(
    "other",
    [
        {"kernel": (5, 4)},
        {"kernel": (3, 3)},
        {"stride": (1, 2)},
        {"stride": (2, 1)},
        {"pool": None},
        {"pool": (2, 1)},
        {"pool": (3, 3)},
        {"pool": (2, 2), "pool_stride": (2, 3)},
    ],
    ids=str,
)
def test_other_geometries_are_of_pairs_or_of_few_inputs(shape, other):
    assert name_of(shape, **other) == (FEW if (other.get("kernel"), shape[2]) == ((3, 3), 1) else PAIRS)


@pytest.mark.parametrize(
    ("shape", "kernel", "expected"),
    [((9, 9, 1), (4, 4), FEW), ((9, 9, 1), (1, 17), PAIRS), ((9, 20, 2), (2, 4), FEW), ((9, 20, 2), (3, 3), PAIRS)],
)
def test_few_inputs_are_sixteen_at_most(shape, kernel, expected):
    assert name_of(shape, kernel=kernel, padding="same", pool=None) == expected


def test_padding_is_of_pairs_where_there_are_columns():
    assert name_of((20, 20, 4), padding="same") == PAIRS


@pytest.mark.parametrize(
    ("takes", "shape", "most"), [(mve._is_one, (6, 12, 1), 65535 // 4), (mve._has_columns, (14, 8, 4), 65535 // 10)]
)
def test_offsets_of_outputs_are_uint16(takes, shape, most):
    for channels, expected in ((most, True), (most + 1, False)):
        step = only_step(Chain(1, shape).conv(channels, (5, 5), clamp=FULL).pool((2, 2)))
        assert takes(step, step.layer) == expected


@pytest.mark.parametrize(("inputs", "expected"), [(65532, PATCHES), (65533, "its window has more than 65532 inputs")])
def test_patches_that_their_structure_does_not_hold(inputs, expected):
    """Inputs and the offset behind them are uint16."""
    assert name_of((1, 1, inputs), 1, (1, 1), pool=None) == expected


def test_a_patch_that_is_too_large_is_plain():
    """As a model: most weights are 0, so that its sums are within what the grid allows."""
    chain = Chain(1, (2, 1, 40_000), tie_free=True, zero_point=0).conv(1, (2, 1), clamp=FULL, multiplier=1 / 2000)
    (layer,) = chain.layers
    weights = np.where(np.arange(layer.weights.size) % 50 == 0, 2, 0).reshape(layer.weights.shape).astype(np.int8)
    model = QuantizedModel((dataclasses.replace(layer, weights=weights),))
    (found,) = steps(model)
    assert (found["kernel"], found["why_plain"]) == ("plain", "its window has more than 65532 inputs")


def steps(model):
    return c_source.facts(c_source.make_plan(model, "cortex_m_mve"))["steps"]


def test_a_scale_of_a_half_is_plain():
    """VRSHL would round where nothing is to be shifted out."""
    chain = Chain(1, (1, 1, 3)).flatten().fully_connected(4, FULL)
    (layer,) = [layer for layer in chain.layers if hasattr(layer, "weights")]
    for real, expected in ((0.4999, "mve matrix"), (0.5, "a channel's scale is a half or more")):
        scales = np.array([1e-3, real, 0, 1e-3]) * layer.output.scale / layer.input.scale
        step = only_step(Chain(1, (1, 1, 1))._add(dataclasses.replace(layer, weight_scales=scales)))
        found = mve.kernels(step, "it", divisible=False)
        assert (found if isinstance(found, str) else found[0].name) == expected


@pytest.mark.parametrize(
    ("window", "weight", "tie_free", "expected"),
    [
        ((3, 3), 56, True, "depthwise, 3 x 3, one int16 sum"),  # 9 halves: 252
        ((3, 3), 58, True, "depthwise, 3 x 3"),  # 261
        ((3, 3), 126, True, "depthwise, 3 x 3"),
        ((3, 3), -127, False, "depthwise, 3 x 3"),  # two: 254
        ((3, 3), -128, False, "depthwise"),  # two: 256
        ((5, 3), 126, True, "depthwise"),
        ((1, 9), -127, False, "depthwise, 3 x 3"),  # nine taps in a row are nine taps
    ],
)
def test_depthwise_kernels_by_what_an_int16_holds(window, weight, tie_free, expected):
    chain = Chain(1, (9, 9, 3), tie_free=tie_free).depthwise(1, window, clamp=FULL)
    (layer,) = chain.layers
    weights = np.full(layer.weights.shape, weight, np.int8)
    step = only_step(Chain(1, (1, 1, 1))._add(dataclasses.replace(layer, weights=weights)))
    assert mve.kernels(step, "it", divisible=tie_free)[0].name == f"mve {expected}"


def test_lenet5_is_fast_throughout():
    assert [step["kernel"] for step in steps(sample_models.lenet5(51))] == [
        *("mve one channel", "mve columns", "mve matrix", "mve matrix", "mve matrix")
    ]


def test_every_kernel_is_taken_by_some_model():
    names = {step["kernel"] for make in kernel_models.MODELS.values() for step in steps(make())}
    assert names >= {"mve matrix", "mve pairs of positions", "mve one channel", "mve columns"}
