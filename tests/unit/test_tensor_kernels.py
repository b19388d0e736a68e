"""The structures of the operators on tensors: which values their loops meet, and which kernels take which layers."""

from __future__ import annotations

import dataclasses
import json
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_chains import Chain
from random_operators import KINDS, random_operator

from lenet_edge.errors import BadInputError
from lenet_edge.formats.c_source import FAMILIES, PLAIN, facts, make_plan
from lenet_edge.formats.c_source.families import tensors
from lenet_edge.formats.c_source.fusing import fuse
from lenet_edge.quantized.elementwise import sum_parameters
from lenet_edge.quantized.model import Add, QTensor, QuantizedModel, Transpose, expected_output_shape

TENSOR_KINDS = sorted(set(KINDS) - {"rescale", "conv2d", "depthwise_conv2d"})


def arrays_of(text):
    """The nested lists of an initialiser."""
    return json.loads(text.translate(str.maketrans("{}", "[]")))


def addresses(counts, strides):
    """Where each turn of nested loops is, in their order."""
    grid = np.indices(counts).reshape(len(counts), -1)
    return (np.array(strides)[:, np.newaxis] * grid).sum(axis=0)


@given(st.integers(0, 2**32), st.sampled_from(["add", "multiply", "slice", "transpose", "pad", "concatenate"]))
def test_loops_meet_what_numpy_meets(seed, kind):
    """With arrays of addresses as operands: the loops read, and write, the addresses that numpy's operator moves."""
    (step,) = fuse(random_operator(kind, seed))
    structure = arrays_of(re.search(r"= (\{.*\});", tensors.kernel(step, "x").definitions)[1])
    if kind in ("add", "multiply"):
        counts, *strides = structure[0]
        shape = step.output.shape
        for tensor, by in zip(_operands(step), strides, strict=True):
            values = np.arange(math.prod(tensor.shape)).reshape(tensor.shape)
            np.testing.assert_array_equal(addresses(counts, by), np.broadcast_to(values, shape).ravel())
        return
    counts, source, target = structure
    moved = addresses(counts, source), addresses(counts, target)
    first = [int(offset or 0) for offset in re.search(r"s(?: \+ (\d+))?, t(?: \+ (\d+))?\);", _call(step)).groups()]
    values = np.arange(math.prod(step.input.shape), dtype=np.int64).reshape(step.input.shape)
    found = np.full(math.prod(step.output.shape), -1)
    found[moved[1] + first[1]] = moved[0] + first[0]
    np.testing.assert_array_equal(found.reshape(step.output.shape), _moved(step.layer, values))


def _operands(step):
    """In the order of the C: of a sum the one with the larger scale first."""
    (call,) = tensors.kernel(step, "x").calls(("0", "1"), "t", "")
    return [step.inputs[int(at)] for at in re.search(r"&x, (\d), (\d)", call).groups()]


def _call(step):
    """The call that moves the first input, from `s` to `t`."""
    return next(
        call for call in tensors.kernel(step, "x").calls(("s", *["r"] * 9)[: len(step.inputs)], "t", "") if "(&" in call
    )


def _moved(layer, values):
    kind = type(layer).__name__
    if kind == "Slice":
        taken = zip(layer.begin, layer.stride, layer.output.shape, strict=True)
        return values[np.ix_(*(begin + stride * np.arange(size) for begin, stride, size in taken))]
    if kind == "Transpose":
        return values.transpose(layer.order)
    if kind == "Pad":
        return np.pad(values, list(zip(layer.before, layer.after, strict=True)), constant_values=-1)
    after = layer.output.shape[layer.axis] - values.shape[layer.axis]
    pads = [(0, after if axis == layer.axis else 0) for axis in range(values.ndim)]
    return np.pad(values, pads, constant_values=-1)


@given(st.integers(0, 2**32))
def test_the_mean_s_loops_meet_each_value_of_each_mean(seed):
    (step,) = fuse(random_operator("mean", seed))
    definitions = tensors.kernel(step, "x").definitions
    kept, meant, kept_steps, meant_steps, bias, scaling = arrays_of(re.search(r"= (\{.*\});", definitions)[1])
    values = np.arange(math.prod(step.input.shape)).reshape(step.input.shape)
    axes = step.layer.axes
    inner = np.moveaxis(values, axes, range(-len(axes), 0)).reshape(-1, math.prod(meant))
    found = addresses(kept, kept_steps)[:, np.newaxis] + addresses(meant, meant_steps)
    np.testing.assert_array_equal(found, inner)
    assert bias == -math.prod(meant) * step.input.zero_point
    assert scaling[1:] == [step.output.zero_point, -128, 127]


