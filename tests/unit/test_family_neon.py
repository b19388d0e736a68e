"""The tables of the kernels for AArch64, read as the C reads them, give the layer's sums."""

from __future__ import annotations

import numpy as np
import pytest
import sample_models
from random_chains import Chain

from lenet_edge.engines import host_c
from lenet_edge.formats import c_source
from lenet_edge.formats.c_source.families import neon
from lenet_edge.formats.c_source.tables import double_rounding_of, folded_bias
from lenet_edge.quantized.tie_free import ADMISSIBLE_Q, channel_q

pytestmark = pytest.mark.usefixtures("families_order")
FULL = (-128, 127)


def drawn(shape, seed=1):
    return np.random.default_rng(seed).integers(-128, 128, shape)


@pytest.mark.parametrize("shape", [(1, 1, 1), (4, 1, 16), (9, 5, 30), (16, 3, 7), (10, 1, 84)])
def test_quads_give_the_sums(shape):
    weights, x = drawn(shape), drawn(shape[1:], 2)
    found = neon.quads(weights)
    groups, rows, count, _, _ = found.shape
    inputs = np.full((rows, count * 4), 99)  # what is read beyond a row counts for nothing
    inputs[:, : shape[2]] = x
    sums = np.einsum("grqci,rqi->gc", found, inputs.reshape(rows, count, 4)).reshape(groups * 4)
    np.testing.assert_array_equal(sums[: shape[0]], np.einsum("cri,ri->c", weights, x))
    assert not sums[shape[0] :].any()


@pytest.mark.parametrize("together", [1, 2, 3, 4])
@pytest.mark.parametrize("shape", [(3, 3, 16), (1, 5, 17), (2, 2, 40), (1, 1, 1)])
def test_taps_give_the_sums(shape, together):
    weights, x = drawn(shape), drawn(shape, 2)
    found = neon.tap_table(weights, together)
    assert found.shape[1] % together == 0
    inputs = np.zeros((found.shape[1], 16 * len(found)), np.int64)
    inputs[: shape[0] * shape[1], : shape[2]] = x.reshape(-1, shape[2])
    sums = (found.transpose(1, 0, 2).reshape(inputs.shape) * inputs).sum(axis=0)
    np.testing.assert_array_equal(sums[: shape[2]], (weights * x).sum(axis=(0, 1)))


@pytest.mark.parametrize(("height", "width"), [(5, 5), (3, 3), (3, 9), (10, 4), (5, 15), (1, 7), (2, 12)])
def test_packing_puts_a_window_s_bytes_next_to_each_other(height, width):
    line = 40
    offsets, places = neon.packing_of(height, width, line)
    image = drawn((height + 1) * line)
    window = image[3:]
    found = []
    for rows, at in zip(offsets, places, strict=True):
        registers = np.concatenate([window[row : row + 16] for row in rows])
        found += [registers[place] if place < 64 else 0 for place in at]
    wanted = np.concatenate([window[row * line : row * line + width] for row in range(height)])
    np.testing.assert_array_equal(found[: len(wanted)], wanted)
    assert not any(found[len(wanted) :])
    assert offsets.max() == (height - 1) * line  # no row below the window is read


def test_what_lies_in_more_than_four_rows_is_not_packed():
    assert neon.packing_of(9, 3, 40) is None
    assert neon.packing_of(16, 1, 40) is None


@pytest.mark.parametrize(
    ("largest", "quads", "taps"),
    [(63, 4, 3), (64, 2, 3), (85, 2, 3), (86, 2, 2), (127, 2, 2), (128, 1, 1)],
)
def test_products_that_are_added_fit_an_int16(largest, quads, taps):
    assert neon.quads_together(neon.quads(np.full((4, 1, 16), -largest))) == quads
    assert neon.taps_together(np.full((3, 3, 16), -largest)) == taps
    for count in (quads, taps):
        assert count * 128 * largest < 2**15


def test_only_products_that_meet_count():
    """-128 twice, but in quads that are not added, or in other places of them."""
    rows = np.zeros((1, 1, 12), np.int64)
    rows[0, 0, [4, 8]] = -128
    assert neon.quads_together(neon.quads(rows)) == 2
    rows[0, 0, [4, 8]], rows[0, 0, [3, 4]] = 0, -128
    assert neon.quads_together(neon.quads(rows)) == 4
    assert neon.taps_together(drawn((1, 2, 3)) * 0 - np.array([128, 127, 1])[None, None]) == 1
    assert neon.taps_together(np.array([[[128]], [[127]]])) == 2


