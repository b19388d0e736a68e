"""A depthwise convolution with several outputs for each channel is one of one output, on an input that is repeated."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_chains import Chain

from lenet_edge.formats.c_source import make_plan
from lenet_edge.formats.c_source.choice import candidates
from lenet_edge.formats.c_source.families import FAMILIES
from lenet_edge.formats.c_source.fusing import fuse
from lenet_edge.formats.c_source.loops import loops_of
from lenet_edge.formats.c_source.repeating import FILES, repeated, repeating_problem
from lenet_edge.quantized import reference
from lenet_edge.quantized.model import DepthwiseConv2d, QuantizedModel

FULL = (-128, 127)
FAST = {
    "avr": "avr depthwise",
    "cortex_m_base": "lanes depthwise, 3 x 3",
    "cortex_m_dsp": "dsp depthwise, 3 x 3",
    "cortex_m_mve": "mve depthwise, 3 x 3",
    "neon": "neon depthwise",
    "rv32": "lanes depthwise, 3 x 3",
    "x86": "x86 depthwise",
}


def step_of(chain):
    (step,) = fuse(QuantizedModel(tuple(chain.layers)))
    return step


def outputs(step, values):
    return reference.layer_output(step.layer, [values])


@given(
    st.integers(0, 10**6),
    st.integers(2, 4),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 2), st.integers(1, 3)),
    st.sampled_from(["same", "valid"]),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_the_repeated_step_computes_the_same(seed, times, window, stride, padding, tie_free):
    step = step_of(Chain(seed, (6, 5, 3), tie_free=tie_free, zero_point=11).depthwise(times, window, stride, padding))
    other = repeated(step)
    assert isinstance(other.layer, DepthwiseConv2d)
    assert other.layer.input.shape == (6, 5, 3 * times)
    values = np.random.default_rng(seed).integers(-128, 128, (4, 6, 5, 3)).astype(np.int8)
    spread = np.stack([values] * times, axis=-1).reshape(4, 6, 5, -1)
    np.testing.assert_array_equal(outputs(other, spread), outputs(step, values))


def test_other_steps_are_themselves():
    for chain in (Chain(1, (6, 6, 3)).depthwise(1, (3, 3)), Chain(1, (6, 6, 3)).conv(6, (3, 3))):
        step = step_of(chain)
        assert repeated(step) is step
        assert repeating_problem(step) == ""


@pytest.mark.parametrize("tie_free", [True, False])
@pytest.mark.parametrize("family", FAST)
def test_every_family_has_its_kernel_behind_the_repetition(family, tie_free):
    model = Chain(1, (9, 9, 8), tie_free=tie_free).depthwise(2, (3, 3), padding="same", clamp=FULL).build()
    (placed,) = make_plan(model, family).steps
    kernel = placed.kernel
    assert kernel.name.startswith(FAST[family])
    assert set(FILES) <= set(kernel.sources)
    first, second, *_ = kernel.calls(("in",), "out", "room")
    assert first == "le_repeat_s8(in, 648, 2, room);"
    assert ", room, room + 1296, out);" in second
    assert kernel.scratch_bytes >= 1296
    assert kernel.rows_at_once == 0


def test_only_what_stays_small_is_repeated():
    """Four times the input, of which a stride leaves as much as it has."""
    step = step_of(Chain(1, (8, 8, 3)).depthwise(4, (3, 3), (2, 2), "same"))
    why = "its input, repeated for each output, takes 768 bytes, more than 384"
    assert repeating_problem(step) == why
    for family in FAST:
        if FAMILIES[family].name != "avr":
            assert candidates(family, step, "it", divisible=False) == why
    assert repeating_problem(step_of(Chain(1, (8, 8, 3)).depthwise(2, (3, 3), (2, 2), "same"))) == ""


def test_the_loops_are_those_of_the_repeated_step():
    step = step_of(Chain(1, (9, 9, 4), tie_free=True).depthwise(3, (3, 3), padding="same", clamp=FULL))
    (kernel, *_) = candidates("cortex_m_base", step, "it", divisible=True)
    (alone, *_) = candidates("cortex_m_base", repeated(step), "it", divisible=True)
    expected = MappingProxyType({**loops_of(repeated(step), alone), "repeated": 9 * 9 * 12})
    assert loops_of(step, kernel) == expected
    assert loops_of(repeated(step), alone)["repeated"] == 0