@given(st.integers(0, 2**32), st.sampled_from(["add", "subtract"]))
def test_the_operand_with_the_larger_scale_of_a_sum_is_the_wide_one(seed, kind):
    """Its multiplier is exactly a half, which the C takes for granted."""
    (step,) = fuse(random_operator(kind, seed))
    (wide, narrow), by = _operands(step), sum_parameters(step.layer)
    assert wide.scale >= narrow.scale
    assert (2**30, 0) in (by.first, by.second)
    text = re.search(r"= (\{.*\});", tensors.kernel(step, "x").definitions)[1]
    zero_points, signs, factor = arrays_of(text)[1:3], arrays_of(text)[3:5], arrays_of(text)[5:7]
    assert zero_points == [wide.zero_point, narrow.zero_point]
    assert signs == ([1, 1] if kind == "add" else [1, -1] if wide is step.inputs[0] else [-1, 1])
    multiplier = by.second if narrow is step.inputs[1] else by.first
    assert factor == ([20, [*multiplier]] if multiplier.shift else [21, [multiplier.mantissa or 0, -1]])


def test_equal_shapes_are_one_loop():
    tensor = QTensor((4, 5, 6), 0.5, 3)
    (step,) = fuse(QuantizedModel((Add("sum", (tensor, tensor), tensor),), {}, ((-1, -2),)))
    assert "{1, 1, 1, 120}, {0, 0, 0, 1}, {0, 0, 0, 1}" in tensors.kernel(step, "x").definitions


def test_more_loops_than_the_c_has_are_refused():
    source, target = QTensor((2, 3, 4, 5, 6), 0.5, 0), QTensor((6, 5, 4, 3, 2), 0.5, 0)
    model = QuantizedModel((Transpose("mirror", source, target, (4, 3, 2, 1, 0)),))
    with pytest.raises(BadInputError, match=r"layer mirror: .* 5 axes .* loops for 4"):
        make_plan(model)


@given(st.integers(0, 2**32), st.sampled_from(TENSOR_KINDS))
def test_steps_are_named_after_their_operator(seed, kind):
    (step,) = facts(make_plan(random_operator(kind, seed)))["steps"]
    assert (step["kind"], step["kernel"], step["why_plain"], step["macs"]) == (kind, "plain", "", 0)


# --- convolutions with gaps or groups ----------------------------------------------------------------


def spread(change):
    """A tie-free convolution for which every family has a fast kernel, changed."""
    layer = Chain(3, (12, 12, 4), tie_free=True).conv(4, (3, 3), clamp=(-128, 127)).layers[0]
    layer = dataclasses.replace(layer, **change(layer))
    shape = expected_output_shape(layer)
    return QuantizedModel((dataclasses.replace(layer, output=dataclasses.replace(layer.output, shape=shape)),))


CHANGES = {
    "": lambda layer: {},
    "its windows are dilated": lambda layer: {"dilation": (1, 2)},
    "its channels are in groups": lambda layer: {"weights": layer.weights[..., :2].copy()},
}


@pytest.mark.parametrize("why", CHANGES)
@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {PLAIN}))
def test_fast_kernels_leave_gaps_and_groups_to_the_plain_ones(family, why):
    plan = make_plan(spread(CHANGES[why]), family)
    (step,) = facts(plan)["steps"]
    assert step["why_plain"] == why
    assert (step["kernel"] == "plain") == bool(why)
    sources = {source.rpartition("/")[2] for source in plan.steps[0].kernel.sources}
    assert ("le_conv2d_dilated.c" in sources, "le_conv2d.c" in sources) == (bool(why), False)
    assert not why or plan.steps[0].kernel.scratch_bytes == 0


def test_a_depthwise_convolution_too():
    chain = Chain(3, (12, 12, 4)).depthwise(2, (3, 3))
    for dilation, file in (((1, 1), "le_depthwise_conv2d.c"), ((2, 1), "le_depthwise_conv2d_dilated.c")):
        layer = dataclasses.replace(chain.layers[0], dilation=dilation)
        target = dataclasses.replace(layer.output, shape=expected_output_shape(layer))
        plan = make_plan(QuantizedModel((dataclasses.replace(layer, output=target),)))
        assert f"plain/{file}" in plan.steps[0].kernel.sources
