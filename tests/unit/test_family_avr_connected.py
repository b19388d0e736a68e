"""Convolutions of which channels see only some others, on an AVR: the table, read as the assembly reads it."""

from __future__ import annotations

from dataclasses import replace

import extreme_layers
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_family_avr import int24, requantized, tail_of

from lenet_edge.estimate import made_up_model
from lenet_edge.formats.c_source import make_plan
from lenet_edge.formats.c_source.choice import candidates, need_of
from lenet_edge.formats.c_source.fusing import fuse
from lenet_edge.formats.c_source.tables import bytes_of
from lenet_edge.networks import reader
from lenet_edge.quantized import reference
from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.quantized.verify import verify


@st.composite
def partly_connected(draw):
    """A convolution of extreme weights, perhaps pooled, with some of its connections; some outputs see nothing."""
    model = draw(extreme_layers.convolutions(tiled=True, int24=True))
    layer, *others = model.layers
    outputs, inputs = len(layer.bias), layer.weights.shape[3]
    seen = np.random.default_rng(draw(st.integers(0, 2**32 - 1))).random((outputs, inputs)) < draw(st.floats(0, 1))
    weights = (layer.weights * seen[:, None, None]).astype(np.int8)
    return verify(QuantizedModel((replace(layer, weights=weights), *others)))


def outputs_of(kernel, table, batch):
    """LE_TILE with `connected`: each input's start and its products, in the order of the table."""
    by = extreme_layers.fields(kernel, "run", windows=True)
    u = extreme_layers.patches(by, batch) + 128
    u = u.transpose(0, 1, 2, 3, 6, 5, 4).reshape(*u.shape[:4], u.shape[6], -1)  # [input channel][column and row]
    found, at, size = [], 0, u.shape[-1]
    for _ in range(by["run"]):
        count, at, channel = table[at], at + 1, -1
        assert count >= 1
        total = np.zeros(u.shape[:4], np.int64)
        for _ in range(count):
            channel += 1 + table[at]
            seen = u[..., channel, :]
            total += seen @ table[at + 1 : at + 1 + size] - 128 * seen.sum(axis=-1)
            at += 1 + size
        bias, *rest = tail_of(table[at : at + 7])
        found.append(requantized((int24(total).max(axis=1) + bias) % 2**24, *rest))
        at += 7
    assert at == len(table)
    return np.stack(found, axis=-1)


@settings(max_examples=80, deadline=None)
@given(model=partly_connected())
def test_the_table_gives_the_reference_s_integers(model):
    (step,) = fuse(model)
    kernels = candidates("avr", step, "it", divisible=True)
    found = [] if isinstance(kernels, str) else [each for each in kernels if each.name.endswith("connected")]
    for kernel in found:
        (table,) = kernel.tables
        batch = extreme_layers.images(model)
        computed = outputs_of(kernel, np.frombuffer(bytes_of(table), np.uint8).astype(np.int64), batch)
        computed = extreme_layers.clamped(kernel, computed)
        np.testing.assert_array_equal(computed.reshape(len(batch), -1), reference.run(model, batch))


def c3_of(name):
    model = made_up_model(reader.load(name), (28, 28, 1), list("0123456789"))
    return next(placed for placed in make_plan(model, "avr").steps if placed.step.layer.name == "C3")


def test_c3_of_1998_has_60_of_96_connections():
    """A count for each output; a number and 25 weights for each connection; 7 bytes behind."""
    kernel = c3_of("lenet5-1998").kernel
    assert kernel.name == "avr tiles, 5 x 5, connected"
    assert kernel.tables[0].values.size == 16 * (1 + 7) + 60 * (1 + 25)
    assert kernel.runner_up == "avr tiles, 5 x 5"
    assert c3_of("lenet5").kernel.name == "avr tiles, 5 x 5"


@pytest.mark.parametrize(("left", "taken"), [(88, True), (91, False)])
def test_few_connections_that_do_not_exist_are_multiplied_with_0(left, taken):
    """Of 96: each that is named takes 44 cycles more than its 655, so that 7 % must be missing."""
    placed = c3_of("lenet5-1998")
    layer = placed.step.layer
    seen = np.arange(96).reshape(16, 6) < left
    weights = np.where(seen[:, None, None], 2, 0).astype(np.int8).repeat(5, 1).repeat(5, 2)
    step = replace(placed.step, layer=replace(layer, weights=weights))
    dense, connected = (
        need_of("avr", step, kernel, divisible=True)
        for kernel in candidates("avr", step, "it", divisible=True)
        if "tiles" in kernel.name
    )
    assert (connected < dense) == taken