def test_on_the_grid_the_sums_are_halves_and_the_bias_too():
    layer = sample_models.lenet5(51).layers[-1]
    by = neon._requantization_of(layer, divisible=True)
    np.testing.assert_array_equal(2 * by.bias, folded_bias(layer) + 2 * channel_q(layer) * layer.output.zero_point)
    assert (by.shift, by.zero_point) == (None, 0)


def test_the_multiplier_is_at_most_1_beside_what_it_stands_for():
    for q in ADMISSIBLE_Q:
        multiplier = min((2**32 // q + 1) // 2, 2**31 - 1)
        assert abs(multiplier * q - 2**31) <= q
    assert max(ADMISSIBLE_Q) < 1024


def test_off_the_grid_the_shift_is_negative():
    model = Chain(3, (9, 9, 3)).depthwise(1, (3, 3), clamp=(-100, 90)).build()
    (placed,) = c_source.make_plan(model, "neon").steps
    tables = {table.name.rpartition("_")[2]: table.values for table in placed.kernel.tables}
    by = double_rounding_of(model.layers[0])
    np.testing.assert_array_equal(tables["shift"][:3], by.shift)
    np.testing.assert_array_equal(tables["multiplier"][:3], by.multiplier)
    assert tables["shift"].max() <= 0
    assert f"_shift, {model.output.zero_point}, -100, 90}}" in placed.kernel.definitions
    assert "shared/le_clamp.c" not in placed.kernel.sources


def kernels(model):
    return [
        (step["kernel"], step["why_plain"])
        for step in c_source.facts(c_source.make_plan(model, "neon"))["steps"]
        if step["macs"]
    ]


@pytest.mark.parametrize("grid", ["tie-free", "ordinary"])
def test_lenet5_has_fast_kernels_in_every_layer(grid):
    names = [name for name, _ in kernels(sample_models.lenet5(51, grid))]
    assert names == ["neon packed", "neon rows", *["neon matrix"] * 3]


def test_what_has_no_fast_path_says_why():
    large = Chain(1, (9, 9, 3)).conv(4, (3, 3), multiplier=1.5).build()
    assert kernels(large) == [("plain", "a channel's scale is 1 or more")]
    high = Chain(1, (65_535, 1, 1)).conv(1, (3, 1), padding="same", clamp=FULL).build()
    assert kernels(high)[0][1] == "it has more than 65535 rows with their padding"


def test_only_what_needs_one_gets_a_copy_of_the_image():
    def scratch(chain):
        (placed,) = c_source.make_plan(chain.build(), "neon").steps
        return placed.kernel.scratch_bytes

    assert scratch(Chain(1, (5, 6, 16), tie_free=True).conv(4, (1, 1), clamp=FULL)) == 0
    assert scratch(Chain(1, (5, 6, 17), tie_free=True).conv(4, (1, 1), clamp=FULL)) == 5 * 6 * 17 + 15 + 3
    assert scratch(Chain(1, (5, 6, 16), tie_free=True).conv(4, (3, 3), padding="same", clamp=FULL)) > 7 * 8 * 16
    assert scratch(Chain(1, (5, 6, 16), tie_free=True).depthwise(1, (3, 3), clamp=FULL)) == 4 * 9


@pytest.mark.parametrize(
    ("family", "system", "compiler", "flags"),
    [
        ("plain", "Linux", ["cc"], []),
        ("x86", "Linux", ["cc"], ["-march=native"]),
        ("x86", "Darwin", ["cc"], ["-march=native"]),
        ("neon", "Linux", ["cc"], ["-mcpu=native"]),
        ("neon", "Linux", ["gcc", "-march=armv8-a"], []),
        ("neon", "Darwin", ["cc"], []),
    ],
)
def test_the_engine_compiles_for_its_machine(family, system, compiler, flags, monkeypatch):
    monkeypatch.setattr(host_c.platform, "system", lambda: system)
    assert host_c._tuning(family, compiler) == flags
